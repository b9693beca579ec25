//! WebSocket: frames, the socket they go over, and what waits to be written.

pub(crate) mod frame;
pub(crate) mod socket;
pub(crate) mod write_queue;
