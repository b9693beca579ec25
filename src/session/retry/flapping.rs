//! Flapping: sessions that keep ending soon after they began, which retrying faster cannot mend.

use std::{collections::VecDeque, time::Duration};

use crate::config::Flapping;

/// Recent times of short sessions.
#[derive(Debug, Default)]
pub(super) struct ShortSessions {
    ends: VecDeque<Duration>,
    /// True if flapping is on. Only a stable session clears it: pauses under its floor alone would empty the window.
    raised: bool,
    said: bool,
}

impl ShortSessions {
    /// Records the end of a session.
    pub(super) fn ended(&mut self, rule: Option<&Flapping>, short: bool, now: Duration) {
        let Some(rule) = rule else { return };
        if !short {
            if self.raised {
                *self = ShortSessions::default();
            }
            return;
        }
        let limit = usize::try_from(rule.sessions).unwrap_or(usize::MAX);
        self.ends.push_back(now);
        while self.ends.len() > limit || self.ends.front().is_some_and(|end| now.saturating_sub(*end) > rule.window) {
            self.ends.pop_front();
        }
        self.raised |= self.ends.len() >= limit;
    }

    /// Returns the rule, once when it begins to apply.
    pub(super) fn news<'a>(&mut self, rule: Option<&'a Flapping>) -> Option<&'a Flapping> {
        let news = self.raised && !self.said;
        self.said |= news;
        rule.filter(|_| news)
    }

    /// Returns the least pause before an attempt.
    pub(super) fn floor(&self, rule: Option<&Flapping>) -> Duration {
        rule.filter(|_| self.raised).map_or(Duration::ZERO, |rule| rule.floor)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Flapping, ShortSessions};

    const SHORT: bool = true;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// Ends a session at `at` seconds; returns whether flapping began.
    fn ended(flaps: &mut ShortSessions, short: bool, at: u64) -> bool {
        let rule = Flapping::default();
        flaps.ended(Some(&rule), short, seconds(at));
        flaps.news(Some(&rule)).is_some()
    }

    fn floor(flaps: &ShortSessions) -> Duration {
        flaps.floor(Some(&Flapping::default()))
    }

    #[test]
    fn the_fifth_short_session_in_ten_minutes_is_flapping_and_is_said_once() {
        let mut flaps = ShortSessions::default();
        for n in 0..4 {
            assert!(!ended(&mut flaps, SHORT, n * 100));
            assert_eq!(floor(&flaps), Duration::ZERO);
        }
        assert!(ended(&mut flaps, SHORT, 400));
        assert_eq!(floor(&flaps), seconds(60));
        assert!(!ended(&mut flaps, SHORT, 500));
        assert_eq!(floor(&flaps), seconds(60));
    }

    #[test]
    fn five_short_sessions_over_a_longer_time_are_not_flapping() {
        let mut flaps = ShortSessions::default();
        assert!((0..50).all(|n| !ended(&mut flaps, SHORT, n * 151)));
    }

    #[test]
    fn five_short_sessions_in_exactly_the_window_are_flapping() {
        let mut flaps = ShortSessions::default();
        assert_eq!((0..5).filter(|n| ended(&mut flaps, SHORT, n * 150)).count(), 1);
    }

    #[test]
    fn long_pauses_between_short_sessions_do_not_end_it() {
        let mut flaps = ShortSessions::default();
        assert_eq!((0..50_u64).filter(|n| ended(&mut flaps, SHORT, n * 10 + 150 * n.saturating_sub(4))).count(), 1);
        assert_eq!(floor(&flaps), seconds(60));
    }

    #[test]
    fn a_stable_session_ends_it_and_the_next_time_is_said_again() {
        let mut flaps = ShortSessions::default();
        for round in 0..2 {
            assert_eq!((0..5).filter(|n| ended(&mut flaps, SHORT, round * 5000 + n)).count(), 1);
            assert!(!ended(&mut flaps, !SHORT, round * 5000 + 100));
            assert_eq!(floor(&flaps), Duration::ZERO);
        }
    }

    #[test]
    fn a_stable_session_between_five_short_ones_does_not_hide_them() {
        let mut flaps = ShortSessions::default();
        for n in 0..3 {
            assert!(!ended(&mut flaps, SHORT, n));
        }
        assert!(!ended(&mut flaps, !SHORT, 100));
        assert!(!ended(&mut flaps, SHORT, 110));
        assert!(ended(&mut flaps, SHORT, 120));
    }

    #[test]
    fn switched_off_it_never_happens() {
        let mut flaps = ShortSessions::default();
        for n in 0..100 {
            flaps.ended(None, SHORT, seconds(n));
        }
        assert_eq!((flaps.news(None), flaps.floor(None)), (None, Duration::ZERO));
    }
}
