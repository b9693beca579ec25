//! What is worth a log record.

use std::time::Duration;

#[cfg(doc)]
use crate::model::EventKind;
use crate::{
    model::{
        error::{LossCause, Refusal, RestError, SendError, TokenError},
        server_text::ServerText,
    },
    wire::DecodeError,
};

/// Something odd that the connection survives, or a change of state, for the log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// A frame or its payload does not decode; it was dropped.
    Undecodable {
        /// The frame's length in bytes.
        length: usize,
        /// What the decoder says.
        error: DecodeError,
    },
    /// More frames that do not decode. They are told of at most once in 10 minutes, and at the end of the session.
    MoreUndecodable {
        /// How many.
        count: u64,
    },
    /// Queues were named by more bytes than any name has, and are not pulled. Told of at most once in 10 minutes.
    QueueNameTooLong {
        /// How often it happened since it was told of last.
        count: u64,
        /// The bound in bytes.
        limit: usize,
    },
    /// The service names this device otherwise than it did itself, and it goes by that name from now on.
    ResourceTaken {
        /// The name that the device had.
        from: Box<str>,
        /// The name that it has now.
        to: Box<str>,
    },
    /// The service names this device by something that cannot be the name of one; it keeps its own. Told of at most once in
    /// 10 minutes.
    ResourceIgnored {
        /// How long that is, in bytes.
        bytes: usize,
        /// How often it happened since it was told of last.
        count: u64,
    },
    /// Somebody says in a message to be somebody else than the service says, or that it is in another conversation. The
    /// service's word counts. Told of at most once in 10 minutes, and at the end of the session.
    FalseClaims {
        /// How often it happened since it was told of last.
        count: u64,
        /// Who did it last, as the service says, cut at [`Claims::MAX_CHARS`](crate::messages::Claims::MAX_CHARS).
        from: std::sync::Arc<str>,
        /// What was said last.
        claims: Box<crate::model::message::Claims>,
    },
    /// A page of a queue broke the link, or its pull was never answered. From now on that queue is fetched after all others,
    /// and with growing pauses when it breaks further links. Told once for each queue.
    QueueBreaksLinks {
        /// The conversation: its queue's name.
        queue: Box<str>,
        /// What to raise for the page to be taken; `None` where there was no answer.
        setting: Option<&'static str>,
    },
    /// A frame that has no meaning at this point; it was dropped.
    Unexpected {
        /// Its command.
        frame: &'static str,
    },
    /// The server follows up a login with a redirect.
    Redirected {
        /// Where to; whole, and without the session's secrets where it is shown.
        url: ServerText,
        /// Which hop of the chain, from 1.
        hop: usize,
    },
    /// Another login attempt follows after a pause.
    LoginRetry {
        /// Which attempt comes next, from 2.
        attempt: u32,
        /// The pause before it.
        delay: Duration,
        /// Why the last one failed.
        cause: LossCause,
    },
    /// The token kept from an earlier session is refused; the password fetches another.
    KeptTokenRefused(Refusal),
    /// The state folder was not read in time; the login goes on without what it keeps.
    StateUnread {
        /// The time.
        limit: Duration,
    },
    /// No token can be got just now; the kept one is tried, though its end seems to have passed.
    KeptTokenTried,
    /// Discovery failed on the way back; the addresses known before are used.
    DiscoveryFailed(RestError),
    /// The session has its next token.
    TokenRenewed {
        /// Its end in milliseconds since 1970, if known.
        expires_at: Option<u64>,
    },
    /// The session did not get its next token.
    TokenNotRenewed {
        /// Why.
        error: TokenError,
        /// The pause before it is asked for again; `None` where it is not.
        again: Option<Duration>,
    },
    /// Some messages do not decode; those of a page are told as [`EventKind::Unknown`](crate::EventKind::Unknown), as they
    /// came, and the others arrived. Told of at most once in 10 minutes, and at the end of the session.
    BrokenMetas {
        /// How many since it was told of last.
        count: usize,
    },
    /// Messages came that nobody wants to hear; said once a session.
    Unheard,
    /// A chat room was not joined again on a new link; the account is not in it.
    RoomNotRejoined {
        /// The room's id.
        room: Box<str>,
        /// Why.
        error: SendError,
    },
    /// So many rooms are joined again already that this one will not be; [`EventKind::RoomLost`] tells once that is so.
    RoomNotKept {
        /// The room's id.
        room: Box<str>,
        /// The bound.
        limit: usize,
    },
    /// Delivery receipts were left out, because too many waited already.
    ReceiptsLeftOut {
        /// How many.
        count: u64,
    },
    /// Delivery receipts were not answered in time. Said when it first shows, and then when a link ends.
    ReceiptsUnanswered {
        /// How many.
        count: u64,
    },
    /// A page came for which there is no room in the message handler's hand; its queue is pulled again.
    PageDropped {
        /// Its length in encoded bytes.
        bytes: usize,
    },
    /// A page of a queue had a status other than OK. Told of at most once in 10 minutes.
    PageStatus {
        /// `Status.errorCode`.
        status: i32,
    },
}
