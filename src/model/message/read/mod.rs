//! Metas as messages (messages spec §2.6, §2.7).

mod content;
mod extras;
mod parties;
mod plain;

use std::sync::Arc;

use super::{ChatType, Ext, Message, MessageBody};
use crate::{
    model::account::UserId,
    wire::{self, Body, Jid, Meta, message_body::Type, meta::NameSpace},
};

pub(crate) use content::stored;
pub(crate) use extras::of_json as extras_of_json;
pub(crate) use parties::{Parties, bare as bare_name, is_same};
pub(crate) use plain::Plain;

impl Message {
    /// Reads a stored message, such as one of a history. `own` is the account that reads it; without one nothing counts
    /// as [own](Message::own). The names in the meta, which are the service's, go before those in its body.
    ///
    /// `None` for what is no message with a content: receipts, recalls, edits, other namespaces, and bytes that do not
    /// decode. Only the first content counts; one of a kind this release does not know is [`MessageBody::Raw`].
    #[must_use]
    pub fn from_meta(meta: &Meta, own: Option<&UserId>) -> Option<Message> {
        if meta.ns? != NameSpace::Chat as i32 {
            return None;
        }
        if let Some(plain) = Plain::scan(meta) {
            return Some(plain.message(&plain.parties(meta), meta, own));
        }
        match meta.body() {
            Ok(Body::Chat(body)) => Message::from_body(meta, *body, own),
            _ => None,
        }
    }

    /// As [`from_meta`](Message::from_meta), of a body that is decoded already.
    pub(crate) fn from_body(meta: &Meta, mut body: wire::MessageBody, own: Option<&UserId>) -> Option<Message> {
        let chat = chat_type(body.r#type?)?;
        let (from, to) = (body.from.take(), body.to.take());
        let parties = Parties::of(meta, name_of(from.as_ref()), name_of(to.as_ref()), Some(chat));
        Message::between(&parties, meta, body, own, false)
    }

    /// As [`from_meta`](Message::from_meta), of a meta that a user wrote as a whole: its names are that user's words.
    pub(crate) fn as_written(meta: &Meta) -> Option<Message> {
        let Ok(Body::Chat(mut body)) = meta.body() else { return None };
        let chat = chat_type(body.r#type?).filter(|_| meta.ns == Some(NameSpace::Chat as i32))?;
        let (from, to) = (body.from.take(), body.to.take());
        let parties = Parties::as_written(meta, name_of(from.as_ref()), name_of(to.as_ref()), chat);
        Message::between(&parties, meta, *body, None, false)
    }

    /// Reads a body of any type as a message between these; `None` without a content. A weighed one may be broken.
    pub(crate) fn between(
        parties: &Parties<'_>,
        meta: &Meta,
        body: wire::MessageBody,
        own: Option<&UserId>,
        weighs: bool,
    ) -> Option<Message> {
        let wire::MessageBody { contents, ext, msg_config, meta: body_meta, stream, .. } = body;
        let content = content::read(contents.into_iter().next()?, stream, meta);
        let mut message = Message::bare(meta, parties, content, own);
        message.ext = if weighs { Ext::weighed(ext) } else { Ext::from_wire(ext) };
        message.extras = extras::read(meta, &message, body_meta.as_deref(), msg_config, parties);
        Some(message)
    }

    /// Notes whom it says it is from and for, where that is not so.
    pub(crate) fn claim(&mut self, from: Option<&str>, to: Option<&str>) {
        if from.is_none() && to.is_none() {
            return;
        }
        let extras = self.extras.get_or_insert_with(|| Box::new(extras::nothing(self.chat)));
        let claims = extras.claims.get_or_insert_default();
        claims.from = claims.from.take().or(from.map(super::cut));
        claims.to = claims.to.take().or(to.map(super::cut));
    }

    fn bare(meta: &Meta, parties: &Parties<'_>, body: MessageBody, own: Option<&UserId>) -> Message {
        let Parties { from, to, chat, .. } = *parties;
        Message {
            id: meta.id.unwrap_or(0),
            from: own.map_or_else(|| Arc::from(from), |own| shared(from, own)),
            to: own.map_or_else(|| Arc::from(to), |own| shared(to, own)),
            chat,
            own: own.is_some_and(|own| is_own(from, own)),
            timestamp: meta.timestamp.unwrap_or(0),
            body,
            ext: Ext::new(),
            extras: None,
        }
    }
}

/// Returns the kind of conversation a body type stands for; `None` for what is no message.
pub(crate) fn chat_type(number: i32) -> Option<ChatType> {
    match Type::try_from(number) {
        Ok(Type::Chat) => Some(ChatType::Single),
        Ok(Type::Groupchat) => Some(ChatType::Group),
        Ok(Type::Chatroom) => Some(ChatType::Room),
        _ => None,
    }
}

/// Returns whether a user id is this account's; the service takes ids without regard to case.
pub(crate) fn is_own(user: &str, own: &UserId) -> bool {
    user.eq_ignore_ascii_case(own.as_str())
}

/// Returns the id as shared text; most messages are for this account, whose id is shared already.
pub(crate) fn shared(id: &str, own: &UserId) -> Arc<str> {
    if id == own.as_str() { own.shared() } else { Arc::from(id) }
}

pub(crate) fn name_of(jid: Option<&Jid>) -> Option<&str> {
    jid.and_then(|jid| jid.name.as_deref())
}
