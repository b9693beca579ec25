//! Messages, receipts, recalls and edits (messages spec §2.6–2.9, §3).

use super::{Inbound, Receiver, event};
use crate::{
    model::{
        EventKind, EventMask,
        message::{
            ChatType, Message, Parties, Plain, chat_type, is_own, is_same,
            json::{self, View},
            name_of, shared,
        },
        notice::{Edit, Recall, Receipt, ReceiptKind},
    },
    wire::{
        Body, KeyValue, MessageBody, Meta,
        key_value::Value as Attribute,
        message_body::{EditScope, Type},
    },
};

/// Reads a chat meta; `None` if it has no event of its own.
pub(super) fn read(meta: &Meta, own: &Receiver<'_>, wanted: EventMask) -> Option<Inbound> {
    let kinds = EventMask::MESSAGE | EventMask::RECEIPT | EventMask::RECALLED | EventMask::EDITED | EventMask::UNKNOWN;
    if !wanted.intersects(kinds) {
        return Some(Inbound::Unwanted(EventMask::MESSAGE));
    }
    if let Some(plain) = Plain::scan(meta) {
        let parties = plain.parties(meta);
        if is_echo(meta, &parties, own) {
            return Some(Inbound::Echo);
        }
        let message = || plain.message(&parties, meta, Some(own.user));
        return Some(event(wanted, EventMask::MESSAGE, || EventKind::Message(message())));
    }
    let Ok(Body::Chat(mut body)) = meta.body() else { return None };
    let number = body.r#type?;
    let (from, to) = (body.from.take(), body.to.take());
    let (from, to) = (name_of(from.as_ref()), name_of(to.as_ref()));
    if let Some(chat) = chat_type(number) {
        let parties = Parties::of(meta, from, to, Some(chat));
        if is_echo(meta, &parties, own) {
            return Some(Inbound::Echo);
        }
        if !body.contents.is_empty() && !wanted.contains(EventMask::MESSAGE) {
            return Some(Inbound::Unwanted(EventMask::MESSAGE));
        }
        return Message::between(&parties, meta, *body, Some(own.user), own.weighs)
            .map(|message| Inbound::Event(EventKind::Message(message)));
    }
    let parties = Parties::of(meta, from, to, None);
    let receipt =
        |kind| event(wanted, EventMask::RECEIPT, || EventKind::Receipt(receipt(meta, &parties, to, &body, kind, own)));
    Some(match Type::try_from(number).ok()? {
        Type::DeliverAck => receipt(ReceiptKind::Delivered),
        Type::ReadAck => receipt(read_kind(&body)),
        Type::ChannelAck => receipt(ReceiptKind::Conversation),
        Type::Recall => {
            let names_nobody = from.is_none();
            event(wanted, EventMask::RECALLED, || EventKind::Recalled(recall(meta, &parties, names_nobody, &body, own)))
        }
        Type::Edit if !wanted.contains(EventMask::EDITED) => Inbound::Unwanted(EventMask::EDITED),
        Type::Edit => Inbound::Event(EventKind::Edited(Box::new(edit(meta, from, to, *body, own)?))),
        _ => return None,
    })
}

/// Returns whether this very device sent it: the service sends a chat room's messages to their sender too.
fn is_echo(meta: &Meta, parties: &Parties<'_>, own: &Receiver<'_>) -> bool {
    let resource = meta.from.as_ref().and_then(|from| from.client_resource.as_deref());
    parties.chat == ChatType::Room && resource == Some(own.resource) && is_own(parties.from, own.user)
}

fn receipt(
    meta: &Meta,
    parties: &Parties<'_>,
    body_to: Option<&str>,
    body: &MessageBody,
    kind: ReceiptKind,
    own: &Receiver<'_>,
) -> Receipt {
    let parties = match (&kind, body_to.filter(|to| !to.is_empty())) {
        // Counted readers are sent to the sender alone; the body names the group.
        (ReceiptKind::GroupRead { .. }, Some(group)) if parties.chat == ChatType::Single => {
            parties.to_whom_the_body_says(group)
        }
        _ => *parties,
    };
    let Parties { from, to, chat, .. } = parties;
    // Newer clients send a list instead.
    let first = body.ack_message_id.filter(|id| *id != 0);
    let others = body.ack_message_ids.iter().copied().filter(|id| *id != 0 && Some(*id) != first);
    let messages =
        json::exactly(others.clone().count() + usize::from(first.is_some()), first.into_iter().chain(others));
    Receipt {
        id: meta.id.unwrap_or(0),
        from: shared(from, own.user),
        to: shared(to, own.user),
        own: is_own(from, own.user),
        group: chat == ChatType::Group || (matches!(kind, ReceiptKind::GroupRead { .. }) && !is_own(to, own.user)),
        timestamp: meta.timestamp.unwrap_or(0),
        messages,
        kind,
        claims: parties.claims(),
    }
}

/// Returns the kind of a read receipt: counted if an attribute counts a group's readers, or the message asked for it.
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

/// Reads the reader counts `{message id: number}`.
pub(super) fn counts(counted: View<'_>) -> Vec<(u64, u64)> {
    let members = counted.by_name(View::number);
    json::exactly(members.len(), members.iter().filter_map(|(id, count)| Some((id.parse().ok()?, *count))))
}

fn recall(meta: &Meta, parties: &Parties<'_>, names_nobody: bool, body: &MessageBody, own: &Receiver<'_>) -> Recall {
    let Parties { from: sender, to, chat, .. } = *parties;
    let is_own = is_own(sender, own.user);
    // The administration has no name in the body, whatever the meta says; this account is not the administration.
    let from = Some(sender).filter(|from| !from.is_empty() && (is_own || !names_nobody));
    Recall {
        id: meta.id.unwrap_or(0),
        from: from.map(|from| shared(from, own.user)),
        sender: shared(sender, own.user),
        to: shared(to, own.user),
        own: is_own,
        group: chat == ChatType::Group,
        timestamp: meta.timestamp.unwrap_or(0),
        message: body.ack_message_id.unwrap_or(0),
        ext: meta.ext.iter().find_map(extension),
        claims: parties.claims(),
    }
}

fn extension(attribute: &KeyValue) -> Option<String> {
    match (attribute.key.as_deref(), &attribute.value) {
        (Some("recallMessageExtensionInfo"), Some(Attribute::String(text))) => Some(text.clone()),
        _ => None,
    }
}

/// Reads an edit; `None` if its target or its change is missing.
fn edit(meta: &Meta, from: Option<&str>, to: Option<&str>, body: MessageBody, own: &Receiver<'_>) -> Option<Edit> {
    let id = body.edit_message_id.filter(|id| *id != 0)?;
    let replaces_ext = body.edit_scope == Some(EditScope::BodyAndExt as i32);
    let (mut chat, mut sender, mut operator, mut sent) = (None, String::new(), String::new(), None);
    if let Some(told) = body.meta.as_deref().and_then(json::open) {
        let [kind, by, editor, time] =
            told.view().get("edit_msg").fields(["chat_type", "sender", "operator", "send_time"]);
        chat = named_chat(kind);
        (sender, operator, sent) = (by.text(), editor.text(), time.number());
    }
    let parties = Parties::of(meta, from, to, chat);
    let mut message = Message::between(&parties, meta, body, Some(own.user), own.weighs)?;
    message.id = id;
    if !sender.is_empty() && !is_same(&message.from, &sender, None) {
        // In a 1:1 chat users edit only their own messages. In groups others may, and the service says so.
        let by_another = parties.chat != ChatType::Single && is_same(parties.from, &operator, None);
        if by_another || !parties.is_vouched_for {
            message.own = is_own(&sender, own.user);
            message.from = shared(&sender, own.user);
        } else {
            message.claim(Some(&sender), None);
        }
    }
    if let Some(sent) = sent {
        message.timestamp = sent;
    }
    let editor = shared(parties.from, own.user);
    Some(Edit { id: meta.id.unwrap_or(0), timestamp: meta.timestamp.unwrap_or(0), editor, message, replaces_ext })
}

/// Returns the chat type by the service's name for it.
pub(crate) fn named_chat(kind: View<'_>) -> Option<ChatType> {
    match &*kind.str()? {
        "chat:user" => Some(ChatType::Single),
        "chat:group" => Some(ChatType::Group),
        "chat:room" => Some(ChatType::Room),
        _ => None,
    }
}
