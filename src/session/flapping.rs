//! Sessions that end soon after they began, again and again: something is wrong that trying faster cannot mend.

use std::{collections::VecDeque, time::Duration};

use crate::Flapping;

/// When short sessions ended lately.
#[derive(Debug, Default)]
pub(crate) struct Flaps {
    ends: VecDeque<Duration>,
    raised: bool,
}

impl Flaps {
    /// A session ended; `true` when that makes it flapping where it was not before.
    pub(crate) fn ended(&mut self, rule: Option<&Flapping>, short: bool, now: Duration) -> bool {
        let Some(rule) = rule else { return false };
        if !short {
            *self = Flaps::default();
            return false;
        }
        let limit = usize::try_from(rule.sessions).unwrap_or(usize::MAX);
        self.ends.push_back(now);
        while self.ends.len() > limit || self.ends.front().is_some_and(|end| now.saturating_sub(*end) > rule.window) {
            self.ends.pop_front();
        }
        let flapping = self.ends.len() >= limit;
        let raised = flapping && !self.raised;
        self.raised = flapping;
        raised
    }

    /// The least pause before an attempt.
    pub(crate) fn floor(&self, rule: Option<&Flapping>) -> Duration {
        rule.filter(|_| self.raised).map_or(Duration::ZERO, |rule| rule.floor)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Flapping, Flaps};

    const SHORT: bool = true;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_fifth_short_session_in_ten_minutes_is_flapping_and_is_said_once() {
        let (rule, mut flaps) = (Flapping::default(), Flaps::default());
        for n in 0..4 {
            assert!(!flaps.ended(Some(&rule), SHORT, seconds(n * 100)));
            assert_eq!(flaps.floor(Some(&rule)), Duration::ZERO);
        }
        assert!(flaps.ended(Some(&rule), SHORT, seconds(400)));
        assert_eq!(flaps.floor(Some(&rule)), seconds(60));
        assert!(!flaps.ended(Some(&rule), SHORT, seconds(500)));
        assert_eq!(flaps.floor(Some(&rule)), seconds(60));
    }

    #[test]
    fn five_short_sessions_over_a_longer_time_are_not_flapping() {
        let (rule, mut flaps) = (Flapping::default(), Flaps::default());
        for n in 0..50 {
            assert!(!flaps.ended(Some(&rule), SHORT, seconds(n * 151)));
        }
    }

    #[test]
    fn a_stable_session_ends_it_and_the_next_time_is_said_again() {
        let (rule, mut flaps) = (Flapping::default(), Flaps::default());
        for round in 0..2 {
            let raised = (0..5).filter(|n| flaps.ended(Some(&rule), SHORT, seconds(round * 5000 + n))).count();
            assert_eq!(raised, 1);
            assert!(!flaps.ended(Some(&rule), !SHORT, seconds(round * 5000 + 100)));
            assert_eq!(flaps.floor(Some(&rule)), Duration::ZERO);
        }
    }

    #[test]
    fn switched_off_it_never_happens() {
        let mut flaps = Flaps::default();
        assert!((0..100).all(|n| !flaps.ended(None, SHORT, seconds(n))));
        assert_eq!(flaps.floor(None), Duration::ZERO);
    }
}
