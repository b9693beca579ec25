//! Optional message metadata (messages spec §2.6).

use std::sync::Arc;

use super::{Claims, Json};
use crate::util::{
    impls::impl_debug,
    weight::{flat, weigh},
};

/// Optional message metadata; most messages have none.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MessageExtras {
    /// The device of this account that sent it, where it is an own message (messages spec §2.7) and the server said.
    pub from_device: Option<Arc<str>>,
    /// The device it is for, where it is for one only.
    pub to_device: Option<Arc<str>>,
    /// Set if the receiver was online when it was sent, where the service says so.
    pub online: Option<OnlineState>,
    /// Set if the service replaced its content on the way.
    pub replaced: bool,
    /// Set if the sender asks for read receipts of the group.
    pub wants_group_receipts: Option<bool>,
    /// The thread it was written in, where it was in one.
    pub thread: Option<ThreadOrigin>,
    /// The thread that began at it, where one did.
    pub thread_overview: Option<ThreadOverview>,
    /// Reactions to it.
    pub reactions: Vec<ReactionSummary>,
    /// Translations of its text.
    pub translations: Vec<Translation>,
    /// Its last edit, where it was edited.
    pub edit: Option<EditInfo>,
    /// Set if it was read, where the service says so.
    pub read: Option<bool>,
    /// Set if it was delivered, where the service says so.
    pub delivered: Option<bool>,
    /// The priority in a chat room; `None` outside of one.
    pub priority: Option<Priority>,
    /// Set if it went to all chat rooms at once.
    pub broadcast: bool,
    /// The message's claims about its sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

impl MessageExtras {
    pub(crate) const NONE: MessageExtras = MessageExtras::with_priority(None);

    /// The extras of a chat room's message without any others.
    pub(crate) const ROOM: MessageExtras = MessageExtras::with_priority(Some(Priority::Normal));

    const fn with_priority(priority: Option<Priority>) -> Self {
        MessageExtras {
            from_device: None,
            to_device: None,
            online: None,
            replaced: false,
            wants_group_receipts: None,
            thread: None,
            thread_overview: None,
            reactions: Vec::new(),
            translations: Vec::new(),
            edit: None,
            read: None,
            delivered: None,
            priority,
            broadcast: false,
            claims: None,
        }
    }
}

/// Set if a receiver was online when a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnlineState {
    /// It was offline.
    Offline,
    /// It was online.
    Online,
    /// The service gave a number this release does not know.
    Unknown,
}

/// Priority of a chat room's message when there are too many (messages spec §1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Kept first.
    High,
    /// The default.
    #[default]
    Normal,
    /// Dropped first.
    Low,
}

/// The thread a message was written in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadOrigin {
    /// The message the thread began at; 0 where the server did not say.
    pub message_id: u64,
    /// The group the thread belongs to.
    pub group: String,
    /// The thread's name.
    pub name: String,
}

/// The thread that began at a message. `Debug` does not show its last message, which may hold the secret of a file.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ThreadOverview {
    /// The thread's id.
    pub id: String,
    /// The group it belongs to.
    pub group: String,
    /// Its name.
    pub name: String,
    /// The number of messages.
    pub messages: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// When it last changed, in milliseconds since 1970.
    pub updated_at: u64,
    /// Its last message in the service's REST form, JSON (messages spec §5.4).
    pub last_message: Option<Json>,
}

impl_debug! { ThreadOverview { id, group, name, messages, created_at, updated_at, .. } }

/// A reaction to a message, by all who reacted so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactionSummary {
    /// The reaction, such as an emoji.
    pub reaction: String,
    /// Users who reacted so.
    pub count: u64,
    /// Some of them.
    pub users: Vec<String>,
    /// Set if this account is among them, where the service says so.
    pub own: bool,
}

/// A translation of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Translation {
    /// The language's code.
    pub language: String,
    /// The text in it.
    pub text: String,
}

/// The last edit of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditInfo {
    /// The number of edits.
    pub count: u32,
    /// The user who edited it last.
    pub operator: String,
    /// When, in milliseconds since 1970.
    pub time: u64,
}

flat!(OnlineState, Priority);

weigh! {
    MessageExtras {
        from_device, to_device, online, replaced, wants_group_receipts, thread, thread_overview, reactions, translations,
        edit, read, delivered, priority, broadcast, claims
    }
    ThreadOrigin { message_id, group, name }
    ThreadOverview { id, group, name, messages, created_at, updated_at, last_message }
    ReactionSummary { reaction, count, users, own }
    Translation { language, text }
    EditInfo { count, operator, time }
}
