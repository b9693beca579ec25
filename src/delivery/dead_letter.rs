use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::{Delivery, HandlerError};
use crate::{
    model::{
        Event, EventKind,
        account::{AccountKey, UserId},
        error::StateError,
        message::{Conversation, Message},
    },
    session::{PageEvent, decode},
    util::{Escaped, unix_time, weight::weigh},
};

/// An event that a [`MessageHandler`](super::MessageHandler) could not handle. It prints no text of a message.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The event.
    pub event: Event,
    /// The last attempt's error.
    pub error: HandlerError,
    /// The number of attempts.
    pub attempts: u32,
    /// When the last one failed, in milliseconds since 1970.
    pub at: u64,
    /// Distinguishes it from other letters; 0 where nothing does.
    key: u64,
    resource: Box<str>,
    encoded: Option<Bytes>,
}

weigh! { DeadLetter { event, error, attempts, at, key, resource, encoded } }

#[derive(Serialize, Deserialize)]
struct Encoded {
    version: u32,
    user: String,
    resource: Box<str>,
    /// As text, for readers that know no 64-bit numbers.
    key: String,
    attempts: u32,
    at: u64,
    error: String,
    meta: String,
    /// SHA-1 of the meta, in hexadecimal digits.
    checksum: String,
}

const VERSION: u32 = 1;

impl DeadLetter {
    pub(super) fn of(event: &PageEvent, resource: &str, error: HandlerError, attempts: u32) -> Self {
        DeadLetter {
            event: event.event.clone(),
            error,
            attempts,
            at: unix_time::now_ms(),
            key: event.key,
            resource: resource.into(),
            encoded: event.encoded.clone(),
        }
    }

    /// Returns the message; `None` for an event of another kind.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match self.event.kind() {
            EventKind::Message(message) => Some(message),
            _ => None,
        }
    }

    /// Returns the letter as bytes (JSON), for a store of the application's own; [`decode`](DeadLetter::decode) reads
    /// them, also in later releases. They hold all of the message and so what it may hold of secrets.
    ///
    /// # Errors
    /// [`DeadLetterError::NotEncodable`] for one that came to a handler without a
    /// [store](super::MessageHandler::dead_letter_store) or [sink](super::MessageHandler::dead_letter_sink).
    pub fn encode(&self) -> Result<Vec<u8>, DeadLetterError> {
        let meta = self.encoded.as_ref().ok_or(DeadLetterError::NotEncodable)?;
        let encoded = Encoded {
            version: VERSION,
            user: self.event.user().to_string(),
            resource: self.resource.clone(),
            key: self.key.to_string(),
            attempts: self.attempts,
            at: self.at,
            error: self.error.to_string(),
            meta: BASE64_STANDARD.encode(meta),
            checksum: checksum(meta),
        };
        serde_json::to_vec(&encoded).map_err(DeadLetterError::new)
    }

    /// Reads what [`encode`](DeadLetter::encode) made.
    ///
    /// # Errors
    /// [`DeadLetterError::Undecodable`] for anything else, and for what was damaged since.
    pub fn decode(encoded: &[u8]) -> Result<Self, DeadLetterError> {
        let no = DeadLetterError::Undecodable;
        let letter: Encoded = serde_json::from_slice(encoded).map_err(|_| no("it is not of the expected form"))?;
        if letter.version != VERSION {
            return Err(no("its version is not known"));
        }
        let meta = BASE64_STANDARD.decode(&letter.meta).map_err(|_| no("its message is not base64"))?;
        if checksum(&meta) != letter.checksum {
            return Err(no("its checksum is wrong"));
        }
        let user: UserId = letter.user.parse().map_err(|_| no("its user cannot be one"))?;
        let own = decode::Receiver { user: &user, resource: &letter.resource, weighs: false };
        let kind = decode::read_again(&meta, &own);
        Ok(DeadLetter {
            event: Event::new(user, kind),
            error: HandlerError::new(letter.error),
            attempts: letter.attempts,
            at: letter.at,
            key: letter.key.parse().map_err(|_| no("its key is no number"))?,
            resource: letter.resource,
            encoded: Some(meta.into()),
        })
    }

    /// Returns what distinguishes it from other letters, also from those that a server gave the same id.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        let digest = Sha1::digest(self.encoded.as_ref()?);
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        Some((self.key, u64::from_be_bytes(first)))
    }

    pub(super) fn failed_again(&mut self, error: HandlerError, attempts: u32) {
        (self.error, self.attempts, self.at) = (error, attempts, unix_time::now_ms());
    }
}

#[cfg(test)]
impl DeadLetter {
    pub(super) fn new(event: Event, error: HandlerError, attempts: u32) -> Self {
        let event = PageEvent::new(event, 0, 0);
        DeadLetter::of(&event, "phone", error, attempts)
    }
}

fn checksum(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("delivery", &Delivery::new(self.event.clone(), self.attempts))
            .field("error", &self.error)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Displays an event for a log record: its id and conversation, and none of its text.
pub(super) struct Named<'a>(pub(super) &'a Event);

impl slog::KV for Named<'_> {
    fn serialize(&self, _: &slog::Record<'_>, serializer: &mut dyn slog::Serializer) -> slog::Result {
        match self.0.kind() {
            EventKind::Message(message) => {
                let conversation: Conversation = message.conversation();
                serializer.emit_u64("message", message.id)?;
                serializer.emit_arguments("conversation", &format_args!("{conversation}"))
            }
            EventKind::Unknown(unknown) => {
                serializer.emit_u64("message", unknown.id)?;
                serializer.emit_str("kind", "unknown")
            }
            other => serializer.emit_str("kind", other.name()),
        }
    }
}

/// The answer of a [`DeadLetterStore`] to come.
pub type DeadLetterFuture<T> = Pin<Box<dyn Future<Output = Result<T, DeadLetterError>> + Send>>;

/// Keeps what could not be handled; given to
/// [`MessageHandler::dead_letter_store`](super::MessageHandler::dead_letter_store).
///
/// [`FileDeadLetters`](super::FileDeadLetters) keeps it in files. The futures run on the connection's thread and must
/// not block.
pub trait DeadLetterStore: Send + Sync + 'static {
    /// Keeps a letter of an account; done when it would outlive the process. The message is acknowledged after that.
    ///
    /// The same letter may come again, when the process ended or the link was lost before the message was acknowledged.
    fn keep(&self, account: &AccountKey, letter: &DeadLetter) -> DeadLetterFuture<()>;

    /// Returns the folder it is kept in, whose rights are looked at.
    #[doc(hidden)]
    fn folder(&self) -> Option<&Path> {
        None
    }
}

impl<T: DeadLetterStore + ?Sized> DeadLetterStore for Arc<T> {
    fn keep(&self, account: &AccountKey, letter: &DeadLetter) -> DeadLetterFuture<()> {
        (**self).keep(account, letter)
    }

    fn folder(&self) -> Option<&Path> {
        (**self).folder()
    }
}

/// Reasons that a dead letter could not be stored, read or removed. It shows nothing of the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// There is no room: replay or remove letters, or give the store wider bounds.
    #[error("{letters} dead letters of {bytes} bytes are there, and there is no room for another one")]
    Full {
        /// The number of letters, those set aside as damaged included.
        letters: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] StateError),
    /// The disk has not answered. While it does not, nothing else is tried on the account's letters.
    #[error("no answer from the disk within {0:?}")]
    Timeout(Duration),
    /// The letter does not hold what it was read from.
    #[error("the dead letter is one for memory only")]
    NotEncodable,
    /// The bytes are not those of a letter.
    #[error("not a dead letter: {0}")]
    Undecodable(&'static str),
    /// A store of the application's own says this. It goes to the log, so it must not hold a secret.
    #[error("{}", Escaped(.0))]
    Other(String),
}

impl DeadLetterError {
    /// Makes an error of this text.
    pub fn new(reason: impl fmt::Display) -> Self {
        DeadLetterError::Other(reason.to_string())
    }
}
