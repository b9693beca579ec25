//! Inputs of a session.

use std::{fmt, time::Duration};

#[cfg(doc)]
use crate::session::{Action, Engine};
use crate::{
    config::{Account, Addresses},
    model::{
        account::{Device, Token},
        auth::TokenGrant,
        error::{ActorEnd, ConnectStep, DisconnectReason, LossCause, RestError, TokenError},
        outgoing::{Outgoing, RoomRequest},
    },
    session::{inbox::in_flight::PageId, tokens::fetch::TokenFetch},
    store::Cursor,
};

/// A reading of the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic clock, from any origin; the only one that decides waits.
    pub mono: Duration,
    /// Wall clock in milliseconds since 1970; for ids and, until the server's clock is known, absolute token ends.
    pub wall: u64,
}

/// An input. Prints no frame's bytes: the answer to PROVISION can hold a token.
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "inputs are taken one at a time and never stored")]
pub enum Input<'a> {
    /// The application wants to log in.
    Open(Account),
    /// The application wants to log out.
    Close,
    /// The driver is about to stop: the session ends now. A live link gets a LOGOUT, not awaited.
    Abort(ActorEnd),
    /// The application wants to log out for this reason once the message handler is done with the pages in flight, at the
    /// latest after the limit. Nothing more is pulled meanwhile; without a link the session ends at once.
    CloseWithin {
        /// The limit.
        limit: Duration,
        /// The reason.
        reason: DisconnectReason,
    },
    /// The session ends now, for this reason: the link is reset and nothing more is written, LOGOUT neither.
    Abandon(DisconnectReason),
    /// [`Action::Admit`] is done: the attempt may begin.
    Admitted,
    /// [`Action::Admit`] has failed, as the application's admission panicked.
    NotAdmitted,
    /// [`Action::Discover`] is done.
    Discovered(Result<Addresses, RestError>),
    /// [`Action::FetchToken`] is done.
    TokenReady {
        /// The fetch.
        fetch: TokenFetch,
        /// The token and its end.
        result: Result<TokenGrant, TokenError>,
    },
    /// The application gives the session a new token. The service is asked for its end, then the countdown restarts and
    /// [`Action::Renewed`] answers. At most 16 are queued.
    RenewToken {
        /// Id to answer with.
        renewal: u64,
        /// The token.
        token: Token,
    },
    /// The caller of an [`Input::RenewToken`] is gone; the token is dropped, and no answer comes.
    CancelRenewal {
        /// Id of the renewal.
        renewal: u64,
    },
    /// [`Action::Connect`] reached this step (resolve, connect, proxy, TLS or upgrade); a timeout will name it.
    At(ConnectStep),
    /// [`Action::Connect`] is done: the WebSocket is open.
    Connected,
    /// A binary message was received.
    Frame(&'a [u8]),
    /// A message over the frame limit was announced; [`Input::Lost`] follows.
    TooLarge,
    /// Something else was received that shows that the peer is alive: a ping, a pong, a text.
    Alive,
    /// More bytes of an unfinished binary message were received. Answers may be right behind it, so none is late while
    /// the message moves, for at most an hour.
    Arriving,
    /// [`Action::Connect`] failed, or the open socket was lost.
    Lost(LossCause),
    /// The application sends a message. It is buffered while the link is being regained. An id that is pending or
    /// buffered is refused; the earlier send stays.
    Send {
        /// Client id, from [`Engine::next_client_id`] or chosen by the application.
        client_id: u64,
        /// The message.
        message: Outgoing,
    },
    /// The application joins or leaves a chat room; answered with [`Action::Sent`] and never buffered.
    Room {
        /// Client id, from [`Engine::next_client_id`].
        client_id: u64,
        /// The request.
        request: RoomRequest,
    },
    /// A page of [`Action::Deliver`] is handled, and its cursor, if any, saved; it can be acknowledged now.
    Handled {
        /// The page; one of an earlier session is ignored.
        page: PageId,
    },
    /// A page of [`Action::Deliver`] cannot be handled whole for now. Nothing of it is acknowledged. Its queue is
    /// pulled again after the pause (plus up to a quarter of jitter), and the unhandled events are delivered anew.
    Postponed {
        /// The page; one of an earlier session is ignored.
        page: PageId,
        /// Number of its events, from the first, that were handled.
        handled: usize,
        /// The pause.
        pause: Duration,
    },
    /// Retry all postponed pages now, for example because the message handler was replaced.
    RetryPostponed,
    /// [`Action::LoadCursors`] is done; empty if they could not be read.
    Cursors {
        /// The load; one of an earlier session is ignored.
        load: u64,
        /// The saved cursors.
        cursors: Vec<Cursor>,
    },
    /// The state folder's entry for the account, after [`Action::Recall`].
    Recalled {
        /// Device to log in as; `None` if nothing could be read.
        device: Option<Device>,
        /// Stored token, if there is one.
        kept: Option<TokenGrant>,
    },
    /// The machine's network has changed: links may be dead, and lost addresses reachable again.
    NetworkChanged,
    /// Time has passed; due at [`Engine::deadline`].
    Tick,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Open(account) => f.debug_tuple("Open").field(account).finish(),
            Input::Close => f.write_str("Close"),
            Input::Abort(end) => f.debug_tuple("Abort").field(end).finish(),
            Input::CloseWithin { limit, reason } => {
                f.debug_struct("CloseWithin").field("limit", limit).field("reason", reason).finish()
            }
            Input::Abandon(reason) => f.debug_tuple("Abandon").field(reason).finish(),
            Input::Admitted => f.write_str("Admitted"),
            Input::NotAdmitted => f.write_str("NotAdmitted"),
            Input::Discovered(result) => f.debug_tuple("Discovered").field(result).finish(),
            Input::TokenReady { fetch, result } => {
                f.debug_struct("TokenReady").field("fetch", fetch).field("result", result).finish()
            }
            Input::RenewToken { renewal, token } => {
                f.debug_struct("RenewToken").field("renewal", renewal).field("token", token).finish()
            }
            Input::CancelRenewal { renewal } => f.debug_struct("CancelRenewal").field("renewal", renewal).finish(),
            Input::At(step) => f.debug_tuple("At").field(step).finish(),
            Input::Connected => f.write_str("Connected"),
            Input::Frame(bytes) => write!(f, "Frame({} bytes)", bytes.len()),
            Input::Alive => f.write_str("Alive"),
            Input::Lost(cause) => f.debug_tuple("Lost").field(cause).finish(),
            Input::Send { client_id, message } => {
                f.debug_struct("Send").field("client_id", client_id).field("message", message).finish()
            }
            Input::Room { client_id, request } => {
                f.debug_struct("Room").field("client_id", client_id).field("request", request).finish()
            }
            Input::Handled { page } => f.debug_struct("Handled").field("page", page).finish(),
            Input::Postponed { page, handled, pause } => {
                let mut shown = f.debug_struct("Postponed");
                shown.field("page", page).field("handled", handled).field("pause", pause).finish()
            }
            Input::RetryPostponed => f.write_str("RetryPostponed"),
            Input::Cursors { load, cursors } => {
                f.debug_struct("Cursors").field("load", load).field("cursors", &cursors.len()).finish()
            }
            Input::Recalled { device, kept } => {
                f.debug_struct("Recalled").field("device", device).field("kept", kept).finish()
            }
            Input::TooLarge => f.write_str("TooLarge"),
            Input::Arriving => f.write_str("Arriving"),
            Input::NetworkChanged => f.write_str("NetworkChanged"),
            Input::Tick => f.write_str("Tick"),
        }
    }
}
