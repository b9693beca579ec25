//! Delivery receipts, sent by the client itself (messages spec §3).

use std::mem;

use super::{
    Action, Note,
    life::{Phase, Session},
    metas::Got,
    sending::encoded,
    sends::What,
    world::Context,
};
use crate::{
    AppKey, UserId,
    wire::{
        self, Body, Content, Jid, MessageBody, Meta,
        message_body::Type as MessageType,
        meta::{NameSpace, RouteType},
    },
};

/// The subtype of a piece of a streamed text (messages spec §2.8).
const STREAM: i32 = 10;

impl Session {
    /// Sends a receipt for a received meta, if receipts are wanted and it is one that gets them.
    pub(super) fn confirm_delivery(&mut self, got: &Got<'_>, context: &mut Context<'_>) {
        if !context.world.config.delivery_receipts {
            return;
        }
        match got {
            Got::Text(text, _) if !text.is_group && !text.from.is_empty() => {
                self.delivered(text.from, text.id, context)
            }
            Got::Meta(meta) => {
                if let Some(from) = sender(meta) {
                    self.delivered(&from, meta.id.unwrap_or(0), context);
                }
            }
            Got::Text(..) | Got::Broken(_) => {}
        }
    }

    /// Tells `to` that its message `id` has arrived. Nobody waits for the outcome; where the bound of unanswered sends
    /// is reached the receipt is left out and counted.
    pub(super) fn delivered(&mut self, to: &str, id: u64, context: &mut Context<'_>) {
        if !matches!(self.phase, Phase::Online(_)) || id == 0 || to == self.user.as_str() {
            return;
        }
        let config = &context.world.config;
        if self.sends.len() >= config.limits.pending_sends {
            self.unreceipted = self.unreceipted.saturating_add(1);
            return;
        }
        let client_id = context.world.fresh_id();
        let frame = encoded(receipt(client_id, &context.world.config.app_key, &self.user, to, id));
        self.tell_unreceipted(context);
        self.write("receipt", client_id, What::Receipt, frame, context);
    }

    /// Says once how many receipts were left out.
    pub(super) fn tell_unreceipted(&mut self, context: &mut Context<'_>) {
        match mem::take(&mut self.unreceipted) {
            0 => {}
            count => context.out.push(Action::Note(Note::ReceiptsLeftOut { count })),
        }
    }
}

/// Who sent it, if it is a whole message between two users: no receipt, recall, edit or piece of a stream.
fn sender(meta: &Meta) -> Option<String> {
    if meta.ns != Some(NameSpace::Chat as i32) {
        return None;
    }
    let Ok(Body::Chat(body)) = meta.body() else { return None };
    let first = body.contents.first()?;
    if body.r#type != Some(MessageType::Chat as i32) || body.stream.is_some() || first.sub_type == Some(STREAM) {
        return None;
    }
    let named = |jid: Option<Jid>| jid.and_then(|jid| jid.name).filter(|name| !name.is_empty());
    named(body.from).or_else(|| named(meta.from.clone()))
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
            serde_json::from_str(include_str!("../../tests/vectors/messages.json")).unwrap();
        let recorded = vectors.as_array().unwrap().iter().find(|entry| entry["name"] == "delivery_ack_meta").unwrap();
        let (app_key, alice) = ("org#app".parse().unwrap(), "alice".parse().unwrap());
        let meta = receipt(500_000_000_026, &app_key, &alice, "bob", 1_157_777_777_777_777_777);
        assert_eq!(hex::encode(meta.encode_to_vec()), recorded["hex"].as_str().unwrap());
    }
}
