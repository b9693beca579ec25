//! Log-worthy diagnostics.

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

/// A survivable oddity or a change of state, for the log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// A frame or its payload does not decode; it was dropped.
    Undecodable {
        /// Length of the frame in bytes.
        length: usize,
        /// Error of the decoder.
        error: DecodeError,
    },
    /// More frames that do not decode. Logged at most every 10 minutes, and at the end of the session.
    MoreUndecodable {
        /// Number of frames.
        count: u64,
    },
    /// Queue names longer than the limit; not pulled. Logged at most every 10 minutes.
    QueueNameTooLong {
        /// Occurrences since the last report.
        count: u64,
        /// Limit in bytes.
        limit: usize,
    },
    /// The service renamed this device; the new name is used from now on.
    ResourceTaken {
        /// Old name.
        from: Box<str>,
        /// New name.
        to: Box<str>,
    },
    /// The service gave this device an invalid name; the device keeps its own. Logged at most every 10 minutes.
    ResourceIgnored {
        /// Length of the invalid name in bytes.
        bytes: usize,
        /// Occurrences since the last report.
        count: u64,
    },
    /// A message contradicts the service about its sender or conversation. The service is believed. Logged at most
    /// every 10 minutes, and at the end of the session.
    FalseClaims {
        /// Occurrences since the last report.
        count: u64,
        /// Last sender, as the service says, cut at [`Claims::MAX_CHARS`](crate::messages::Claims::MAX_CHARS).
        from: std::sync::Arc<str>,
        /// Last claims.
        claims: Box<crate::model::message::Claims>,
    },
    /// A page of a queue broke the link, or its pull was never answered. The queue is pulled after all others from now
    /// on, with growing pauses if it breaks further links. Logged once per queue.
    QueueBreaksLinks {
        /// Name of the queue.
        queue: Box<str>,
        /// Setting to raise so that the page fits; `None` if there was no answer.
        setting: Option<&'static str>,
    },
    /// A frame without meaning at this point; dropped.
    Unexpected {
        /// Command of the frame.
        frame: &'static str,
    },
    /// The server answered a login with a redirect.
    Redirected {
        /// Address; whole for the dial, without the session's secrets when shown.
        url: ServerText,
        /// Hop in the chain, from 1.
        hop: usize,
    },
    /// Another login attempt follows after a pause.
    LoginRetry {
        /// Next attempt, from 2.
        attempt: u32,
        /// Pause before it.
        delay: Duration,
        /// Failure of the last attempt.
        cause: LossCause,
    },
    /// The stored token was refused; the password fetches another.
    KeptTokenRefused(Refusal),
    /// The state folder was not read in time; the login goes on without.
    StateUnread {
        /// Time limit.
        limit: Duration,
    },
    /// No token is available; the stored one is tried although it seems to have ended.
    KeptTokenTried,
    /// Rediscovery failed; the old addresses are used.
    DiscoveryFailed(RestError),
    /// The session has its next token.
    TokenRenewed {
        /// End in milliseconds since 1970, if known.
        expires_at: Option<u64>,
    },
    /// The session did not get its next token.
    TokenNotRenewed {
        /// Error of the fetch.
        error: TokenError,
        /// Pause before the next fetch; `None` if there is none.
        again: Option<Duration>,
    },
    /// Some messages do not decode; those of a page are reported as [`EventKind::Unknown`](crate::EventKind::Unknown),
    /// as they came. Logged at most every 10 minutes, and at the end of the session.
    BrokenMetas {
        /// Messages since the last report.
        count: usize,
    },
    /// Messages came without a subscriber; logged once per session.
    Unheard,
    /// A chat room was not rejoined on a new link; the account is not in it.
    RoomNotRejoined {
        /// Id of the room.
        room: Box<str>,
        /// Error of the rejoin.
        error: SendError,
    },
    /// The rejoin limit is reached; this room will not be rejoined. [`EventKind::RoomLost`] reports it then.
    RoomNotKept {
        /// Id of the room.
        room: Box<str>,
        /// Limit.
        limit: usize,
    },
    /// Delivery receipts were dropped, because too many waited already.
    ReceiptsLeftOut {
        /// Number of receipts.
        count: u64,
    },
    /// Delivery receipts were not answered in time. Logged at the first, and then when a link ends.
    ReceiptsUnanswered {
        /// Number of receipts.
        count: u64,
    },
    /// A page did not fit the in-flight limit; its queue is pulled again.
    PageDropped {
        /// Encoded length in bytes.
        bytes: usize,
    },
    /// A page's status was not OK. Logged at most every 10 minutes.
    PageStatus {
        /// `Status.errorCode`.
        status: i32,
    },
}
