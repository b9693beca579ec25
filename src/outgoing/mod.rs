//! Messages to send.

mod room;
mod room_info;
mod sent;
mod target;

pub use room::RoomRequest;
pub use room_info::RoomInfo;
pub use sent::{Sent, SentEdit};

use crate::{
    AppKey, Conversation, SendError, UserId,
    wire::{
        self, Content, Jid, MessageBody, Meta,
        content::ContentType,
        message_body::Type as MessageType,
        meta::{NameSpace, RouteType},
    },
};

/// A message to one user, ready to be sent by [`Connection::send`](crate::Connection::send).
///
/// Its size is not checked here: the service decides, and refuses what is too large with 511.
///
/// ```
/// use agora_chat::Outgoing;
/// let hello = Outgoing::text("bob", "hello")?;
/// assert_eq!(hello.to(), "bob");
/// # Ok::<(), agora_chat::SendError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    to: UserId,
    content: Content,
    client_id: Option<u64>,
}

impl Outgoing {
    /// A text.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) without a recipient, or with one that is no user id.
    pub fn text(to: impl Into<Conversation>, text: impl Into<String>) -> Result<Self, SendError> {
        let content = Content { r#type: Some(ContentType::Text as i32), text: Some(text.into()), ..Content::default() };
        Self::new(&to.into(), content)
    }

    /// A command: an action that the recipient's application acts on without showing it.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) without a recipient, or with one that is no user id.
    pub fn command(to: impl Into<Conversation>, action: impl Into<String>) -> Result<Self, SendError> {
        let content =
            Content { r#type: Some(ContentType::Command as i32), action: Some(action.into()), ..Content::default() };
        Self::new(&to.into(), content)
    }

    fn new(to: &Conversation, content: Content) -> Result<Self, SendError> {
        let to = to.id();
        if to.is_empty() {
            return Err(SendError::Invalid("it has no recipient".to_owned()));
        }
        let to: UserId = to.parse().map_err(|error| SendError::Invalid(format!("its recipient: {error}")))?;
        Ok(Outgoing { to, content, client_id: None })
    }

    /// The recipient.
    #[must_use]
    pub fn to(&self) -> &str {
        self.to.as_str()
    }

    /// Sends it under this client id, from 1, such as the one of a send whose outcome is unknown: the service is said to
    /// take one id once (messages spec §1.10, §9). Default: a fresh one.
    #[must_use]
    pub fn with_client_id(mut self, client_id: u64) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// The client id it is to be sent under, where one was chosen.
    #[must_use]
    pub fn client_id(&self) -> Option<u64> {
        self.client_id
    }

    /// The message as it goes over the wire (messages spec §1.1, §1.2).
    pub(crate) fn into_meta(self, client_id: u64, app_key: &AppKey, from: &UserId) -> Meta {
        let named = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
        let body = MessageBody {
            r#type: Some(MessageType::Chat as i32),
            from: named(from.as_str()),
            to: named(self.to.as_str()),
            contents: vec![self.content],
            ..MessageBody::default()
        };
        Meta {
            id: Some(client_id),
            to: Some(Jid::user(app_key.as_str(), self.to.as_str())),
            ns: Some(NameSpace::Chat as i32),
            payload: Some(wire::encode(&body)),
            routetype: Some(RouteType::RouteAll as i32),
            ..Meta::default()
        }
    }
}
