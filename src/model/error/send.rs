use crate::{
    model::error::{Code, ConnectionError, DisconnectReason, LossCause},
    util::Escaped,
};
use std::time::Duration;

/// Error of a send, or its unknown outcome; [`SendError::code`] gives the vendor's number.
///
/// Only [`OutcomeUnknown`](SendError::OutcomeUnknown) leaves open whether the message was delivered, and
/// [`Connection`](SendError::Connection) where the actor ended while it was on its way; with every other one it was
/// not. What is sent is never sent a second time by itself.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// 39: nobody is logged in.
    #[error("nobody is logged in on this connection; call open() first")]
    NotLoggedIn,
    /// 205: the message cannot be sent as it is; nothing was sent.
    #[error("the message cannot be sent: {}", Escaped(.0))]
    Invalid(String),
    /// 205: another send with this client id is pending and goes on; nothing was sent.
    #[error(
        "the client id {client_id} is in use by a send whose outcome is not known yet; wait for that outcome, or send \
         under another id"
    )]
    InUse {
        /// The client id ([`Outgoing::with_client_id`](crate::Outgoing::with_client_id)).
        client_id: u64,
    },
    /// 511: the encoded message is over the limit of a frame or of the outbox; nothing was sent.
    #[error("the message has {bytes} bytes; shorten it to {limit}, or raise `Limits::frame` and `Limits::outbox`")]
    TooLarge {
        /// Its size in bytes, encoded.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The server refused the message (connection spec §8.2).
    #[error("the server refused the message: {} (status {status}: {reason:?})", why_refused(*code))]
    Refused {
        /// The vendor's number.
        code: Code,
        /// `Status.errorCode` as sent.
        status: i32,
        /// `Status.reason` as sent; empty where absent.
        reason: String,
    },
    /// 512 or 510: it was on its way when no answer came in time, or the link was lost: it may have been delivered. For
    /// a chat room that was to be joined or left -1 in the place of 512.
    ///
    /// Sending it again under the same id ([`Outgoing::with_client_id`](crate::Outgoing::with_client_id)) is said not
    /// to deliver it twice (messages spec §1.10).
    #[error(
        "the outcome of send {client_id} is unknown: {cause}; the service may or may not have taken it; send it again \
         under the same client id"
    )]
    OutcomeUnknown {
        /// The client id it was sent with.
        client_id: u64,
        /// The cause of the missing answer.
        cause: LossCause,
    },
    /// 50: as many messages as allowed wait for their answers
    /// ([`Limits::pending_sends`](crate::Limits::pending_sends)), or for the link to come back
    /// ([`Limits::buffered_sends`](crate::Limits::buffered_sends)); nothing was sent.
    #[error("{limit} messages wait for the link or their answers already; wait for some, then send again")]
    Backlog {
        /// The bound.
        limit: usize,
    },
    /// 50: too many bytes wait to be written ([`Limits::outbox`](crate::Limits::outbox)); nothing was sent.
    #[error(
        "{limit} bytes wait to be written already; the connection is slow or down, send again after earlier answers"
    )]
    OutboxFull {
        /// The bound.
        limit: usize,
    },
    /// 16: the link did not come back within
    /// [`ConfigBuilder::buffer_sends_for`](crate::ConfigBuilder::buffer_sends_for); nothing was sent.
    #[error(
        "message {client_id} waited {:.1} s for the link to come back and was not sent; send it again after Connected, \
         or raise `ConfigBuilder::buffer_sends_for`", waited.as_secs_f64()
    )]
    Expired {
        /// The client id it was to be sent with.
        client_id: u64,
        /// The time it was buffered.
        waited: Duration,
    },
    /// 16: the link is down, and a room request, or a message without
    /// [`Limits::buffered_sends`](crate::Limits::buffered_sends), is not buffered. Nothing was sent.
    #[error("the link is down and being regained; send again after Connected")]
    Reconnecting,
    /// 510: the connection ended before the message was written.
    #[error("the message was not sent: {0}")]
    Ended(DisconnectReason),
    /// The connection itself cannot take calls.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl SendError {
    /// Returns the error with the server's text as it may be shown; what it means was decided by the text as it came.
    pub(crate) fn shown_by(self, show: impl Fn(String) -> String) -> Self {
        match self {
            SendError::Refused { code, status, reason } => SendError::Refused { code, status, reason: show(reason) },
            other => other,
        }
    }

    /// Makes the error of a client id that another send has, or that is 0.
    pub(crate) fn in_use(client_id: u64) -> Self {
        match client_id {
            0 => SendError::Invalid("its client id is 0; choose another".to_owned()),
            _ => SendError::InUse { client_id },
        }
    }

    /// Returns the vendor's number (connection spec §8).
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            SendError::NotLoggedIn | SendError::Connection(_) => Code::CONNECTION_CLOSED,
            SendError::Invalid(_) | SendError::InUse { .. } => Code::MESSAGE_PARAMETER_ERROR,
            SendError::TooLarge { .. } => Code::MESSAGE_TOO_LARGE,
            SendError::Refused { code, .. } => *code,
            SendError::OutcomeUnknown { cause: LossCause::SendUnanswered, .. } => Code::SEND_TIMEOUT,
            SendError::OutcomeUnknown { cause: LossCause::RoomUnanswered, .. } => Code::REQUEST_TIMEOUT,
            SendError::Reconnecting | SendError::Expired { .. } => Code::DISCONNECTED,
            SendError::OutcomeUnknown { .. } | SendError::Ended(_) => Code::SEND_DISCONNECTED,
            SendError::Backlog { .. } | SendError::OutboxFull { .. } => Code::MAX_LIMIT,
        }
    }
}

/// Explains a refused message's number, with advice.
fn why_refused(code: Code) -> &'static str {
    match code {
        Code::REQUEST_PARAMETER_ERROR => "the group's id is wrong; check it",
        Code::MAX_LIMIT => "a limit of the service is reached; send less, or to fewer",
        Code::USER_NOT_FOUND => "there is no such user; check the recipient's id",
        Code::USER_MUTED_BY_ADMIN => "an administrator has muted the sender",
        Code::USER_NOT_FRIEND => "the recipient takes messages of contacts only; become one first",
        Code::SERVER_BUSY => "the server is busy; send it again later",
        Code::ILLEGAL_CONTENT => "it holds content that is not allowed; change it",
        Code::EXTERNAL_LOGIC_BLOCKED => "a rule of the application's own blocked it",
        Code::SERVICE_NOT_ENABLED => "the application has not enabled this; enable it in the vendor's console",
        Code::NOT_IN_ALLOW_LIST => "all are muted but those on the allow list, and the sender is not on it",
        Code::MUTED => "the sender is muted there",
        Code::MODERATION_BLOCKED => "moderation blocked it; change it",
        Code::RATE_LIMITED => "messages come faster than allowed; send it again later",
        Code::MESSAGE_TOO_LARGE => "it is too large; shorten it",
        Code::GROUP_NOT_JOINED => "the sender is not in that group or chat room; join first",
        Code::PERMISSION_DENIED => "the sender may not do this, or is blocked by the recipient",
        Code::GROUP_NOT_EXIST => "there is no such group; check its id",
        Code::GROUP_IS_DISABLED => "the group is disabled",
        Code::CHATROOM_MEMBERS_FULL => "the chat room is full",
        Code::CHATROOM_NOT_EXIST => "there is no such chat room; check its id",
        _ => "for the reason it gives",
    }
}
