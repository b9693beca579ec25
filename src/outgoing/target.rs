//! Whom a message is for, checked.

use std::sync::Arc;

use crate::{
    AppKey, ChatType, Conversation, SendError, UserId,
    wire::{Jid, message_body::Type as MessageType},
};

/// The longest id of a group, chat room or thread, and the longest resource, in bytes. The service's own are much shorter;
/// the bound keeps a mistake out of the frame.
const MAX_ID: usize = 255;

/// Where a message goes, with an id that can be one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// A user, or one device of the user.
    User {
        user: UserId,
        resource: Option<Arc<str>>,
    },
    Group(Arc<str>),
    Room(Arc<str>),
    Thread(Arc<str>),
}

impl Target {
    pub(super) fn new(to: Conversation) -> Result<Self, SendError> {
        match to {
            Conversation::User(id) => Self::user(&id),
            Conversation::Group(id) => place("group", id).map(Target::Group),
            Conversation::Room(id) => place("chat room", id).map(Target::Room),
            Conversation::Thread(id) => place("thread", id).map(Target::Thread),
        }
    }

    /// `user` or `user/resource` (messages spec §1.2).
    fn user(id: &str) -> Result<Self, SendError> {
        let (user, resource) = match id.split_once('/') {
            Some((user, resource)) => (user, Some(resource)),
            None => (id, None),
        };
        let user = recipient(user)?;
        let resource = resource.map(|resource| place("device", resource.into())).transpose()?;
        Ok(Target::User { user, resource })
    }

    /// The id, without a device.
    pub(super) fn id(&self) -> &str {
        match self {
            Target::User { user, .. } => user.as_str(),
            Target::Group(id) | Target::Room(id) | Target::Thread(id) => id,
        }
    }

    pub(super) fn conversation(&self) -> Conversation {
        match self {
            Target::User { user, resource: None } => Conversation::User(user.shared()),
            Target::User { user, resource: Some(resource) } => Conversation::user(format!("{user}/{resource}")),
            Target::Group(id) => Conversation::Group(Arc::clone(id)),
            Target::Room(id) => Conversation::Room(Arc::clone(id)),
            Target::Thread(id) => Conversation::Thread(Arc::clone(id)),
        }
    }

    pub(super) fn chat(&self) -> ChatType {
        match self {
            Target::User { .. } => ChatType::Single,
            Target::Group(_) | Target::Thread(_) => ChatType::Group,
            Target::Room(_) => ChatType::Room,
        }
    }

    /// `Meta.to`.
    pub(super) fn jid(&self, app_key: &AppKey) -> Jid {
        match self {
            Target::User { user, resource } => {
                let user = Jid::user(app_key.as_str(), user.as_str());
                match resource {
                    Some(resource) => user.with_resource(resource),
                    None => user,
                }
            }
            Target::Group(id) | Target::Room(id) | Target::Thread(id) => Jid::group(app_key.as_str(), id),
        }
    }

    /// `MessageBody.type` of what is said there.
    pub(super) fn message_type(&self) -> MessageType {
        match self.chat() {
            ChatType::Single => MessageType::Chat,
            ChatType::Group => MessageType::Groupchat,
            ChatType::Room => MessageType::Chatroom,
        }
    }
}

/// A user who is to receive something.
pub(super) fn recipient(id: &str) -> Result<UserId, SendError> {
    if id.is_empty() {
        return Err(SendError::Invalid("it has no recipient".to_owned()));
    }
    id.parse().map_err(|error| SendError::Invalid(format!("its recipient: {error}")))
}

/// The id of a group, room, thread or device: of 1 to [`MAX_ID`] bytes, without control characters.
pub(super) fn place(kind: &str, id: Arc<str>) -> Result<Arc<str>, SendError> {
    let wrong = if id.is_empty() {
        "is empty".to_owned()
    } else if id.len() > MAX_ID {
        format!("has {} bytes; at most {MAX_ID} are allowed", id.len())
    } else if id.chars().any(char::is_control) {
        "has a control character".to_owned()
    } else {
        return Ok(id);
    };
    Err(SendError::Invalid(format!("the {kind}'s id {wrong}")))
}
