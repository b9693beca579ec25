//! Word that a message was taken back.

use std::sync::Arc;

use crate::{Conversation, weight::weigh};

/// Word that a message was taken back (messages spec §2.9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recall {
    /// The recall's own id; 0 where the server gave none.
    pub id: u64,
    /// Who took it back; `None` when it was the administration of the app.
    pub from: Option<Arc<str>>,
    /// To whom the message was: a user, group or room.
    pub to: Arc<str>,
    /// Whether another device of this account took it back.
    pub own: bool,
    /// Whether `to` is a group, thread or chat room.
    pub group: bool,
    /// When the server took the recall, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The server id of the message that is gone.
    pub message: u64,
    /// The text that came with the recall.
    pub ext: Option<String>,
}

impl Recall {
    /// The conversation the message was in; `None` where the service does not say with whom.
    ///
    /// A thread or a chat room comes as [`Conversation::Group`], for the service does not tell them from groups here.
    #[must_use]
    pub fn conversation(&self) -> Option<Conversation> {
        match &self.from {
            _ if self.group => Some(Conversation::Group(Arc::clone(&self.to))),
            _ if self.own => Some(Conversation::User(Arc::clone(&self.to))),
            from => from.clone().map(Conversation::User),
        }
    }
}

weigh! { Recall { id, from, to, own, group, timestamp, message, ext } }
