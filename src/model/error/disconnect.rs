use crate::model::error::{Code, Kick, LossCause, Refusal, RestError};
use std::fmt;

/// Reasons that a session ended; the client does not try again by itself, but `open` may be called again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The application asked for it.
    Closed,
    /// The account's [gate](crate::network::Gate) is shut: another process may have the account now.
    LeaseLost,
    /// The account moves to another process, as this program asked.
    Moved,
    /// The account pauses, as this program asked.
    Paused,
    /// The server logged the device out: 206, 207, 216 or 217.
    Kicked(Kick),
    /// The server refused the login asked for by `open`, or refused the way back for good.
    Refused(Refusal),
    /// 56: the token ran out, or was refused as expired, and nobody gives another.
    TokenExpired,
    /// Getting a new token for the way back failed for good: the password is wrong, or the user is gone.
    Rest(RestError),
    /// 16: the link was lost and every allowed attempt failed.
    AttemptsExhausted {
        /// Attempts made; 0 where reconnecting is switched off.
        attempts: u32,
        /// The cause of the last failure, or of the loss of the link.
        last: LossCause,
    },
    /// 39: the connection's actor is gone, and the session with it. Start a new connection.
    ActorEnded(ActorEnd),
}

/// Cause of the end of a connection's actor while handles to it were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ActorEnd {
    /// A panic unwound it: one of its own, or of whatever else its thread was at.
    Panicked,
    /// It was stopped from outside: its arbiter ended, or its actix system.
    Stopped,
}

impl fmt::Display for ActorEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ActorEnd::Panicked => {
                "a panic ended the connection's actor; start a new connection, and report the panic if it is this crate's"
            }
            ActorEnd::Stopped => {
                "the connection's arbiter or actix system ended while it was logged in; close connections before their \
                 system stops"
            }
        })
    }
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
}

impl DisconnectReason {
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

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DisconnectReason::Closed => f.write_str("closed as asked"),
            DisconnectReason::LeaseLost => f.write_str(
                "this process may act for the account no longer, as its gate is shut; look at the store of the leases \
                 and at this machine's load",
            ),
            DisconnectReason::Moved => f.write_str("the account moves to another process"),
            DisconnectReason::Paused => f.write_str("the account is paused"),
            DisconnectReason::Kicked(kick) => kick.fmt(f),
            DisconnectReason::Refused(refusal) => refusal.fmt(f),
            DisconnectReason::TokenExpired => f.write_str("the token has expired; log in with a new one"),
            DisconnectReason::Rest(error) => error.fmt(f),
            DisconnectReason::AttemptsExhausted { attempts: 0, last } => {
                write!(f, "the link was lost and reconnecting is switched off: {last}")
            }
            DisconnectReason::AttemptsExhausted { attempts, last } => {
                write!(f, "gave up coming back at attempt {attempts}: {last}")
            }
            DisconnectReason::ActorEnded(end) => end.fmt(f),
        }
    }
}
