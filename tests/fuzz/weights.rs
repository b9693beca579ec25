//! What an event counts for, against the bytes it was read from.

#![allow(clippy::panic, reason = "a harness fails loudly")]

use crate::{
    model::{Event, EventMask, account::UserId},
    session::decode::{self, Inbound, Receiver},
    wire::{MAX_FIELDS, Meta, encode, full_meta},
};

/// Input: a name space, and the payload of a meta in it; then the same bytes as a meta.
pub(super) fn run(data: &[u8]) {
    check(data);
    if let [namespace, payload @ ..] = data {
        let payload = Some(bytes::Bytes::copy_from_slice(payload));
        check(&encode(&Meta { id: Some(1), ns: Some(i32::from(namespace % 8)), payload, ..Meta::default() }));
    }
}

fn check(meta: &[u8]) {
    let Some(event) = event(meta) else { return };
    let most = Event::MOST_PER_BYTE * meta.len() + Event::MOST_AROUND;
    assert!(event.weight() <= most, "{} for {} bytes of {:?}", event.weight(), meta.len(), event.kind().mask());
}

/// The event that an encoded meta of a page leads to, as alice hears it.
pub(super) fn event(meta: &[u8]) -> Option<Event> {
    let user: UserId = "alice".parse().ok()?;
    let own = Receiver { user: &user, resource: "phone", weighs: false };
    let inbound = match full_meta(meta, &mut MAX_FIELDS.clone()) {
        Some(meta) => decode::read(&meta, &own, EventMask::ALL),
        None => decode::broken(meta, &own, EventMask::ALL),
    };
    match inbound {
        Inbound::Event(kind) | Inbound::Unreadable(Some(kind)) => Some(Event::new(user.clone(), kind)),
        _ => None,
    }
}
