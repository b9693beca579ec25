use crate::model::error::{Code, Kick, LossCause, Refusal, RestError};

/// Reasons that a session ended; the client does not try again by itself, but `open` may be called again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The application asked for it.
    #[error("closed as asked")]
    Closed,
    /// The account's [gate](crate::network::Gate) is shut: another process may have the account now.
    #[error(
        "this process may act for the account no longer, as its gate is shut; look at the store of the leases and at \
         this machine's load"
    )]
    LeaseLost,
    /// The account moves to another process, as this program asked.
    #[error("the account moves to another process")]
    Moved,
    /// The account pauses, as this program asked.
    #[error("the account is paused")]
    Paused,
    /// The server logged the device out: 206, 207, 216 or 217.
    #[error("{0}")]
    Kicked(Kick),
    /// The server refused the login asked for by `open`, or refused the way back for good.
    #[error("{0}")]
    Refused(Refusal),
    /// 56: the token ran out, or was refused as expired, and nobody gives another.
    #[error("the token has expired; log in with a new one")]
    TokenExpired,
    /// Getting a new token for the way back failed for good: the password is wrong, or the user is gone.
    #[error("{0}")]
    Rest(RestError),
    /// 16: the link was lost and every allowed attempt failed.
    #[error("{}: {last}", gave_up(*.attempts))]
    AttemptsExhausted {
        /// Attempts made; 0 where reconnecting is switched off.
        attempts: u32,
        /// The cause of the last failure, or of the loss of the link.
        last: LossCause,
    },
    /// 39: the connection's actor is gone, and the session with it. Start a new connection.
    #[error("{0}")]
    ActorEnded(ActorEnd),
}

/// Cause of the end of a connection's actor while handles to it were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ActorEnd {
    /// A panic unwound it: one of its own, or of whatever else its thread was at.
    #[error("a panic ended the connection's actor; start a new connection, and report the panic if it is this crate's")]
    Panicked,
    /// It was stopped from outside: its arbiter ended, or its actix system.
    #[error(
        "the connection's arbiter or actix system ended while it was logged in; close connections before their system \
         stops"
    )]
    Stopped,
}

impl DisconnectReason {
    /// Returns the vendor's number; `None` where this program asked for the end, or lost the account (connection spec
    /// §12).
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            DisconnectReason::Closed
            | DisconnectReason::LeaseLost
            | DisconnectReason::Moved
            | DisconnectReason::Paused => None,
            DisconnectReason::Kicked(kick) => Some(kick.code()),
            DisconnectReason::Refused(refusal) => Some(refusal.code()),
            DisconnectReason::TokenExpired => Some(Code::TOKEN_EXPIRED),
            DisconnectReason::Rest(error) => Some(error.code()),
            DisconnectReason::AttemptsExhausted { .. } => Some(Code::DISCONNECTED),
            DisconnectReason::ActorEnded(_) => Some(Code::CONNECTION_CLOSED),
        }
    }

    /// Returns whether this program asked for the end.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self, DisconnectReason::Closed | DisconnectReason::Moved | DisconnectReason::Paused)
    }

    /// Returns whether a new [`open`](crate::Connection::open) with the same credentials and configuration can only
    /// fail until somebody does something: gives another token or password, registers the user, changes a setting.
    ///
    /// What is not final may still be no reason to come back: the application itself asked for the end
    /// ([`Closed`](DisconnectReason::Closed)), or the user is at another device
    /// ([`Kicked`](DisconnectReason::Kicked) with 206 or 217).
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            DisconnectReason::Closed
            | DisconnectReason::LeaseLost
            | DisconnectReason::Moved
            | DisconnectReason::Paused
            | DisconnectReason::AttemptsExhausted { .. }
            | DisconnectReason::ActorEnded(_) => false,
            DisconnectReason::Kicked(kick) => matches!(kick, Kick::UserRemoved | Kick::PasswordChanged),
            DisconnectReason::Refused(refusal) => refusal.is_final(),
            DisconnectReason::TokenExpired => true,
            DisconnectReason::Rest(error) => error.is_final(),
        }
    }
}

fn gave_up(attempts: u32) -> String {
    match attempts {
        0 => "the link was lost and reconnecting is switched off".to_owned(),
        _ => format!("gave up coming back at attempt {attempts}"),
    }
}
