//! Policy after another device pushed this one out: park, or log in again.

use std::{collections::VecDeque, time::Duration};

use crate::{config::KickPolicy, model::error::Kick};

/// Recent returns after a kick.
#[derive(Debug, Default)]
pub(super) struct Takeovers(VecDeque<Duration>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterKick {
    /// The session ends.
    Park,
    /// Log in again after the usual backoff.
    Return,
    /// Log in again after this pause and the backoff.
    ReturnAfter(Duration),
}

impl Takeovers {
    pub(super) fn after(&mut self, kick: &Kick, policy: &KickPolicy, now: Duration) -> AfterKick {
        // A removed user or a changed password is no takeover.
        if !matches!(kick, Kick::LoggedInElsewhere { .. } | Kick::ByOtherDevice) {
            return AfterKick::Park;
        }
        match policy {
            KickPolicy::Park => AfterKick::Park,
            KickPolicy::RetryAfter(pause) => AfterKick::ReturnAfter(*pause),
            KickPolicy::TakeOver { times, window } => {
                while self.0.front().is_some_and(|taken| now.saturating_sub(*taken) > *window) {
                    self.0.pop_front();
                }
                if self.0.len() >= usize::try_from(*times).unwrap_or(usize::MAX) {
                    return AfterKick::Park;
                }
                self.0.push_back(now);
                AfterKick::Return
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AfterKick, Kick, KickPolicy, Takeovers};

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_removed_user_and_a_changed_password_end_the_session_under_every_policy() {
        let eager = KickPolicy::TakeOver { times: 9, window: seconds(60) };
        for policy in [KickPolicy::Park, KickPolicy::RetryAfter(seconds(1)), eager] {
            for kick in [Kick::UserRemoved, Kick::PasswordChanged] {
                assert_eq!(Takeovers::default().after(&kick, &policy, seconds(0)), AfterKick::Park);
            }
        }
    }

    #[test]
    fn the_place_is_taken_back_so_many_times_a_window() {
        let policy = KickPolicy::TakeOver { times: 2, window: seconds(60) };
        let mut takeovers = Takeovers::default();
        let mut at = |s| takeovers.after(&Kick::ByOtherDevice, &policy, seconds(s));
        assert_eq!(at(0), AfterKick::Return);
        assert_eq!(at(30), AfterKick::Return);
        assert_eq!(at(59), AfterKick::Park);
        assert_eq!(at(61), AfterKick::Return);
        assert_eq!(at(62), AfterKick::Park);
    }
}
