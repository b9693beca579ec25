//! Delivery receipts, which the client sends by itself (messages spec §3).

use std::{collections::VecDeque, mem};

use crate::session::{
    Diagnostic,
    context::Cx,
    inbox::metas::ParsedMeta,
    outbox::{Outbox, encoded, pending::SendKind},
};
use crate::{
    model::{
        account::{AppKey, UserId},
        message::{ChatType, Parties, name_of},
    },
    wire::{
        self, Body, Content, Jid, MessageBody, Meta,
        message_body::Type as MessageType,
        meta::{NameSpace, RouteType},
    },
};

/// Subtype of a piece of a streamed text (messages spec §2.8).
const STREAM: i32 = 10;

/// Delivery receipts that are not in flight.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Recipient and message of those that wait for a pending slot, oldest first.
    waiting: VecDeque<(Box<str>, u64)>,
    /// Number dropped since the last report.
    left_out: u64,
    /// Number unanswered since the last report.
    unanswered: u64,
    /// True if missing acks were reported.
    told: bool,
}

impl Receipts {
    /// Maximum number that wait.
    const WAITING: usize = 1024;

    /// Counts a receipt without an ack in time.
    pub(super) fn expired(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
    }
}

impl Outbox {
    /// Sends a receipt for a received meta, if receipts are enabled and it is eligible.
    pub(in crate::session) fn confirm_delivery(&mut self, got: &ParsedMeta<'_>, link_up: bool, cx: &mut Cx<'_>) {
        if !cx.env.config.delivery_receipts {
            return;
        }
        match got {
            ParsedMeta::Text(text, _) if !text.is_group && !text.from.is_empty() => {
                self.delivered(text.from, text.id, link_up, cx)
            }
            ParsedMeta::Meta(meta) => {
                if let Some(from) = sender(meta) {
                    self.delivered(&from, meta.id.unwrap_or(0), link_up, cx);
                }
            }
            ParsedMeta::Text(..) | ParsedMeta::Broken(_) => {}
        }
    }

    /// Sends a receipt for `to`'s message `id`, or queues it until there is a slot; over the limit it is dropped.
    fn delivered(&mut self, to: &str, id: u64, link_up: bool, cx: &mut Cx<'_>) {
        // No user has a longer name; waiting receipts must be bounded.
        if id == 0 || to == self.user.as_str() || to.len() > UserId::MAX_BYTES {
            return;
        }
        if self.receipts.waiting.is_empty() && self.receipt_has_place(link_up, cx) {
            self.send_receipt(to, id, cx);
        } else if self.receipts.waiting.len() < Receipts::WAITING {
            self.receipts.waiting.push_back((to.into(), id));
        } else {
            self.receipts.left_out = self.receipts.left_out.saturating_add(1);
        }
    }

    /// Returns whether one may go out: the application's sends always have half of the pending slots.
    fn receipt_has_place(&self, link_up: bool, cx: &Cx<'_>) -> bool {
        let places = cx.env.config.limits.pending_sends;
        link_up && self.pending.receipts() < (places / 2).max(1) && self.pending.len() < places
    }

    fn send_receipt(&mut self, to: &str, id: u64, cx: &mut Cx<'_>) {
        let client_id = cx.env.fresh_id();
        let frame = encoded(receipt(client_id, &cx.env.config.app_key, &self.user, to, id));
        self.write("receipt", client_id, SendKind::Receipt, frame, cx);
    }

    /// Sends waiting receipts while there are slots.
    pub(super) fn send_receipts(&mut self, link_up: bool, cx: &mut Cx<'_>) {
        while self.receipt_has_place(link_up, cx) {
            let Some((to, id)) = self.receipts.waiting.pop_front() else { return };
            self.send_receipt(&to, id, cx);
        }
    }

    /// Drops waiting receipts at the end of the session.
    pub(super) fn drop_receipts(&mut self, cx: &mut Cx<'_>) {
        let waiting = mem::take(&mut self.receipts.waiting).len();
        self.receipts.left_out = self.receipts.left_out.saturating_add(waiting as u64);
        self.report_receipts(cx);
    }

    /// Logs once per session that receipts are unanswered; further ones are counted until the link ends.
    pub(super) fn report_first_unanswered(&mut self, cx: &mut Cx<'_>) {
        if self.receipts.unanswered > 0 && !mem::replace(&mut self.receipts.told, true) {
            self.report_receipts(cx);
        }
    }

    /// Logs the dropped and unanswered receipts since the last report.
    pub(super) fn report_receipts(&mut self, cx: &mut Cx<'_>) {
        let (left_out, unanswered) = (mem::take(&mut self.receipts.left_out), mem::take(&mut self.receipts.unanswered));
        if left_out > 0 {
            cx.note(Diagnostic::ReceiptsLeftOut { count: left_out });
        }
        if unanswered > 0 {
            cx.note(Diagnostic::ReceiptsUnanswered { count: unanswered });
        }
    }
}

/// Returns the sender of a whole 1:1 message; `None` for a receipt, recall, edit or piece of a stream.
fn sender(meta: &Meta) -> Option<String> {
    if meta.ns != Some(NameSpace::Chat as i32) {
        return None;
    }
    let Ok(Body::Chat(body)) = meta.body() else { return None };
    let first = body.contents.first()?;
    if body.r#type != Some(MessageType::Chat as i32) || body.stream.is_some() || first.sub_type == Some(STREAM) {
        return None;
    }
    let parties = Parties::of(meta, name_of(body.from.as_ref()), name_of(body.to.as_ref()), Some(ChatType::Single));
    (parties.chat == ChatType::Single && !parties.from.is_empty()).then(|| parties.from.to_owned())
}

fn receipt(client_id: u64, app_key: &AppKey, from: &UserId, to: &str, id: u64) -> Meta {
    let named = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
    let body = MessageBody {
        r#type: Some(MessageType::DeliverAck as i32),
        from: named(from.as_str()),
        to: named(to),
        contents: vec![Content::default()],
        ack_message_id: Some(id),
        ..MessageBody::default()
    };
    Meta {
        id: Some(client_id),
        to: Some(Jid::user(app_key.as_str(), to)),
        ns: Some(NameSpace::Chat as i32),
        payload: Some(wire::encode(&body)),
        routetype: Some(RouteType::RouteAll as i32),
        ..Meta::default()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::receipt;

    #[test]
    fn a_receipt_is_encoded_as_recorded() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/messages.json")))
                .unwrap();
        let recorded = vectors.as_array().unwrap().iter().find(|entry| entry["name"] == "delivery_ack_meta").unwrap();
        let (app_key, alice) = ("org#app".parse().unwrap(), "alice".parse().unwrap());
        let meta = receipt(500_000_000_026, &app_key, &alice, "bob", 1_157_777_777_777_777_777);
        assert_eq!(hex::encode(meta.encode_to_vec()), recorded["hex"].as_str().unwrap());
    }
}
