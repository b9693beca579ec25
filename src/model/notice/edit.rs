//! Word that a message was edited.

use std::sync::Arc;

use crate::{
    model::message::{EditInfo, Message},
    util::weight::weigh,
};

/// Word that a message was edited (messages spec §2.9).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Edit {
    /// The edit's own id; 0 where the server gave none.
    pub id: u64,
    /// When the server took the edit, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// Who edited it, as the service says; empty where it gave nobody.
    pub editor: Arc<str>,
    /// The message with its new content. Its id, sender and time are those of the message that was edited. In a group the
    /// owner and administrators may edit what others wrote; then `editor` is another one than its sender.
    pub message: Message,
    /// Whether the attributes in `message` replace the former ones too; otherwise those stay as they were.
    pub replaces_ext: bool,
}

impl Edit {
    /// Who edited it by its own word, when, and how often that was done; `None` where the service did not say.
    #[must_use]
    pub fn info(&self) -> Option<&EditInfo> {
        self.message.extras().edit.as_ref()
    }
}

weigh! { Edit { id, timestamp, editor, message, replaces_ext } }
