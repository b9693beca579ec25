//! Token fetches: their source, one at a time, with a deadline, repeated with backoff.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    model::{
        account::{Password, Token},
        auth::TokenProvider,
        error::Refusal,
    },
    util::backoff::doubled,
};

/// Source of a token and its end in [`Action::FetchToken`](crate::session::Action::FetchToken). Prints no secret.
#[derive(Clone)]
#[non_exhaustive]
pub enum TokenSource {
    /// The application's provider.
    Provider(Arc<dyn TokenProvider>),
    /// A REST call with the password (connection spec §3.2).
    Password(Password),
    /// A token from the application; a REST call asks for its end (connection spec §3.4).
    Given(Token),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenSource::Provider(_) => "Provider",
            TokenSource::Password(_) => "Password(<redacted>)",
            TokenSource::Given(_) => "Given(<redacted>)",
        })
    }
}

/// Requester of a token. Each has at most one fetch in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFetch {
    /// The session: a login, or a renewal.
    Session,
    /// The application gave a token; see [`Input::RenewToken`](crate::session::Input::RenewToken).
    Application,
}

/// Longest pause before the first retry, and before any.
const BASE: Duration = Duration::from_secs(5);
const CAP: Duration = Duration::from_secs(60);

/// Minimum interval between fetches, for tokens with hardly any life.
pub(super) const LEAST_APART: Duration = Duration::from_secs(1);

/// A token fetch in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    pub(super) until: Duration,
    /// True if the password is its source.
    pub(super) by_password: bool,
    /// True if a login without a token waits for it.
    pub(super) for_login: bool,
}

/// State of the session's token fetch.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    pub(super) under_way: Option<Fetch>,
    /// Time of the next fetch.
    pub(super) next: Option<Duration>,
    /// Earliest next fetch, as the service asked.
    pub(super) not_before: Option<Duration>,
    pub(super) last: Option<Duration>,
    /// Failed fetches since the last token.
    failures: u32,
    /// True if no fetch can succeed any more.
    pub(super) stopped: bool,
    /// Refusal that a new token is to resolve.
    pub(super) refused: Option<Refusal>,
    /// True if the newest token is not accepted yet: fetching another at once is useless.
    pub(super) spent: bool,
}

impl Fetches {
    /// Returns the deadline of the fetch in flight, or the time of the next one.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.under_way.map(|fetch| fetch.until).or(self.next)
    }

    /// Returns the pause before the next fetch: between half the ceiling and all of it.
    pub(super) fn pause(&mut self, roll: f64) -> Duration {
        let ceiling = doubled(BASE, CAP, self.failures);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0))
    }

    /// Resets the state after a fetched token.
    pub(super) fn succeeded(&mut self) {
        *self = Fetches { last: self.last, ..Fetches::default() };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Fetches;

    #[test]
    fn the_pauses_double_from_5_to_60_s_and_half_of_each_is_chance() {
        let (mut most, mut least) = (Fetches::default(), Fetches::default());
        let longest: Vec<u64> = (0..6).map(|_| most.pause(1.0).as_secs()).collect();
        assert_eq!(longest, [5, 10, 20, 40, 60, 60]);
        let shortest: Vec<Duration> = (0..3).map(|_| least.pause(0.0)).collect();
        assert_eq!(shortest, [2_500, 5_000, 10_000].map(Duration::from_millis));
    }

    #[test]
    fn no_pause_is_over_the_cap_however_many_fetches_have_failed() {
        for failures in [31, 32, u32::MAX] {
            let mut fetches = Fetches { failures, ..Fetches::default() };
            assert_eq!(fetches.pause(f64::MAX), Duration::from_secs(60));
        }
    }
}
