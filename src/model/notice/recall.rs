use std::sync::Arc;

use crate::{
    model::message::{Claims, Conversation},
    util::weight::weigh,
};

/// Notice that a message was recalled (messages spec §2.9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recall {
    /// The recall's own id; 0 where the server gave none.
    pub id: u64,
    /// The user who recalled it, as the service says; `None` for recalls without a name, as the app's own: see
    /// `sender`.
    pub from: Option<Arc<str>>,
    /// The recall's sender, as the service says, also where the recall names nobody; else empty.
    pub sender: Arc<str>,
    /// To whom the message was, as the service says: a user, group or room.
    pub to: Arc<str>,
    /// Set if another device of this account took it back.
    pub own: bool,
    /// Set if `to` is a group, thread or chat room.
    pub group: bool,
    /// When the server took the recall, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The server id of the message that is gone.
    pub message: u64,
    /// The text that came with the recall.
    pub ext: Option<String>,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

impl Recall {
    /// Returns the conversation the message was in; `None` where the service does not say with whom.
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

weigh! { Recall { id, from, sender, to, own, group, timestamp, message, ext, claims } }
