//! Client for Agora Chat (Easemob) instant messaging, built on actix.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod app_key;
mod code;
mod config;
pub mod connection;
mod credentials;
mod error;
mod event;
pub mod handlers;
mod http;
#[cfg(feature = "local-server")]
pub mod local_server;
pub mod logger;
mod net;
mod outgoing;
mod reason;
pub mod rest;
pub mod session;
pub mod wire;

pub use app_key::{AppKey, AppKeyError};
pub use code::Code;
pub use config::{Addresses, Config, ConfigError, Device, Endpoints, Reconnect};
pub use connection::{Connection, ConnectionActor};
pub use credentials::{CredentialError, Credentials, Nickname, Password, Token, UserId};
pub use error::{ConnectionError, OpenError, RequestError, SendError};
pub use event::{ChatType, Event, EventKind, EventMask, Message, MessageBody};
pub use handlers::{EventHandler, HandlerRegistry, Handlers, SubscriberId, SubscriberInfo};
pub use logger::{LogConfig, LogError, LogHandle, LogLevel, LoggerActor};
pub use net::{CertificateProblem, Proxy, ProxyError, Roots, RootsError};
pub use outgoing::{Outgoing, Sent};
pub use reason::{DisconnectReason, Kick, LossCause, Refusal, RefusalKind, Step};
pub use rest::{RestClient, RestError, RestErrorKind};
pub use session::ConnectionState;
