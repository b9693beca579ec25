//! Messages pinned to the top of a conversation.

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
    /// Where.
    pub conversation: Conversation,
    /// Who did it.
    pub from: Arc<str>,
    /// When, in milliseconds since 1970.
    pub timestamp: u64,
    /// Whether it is pinned now.
    pub pinned: bool,
    /// What the notice says of its own sender or conversation, where the service says otherwise.
    pub claims: Option<Box<Claims>>,
}

weigh! { PinEvent { id, message, conversation, from, timestamp, pinned, claims } }
