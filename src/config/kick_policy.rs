//! What follows a kick.

use std::time::Duration;

use super::range::{count, in_range};
#[cfg(doc)]
use crate::config::Flapping;
use crate::model::error::ConfigError;

/// What to do when another device pushes this one out (206), or it is forced off by a call (217).
///
/// A removed user (207) and a changed password (216) end the session under every policy, and every kick does where
/// reconnecting is switched off or its attempts are used up. So does a return that the server refuses for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KickPolicy {
    /// The session ends; `open` logs in again. Two clients of one account then stop at the first kick. The default.
    #[default]
    Park,
    /// Log in again after this pause, from 1 s to a day, and the ladder's; however often, so two clients with this
    /// policy take the place from each other for ever, from the fifth time on as slowly as [`Flapping`] has it.
    RetryAfter(Duration),
    /// Take the place back after the ladder's pause, so many times in any window of this length, and park at the next
    /// kick.
    TakeOver {
        /// How often, from 1 to 1000.
        times: u32,
        /// In what time.
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
