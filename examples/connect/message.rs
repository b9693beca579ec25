//! A message, told: what it says with its type and fields. The secret of a file is never among them.

use agora_chat::{Conversation, Message, MessageBody, messages::Attachment};
use serde_json::{Map, Value, json};

use super::{tell::Told, words::snake};

/// A message, as the JSON object of an event with this name and as a sentence.
pub(crate) fn message(event: &str, message: &Message) -> Told {
    let (kind, says, members) = content(&message.body);
    let (from, to) = (&*message.from, &*message.to);
    let mut object = Map::new();
    let mut set = |member: &str, value: Value| object.insert(member.to_owned(), value);
    set("event", json!(event));
    set("id", json!(message.id.to_string()));
    set("from", json!(from));
    set("to", json!(to));
    set("chat", json!(message.chat));
    set("type", json!(kind));
    set("timestamp", json!(message.timestamp));
    if message.own {
        set("own", json!(true));
    }
    if !message.ext.is_empty() {
        set("ext", message.ext.to_json());
    }
    if let Conversation::Thread(thread) = message.conversation() {
        set("thread", json!(&*thread));
    }
    if let Value::Object(members) = members {
        object.extend(members);
    }
    (Value::Object(object), format!("{from} to {to}, {kind}: {says}"))
}

/// The type, what it says in words, and its members.
fn content(body: &MessageBody) -> (&'static str, String, Value) {
    match body {
        MessageBody::Text(text) => ("text", json!(text).to_string(), json!({"text": text})),
        MessageBody::Command { action } => ("command", json!(action).to_string(), json!({"action": action})),
        MessageBody::Custom(custom) => {
            let (values, params) = (custom.values.to_json(), custom.params.to_json());
            let says = format!("{} {values}", custom.event);
            ("custom", says, json!({"custom_event": custom.event, "values": values, "params": params}))
        }
        MessageBody::Location(place) => {
            let says = format!("{}, {} {}", place.latitude, place.longitude, json!(place.address));
            let members = json!({
                "latitude": place.latitude, "longitude": place.longitude, "address": place.address,
                "building": place.building,
            });
            ("location", says, members)
        }
        MessageBody::Image(image) => {
            let more = json!({"width": image.width, "height": image.height, "gif": image.gif});
            ("image", says(&image.file), file(&image.file, more))
        }
        MessageBody::Voice(voice) => ("voice", says(&voice.file), file(&voice.file, json!({"seconds": voice.seconds}))),
        MessageBody::Video(video) => {
            let thumbnail = video.thumbnail.as_ref().map(|thumbnail| &thumbnail.url);
            let more = json!({
                "seconds": video.seconds, "width": video.width, "height": video.height, "thumbnail": thumbnail,
            });
            ("video", says(&video.file), file(&video.file, more))
        }
        MessageBody::File(attachment) => ("file", says(attachment), file(attachment, json!({}))),
        MessageBody::Combined(combined) => {
            let more = json!({
                "compatible_text": combined.compatible_text, "title": combined.title, "summary": combined.summary,
                "level": combined.level,
            });
            ("combined", json!(combined.title).to_string(), file(&combined.file, more))
        }
        MessageBody::Stream(piece) => {
            let members = json!({
                "text": piece.text, "sequence": piece.sequence, "status": snake(&piece.status), "kind": piece.kind,
            });
            ("stream", json!(piece.text).to_string(), members)
        }
        MessageBody::Raw { namespace, payload } => {
            let says = format!("{} bytes of namespace {namespace}", payload.len());
            ("raw", says, json!({"namespace": namespace, "bytes": payload.len()}))
        }
        other => ("other", format!("{other:?}"), json!({})),
    }
}

fn says(file: &Attachment) -> String {
    format!("{} ({} bytes) at {}", json!(file.name), file.length, file.url)
}

/// The members of a file, and more.
fn file(file: &Attachment, mut more: Value) -> Value {
    if let Value::Object(members) = &mut more {
        members.insert("url".to_owned(), json!(file.url));
        members.insert("name".to_owned(), json!(file.name));
        members.insert("length".to_owned(), json!(file.length));
    }
    more
}
