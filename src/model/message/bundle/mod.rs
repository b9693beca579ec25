//! The file of a combined message: several messages in one (messages spec §1.4).

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Attachment, ChatType, Combined, Conversation, Ext, Message, MessageBody};
use crate::{
    model::{
        account::AppKey,
        error::{Code, SendError},
        outgoing::{bare, content, jid, message_type, named, opening},
    },
    util::impls::{impl_debug, setters},
    wire::{
        self, Meta,
        meta::{NameSpace, RouteType},
    },
};

const MAGIC: &[u8] = b"cm";

/// Several messages as one file, to be uploaded and sent as a [`Combined`] message (messages spec §1.4).
///
/// ```
/// use agora_chat::{Conversation, MessageBody, Outgoing, messages::{Attachment, Bundle, BundledMessage}};
/// let said = BundledMessage::new("bob", Conversation::user("alice"), MessageBody::Text("one".to_owned()))
///     .id(1_157_777_777_777_777_701)
///     .timestamp(1_700_000_000_001);
/// let bundle = Bundle::new(&"org#app".parse()?, &[said])?;
/// let uploaded = Attachment::at("https://files.example.com/chatfiles/1"); // from an upload of bundle.file()
/// let message = Outgoing::combined("carol", bundle.combined(uploaded, "Chat history", "bob: one", "[chat history]"))?;
/// assert_eq!(Bundle::read(bundle.file())?[0].text(), Some("one"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    file: Bytes,
    level: u32,
}

// The file by length: secrets are in it.
impl_debug!(|this: Bundle| "Bundle({} bytes, level {})", this.file.len(), this.level);

/// A message to put into a [`Bundle`]: a received one, or one made of its parts.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct BundledMessage {
    id: u64,
    from: String,
    to: Conversation,
    timestamp: u64,
    body: MessageBody,
    ext: Ext,
}

/// Error of building or reading a bundle.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// 203: the file is damaged, or another kind of file.
    #[error("the combined message's file cannot be read: {0}")]
    Damaged(&'static str),
    /// 50: a bundle has from 1 to [`Bundle::MAX_MESSAGES`] messages.
    #[error("{messages} messages do not make a combined one; from 1 to {limit} do", limit = Bundle::MAX_MESSAGES)]
    Messages {
        /// Their number.
        messages: usize,
    },
    /// 50: combined messages stand more than [`Bundle::MAX_LEVEL`] deep within each other.
    #[error("combined messages would stand {level} deep within each other; at most {limit} may", limit = Bundle::MAX_LEVEL)]
    TooDeep {
        /// Their depth.
        level: u32,
    },
    /// 50: the file is over [`Bundle::MAX_BYTES`].
    #[error("the combined message's file has {bytes} bytes; at most {limit} are allowed", limit = Bundle::MAX_BYTES)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// 205: one of the messages cannot be sent.
    #[error("message {index} of the bundle: {error}")]
    Message {
        /// Its place, from 0.
        index: usize,
        /// The reason.
        error: SendError,
    },
}

impl BundleError {
    /// Returns the vendor's number (messages spec §1.4, §6).
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            BundleError::Damaged(_) => Code::PARSE_FILE_ERROR,
            BundleError::Messages { .. } | BundleError::TooDeep { .. } | BundleError::TooLarge { .. } => {
                Code::MAX_LIMIT
            }
            BundleError::Message { error, .. } => error.code(),
        }
    }
}

impl Bundle {
    /// Most messages in one bundle.
    pub const MAX_MESSAGES: usize = 300;

    /// Most combined messages within each other.
    pub const MAX_LEVEL: u32 = 10;

    /// The largest file that is made or read, in bytes; the service is documented to store files up to 10 MB.
    pub const MAX_BYTES: usize = 16 << 20;

    /// Puts messages of the app into one file, in this order. The secrets that open files among them are in it.
    ///
    /// # Errors
    /// [`BundleError::Messages`], [`BundleError::TooDeep`] and [`BundleError::TooLarge`] beyond the bounds;
    /// [`BundleError::Message`] for a content that cannot be sent, such as [`MessageBody::Raw`].
    pub fn new(app_key: &AppKey, messages: &[BundledMessage]) -> Result<Self, BundleError> {
        if messages.is_empty() || messages.len() > Self::MAX_MESSAGES {
            return Err(BundleError::Messages { messages: messages.len() });
        }
        let deepest = messages.iter().map(|message| level(&message.body)).max().unwrap_or(0);
        let level = deepest.saturating_add(1);
        if level > Self::MAX_LEVEL {
            return Err(BundleError::TooDeep { level });
        }
        let mut file = BytesMut::from(MAGIC);
        for (index, message) in messages.iter().enumerate() {
            let meta = message.encode(app_key).map_err(|error| BundleError::Message { index, error })?;
            let bytes = file.len() + 4 + meta.len() + 1;
            match u32::try_from(meta.len()) {
                Ok(length) if bytes <= Self::MAX_BYTES => file.put_u32(length),
                _ => return Err(BundleError::TooLarge { bytes }),
            }
            file.put_slice(&meta);
        }
        let check = check_byte(&file);
        file.put_u8(check);
        Ok(Bundle { file: file.freeze(), level })
    }

    /// Returns the file, to be uploaded.
    #[must_use]
    pub fn file(&self) -> &Bytes {
        &self.file
    }

    /// Returns the nesting depth of combined messages: 1 without a combined one among them.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Returns the message that points at the file: a title, a summary, and a text for clients that cannot read it.
    #[must_use]
    pub fn combined(
        &self,
        uploaded: Attachment,
        title: impl Into<String>,
        summary: impl Into<String>,
        compatible_text: impl Into<String>,
    ) -> Combined {
        Combined {
            compatible_text: compatible_text.into(),
            title: title.into(),
            summary: summary.into(),
            level: self.level,
            file: uploaded,
        }
    }

    /// Reads the messages of a downloaded file, in their order. None of them counts as [own](Message::own).
    ///
    /// A user wrote the whole file: who said what in it, where and when is that user's word, which nobody has checked.
    ///
    /// # Errors
    /// [`BundleError::Damaged`] (203) for bytes that are no such file, [`BundleError::Messages`] and
    /// [`BundleError::TooLarge`] (50) beyond the bounds.
    pub fn read(file: &[u8]) -> Result<Vec<Message>, BundleError> {
        if file.len() > Self::MAX_BYTES {
            return Err(BundleError::TooLarge { bytes: file.len() });
        }
        let (check, held) = file.split_last().ok_or(BundleError::Damaged("it is empty"))?;
        let mut rest = held.strip_prefix(MAGIC).ok_or(BundleError::Damaged("it does not begin with `cm`"))?;
        if *check != check_byte(held) {
            return Err(BundleError::Damaged("its check byte is wrong"));
        }
        let mut metas = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let meta = usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|at| after.split_at_checked(at));
            let (meta, after) = meta.ok_or(BundleError::Damaged("a message in it is cut off"))?;
            metas.push(meta);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(BundleError::Damaged("it ends within a length"));
        }
        if metas.is_empty() || metas.len() > Self::MAX_MESSAGES {
            return Err(BundleError::Messages { messages: metas.len() });
        }
        metas.into_iter().map(read_one).collect()
    }
}

fn read_one(meta: &[u8]) -> Result<Message, BundleError> {
    let damaged = BundleError::Damaged("what stands in it is no message");
    let Ok(meta) = Meta::from_bytes(Bytes::copy_from_slice(meta)) else { return Err(damaged) };
    Message::as_written(&meta).ok_or(damaged)
}

/// Returns the exclusive or of every second byte, from the fourth on.
fn check_byte(held: &[u8]) -> u8 {
    held.iter().skip(3).step_by(2).fold(0, |check, byte| check ^ byte)
}

fn level(body: &MessageBody) -> u32 {
    match body {
        // One that does not say how deep it is holds messages all the same.
        MessageBody::Combined(combined) => combined.level.max(1),
        _ => 0,
    }
}

impl BundledMessage {
    /// Makes a message of its sender, conversation and body.
    pub fn new(from: impl Into<String>, to: impl Into<Conversation>, body: MessageBody) -> Self {
        BundledMessage { id: 0, from: from.into(), to: to.into(), timestamp: 0, body, ext: Ext::new() }
    }

    setters! {
        /// Sets its id at the server; default 0.
        id(id: u64) |this| this.id = id;

        /// Sets the server's time, in milliseconds since 1970; default 0.
        timestamp(timestamp: u64) |this| this.timestamp = timestamp;

        /// Sets its attributes; default none.
        ext(ext: Ext) |this| this.ext = ext;
    }

    fn encode(&self, app_key: &AppKey) -> Result<Bytes, SendError> {
        let mut content = content(self.body.clone())?;
        content.remote_path = opening(&content);
        let body = wire::MessageBody {
            r#type: Some(message_type(&self.to) as i32),
            from: Some(named(&self.from)),
            to: Some(named(bare(&self.to))),
            contents: vec![content],
            ext: self.ext.to_wire(),
            ..wire::MessageBody::default()
        };
        Ok(wire::encode(&Meta {
            id: Some(self.id),
            to: Some(jid(&self.to, app_key)),
            timestamp: Some(self.timestamp),
            ns: Some(NameSpace::Chat as i32),
            payload: Some(wire::encode(&body)),
            routetype: Some(RouteType::RouteAll as i32),
            ..Meta::default()
        }))
    }
}

/// A received message, to be forwarded with others.
impl From<&Message> for BundledMessage {
    fn from(message: &Message) -> Self {
        let to = Arc::clone(&message.to);
        let to = match message.chat {
            ChatType::Single => Conversation::User(to),
            ChatType::Group => Conversation::Group(to),
            ChatType::Room => Conversation::Room(to),
        };
        let bundled = BundledMessage::new(&*message.from, to, message.body.clone());
        bundled.id(message.id).timestamp(message.timestamp).ext(message.ext.clone())
    }
}

#[cfg(test)]
mod tests;
