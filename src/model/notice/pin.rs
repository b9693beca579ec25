use std::sync::Arc;

use crate::{
    model::message::{Claims, Conversation},
    util::weight::weigh,
};

/// A message was pinned in a conversation, or is pinned no more (messages spec §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinEvent {
    /// The notice's id; 0 where the server gave none.
    pub id: u64,
    /// The server id of the message.
    pub message: u64,
    /// The conversation.
    pub conversation: Conversation,
    /// The user who did it.
    pub from: Arc<str>,
    /// When, in milliseconds since 1970.
    pub timestamp: u64,
    /// Set if it is pinned now.
    pub pinned: bool,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

weigh! { PinEvent { id, message, conversation, from, timestamp, pinned, claims } }
