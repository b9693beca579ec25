//! WebSocket: framing, the link, and the queue of frames to write.

pub(crate) mod frame;
pub(crate) mod link;
pub(crate) mod write_queue;
