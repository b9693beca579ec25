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

#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) resource: &'a str,
    /// True if events are built only to be weighed, so that equal weights need no distinction.
    pub(crate) weighs: bool,
}

/// A received meta, classified.
#[derive(Debug, PartialEq)]
pub(crate) enum Inbound {
    /// Event for the subscribers.
    Event(EventKind),
    /// The server kicks this device.
    Kick(Kick),
    /// Statistics without content.
    Statistics,
    /// This device's own action, echoed back.
    Echo,
    /// Event of a kind that nobody wants; not built.
    Unwanted(EventMask),
    /// Unreadable, possibly a message, as it came; built if subscribers want it or messages are handled.
    Unreadable(Option<EventKind>),
}

/// Returns whether repetitions are read again: kicks must be noticed whatever their id.
pub(crate) fn is_statistics(meta: &Meta) -> bool {
    meta.ns.unwrap_or(0) == NameSpace::Statistic as i32
}

/// Reads one meta. Only events of the `wanted` kinds are built; a kick is always reported.
///
/// Nothing is lost silently: a meta without an event of its own is an [`EventKind::Unknown`].
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

/// Returns whether a meta without an event of its own could hold a message: an undecodable one could be anything.
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

/// Reads a plain text seen in place, as [`read`] would; `None` if it turns out to have more to it.
///
/// `last` is the last text's sender, whose name is shared by texts in a row.
pub(crate) fn text(
    text: &TextView<'_>,
    own: &Receiver<'_>,
    wanted: EventMask,
    last: &mut Option<Arc<str>>,
) -> Option<Inbound> {
    // Messages to the account's other devices are reported.
    if text.to_resource.is_some() || is_own(text.from, own.user) {
        return None;
    }
    Some(event(wanted, EventMask::MESSAGE, || {
        let from = match last {
            Some(from) if **from == *text.from => Arc::clone(from),
            last => {
                let from: Arc<str> = Arc::from(text.from);
                // An invalid name is not cached.
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

/// Reports a meta that does not decode, as it came.
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
        // Another release may classify it otherwise; it must not be lost for that.
        _ => EventKind::Unknown(UnknownNotice {
            payload: Bytes::copy_from_slice(encoded),
            undecoded: true,
            unreadable: true,
            ..unknown(&Meta::default(), own)
        }),
    }
}

/// Builds an event of this kind, if it is wanted.
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
        // Copied, because a slice would keep the whole frame alive as long as a subscriber holds it.
        payload: Bytes::copy_from_slice(meta.payload.as_deref().unwrap_or_default()),
    }
}
