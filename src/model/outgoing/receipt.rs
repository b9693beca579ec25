//! Telling others that their messages arrived or were read (messages spec §3).

use std::sync::Arc;

use super::Outgoing;
use crate::{
    model::{
        error::SendError,
        message::{ChatType, Conversation, Message},
    },
    wire::{
        Content,
        message_body::{MessageConfig, Type as MessageType},
    },
};

/// Receipts. All go by the server's id of a message.
impl Outgoing {
    /// Notifies the sender of a message between two users that it arrived.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for a message of a group or chat room, an own one, and one without an id or sender.
    pub fn delivered(message: &Message) -> Result<Self, SendError> {
        Self::delivered_by_id(sender(message)?, message.id)
    }

    /// Notifies a user that the message arrived that has this id.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for a conversation that is not with a user, and for the id 0.
    pub fn delivered_by_id(to: impl Into<Conversation>, server_id: u64) -> Result<Self, SendError> {
        Self::about(user(to.into())?, MessageType::DeliverAck, server_id)
    }

    /// Reports that a message was read: its sender, or in a group or thread the group, as
    /// [`group_read`](Outgoing::group_read) does.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for a message of a chat room, an own one, and one without an id or sender.
    pub fn read(message: &Message) -> Result<Self, SendError> {
        match message.chat {
            ChatType::Group if message.own => Err(own()),
            ChatType::Group => Self::read_in(message.conversation(), message.id, None),
            ChatType::Single | ChatType::Room => Self::read_by_id(sender(message)?, message.id),
        }
    }

    /// Notifies a user that the message was read that has this id.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for a conversation that is not with a user, and for the id 0.
    pub fn read_by_id(to: impl Into<Conversation>, server_id: u64) -> Result<Self, SendError> {
        Self::about(user(to.into())?, MessageType::ReadAck, server_id)
    }

    /// Notifies a group that the message was read that has this id, with any text for its sender. Meant for messages
    /// that [ask for it](crate::messages::MessageExtras::wants_group_receipts).
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for an id of a group that cannot be one, and for the message id 0.
    pub fn group_read(group: impl Into<Arc<str>>, server_id: u64, content: Option<String>) -> Result<Self, SendError> {
        Self::read_in(Conversation::Group(group.into()), server_id, content)
    }

    fn read_in(group: Conversation, server_id: u64, content: Option<String>) -> Result<Self, SendError> {
        let mut receipt = Self::about(group, MessageType::ReadAck, server_id)?;
        receipt.body.msg_config = Some(MessageConfig { allow_group_ack: Some(true) });
        receipt.body.ack_content = content;
        Ok(receipt)
    }

    /// Reports that everything in a conversation was read: the service's count of unread messages goes to 0, and this
    /// account's other devices are notified. The protocol's description has it for users and groups (messages spec §3).
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for a conversation that cannot be one.
    pub fn conversation_read(of: impl Into<Conversation>) -> Result<Self, SendError> {
        Self::new(of.into(), MessageType::ChannelAck, Content::default())
    }
}

fn sender(message: &Message) -> Result<Conversation, SendError> {
    match message.chat {
        _ if message.own => Err(own()),
        ChatType::Single => Ok(Conversation::User(Arc::clone(&message.from))),
        ChatType::Group | ChatType::Room => Err(not_single()),
    }
}

fn user(to: Conversation) -> Result<Conversation, SendError> {
    if to.chat() == ChatType::Single { Ok(to) } else { Err(not_single()) }
}

fn own() -> SendError {
    SendError::Invalid("a receipt is for messages of others, and this account sent that one itself".to_owned())
}

fn not_single() -> SendError {
    SendError::Invalid("such a receipt is for messages between two users".to_owned())
}
