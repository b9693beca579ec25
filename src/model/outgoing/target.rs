//! Whom a message is for: ids that can be such, and how they stand on the wire (messages spec §1.2).

use std::sync::Arc;

use crate::{
    model::{
        account::{AppKey, UserId},
        error::SendError,
        message::{ChatType, Conversation},
    },
    wire::{Jid, message_body::Type as MessageType},
};

/// The longest id of a group, chat room, thread or device, in bytes. It keeps a mistake out of the frame.
const MAX_ID: usize = 255;

/// Returns the conversation, a user's id in lower case, when its id can be one.
pub(super) fn checked(to: Conversation) -> Result<Conversation, SendError> {
    Ok(match to {
        Conversation::User(id) => match id.split_once('/') {
            None => Conversation::User(recipient(&id)?.shared()),
            Some((user, device)) => {
                let user = recipient(user)?;
                check("device", device)?;
                Conversation::user(format!("{user}/{device}"))
            }
        },
        Conversation::Group(id) => Conversation::Group(place("group", id)?),
        Conversation::Room(id) => Conversation::Room(place("chat room", id)?),
        Conversation::Thread(id) => Conversation::Thread(place("thread", id)?),
    })
}

pub(super) fn recipient(id: &str) -> Result<UserId, SendError> {
    if id.is_empty() {
        return Err(SendError::Invalid("it has no recipient".to_owned()));
    }
    id.parse().map_err(|error| SendError::Invalid(format!("its recipient: {error}")))
}

/// Returns the id of a group, chat room or thread: of 1 to [`MAX_ID`] bytes, without control characters.
pub(super) fn place(kind: &str, id: Arc<str>) -> Result<Arc<str>, SendError> {
    check(kind, &id).map(|()| id)
}

fn check(kind: &str, id: &str) -> Result<(), SendError> {
    let wrong = if id.is_empty() {
        "is empty".to_owned()
    } else if id.len() > MAX_ID {
        format!("has {} bytes; at most {MAX_ID} are allowed", id.len())
    } else if id.chars().any(char::is_control) {
        "has a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(SendError::Invalid(format!("the {kind}'s id {wrong}")))
}

pub(crate) fn bare(to: &Conversation) -> &str {
    match to {
        Conversation::User(id) => id.split_once('/').map_or(&**id, |(user, _)| user),
        other => other.id(),
    }
}

pub(crate) fn jid(to: &Conversation, app_key: &AppKey) -> Jid {
    match to {
        Conversation::User(id) => match id.split_once('/') {
            Some((user, device)) => Jid::user(app_key.as_str(), user).with_resource(device),
            None => Jid::user(app_key.as_str(), id),
        },
        place => Jid::group(app_key.as_str(), place.id()),
    }
}

pub(crate) fn message_type(to: &Conversation) -> MessageType {
    match to.chat() {
        ChatType::Single => MessageType::Chat,
        ChatType::Group => MessageType::Groupchat,
        ChatType::Room => MessageType::Chatroom,
    }
}

pub(crate) fn named(name: &str) -> Jid {
    Jid { name: Some(name.to_owned()), ..Jid::default() }
}
