//! The token's countdown (connection spec §10).

use std::time::Duration;

use super::Now;

/// A token that ends later than this from now is taken for one without an end.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What the countdown has to say at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Countdown {
    /// Nothing.
    Quiet,
    /// Four fifths of the life have passed; said once.
    WillExpire { at: u64, expires_in: Duration },
    /// The end is reached.
    Expired,
}

/// The server's clock as last heard, carried on by the monotonic one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerClock {
    heard: u64,
    at: Duration,
}

impl ServerClock {
    pub(crate) fn new(timestamp: u64, now: Now) -> Self {
        ServerClock { heard: timestamp, at: now.mono }
    }

    /// What it shows now, in milliseconds since 1970.
    pub(super) fn read(self, now: Now) -> u64 {
        let passed = now.mono.saturating_sub(self.at).as_millis();
        self.heard.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

/// Counts one token down on the monotonic clock, corrected by the server's clock whenever that is heard.
#[derive(Debug)]
pub(crate) struct TokenClock {
    /// The end in milliseconds since 1970, by the server's clock.
    expires_at: u64,
    /// The end on the monotonic clock.
    ends: Duration,
    life: Duration,
    warned: bool,
    /// Until the server's clock is heard, a local wall clock that is wrong must not end a token that the
    /// server has just accepted: nothing is said before this moment.
    trusted_from: Option<Duration>,
}

impl TokenClock {
    /// Starts the countdown to `expires_at`; `None` for a token without an end.
    ///
    /// The local wall clock is used until the server's is heard, but not relied on for `patience`.
    pub(crate) fn start(expires_at: u64, server: Option<ServerClock>, now: Now, patience: Duration) -> Option<Self> {
        let wall = server.map_or(now.wall, |clock| clock.read(now));
        let life = Duration::from_millis(expires_at.saturating_sub(wall));
        if life >= FOREVER {
            return None;
        }
        Some(TokenClock {
            expires_at,
            ends: now.mono.saturating_add(life),
            life,
            warned: false,
            trusted_from: server.is_none().then(|| now.mono.saturating_add(patience)),
        })
    }

    /// Takes the server's clock from an UNREAD answer (§10.2).
    pub(crate) fn heard_server_clock(&mut self, timestamp: u64, now: Now) {
        let left = Duration::from_millis(self.expires_at.saturating_sub(timestamp));
        if self.trusted_from.take().is_some() {
            self.life = left;
        }
        self.ends = now.mono.saturating_add(left);
    }

    /// The end in milliseconds since 1970.
    pub(crate) fn expires_at(&self) -> u64 {
        self.expires_at
    }

    fn warns(&self) -> Duration {
        self.ends.saturating_sub(self.life / 5)
    }

    /// When [`TokenClock::check`] next has something to say.
    pub(crate) fn deadline(&self) -> Duration {
        let due = if self.warned { self.ends } else { self.warns() };
        self.trusted_from.map_or(due, |from| due.max(from))
    }

    /// What is due now. A life already over gives the warning first and the end at the next call.
    pub(crate) fn check(&mut self, now: Now) -> Countdown {
        if now.mono < self.deadline() {
            Countdown::Quiet
        } else if self.warned {
            Countdown::Expired
        } else {
            self.warned = true;
            Countdown::WillExpire { at: self.expires_at, expires_in: self.ends.saturating_sub(now.mono) }
        }
    }
}

/// Reads the end of a token from PROVISION's `authToken` JSON: milliseconds since 1970, despite its name
/// `expires_in` (§6.2). Smaller numbers are understood as other clients do: seconds since 1970, or a life in
/// seconds. `None` where there is none, or it says "for ever" (0, negative, or beyond any calendar).
pub(crate) fn expiry_of_auth_token(json: &str, wall: u64) -> Option<u64> {
    let value: serde_json::Value = crate::message::json::parse(json)?;
    let field = value.get("expires_in")?;
    let number = match field {
        serde_json::Value::String(text) => text.trim().parse::<u64>().ok()?,
        other => other.as_u64().or_else(|| other.as_f64().filter(|f| *f >= 1.0 && *f < 1e18).map(|f| f as u64))?,
    };
    match number {
        0 => None,
        life @ 1..1_000_000_000 => Some(wall.saturating_add(life.saturating_mul(1000))),
        seconds @ 1_000_000_000..100_000_000_000 => Some(seconds.saturating_mul(1000)),
        milliseconds => Some(milliseconds),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Countdown, Now, TokenClock, expiry_of_auth_token};

    const T0: u64 = 1_700_000_000_000;
    const PATIENCE: Duration = Duration::from_secs(10);

    fn at(ms: u64) -> Now {
        Now { mono: Duration::from_millis(ms), wall: T0 + ms }
    }

    #[test]
    fn the_warning_comes_at_four_fifths_and_the_end_at_the_whole() {
        let mut clock = TokenClock::start(T0 + 100_000, None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(0));
        assert_eq!(clock.check(at(79_999)), Countdown::Quiet);
        assert_eq!(
            clock.check(at(80_000)),
            Countdown::WillExpire { at: T0 + 100_000, expires_in: Duration::from_secs(20) }
        );
        assert_eq!(clock.check(at(99_999)), Countdown::Quiet);
        assert_eq!(clock.check(at(100_000)), Countdown::Expired);
    }

    #[test]
    fn a_life_of_nothing_warns_and_ends_at_once_when_the_server_says_so() {
        let mut clock = TokenClock::start(T0, None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(5));
        assert!(matches!(clock.check(at(5)), Countdown::WillExpire { expires_in: Duration::ZERO, .. }));
        assert_eq!(clock.check(at(5)), Countdown::Expired);
    }

    #[test]
    fn sixty_days_do_not_overflow() {
        let sixty = 60 * 24 * 60 * 60 * 1000;
        let mut clock = TokenClock::start(T0 + sixty, None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(0));
        assert_eq!(clock.check(at(sixty / 5 * 4 - 1)), Countdown::Quiet);
        assert!(matches!(clock.check(at(sixty / 5 * 4)), Countdown::WillExpire { .. }));
        assert_eq!(clock.check(at(sixty - 1)), Countdown::Quiet);
        assert_eq!(clock.check(at(sixty)), Countdown::Expired);
    }

    #[test]
    fn a_token_without_an_end_has_no_countdown() {
        assert!(TokenClock::start(u64::MAX, None, at(0), PATIENCE).is_none());
        assert!(TokenClock::start(i64::MAX as u64, None, at(0), PATIENCE).is_none());
    }

    #[test]
    fn a_local_clock_an_hour_ahead_does_not_end_a_token_the_server_accepted() {
        let hour = 3_600_000;
        let wrong = |ms: u64| Now { mono: Duration::from_millis(ms), wall: T0 + hour + ms };
        let mut clock = TokenClock::start(T0 + 1_800_000, None, wrong(0), PATIENCE).unwrap();
        assert_eq!(clock.check(wrong(0)), Countdown::Quiet);
        clock.heard_server_clock(T0, wrong(50));
        assert_eq!(clock.check(wrong(60)), Countdown::Quiet);
        assert!(matches!(clock.check(wrong(1_440_050)), Countdown::WillExpire { .. }));
    }

    #[test]
    fn without_the_servers_clock_the_local_one_decides_after_the_patience() {
        let mut clock = TokenClock::start(T0, None, at(0), PATIENCE).unwrap();
        assert_eq!(clock.check(at(9_999)), Countdown::Quiet);
        assert!(matches!(clock.check(at(10_000)), Countdown::WillExpire { .. }));
        assert_eq!(clock.check(at(10_000)), Countdown::Expired);
    }

    #[test]
    fn a_later_server_clock_moves_the_end_but_warns_once() {
        let mut clock = TokenClock::start(T0 + 100_000, None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(0));
        assert!(matches!(clock.check(at(80_000)), Countdown::WillExpire { .. }));
        clock.heard_server_clock(T0 + 70_000, at(81_000));
        assert_eq!(clock.check(at(100_000)), Countdown::Quiet);
        assert_eq!(clock.check(at(111_000)), Countdown::Expired);
    }

    #[test]
    fn the_end_is_read_as_milliseconds_seconds_or_a_life() {
        let read = |json: &str| expiry_of_auth_token(json, T0);
        assert_eq!(read(r#"{"expires_in":1700000600000}"#), Some(1_700_000_600_000));
        assert_eq!(read(r#"{"expires_in":"1700000600000"}"#), Some(1_700_000_600_000));
        assert_eq!(read(r#"{"expires_in":1700000600}"#), Some(1_700_000_600_000));
        assert_eq!(read(r#"{"expires_in":3600}"#), Some(T0 + 3_600_000));
        assert_eq!(read(r#"{"expires_in":1.7000006e12}"#), Some(1_700_000_600_000));
        for none in
            [r#"{"expires_in":0}"#, r#"{"expires_in":-5}"#, r#"{"expires_in":null}"#, "{}", "", "[]", "nonsense"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
