//! A permit before every attempt to log in or to come back.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use crate::{
    model::{
        account::UserId,
        error::{ConnectStep, LossCause, TokenError},
        server_text::ServerText,
    },
    util::lent::caught,
};

/// The permit of an [`Admission`] to come. Dropping it takes the request back.
pub type Ticket = Pin<Box<dyn Future<Output = Permit> + Send>>;

/// Decides when an attempt may begin, such as a queue that paces the logins of many accounts; given by
/// [`Account::admission`](crate::Account::admission).
///
/// It is asked before **every** attempt, the first login and each one to regain a lost link, after the pause before it
/// has passed. Until the [`Ticket`] gives a [`Permit`] nothing of the attempt goes out: no discovery, no token call,
/// no dial. No time limit of the login runs meanwhile. The permit covers the whole attempt, with its redirects and one
/// new token for a refused one. A hint that the [network has
/// changed](crate::Connection::network_changed) gives an attempt up, and the next asks anew. A token renewed while
/// online passes no admission; one that is due while the account is offline waits for the permit.
///
/// The ticket is dropped when the session ends first. It is polled on the connection's thread, so it must not block.
/// An admission that panics costs its attempt, which is tried again as after any other failure.
///
/// ```
/// use std::sync::Arc;
/// use agora_chat::{Account, Credentials, admission::{Admission, Attempt, Permit, Ticket}};
/// use tokio::sync::Semaphore;
///
/// /// At most so many attempts at once.
/// struct AtOnce(Arc<Semaphore>);
///
/// impl Admission for AtOnce {
///     fn ask(&self, _: Attempt) -> Ticket {
///         let places = Arc::clone(&self.0);
///         Box::pin(async move {
///             let place = places.acquire_owned().await;
///             Permit::new(move |_outcome| drop(place))
///         })
///     }
/// }
///
/// let admission = Arc::new(AtOnce(Arc::new(Semaphore::new(64))));
/// let account = Account::new(Credentials::password("alice", "s3cret")?).admission(admission);
/// # Ok::<(), agora_chat::errors::CredentialError>(())
/// ```
pub trait Admission: Send + Sync + 'static {
    /// Asks for the permit of an attempt.
    fn ask(&self, attempt: Attempt) -> Ticket;
}

/// An attempt that asks for its [`Permit`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The account.
    pub user: UserId,
    /// Purpose: a login, or the way back.
    pub kind: AttemptKind,
    /// Its number, from 1: of this `open`, or since the link last held for `Reconnect::stable_after`.
    pub number: u32,
    /// The host to dial, with its port where the address has one; `None` before the first discovery. A redirect may
    /// lead to another.
    pub host: Option<ServerText>,
}

impl Attempt {
    /// Makes an attempt; useful for an application's own tests of its [`Admission`].
    #[must_use]
    pub fn new(user: UserId, kind: AttemptKind, number: u32) -> Self {
        Attempt { user, kind, number, host: None }
    }
}

/// Kind of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptKind {
    /// A login by `open`.
    First,
    /// The way back after a lost link.
    Reconnect,
}

/// Permission for one attempt, held while it is under way.
///
/// It reports the attempt's end exactly once. One that is dropped unused reports [`AttemptOutcome::Cancelled`].
pub struct Permit(Option<Box<dyn FnOnce(AttemptOutcome) + Send>>);

impl Permit {
    /// Makes a permit; the closure gets the attempt's end, on the connection's thread, and must not block.
    #[must_use]
    pub fn new(on_end: impl FnOnce(AttemptOutcome) + Send + 'static) -> Self {
        Permit(Some(Box::new(on_end)))
    }

    /// Reports the attempt's end.
    pub(crate) fn end(mut self, outcome: AttemptOutcome) {
        self.report(outcome);
    }

    fn report(&mut self, outcome: AttemptOutcome) {
        if let Some(on_end) = self.0.take() {
            // It is the application's.
            let _ = caught(|| on_end(outcome));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.report(AttemptOutcome::Cancelled);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// End of an attempt.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// The server accepted the login.
    Online,
    /// It failed; another may follow, which asks for a permit of its own.
    Failed(AttemptFailure),
    /// It was given up for a reason that says nothing about the service: `close`, the end of the actor, a change of
    /// the network.
    Cancelled,
}

/// Failure of an attempt.
///
/// The cause tells what many accounts share (the service is not reached or too slow, 5xx, 429, a limit of the
/// application) from what is one account's own (a wrong password, a removed user).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AttemptFailure {
    /// The step that failed.
    pub step: ConnectStep,
    /// The host that was dialled or was to be, with its port where the address has one; `None` before discovery.
    pub host: Option<ServerText>,
    /// The cause. A refusal, a REST error and a provider's error are here also where they are final.
    pub cause: LossCause,
}

impl AttemptFailure {
    /// Makes a failure; useful for an application's own tests of its [`Admission`]. A cause that names its step wins.
    #[must_use]
    pub fn new(step: ConnectStep, cause: LossCause) -> Self {
        let step = match &cause {
            LossCause::Timeout(step) | LossCause::Failed { step, .. } | LossCause::Rest { step, .. } => *step,
            LossCause::Token(_) => ConnectStep::Token,
            LossCause::Refused(_) => ConnectStep::Provision,
            LossCause::UpgradeRefused { .. } => ConnectStep::Upgrade,
            LossCause::Certificate(_) => ConnectStep::Tls,
            _ => step,
        };
        AttemptFailure { step, host: None, cause }
    }

    /// Returns the HTTP status that the attempt was answered with, if it was one that failed it.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match &self.cause {
            LossCause::UpgradeRefused { status, .. } => Some(*status),
            LossCause::Rest { error, .. } | LossCause::Token(TokenError::Rest(error)) => error.status(),
            _ => None,
        }
    }

    /// Returns the pause that the service asked for by `Retry-After`, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.cause.retry_after()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::{AttemptFailure, AttemptOutcome, Permit};
    use crate::model::error::{ConnectStep, LossCause};

    #[test]
    fn a_permit_reports_one_end_and_cancelled_where_it_is_dropped() {
        let (told, ends) = channel();
        let permit = || {
            let told = told.clone();
            Permit::new(move |outcome| told.send(outcome).unwrap())
        };
        permit().end(AttemptOutcome::Online);
        drop(permit());
        assert_eq!(ends.try_iter().collect::<Vec<_>>(), [AttemptOutcome::Online, AttemptOutcome::Cancelled]);
        Permit::new(|_| panic!("as the test asked")).end(AttemptOutcome::Online);
    }

    #[test]
    fn a_failure_is_at_the_step_that_its_cause_names() {
        let at = |cause| AttemptFailure::new(ConnectStep::Connect, cause).step;
        assert_eq!(at(LossCause::Timeout(ConnectStep::Tls)), ConnectStep::Tls);
        assert_eq!(at(LossCause::Ended), ConnectStep::Connect);
        let busy = LossCause::UpgradeRefused { status: 429, retry_after: Some(std::time::Duration::from_secs(3)) };
        let busy = AttemptFailure::new(ConnectStep::Connect, busy);
        assert_eq!((busy.step, busy.http_status()), (ConnectStep::Upgrade, Some(429)));
        assert_eq!(busy.retry_after(), Some(std::time::Duration::from_secs(3)));
    }
}
