//! WebSocket: frames, the socket they go over, and what waits to be written.

pub(crate) mod frame;
pub(crate) mod outbox;
pub(crate) mod socket;
