//! Decides when a failure is worth a warning.

use std::time::Duration;

/// A failure that is retried, and mostly recovers.
#[derive(Debug, Default)]
pub(super) struct TransientFailures {
    since: Option<Duration>,
    warned: bool,
}

impl TransientFailures {
    /// Failures that recover within this time are not warned about.
    pub(super) const PATIENCE: Duration = Duration::from_secs(60);

    /// Records a failure with the time of its next attempt; returns whether it lasts, or will last, too long to stay
    /// quiet.
    pub(super) fn failed(&mut self, now: Duration, again_in: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        let mends_by = now.saturating_sub(since).saturating_add(again_in);
        let warns = mends_by >= Self::PATIENCE && !self.warned;
        self.warned |= warns;
        warns
    }

    pub(super) fn over(&mut self, now: Duration) -> Option<Duration> {
        let since = std::mem::take(self).since?;
        Some(now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::TransientFailures;

    #[test]
    fn what_lasts_for_a_minute_is_warned_of_once() {
        let at = Duration::from_secs;
        let mut failures = TransientFailures::default();
        for (now, again_in, warns) in
            [(100, 1, false), (101, 2, false), (130, 20, false), (150, 10, true), (160, 60, false), (9000, 60, false)]
        {
            assert_eq!(failures.failed(at(now), at(again_in)), warns, "{now}");
        }
        assert_eq!(failures.over(at(9001)), Some(at(8901)));
        assert_eq!(failures.over(at(9002)), None);
        assert!(!failures.failed(at(9003), at(1)), "the next one is another");
    }

    #[test]
    fn what_is_not_tried_again_within_the_minute_is_warned_of_at_once() {
        let mut failures = TransientFailures::default();
        assert!(failures.failed(Duration::from_secs(5), TransientFailures::PATIENCE));
        assert!(!failures.failed(Duration::from_secs(6), Duration::MAX));
    }
}
