//! Received metas as events (connection spec §7.3, §9, messages spec §2.5, §2.6).

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    ChatType, Kick, Message, MessageBody,
    wire::{self, Body, Meta, content::ContentType, message_body::Type as MessageType, meta::NameSpace},
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
pub(crate) fn read(meta: &Meta) -> Inbound {
    let body = meta.body();
    if let Ok(Body::Statistic(body)) = body {
        let reason = body.reason.filter(|text| !text.is_empty());
        return Kick::from_operation(body.operation.unwrap_or(0), reason).map_or(Inbound::Statistics, Inbound::Kick);
    }
    if is_statistics(meta) {
        return Inbound::Statistics;
    }
    let is_group = meta.to.as_ref().is_some_and(|to| to.domain.as_deref() == Some(wire::GROUP_DOMAIN));
    let mut message = Message {
        id: meta.id.unwrap_or(0),
        from: name(meta.from.as_ref()).unwrap_or_default(),
        to: name(meta.to.as_ref()).unwrap_or_default(),
        chat: if is_group { ChatType::Group } else { ChatType::Single },
        timestamp: meta.timestamp.unwrap_or(0),
        own: false,
        ext: crate::Ext::new(),
        extras: None,
        body: MessageBody::Raw { namespace: meta.ns.unwrap_or(0), payload: Bytes::new() },
    };
    let read = match body {
        Ok(Body::Chat(body)) => chat(*body, &mut message),
        _ => None,
    };
    match (read, &mut message.body) {
        (Some(body), place) => *place = body,
        // Copied, because a slice would keep the whole frame in memory for as long as a subscriber holds it.
        (None, MessageBody::Raw { payload, .. }) => {
            *payload = meta.payload.as_deref().map(Bytes::copy_from_slice).unwrap_or_default();
        }
        (None, _) => {}
    }
    Inbound::Message(message)
}

fn name(jid: Option<&wire::Jid>) -> Option<Arc<str>> {
    jid.and_then(|jid| jid.name.as_deref()).map(Arc::from)
}

/// The body of a chat message of a kind this release takes apart; names in it go before those of the meta.
fn chat(body: wire::MessageBody, message: &mut Message) -> Option<MessageBody> {
    if let Some(from) = name(body.from.as_ref()) {
        message.from = from;
    }
    if let Some(to) = name(body.to.as_ref()) {
        message.to = to;
    }
    message.chat = match MessageType::try_from(body.r#type?).ok()? {
        MessageType::Chat => ChatType::Single,
        MessageType::Groupchat => ChatType::Group,
        MessageType::Chatroom => ChatType::Room,
        _ => return None,
    };
    // Only `contents[0]` counts; a text with a sub type is a combined or streamed message (messages spec §2.6).
    let first = body.contents.into_iter().next()?;
    match ContentType::try_from(first.r#type.unwrap_or(0)).ok()? {
        ContentType::Text if first.sub_type.is_none() => Some(MessageBody::Text(first.text.unwrap_or_default())),
        ContentType::Command => Some(MessageBody::Command { action: first.action.unwrap_or_default() }),
        _ => None,
    }
}
