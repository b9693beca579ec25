//! Received metas as events, one file per namespace (messages spec §2.5–2.9, §3, §4).

mod chat;
mod muc;
mod notify;
mod piece;
mod roster;
mod statistics;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    model::{
        EventKind, EventMask,
        account::UserId,
        error::Kick,
        message::{ChatType, Ext, Message, MessageBody, is_own, json, name_of, shared},
        notice::UnknownNotice,
    },
    wire::{MAX_FIELDS, Meta, TextView, full_meta, meta::NameSpace},
};

pub(crate) use chat::named_chat;
pub(crate) use piece::{broken_key, repetition_key};

/// Who receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) resource: &'a str,
    /// Whether what is read is only weighed, so that what weighs the same need not be told apart.
    pub(crate) weighs: bool,
}

/// What a received meta turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Inbound {
    /// Something for the subscribers.
    Event(EventKind),
    /// The server logs this device out.
    Kick(Kick),
    /// Statistics that say nothing.
    Statistics,
    /// What this very device did, told back to it.
    Echo,
    /// An event of this kind, which nobody asked for; it was not built.
    Unwanted(EventMask),
    /// What may be a message and cannot be read, as it came; built where subscribers want it or messages are handled.
    Unreadable(Option<EventKind>),
}

/// Whether repetitions of this meta are to be read again: kicks must be heard whatever their id.
pub(crate) fn is_statistics(meta: &Meta) -> bool {
    meta.ns.unwrap_or(0) == NameSpace::Statistic as i32
}

/// Reads one meta. Of events only those of the `wanted` kinds are built; a kick is told whatever is wanted.
///
/// Nothing is lost in silence: what has no event of its own is an [`EventKind::Unknown`].
pub(crate) fn read(meta: &Meta, own: &Receiver<'_>, wanted: EventMask) -> Inbound {
    let read = match NameSpace::try_from(meta.ns.unwrap_or(0)) {
        Ok(NameSpace::Statistic) => statistics::read(meta, own, wanted),
        Ok(NameSpace::Chat) => chat::read(meta, own, wanted),
        Ok(NameSpace::Muc) => muc::read(meta, own, wanted),
        Ok(NameSpace::Roster) => roster::read(meta, own, wanted),
        Ok(NameSpace::Notify) => notify::read(meta, own, wanted),
        Ok(NameSpace::Conference | NameSpace::Query) | Err(_) => None,
    };
    read.unwrap_or_else(|| {
        if may_be_message(meta) {
            unreadable(wanted, || unknown(meta, own))
        } else {
            event(wanted, EventMask::UNKNOWN, || EventKind::Unknown(unknown(meta, own)))
        }
    })
}

/// Whether what has no event of its own could hold a message, or anything else: what does not decode says nothing of
/// what it is.
fn may_be_message(meta: &Meta) -> bool {
    match NameSpace::try_from(meta.ns.unwrap_or(0)) {
        Ok(NameSpace::Chat) | Err(_) => true,
        Ok(NameSpace::Notify) => !json::is_json(meta.payload.as_deref().unwrap_or_default()),
        Ok(_) => meta.body().is_err(),
    }
}

fn unreadable(wanted: EventMask, build: impl FnOnce() -> UnknownNotice) -> Inbound {
    let asked = wanted.intersects(EventMask::UNKNOWN | EventMask::MESSAGE);
    Inbound::Unreadable(asked.then(|| EventKind::Unknown(UnknownNotice { unreadable: true, ..build() })))
}

/// Reads a plain text that was seen in place, as [`read`] would; `None` for one that has more to it after all.
///
/// `last` is who sent the last one, whose name is shared by texts in a row.
pub(crate) fn text(
    text: &TextView<'_>,
    own: &Receiver<'_>,
    wanted: EventMask,
    last: &mut Option<Arc<str>>,
) -> Option<Inbound> {
    // The devices of one's own account are told.
    if text.to_resource.is_some() || is_own(text.from, own.user) {
        return None;
    }
    Some(event(wanted, EventMask::MESSAGE, || {
        let from = match last {
            Some(from) if **from == *text.from => Arc::clone(from),
            last => {
                let from: Arc<str> = Arc::from(text.from);
                // A name that is none is not kept beyond its message.
                *last = (text.from.len() <= UserId::MAX_BYTES).then(|| Arc::clone(&from));
                from
            }
        };
        EventKind::Message(Message {
            id: text.id,
            from,
            to: shared(text.to, own.user),
            chat: if text.is_group { ChatType::Group } else { ChatType::Single },
            own: false,
            timestamp: text.timestamp,
            body: MessageBody::Text(text.text.to_owned()),
            ext: Ext::new(),
            extras: None,
        })
    }))
}

/// Tells a meta that does not decode, as it came.
pub(crate) fn broken(encoded: &[u8], own: &Receiver<'_>, wanted: EventMask) -> Inbound {
    unreadable(wanted, || {
        let payload = Bytes::copy_from_slice(encoded);
        UnknownNotice { payload, undecoded: true, ..unknown(&Meta::default(), own) }
    })
}

/// Reads an encoded meta that was an event before.
pub(crate) fn read_again(encoded: &[u8], own: &Receiver<'_>) -> EventKind {
    match full_meta(encoded, &mut MAX_FIELDS.clone()).map(|meta| read(&meta, own, EventMask::ALL)) {
        Some(Inbound::Event(kind) | Inbound::Unreadable(Some(kind))) => kind,
        // Another release may take it for something else, and it must not be lost for that.
        _ => EventKind::Unknown(UnknownNotice {
            payload: Bytes::copy_from_slice(encoded),
            undecoded: true,
            unreadable: true,
            ..unknown(&Meta::default(), own)
        }),
    }
}

/// An event of this kind, if it is wanted.
fn event(wanted: EventMask, kind: EventMask, build: impl FnOnce() -> EventKind) -> Inbound {
    if wanted.contains(kind) { Inbound::Event(build()) } else { Inbound::Unwanted(kind) }
}

fn unknown(meta: &Meta, own: &Receiver<'_>) -> UnknownNotice {
    UnknownNotice {
        id: meta.id.unwrap_or(0),
        from: shared(name_of(meta.from.as_ref()).unwrap_or_default(), own.user),
        to: shared(name_of(meta.to.as_ref()).unwrap_or_default(), own.user),
        timestamp: meta.timestamp.unwrap_or(0),
        namespace: meta.ns.unwrap_or(0),
        undecoded: false,
        unreadable: false,
        // Copied, because a slice would keep the whole frame in memory for as long as a subscriber holds it.
        payload: Bytes::copy_from_slice(meta.payload.as_deref().unwrap_or_default()),
    }
}
