//! Notifications, which are JSON (messages spec §4.4).

use std::sync::Arc;

use serde_json::Value;

use super::{Inbound, Own, event};
use crate::{
    ChatType, Conversation, DeviceEvent, DeviceOperation, EventKind, EventMask, PinEvent, PresenceEvent,
    ReactionChange, ReactionEvent, ReactionOperation, SilentMode, ThreadEvent, ThreadOperation, UserPresence,
    message::{is_own, json, shared},
    wire::Meta,
};

/// `None` for what has no event of its own.
pub(super) fn read(meta: &Meta, own: &Own<'_>, wanted: EventMask) -> Option<Inbound> {
    let kinds = EventMask::PRESENCE
        | EventMask::REACTION
        | EventMask::THREAD
        | EventMask::DEVICE
        | EventMask::PINNED
        | EventMask::UNKNOWN;
    if !wanted.intersects(kinds) {
        // Who handles messages is offered what cannot be read.
        let unread = wanted.contains(EventMask::MESSAGE) && !json::is_json(meta.payload.as_deref()?);
        return (!unread).then_some(Inbound::Unwanted(EventMask::UNKNOWN));
    }
    let json: Value = json::parse(meta.payload.as_deref()?)?;
    let (id, data) = (meta.id.unwrap_or(0), json.get("data").unwrap_or(&Value::Null));
    match json.get("type")?.as_str()? {
        "presence" => {
            let users = data.get("values")?.as_array()?;
            Some(event(wanted, EventMask::PRESENCE, || {
                EventKind::Presence(PresenceEvent { id, users: users.iter().map(presence).collect() })
            }))
        }
        "reaction" => {
            let changes = data.as_array()?;
            Some(event(wanted, EventMask::REACTION, || {
                EventKind::Reaction(ReactionEvent { id, changes: changes.iter().map(reaction).collect() })
            }))
        }
        "thread" => {
            let thread = thread(id, data, own)?;
            Some(event(wanted, EventMask::THREAD, || EventKind::Thread(Box::new(thread))))
        }
        "roaming_delete" => {
            let device = json::text(data, "resource");
            if device == own.resource {
                return Some(Inbound::Echo);
            }
            let conversation = conversation(data.get("chatType"), json::text(data, "to"));
            let operation = DeviceOperation::HistoryDeleted {
                conversation,
                messages: ids(data.get("msgIdList")),
                before: data.get("deleteTime").and_then(json::as_number),
                last: data.get("lastMsgId").and_then(json::as_number),
            };
            let timestamp = meta.timestamp.unwrap_or(0);
            Some(on_device(wanted, DeviceEvent { id, device: device.into(), timestamp, operation }))
        }
        "conv" => conversation_act(id, data, own, wanted),
        "user_notification_mute" => {
            // Seen beside the type; newer clients look for it below the data too.
            let values = json.get("values").or_else(|| data.get("values"))?.as_array()?;
            let modes: Vec<_> = values.iter().map(|value| silent_mode(value, own)).collect();
            let device = modes.first().map_or("", |mode| mode.device.as_str()).into();
            let operation = DeviceOperation::SilentModes(modes);
            Some(on_device(wanted, DeviceEvent { id, device, timestamp: meta.timestamp.unwrap_or(0), operation }))
        }
        _ => None,
    }
}

fn on_device(wanted: EventMask, told: DeviceEvent) -> Inbound {
    event(wanted, EventMask::DEVICE, || EventKind::Device(Box::new(told)))
}

fn presence(value: &Value) -> UserPresence {
    let devices = value.get("status").and_then(Value::as_object).into_iter().flatten();
    UserPresence {
        user: json::text(value, "uid"),
        last_seen: json::number(value, "last_time"),
        expires: json::number(value, "expiry"),
        text: json::text(value, "ext"),
        devices: devices.map(|(device, state)| (device.clone(), json::as_number(state).unwrap_or(0))).collect(),
    }
}

fn reaction(value: &Value) -> ReactionChange {
    let single = value.get("channel_type").and_then(Value::as_str) == Some("chat");
    ReactionChange {
        from: json::text(value, "from"),
        to: json::text(value, "to"),
        chat: if single { ChatType::Single } else { ChatType::Group },
        message: json::number(value, "messageId"),
        timestamp: json::number(value, "ts"),
        reactions: json::list(value, "reactions").iter().map(reaction_operation).collect(),
    }
}

fn reaction_operation(value: &Value) -> ReactionOperation {
    let by = |kind: &str| {
        let done = json::list(value, "op").iter();
        let done = done.filter(|op| op.get("reactionType").and_then(Value::as_str) == Some(kind));
        done.map(|op| json::text(op, "operator")).collect()
    };
    ReactionOperation {
        reaction: json::text(value, "reaction"),
        count: json::number(value, "count"),
        users: json::texts(value, "userList"),
        added_by: by("create"),
        removed_by: by("delete"),
    }
}

/// `None` for an operation this release does not know.
fn thread(id: u64, data: &Value, own: &Own<'_>) -> Option<ThreadEvent> {
    let operation = match data.get("operation")?.as_str()? {
        "create" => ThreadOperation::Created,
        "update" => ThreadOperation::Updated,
        "update_msg" => ThreadOperation::MessagesChanged,
        "delete" => ThreadOperation::Destroyed,
        _ => return None,
    };
    let name = |member: &str| shared(&json::text(data, member), own.user);
    Some(ThreadEvent {
        id,
        thread: name("id"),
        name: json::text(data, "name"),
        group: name("muc_parent_id"),
        message: json::number(data, "msg_parent_id"),
        from: name("from"),
        timestamp: json::number(data, "timestamp"),
        messages: data.get("message_count").and_then(json::as_number),
        last_message: data.get("last_message").filter(|last| !last.is_null()).cloned(),
        operation,
    })
}

/// What was done with a whole conversation, or a message pinned in one; `None` for what this release does not know.
fn conversation_act(id: u64, data: &Value, own: &Own<'_>, wanted: EventMask) -> Option<Inbound> {
    let (device, from) = (json::text(data, "res"), json::text(data, "from"));
    if device == own.resource && is_own(&from, own.user) {
        return Some(Inbound::Echo);
    }
    let timestamp = json::number(data, "ts");
    let act = data.get("op")?.as_str()?;
    let mark = || data.get("ext").and_then(json::as_number);
    let conversation = conversation(data.get("type"), json::text(data, "id"));
    let operation = match act {
        "del" => DeviceOperation::ConversationDeleted(conversation),
        "top" => DeviceOperation::ConversationPinned(conversation),
        "not_top" => DeviceOperation::ConversationUnpinned(conversation),
        "mark" => DeviceOperation::ConversationMarked { conversation, mark: mark()? },
        "mark_delete" => DeviceOperation::ConversationUnmarked { conversation, mark: mark()? },
        "pin" | "pin_delete" => {
            let message = mark()?;
            // Between two users each sees the other's name.
            let conversation = match conversation {
                Conversation::User(_) if !is_own(&from, own.user) => Conversation::user(from.as_str()),
                other => other,
            };
            let from = shared(&from, own.user);
            return Some(event(wanted, EventMask::PINNED, || {
                EventKind::Pinned(PinEvent { id, message, conversation, from, timestamp, pinned: act == "pin" })
            }));
        }
        _ => return None,
    };
    Some(on_device(wanted, DeviceEvent { id, device: device.into(), timestamp, operation }))
}

fn silent_mode(value: &Value, own: &Own<'_>) -> SilentMode {
    let settings = value.get("data").and_then(Value::as_object).filter(|settings| !settings.is_empty());
    // For all conversations the service names the account itself.
    let all = settings.is_some_and(|settings| settings.contains_key("ignoreInterval"));
    let id = |member: &str| Some(json::text(value, member)).filter(|id| !id.is_empty());
    let conversation = match (id("user"), id("group")) {
        (Some(user), _) if all && is_own(&user, own.user) => None,
        (Some(user), _) => Some(Conversation::user(user)),
        (None, Some(group)) => Some(Conversation::group(group)),
        (None, None) => None,
    };
    SilentMode { device: json::text(value, "operator_resource"), conversation, settings: settings.cloned() }
}

fn conversation(kind: Option<&Value>, id: String) -> Conversation {
    let id: Arc<str> = id.into();
    match kind.and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
        Some("groupchat" | "group") => Conversation::Group(id),
        Some("chatroom" | "room") => Conversation::Room(id),
        _ => Conversation::User(id),
    }
}

/// Ids in a list or, as text, parted by commas.
fn ids(value: Option<&Value>) -> Vec<u64> {
    match value {
        Some(Value::Array(ids)) => ids.iter().filter_map(json::as_number).collect(),
        Some(Value::String(ids)) => ids.split(',').filter_map(|id| id.trim().parse().ok()).collect(),
        _ => Vec::new(),
    }
}
