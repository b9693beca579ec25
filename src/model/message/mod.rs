//! Messages: what one holds, where it belongs, and what comes with it.

mod attachment;
mod body;
mod bundle;
mod claims;
mod conversation;
mod ext;
mod extras;
pub(crate) mod json;
mod json_text;
mod read;

pub use attachment::{Attachment, FileSecret};
pub use body::{Combined, Custom, Image, Location, MessageBody, StreamPiece, StreamStatus, Video, Voice};
pub use bundle::{Bundle, BundleError, BundledMessage};
pub use claims::Claims;
pub use conversation::{ChatType, Conversation};
pub use ext::{Ext, ExtValue};
pub use extras::{
    EditInfo, MessageExtras, OnlineState, Priority, ReactionSummary, ThreadOrigin, ThreadOverview, Translation,
};
pub use json_text::{Json, JsonError};

pub(crate) use attachment::Bare;
pub(crate) use claims::cut;
pub(crate) use read::{Parties, Plain, bare_name, chat_type, extras_of_json, is_own, is_same, name_of, shared, stored};

use std::sync::Arc;

use crate::util::weight::weigh;

/// A message as received.
///
/// ```
/// use agora_chat::{Message, MessageBody, Outgoing, SendError};
/// fn echo(message: &Message) -> Option<Result<Outgoing, SendError>> {
///     match &message.body {
///         MessageBody::Text(text) if !message.own => Some(Outgoing::text(message.conversation(), text.as_str())),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The server's id; 0 where it gave none. It may exceed 2^53, so give it to JSON as text.
    pub id: u64,
    /// The sender, as the service says; empty where it gave nobody. What the message itself says of that counts only
    /// where the service says nothing; see [`MessageExtras::claims`].
    pub from: Arc<str>,
    /// To whom, as the service says: a user, group or room.
    pub to: Arc<str>,
    /// The kind of conversation. The service tells users from groups and rooms; which of the two, the sender says.
    pub chat: ChatType,
    /// Set if this account sent it from another device (messages spec §2.7): do not answer yourself.
    pub own: bool,
    /// When the server took it, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The content.
    pub body: MessageBody,
    /// The attributes the sender's application added; empty for most.
    pub ext: Ext,
    pub(crate) extras: Option<Box<MessageExtras>>,
}

impl Message {
    /// Returns the optional metadata: devices, threads, reactions, translations, edits.
    #[must_use]
    pub fn extras(&self) -> &MessageExtras {
        static NONE: MessageExtras = MessageExtras::NONE;
        static ROOM: MessageExtras = MessageExtras::ROOM;
        self.extras.as_deref().unwrap_or(if self.chat == ChatType::Room { &ROOM } else { &NONE })
    }

    /// Returns the conversation it belongs to, which is where an answer goes (messages spec §2.7).
    #[must_use]
    pub fn conversation(&self) -> Conversation {
        let other = if self.own { &self.to } else { &self.from };
        match self.chat {
            ChatType::Single => Conversation::User(Arc::clone(other)),
            ChatType::Group if self.extras().thread.is_some() => Conversation::Thread(Arc::clone(&self.to)),
            ChatType::Group => Conversation::Group(Arc::clone(&self.to)),
            ChatType::Room => Conversation::Room(Arc::clone(&self.to)),
        }
    }

    /// Returns the text of a text message.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.body {
            MessageBody::Text(text) => Some(text),
            _ => None,
        }
    }
}

weigh! { Message { id, from, to, chat, own, timestamp, body, ext, extras } }
