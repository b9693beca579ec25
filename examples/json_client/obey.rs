//! Doing what is asked for.

use std::{fmt::Display, time::Duration};

use agora_chat::{
    Code, Connection, Conversation, MessageBody, Outgoing, RequestError, SendError,
    messages::{Attachment, Bundle, BundledMessage, Combined, Custom, Ext, Image, Location, RoomRequest, Video, Voice},
    rest::{Attribute, Fetch, HistoryCursor, HistoryQuery, Upload, UserAttributes},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    request::{Body, File, Forwarded, Members, Request, Send, Several},
    tell,
};

/// How much of a file may stand in a line, in bytes.
const INLINE: usize = 10 * 1024 * 1024;

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
pub(crate) async fn obey(request: Members, connection: &Connection) -> Result<Value, Value> {
    let send = async |message: Result<Outgoing, SendError>| {
        let sent = connection.send(message.map_err(unsent)?).await;
        sent.map(|sent| tell::sent(&sent)).map_err(unsent)
    };
    Ok(match serde_json::from_value(Value::Object(request)).map_err(wrong)? {
        Request::Send(asked) => send(Ok(message(*asked, connection).await?)).await?,
        Request::Edit { within, id, body, ext } => {
            let within = Conversation::from(within);
            let edit = Outgoing::edit(within.clone(), id.0, content(body, &within, connection).await?);
            send(edit.map(|edit| ext.into_iter().fold(edit, |edit, ext| edit.ext(Ext::from_iter(ext))))).await?
        }
        Request::Recall { from, id, ext } => {
            send(Outgoing::recall(from, id.0).map(|recall| ext.into_iter().fold(recall, Outgoing::recall_ext))).await?
        }
        Request::Delivered { to, id } => send(Outgoing::delivered_by_id(to, id.0)).await?,
        Request::Read { to, id } => send(Outgoing::read_by_id(to, id.0)).await?,
        Request::GroupRead { group, id, content } => send(Outgoing::group_read(group, id.0, content)).await?,
        Request::ConversationRead { of } => send(Outgoing::conversation_read(of)).await?,
        Request::JoinRoom { room, ext, leave_others } => {
            let join = RoomRequest::join(room).map_err(unsent)?.with_ext(ext.unwrap_or_default());
            let join = if leave_others == Some(true) { join.leaving_others() } else { join };
            tell::room(&connection.change_room(join).await.map_err(unsent)?)
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
            let fetch = if thumbnail == Some(true) { fetch.thumbnail() } else { fetch };
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
            let query = if forward == Some(true) { HistoryQuery::new().forward() } else { HistoryQuery::new() };
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
    })
}

/// A message, its file uploaded.
async fn message(asked: Send, connection: &Connection) -> Result<Outgoing, Value> {
    let to = Conversation::from(asked.to);
    let body = content(asked.body, &to, connection).await?;
    let mut message = Outgoing::body(to, body).map_err(unsent)?.ext(Ext::from_iter(asked.ext));
    if asked.online_only {
        message = message.online_only();
    }
    if let Some(users) = asked.directed {
        message = message.directed_to(users).map_err(unsent)?;
    }
    if let Some(rank) = asked.priority {
        message = message.priority(rank.into());
    }
    if let Some(wanted) = asked.group_receipts {
        message = message.group_receipts(wanted);
    }
    if let Some(id) = asked.client_id {
        message = message.with_client_id(id.0);
    }
    Ok(message)
}

async fn content(body: Body, to: &Conversation, connection: &Connection) -> Result<MessageBody, Value> {
    let uploaded = |file| stored(file, Some(to), connection);
    Ok(match body {
        Body::Text { text } => MessageBody::Text(text),
        Body::Command { action } => MessageBody::Command { action },
        Body::Custom { event, values } => {
            MessageBody::Custom(Box::new(Custom::new(event, Ext::from_iter(values.unwrap_or_default()))))
        }
        Body::Location { latitude, longitude, address, building } => MessageBody::Location(Box::new(
            Location::new(latitude, longitude, address.unwrap_or_default()).building(building.unwrap_or_default()),
        )),
        Body::Image { file, width, height, gif } => {
            let image = Image::new(uploaded(file).await?, width.unwrap_or(0.0), height.unwrap_or(0.0));
            MessageBody::Image(Box::new(if gif == Some(true) { image.gif() } else { image }))
        }
        Body::Voice { file, seconds } => MessageBody::Voice(Box::new(Voice::new(uploaded(file).await?, seconds))),
        Body::Video { file, seconds, width, height, thumbnail } => {
            let mut film = Video::new(uploaded(file).await?, seconds);
            (film.width, film.height) = (width.unwrap_or(0.0), height.unwrap_or(0.0));
            if let Some(picture) = thumbnail {
                film.thumbnail = Some(uploaded(picture).await?);
            }
            MessageBody::Video(Box::new(film))
        }
        Body::File { file } => MessageBody::File(Box::new(uploaded(file).await?)),
        Body::Combined(several) => {
            let Several { title, summary, compatible_text, messages, file, level } = *several;
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
        File::Stored(stored) => return Ok(stored.into()),
    };
    let upload = to.cloned().into_iter().fold(upload, Upload::to);
    connection.upload(upload).await.map_err(refused)
}
