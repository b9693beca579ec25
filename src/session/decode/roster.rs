//! Contacts (messages spec §4.3).

use super::{Inbound, Receiver, event};
use crate::{
    model::{
        EventKind, EventMask,
        message::{Parties, name_of, shared},
        notice::{ContactChange, ContactEvent},
    },
    wire::{Body, Meta, roster_body::Operation},
};

/// Reads a contact meta; `None` if it has no event of its own.
pub(super) fn read(meta: &Meta, own: &Receiver<'_>, wanted: EventMask) -> Option<Inbound> {
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
        let parties = Parties::of(meta, name_of(body.from.as_ref()), name_of(body.to.first()), None);
        EventKind::Contact(ContactEvent {
            id: meta.id.unwrap_or(0),
            from: shared(parties.from, own.user),
            to: shared(parties.to, own.user),
            reason: body.reason,
            timestamp: meta.timestamp.unwrap_or(0),
            change,
            claims: parties.claims(),
        })
    }))
}
