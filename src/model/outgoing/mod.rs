//! Messages, receipts and changes to send, and requests for chat rooms.

mod change;
mod content;
mod options;
mod receipt;
mod room;
mod sent;
mod target;

pub(crate) use content::{content, opening};
pub use room::{RoomInfo, RoomRequest};
pub use sent::{Sent, SentEdit};
pub(crate) use target::{bare, jid, message_type, named};

use crate::{
    model::{
        account::{AppKey, UserId},
        error::SendError,
        message::{
            Attachment, Combined, Conversation, Custom, Ext, Image, Location, MessageBody, Priority, Video, Voice,
        },
    },
    wire::{
        self, Content, Meta,
        message_body::Type as MessageType,
        meta::{NameSpace, RouteType},
    },
};

/// A message, receipt, recall or edit, ready to be sent by [`Connection::send`](crate::Connection::send).
///
/// It goes to a [`Conversation`]; a text names a user, as `user` or, for one device of the user, `user/resource`. Contents
/// are made by the constructors, receipts by [`delivered`](Outgoing::delivered), [`read`](Outgoing::read),
/// [`group_read`](Outgoing::group_read) and [`conversation_read`](Outgoing::conversation_read), changes by
/// [`recall`](Outgoing::recall) and [`edit`](Outgoing::edit).
///
/// Its size is not checked here: the service decides, and refuses what is too large with 511. As documented in April 2023
/// a text, a command or a custom event may have 3 KB, and a custom event 16 text values (messages spec §6).
///
/// Every constructor fails with [`SendError::Invalid`] (205) for a recipient that cannot be one: a user id is checked as a
/// [`UserId`]; the id of a group, chat room, thread or device has 1 to 255 bytes and no control characters.
///
/// ```
/// use agora_chat::{Conversation, Outgoing, messages::Ext};
/// let hello = Outgoing::text("bob", "hello")?;
/// assert_eq!(hello.to(), "bob");
/// let news = Outgoing::text(Conversation::group("182736"), "for two of you")?
///     .directed_to(["bob", "carol"])?
///     .ext(Ext::new().with("trace", "a-17"));
/// assert_eq!(news.conversation(), &Conversation::group("182736"));
/// # Ok::<(), agora_chat::SendError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is sent until it is given to `send`"]
pub struct Outgoing {
    to: Conversation,
    body: wire::MessageBody,
    client_id: Option<u64>,
    online_only: bool,
    directed_to: Vec<String>,
    priority: Priority,
    recall_ext: Option<String>,
}

/// Messages.
impl Outgoing {
    /// Makes a text.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for a recipient that cannot be one.
    pub fn text(to: impl Into<Conversation>, text: impl Into<String>) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Text(text.into()))
    }

    /// Makes a command: an action that the recipient's application acts on without showing it.
    ///
    /// # Errors
    /// As for [`text`](Outgoing::text).
    pub fn command(to: impl Into<Conversation>, action: impl Into<String>) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Command { action: action.into() })
    }

    /// Makes an event of the application's own.
    ///
    /// # Errors
    /// As for [`text`](Outgoing::text).
    pub fn custom(to: impl Into<Conversation>, event: Custom) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Custom(Box::new(event)))
    }

    /// Makes a place.
    ///
    /// # Errors
    /// As for [`text`](Outgoing::text).
    pub fn location(to: impl Into<Conversation>, place: Location) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Location(Box::new(place)))
    }

    /// Makes a picture, uploaded before or at an [own address](Attachment::at).
    ///
    /// # Errors
    /// As for [`text`](Outgoing::text), and [`SendError::Invalid`] for a file without an address or of 2 GiB and more.
    pub fn image(to: impl Into<Conversation>, picture: Image) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Image(Box::new(picture)))
    }

    /// Makes a recorded voice.
    ///
    /// # Errors
    /// As for [`image`](Outgoing::image).
    pub fn voice(to: impl Into<Conversation>, voice: Voice) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Voice(Box::new(voice)))
    }

    /// Makes a film. Without a thumbnail of its own, an uploaded one gets the picture that the service makes of it.
    ///
    /// # Errors
    /// As for [`image`](Outgoing::image).
    pub fn video(to: impl Into<Conversation>, film: Video) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Video(Box::new(film)))
    }

    /// Makes a message of any other file.
    ///
    /// # Errors
    /// As for [`image`](Outgoing::image).
    pub fn file(to: impl Into<Conversation>, file: Attachment) -> Result<Self, SendError> {
        Self::body(to, MessageBody::File(Box::new(file)))
    }

    /// Makes a combined message, several forwarded as one: a [`Bundle`](crate::messages::Bundle) uploaded before.
    ///
    /// # Errors
    /// As for [`image`](Outgoing::image), and [`SendError::Invalid`] for a level over 10.
    pub fn combined(to: impl Into<Conversation>, messages: Combined) -> Result<Self, SendError> {
        Self::body(to, MessageBody::Combined(Box::new(messages)))
    }

    /// Forwards any content, such as one received before.
    ///
    /// # Errors
    /// As for the content's own constructor; [`SendError::Invalid`] for [`MessageBody::Stream`] and
    /// [`MessageBody::Raw`], which cannot be sent.
    pub fn body(to: impl Into<Conversation>, body: MessageBody) -> Result<Self, SendError> {
        let to = to.into();
        let kind = message_type(&to);
        Self::new(to, kind, content(body)?)
    }

    fn new(to: Conversation, kind: MessageType, content: Content) -> Result<Self, SendError> {
        let to = target::checked(to)?;
        // A thread's messages are those of a group, with this mark (messages spec §1.2).
        let meta = matches!(to, Conversation::Thread(_)).then(|| r#"{"thread":{}}"#.to_owned());
        let body = wire::MessageBody {
            r#type: Some(kind as i32),
            contents: vec![content],
            meta,
            ..wire::MessageBody::default()
        };
        Ok(Outgoing {
            to,
            body,
            client_id: None,
            online_only: false,
            directed_to: Vec::new(),
            priority: Priority::default(),
            recall_ext: None,
        })
    }

    /// Returns the recipient: the user's, group's, chat room's or thread's id.
    #[must_use]
    pub fn to(&self) -> &str {
        bare(&self.to)
    }

    /// Returns the conversation it goes to; a user's id is in lower case.
    #[must_use]
    pub fn conversation(&self) -> &Conversation {
        &self.to
    }

    /// Returns the message as it goes over the wire, sent by `from` under a client id from 1 (messages spec §1.1,
    /// §1.2). [`Connection::send`](crate::Connection::send) does this; it is for programs that look at what is sent.
    #[must_use]
    pub fn into_meta(self, client_id: u64, app_key: &AppKey, from: &UserId) -> Meta {
        let (ext, routetype) = (self.meta_ext(), self.route());
        let body = wire::MessageBody { from: Some(named(from.as_str())), to: Some(named(bare(&self.to))), ..self.body };
        Meta {
            id: Some(client_id),
            to: Some(jid(&self.to, app_key)),
            ns: Some(NameSpace::Chat as i32),
            payload: Some(wire::encode(&body)),
            routetype: Some(routetype as i32),
            ext: ext.to_wire(),
            directed_users: self.directed_to,
            ..Meta::default()
        }
    }

    fn route(&self) -> RouteType {
        if !self.directed_to.is_empty() {
            RouteType::RouteDirect
        } else if self.online_only {
            RouteType::RouteOnline
        } else {
            RouteType::RouteAll
        }
    }

    /// Returns the attributes that the service itself reads, besides the body (messages spec §1.6, §1.7).
    fn meta_ext(&self) -> Ext {
        let mut ext = Ext::new();
        if matches!(self.to, Conversation::Room(_)) {
            let tag = match self.priority {
                Priority::High => 0,
                Priority::Normal => 1,
                Priority::Low => 2,
            };
            ext.insert("chatroom_msg_tag", tag);
        }
        if let Some(text) = &self.recall_ext {
            ext.insert("recallMessageExtensionInfo", text.as_str());
        }
        ext
    }
}

#[cfg(test)]
mod tests;
