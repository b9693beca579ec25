//! The life of a connection as a value: what decides, without a socket, a clock or chance of its own.
//!
//! [`Engine::step`] takes what happened and when, and says what to do. Frames, times and the seed of the jitter
//! are passed in, so every order of events can be tested in simulated time, replayed and fuzzed.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use agora_chat::{Config, Credentials, session::{Action, Engine, Input, Now}};
//!
//! let config = Config::new("org#app")?.addresses("http://127.0.0.1:1", "ws://127.0.0.1:1/websocket")?;
//! let mut engine = Engine::new(Arc::new(config), 7);
//! let mut actions = Vec::new();
//! let now = Now { mono: Duration::ZERO, wall: 1_700_000_000_000 };
//! engine.step(Input::Open(Credentials::token("alice", "YWMt-token")?), now, &mut actions);
//! assert!(matches!(&actions[..], [Action::Connect { url }] if &**url == "ws://127.0.0.1:1/websocket"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::wire::Frame;
mod arrivals;
mod connect;
mod context;
pub(crate) mod decode;
mod engine;
mod episodes;
mod handshake;
mod inbox;
mod login;
mod machine;
mod online;
mod outbox;
mod retry;
mod server_text;
mod tokens;

use std::{fmt, time::Duration};

use crate::{
    config::Addresses,
    model::{
        Event, EventKind,
        account::{Password, Token, UserId},
        auth::{Credentials, TokenRequest},
        error::{ActorEnd, ConnectStep, LossCause, OpenError, Refusal, RestError, SendError, TokenError},
        outgoing::{Outgoing, RoomRequest, Sent},
        server_text::ServerText,
    },
    store::Cursor,
    wire::DecodeError,
};
pub use engine::Engine;
pub use inbox::in_flight::{Page, PageEvent, PageId};
pub use tokens::clock::Expiry;
pub use tokens::renewal::TokenSource;

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
    Open(Credentials),
    /// The application wants to log out.
    Close,
    /// Whoever carries the actions out is about to be gone: the session ends now. Where the link is up, a LOGOUT is
    /// among the actions, for whom still can send it; no answer is waited for.
    Abort(ActorEnd),
    /// [`Action::Discover`] is done.
    Discovered(Result<Addresses, RestError>),
    /// [`Action::FetchToken`] is done.
    TokenFetched(Result<FetchedToken, RestError>),
    /// [`Action::RenewToken`] is done.
    TokenProvided(Result<FetchedToken, TokenError>),
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
    /// A new token for the session, with its end in milliseconds since 1970; the countdown starts anew.
    Renewed {
        /// The token.
        token: Token,
        /// Its end.
        expires_at: u64,
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
        /// The token kept; `None` where there is none.
        token: Option<Token>,
        /// Its end in milliseconds since 1970, if known.
        expires_at: Option<u64>,
    },
    /// The machine's network has changed: what seemed alive may be dead, and what seemed dead may be back.
    NetworkChanged,
    /// Time has passed; due when [`Engine::deadline`] is reached.
    Tick,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Open(credentials) => f.debug_tuple("Open").field(credentials).finish(),
            Input::Close => f.write_str("Close"),
            Input::Abort(end) => f.debug_tuple("Abort").field(end).finish(),
            Input::Discovered(result) => f.debug_tuple("Discovered").field(result).finish(),
            Input::TokenFetched(result) => f.debug_tuple("TokenFetched").field(result).finish(),
            Input::TokenProvided(result) => f.debug_tuple("TokenProvided").field(result).finish(),
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
            Input::Renewed { token, expires_at } => {
                f.debug_struct("Renewed").field("token", token).field("expires_at", expires_at).finish()
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
            Input::Recalled { token, expires_at } => {
                f.debug_struct("Recalled").field("token", token).field("expires_at", expires_at).finish()
            }
            Input::TooLarge => f.write_str("TooLarge"),
            Input::Arriving => f.write_str("Arriving"),
            Input::NetworkChanged => f.write_str("NetworkChanged"),
            Input::Tick => f.write_str("Tick"),
        }
    }
}

/// A token fetched by REST or given by a provider.
#[derive(Clone, Debug)]
pub struct FetchedToken {
    /// The token.
    pub token: Token,
    /// Its end; `None` where there is none.
    pub expires_at: Option<Expiry>,
}

/// What to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Read what the state folder keeps of the account; answer with [`Input::Recalled`]. The login goes on without where
    /// that does not come in time.
    Recall {
        /// Whose.
        user: UserId,
    },
    /// Fetch `server.json`; answer with [`Input::Discovered`].
    Discover,
    /// Fetch a token by REST; answer with [`Input::TokenFetched`].
    FetchToken {
        /// For whom.
        user: UserId,
        /// The password.
        password: Password,
    },
    /// Get the session its next token; answer with [`Input::TokenProvided`]. There is one such ask at a time, and it
    /// goes on over [`Action::Hangup`] until [`Action::DropRenewal`] or [`Action::Closed`].
    RenewToken {
        /// For whom and why.
        request: TokenRequest,
        /// Where from.
        from: TokenSource,
    },
    /// Give up the ask for a token; nothing of it may be reported afterwards.
    DropRenewal,
    /// Connect a WebSocket; answer with [`Input::Connected`] or [`Input::Lost`].
    Connect {
        /// Where; whole, and without the session's secrets where it is shown.
        url: ServerText,
    },
    /// Send a binary message. It holds a token in PROVISION and LOGOUT: never log its bytes.
    Transmit(Frame),
    /// Give up whatever is under way: the socket, a connect, a REST call of the way in. Nothing of it may be reported
    /// afterwards.
    Hangup,
    /// Tell the subscribers.
    Emit(EventKind),
    /// Tell the subscribers an event that the message handler gets as well.
    Publish(Event),
    /// Have the message handler handle a page, then keep its key if it has one; answer with [`Input::Handled`] or
    /// [`Input::Postponed`]. No two pages of one queue are given out at once, and no more than [`Limits::pulls`](crate::Limits) in all. What is
    /// handled goes on over [`Action::Hangup`]; nothing more of it may begin after [`Action::Closed`].
    Deliver(Page),
    /// Read the keys kept for the account; answer with [`Input::Cursors`]. No queue is pulled before.
    LoadCursors {
        /// What to answer with.
        load: u64,
        /// Whose keys.
        user: UserId,
    },
    /// The login asked for by [`Input::Open`] is over.
    Opened(Result<(), OpenError>),
    /// An [`Input::Open`] came at the wrong time; the login under way is not touched.
    Rejected(OpenError),
    /// The session is over; whoever asked for the end can be told.
    Closed,
    /// A send, or a request for a chat room, is over.
    Sent {
        /// Its client id.
        client_id: u64,
        /// What came of it.
        outcome: Result<Sent, SendError>,
    },
    /// Something worth a log record.
    Note(Diagnostic),
}

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
        /// Who did it last, as the service says, cut at [`Claims::MAX_CHARS`](crate::Claims::MAX_CHARS).
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
    /// Some messages do not decode; those of a page are told as [`EventKind::Unknown`], as they
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

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionState {
    /// Nobody is logged in and nothing is under way.
    #[default]
    LoggedOut,
    /// A login is under way.
    LoggingIn {
        /// The step it is at.
        step: ConnectStep,
    },
    /// Logged in, the link is up.
    Online,
    /// Logged in, the link is lost, and the client is on its way back.
    Reconnecting {
        /// Which attempt is under way or comes next, from 1.
        attempt: u32,
    },
    /// Saying goodbye.
    LoggingOut,
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionState::LoggedOut => f.write_str("logged out"),
            ConnectionState::LoggingIn { step } => write!(f, "logging in ({step})"),
            ConnectionState::Online => f.write_str("online"),
            ConnectionState::Reconnecting { attempt } => write!(f, "reconnecting (attempt {attempt})"),
            ConnectionState::LoggingOut => f.write_str("logging out"),
        }
    }
}
