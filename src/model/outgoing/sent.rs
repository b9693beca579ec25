use super::RoomInfo;
use crate::model::message::{ChatType, Message};

/// The server has taken a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sent {
    /// The id it was sent with.
    pub client_id: u64,
    /// The id every other party sees. It may exceed 2^53, so give it to JSON as text.
    pub server_id: u64,
    /// When the server took it, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// For an edit: what it was made of.
    pub edit: Option<Box<SentEdit>>,
    /// The message as the service delivers it, where it put other content in its place.
    pub replaced: Option<Box<Message>>,
    /// For joining a chat room: what the service says of it.
    pub room: Option<Box<RoomInfo>>,
}

impl Sent {
    pub(crate) fn new(client_id: u64, server_id: u64, timestamp: u64) -> Self {
        Sent { client_id, server_id, timestamp, edit: None, replaced: None, room: None }
    }
}

/// An edit that the server has taken (messages spec §1.9); texts are empty and numbers 0 where it did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentEdit {
    /// Edits of the message, this one included.
    pub count: u32,
    /// The user who edited it.
    pub operator: String,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// The message's sender.
    pub sender: String,
    /// When, in milliseconds since 1970.
    pub sent_at: u64,
    /// The kind of conversation it is in.
    pub chat: Option<ChatType>,
}
