//! Kicks, and reader counts that were stored while the sender was offline (connection spec §9, messages spec §3).

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{Inbound, Receiver, event};
use crate::{
    model::{
        EventKind, EventMask,
        error::Kick,
        message::{json, name_of, shared},
        notice::{Receipt, ReceiptKind},
    },
    wire::{Body, Meta, StatisticsBody, statistics_body::Operation},
};

/// Reads a statistics meta; `None` if it has no event of its own.
pub(super) fn read(meta: &Meta, own: &Receiver<'_>, wanted: EventMask) -> Option<Inbound> {
    let Ok(Body::Statistic(StatisticsBody { operation, location, reason, .. })) = meta.body() else {
        // A kick counts even if the rest does not decode.
        let operation = operation(meta.payload.as_deref().unwrap_or_default())?;
        return Kick::from_operation(operation, None).map(Inbound::Kick);
    };
    let operation = operation.unwrap_or(0);
    let reason = reason.filter(|text| !text.is_empty());
    if let Some(kick) = Kick::from_operation(operation, reason) {
        return Some(Inbound::Kick(kick));
    }
    if operation != Operation::Information as i32 {
        return None;
    }
    let Some(location) = location.filter(|text| !text.is_empty()) else { return Some(Inbound::Statistics) };
    let counts = group_counts(&location)?;
    Some(event(wanted, EventMask::RECEIPT, || {
        EventKind::Receipt(Receipt {
            id: meta.id.unwrap_or(0),
            from: shared(name_of(meta.from.as_ref()).unwrap_or_default(), own.user),
            to: shared(name_of(meta.to.as_ref()).unwrap_or_default(), own.user),
            own: false,
            group: false,
            timestamp: meta.timestamp.unwrap_or(0),
            messages: counts.iter().map(|(message, _)| *message).collect(),
            kind: ReceiptKind::GroupRead { counts, content: None },
            claims: None,
        })
    }))
}

/// Returns the operation in a body that does not decode, as far as it is readable.
fn operation(mut body: &[u8]) -> Option<i32> {
    let mut operation = None;
    while let Ok((tag, wire_type)) = decode_key(&mut body) {
        if (tag, wire_type) == (1, WireType::Varint) {
            operation = i32::try_from(decode_varint(&mut body).ok()?).ok();
        } else if skip_field(wire_type, tag, &mut body, DecodeContext::default()).is_err() {
            break;
        }
    }
    operation
}

/// Reads the reader counts `{"group_ack": [{message id: number}]}`; `None` if there are none.
fn group_counts(location: &str) -> Option<Vec<(u64, u64)>> {
    let told = json::open(location)?;
    let mut counts: Vec<_> = told.view().get("group_ack").items().flat_map(super::chat::counts).collect();
    counts.shrink_to_fit();
    (!counts.is_empty()).then_some(counts)
}
