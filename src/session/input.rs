//! What can happen to a session.

use std::{fmt, time::Duration};

#[cfg(doc)]
use crate::session::{Action, Engine};
use crate::{
    config::{Account, Addresses},
    model::{
        account::{Device, Token},
        auth::TokenGrant,
        error::{ActorEnd, ConnectStep, LossCause, RestError, TokenError},
        outgoing::{Outgoing, RoomRequest},
    },
    session::{inbox::in_flight::PageId, tokens::fetch::TokenFetch},
    store::Cursor,
};

/// A reading of the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, from any beginning; it alone decides waits.
    pub mono: Duration,
    /// The wall clock, in milliseconds since 1970; used for ids and, until the server's clock is heard, for a token's end
    /// that is told as a moment.
    pub wall: u64,
}

/// What happened. Prints no frame's bytes: the answer to PROVISION can hold a token.
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "inputs are taken one at a time and never stored")]
pub enum Input<'a> {
    /// The application wants to log in.
    Open(Account),
    /// The application wants to log out.
    Close,
    /// Whoever carries the actions out is about to be gone: the session ends now. Where the link is up, a LOGOUT is
    /// among the actions, for whom still can send it; no answer is waited for.
    Abort(ActorEnd),
    /// [`Action::Discover`] is done.
    Discovered(Result<Addresses, RestError>),
    /// [`Action::FetchToken`] is done.
    TokenReady {
        /// Which fetch.
        fetch: TokenFetch,
        /// The token and its end.
        result: Result<TokenGrant, TokenError>,
    },
    /// The application gives the session a new token. The service is asked for its end; then the countdown starts anew, and
    /// [`Action::Renewed`] answers. 16 of these wait at most, each for its turn.
    RenewToken {
        /// What to answer with.
        renewal: u64,
        /// The token.
        token: Token,
    },
    /// Nobody waits for the answer to an [`Input::RenewToken`] any more; the token is dropped, and no answer comes.
    CancelRenewal {
        /// Which one.
        renewal: u64,
    },
    /// [`Action::Connect`] has come to this step (resolve, connect, proxy, TLS or upgrade); a timeout will name it.
    At(ConnectStep),
    /// [`Action::Connect`] is done: the WebSocket is open.
    Connected,
    /// A binary message came.
    Frame(&'a [u8]),
    /// A message over the limit of a frame was announced; [`Input::Lost`] follows.
    TooLarge,
    /// Something else came that shows that the peer lives: a ping, a pong, a text.
    Alive,
    /// More bytes came of a binary message that is not whole yet. What is waited for may be right behind it, so the answer to
    /// a heartbeat, a pull or a send is not late while the message moves, for an hour at the most.
    Arriving,
    /// [`Action::Connect`] failed, or the open socket was lost.
    Lost(LossCause),
    /// The application sends a message. It is kept for the next link where this one is being regained. An id among those
    /// unanswered or kept is refused, and what has it is not touched.
    Send {
        /// The client id, from [`Engine::next_client_id`] or chosen by the application.
        client_id: u64,
        /// The message.
        message: Outgoing,
    },
    /// The application joins or leaves a chat room; answered with [`Action::Sent`] and never kept.
    Room {
        /// The client id, from [`Engine::next_client_id`].
        client_id: u64,
        /// The request.
        request: RoomRequest,
    },
    /// A page of [`Action::Deliver`] is handled, and its key kept where it has one; it can be acknowledged now.
    Handled {
        /// Which page; one of an earlier session is ignored.
        page: PageId,
    },
    /// A page of [`Action::Deliver`] cannot be handled whole for now. Nothing of it is acknowledged or held: its queue is
    /// left alone for the pause (and up to a quarter of it more, by chance), then pulled again, and what is still to be
    /// handled is given out anew.
    Postponed {
        /// Which page; one of an earlier session is ignored.
        page: PageId,
        /// How many of its events, from the first, were handled.
        handled: usize,
        /// The pause.
        pause: Duration,
    },
    /// There is reason to try all postponed pages now, such as another message handler.
    RetryPostponed,
    /// [`Action::LoadCursors`] is done; nothing where they could not be read.
    Cursors {
        /// Which load; one of an earlier session is ignored.
        load: u64,
        /// The keys kept.
        cursors: Vec<Cursor>,
    },
    /// What the state folder keeps of the account, after [`Action::Recall`].
    Recalled {
        /// The device to log in as; `None` where nothing could be read.
        device: Option<Device>,
        /// The token kept; `None` where there is none.
        kept: Option<TokenGrant>,
    },
    /// The machine's network has changed: what seemed alive may be dead, and what seemed dead may be back.
    NetworkChanged,
    /// Time has passed; due when [`Engine::deadline`] is reached.
    Tick,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Open(account) => f.debug_tuple("Open").field(account).finish(),
            Input::Close => f.write_str("Close"),
            Input::Abort(end) => f.debug_tuple("Abort").field(end).finish(),
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
