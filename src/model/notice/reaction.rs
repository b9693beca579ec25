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
    /// The changes, by message.
    pub changes: Vec<ReactionChange>,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

/// The reactions to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactionChange {
    /// The user who changed them.
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
    /// Users who react so now.
    pub count: u64,
    /// Some of them.
    pub users: Vec<String>,
    /// Users who added it just now.
    pub added_by: Vec<String>,
    /// Users who removed it just now.
    pub removed_by: Vec<String>,
}

impl ReactionChange {
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
