//! A message in the JSON form of REST (messages spec §5.4).

use serde_json::{Map, Value, json};

use crate::wire::{
    Body, Content, KeyValue, MessageBody, Meta,
    content::ContentType,
    key_value::{Value as Typed, ValueType},
    message_body::Type,
};

/// Returns a message as the list of conversations shows it.
pub(crate) fn message_json(meta: &Meta) -> Value {
    let body = match meta.body() {
        Ok(Body::Chat(body)) => *body,
        _ => MessageBody::default(),
    };
    let kind = match body.r#type() {
        Type::Groupchat => "groupchat",
        Type::Chatroom => "chatroom",
        _ => "chat",
    };
    let payload = json!({
        "type": kind,
        "from": body.from.as_ref().map(|from| from.name()).unwrap_or_default(),
        "to": body.to.as_ref().map(|to| to.name()).unwrap_or_default(),
        "ext": values(&body.ext),
        "meta": crate::util::lenient::json::read::<Value>(body.meta().as_bytes()).unwrap_or_else(|_| json!({})),
        "bodies": body.contents.iter().map(content).collect::<Vec<_>>(),
    });
    let name = |jid: &Option<crate::wire::Jid>| jid.as_ref().map(|jid| jid.name().to_owned()).unwrap_or_default();
    json!({
        "id": meta.id().to_string(),
        "from": name(&meta.from),
        "to": name(&meta.to),
        "timestamp": meta.timestamp(),
        "payload": payload.to_string(),
    })
}

fn value(entry: &KeyValue) -> Option<(String, Value)> {
    let value = match (entry.r#type(), entry.value.as_ref()?) {
        (ValueType::Bool, Typed::Varint(number)) => json!(*number != 0),
        (_, Typed::Varint(number)) => json!(number),
        (_, Typed::Float(number)) => json!(number),
        (_, Typed::Double(number)) => json!(number),
        (ValueType::JsonString, Typed::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        (_, Typed::String(text)) => json!(text),
    };
    Some((entry.key.clone()?, value))
}

fn values(entries: &[KeyValue]) -> Value {
    Value::Object(entries.iter().filter_map(value).collect())
}

fn content(content: &Content) -> Value {
    let is_combined = content.sub_type == Some(0) || content.r#type == Some(ContentType::Combine as i32);
    let name = match content.r#type() {
        _ if is_combined => "combine",
        ContentType::Text | ContentType::Combine => "txt",
        ContentType::Image => "img",
        ContentType::Video => "video",
        ContentType::Location => "loc",
        ContentType::Voice => "audio",
        ContentType::File => "file",
        ContentType::Command => "cmd",
        ContentType::Custom => "custom",
    };
    let customs = |entry: &KeyValue| value(entry).map(|(key, value)| json!({ key: value }));
    let customs: Vec<_> = content.custom_exts.iter().filter_map(customs).collect();
    let members = [
        ("msg", content.text.as_ref().map(|text| json!(text))),
        ("url", content.remote_path.as_ref().map(|url| json!(url))),
        ("secret", content.secret_key.as_ref().map(|secret| json!(secret))),
        ("filename", content.display_name.as_ref().map(|name| json!(name))),
        ("file_length", content.file_length.map(|length| json!(length))),
        ("length", content.duration.map(|seconds| json!(seconds))),
        ("size", content.size.as_ref().map(|size| json!({"width": size.width, "height": size.height}))),
        ("lat", content.latitude.map(|degrees| json!(degrees))),
        ("lng", content.longitude.map(|degrees| json!(degrees))),
        ("addr", content.address.as_ref().map(|address| json!(address))),
        ("buildingName", content.building_name.as_ref().map(|name| json!(name))),
        ("action", content.action.as_ref().map(|action| json!(action))),
        ("customEvent", content.custom_event.as_ref().map(|event| json!(event))),
        ("customExts", (!customs.is_empty()).then(|| json!(customs))),
        ("thumb", content.thumbnail_remote_path.as_ref().map(|url| json!(url))),
        ("thumb_secret", content.thumbnail_secret_key.as_ref().map(|secret| json!(secret))),
        ("title", content.title.as_ref().map(|title| json!(title))),
        ("summary", content.summary.as_ref().map(|summary| json!(summary))),
        ("combineLevel", content.combine_level.map(|level| json!(level))),
        (
            "subType",
            match content.sub_type {
                Some(0) => Some(json!("sub_combine")),
                Some(1) => Some(json!("sub_gif")),
                Some(10) => Some(json!("sub_stream")),
                _ => None,
            },
        ),
    ];
    let mut shown: Map<String, Value> =
        members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    shown.insert("type".to_owned(), json!(name));
    Value::Object(shown)
}
