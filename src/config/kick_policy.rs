//! The reaction to a kick.

use std::time::Duration;

use super::range::{count, in_range};
#[cfg(doc)]
use crate::config::Flapping;
use crate::model::error::ConfigError;

/// The reaction to a kick by another device (206) or by a call (217).
///
/// A removed user (207) and a changed password (216) end the session under every policy, and every kick does if
/// reconnecting is disabled or its attempts are used up. So does a login that the server refuses for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KickPolicy {
    /// The session ends; `open` logs in again. Two clients of one account then stop at the first kick. The default.
    #[default]
    Park,
    /// Logs in again after this pause, from 1 s to a day, plus the backoff. The number is not limited, so two clients with
    /// this policy kick each other for ever, slowed by the floor of [`Flapping`] from the fifth time on.
    RetryAfter(Duration),
    /// Logs in again after the backoff, a limited number of times in a window, and parks at the next kick.
    TakeOver {
        /// The number of times, from 1 to 1000.
        times: u32,
        /// The length of the window, from 1 s to a day.
        window: Duration,
    },
}

impl KickPolicy {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            KickPolicy::Park => {}
            KickPolicy::RetryAfter(pause) => {
                in_range("the pause after a kick", *pause, Duration::from_secs(1), "from 1 s to a day")?;
            }
            KickPolicy::TakeOver { times, window } => {
                count("the limit of take-overs", *times as usize, 1..=1000, "from 1 to 1000")?;
                in_range("the window of take-overs", *window, Duration::from_secs(1), "from 1 s to a day")?;
            }
        }
        Ok(())
    }
}
