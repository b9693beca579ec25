//! One account's connection: the actor that acts, and the handle that applications hold.
//!
//! # At the end of a program
//! A connection lives on an arbiter, and an arbiter ends with its actix system. Where the system stops first, no LOGOUT
//! is sent, [`close`](Connection::close) answers [`Closed::ActorGone`], and live subscribers receive `Disconnected`
//! with [`DisconnectReason::ActorEnded`](crate::DisconnectReason::ActorEnded). So close first, then stop:
//!
//! - Take SIGTERM and SIGINT from the start of the program, also while a login is under way: `tokio::signal`, or
//!   `actix_web::rt::signal`.
//! - `actix_web::HttpServer` takes them itself, stops the **whole system** and with it every arbiter of
//!   [`start_on`](Connection::start_on), before `run().await` returns. Tell it to `disable_signals()`; at a signal
//!   close the connections, all at once, then await `ServerHandle::stop(true)`: requests that wait for a buffered send
//!   are then answered at once.
//! - `examples/actix_web_app.rs` is a whole program that does so.

mod actor;
mod admitting;
mod api;
mod closed;
mod core;
mod driver;
mod effects;
mod handle;
mod health;
mod lazy_rest;
mod log;
mod messages;
mod page_tasks;
mod session_calls;
mod stats;
#[cfg(test)]
#[cfg(feature = "local-server")]
mod tests;
mod token_cache;
mod token_fetch;
mod transient_failures;
mod unwritten;
mod watch;

pub use actor::ConnectionActor;
pub use closed::Closed;
pub use handle::{Connection, WeakConnection};
pub use health::Health;
pub use messages::{
    Abandon, ChangeRoom, Close, GetHealth, NetworkChanged, Open, RegisterUser, RenewToken, SendMessage, State,
};
pub use session_calls::{
    DeleteHistory, DownloadFile, GetAttributes, GetConversations, GetHistory, GetPresence, GetPresenceSubscriptions,
    PublishPresence, SetAttributes, SubscribePresence, UnsubscribePresence, UploadFile,
};
pub use watch::{StateChange, StateWatch};
