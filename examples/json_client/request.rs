//! What stdin asks for, and doing it.

use std::{fmt::Display, path::PathBuf, time::Duration};

use agora_chat::{
    Attachment, Bundle, BundledMessage, Code, Combined, Connection, Conversation, Custom, Ext, FileSecret, Image,
    Location, MessageBody, Outgoing, Priority, RequestError, RoomRequest, SendError, Video, Voice,
    rest::{Attribute, Fetch, HistoryCursor, HistoryQuery, Upload, UserAttributes},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::tell;

/// How much of a file may stand in a line.
const INLINE: usize = 10 * 1024 * 1024;

/// A request: `{"do":…}` with these members.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Send(Box<Send>),
    Edit {
        within: Place,
        id: Id,
        body: Body,
        ext: Option<Map<String, Value>>,
    },
    Recall {
        from: Place,
        id: Id,
        ext: Option<String>,
    },
    Delivered {
        to: String,
        id: Id,
    },
    Read {
        to: String,
        id: Id,
    },
    GroupRead {
        group: String,
        id: Id,
        content: Option<String>,
    },
    ConversationRead {
        of: Place,
    },
    JoinRoom {
        room: String,
        ext: Option<String>,
        #[serde(default)]
        leave_others: bool,
    },
    LeaveRoom {
        room: String,
    },
    Upload {
        file: File,
    },
    Download {
        file: File,
        to: Option<PathBuf>,
        #[serde(default)]
        thumbnail: bool,
    },
    Bundle {
        file: File,
    },
    History {
        of: Place,
        limit: Option<u32>,
        start: Option<String>,
        #[serde(default)]
        forward: bool,
    },
    PublishPresence {
        text: String,
    },
    SubscribePresence {
        users: Vec<String>,
        seconds: u64,
    },
    UnsubscribePresence {
        users: Vec<String>,
    },
    Presence {
        users: Vec<String>,
    },
    SetAttributes {
        attributes: Map<String, Value>,
    },
    Attributes {
        users: Vec<String>,
    },
    Conversations {
        limit: u32,
        cursor: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    to: Place,
    body: Body,
    #[serde(default)]
    ext: Map<String, Value>,
    #[serde(default)]
    online_only: bool,
    directed: Option<Vec<String>>,
    priority: Option<Rank>,
    group_receipts: Option<bool>,
    client_id: Option<Id>,
}

/// A conversation, as `{"kind":"group","id":"182736"}`.
#[derive(Clone, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
enum Place {
    User(String),
    Group(String),
    Room(String),
    Thread(String),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rank {
    High,
    Normal,
    Low,
}

/// An id, as text.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Id(u64);

/// What a message says, as `{"type":"text","text":"hello"}`; received ones look the same.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Body {
    Text {
        text: String,
    },
    Command {
        action: String,
    },
    Custom {
        event: String,
        #[serde(default)]
        values: Map<String, Value>,
    },
    Location {
        latitude: f64,
        longitude: f64,
        #[serde(default)]
        address: String,
        #[serde(default)]
        building: String,
    },
    Image {
        file: File,
        #[serde(default)]
        width: f64,
        #[serde(default)]
        height: f64,
        #[serde(default)]
        gif: bool,
    },
    Voice {
        file: File,
        seconds: u32,
    },
    Video {
        file: File,
        seconds: u32,
        #[serde(default)]
        width: f64,
        #[serde(default)]
        height: f64,
        thumbnail: Option<File>,
    },
    File {
        file: File,
    },
    /// With `messages` to put into a file, or with the `file` and `level` of one that was received.
    Combined {
        title: String,
        summary: String,
        compatible_text: String,
        messages: Option<Vec<Forwarded>>,
        file: Option<File>,
        level: Option<u32>,
    },
}

/// A file: of this machine or in base64, which are uploaded first, or one that is stored already.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Path {
        path: PathBuf,
    },
    Inline {
        name: String,
        base64: String,
    },
    Stored {
        url: String,
        secret: Option<String>,
        #[serde(default)]
        name: String,
        #[serde(default)]
        length: u64,
    },
}

/// A message in a combined one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forwarded {
    id: Id,
    from: String,
    to: Place,
    timestamp: u64,
    body: Body,
    #[serde(default)]
    ext: Map<String, Value>,
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

/// The line that says what went wrong, with the vendor's number where it has one.
pub(crate) fn failed(code: Option<Code>, error: impl Display) -> Value {
    json!({"event": "error", "code": code, "message": error.to_string()})
}

fn unsent(error: SendError) -> Value {
    failed(Some(error.code()), error)
}

fn refused(error: impl Into<RequestError>) -> Value {
    let error = error.into();
    failed(Some(error.code()), error)
}

fn wrong(error: impl Display) -> Value {
    failed(None, error)
}

/// Does it; both the answer and the failure are lines.
pub(crate) async fn obey(request: Map<String, Value>, connection: &Connection) -> Result<Value, Value> {
    let sent = match serde_json::from_value(Value::Object(request)).map_err(wrong)? {
        Request::Send(send) => message(*send, connection).await?,
        Request::Edit { within, id, body, ext } => {
            let within = Conversation::from(within);
            let edit = Outgoing::edit(within.clone(), id.0, content(body, &within, connection).await?);
            ext.into_iter().fold(edit.map_err(unsent)?, |edit, ext| edit.ext(Ext::from_iter(ext)))
        }
        Request::Recall { from, id, ext } => {
            ext.into_iter().fold(Outgoing::recall(from, id.0).map_err(unsent)?, Outgoing::recall_ext)
        }
        Request::Delivered { to, id } => Outgoing::delivered_by_id(to, id.0).map_err(unsent)?,
        Request::Read { to, id } => Outgoing::read_by_id(to, id.0).map_err(unsent)?,
        Request::GroupRead { group, id, content } => Outgoing::group_read(group, id.0, content).map_err(unsent)?,
        Request::ConversationRead { of } => Outgoing::conversation_read(of).map_err(unsent)?,
        other => return ask(other, connection).await,
    };
    connection.send(sent).await.map(|sent| tell::sent(&sent)).map_err(unsent)
}

/// What is no send.
async fn ask(request: Request, connection: &Connection) -> Result<Value, Value> {
    Ok(match request {
        Request::JoinRoom { room, ext, leave_others } => {
            let join = RoomRequest::join(room).map_err(unsent)?.with_ext(ext.unwrap_or_default());
            let join = if leave_others { join.leaving_others() } else { join };
            tell::room(&connection.join_room_with(join).await.map_err(unsent)?)
        }
        Request::LeaveRoom { room } => {
            connection.leave_room(&room).await.map_err(unsent)?;
            json!({"event": "left"})
        }
        Request::Upload { file } => {
            json!({"event": "uploaded", "file": tell::file(&stored(file, None, connection).await?)})
        }
        Request::Download { file, to, thumbnail } => {
            let fetch = Fetch::new(&stored(file, None, connection).await?);
            let fetch = if thumbnail { fetch.thumbnail() } else { fetch };
            let download = connection.download(fetch).await.map_err(refused)?;
            if let Some(path) = to {
                let length = download.to_file(path).await.map_err(refused)?;
                return Ok(json!({"event": "downloaded", "length": length}));
            }
            let bytes = download.bytes(INLINE).await.map_err(refused)?;
            json!({"event": "downloaded", "length": bytes.len(), "base64": BASE64_STANDARD.encode(bytes)})
        }
        Request::Bundle { file } => {
            let download = connection.download(stored(file, None, connection).await?).await.map_err(refused)?;
            let bytes = download.bytes(Bundle::MAX_BYTES).await.map_err(refused)?;
            let messages = Bundle::read(&bytes).map_err(|e| failed(Some(e.code()), e))?;
            json!({"event": "bundle", "messages": messages.iter().map(tell::message).collect::<Vec<_>>()})
        }
        Request::History { of, limit, start, forward } => {
            let query = if forward { HistoryQuery::new().forward() } else { HistoryQuery::new() };
            let query = limit.into_iter().fold(query, HistoryQuery::limit);
            let query = start.map(HistoryCursor::new).into_iter().fold(query, HistoryQuery::start);
            tell::history(&connection.history(of, query).await.map_err(refused)?)
        }
        Request::PublishPresence { text } => {
            connection.publish_presence(text).await.map_err(refused)?;
            json!({"event": "done"})
        }
        Request::SubscribePresence { users, seconds } => {
            let now = connection.subscribe_presence(users, Duration::from_secs(seconds)).await;
            tell::presence(&now.map_err(refused)?)
        }
        Request::UnsubscribePresence { users } => {
            connection.unsubscribe_presence(users).await.map_err(refused)?;
            json!({"event": "done"})
        }
        Request::Presence { users } => tell::presence(&connection.presence_of(users).await.map_err(refused)?),
        Request::SetAttributes { attributes } => {
            let own = attributes.iter().try_fold(UserAttributes::new(), |own, (name, value)| {
                let known = Attribute::ALL.into_iter().find(|attribute| attribute.name() == name);
                let value = value.as_str().ok_or_else(|| wrong(format!("`{name}` is no text")))?;
                Ok::<_, Value>(own.with(known.ok_or_else(|| wrong(format!("there is no `{name}`")))?, value))
            })?;
            connection.set_attributes(own).await.map_err(refused)?;
            json!({"event": "done"})
        }
        Request::Attributes { users } => tell::attributes(&connection.attributes_of(users, []).await.map_err(refused)?),
        Request::Conversations { limit, cursor } => {
            tell::conversations(&connection.conversations(limit, cursor.as_deref()).await.map_err(refused)?)
        }
        _ => return Err(wrong("this is no question")),
    })
}

/// A message, its file uploaded.
async fn message(send: Send, connection: &Connection) -> Result<Outgoing, Value> {
    let to = Conversation::from(send.to);
    let body = content(send.body, &to, connection).await?;
    let mut message = Outgoing::body(to, body).map_err(unsent)?.ext(Ext::from_iter(send.ext));
    if send.online_only {
        message = message.online_only();
    }
    if let Some(users) = send.directed {
        message = message.directed_to(users).map_err(unsent)?;
    }
    if let Some(rank) = send.priority {
        message = message.priority(match rank {
            Rank::High => Priority::High,
            Rank::Normal => Priority::Normal,
            Rank::Low => Priority::Low,
        });
    }
    if let Some(wanted) = send.group_receipts {
        message = message.group_receipts(wanted);
    }
    if let Some(id) = send.client_id {
        message = message.with_client_id(id.0);
    }
    Ok(message)
}

async fn content(body: Body, to: &Conversation, connection: &Connection) -> Result<MessageBody, Value> {
    let uploaded = |file| stored(file, Some(to), connection);
    Ok(match body {
        Body::Text { text } => MessageBody::Text(text),
        Body::Command { action } => MessageBody::Command { action },
        Body::Custom { event, values } => MessageBody::Custom(Box::new(Custom::new(event, Ext::from_iter(values)))),
        Body::Location { latitude, longitude, address, building } => {
            MessageBody::Location(Box::new(Location::new(latitude, longitude, address).building(building)))
        }
        Body::Image { file, width, height, gif } => {
            let image = Image::new(uploaded(file).await?, width, height);
            MessageBody::Image(Box::new(if gif { image.gif() } else { image }))
        }
        Body::Voice { file, seconds } => MessageBody::Voice(Box::new(Voice::new(uploaded(file).await?, seconds))),
        Body::Video { file, seconds, width, height, thumbnail } => {
            let mut film = Video::new(uploaded(file).await?, seconds);
            (film.width, film.height) = (width, height);
            if let Some(picture) = thumbnail {
                film.thumbnail = Some(uploaded(picture).await?);
            }
            MessageBody::Video(Box::new(film))
        }
        Body::File { file } => MessageBody::File(Box::new(uploaded(file).await?)),
        Body::Combined { title, summary, compatible_text, messages, file, level } => {
            let mut combined = match (messages, file) {
                (Some(messages), None) => bundled(messages, to, connection).await?,
                (None, Some(file)) => {
                    let mut combined = Combined::default();
                    (combined.file, combined.level) = (uploaded(file).await?, level.unwrap_or(1));
                    combined
                }
                _ => return Err(wrong("a combined message has either `messages` or a `file`")),
            };
            (combined.title, combined.summary, combined.compatible_text) = (title, summary, compatible_text);
            MessageBody::Combined(Box::new(combined))
        }
    })
}

/// Several messages as one uploaded file.
async fn bundled(messages: Vec<Forwarded>, to: &Conversation, connection: &Connection) -> Result<Combined, Value> {
    let mut bundled = Vec::new();
    for said in messages {
        // A combined message may hold others.
        let body = Box::pin(content(said.body, to, connection)).await?;
        let message = BundledMessage::new(said.from, said.to, body).id(said.id.0).timestamp(said.timestamp);
        bundled.push(message.ext(Ext::from_iter(said.ext)));
    }
    let bundle = Bundle::new(connection.config().app_key(), &bundled).map_err(|e| failed(Some(e.code()), e))?;
    let upload = Upload::bytes("messages", bundle.file().clone()).to(to.clone());
    let file = connection.upload(upload).await.map_err(refused)?;
    Ok(bundle.combined(file, "", "", ""))
}

/// The file at the service: uploaded now, unless it is there already.
async fn stored(file: File, to: Option<&Conversation>, connection: &Connection) -> Result<Attachment, Value> {
    let upload = match file {
        File::Path { path } => Upload::file(path),
        File::Inline { name, base64 } => Upload::bytes(name, BASE64_STANDARD.decode(base64).map_err(wrong)?),
        File::Stored { url, secret, name, length } => {
            let mut file = Attachment::at(url);
            (file.secret, file.name, file.length) = (secret.map(FileSecret::new), name, length);
            return Ok(file);
        }
    };
    let upload = to.cloned().into_iter().fold(upload, Upload::to);
    connection.upload(upload).await.map_err(refused)
}
