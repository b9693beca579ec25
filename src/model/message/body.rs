use std::fmt;

use bytes::Bytes;

use super::{Attachment, Ext};
use crate::util::weight::{flat, weigh};

/// Body of a message (messages spec §1.3, §2.6). `Debug` hides [`Raw`](MessageBody::Raw) bytes, which may hold secrets.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum MessageBody {
    /// A text.
    Text(String),
    /// A command: an action an application acts on without showing it.
    Command {
        /// The action's name.
        action: String,
    },
    /// An event of the application's own.
    Custom(Box<Custom>),
    /// A place.
    Location(Box<Location>),
    /// A picture.
    Image(Box<Image>),
    /// A recorded voice.
    Voice(Box<Voice>),
    /// A film.
    Video(Box<Video>),
    /// Any other file.
    File(Box<Attachment>),
    /// Several messages forwarded as one.
    Combined(Box<Combined>),
    /// A piece of a text that is sent while it is being written (messages spec §2.8).
    Stream(Box<StreamPiece>),
    /// An unknown kind of content: the encoded body as received. [`wire`](crate::wire) can read it.
    Raw {
        /// The namespace number of the meta (messages spec §2.5).
        namespace: i32,
        /// The payload bytes.
        payload: Bytes,
    },
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageBody::Text(text) => f.debug_tuple("Text").field(text).finish(),
            MessageBody::Command { action } => f.debug_struct("Command").field("action", action).finish(),
            MessageBody::Custom(custom) => f.debug_tuple("Custom").field(custom).finish(),
            MessageBody::Location(place) => f.debug_tuple("Location").field(place).finish(),
            MessageBody::Image(image) => f.debug_tuple("Image").field(image).finish(),
            MessageBody::Voice(voice) => f.debug_tuple("Voice").field(voice).finish(),
            MessageBody::Video(video) => f.debug_tuple("Video").field(video).finish(),
            MessageBody::File(file) => f.debug_tuple("File").field(file).finish(),
            MessageBody::Combined(combined) => f.debug_tuple("Combined").field(combined).finish(),
            MessageBody::Stream(piece) => f.debug_tuple("Stream").field(piece).finish(),
            MessageBody::Raw { namespace, payload } => {
                let length = format_args!("{} bytes", payload.len());
                f.debug_struct("Raw").field("namespace", namespace).field("payload", &length).finish()
            }
        }
    }
}

/// An event of the application's own.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Custom {
    /// Its name.
    pub event: String,
    /// Its values.
    pub values: Ext,
    /// Values in the form of old senders; received only, and empty for most.
    pub params: Ext,
}

impl Custom {
    /// Makes an event with its values.
    #[must_use]
    pub fn new(event: impl Into<String>, values: Ext) -> Self {
        Custom { event: event.into(), values, params: Ext::new() }
    }
}

/// A place.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The address in words; empty where there is none.
    pub address: String,
    /// The building's name; empty where there is none.
    pub building: String,
}

impl Location {
    /// Makes a place by its coordinates in degrees, with an address in words.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64, address: impl Into<String>) -> Self {
        Location { latitude, longitude, address: address.into(), building: String::new() }
    }

    /// Adds the building's name.
    #[must_use]
    pub fn building(mut self, name: impl Into<String>) -> Self {
        self.building = name.into();
        self
    }
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Image {
    /// Its file.
    pub file: Attachment,
    /// Its width in pixels; 0 where it is not known.
    pub width: f64,
    /// Its height in pixels; 0 where it is not known.
    pub height: f64,
    /// Set if it is an animated GIF.
    pub gif: bool,
}

impl Image {
    /// Makes a picture of this size in pixels; 0 by 0 where it is not known.
    #[must_use]
    pub fn new(file: Attachment, width: f64, height: f64) -> Self {
        Image { file, width, height, gif: false }
    }

    /// Marks it as an animated GIF.
    #[must_use]
    pub fn gif(mut self) -> Self {
        self.gif = true;
        self
    }

    /// Returns its thumbnail's address; the file's secret opens it (messages spec §5.1).
    #[must_use]
    pub fn thumbnail_url(&self) -> String {
        let joint = if self.file.url.contains('?') { '&' } else { '?' };
        format!("{}{joint}thumbnail=true", self.file.url)
    }
}

/// A recorded voice.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Voice {
    /// Its file.
    pub file: Attachment,
    /// Its duration in seconds.
    pub seconds: u32,
}

impl Voice {
    /// Makes a voice of this length.
    #[must_use]
    pub fn new(file: Attachment, seconds: u32) -> Self {
        Voice { file, seconds }
    }
}

/// A film.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Video {
    /// Its file.
    pub file: Attachment,
    /// Its duration in seconds.
    pub seconds: u32,
    /// Its width in pixels; 0 where it is not known.
    pub width: f64,
    /// Its height in pixels; 0 where it is not known.
    pub height: f64,
    /// A picture of it, where there is one.
    pub thumbnail: Option<Attachment>,
}

impl Video {
    /// Makes a film of this length.
    #[must_use]
    pub fn new(file: Attachment, seconds: u32) -> Self {
        Video { file, seconds, ..Video::default() }
    }
}

/// Several messages forwarded as one: a file that holds them, and words about it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Combined {
    /// Fallback text for clients that cannot read the file.
    pub compatible_text: String,
    /// Its title.
    pub title: String,
    /// A few lines about what is in it.
    pub summary: String,
    /// The nesting depth of combined messages in it, from 1 to 10.
    pub level: u32,
    /// The file with the messages.
    pub file: Attachment,
}

/// A piece of a text that is sent while it is being written. All pieces have the message's id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamPiece {
    /// The piece.
    pub text: String,
    /// Its place, from 0. A piece that comes again is dropped by the message's id and this.
    pub sequence: u64,
    /// The text's progress.
    pub status: StreamStatus,
    /// The kind of text it is, such as `markdown`; empty where it is not said.
    pub kind: String,
    /// The service's number for what went wrong; 0 for nothing.
    pub error: u32,
    /// The sender's number for why the text ended; 0 where it is not said.
    pub finish_reason: i32,
}

/// Progress of a streamed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamStatus {
    /// The first piece.
    Start,
    /// The first piece, and the only one.
    StartAndCompleted,
    /// Another piece.
    InProgress,
    /// The last piece.
    Completed,
    /// The whole text, which stands for all pieces before.
    Full,
    /// A number this release does not know.
    Unknown(i32),
}

flat!(StreamStatus);

weigh! {
    Custom { event, values, params }
    Location { latitude, longitude, address, building }
    Image { file, width, height, gif }
    Voice { file, seconds }
    Video { file, seconds, width, height, thumbnail }
    Combined { compatible_text, title, summary, level, file }
    StreamPiece { text, sequence, status, kind, error, finish_reason }
}

weigh! {
    enum MessageBody {
        Text(value), Command { action }, Custom(value), Location(value), Image(value), Voice(value), Video(value),
        File(value), Combined(value), Stream(value), Raw { namespace, payload }
    }
}
