use std::sync::Arc;

use crate::{
    model::message::{Claims, Json},
    util::{impls::impl_debug, weight::weigh},
};

/// A change of a thread of a group (messages spec §4.1, §4.4).
///
/// `Debug` does not show the last message, which may hold the secret of a file.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ThreadEvent {
    /// The notice's id; 0 where the server gave none.
    pub id: u64,
    /// The thread.
    pub thread: Arc<str>,
    /// Its name.
    pub name: String,
    /// The group it belongs to.
    pub group: Arc<str>,
    /// The message it began at; 0 where the service did not say.
    pub message: u64,
    /// The user who did it; empty where the service gave nobody.
    pub from: Arc<str>,
    /// When, in milliseconds since 1970; 0 where the service did not say.
    pub timestamp: u64,
    /// The number of messages, where the service says so.
    pub messages: Option<u64>,
    /// Its last message in the service's REST form, JSON (messages spec §5.4), where it comes along.
    pub last_message: Option<Json>,
    /// The change.
    pub operation: ThreadOperation,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

/// Kind of change of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadOperation {
    /// It was created.
    Created,
    /// Its name changed.
    Updated,
    /// Its last message changed: one came, or was recalled.
    MessagesChanged,
    /// It was destroyed.
    Destroyed,
    /// A user was removed from it.
    UserRemoved {
        /// Who; empty where the service did not say.
        user: Arc<str>,
    },
}

impl_debug! { ThreadEvent { id, thread, name, group, message, from, timestamp, messages, operation, claims, .. } }

weigh! {
    ThreadEvent {
        id, thread, name, group, message, from, timestamp, messages, last_message, operation, claims
    }
}

weigh! { enum ThreadOperation { Created, Updated, MessagesChanged, Destroyed, UserRemoved { user } } }
