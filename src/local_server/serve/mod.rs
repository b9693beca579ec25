//! The server's thread: its port, the HTTP service and WebSocket links, around one shared state.

pub(crate) mod control;
pub(crate) mod front;
pub(crate) mod http;
pub(crate) mod shared;
mod socket;
