//! Pauses between attempts: exponential backoff with full jitter, reset by uptime.

use std::time::Duration;

use crate::{config::Reconnect, util::backoff::doubled};

/// Backoff of one connection. Randomness is passed in, so that every value can be tested.
#[derive(Debug)]
pub(super) struct Backoff {
    at_least: Duration,
    base: Duration,
    cap: Duration,
    stable_after: Duration,
    attempts: u32,
}

impl Backoff {
    pub(super) fn new(policy: &Reconnect) -> Self {
        Backoff {
            at_least: policy.at_least,
            base: policy.base,
            cap: policy.cap,
            stable_after: policy.stable_after,
            attempts: 0,
        }
    }

    /// Returns the number of pauses since the last reset.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the upper bound of the next pause's random part.
    fn ceiling(&self) -> Duration {
        doubled(self.base, self.cap, self.attempts)
    }

    /// Returns the next pause, between the least (`roll` 0) and the ceiling above it (`roll` 1), and steps up.
    pub(super) fn next(&mut self, roll: f64) -> Duration {
        let pause = self.at_least.saturating_add(self.ceiling().mul_f64(roll.clamp(0.0, 1.0)));
        self.attempts = self.attempts.saturating_add(1);
        pause
    }

    pub(super) fn restart(&mut self) {
        self.attempts = 0;
    }

    /// Resets the backoff and counts an immediate attempt without a pause.
    pub(super) fn restart_at_first(&mut self) {
        self.attempts = 1;
    }

    /// Records the end of a link that held for `uptime`: only a stable one resets the backoff.
    pub(super) fn ended(&mut self, uptime: Duration) {
        if uptime >= self.stable_after {
            self.restart();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Backoff;
    use crate::config::Reconnect;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_ceiling_doubles_from_the_base_to_the_cap() {
        let mut backoff = Backoff::new(&Reconnect::default());
        let ceilings: Vec<u64> = (0..9).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_jitter_is_full() {
        let mut backoff = Backoff::new(&Reconnect::default());
        assert_eq!(backoff.next(0.0), Duration::ZERO);
        assert_eq!(backoff.next(0.5), seconds(1));
        assert_eq!(backoff.next(0.25), seconds(1));
    }

    #[test]
    fn no_pause_is_under_the_least() {
        let policy = Reconnect { at_least: seconds(1), base: seconds(1), cap: seconds(1), ..Reconnect::default() };
        let mut backoff = Backoff::new(&policy);
        let pauses = [0.0, 1.0, 0.5].map(|roll| backoff.next(roll).as_millis());
        assert_eq!(pauses, [1000, 2000, 1500]);
    }

    #[test]
    fn only_a_stable_link_starts_the_ladder_anew() {
        let mut backoff = Backoff::new(&Reconnect::default());
        backoff.next(1.0);
        backoff.next(1.0);
        backoff.ended(seconds(60) - Duration::from_millis(1));
        assert_eq!(backoff.attempts(), 2);
        backoff.ended(seconds(60));
        assert_eq!(backoff.attempts(), 0);
    }

    proptest! {
        #[test]
        fn no_pause_is_over_the_cap_however_many_attempts(attempts in any::<u32>(), roll in any::<f64>()) {
            let mut backoff = Backoff::new(&Reconnect::default());
            backoff.attempts = attempts;
            let roll = if roll.is_nan() { 0.5 } else { roll };
            prop_assert!(backoff.next(roll) <= seconds(60));
            prop_assert!(backoff.attempts() >= attempts);
        }
    }
}
