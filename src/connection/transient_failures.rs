//! When a failures is worth a warning.

use std::time::Duration;

/// Something that goes wrong, is tried again, and mostly mends itself.
#[derive(Debug, Default)]
pub(super) struct TransientFailures {
    since: Option<Duration>,
    warned: bool,
}

impl TransientFailures {
    /// What mends itself within this time is none of an operator's business.
    pub(super) const PATIENCE: Duration = Duration::from_secs(60);

    /// Takes in a failure, after which the next attempt comes in so long; whether it is the one to warn of: the first that
    /// is too old, or cannot mend itself in time any more.
    pub(super) fn failed(&mut self, now: Duration, again_in: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        let mends_by = now.saturating_sub(since).saturating_add(again_in);
        let warns = mends_by >= Self::PATIENCE && !self.warned;
        self.warned |= warns;
        warns
    }

    /// It is over; how long it lasted.
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
