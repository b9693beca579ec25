//! Policy of reconnecting.

use std::time::Duration;

use super::range::{count, in_range};
#[cfg(doc)]
use crate::config::KickPolicy;
use crate::model::error::ConfigError;

/// The policy of reconnecting after a lost link.
///
/// The pause before attempt `n` is [`at_least`](Self::at_least) and a part drawn evenly between nothing and
/// `min(cap, base * 2^(n-1))` (full jitter). A link that is lost before it was stable does not reset the backoff, so a
/// server that accepts and drops is not flooded. Kicks (unless a [`KickPolicy`] retries), final refusals
/// ([`Refusal::is_final`](crate::errors::Refusal::is_final)) and the end of a token that cannot be replaced stop it. With a password
/// or a provider, each attempt requests a token if it needs one, until one succeeds.
///
/// ```
/// use agora_chat::{Config, Reconnect};
/// let mut policy = Reconnect::default();
/// policy.max_attempts = Some(20);
/// let config = Config::builder("org#app").reconnect(policy).build()?;
/// # Ok::<(), agora_chat::errors::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// The shortest pause, at most a day; the drawn part is added to it. Default: zero.
    pub at_least: Duration,
    /// `false` ends the session at the first lost link. Default: `true`.
    pub enabled: bool,
    /// The longest drawn pause before the first attempt, from 1 ms to a day. Default: 1 s.
    pub base: Duration,
    /// The longest drawn pause before any attempt, from [`base`](Self::base) to a day. Default: 60 s.
    pub cap: Duration,
    /// The failed attempts since the link was up after which the session ends, at least 1. Default: `None`, never.
    pub max_attempts: Option<u32>,
    /// The age of a link that resets the backoff and the count of attempts, at most a day. Default: 60 s.
    pub stable_after: Duration,
    /// The definition of flapping, which is published and gives the pauses a floor; `None` disables it.
    /// Default: 5 short sessions in 10 minutes, a floor of 60 s.
    pub flapping: Option<Flapping>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Reconnect {
            enabled: true,
            at_least: Duration::ZERO,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            max_attempts: None,
            stable_after: Duration::from_secs(60),
            flapping: Some(Flapping::default()),
        }
    }
}

/// The definition of flapping: sessions that end soon after they began, repeatedly.
///
/// A session is short if it lasted for less than [`Reconnect::stable_after`](crate::Reconnect::stable_after).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flapping {
    /// The number of short sessions, from 2 to 1000. Default: 5.
    pub sessions: u32,
    /// The window they are counted in, at most a day. Default: 10 minutes.
    pub window: Duration,
    /// The shortest pause while it lasts, at most a day; the backoff is added to it. Default: 60 s.
    pub floor: Duration,
}

impl Default for Flapping {
    fn default() -> Self {
        Flapping { sessions: 5, window: Duration::from_secs(600), floor: Duration::from_secs(60) }
    }
}

impl Reconnect {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        in_range("the reconnect base", self.base, Duration::from_millis(1), "from 1 ms to a day")?;
        in_range("the reconnect cap", self.cap, self.base, "from the base to a day")?;
        in_range("the shortest pause", self.at_least, Duration::ZERO, "at most a day")?;
        in_range("the stable time", self.stable_after, Duration::ZERO, "at most a day")?;
        if self.max_attempts == Some(0) {
            return Err(ConfigError::Range {
                what: "the limit of attempts",
                value: "0".to_owned(),
                allowed: "at least 1; switch reconnecting off by `enabled`",
            });
        }
        if let Some(flapping) = &self.flapping {
            count("the number of short sessions", flapping.sessions as usize, 2..=1000, "from 2 to 1000")?;
            in_range("the flapping window", flapping.window, Duration::ZERO, "at most a day")?;
            in_range("the flapping floor", flapping.floor, Duration::ZERO, "at most a day")?;
        }
        Ok(())
    }
}
