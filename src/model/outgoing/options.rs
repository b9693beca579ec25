//! Options of a message to send (messages spec §1.6).

use super::{Outgoing, target::recipient};
use crate::{
    model::{
        error::SendError,
        message::{ChatType, Conversation, Ext, Priority},
    },
    wire::message_body::{EditScope, MessageConfig, Type as MessageType},
};

/// Options.
impl Outgoing {
    /// Sets its attributes; default none. An edit replaces the message's. No effect on a receipt or a recall.
    pub fn ext(mut self, ext: Ext) -> Self {
        match self.body.r#type() {
            MessageType::Edit => self.body.edit_scope = Some(EditScope::BodyAndExt as i32),
            _ if self.is_message() => {}
            _ => return self,
        }
        self.body.ext = ext.to_wire();
        self
    }

    /// Delivers it only to those who are online; default: whoever is not gets it later. Receipts are for all times.
    pub fn online_only(mut self) -> Self {
        self.online_only = !self.is_receipt();
        self
    }

    /// Delivers it only to these members of the group, chat room or thread; default: to all. It wins over
    /// [`online_only`](Outgoing::online_only). The service refuses too many with 50.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for nobody, for one that is no user id, and for a receipt. So too for a message to
    /// a user: the service would take no notice of it there, so that others than meant would read it.
    pub fn directed_to<I>(mut self, users: I) -> Result<Self, SendError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let invalid = |why: &str| Err(SendError::Invalid(why.to_owned()));
        if self.to.chat() == ChatType::Single {
            return invalid(
                "only what goes to a group, a chat room or a thread can be directed to some of its members",
            );
        }
        if self.is_receipt() {
            return invalid("a receipt cannot be directed to some members");
        }
        let users: Result<Vec<_>, _> =
            users.into_iter().map(|user| recipient(user.as_ref()).map(|user| user.as_str().to_owned())).collect();
        self.directed_to = users?;
        if self.directed_to.is_empty() { invalid("it is directed to nobody") } else { Ok(self) }
    }

    /// Sets its priority in a chat room with too many messages; default [`Priority::Normal`]. Only for chat rooms.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets whether the members of the group are asked for read receipts; default: not sent. It counts in groups alone,
    /// where it is a feature to be enabled, for owners and admins (messages spec §3).
    pub fn group_receipts(mut self, wanted: bool) -> Self {
        if matches!(self.to, Conversation::Group(_)) && self.is_message() {
            self.body.msg_config = Some(MessageConfig { allow_group_ack: Some(wanted) });
        }
        self
    }

    /// Sends it under this client id, from 1, such as the one of a send whose outcome is unknown: the service is said
    /// to take one id once (messages spec §1.10, §9). Default: a fresh one.
    pub fn with_client_id(mut self, client_id: u64) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Returns the client id it is to be sent under, where one was chosen.
    #[must_use]
    pub fn client_id(&self) -> Option<u64> {
        self.client_id
    }

    fn is_message(&self) -> bool {
        matches!(self.body.r#type(), MessageType::Chat | MessageType::Groupchat | MessageType::Chatroom)
    }

    fn is_receipt(&self) -> bool {
        matches!(self.body.r#type(), MessageType::ReadAck | MessageType::DeliverAck | MessageType::ChannelAck)
    }
}
