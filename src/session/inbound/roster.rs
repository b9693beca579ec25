//! Contacts (messages spec §4.3).

use super::{Inbound, Own, event};
use crate::{
    ContactChange, ContactEvent, EventKind, EventMask,
    message::{name_of, shared},
    wire::{Body, Meta, roster_body::Operation},
};

/// `None` for what has no event of its own.
pub(super) fn read(meta: &Meta, own: &Own<'_>, wanted: EventMask) -> Option<Inbound> {
    let Ok(Body::Roster(body)) = meta.body() else { return None };
    let change = match Operation::try_from(body.operation?).ok()? {
        Operation::Add => ContactChange::Invited,
        Operation::Remove => ContactChange::Removed,
        Operation::Accept => ContactChange::Added,
        Operation::Decline => ContactChange::Declined,
        Operation::RemoteAccept => ContactChange::Agreed,
        Operation::RemoteDecline => ContactChange::Refused,
        _ => return None,
    };
    Some(event(wanted, EventMask::CONTACT, || {
        let from = name_of(body.from.as_ref()).or(name_of(meta.from.as_ref())).unwrap_or_default();
        let to = name_of(body.to.first()).or(name_of(meta.to.as_ref())).unwrap_or_default();
        EventKind::Contact(ContactEvent {
            id: meta.id.unwrap_or(0),
            from: shared(from, own.user),
            to: shared(to, own.user),
            reason: body.reason,
            timestamp: meta.timestamp.unwrap_or(0),
            change,
        })
    }))
}
