//! Public values, without input or output.

pub(crate) mod account;
pub(crate) mod admission;
pub(crate) mod auth;
pub(crate) mod error;
mod event;
mod event_kind;
pub(crate) mod message;
pub(crate) mod notice;
mod observer;
pub(crate) mod origin;
pub(crate) mod outgoing;
pub(crate) mod redactor;
pub(crate) mod server_text;
mod state;
pub(crate) mod totals;

pub use event::Event;
pub(crate) use event::Ticket;
pub(crate) use event_kind::events;
pub use event_kind::{EventKind, EventMask};
pub(crate) use observer::{Observed, Observer};
pub use state::ConnectionState;
