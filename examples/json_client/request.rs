//! What stdin may ask for.

use std::path::PathBuf;

use agora_chat::{
    Conversation,
    messages::{Attachment, FileSecret, Priority},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Attributes, the values of a custom event and the like.
pub(crate) type Members = Map<String, Value>;

/// A request: `{"do":…}` with these members. What is optional may be left out.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    Send(Box<Send>),
    Edit { within: Place, id: Id, body: Body, ext: Option<Members> },
    Recall { from: Place, id: Id, ext: Option<String> },
    Delivered { to: String, id: Id },
    Read { to: String, id: Id },
    GroupRead { group: String, id: Id, content: Option<String> },
    ConversationRead { of: Place },
    JoinRoom { room: String, ext: Option<String>, leave_others: Option<bool> },
    LeaveRoom { room: String },
    Upload { file: File },
    Download { file: File, to: Option<PathBuf>, thumbnail: Option<bool> },
    Bundle { file: File },
    History { of: Place, limit: Option<u32>, start: Option<String>, forward: Option<bool> },
    PublishPresence { text: String },
    SubscribePresence { users: Vec<String>, seconds: u64 },
    UnsubscribePresence { users: Vec<String> },
    Presence { users: Vec<String> },
    SetAttributes { attributes: Members },
    Attributes { users: Vec<String> },
    Conversations { limit: u32, cursor: Option<String> },
}

/// A message to send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Send {
    pub(crate) to: Place,
    pub(crate) body: Body,
    #[serde(default)]
    pub(crate) ext: Members,
    #[serde(default)]
    pub(crate) online_only: bool,
    pub(crate) directed: Option<Vec<String>>,
    pub(crate) priority: Option<Rank>,
    pub(crate) group_receipts: Option<bool>,
    pub(crate) client_id: Option<Id>,
}

/// A conversation, as `{"kind":"group","id":"182736"}`.
#[derive(Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub(crate) enum Place {
    User(String),
    Group(String),
    Room(String),
    Thread(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rank {
    High,
    Normal,
    Low,
}

/// An id, as text.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Id(pub(crate) u64);

/// What a message says, as `{"type":"text","text":"hello"}`; received ones look the same.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Body {
    Text { text: String },
    Command { action: String },
    Custom { event: String, values: Option<Members> },
    Location { latitude: f64, longitude: f64, address: Option<String>, building: Option<String> },
    Image { file: File, width: Option<f64>, height: Option<f64>, gif: Option<bool> },
    Voice { file: File, seconds: u32 },
    Video { file: File, seconds: u32, width: Option<f64>, height: Option<f64>, thumbnail: Option<File> },
    File { file: File },
    Combined(Box<Several>),
}

/// A combined message: with `messages` to put into a file, or with the `file` and `level` of one that was received.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Several {
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) compatible_text: String,
    pub(crate) messages: Option<Vec<Forwarded>>,
    pub(crate) file: Option<File>,
    pub(crate) level: Option<u32>,
}

/// A message in a combined one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forwarded {
    pub(crate) id: Id,
    pub(crate) from: String,
    pub(crate) to: Place,
    pub(crate) timestamp: u64,
    pub(crate) body: Body,
    #[serde(default)]
    pub(crate) ext: Members,
}

/// A file: of this machine or in base64, which are uploaded first, or one that is stored already.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum File {
    Path { path: PathBuf },
    Inline { name: String, base64: String },
    Stored(Stored),
}

#[derive(Deserialize)]
pub(crate) struct Stored {
    url: String,
    secret: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    length: u64,
}

impl TryFrom<String> for Id {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Id)
    }
}

impl From<Place> for Conversation {
    fn from(place: Place) -> Self {
        match place {
            Place::User(id) => Conversation::user(id),
            Place::Group(id) => Conversation::group(id),
            Place::Room(id) => Conversation::room(id),
            Place::Thread(id) => Conversation::thread(id),
        }
    }
}

impl From<Rank> for Priority {
    fn from(rank: Rank) -> Self {
        match rank {
            Rank::High => Priority::High,
            Rank::Normal => Priority::Normal,
            Rank::Low => Priority::Low,
        }
    }
}

impl From<Stored> for Attachment {
    fn from(stored: Stored) -> Self {
        let mut file = Attachment::at(stored.url);
        (file.secret, file.name, file.length) = (stored.secret.map(FileSecret::new), stored.name, stored.length);
        file
    }
}
