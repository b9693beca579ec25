//! Taking messages back and changing them (messages spec §1.7).

use super::{Outgoing, content::content};
use crate::{
    model::{
        error::SendError,
        message::{Conversation, MessageBody},
    },
    wire::{
        Content,
        message_body::{EditScope, Type as MessageType},
    },
};

/// Recalls and edits.
impl Outgoing {
    /// Takes a message back, by the [server's id](crate::Sent::server_id) of it, in the conversation it went to. The
    /// service allows it for a while only, by default two minutes (messages spec §1.7), and refuses it later with 504.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for a conversation that cannot be one, and for the id 0.
    pub fn recall(from: impl Into<Conversation>, server_id: u64) -> Result<Self, SendError> {
        Self::about(from.into(), MessageType::Recall, server_id)
    }

    /// Adds a text to a recall that the others get with the news of it; default none. Changes nothing else.
    pub fn recall_ext(mut self, text: impl Into<String>) -> Self {
        if self.body.r#type() == MessageType::Recall {
            self.recall_ext = Some(text.into());
        }
        self
    }

    /// Replaces a message's content, by the [server's id](crate::Sent::server_id) of it, in the conversation it went to;
    /// with [`ext`](Outgoing::ext) its attributes too. The service allows it a few times only and refuses more with 50.
    ///
    /// # Errors
    /// As for [`recall`](Outgoing::recall) and [`body`](Outgoing::body).
    ///
    /// ```
    /// use agora_chat::{MessageBody, Outgoing};
    /// let better = MessageBody::Text("hello, all".to_owned());
    /// let edit = Outgoing::edit("bob", 1_157_777_777_777_777_777, better)?;
    /// # Ok::<(), agora_chat::SendError>(())
    /// ```
    pub fn edit(within: impl Into<Conversation>, server_id: u64, body: MessageBody) -> Result<Self, SendError> {
        let mut edit = Self::new(within.into(), MessageType::Edit, content(body)?)?;
        edit.body.edit_message_id = Some(known(server_id)?);
        edit.body.edit_scope = Some(EditScope::Body as i32);
        Ok(edit)
    }

    /// Makes a receipt or recall of one message, with one empty content, as the web SDK does.
    pub(super) fn about(to: Conversation, kind: MessageType, server_id: u64) -> Result<Self, SendError> {
        let mut about = Self::new(to, kind, Content::default())?;
        about.body.ack_message_id = Some(known(server_id)?);
        Ok(about)
    }
}

fn known(server_id: u64) -> Result<u64, SendError> {
    if server_id == 0 { Err(SendError::Invalid("the message's id is 0".to_owned())) } else { Ok(server_id) }
}
