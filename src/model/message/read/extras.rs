//! Reads optional metadata (messages spec §2.6, "optional parts").

use std::sync::Arc;

use serde_json::Value;

use super::Parties;
use crate::{
    model::message::{
        ChatType, EditInfo, Json, Message, MessageExtras, OnlineState, Priority, ReactionSummary, ThreadOrigin,
        ThreadOverview, Translation,
        json::{self, View},
    },
    wire::{Jid, KeyValue, Meta, key_value, message_body::MessageConfig},
};

/// Reads this message's extras, `None` where there are none; nothing is allocated then.
pub(super) fn read(
    meta: &Meta,
    message: &Message,
    body_meta: Option<&str>,
    config: Option<MessageConfig>,
    parties: &Parties<'_>,
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
        && parties.agree()
    {
        return None;
    }
    let nothing = || nothing(message.chat);
    let mut extras = MessageExtras {
        from_device: from_device.map(Arc::from),
        to_device: to_device.map(Arc::from),
        claims: parties.claims(),
        wants_group_receipts: config.map(|config| config.allow_group_ack.unwrap_or(false)),
        ..nothing()
    };
    room(attributes, &mut extras);
    if let Some(meta) = server_meta {
        // What is no JSON object says nothing; the message itself does not depend on it.
        if let Some(meta) = json::open(meta) {
            let [online, replaced] = meta.view().fields(["is_online", "callback_replace"]);
            extras.online = online.is_some().then(|| match online.number() {
                Some(0) => OnlineState::Offline,
                Some(1) => OnlineState::Online,
                _ => OnlineState::Unknown,
            });
            extras.replaced = replaced.bool().unwrap_or(false);
        }
    }
    if let Some(meta) = body_meta.and_then(json::open) {
        body(meta.view(), &mut extras);
    }
    (extras != nothing()).then(|| Box::new(extras))
}

/// Reads the `meta` of a message's REST form (messages spec §5.4): the same as the body's on the socket.
pub(crate) fn of_json(meta: &Value, chat: ChatType) -> Option<Box<MessageExtras>> {
    let nothing = || nothing(chat);
    let mut extras = nothing();
    // What is of another shape says nothing; the message itself does not depend on it.
    body(View::of(&meta.to_string()), &mut extras);
    (extras != nothing()).then(|| Box::new(extras))
}

pub(super) const fn nothing(chat: ChatType) -> MessageExtras {
    if matches!(chat, ChatType::Room) { MessageExtras::ROOM } else { MessageExtras::NONE }
}

fn device(jid: Option<&Jid>) -> Option<&str> {
    jid.and_then(|jid| jid.client_resource.as_deref()).filter(|resource| !resource.is_empty())
}

/// Reads the attributes that the service gives to messages in chat rooms.
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

fn body(meta: View<'_>, extras: &mut MessageExtras) {
    let [reactions, translations, edit, thread, overview, read, delivered] =
        meta.fields(["reaction", "translations", "edit_msg", "thread", "thread_overview", "isRead", "isDelivered"]);
    extras.reactions = reactions.entries(|entry| json::said(reaction(entry)));
    extras.translations = translations.entries(|entry| json::said(translation(entry)));
    extras.edit = Some(edit_info(edit)).filter(|edit| edit.count > 0);
    extras.thread = thread.is_object().then(|| {
        let [message, group, name] = thread.fields(["msg_parent_id", "muc_parent_id", "thread_name"]);
        ThreadOrigin { message_id: message.number().unwrap_or(0), group: group.text(), name: name.text() }
    });
    extras.thread_overview = overview.is_object().then(|| thread_overview(overview));
    extras.read = read.bool();
    extras.delivered = delivered.bool();
}

fn reaction(json: View<'_>) -> ReactionSummary {
    let [reaction, count, users, own] = json.fields(["reaction", "count", "userList", "state"]);
    ReactionSummary {
        reaction: reaction.text(),
        count: count.number().unwrap_or(0),
        users: users.texts(),
        own: own.bool().unwrap_or(false),
    }
}

fn translation(json: View<'_>) -> Translation {
    let [language, text] = json.fields(["code", "text"]);
    Translation { language: language.text(), text: text.text() }
}

fn edit_info(json: View<'_>) -> EditInfo {
    let [count, operator, time] = json.fields(["count", "operator", "edit_time"]);
    EditInfo {
        count: u32::try_from(count.number().unwrap_or(0)).unwrap_or(u32::MAX),
        operator: operator.text(),
        time: time.number().unwrap_or(0),
    }
}

fn thread_overview(json: View<'_>) -> ThreadOverview {
    let [id, group, name, messages, created_at, updated_at, last_message] = json.fields([
        "id",
        "muc_parent_id",
        "name",
        "message_count",
        "create_timestamp",
        "update_timestamp",
        "last_message",
    ]);
    ThreadOverview {
        id: id.text(),
        group: group.text(),
        name: name.text(),
        messages: messages.number().unwrap_or(0),
        created_at: created_at.number().unwrap_or(0),
        updated_at: updated_at.number().unwrap_or(0),
        last_message: last_message.has_members().then(|| Json::seen(last_message)),
    }
}
