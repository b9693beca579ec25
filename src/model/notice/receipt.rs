use std::sync::Arc;

use crate::{
    model::message::{Claims, Conversation},
    util::weight::weigh,
};

/// Notice that messages arrived, or were read (messages spec §3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The receipt's own id; 0 where the server gave none.
    pub id: u64,
    /// The receiver or reader, as the service says; empty where the server gave nobody.
    pub from: Arc<str>,
    /// To whom the receipt is: this account, or the group the messages are in. Readers that were counted come to this
    /// account alone, and then the receipt itself names the group.
    pub to: Arc<str>,
    /// Set if another device of this account sent it.
    pub own: bool,
    /// Set if `to` is a group, thread or chat room.
    pub group: bool,
    /// When the server took it, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The server ids of the messages it is about; empty for [`ReceiptKind::Conversation`].
    pub messages: Vec<u64>,
    /// The change to them.
    pub kind: ReceiptKind,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

impl Receipt {
    /// Returns the conversation it is about; `None` where the service does not say, as for readers that were counted
    /// while this account was offline.
    ///
    /// A thread or a chat room comes as [`Conversation::Group`], for the service does not tell them from groups here.
    #[must_use]
    pub fn conversation(&self) -> Option<Conversation> {
        if self.group {
            return Some(Conversation::Group(Arc::clone(&self.to)));
        }
        let counted = matches!(self.kind, ReceiptKind::GroupRead { .. });
        let other = if self.own { &self.to } else { &self.from };
        (!counted && !other.is_empty()).then(|| Conversation::User(Arc::clone(other)))
    }
}

/// Kind of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptKind {
    /// The messages arrived.
    Delivered,
    /// The messages were read.
    Read,
    /// Messages of a group were read whose sender had asked for receipts.
    GroupRead {
        /// Members who have read each message, by its server id, as far as the service says.
        counts: Vec<(u64, u64)>,
        /// The text the reader sent with it.
        content: Option<String>,
    },
    /// The whole conversation between `from` and `to` was read.
    Conversation,
}

weigh! { Receipt { id, from, to, own, group, timestamp, messages, kind, claims } }

weigh! { enum ReceiptKind { Delivered, Read, GroupRead { counts, content }, Conversation } }
