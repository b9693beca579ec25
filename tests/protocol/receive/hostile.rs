//! Whatever a server sends, it is told or it is known to be nothing; and it never breaks the receiver.

use agora_chat::{
    EventKind, EventMask,
    wire::{Jid, Meta},
};
use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use prost::Message;
use serde_json::Value;

use crate::receive::receiver::{APP, Receiver, chat, text};

fn recorded() -> Vec<Meta> {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../../vectors/receive.json")).unwrap();
    let decode = |entry: &Value| Meta::decode(&hex::decode(entry["hex"].as_str().unwrap()).unwrap()[..]).unwrap();
    entries.iter().map(decode).collect()
}

/// A kick ends the session, and what else statistics say may be nothing.
fn is_statistics(meta: &Meta) -> bool {
    meta.ns.unwrap_or(0) == 0
}

/// A meta as it came, from another device of another user, so that it can be no echo.
fn foreign(meta: Meta) -> Meta {
    Meta { from: Some(Jid::user(APP, "bob").with_resource("elsewhere")), ..meta }
}

#[test]
fn an_event_is_built_for_those_who_want_its_kind_and_for_nobody_else() {
    for meta in recorded().into_iter().filter(|meta| !is_statistics(meta)) {
        let heard = Receiver::online().page(vec![meta.clone()]);
        let Some(event) = heard.first() else { continue };
        assert!(EventMask::INBOUND.contains(event.mask()));
        assert_eq!(Receiver::wanting(event.mask()).page(vec![meta.clone()]), heard);
        let others = EventMask::from_bits(EventMask::ALL.bits() & !event.mask().bits());
        assert!(Receiver::wanting(others).page(vec![meta.clone()]).is_empty(), "{event:?}");
        assert!(Receiver::wanting(EventMask::NONE).page(vec![meta]).is_empty());
    }
}

#[test]
fn a_message_of_tens_of_thousands_of_attributes_is_read() {
    let attribute = |n: usize| agora_chat::wire::KeyValue {
        key: Some(n.to_string()),
        r#type: Some(2),
        value: Some(agora_chat::wire::key_value::Value::Varint(1)),
    };
    let mut body = text("x");
    body.ext = (0..60_000).map(attribute).collect();
    let heard = Receiver::online().page(vec![chat(1, "bob", "alice", body)]);
    let [EventKind::Message(message)] = &heard[..] else { panic!() };
    assert_eq!(message.ext.len(), 60_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_in_any_namespace_are_told(
        namespace in option::of(prop_oneof![-1..8, any::<i32>()]),
        payload in option::of(vec(any::<u8>(), 0..60)),
        (meta, id) in (option::of(vec(any::<u8>(), 0..20)), any::<u64>()),
    ) {
        let meta = foreign(Meta {
            id: Some(id),
            ns: namespace,
            payload: payload.map(Bytes::from),
            meta: meta.map(Bytes::from),
            ..Meta::default()
        });
        let heard = Receiver::online().page(vec![meta.clone()]);
        if !is_statistics(&meta) {
            prop_assert_eq!(heard.len(), 1, "{:?}", heard);
        }
    }

    #[test]
    fn a_recorded_payload_with_a_few_bytes_changed_is_told(
        at in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let recorded = recorded();
        let meta = recorded[at.index(recorded.len())].clone();
        let mut payload = meta.payload.clone().unwrap_or_default().to_vec();
        for (place, byte) in changes {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        payload.truncate(cut.map_or(payload.len(), |cut| cut.index(payload.len())));
        let meta = Meta { payload: Some(payload.into()), ..foreign(meta) };
        let heard = Receiver::online().page(vec![meta.clone()]);
        if !is_statistics(&meta) {
            prop_assert_eq!(heard.len(), 1, "{:?}", heard);
        }
    }
}
