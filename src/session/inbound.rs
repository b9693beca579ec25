//! Received metas as events (connection spec §7.3, §9, messages spec §2.5, §2.6).

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use crate::{
    ChatType, Kick, Message, MessageBody,
    wire::{self, Meta, StatisticsBody, content, message_body, meta::NameSpace},
};

/// What a received meta turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Inbound {
    /// Something for the subscribers.
    Message(Message),
    /// The server logs this device out.
    Kick(Kick),
    /// Statistics: nothing to do.
    Statistics,
}

/// Whether repetitions of this meta are to be dropped: kicks must be heard whatever their id.
pub(crate) fn is_statistics(meta: &Meta) -> bool {
    meta.ns.unwrap_or(0) == NameSpace::Statistic as i32
}

/// Reads one meta. A payload that does not decode, or is of a kind this release does not take apart, is kept raw.
pub(crate) fn read(meta: Meta) -> Inbound {
    let namespace = meta.ns.unwrap_or(0);
    let payload = meta.payload.clone().unwrap_or_default();
    if is_statistics(&meta) {
        return match StatisticsBody::decode(payload) {
            Ok(body) => Kick::from_operation(body.operation.unwrap_or(0), body.reason.filter(|text| !text.is_empty()))
                .map_or(Inbound::Statistics, Inbound::Kick),
            Err(_) => Inbound::Statistics,
        };
    }
    let name = |jid: Option<&wire::Jid>| jid.and_then(|jid| jid.name.as_deref()).map(Arc::from);
    let is_group = meta.to.as_ref().is_some_and(|to| to.domain.as_deref() == Some(wire::GROUP_DOMAIN));
    let mut message = Message {
        id: meta.id.unwrap_or(0),
        from: name(meta.from.as_ref()).unwrap_or_default(),
        to: name(meta.to.as_ref()).unwrap_or_default(),
        chat: if is_group { ChatType::Group } else { ChatType::Single },
        timestamp: meta.timestamp.unwrap_or(0),
        body: MessageBody::Raw { namespace, payload: Bytes::new() },
    };
    if let Some(body) = chat_body(namespace, &payload, &mut message) {
        message.body = body;
    } else if let MessageBody::Raw { payload: raw, .. } = &mut message.body {
        // Copied, because a slice would keep the whole frame in memory for as long as a subscriber holds it.
        *raw = Bytes::copy_from_slice(&payload);
    }
    Inbound::Message(message)
}

/// The body of a chat message of a kind this release takes apart; names in it go before those of the meta.
fn chat_body(namespace: i32, payload: &Bytes, message: &mut Message) -> Option<MessageBody> {
    if namespace != NameSpace::Chat as i32 {
        return None;
    }
    let body = wire::MessageBody::decode(payload.clone()).ok()?;
    let name = |jid: Option<wire::Jid>| jid.and_then(|jid| jid.name).map(Arc::from);
    if let Some(from) = name(body.from) {
        message.from = from;
    }
    if let Some(to) = name(body.to) {
        message.to = to;
    }
    message.chat = match message_body::Type::try_from(body.r#type?).ok()? {
        message_body::Type::Chat => ChatType::Single,
        message_body::Type::Groupchat => ChatType::Group,
        message_body::Type::Chatroom => ChatType::Room,
        _ => return None,
    };
    // Only `contents[0]` counts; a text with a sub type is a combined or streamed message (messages spec §2.6).
    let first = body.contents.into_iter().next()?;
    match content::Type::try_from(first.r#type.unwrap_or(0)).ok()? {
        content::Type::Text if first.sub_type.is_none() => Some(MessageBody::Text(first.text.unwrap_or_default())),
        content::Type::Command => Some(MessageBody::Command { action: first.action.unwrap_or_default() }),
        _ => None,
    }
}
