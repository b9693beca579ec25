//! What applications see and name: values, without input or output.

pub(crate) mod account;
pub(crate) mod auth;
pub(crate) mod error;
mod event;
pub(crate) mod message;
pub(crate) mod notice;
pub(crate) mod outgoing;
pub(crate) mod redactor;
pub(crate) mod server_text;

pub(crate) use event::Ticket;
pub use event::{Event, EventKind, EventMask};
