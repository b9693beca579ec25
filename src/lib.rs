//! Client for Agora Chat (Easemob) instant messaging, built on actix: register, log in, stay online, send with a known
//! outcome, receive without loss, tell subscribers what happens, log out.
//!
//! ```no_run
//! use agora_chat::{Config, Connection, Credentials, EventHandler};
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let connection = Connection::start(Config::builder("org#app").build()?)?;
//!     connection.add_event_handler(
//!         "console",
//!         EventHandler::new()
//!             .on_connected(|_| println!("connected"))
//!             .on_disconnected(|_, reason| println!("logged out: {reason}")),
//!     )?;
//!     connection.open(Credentials::password("alice", std::env::var("CHAT_PASSWORD")?)?).await?;
//!     connection.send_text("bob", "Hello, Bob!").await?;
//!     connection.close().await;
//!     Ok(())
//! }
//! ```
//!
//! # Where to go from here
//!
//! | Task | Guide | Start with |
//! |---|---|---|
//! | Log in, register, log out | [The service](guide::operating#the-service) | [`Config`], [`Credentials`], [`Connection::open`] |
//! | Renew tokens | [Tokens](guide::events#tokens) | [`Credentials::provider`], [`Connection::renew_token`] |
//! | Send messages and files, use chat rooms | [Sending](guide::sending) | [`Connection::send`], [`Outgoing`], [`Conversation`] |
//! | Receive without loss | [Receiving without loss](guide::delivery) | [`MessageHandler`], [`Delivery`], [`CursorStore`](store::CursorStore) |
//! | Subscribe to events | [Events](guide::events) | [`EventHandler`], [`Event`], [`Subscription`] |
//! | Reconnect, and survive kicks | [Reconnecting](guide::reconnecting) | [`Reconnect`], [`KickPolicy`] |
//! | Understand an error | [Codes](guide::codes), [faults](guide::faults) | [`OpenError`], [`SendError`], [`DisconnectReason`] |
//! | Log | [Logging](guide::operating#logging) | [`LogConfig`], [`LoggerActor`], [`LogLevel`] |
//! | Deploy: boot, SIGTERM, systemd, state on disk | [Operating](guide::operating) | [`Connection::close`], [`StateDir`] |
//! | Run many accounts | [Many accounts](guide::operating#many-accounts) | [`Connection::start_with`], [`Handlers`] |
//! | Watch a connection | [Watching](guide::operating#watching-a-connection) | [`Connection::watch`], [`Connection::health`] |
//! | Manage users and devices from a server | [Users by REST](guide::operating#users-and-devices-by-rest) | [`RestClient`], [`rest`] |
//! | Test against the local server | [Testing](guide::testing) | the feature [`local-server`](crate#features) |
//! | Come from the vendor's web SDK | [Comparison](guide::compared_with_the_web_sdk) | |
//!
//! The [guide] has all pages, among them [limits](guide::limits), [security](guide::security) and
//! [performance](guide::performance), and [three whole programs](guide::examples). "Connection spec" and "messages spec" on
//! these pages name sections of the [protocol's description](guide::protocol).
//!
//! # The shape
//!
//! ```text
//!   Connection ------ messages -----> ConnectionActor --- events ---> HandlerRegistry -----> subscriber actors,
//!   handle, any thread                 |           |                                         closures (EventHandler)
//!                                   session   socket, rest
//!                             (decides, pure)   (act)
//!
//!   any slog::Logger --- records ---> level ---> bounded queue ---> a thread of its own: terminal, file
//!                                       ^              ^
//!   LogHandle, LoggerActor -------------+--------------+     set the level; flush, reopen, end
//! ```
//!
//! Three actors do the work, and each has a handle that any thread may hold:
//!
//! | Actor | Handle | Does |
//! |---|---|---|
//! | [`ConnectionActor`] | [`Connection`] | keeps one account online: socket, timers, REST calls |
//! | [`HandlerRegistry`] | [`Handlers`] | passes events to subscribers, and waits for none of them |
//! | [`LoggerActor`] | [`LogHandle`] | controls the log by messages; records do not pass through it |
//!
//! What a connection does next is decided by [`session::Engine`], a value without a socket, clock or random numbers of its
//! own. What goes over the wire is in [`wire`], HTTP calls are in [`rest`], and what an application receives is an
//! [`Event`] of an [`EventKind`].
//!
//! The root has what nearly every program names. The rest is in modules: [`account`], [`config`], [`events`], [`messages`],
//! [`errors`], [`admission`], [`delivery`], [`store`], [`network`], [`token`], [`rest`], [`handlers`], [`connection`], [`logger`].
//!
//! # Features
//!
//! - `local-server` (off by default): the module `local_server`, an in-process stand-in for the service on a loopback
//!   port, for tests and demonstrations.
//! - `cli` (off by default): what the program `agora-chat` needs ([`agora-chat fleet run`](guide::fleet#agora-chat-fleet-run));
//!   nothing that a library uses.
//! - `fleet-admin` (off by default): the module [`fleet::admin`](crate::fleet#modules), a fleet's admin interface over HTTP, for an
//!   actix-web application or with a server of its own.
//! - `metrics` (off by default): a fleet's [metrics](guide::metrics) for the facade crate `metrics` as well.
//! - `fuzzing` (off by default): what the fuzz targets run; no part of the public interface.
//!
//! # Running
//!
//! Everything that touches the network runs on [actix] arbiters: start connections inside an actix system
//! (`#[actix::main]`, `#[actix_web::main]`, or an `actix::Arbiter` of your own). This crate has no global
//! state that an application sees but the [rate limits](rest::RateLimits) of its REST calls, starts no threads of its own
//! but a logger's, a local server's, and for as long as there is something to do those that look up names and read and
//! write files, and installs neither a logger nor a TLS provider for the process.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

// The programs of the README compile, and those that can, run; those of the guide do so by its pages.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod config;
pub mod connection;
pub mod delivery;
pub mod fleet;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
#[path = "../tests/fuzz/mod.rs"]
pub mod fuzzing;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod handlers;
#[cfg(feature = "local-server")]
pub mod local_server;
pub mod logger;
mod model;
mod net;
pub mod rest;
pub mod session;
pub mod store;
#[cfg(test)]
mod tests;
mod util;
pub mod wire;

/// Who logs in, and with what: accounts, their names and secrets, and sources of tokens.
pub mod account {
    #[doc(inline)]
    pub use crate::{
        config::Account,
        model::{
            account::{AccountKey, AppKey, AppKeyError, Device, Nickname, Password, Token, UserId},
            auth::{
                Credentials, Expiry, ProvideToken, ProvidingToken, TokenGrant, TokenProvider, TokenReason, TokenRequest,
            },
        },
    };
}

/// When an account may begin to log in or to come back: a permit before every attempt.
pub mod admission {
    #[doc(inline)]
    pub use crate::model::admission::{
        Admission, Attempt, AttemptFailure, AttemptKind, AttemptOutcome, Permit, Ticket,
    };
}

/// Why something failed or ended: one type for each layer, with the vendor's numbers and what to do.
pub mod errors {
    #[doc(inline)]
    pub use crate::model::{
        error::{
            ActorEnd, CertificateProblem, Code, ConfigError, ConnectStep, ConnectionError, CredentialError,
            DisconnectReason, Kick, LossCause, OpenError, ProviderError, Refusal, RefusalKind, RequestError, RestError,
            RestErrorKind, SendError, StateError, TokenError,
        },
        server_text::ServerText,
    };
}

/// What subscribers hear: [`Event`], its kinds, and what each of them holds besides a [message](crate::messages).
pub mod events {
    #[doc(inline)]
    pub use crate::model::{
        Event, EventKind, EventMask,
        notice::{
            ContactChange, ContactEvent, DeviceEvent, DeviceOperation, Edit, MucEvent, MucOperation, MucSettings,
            PinEvent, PresenceEvent, ReactionChange, ReactionEvent, ReactionOperation, Recall, Receipt, ReceiptKind,
            SilentMode, ThreadAct, ThreadEvent, ThreadOperation, UnknownNotice, UserPresence,
        },
    };
}

/// Messages as they are received, and what can be sent.
pub mod messages {
    #[doc(inline)]
    pub use crate::model::{
        message::{
            Attachment, Bundle, BundleError, BundledMessage, ChatType, Claims, Combined, Conversation, Custom,
            EditInfo, Ext, ExtValue, FileSecret, Image, Json, JsonError, Location, Message, MessageBody, MessageExtras,
            OnlineState, Priority, ReactionSummary, StreamPiece, StreamStatus, ThreadOrigin, ThreadOverview,
            Translation, Video, Voice,
        },
        outgoing::{Outgoing, RoomInfo, RoomRequest, Sent, SentEdit},
    };
}

/// How the network is reached: proxies and root certificates, and up to when it may be.
pub mod network {
    #[doc(inline)]
    pub use crate::net::{Gate, Proxy, ProxyError, Roots, RootsError};
}

pub use model::auth::agora_token as token;

// What nearly every program names; all else is in the modules.
#[doc(inline)]
pub use config::{Account, Config, ConfigBuilder, KickPolicy, Limits, Reconnect};
#[doc(inline)]
pub use connection::{Connection, ConnectionActor, WeakConnection};
#[doc(inline)]
pub use delivery::{DeadLetters, Delivery, HandlerError, MessageHandler};
#[doc(inline)]
pub use handlers::{EventHandler, HandlerRegistry, Handlers, Overflow, Subscription};
#[doc(inline)]
pub use logger::{LogConfig, LogHandle, LogLevel, LoggerActor};
#[doc(inline)]
pub use model::{
    ConnectionState, Event, EventKind, EventMask,
    account::{AppKey, UserId},
    auth::{Credentials, TokenProvider},
    error::{Code, ConnectionError, DisconnectReason, LossCause, OpenError, RequestError, SendError},
    message::{Conversation, Message, MessageBody},
    outgoing::{Outgoing, Sent},
};
#[doc(inline)]
pub use rest::RestClient;
#[doc(inline)]
pub use store::StateDir;
