//! Answers and events as JSON objects: everything that is known of each.

use std::{collections::BTreeMap, fmt::Debug};

use agora_chat::{
    Conversation, Event, EventKind, Message, MessageBody, SendError, Sent,
    events::{DeviceOperation, MucEvent, MucOperation, Receipt, ReceiptKind, SilentMode, ThreadEvent},
    messages::{Attachment, RoomInfo},
    rest::{ConversationPage, HistoryPage, PresenceState, UserAttributes},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

/// A variant's own name as JSON has names: `AdminAdded` becomes `admin_added`.
fn name(variant: &impl Debug) -> String {
    let debug = format!("{variant:?}");
    let mut name = String::new();
    for letter in debug.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn place(conversation: &Conversation) -> Value {
    json!({"kind": name(conversation), "id": conversation.id()})
}

fn pairs(list: &[(String, String)]) -> Value {
    list.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into()
}

fn ids(list: &[u64]) -> Vec<String> {
    list.iter().map(u64::to_string).collect()
}

pub(crate) fn file(file: &Attachment) -> Value {
    let secret = file.secret.as_ref().map(|secret| secret.expose());
    json!({"url": file.url, "secret": secret, "name": file.name, "length": file.length})
}

fn body(body: &MessageBody) -> Value {
    match body {
        MessageBody::Text(text) => json!({"type": "text", "text": text}),
        MessageBody::Command { action } => json!({"type": "command", "action": action}),
        MessageBody::Custom(custom) if custom.params.is_empty() => {
            json!({"type": "custom", "event": custom.event, "values": custom.values.to_json()})
        }
        MessageBody::Custom(custom) => json!({
            "type": "custom", "event": custom.event, "values": custom.values.to_json(),
            "params": custom.params.to_json(),
        }),
        MessageBody::Location(place) => json!({
            "type": "location", "latitude": place.latitude, "longitude": place.longitude, "address": place.address,
            "building": place.building,
        }),
        MessageBody::Image(image) => json!({
            "type": "image", "file": file(&image.file), "width": image.width, "height": image.height,
            "gif": image.gif,
        }),
        MessageBody::Voice(voice) => json!({"type": "voice", "file": file(&voice.file), "seconds": voice.seconds}),
        MessageBody::Video(film) => json!({
            "type": "video", "file": file(&film.file), "seconds": film.seconds, "width": film.width,
            "height": film.height, "thumbnail": film.thumbnail.as_ref().map(file),
        }),
        MessageBody::File(stored) => json!({"type": "file", "file": file(stored)}),
        MessageBody::Combined(combined) => json!({
            "type": "combined", "title": combined.title, "summary": combined.summary,
            "compatible_text": combined.compatible_text, "level": combined.level, "file": file(&combined.file),
        }),
        MessageBody::Stream(piece) => json!({
            "type": "stream", "text": piece.text, "sequence": piece.sequence, "status": name(&piece.status),
            "kind": piece.kind, "error": piece.error, "finish_reason": piece.finish_reason,
        }),
        MessageBody::Raw { namespace, payload } => {
            json!({"type": "raw", "namespace": namespace, "base64": BASE64_STANDARD.encode(payload)})
        }
        other => json!({"type": name(other)}),
    }
}

pub(crate) fn message(message: &Message) -> Value {
    json!({
        "id": message.id.to_string(), "from": &*message.from, "to": &*message.to, "chat": message.chat,
        "conversation": place(&message.conversation()), "own": message.own, "timestamp": message.timestamp,
        "body": body(&message.body), "ext": message.ext.to_json(), "extras": extras(message),
    })
}

/// Those that the message has.
fn extras(message: &Message) -> Value {
    let extras = message.extras();
    let edit = extras.edit.as_ref();
    let edit = edit.map(|edit| json!({"count": edit.count, "operator": edit.operator, "time": edit.time}));
    let thread = extras
        .thread
        .as_ref()
        .map(|thread| json!({"message_id": thread.message_id.to_string(), "group": thread.group, "name": thread.name}));
    let overview = extras.thread_overview.as_ref().map(|thread| {
        json!({
            "id": thread.id, "group": thread.group, "name": thread.name, "messages": thread.messages,
            "created_at": thread.created_at, "updated_at": thread.updated_at, "last_message": thread.last_message,
        })
    });
    let reactions = extras
        .reactions
        .iter()
        .map(|one| json!({"reaction": one.reaction, "count": one.count, "users": one.users, "own": one.own}));
    let translations = extras.translations.iter().map(|one| json!({"language": one.language, "text": one.text}));
    let list = |list: Vec<Value>| (!list.is_empty()).then_some(list);
    let all = json!({
        "from_device": extras.from_device.as_deref(), "to_device": extras.to_device.as_deref(), "online": extras.online.as_ref().map(name),
        "replaced": extras.replaced.then_some(true), "wants_group_receipts": extras.wants_group_receipts,
        "thread": thread, "thread_overview": overview, "reactions": list(reactions.collect()),
        "translations": list(translations.collect()), "edit": edit, "read": extras.read,
        "delivered": extras.delivered, "priority": extras.priority.as_ref().map(name),
        "broadcast": extras.broadcast.then_some(true),
    });
    let all = all.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    all.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into()
}

pub(crate) fn sent(sent: &Sent) -> Value {
    let edit = sent.edit.as_ref().map(|edit| {
        json!({
            "count": edit.count, "operator": edit.operator, "time": edit.time, "sender": edit.sender,
            "sent_at": edit.sent_at, "chat": edit.chat,
        })
    });
    json!({
        "event": "sent", "client_id": sent.client_id.to_string(), "server_id": sent.server_id.to_string(),
        "timestamp": sent.timestamp, "edit": edit, "replaced": sent.replaced.as_deref().map(message),
    })
}

pub(crate) fn room(room: &RoomInfo) -> Value {
    json!({
        "event": "joined", "member_count": room.member_count, "created_at": room.created_at,
        "all_muted": room.all_muted, "in_allow_list": room.in_allow_list, "muted_for": room.muted_for,
    })
}

pub(crate) fn history(page: &HistoryPage) -> Value {
    let messages: Vec<_> = page.messages.iter().map(message).collect();
    let next = page.next.as_ref().map(ToString::to_string);
    json!({"event": "history", "messages": messages, "next": next, "skipped": page.skipped})
}

pub(crate) fn presence(users: &[PresenceState]) -> Value {
    let user = |user: &PresenceState| {
        json!({
            "user": user.user, "text": user.ext, "devices": user.devices, "last_seen": user.last_seen,
            "expires": user.expires,
        })
    };
    json!({"event": "presence_now", "users": users.iter().map(user).collect::<Vec<_>>()})
}

pub(crate) fn attributes(users: &BTreeMap<String, UserAttributes>) -> Value {
    let one = |attributes: &UserAttributes| -> Map<String, Value> {
        attributes.iter().map(|(attribute, value)| (attribute.name().to_owned(), json!(value))).collect()
    };
    json!({"event": "attributes", "users": users.iter().map(|(user, own)| (user, one(own))).collect::<BTreeMap<_, _>>()})
}

pub(crate) fn conversations(page: &ConversationPage) -> Value {
    let one = |info: &agora_chat::rest::ConversationInfo| {
        json!({
            "conversation": place(&info.conversation), "unread": info.unread, "pinned": info.pinned,
            "pinned_at": info.pinned_at, "marks": info.marks, "last_message": info.last_message.as_ref().map(message),
        })
    };
    let list: Vec<_> = page.conversations.iter().map(one).collect();
    json!({"event": "conversations", "conversations": list, "next": page.next, "skipped": page.skipped})
}

/// An event by its name, with all that is known of it.
pub(crate) fn event(event: &Event) -> Value {
    let mut line = match event.kind() {
        EventKind::Connected { resumed } => json!({"resumed": resumed}),
        EventKind::Reconnecting { attempt, delay, cause } => {
            json!({"attempt": attempt, "delay_seconds": delay.as_secs_f64(), "cause": cause.to_string()})
        }
        EventKind::Disconnected { reason } => json!({"code": reason.code(), "reason": reason.to_string()}),
        EventKind::TokenWillExpire { at, expires_in } => {
            json!({"at": at, "expires_in_seconds": expires_in.as_secs_f64()})
        }
        EventKind::Flapping { sessions, window, floor } => json!({
            "sessions": sessions, "window_seconds": window.as_secs_f64(), "floor_seconds": floor.as_secs_f64(),
        }),
        EventKind::TokenExpired => json!({}),
        EventKind::Message(said) => message(said),
        EventKind::Receipt(it) => receipt(it),
        EventKind::Recalled(it) => json!({
            "id": it.id.to_string(), "from": it.from.as_deref(), "to": &*it.to, "own": it.own, "group": it.group,
            "timestamp": it.timestamp, "message": it.message.to_string(), "ext": it.ext,
        }),
        EventKind::Edited(it) => json!({
            "id": it.id.to_string(), "timestamp": it.timestamp, "message": message(&it.message),
            "replaces_ext": it.replaces_ext,
        }),
        EventKind::Group(it) | EventKind::Room(it) => muc(it),
        EventKind::RoomLost { room, error } => json!({
            "room": &**room, "code": error.as_ref().map(SendError::code), "error": error.as_ref().map(ToString::to_string),
        }),
        EventKind::Thread(it) => thread(it),
        EventKind::Contact(it) => json!({
            "id": it.id.to_string(), "from": &*it.from, "to": &*it.to, "reason": it.reason, "timestamp": it.timestamp,
            "change": name(&it.change),
        }),
        EventKind::Presence(it) => {
            let users = it.users.iter().map(|user| {
                let devices: BTreeMap<_, _> = user.devices.iter().cloned().collect();
                json!({
                    "user": user.user, "text": user.text, "devices": devices, "last_seen": user.last_seen,
                    "expires": user.expires,
                })
            });
            json!({"id": it.id.to_string(), "users": users.collect::<Vec<_>>()})
        }
        EventKind::Reaction(it) => {
            let changes = it.changes.iter().map(|change| {
                let reactions = change.reactions.iter().map(|one| {
                    json!({
                        "reaction": one.reaction, "count": one.count, "users": one.users, "added_by": one.added_by,
                        "removed_by": one.removed_by,
                    })
                });
                json!({
                    "from": change.from, "to": change.to, "chat": change.chat, "message": change.message.to_string(),
                    "timestamp": change.timestamp, "reactions": reactions.collect::<Vec<_>>(),
                })
            });
            json!({"id": it.id.to_string(), "changes": changes.collect::<Vec<_>>()})
        }
        EventKind::Pinned(it) => json!({
            "id": it.id.to_string(), "message": it.message.to_string(), "conversation": place(&it.conversation),
            "from": &*it.from, "timestamp": it.timestamp, "pinned": it.pinned,
        }),
        EventKind::Device(it) => json!({
            "id": it.id.to_string(), "device": &*it.device, "timestamp": it.timestamp,
            "operation": device(&it.operation),
        }),
        EventKind::OfflineSyncStarted { queues, messages } => json!({"queues": queues, "messages": messages}),
        EventKind::OfflineSyncFinished { queues, messages, complete } => {
            json!({"queues": queues, "messages": messages, "complete": complete})
        }
        EventKind::Unknown(it) => json!({
            "id": it.id.to_string(), "from": &*it.from, "to": &*it.to, "timestamp": it.timestamp,
            "namespace": it.namespace, "base64": BASE64_STANDARD.encode(&it.payload),
        }),
        EventKind::Missed { count } => json!({"count": count}),
        // What a later release tells beyond this.
        _ => json!({}),
    };
    if let Some(members) = line.as_object_mut() {
        members.insert("event".to_owned(), json!(name(event.kind())));
    }
    line
}

fn receipt(it: &Receipt) -> Value {
    let kind = match &it.kind {
        ReceiptKind::GroupRead { counts, content } => {
            let counts: BTreeMap<_, _> = counts.iter().map(|(message, count)| (message.to_string(), count)).collect();
            json!({"type": "group_read", "counts": counts, "content": content})
        }
        plain => json!({"type": name(plain)}),
    };
    json!({
        "id": it.id.to_string(), "from": &*it.from, "to": &*it.to, "own": it.own, "timestamp": it.timestamp,
        "messages": ids(&it.messages), "kind": kind,
    })
}

fn muc(it: &MucEvent) -> Value {
    let more = match &it.operation {
        MucOperation::MembersJoined { members, count, ext } | MucOperation::MembersLeft { members, count, ext } => {
            json!({"members": members, "count": count, "ext": ext})
        }
        MucOperation::MemberMuted { until } => json!({"until": until.iter().cloned().collect::<BTreeMap<_, _>>()}),
        MucOperation::AttributesSet { attributes } => json!({"attributes": pairs(attributes)}),
        MucOperation::AttributesRemoved { keys } => json!({"keys": keys}),
        MucOperation::MemberAttributesUpdated { user, attributes } => {
            json!({"user": user, "attributes": pairs(attributes)})
        }
        MucOperation::Updated(settings) => json!({
            "name": settings.name, "description": settings.description, "public": settings.public,
            "approval": settings.approval, "members_invite": settings.members_invite,
            "invitations_need_consent": settings.invitations_need_consent, "max_members": settings.max_members,
            "custom": settings.custom, "avatar": settings.avatar, "modified_at": settings.modified_at,
            "other": settings.other,
        }),
        _ => Value::Null,
    };
    json!({
        "id": it.id.to_string(), "muc": &*it.muc, "name": it.name, "from": &*it.from, "users": it.users,
        "reason": it.reason, "timestamp": it.timestamp, "operation": name(&it.operation), "details": more,
    })
}

fn thread(it: &ThreadEvent) -> Value {
    json!({
        "id": it.id.to_string(), "thread": &*it.thread, "name": it.name, "group": &*it.group,
        "message": it.message.to_string(), "from": &*it.from, "timestamp": it.timestamp, "messages": it.messages,
        "last_message": it.last_message, "operation": name(&it.operation),
    })
}

fn device(operation: &DeviceOperation) -> Value {
    let mut more = match operation {
        DeviceOperation::Thread { thread, name: called, group, act } => {
            json!({"thread": &**thread, "name": called, "group": &**group, "act": name(act)})
        }
        DeviceOperation::MemberAttributesUpdated { group, user, attributes } => {
            json!({"group": &**group, "user": user, "attributes": pairs(attributes)})
        }
        DeviceOperation::HistoryDeleted { conversation, messages, before, last } => json!({
            "conversation": place(conversation), "messages": ids(messages), "before": before,
            "last": last.map(|id| id.to_string()),
        }),
        DeviceOperation::ConversationDeleted(conversation)
        | DeviceOperation::ConversationPinned(conversation)
        | DeviceOperation::ConversationUnpinned(conversation) => json!({"conversation": place(conversation)}),
        DeviceOperation::ConversationMarked { conversation, mark }
        | DeviceOperation::ConversationUnmarked { conversation, mark } => {
            json!({"conversation": place(conversation), "mark": mark})
        }
        DeviceOperation::SilentModes(modes) => {
            let mode = |mode: &SilentMode| {
                json!({
                    "device": mode.device, "conversation": mode.conversation.as_ref().map(place),
                    "settings": mode.settings,
                })
            };
            json!({"modes": modes.iter().map(mode).collect::<Vec<_>>()})
        }
        _ => json!({}),
    };
    if let Some(members) = more.as_object_mut() {
        members.insert("type".to_owned(), json!(name(operation)));
    }
    more
}
