use std::{fmt, sync::Arc};

use crate::util::{
    impls::impl_from,
    weight::{flat, weigh},
};

/// The kind of conversation a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChatType {
    /// Between two users.
    Single,
    /// In a group, or a thread of one.
    Group,
    /// Conversation in a chat room.
    Room,
}

/// A conversation: with a user, in a group, a thread of one, or a chat room (messages spec §1.2).
///
/// A text converts into the conversation with that user.
///
/// ```
/// use agora_chat::Conversation;
/// assert_eq!(Conversation::from("bob"), Conversation::user("bob"));
/// assert_eq!(Conversation::group("182736").to_string(), "group 182736");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Conversation {
    /// With a user. `user/resource` names one device of the user.
    User(Arc<str>),
    /// In a group, by its id.
    Group(Arc<str>),
    /// In a chat room, by its id.
    Room(Arc<str>),
    /// In a thread of a group, by the thread's id.
    Thread(Arc<str>),
}

impl Conversation {
    /// Conversation with a user; `user/resource` names one device of the user.
    #[must_use]
    pub fn user(id: impl Into<Arc<str>>) -> Self {
        Conversation::User(id.into())
    }

    /// In a group.
    #[must_use]
    pub fn group(id: impl Into<Arc<str>>) -> Self {
        Conversation::Group(id.into())
    }

    /// Conversation in a chat room.
    #[must_use]
    pub fn room(id: impl Into<Arc<str>>) -> Self {
        Conversation::Room(id.into())
    }

    /// Conversation in a thread of a group.
    #[must_use]
    pub fn thread(id: impl Into<Arc<str>>) -> Self {
        Conversation::Thread(id.into())
    }

    /// Returns the user's, group's, room's or thread's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Conversation::User(id) | Conversation::Group(id) | Conversation::Room(id) | Conversation::Thread(id) => id,
        }
    }

    /// Returns the kind of conversation; a thread counts as its group.
    #[must_use]
    pub fn chat(&self) -> ChatType {
        match self {
            Conversation::User(_) => ChatType::Single,
            Conversation::Group(_) | Conversation::Thread(_) => ChatType::Group,
            Conversation::Room(_) => ChatType::Room,
        }
    }
}

impl_from! { Conversation {
    |user: &str| Conversation::user(user);
    |user: String| Conversation::user(user);
    |user: &String| Conversation::user(user.as_str());
    |user: Arc<str>| Conversation::User(user);
    |user: &Arc<str>| Conversation::User(Arc::clone(user));
} }

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Conversation::User(_) => "user",
            Conversation::Group(_) => "group",
            Conversation::Room(_) => "room",
            Conversation::Thread(_) => "thread",
        };
        write!(f, "{kind} {}", self.id())
    }
}

flat!(ChatType);

weigh! { enum Conversation { User(value), Group(value), Room(value), Thread(value) } }
