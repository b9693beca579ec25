use std::sync::Arc;

use crate::{
    model::message::{EditInfo, Message},
    util::weight::weigh,
};

/// Notice that a message was edited (messages spec §2.9).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Edit {
    /// The edit's own id; 0 where the server gave none.
    pub id: u64,
    /// When the server took the edit, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The editor, as the service says; empty where it gave nobody.
    pub editor: Arc<str>,
    /// The message with its new content. Its id, sender and time are those of the message that was edited. In a group
    /// the owner and administrators may edit what others wrote; then `editor` is another one than its sender.
    pub message: Message,
    /// Set if the attributes in `message` replace the former ones too; otherwise those stay as they were.
    pub replaces_ext: bool,
}

impl Edit {
    /// Returns the editor by the edit's own word, the time, and the number of edits, where the service said.
    #[must_use]
    pub fn info(&self) -> Option<&EditInfo> {
        self.message.extras().edit.as_ref()
    }
}

weigh! { Edit { id, timestamp, editor, message, replaces_ext } }
