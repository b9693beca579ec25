//! WebSocket: framing, the socket, and the queue of frames to write.

pub(crate) mod frame;
pub(crate) mod socket;
pub(crate) mod write_queue;
