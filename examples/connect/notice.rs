//! What is received beside messages, told: receipts, changes, groups, contacts and the account's other devices.

use agora_chat::events::{
    ContactEvent, DeviceEvent, DeviceOperation, Edit, MucEvent, MucOperation, MucSettings, PinEvent, PresenceEvent,
    ReactionEvent, Recall, Receipt, ReceiptKind, ThreadEvent, ThreadOperation, UnknownNotice,
};
use serde_json::{Value, json};

use super::{
    message::message,
    tell::Told,
    words::{ids, object_of, place, snake, spoken},
};

/// Puts more members into an object.
fn with(mut told: Value, more: Value) -> Value {
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    told
}

pub(crate) fn receipt(receipt: &Receipt) -> Told {
    let (from, to, kind) = (&*receipt.from, &*receipt.to, snake(&receipt.kind));
    let object = json!({
        "event": "receipt", "id": receipt.id.to_string(), "kind": kind, "from": from, "to": to, "own": receipt.own,
        "messages": ids(&receipt.messages), "timestamp": receipt.timestamp,
    });
    let count = receipt.messages.len();
    let (object, happened) = match &receipt.kind {
        ReceiptKind::GroupRead { counts, content } => {
            let counts: serde_json::Map<_, _> =
                counts.iter().map(|(id, readers)| (id.to_string(), json!(readers))).collect();
            (with(object, json!({"counts": counts, "content": content})), "read in the group")
        }
        ReceiptKind::Delivered => (object, "delivered"),
        ReceiptKind::Conversation => return (object, format!("{from} has read the conversation with {to}.")),
        _ => (object, "read"),
    };
    (object, format!("{from} to {to}: {count} messages are {happened}."))
}

pub(crate) fn recalled(recall: &Recall) -> Told {
    let (from, to) = (recall.from.as_deref(), &*recall.to);
    let object = json!({
        "event": "recalled", "id": recall.id.to_string(), "message": recall.message.to_string(), "from": from,
        "to": to, "own": recall.own, "group": recall.group, "ext": recall.ext, "timestamp": recall.timestamp,
    });
    let who = from.unwrap_or("The administration");
    (object, format!("{who} took back message {} to {to}.", recall.message))
}

/// The message as it is now, with what is known of its edit.
pub(crate) fn edited(edit: &Edit) -> Told {
    let (object, sentence) = message("edited", &edit.message);
    let more = json!({
        "edit_id": edit.id.to_string(), "edited_at": edit.timestamp, "replaces_ext": edit.replaces_ext,
        "edits": edit.info().map(|info| info.count), "operator": edit.info().map(|info| &info.operator),
    });
    (with(object, more), format!("Edited: {sentence}"))
}

/// Of a group or a chat room.
pub(crate) fn muc(event: &str, notice: &MucEvent) -> Told {
    let (from, id, operation) = (&*notice.from, &*notice.muc, &notice.operation);
    let object = json!({
        "event": event, "id": notice.id.to_string(), event: id, "operation": snake(operation), "name": notice.name,
        "from": from, "users": notice.users, "reason": notice.reason, "timestamp": notice.timestamp,
    });
    let more = match operation {
        MucOperation::Updated(changed) => json!({"settings": settings(changed)}),
        MucOperation::MembersJoined { members, count, ext } | MucOperation::MembersLeft { members, count, ext } => {
            json!({"members": members, "count": count, "ext": ext})
        }
        MucOperation::MemberMuted { until } => json!({"until": object_of(until)}),
        MucOperation::AttributesSet { attributes } => json!({"attributes": object_of(attributes)}),
        MucOperation::AttributesRemoved { keys } => json!({"keys": keys}),
        MucOperation::MemberAttributesUpdated { user, attributes } => {
            json!({"user": user, "attributes": object_of(attributes)})
        }
        _ => json!({}),
    };
    (with(object, more), format!("{event} {id}: {}, by {from}.", spoken(operation)))
}

/// The settings that changed.
fn settings(changed: &MucSettings) -> Value {
    let mut shown = json!({
        "name": changed.name, "description": changed.description, "public": changed.public,
        "approval": changed.approval, "members_invite": changed.members_invite,
        "invitations_need_consent": changed.invitations_need_consent, "max_members": changed.max_members,
        "custom": changed.custom, "avatar": changed.avatar, "modified_at": changed.modified_at,
    });
    if let Value::Object(shown) = &mut shown {
        shown.retain(|_, value| !value.is_null());
    }
    shown
}

pub(crate) fn thread(notice: &ThreadEvent) -> Told {
    let (thread, from, operation) = (&*notice.thread, &*notice.from, &notice.operation);
    let object = json!({
        "event": "thread", "id": notice.id.to_string(), "thread": thread, "operation": snake(operation),
        "name": notice.name, "group": &*notice.group, "message": notice.message.to_string(), "from": from,
        "messages": notice.messages, "timestamp": notice.timestamp,
    });
    let more = match operation {
        ThreadOperation::UserRemoved { user } => json!({"user": &**user}),
        _ => json!({}),
    };
    (with(object, more), format!("Thread {thread} of group {}: {}, by {from}.", notice.group, spoken(operation)))
}

pub(crate) fn contact(notice: &ContactEvent) -> Told {
    let (from, to) = (&*notice.from, &*notice.to);
    let object = json!({
        "event": "contact", "id": notice.id.to_string(), "change": snake(&notice.change), "from": from, "to": to,
        "reason": notice.reason, "timestamp": notice.timestamp,
    });
    (object, format!("Contact of {from} with {to}: {}.", spoken(&notice.change)))
}

pub(crate) fn presence(notice: &PresenceEvent) -> Told {
    let users: Vec<_> = notice
        .users
        .iter()
        .map(|user| {
            json!({
                "user": user.user, "last_seen": user.last_seen, "expires": user.expires, "text": user.text,
                "devices": object_of(&user.devices),
            })
        })
        .collect();
    let names: Vec<_> = notice.users.iter().map(|user| format!("{} {:?}", user.user, user.text)).collect();
    let object = json!({"event": "presence", "id": notice.id.to_string(), "users": users});
    (object, format!("Presence: {}.", names.join(", ")))
}

pub(crate) fn reaction(notice: &ReactionEvent) -> Told {
    let changes: Vec<_> = notice
        .changes
        .iter()
        .map(|change| {
            let reactions: Vec<_> = change
                .reactions
                .iter()
                .map(|one| {
                    json!({
                        "reaction": one.reaction, "count": one.count, "users": one.users, "added_by": one.added_by,
                        "removed_by": one.removed_by,
                    })
                })
                .collect();
            json!({
                "message": change.message.to_string(), "from": change.from, "to": change.to, "chat": change.chat,
                "reactions": reactions, "timestamp": change.timestamp,
            })
        })
        .collect();
    let sentence = format!("Reactions to {} messages changed.", changes.len());
    (json!({"event": "reaction", "id": notice.id.to_string(), "changes": changes}), sentence)
}

pub(crate) fn pinned(notice: &PinEvent) -> Told {
    let object = json!({
        "event": "pinned", "id": notice.id.to_string(), "message": notice.message.to_string(),
        "conversation": place(&notice.conversation), "from": &*notice.from, "pinned": notice.pinned,
        "timestamp": notice.timestamp,
    });
    let how = if notice.pinned { "pinned" } else { "unpinned" };
    (object, format!("{} {how} message {} in {}.", notice.from, notice.message, notice.conversation))
}

/// What the account did on another of its devices.
pub(crate) fn device(notice: &DeviceEvent) -> Told {
    let (device, operation) = (&*notice.device, &notice.operation);
    let object = json!({
        "event": "device", "id": notice.id.to_string(), "device": device, "operation": snake(operation),
        "timestamp": notice.timestamp,
    });
    let more = match operation {
        DeviceOperation::Thread { thread, name, group, act } => {
            json!({"thread": &**thread, "name": name, "group": &**group, "act": snake(act)})
        }
        DeviceOperation::MemberAttributesUpdated { group, user, attributes } => {
            json!({"group": &**group, "user": user, "attributes": object_of(attributes)})
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
            let modes: Vec<_> = modes
                .iter()
                .map(|mode| {
                    let conversation = mode.conversation.as_ref().map(place);
                    json!({"device": mode.device, "conversation": conversation, "settings": mode.settings})
                })
                .collect();
            json!({"modes": modes})
        }
        _ => json!({}),
    };
    (with(object, more), format!("Another device, {device}: {}.", spoken(operation)))
}

/// What the crate does not take apart: who, and how long.
pub(crate) fn unknown(notice: &UnknownNotice) -> Told {
    let (from, to, bytes) = (&*notice.from, &*notice.to, notice.payload.len());
    let object = json!({
        "event": "unknown", "id": notice.id.to_string(), "from": from, "to": to, "namespace": notice.namespace,
        "undecoded": notice.undecoded, "bytes": bytes, "timestamp": notice.timestamp,
    });
    if notice.undecoded {
        return (object, format!("A message of {bytes} bytes, which does not decode."));
    }
    (object, format!("{from} to {to}: {bytes} bytes of namespace {}, of an unknown kind.", notice.namespace))
}
