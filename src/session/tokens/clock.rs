//! The token's countdown (connection spec §10).

use std::time::Duration;

use crate::{model::auth::Expiry, session::Now, util::unix_time::millis};

/// Remaining life above which a token counts as endless.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// End of a token, by a clock that does not jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum TokenEnd {
    /// By the server's clock, in milliseconds since 1970.
    At(u64),
    /// On the monotonic clock, with the token's whole life.
    Counted { ends: Duration, life: Duration },
}

impl TokenEnd {
    /// Converts the expiry of a token granted now; `None` for one without an end.
    pub(in crate::session) fn counted_from(expiry: Expiry, now: Now) -> Option<Self> {
        match expiry {
            Expiry::At(at) => Some(TokenEnd::At(at)),
            Expiry::In(life) if life >= FOREVER => None,
            Expiry::In(life) => Some(TokenEnd::Counted { ends: now.mono.saturating_add(life), life }),
        }
    }

    /// Returns whether the end has certainly passed, without the local wall clock.
    pub(in crate::session) fn is_over(self, server: Option<ServerClock>, now: Now) -> bool {
        match (self, server) {
            (TokenEnd::At(at), Some(clock)) => at <= clock.read(now),
            (TokenEnd::At(_), None) => false,
            (TokenEnd::Counted { ends, .. }, _) => ends <= now.mono,
        }
    }

    /// Returns the end by the server's clock, if it is known by that.
    pub(in crate::session) fn at(self) -> Option<u64> {
        match self {
            TokenEnd::At(at) => Some(at),
            TokenEnd::Counted { .. } => None,
        }
    }
}

/// Returns the known end in milliseconds since 1970, for display; a life is added to the wall clock.
pub(in crate::session) fn shown(expiry: Expiry, now: Now) -> u64 {
    match expiry {
        Expiry::At(at) => at,
        Expiry::In(life) => now.wall.saturating_add(millis(life)),
    }
}

/// Event of the countdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Countdown {
    /// Nothing to report.
    Quiet,
    /// 4/5 of the life have passed; reported once.
    WillExpire { at: u64, expires_in: Duration },
    /// The end has passed; uncertain if only the local wall clock says so.
    Expired { certain: bool },
}

/// Server clock as last read, carried on by the monotonic one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerClock {
    heard: u64,
    at: Duration,
}

impl ServerClock {
    pub(crate) fn new(timestamp: u64, now: Now) -> Self {
        ServerClock { heard: timestamp, at: now.mono }
    }

    /// Returns its current time in milliseconds since 1970.
    pub(in crate::session) fn read(self, now: Now) -> u64 {
        self.heard.saturating_add(millis(now.mono.saturating_sub(self.at)))
    }
}

/// Countdown of one token on the monotonic clock, corrected whenever the server's clock is known.
#[derive(Debug)]
pub(crate) struct TokenClock {
    /// Known end by the server's clock, in milliseconds since 1970.
    at: Option<u64>,
    /// End on the monotonic clock.
    ends: Duration,
    life: Duration,
    warned: bool,
    /// Start of reports while the local wall clock stands in for the server's. It may be wrong, and must not end a
    /// token that the server has just accepted.
    by_wall_from: Option<Duration>,
}

impl TokenClock {
    /// Starts the countdown to `end`; `None` for a token without an end.
    ///
    /// The local wall clock is used only for an absolute end and until the server's is known. It is not trusted for
    /// `patience`, nor if it says that the token has ended already: the issuer knows better.
    pub(in crate::session) fn start(
        end: TokenEnd,
        server: Option<ServerClock>,
        now: Now,
        patience: Duration,
    ) -> Option<Self> {
        let (at, ends, life, by_wall_from) = match (end, server) {
            (TokenEnd::Counted { ends, life }, server) => {
                let left = millis(ends.saturating_sub(now.mono));
                (server.map(|clock| clock.read(now).saturating_add(left)), ends, life, None)
            }
            (TokenEnd::At(at), Some(clock)) => {
                let left = Duration::from_millis(at.saturating_sub(clock.read(now)));
                (Some(at), now.mono.saturating_add(left), left, None)
            }
            (TokenEnd::At(at), None) => {
                let left = Duration::from_millis(at.saturating_sub(now.wall));
                let from = if left.is_zero() { Duration::MAX } else { now.mono.saturating_add(patience) };
                (Some(at), now.mono.saturating_add(left), left, Some(from))
            }
        };
        (life < FOREVER).then_some(TokenClock { at, ends, life, warned: false, by_wall_from })
    }

    /// Sets the end by the server's clock, used once that clock is known.
    pub(in crate::session) fn told(mut self, at: u64) -> Self {
        self.at = Some(at);
        self
    }

    /// Takes the server's clock from an UNREAD answer (connection spec §10.2).
    pub(crate) fn heard_server_clock(&mut self, timestamp: u64, now: Now) {
        let Some(at) = self.at else {
            let left = millis(self.ends.saturating_sub(now.mono));
            self.at = Some(timestamp.saturating_add(left));
            return;
        };
        let left = Duration::from_millis(at.saturating_sub(timestamp));
        if self.by_wall_from.take().is_some() {
            self.life = left;
        }
        self.ends = now.mono.saturating_add(left);
    }

    /// Returns the known end by the server's clock, in milliseconds since 1970.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        self.at
    }

    fn warns(&self) -> Duration {
        self.ends.saturating_sub(self.life / 5)
    }

    /// Returns the time of the next event of [`TokenClock::check`].
    pub(crate) fn deadline(&self) -> Duration {
        let due = if self.warned { self.ends } else { self.warns() };
        self.by_wall_from.map_or(due, |from| due.max(from))
    }

    /// Returns the event that is due. A life already over gives the warning first and the end at the next call.
    pub(crate) fn check(&mut self, now: Now) -> Countdown {
        if now.mono < self.deadline() {
            Countdown::Quiet
        } else if self.warned {
            Countdown::Expired { certain: self.by_wall_from.is_none() }
        } else {
            self.warned = true;
            let left = self.ends.saturating_sub(now.mono);
            let at = self.at.unwrap_or_else(|| now.wall.saturating_add(millis(left)));
            Countdown::WillExpire { at, expires_in: left }
        }
    }
}

/// Reads the end of a token from PROVISION's `authToken` JSON: milliseconds since 1970, despite its name `expires_in`
/// (connection spec §6.2). Smaller numbers are read as other clients do: seconds since 1970, or a life in seconds.
/// `None` if it is missing or "for ever" (0, negative, or beyond any calendar).
pub(crate) fn expiry_of_auth_token(json: &str) -> Option<Expiry> {
    let told = crate::model::message::json::open(json)?;
    let field = told.view().get("expires_in");
    let number = match field.str() {
        Some(text) => text.trim().parse::<u64>().ok()?,
        None => {
            let number = || field.raw().parse::<f64>().ok().filter(|number| *number >= 1.0 && *number < 1e18);
            field.raw().parse().ok().or_else(|| number().map(|number| number as u64))?
        }
    };
    match number {
        0 => None,
        life @ 1..1_000_000_000 => Some(Expiry::In(Duration::from_secs(life))),
        seconds @ 1_000_000_000..100_000_000_000 => Some(Expiry::At(seconds.saturating_mul(1000))),
        milliseconds => Some(Expiry::At(milliseconds)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Countdown, Expiry, Now, ServerClock, TokenClock, TokenEnd, expiry_of_auth_token};

    const T0: u64 = 1_700_000_000_000;
    const PATIENCE: Duration = Duration::from_secs(10);

    fn at(ms: u64) -> Now {
        Now { mono: Duration::from_millis(ms), wall: T0 + ms }
    }

    #[test]
    fn the_warning_comes_at_four_fifths_and_the_end_at_the_whole() {
        let mut clock = TokenClock::start(TokenEnd::At(T0 + 100_000), None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(0));
        assert_eq!(clock.check(at(79_999)), Countdown::Quiet);
        assert_eq!(
            clock.check(at(80_000)),
            Countdown::WillExpire { at: T0 + 100_000, expires_in: Duration::from_secs(20) }
        );
        assert_eq!(clock.check(at(99_999)), Countdown::Quiet);
        assert_eq!(clock.check(at(100_000)), Countdown::Expired { certain: true });
    }

    #[test]
    fn a_life_of_nothing_warns_and_ends_at_once_when_the_server_says_so() {
        let mut clock = TokenClock::start(TokenEnd::At(T0), None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(5));
        assert!(matches!(clock.check(at(5)), Countdown::WillExpire { expires_in: Duration::ZERO, .. }));
        assert_eq!(clock.check(at(5)), Countdown::Expired { certain: true });
    }

    #[test]
    fn sixty_days_do_not_overflow() {
        let sixty = 60 * 24 * 60 * 60 * 1000;
        let mut clock = TokenClock::start(TokenEnd::At(T0 + sixty), None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(0));
        assert_eq!(clock.check(at(sixty / 5 * 4 - 1)), Countdown::Quiet);
        assert!(matches!(clock.check(at(sixty / 5 * 4)), Countdown::WillExpire { .. }));
        assert_eq!(clock.check(at(sixty - 1)), Countdown::Quiet);
        assert_eq!(clock.check(at(sixty)), Countdown::Expired { certain: true });
    }

    #[test]
    fn a_token_without_an_end_has_no_countdown() {
        assert!(TokenClock::start(TokenEnd::At(u64::MAX), None, at(0), PATIENCE).is_none());
        assert!(TokenClock::start(TokenEnd::At(i64::MAX as u64), None, at(0), PATIENCE).is_none());
    }

    #[test]
    fn a_local_clock_an_hour_ahead_does_not_end_a_token_the_server_accepted() {
        let hour = 3_600_000;
        let wrong = |ms: u64| Now { mono: Duration::from_millis(ms), wall: T0 + hour + ms };
        let mut clock = TokenClock::start(TokenEnd::At(T0 + 1_800_000), None, wrong(0), PATIENCE).unwrap();
        assert_eq!(clock.check(wrong(0)), Countdown::Quiet);
        clock.heard_server_clock(T0, wrong(50));
        assert_eq!(clock.check(wrong(60)), Countdown::Quiet);
        assert!(matches!(clock.check(wrong(1_440_050)), Countdown::WillExpire { .. }));
    }

    #[test]
    fn without_the_servers_clock_the_local_one_decides_after_the_patience_and_is_not_certain() {
        let mut clock = TokenClock::start(TokenEnd::At(T0 + 1_000), None, at(0), PATIENCE).unwrap();
        assert_eq!(clock.check(at(9_999)), Countdown::Quiet);
        assert!(matches!(clock.check(at(10_000)), Countdown::WillExpire { .. }));
        assert_eq!(clock.check(at(10_000)), Countdown::Expired { certain: false });
    }

    #[test]
    fn an_end_that_the_local_clock_has_passed_already_waits_for_the_servers_clock() {
        let mut clock = TokenClock::start(TokenEnd::At(T0), None, at(0), PATIENCE).unwrap();
        assert_eq!(clock.check(at(1_000_000)), Countdown::Quiet);
        clock.heard_server_clock(T0 - 100_000, at(1_000_000));
        assert_eq!(clock.check(at(1_079_999)), Countdown::Quiet);
        assert!(matches!(clock.check(at(1_080_000)), Countdown::WillExpire { at: T0, .. }));
        assert_eq!(clock.check(at(1_100_000)), Countdown::Expired { certain: true });
    }

    #[test]
    fn a_life_is_counted_without_any_wall_clock_and_by_the_servers_once_that_is_heard() {
        for wall in [0, T0, u64::MAX] {
            let now = |ms: u64| Now { mono: Duration::from_millis(ms), wall };
            let end = TokenEnd::counted_from(Expiry::In(Duration::from_secs(100)), now(0)).unwrap();
            let mut clock = TokenClock::start(end, None, now(10_000), PATIENCE).unwrap();
            assert_eq!((clock.expires_at(), clock.check(now(79_999))), (None, Countdown::Quiet));
            assert!(matches!(clock.check(now(80_000)), Countdown::WillExpire { .. }));
            clock.heard_server_clock(T0, now(90_000));
            assert_eq!((clock.expires_at(), clock.check(now(99_999))), (Some(T0 + 10_000), Countdown::Quiet));
            // The monotonic clock stood still while the machine slept; the server's did not.
            clock.heard_server_clock(T0 + 10_000, now(90_001));
            assert_eq!(clock.check(now(90_001)), Countdown::Expired { certain: true });
        }
        let server = ServerClock::new(T0, at(0));
        let end = TokenEnd::counted_from(Expiry::In(Duration::from_secs(100)), at(0)).unwrap();
        assert_eq!(TokenClock::start(end, Some(server), at(0), PATIENCE).unwrap().expires_at(), Some(T0 + 100_000));
    }

    #[test]
    fn a_later_server_clock_moves_the_end_but_warns_once() {
        let mut clock = TokenClock::start(TokenEnd::At(T0 + 100_000), None, at(0), PATIENCE).unwrap();
        clock.heard_server_clock(T0, at(0));
        assert!(matches!(clock.check(at(80_000)), Countdown::WillExpire { .. }));
        clock.heard_server_clock(T0 + 70_000, at(81_000));
        assert_eq!(clock.check(at(100_000)), Countdown::Quiet);
        assert_eq!(clock.check(at(111_000)), Countdown::Expired { certain: true });
    }

    #[test]
    fn the_end_is_read_as_milliseconds_seconds_or_a_life() {
        let read = |json: &str| expiry_of_auth_token(json);
        assert_eq!(read(r#"{"expires_in":1700000600000}"#), Some(Expiry::At(1_700_000_600_000)));
        assert_eq!(read(r#"{"expires_in":"1700000600000"}"#), Some(Expiry::At(1_700_000_600_000)));
        assert_eq!(read(r#"{"expires_in":1700000600}"#), Some(Expiry::At(1_700_000_600_000)));
        assert_eq!(read(r#"{"expires_in":3600}"#), Some(Expiry::In(Duration::from_secs(3600))));
        assert_eq!(read(r#"{"expires_in":1.7000006e12}"#), Some(Expiry::At(1_700_000_600_000)));
        for none in
            [r#"{"expires_in":0}"#, r#"{"expires_in":-5}"#, r#"{"expires_in":null}"#, "{}", "", "[]", "nonsense"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
