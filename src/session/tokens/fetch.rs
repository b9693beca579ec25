//! Getting a token: from where, one request at a time, with a deadline, and again after growing pauses.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    model::{
        account::{Password, Token},
        auth::TokenProvider,
        error::Refusal,
    },
    util::backoff::doubled,
};

/// Where [`Action::FetchToken`](crate::session::Action::FetchToken) gets a token and its end from. Prints no secret.
#[derive(Clone)]
#[non_exhaustive]
pub enum TokenSource {
    /// The application's provider.
    Provider(Arc<dyn TokenProvider>),
    /// A REST call with the password (connection spec §3.2).
    Password(Password),
    /// The application gave this token; a REST call asks for its end (connection spec §3.4).
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

/// On whose behalf a token is fetched. There is one fetch at a time for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFetch {
    /// The session needs a token, for a login or in the place of one that ends.
    Session,
    /// The application gave a token; see [`Input::RenewToken`](crate::session::Input::RenewToken).
    Application,
}

/// The longest pause before the first repetition, and before any.
const BASE: Duration = Duration::from_secs(5);
const CAP: Duration = Duration::from_secs(60);

/// Tokens that live for next to nothing are not asked for faster than this.
pub(super) const LEAST_APART: Duration = Duration::from_secs(1);

/// A request for a token that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    /// When it has taken too long.
    pub(super) until: Duration,
    /// Whether the password is its source.
    pub(super) by_password: bool,
    /// Whether it is for a login that has no token yet.
    pub(super) for_login: bool,
}

/// How the session's fetch of a token stands.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    pub(super) under_way: Option<Fetch>,
    /// When the next fetch is due.
    pub(super) next: Option<Duration>,
    /// Before this moment the service asked not to be asked again.
    pub(super) not_before: Option<Duration>,
    /// When the last fetch began.
    pub(super) last: Option<Duration>,
    /// Fetches that failed since the last token.
    failures: u32,
    /// No fetch can succeed any more.
    pub(super) stopped: bool,
    /// The refusal that a new token is to make good.
    pub(super) refused: Option<Refusal>,
    /// The token is as new as it gets, and was not accepted yet: another one at once is of no use.
    pub(super) spent: bool,
}

impl Fetches {
    /// When the fetch has taken too long, or the next one is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.under_way.map(|fetch| fetch.until).or(self.next)
    }

    /// Returns the pause before the next fetch: between half the ceiling and all of it.
    pub(super) fn pause(&mut self, roll: f64) -> Duration {
        let ceiling = doubled(BASE, CAP, self.failures);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0))
    }

    /// Begins anew with a token that has come.
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
