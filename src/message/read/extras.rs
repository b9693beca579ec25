//! What comes with few messages (messages spec §2.6, "optional parts").

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    ChatType, EditInfo, Message, MessageExtras, OnlineState, Priority, ReactionSummary, ThreadOrigin, ThreadOverview,
    Translation,
    message::json,
    wire::{Jid, KeyValue, Meta, key_value, message_body::MessageConfig},
};

/// `Meta.meta`.
#[derive(Default, Deserialize)]
struct ServerMeta {
    is_online: Option<Value>,
    callback_replace: Option<Value>,
}

/// `MessageBody.meta`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BodyMeta {
    reaction: Option<Value>,
    translations: Option<Value>,
    #[serde(rename = "edit_msg")]
    edit_msg: Option<Value>,
    thread: Option<Value>,
    #[serde(rename = "thread_overview")]
    thread_overview: Option<Value>,
    is_read: Option<Value>,
    is_delivered: Option<Value>,
}

/// What comes with this message, `None` where nothing does; nothing is allocated then.
pub(super) fn read(
    meta: &Meta,
    message: &Message,
    body_meta: Option<&str>,
    config: Option<MessageConfig>,
) -> Option<Box<MessageExtras>> {
    let is_room = message.chat == ChatType::Room;
    let to_device = device(meta.to.as_ref());
    let from_device = device(meta.from.as_ref()).filter(|_| message.own);
    let server_meta = meta.meta.as_deref().filter(|meta| !meta.is_empty());
    let attributes = if is_room { meta.ext.as_slice() } else { &[] };
    // Nearly always.
    if to_device.is_none()
        && from_device.is_none()
        && server_meta.is_none()
        && attributes.is_empty()
        && body_meta.is_none()
        && config.is_none()
    {
        return None;
    }
    let nothing = || if is_room { MessageExtras::ROOM } else { MessageExtras::NONE };
    let mut extras = MessageExtras {
        from_device: from_device.map(Arc::from),
        to_device: to_device.map(Arc::from),
        wants_group_receipts: config.map(|config| config.allow_group_ack.unwrap_or(false)),
        ..nothing()
    };
    room(attributes, &mut extras);
    if let Some(meta) = server_meta {
        // What is no JSON object says nothing; the message itself does not depend on it.
        let meta: ServerMeta = json::parse(meta).unwrap_or_default();
        extras.online = meta.is_online.as_ref().map(|online| match json::as_number(online) {
            Some(0) => OnlineState::Offline,
            Some(1) => OnlineState::Online,
            _ => OnlineState::Unknown,
        });
        extras.replaced = meta.callback_replace.as_ref().and_then(json::as_bool).unwrap_or(false);
    }
    if let Some(meta) = body_meta {
        body(&json::parse(meta).unwrap_or_default(), &mut extras);
    }
    (extras != nothing()).then(|| Box::new(extras))
}

/// What the `meta` of a message's REST form says of it (messages spec §5.4): the same as the body's on the socket.
pub(crate) fn of_json(meta: &Value, chat: ChatType) -> Option<Box<MessageExtras>> {
    let nothing = || if chat == ChatType::Room { MessageExtras::ROOM } else { MessageExtras::NONE };
    let mut extras = nothing();
    // What is of another shape says nothing; the message itself does not depend on it.
    body(&BodyMeta::deserialize(meta).unwrap_or_default(), &mut extras);
    (extras != nothing()).then(|| Box::new(extras))
}

fn device(jid: Option<&Jid>) -> Option<&str> {
    jid.and_then(|jid| jid.client_resource.as_deref()).filter(|resource| !resource.is_empty())
}

/// The attributes that the service gives to messages in chat rooms.
fn room(ext: &[KeyValue], extras: &mut MessageExtras) {
    for KeyValue { key, value, .. } in ext {
        match (key.as_deref(), value) {
            (Some("chatroom_msg_tag"), Some(key_value::Value::Varint(tag))) => {
                extras.priority = Some(match tag {
                    0 => Priority::High,
                    2 => Priority::Low,
                    _ => Priority::Normal,
                });
            }
            (Some("is_broadcast"), Some(key_value::Value::Varint(number))) => extras.broadcast = *number != 0,
            _ => {}
        }
    }
}

fn body(meta: &BodyMeta, extras: &mut MessageExtras) {
    extras.reactions = list(meta.reaction.as_ref()).iter().map(reaction).collect();
    extras.translations = list(meta.translations.as_ref()).iter().map(translation).collect();
    extras.edit = meta.edit_msg.as_ref().map(edit_info).filter(|edit| edit.count > 0);
    extras.thread = meta.thread.as_ref().filter(|thread| thread.is_object()).map(|thread| ThreadOrigin {
        message_id: json::number(thread, "msg_parent_id"),
        group: json::text(thread, "muc_parent_id"),
        name: json::text(thread, "thread_name"),
    });
    extras.thread_overview = meta.thread_overview.as_ref().filter(|thread| thread.is_object()).map(overview);
    extras.read = meta.is_read.as_ref().and_then(json::as_bool);
    extras.delivered = meta.is_delivered.as_ref().and_then(json::as_bool);
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn reaction(json: &Value) -> ReactionSummary {
    ReactionSummary {
        reaction: json::text(json, "reaction"),
        count: json::number(json, "count"),
        users: json::texts(json, "userList"),
        own: json.get("state").and_then(json::as_bool).unwrap_or(false),
    }
}

fn translation(json: &Value) -> Translation {
    Translation { language: json::text(json, "code"), text: json::text(json, "text") }
}

/// An `edit_msg` object.
fn edit_info(json: &Value) -> EditInfo {
    EditInfo {
        count: u32::try_from(json::number(json, "count")).unwrap_or(u32::MAX),
        operator: json::text(json, "operator"),
        time: json::number(json, "edit_time"),
    }
}

fn overview(json: &Value) -> ThreadOverview {
    ThreadOverview {
        id: json::text(json, "id"),
        group: json::text(json, "muc_parent_id"),
        name: json::text(json, "name"),
        messages: json::number(json, "message_count"),
        created_at: json::number(json, "create_timestamp"),
        updated_at: json::number(json, "update_timestamp"),
        last_message: json.get("last_message").filter(|last| last.as_object().is_some_and(|o| !o.is_empty())).cloned(),
    }
}
