//! Client for Agora Chat (Easemob) instant messaging, built on actix: register, log in, stay online, send with a known
//! outcome, receive without loss, tell subscribers what happens, log out.
//!
//! ```no_run
//! use agora_chat::{Config, Connection, Credentials, EventHandler};
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let connection = Connection::start(Config::new("org#app")?)?;
//!     connection.add_event_handler(
//!         "console",
//!         EventHandler::new()
//!             .on_connected(|| println!("connected"))
//!             .on_disconnected(|reason| println!("logged out: {reason}")),
//!     )?;
//!     connection.open(Credentials::password("alice", std::env::var("CHAT_PASSWORD")?)?).await?;
//!     connection.send_text("bob", "Hello, Bob!").await?;
//!     connection.close().await;
//!     Ok(())
//! }
//! ```
//!
//! # The shape
//!
//! ```text
//!   Connection (handle) --- messages ---> ConnectionActor ---> HandlerRegistry ---> subscriber actors
//!     any thread                            |         |                             closures (EventHandler)
//!                                       session     socket, rest                    LoggerActor
//!                                   (decides, pure) (act)                           (level, terminal, files)
//! ```
//!
//! Three actors do the work, and each has a handle that any thread may hold:
//!
//! | Actor | Handle | Does |
//! |---|---|---|
//! | [`ConnectionActor`] | [`Connection`] | keeps one account online: socket, timers, REST calls |
//! | [`HandlerRegistry`] | [`Handlers`] | tells subscribers what happens, and waits for none of them |
//! | [`LoggerActor`] | [`LogHandle`] | writes the log; its level changes at run time |
//!
//! What a connection does next is decided by [`session::Engine`], a value without a socket, clock or chance of its
//! own. What goes over the wire is in [`wire`], HTTP calls are in [`rest`], and what an application hears is an
//! [`Event`] of an [`EventKind`].
//!
//! # Where to look
//!
//! - Settings, their defaults and bounds: [`Config`], [`Limits`]. Who logs in: [`Credentials`].
//! - What happens when the link is lost, comes and goes, or is taken by another device: [`Reconnect`], [`Flapping`],
//!   [`KickPolicy`]. Proxies and root certificates: [`Proxy`], [`Roots`].
//! - What is kept over restarts: [`StateDir`].
//! - How a connection fares: [`Connection::state`], [`Connection::watch`], [`Connection::health`].
//! - Why something failed or ended: [`OpenError`], [`SendError`], [`RequestError`], [`DisconnectReason`],
//!   [`LossCause`]. Each has a `code()` with the vendor's number, a [`Code`].
//! - Tokens: what one says of itself, and building them from an app's certificate: [`token`].
//! - What can be sent, and to whom: [`Outgoing`], [`Conversation`], [`Bundle`]; what becomes of it:
//!   [`Connection::send`], [`SendError`]. Chat rooms: [`Connection::join_room`], [`RoomRequest`].
//! - What is received: [`EventKind`], [`Message`], [`MessageBody`].
//! - Messages without loss: [`MessageHandler`], [`DeadLetters`]; keys kept over restarts: [`CursorStore`],
//!   [`FileCursors`].
//! - Files, history, presence, attributes, conversations: [`Connection::upload`] and the methods beside it, [`rest`].
//! - Subscribers, what they are promised and who pays for a slow one: [`handlers`].
//! - Logging, also the levels in release builds: [`logger`].
//! - A stand-in for the service, for your own tests: the feature [`local-server`](crate#features).
//!
//! The README has what is supported against the vendor's web SDK, what every event and code means, what the client does
//! in every fault, and all bounds in one table. "Connection spec" and "messages spec" in these pages name sections of the
//! protocol's description, `docs/protocol/connection.md` and `docs/protocol/messages.md` of the repository.
//!
//! # Features
//!
//! - `local-server` (off by default): the module `local_server`, an in-process stand-in for the service on a loopback
//!   port, for tests and demonstrations.
//! - `fuzzing` (off by default): what the fuzz targets run; no part of the public interface.
//!
//! # Running
//!
//! Everything that touches the network runs on [actix] arbiters: start connections inside an actix system
//! (`#[actix::main]`, `#[actix_web::main]`, or an [`Arbiter`](actix::Arbiter) of your own). This crate has no global
//! state that an application sees but the [rate limits](rest::RateLimits) of its REST calls, starts no threads of its own
//! but a logger's, a local server's, and for as long as there is something to do those that look up names and read and
//! write files, and installs neither a logger nor a TLS provider for the process.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

// The programs of the README compile, and those that can, run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod config;
pub mod connection;
mod delivery;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handlers;
#[cfg(feature = "local-server")]
pub mod local_server;
pub mod logger;
mod model;
mod net;
pub mod rest;
pub mod session;
mod store;
#[cfg(test)]
mod tests;
mod util;
pub mod wire;

pub use config::{Addresses, Config, Endpoints, Flapping, KickPolicy, Limits, Reconnect};
pub use connection::{Closed, Connection, ConnectionActor, Health, StateChange, StateWatch, WeakConnection};
pub use delivery::{
    DeadLetter, DeadLetterError, DeadLetterFuture, DeadLetterStore, DeadLetters, Delivery, FileDeadLetters,
    HandlerError, LetterId, MessageHandler, Replayed, StoredLetter,
};
pub use handlers::{EventHandler, HandlerRegistry, Handlers, Overflow, SubscriberId, SubscriberInfo, Subscription};
pub use logger::{LogConfig, LogError, LogHandle, LogLevel, LoggerActor};
pub use model::account::{AccountKey, AppKey, AppKeyError, Device, Nickname, Password, Token, UserId};
pub use model::auth::agora_token as token;
pub use model::auth::{
    Credentials, ProvideToken, ProvidedToken, ProvidingToken, TokenProvider, TokenReason, TokenRequest,
};
pub use model::error::{
    ActorEnd, CertificateProblem, Code, ConfigError, ConnectStep, ConnectionError, CredentialError, DisconnectReason,
    Kick, LossCause, OpenError, ProviderError, Refusal, RefusalKind, RequestError, RestError, RestErrorKind, SendError,
    StateError, TokenError,
};
pub use model::message::{
    Attachment, Bundle, BundleError, BundledMessage, ChatType, Claims, Combined, Conversation, Custom, EditInfo, Ext,
    ExtValue, FileSecret, Image, Json, JsonError, Location, Message, MessageBody, MessageExtras, OnlineState, Priority,
    ReactionSummary, StreamPiece, StreamStatus, ThreadOrigin, ThreadOverview, Translation, Video, Voice,
};
pub use model::notice::{
    ContactChange, ContactEvent, DeviceEvent, DeviceOperation, Edit, MucEvent, MucOperation, MucSettings, PinEvent,
    PresenceEvent, ReactionChange, ReactionEvent, ReactionOperation, Recall, Receipt, ReceiptKind, SilentMode,
    ThreadAct, ThreadEvent, ThreadOperation, UnknownNotice, UserPresence,
};
pub use model::outgoing::{Outgoing, RoomInfo, RoomRequest, Sent, SentEdit};
pub use model::server_text::ServerText;
pub use model::{Event, EventKind, EventMask};
pub use net::{Proxy, ProxyError, Roots, RootsError};
pub use rest::RestClient;
pub use session::ConnectionState;
pub use store::{Cursor, CursorError, CursorFuture, CursorStore, FileCursors, StateDir};
