//! Messages queued for one client.

use bytes::Bytes;

/// A WebSocket message to be written to one client.
pub(crate) enum Outgoing {
    Binary(Bytes),
    Text(String),
    /// One binary message in fragments of this size in bytes.
    Fragments(Bytes, usize),
    /// A Close frame with a code and a text.
    Close(u16, String),
}
