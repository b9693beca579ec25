use std::sync::Arc;

use crate::{
    model::message::{Claims, Conversation, Json},
    util::weight::{flat, weigh},
};

/// An action of this account on another of its devices (messages spec §4.1, §4.4).
///
/// Messages and receipts sent there come as such, marked as own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeviceEvent {
    /// The notice's id; 0 where the server gave none.
    pub id: u64,
    /// The device; empty where the service did not say.
    pub device: Arc<str>,
    /// When, in milliseconds since 1970; 0 where the service did not say.
    pub timestamp: u64,
    /// The action.
    pub operation: DeviceOperation,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

/// An action of another device. The vendor's name of the operation stands in brackets.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DeviceOperation {
    /// It did something with a thread.
    Thread {
        /// The thread.
        thread: Arc<str>,
        /// Its name, which is the new one where it was renamed.
        name: String,
        /// Its group.
        group: Arc<str>,
        /// The action.
        act: ThreadAct,
    },
    /// It changed attributes of a member of a group (`memberAttributesUpdate`).
    MemberAttributesUpdated {
        /// The group.
        group: Arc<str>,
        /// The member.
        user: String,
        /// The attributes.
        attributes: Vec<(String, String)>,
    },
    /// It deleted messages of a conversation that the service kept (`deleteRoaming`).
    HistoryDeleted {
        /// The conversation.
        conversation: Conversation,
        /// The server ids of the messages; none where it was not by id.
        messages: Vec<u64>,
        /// The time before which messages were deleted, in milliseconds since 1970; `None` where it was not by time.
        before: Option<u64>,
        /// The last message that was deleted, where the service says so.
        last: Option<u64>,
    },
    /// It deleted a conversation (`deleteConversation`).
    ConversationDeleted(Conversation),
    /// It pinned a conversation (`pinnedConversation`).
    ConversationPinned(Conversation),
    /// It unpinned a conversation (`unpinnedConversation`).
    ConversationUnpinned(Conversation),
    /// It marked a conversation (`markConversation`).
    ConversationMarked {
        /// The conversation.
        conversation: Conversation,
        /// The number of the mark.
        mark: u64,
    },
    /// It took a mark off a conversation (`unMarkConversation`).
    ConversationUnmarked {
        /// The conversation.
        conversation: Conversation,
        /// The number of the mark.
        mark: u64,
    },
    /// It changed when notifications are silent (`setSilentModeForUser`, `setSilentModeForConversation`,
    /// `removeSilentModeForConversation`).
    SilentModes(Vec<SilentMode>),
}

/// An action of another device on a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThreadAct {
    /// It created it (`chatThreadCreate`).
    Created,
    /// It destroyed it (`chatThreadDestroy`).
    Destroyed,
    /// It joined it (`chatThreadJoin`).
    Joined,
    /// It left it (`chatThreadLeave`).
    Left,
    /// It gave it another name (`chatThreadNameUpdate`).
    Renamed,
}

/// When notifications are silent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SilentMode {
    /// The device that changed it.
    pub device: String,
    /// The conversation; `None` for all.
    pub conversation: Option<Conversation>,
    /// The settings as the service has them, a JSON object; `None` when the conversation has none of its own any more.
    pub settings: Option<Json>,
}

impl SilentMode {
    pub(crate) fn says_nothing(&self) -> bool {
        self.device.is_empty() && self.conversation.is_none() && self.settings.is_none()
    }
}

flat!(ThreadAct);

weigh! {
    DeviceEvent { id, device, timestamp, operation, claims }
    SilentMode { device, conversation, settings }
}

weigh! {
    enum DeviceOperation {
        Thread { thread, name, group, act }, MemberAttributesUpdated { group, user, attributes }, HistoryDeleted {
        conversation, messages, before, last }, ConversationDeleted(value), ConversationPinned(value),
        ConversationUnpinned(value), ConversationMarked { conversation, mark }, ConversationUnmarked { conversation,
        mark }, SilentModes(value)
    }
}
