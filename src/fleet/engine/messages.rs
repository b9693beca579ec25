//! What goes into the engine beside commands, and what comes out.

use std::{sync::Arc, time::Duration};

use crate::{
    fleet::{
        cause::{Cause, CauseKind},
        drain::DrainReport,
        engine::Index,
        pace::{BreakerState, SharedCause},
        spec::AccountSpec,
        state::{AccountState, OtherLogin},
    },
    model::{
        account::UserId,
        admission::AttemptFailure,
        auth::Credentials,
        error::{ConnectStep, Kick},
    },
};

/// What a shard says of an account.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fleet) enum Report {
    /// An attempt asks for its permit.
    Asked {
        reconnect: bool,
        host: Option<Arc<str>>,
    },
    /// It does not want it any more.
    Withdrawn,
    /// An attempt for which a permit was given is over.
    AttemptOver(AttemptEnd),
    Step(ConnectStep),
    Online,
    /// The link was lost or an attempt to regain it failed; the next one comes after the pause.
    Reconnecting {
        attempt: u32,
        delay: Duration,
        cause: Cause,
    },
    /// The session is over, without having been closed by the fleet.
    Ended(SessionEnd),
    /// The fleet's own close is done.
    Closed {
        answered: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::fleet) enum AttemptEnd {
    Online,
    /// `shared` where it tells something of the service and not of the account.
    Failed {
        cause: Cause,
        shared: Option<SharedCause>,
        retry_after: Option<Duration>,
    },
    Cancelled,
}

impl AttemptEnd {
    pub(in crate::fleet) fn failed(failure: &AttemptFailure) -> Self {
        let cause = Cause::of_loss(&failure.cause);
        let shared = match cause.kind {
            CauseKind::Unreachable | CauseKind::Tls | CauseKind::Proxy | CauseKind::WrongAddress => {
                Some(SharedCause::Unreachable(failure.step))
            }
            CauseKind::Timeout => Some(SharedCause::Timeout(failure.step)),
            CauseKind::LinkLost => Some(SharedCause::Lost),
            CauseKind::ServiceFailed => Some(SharedCause::ServiceFailed),
            CauseKind::RateLimited => Some(SharedCause::RateLimited),
            CauseKind::AppLimit => Some(SharedCause::UserLimit),
            CauseKind::ServingDisabled => Some(SharedCause::ServingDisabled),
            _ => None,
        };
        AttemptEnd::Failed { cause, shared, retry_after: failure.retry_after() }
    }
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fleet) enum SessionEnd {
    /// The application closed the account's connection by itself.
    ClosedByApplication,
    Kicked {
        kick: Kick,
        cause: Cause,
    },
    /// Nobody but a person can help.
    Final(Cause),
    /// It may be otherwise the next time.
    Passing(Cause),
}

/// What is to be done.
#[derive(Debug)]
pub(in crate::fleet) enum Action {
    /// Log the account in, on its shard.
    Open { index: Index, generation: u32, shard: u16, spec: Arc<AccountSpec> },
    /// Give the permit that was asked for.
    Admit { index: Index, generation: u32 },
    /// Close the session and answer with [`Report::Closed`].
    Close { index: Index, generation: u32, shard: u16, how: CloseHow },
    /// Give the session these credentials' token, without losing the link.
    RenewToken { index: Index, shard: u16, credentials: Credentials },
    /// Drop the connection and all that is kept of the account.
    Forget { index: Index, shard: u16, user: UserId },
    /// The account's state, or what belongs to it, has changed.
    State { index: Index, state: AccountState, cause: Option<Cause> },
    /// Something of the whole fleet.
    Notice(Notice),
    /// The drain is over.
    Drained(DrainReport),
}

/// How a session is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum CloseHow {
    /// LOGOUT at once.
    LogOut,
    /// LOGOUT once the message handler is done with what it has, at the latest after this time.
    Drain(Duration),
    /// At once and without LOGOUT.
    Abandon,
}

/// What concerns the whole fleet.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fleet) enum Notice {
    Breaker(BreakerState),
    ForeignFleet { by: OtherLogin, accounts: usize },
    Draining,
}
