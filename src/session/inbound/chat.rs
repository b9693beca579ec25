//! Messages, receipts, recalls and edits (messages spec §2.6–2.9, §3).

use super::{Inbound, Own, event};
use crate::{
    ChatType, Edit, EventKind, EventMask, Message, Recall, Receipt, ReceiptKind,
    message::{
        Plain, chat_type, is_own,
        json::{self, View},
        name_of, shared,
    },
    wire::{
        Body, GROUP_DOMAIN, KeyValue, MessageBody, Meta,
        key_value::Value as Attribute,
        message_body::{EditScope, Type},
    },
};

/// `None` for what has no event of its own.
pub(super) fn read(meta: &Meta, own: &Own<'_>, wanted: EventMask) -> Option<Inbound> {
    let kinds = EventMask::MESSAGE | EventMask::RECEIPT | EventMask::RECALLED | EventMask::EDITED | EventMask::UNKNOWN;
    if !wanted.intersects(kinds) {
        return Some(Inbound::Unwanted(EventMask::MESSAGE));
    }
    if let Some(plain) = Plain::scan(meta) {
        if plain.chat == ChatType::Room && is_echo(meta, plain.from, own) {
            return Some(Inbound::Echo);
        }
        return Some(event(wanted, EventMask::MESSAGE, || EventKind::Message(plain.message(meta, Some(own.user)))));
    }
    let Ok(Body::Chat(body)) = meta.body() else { return None };
    let number = body.r#type?;
    if let Some(chat) = chat_type(number) {
        if chat == ChatType::Room && is_echo(meta, name_of(body.from.as_ref()), own) {
            return Some(Inbound::Echo);
        }
        if !body.contents.is_empty() && !wanted.contains(EventMask::MESSAGE) {
            return Some(Inbound::Unwanted(EventMask::MESSAGE));
        }
        return Message::of_chat(meta, *body, chat, Some(own.user))
            .map(|message| Inbound::Event(EventKind::Message(message)));
    }
    let receipt = |kind| event(wanted, EventMask::RECEIPT, || EventKind::Receipt(receipt(meta, &body, kind, own)));
    Some(match Type::try_from(number).ok()? {
        Type::DeliverAck => receipt(ReceiptKind::Delivered),
        Type::ReadAck => receipt(read_kind(&body)),
        Type::ChannelAck => receipt(ReceiptKind::Conversation),
        Type::Recall => event(wanted, EventMask::RECALLED, || EventKind::Recalled(recall(meta, &body, own))),
        Type::Edit if !wanted.contains(EventMask::EDITED) => Inbound::Unwanted(EventMask::EDITED),
        Type::Edit => Inbound::Event(EventKind::Edited(Box::new(edit(meta, *body, own)?))),
        _ => return None,
    })
}

/// Whether this very device sent it: the service tells a chat room's messages to their sender too.
fn is_echo(meta: &Meta, from: Option<&str>, own: &Own<'_>) -> bool {
    let resource = meta.from.as_ref().and_then(|from| from.client_resource.as_deref());
    resource == Some(own.resource) && from.or(name_of(meta.from.as_ref())).is_some_and(|from| is_own(from, own.user))
}

fn receipt(meta: &Meta, body: &MessageBody, kind: ReceiptKind, own: &Own<'_>) -> Receipt {
    let from = name_of(body.from.as_ref()).or(name_of(meta.from.as_ref())).unwrap_or_default();
    let to = name_of(body.to.as_ref()).or(name_of(meta.to.as_ref())).unwrap_or_default();
    // Newer clients send a list in place of the one.
    let first = body.ack_message_id.filter(|id| *id != 0);
    let others = body.ack_message_ids.iter().copied().filter(|id| *id != 0 && Some(*id) != first);
    let messages =
        json::exactly(others.clone().count() + usize::from(first.is_some()), first.into_iter().chain(others));
    Receipt {
        id: meta.id.unwrap_or(0),
        from: shared(from, own.user),
        to: shared(to, own.user),
        own: is_own(from, own.user),
        // Counted readers are told to the sender alone, and the body names the group.
        group: is_group(meta) || (matches!(kind, ReceiptKind::GroupRead { .. }) && !is_own(to, own.user)),
        timestamp: meta.timestamp.unwrap_or(0),
        messages,
        kind,
    }
}

/// A group's readers are counted in the first attribute, or the reader answers a message that asked for it.
fn read_kind(body: &MessageBody) -> ReceiptKind {
    let counted = match body.ext.first().and_then(|first| first.value.as_ref()) {
        Some(Attribute::String(text)) => json::open(text).filter(|counted| counted.view().is_object()),
        _ => None,
    };
    let asked = body.msg_config.as_ref().is_some_and(|config| config.allow_group_ack == Some(true));
    if counted.is_none() && !asked && body.ack_content.is_none() {
        return ReceiptKind::Read;
    }
    let counts = counted.map(|counted| counts(counted.view())).unwrap_or_default();
    ReceiptKind::GroupRead { counts, content: body.ack_content.clone() }
}

/// The readers of each message in `{message id: number}`.
pub(super) fn counts(counted: View<'_>) -> Vec<(u64, u64)> {
    let members = counted.by_name(View::number);
    json::exactly(members.len(), members.iter().filter_map(|(id, count)| Some((id.parse().ok()?, *count))))
}

fn recall(meta: &Meta, body: &MessageBody, own: &Own<'_>) -> Recall {
    // Not the sender of the meta: the administration has no name here.
    let from = name_of(body.from.as_ref()).filter(|from| !from.is_empty());
    let to = name_of(body.to.as_ref()).or(name_of(meta.to.as_ref())).unwrap_or_default();
    Recall {
        id: meta.id.unwrap_or(0),
        from: from.map(|from| shared(from, own.user)),
        to: shared(to, own.user),
        own: from.is_some_and(|from| is_own(from, own.user)),
        group: is_group(meta),
        timestamp: meta.timestamp.unwrap_or(0),
        message: body.ack_message_id.unwrap_or(0),
        ext: meta.ext.iter().find_map(extension),
    }
}

fn extension(attribute: &KeyValue) -> Option<String> {
    match (attribute.key.as_deref(), &attribute.value) {
        (Some("recallMessageExtensionInfo"), Some(Attribute::String(text))) => Some(text.clone()),
        _ => None,
    }
}

fn is_group(meta: &Meta) -> bool {
    meta.to.as_ref().is_some_and(|to| to.domain.as_deref() == Some(GROUP_DOMAIN))
}

/// `None` where it does not say what was edited, or how.
fn edit(meta: &Meta, body: MessageBody, own: &Own<'_>) -> Option<Edit> {
    let id = body.edit_message_id.filter(|id| *id != 0)?;
    let replaces_ext = body.edit_scope == Some(EditScope::BodyAndExt as i32);
    let (mut chat, mut sender, mut sent) = (None, String::new(), None);
    if let Some(told) = body.meta.as_deref().and_then(json::open) {
        let [kind, by, time] = told.view().get("edit_msg").fields(["chat_type", "sender", "send_time"]);
        chat = named_chat(kind);
        (sender, sent) = (by.text(), time.number());
    }
    let chat = chat.unwrap_or(if is_group(meta) { ChatType::Group } else { ChatType::Single });
    let mut message = Message::of_chat(meta, body, chat, Some(own.user))?;
    message.id = id;
    if !sender.is_empty() && *sender != *message.from {
        message.own = is_own(&sender, own.user);
        message.from = shared(&sender, own.user);
    }
    if let Some(sent) = sent {
        message.timestamp = sent;
    }
    Some(Edit { id: meta.id.unwrap_or(0), timestamp: meta.timestamp.unwrap_or(0), message, replaces_ext })
}

/// The kind of conversation by the service's name for it.
pub(crate) fn named_chat(kind: View<'_>) -> Option<ChatType> {
    match &*kind.str()? {
        "chat:user" => Some(ChatType::Single),
        "chat:group" => Some(ChatType::Group),
        "chat:room" => Some(ChatType::Room),
        _ => None,
    }
}
