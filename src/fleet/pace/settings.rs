//! Settings of the pace and of the breaker.

use std::{ops::RangeInclusive, time::Duration};

use crate::model::error::ConfigError;

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const RATES: RangeInclusive<f64> = 0.01..=10_000.0;

/// The pace of logins: first logins, reconnects and moves together.
///
/// No second, wherever it begins, holds more dials than the rate (rounded up to a whole dial). The burst is a part of it
/// and not on top: after an idle time so many go at once, and the second that they are in gives the rest of its rate and
/// no more. A steady stream then goes one by one, evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoginPace {
    per_second: f64,
    burst: u32,
    concurrent: u32,
}

impl Default for LoginPace {
    fn default() -> Self {
        LoginPace::per_second(100)
    }
}

impl LoginPace {
    /// Sets the dials per second, from 0.01 to 10 000. Default: 100.
    #[must_use]
    pub fn per_second(rate: impl Into<f64>) -> Self {
        LoginPace { per_second: rate.into(), burst: 50, concurrent: 64 }
    }

    /// Sets the dials that may go at once after an idle time, from 1 to 10 000. Default: 50.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = burst;
        self
    }

    /// Sets the dials that may be under way at once, from 1 to 10 000. Default: 64.
    #[must_use]
    pub fn concurrent(mut self, concurrent: u32) -> Self {
        self.concurrent = concurrent;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !RATES.contains(&self.per_second) {
            return Err(range("the logins per second", self.per_second, "from 0.01 to 10000"));
        }
        if !(1..=10_000).contains(&self.burst) {
            return Err(range("the burst of logins", self.burst, "from 1 to 10000"));
        }
        if !(1..=10_000).contains(&self.concurrent) {
            return Err(range("the logins at once", self.concurrent, "from 1 to 10000"));
        }
        Ok(())
    }

    /// Returns the rate within its bounds, also of settings that nobody checked.
    pub(super) fn rate(&self) -> f64 {
        if self.per_second.is_nan() { *RATES.start() } else { self.per_second.clamp(*RATES.start(), *RATES.end()) }
    }

    pub(super) fn at_once(&self) -> u32 {
        self.burst.clamp(1, 10_000)
    }

    pub(super) fn slots(&self) -> usize {
        self.concurrent.clamp(1, 10_000) as usize
    }
}

/// The breaker: stops all dials to an endpoint that fails for everybody, and finds out when it is back.
///
/// It opens when enough dials of the last [`window`](Self::window), or of its last second, failed for a cause that the
/// accounts share: a refused connection, a timeout, 5xx, 429, a limit of the application. Failures of one account, such
/// as a wrong password, do not count. It opens at once if the service is disabled for the application. While it is open
/// nobody dials for a drawn pause. Then single accounts are tried, chosen at random: 1, 2, 4, 8, each batch after a
/// success of the one before. A failure opens it again, with twice the pause. At most 12 probes in a minute are without
/// success. When the service is back, the rate grows evenly from a tenth to the whole of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breaker {
    /// The time in which dials are counted, from 1 s to a day. Default: 10 s.
    pub window: Duration,
    /// The dials that must have ended in it, at least 1. A pace of fewer dials in the window never opens it. Default: 20.
    pub min_dials: u32,
    /// The share of them that must have failed, over 0 and at most 1. Default: 0.5.
    pub share: f64,
    /// The longest drawn pause at the first opening, from 1 ms to a day; doubled at each that follows. A `Retry-After`
    /// of the service takes its place, from 1 s to an hour. Default: 5 s.
    pub pause: Duration,
    /// The longest drawn pause of all, from [`pause`](Self::pause) to a day. Default: 60 s.
    pub longest_pause: Duration,
    /// The time in which the rate grows back, at most a day. Default: 60 s.
    pub spread: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker {
            window: Duration::from_secs(10),
            min_dials: 20,
            share: 0.5,
            pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(60),
            spread: Duration::from_secs(60),
        }
    }
}

impl Breaker {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let within = |what, value: Duration, least: Duration, allowed| {
            if (least..=DAY).contains(&value) { Ok(()) } else { Err(range(what, format!("{value:?}"), allowed)) }
        };
        within("the breaker's window", self.window, Duration::from_secs(1), "from 1 s to a day")?;
        within("the breaker's pause", self.pause, Duration::from_millis(1), "from 1 ms to a day")?;
        within("the breaker's longest pause", self.longest_pause, self.pause, "from its pause to a day")?;
        within("the breaker's spread", self.spread, Duration::ZERO, "at most a day")?;
        if self.min_dials == 0 {
            return Err(range("the breaker's dials", 0, "at least 1"));
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(range("the breaker's share", self.share, "over 0 and at most 1"));
        }
        Ok(())
    }
}

fn range(what: &'static str, value: impl ToString, allowed: &'static str) -> ConfigError {
    ConfigError::Range { what, value: value.to_string(), allowed }
}
