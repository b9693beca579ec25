//! Reactions to messages.

use crate::{
    model::message::{ChatType, Claims},
    util::weight::weigh,
};

/// Reactions to messages changed (messages spec §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactionEvent {
    /// The notice's id; 0 where the server gave none.
    pub id: u64,
    /// What changed, by message.
    pub changes: Vec<ReactionChange>,
    /// What the notice says of its own sender or conversation, where the service says otherwise.
    pub claims: Option<Box<Claims>>,
}

/// The reactions to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactionChange {
    /// Who changed them.
    pub from: String,
    /// Whom the notice is for, or the group.
    pub to: String,
    /// The kind of conversation the message is in.
    pub chat: ChatType,
    /// The server id of the message.
    pub message: u64,
    /// When, in milliseconds since 1970.
    pub timestamp: u64,
    /// The reactions as they are now, and what was done to each.
    pub reactions: Vec<ReactionOperation>,
}

/// One reaction to a message, and what was done to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactionOperation {
    /// The reaction, such as an emoji.
    pub reaction: String,
    /// How many users react so now.
    pub count: u64,
    /// Some of them.
    pub users: Vec<String>,
    /// Who added it just now.
    pub added_by: Vec<String>,
    /// Who took it back just now.
    pub removed_by: Vec<String>,
}

impl ReactionChange {
    /// Whether it names nothing at all.
    pub(crate) fn says_nothing(&self) -> bool {
        let ReactionChange { from, to, chat: _, message, timestamp, reactions } = self;
        from.is_empty() && to.is_empty() && *message == 0 && *timestamp == 0 && reactions.is_empty()
    }
}

weigh! {
    ReactionEvent { id, changes, claims }
    ReactionChange { from, to, chat, message, timestamp, reactions }
    ReactionOperation { reaction, count, users, added_by, removed_by }
}
