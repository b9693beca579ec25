//! What a taken message is known by.

/// The server has taken a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The id it was sent with.
    pub client_id: u64,
    /// The id every other party sees. It may exceed 2^53, so give it to JSON as text.
    pub server_id: u64,
    /// When the server took it, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
}

impl Sent {
    pub(crate) fn new(client_id: u64, server_id: u64, timestamp: u64) -> Self {
        Sent { client_id, server_id, timestamp }
    }
}
