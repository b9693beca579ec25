//! The view against the full decoder: wherever there is a view, both say the same.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::Value as Json;

use super::{JidView, PageView, full_meta};
use crate::fuzzing::page_view::agree;
use crate::wire::{CommSyncDl, Content, Jid, KeyValue, MAX_FIELDS, MSync, MessageBody, Meta, Status, encode};

fn vectors(text: &str) -> Vec<Json> {
    serde_json::from_str(text).unwrap()
}

fn hex_of(entry: &Json) -> Vec<u8> {
    hex::decode(entry["hex"].as_str().unwrap()).unwrap()
}

fn page_of(metas: Vec<Meta>) -> CommSyncDl {
    CommSyncDl {
        metas,
        next_key: Some(7),
        queue: Some(Jid::user("org#app", "bob")),
        is_last: Some(true),
        ..CommSyncDl::default()
    }
}

fn frame_of(page: &CommSyncDl) -> Bytes {
    MSync { version: Some(0), command: Some(0), payload: Some(encode(page)), ..MSync::default() }.to_bytes()
}

#[test]
fn every_recorded_frame_of_a_server_is_read_alike_or_left_to_the_full_decoder() {
    let frames = vectors(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/server-frames.json")));
    let seen: Vec<usize> = frames.iter().filter_map(|entry| agree(&hex_of(entry))).collect();
    assert!(seen.len() > 5 && seen.iter().sum::<usize>() > 5, "{seen:?}");
}

#[test]
fn every_recorded_meta_is_read_alike_or_left_to_the_full_decoder() {
    let mut texts = 0;
    for entry in vectors(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/receive.json"))) {
        let meta = full_meta(&hex_of(&entry), &mut MAX_FIELDS.clone()).unwrap();
        texts += agree(&frame_of(&page_of(vec![meta]))).unwrap();
    }
    assert!(texts >= 1, "{texts}");
}

#[test]
fn an_answer_to_a_send_and_a_page_with_a_status_are_left_to_the_full_decoder() {
    let answer = CommSyncDl { meta_id: Some(3), ..CommSyncDl::default() };
    assert!(PageView::of(&frame_of(&answer)).is_none());
    let status = Some(Status { error_code: Some(1), ..Status::default() });
    let refused = CommSyncDl { status, ..page_of(Vec::new()) };
    assert!(PageView::of(&frame_of(&refused)).is_none());
    let ok = Some(Status { error_code: Some(0), ..Status::default() });
    assert_eq!(agree(&frame_of(&CommSyncDl { status: ok, ..page_of(Vec::new()) })), Some(0));
}

#[test]
fn metas_that_are_decoded_have_so_many_fields_together_and_no_more() {
    let named = KeyValue { key: Some("k".to_owned()), ..KeyValue::default() };
    let meta = encode(&Meta { ext: vec![named; 1000], ..Meta::default() });
    let mut left = 2500;
    assert!(full_meta(&meta, &mut left).is_some() && full_meta(&meta, &mut left).is_some());
    assert!(full_meta(&meta, &mut left).is_none());
    assert_eq!(left, 500);
}

#[test]
fn a_group_in_a_field_that_nobody_knows_does_not_cost_its_meta() {
    let meta = [&encode(&Meta { id: Some(7), ..Meta::default() })[..], &[0xf3, 0x01, 0xf4, 0x01]].concat();
    assert_eq!(full_meta(&meta, &mut MAX_FIELDS.clone()).and_then(|meta| meta.id), Some(7));
    assert_eq!(full_meta(&meta[..meta.len() - 2], &mut MAX_FIELDS.clone()), None, "one that does not end");
}

fn jid() -> impl Strategy<Value = Option<Jid>> {
    let part = || proptest::option::of("[a-zé]{0,6}");
    proptest::option::of((part(), part(), part(), part()).prop_map(|(app_key, name, domain, client_resource)| Jid {
        app_key,
        name,
        domain,
        client_resource,
    }))
}

fn content() -> impl Strategy<Value = Content> {
    let plain = (proptest::option::of(0..2_i32), proptest::option::of("\\PC{0,12}"))
        .prop_map(|(r#type, text)| Content { r#type, text, ..Content::default() });
    let odd = (0..10_i32, proptest::option::of(0..12_i32), proptest::option::of("[a-z]{0,4}"))
        .prop_map(|(kind, sub_type, action)| Content { r#type: Some(kind), sub_type, action, ..Content::default() });
    prop_oneof![4 => plain, 1 => odd]
}

fn meta() -> impl Strategy<Value = Meta> {
    let body = (
        proptest::option::of(0..9_i32),
        jid(),
        jid(),
        proptest::collection::vec(content(), 0..3),
        proptest::collection::vec(Just(KeyValue::default()), 0..2),
        proptest::option::weighted(0.1, any::<u64>()),
    )
        .prop_map(|(r#type, from, to, contents, ext, ack_message_id)| MessageBody {
            r#type,
            from,
            to,
            contents,
            ext,
            ack_message_id,
            ..MessageBody::default()
        });
    let plain = ("[a-z]{0,5}", "\\PC{0,20}", 1..3_i32).prop_map(|(name, text, kind)| MessageBody {
        r#type: Some(kind),
        from: Some(Jid { name: Some(name), ..Jid::default() }),
        contents: vec![Content { r#type: Some(0), text: Some(text), ..Content::default() }],
        ..MessageBody::default()
    });
    (
        (proptest::option::of(any::<u64>()), jid(), jid(), proptest::option::of(any::<u64>())),
        prop_oneof![5 => Just(Some(1)), 1 => proptest::option::of(0..8_i32)],
        prop_oneof![3 => plain, 2 => body],
        proptest::collection::vec(Just(KeyValue::default()), 0..2),
        proptest::option::weighted(0.1, Just(Bytes::from_static(b"{}"))),
    )
        .prop_map(|((id, from, to, timestamp), ns, body, ext, meta)| Meta {
            id,
            from,
            to,
            timestamp,
            ns,
            payload: Some(encode(&body)),
            ext,
            meta,
            ..Meta::default()
        })
}

fn page() -> impl Strategy<Value = CommSyncDl> {
    (
        proptest::collection::vec(meta(), 0..4),
        jid(),
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<bool>()),
    )
        .prop_map(|(metas, queue, next_key, is_last)| CommSyncDl {
            metas,
            queue,
            next_key,
            is_last,
            ..CommSyncDl::default()
        })
}

/// The frame with these bytes for each `%%%` in a text.
fn spoilt(frame: &[u8], bytes: [u8; 3]) -> Vec<u8> {
    let mut spoilt = frame.to_vec();
    let mut at = 0;
    while let Some(found) = spoilt.get(at..).and_then(|rest| rest.windows(3).position(|three| three == b"%%%")) {
        spoilt[at + found..at + found + 3].copy_from_slice(&bytes);
        at += found + 3;
    }
    spoilt
}

fn bad_bytes() -> impl Strategy<Value = [u8; 3]> {
    let (half, low) = (Just([0xed, 0xa0, 0xbd]), Just([0xed, 0xb8, 0x80]));
    prop_oneof![half, low, any::<[u8; 3]>(), any::<u8>().prop_map(|byte| [byte; 3])]
}

#[test]
fn a_text_that_is_not_utf_8_is_left_to_the_full_decoder_and_those_around_it_are_not() {
    let plain = |text: &str| {
        let content = Content { r#type: Some(0), text: Some(text.to_owned()), ..Content::default() };
        let body = MessageBody { r#type: Some(1), contents: vec![content], ..MessageBody::default() };
        Meta { id: Some(7), ns: Some(1), payload: Some(encode(&body)), ..Meta::default() }
    };
    let frame = frame_of(&page_of(vec![plain("a"), plain("half %%%"), plain("b")]));
    assert_eq!(agree(&spoilt(&frame, [0xed, 0xa0, 0xbd])), Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_texts_of_a_page_are_broken_both_say_the_same(
        mut page in page(),
        texts in proptest::collection::vec((0..8_u8, any::<prop::sample::Index>()), 1..4),
        bytes in bad_bytes(),
    ) {
        let bad = || Some("a%%%".to_owned());
        for (kind, at) in texts {
            if page.metas.is_empty() {
                break;
            }
            let at = at.index(page.metas.len());
            let meta = &mut page.metas[at];
            let body = |change: fn(&mut MessageBody, Option<String>)| {
                let mut body = MessageBody::decode(meta.payload.clone().unwrap()).unwrap();
                change(&mut body, bad());
                Some(encode(&body))
            };
            match kind {
                0 => meta.from = Some(Jid { name: bad(), ..Jid::default() }),
                1 => meta.to = Some(Jid { client_resource: bad(), ..Jid::default() }),
                2 => meta.ext.push(KeyValue { key: bad(), ..KeyValue::default() }),
                3 => meta.directed_users.extend(bad()),
                4 => meta.payload = body(|body, bad| body.from = Some(Jid { name: bad, ..Jid::default() })),
                5 => meta.payload = body(|body, bad| body.ack_content = bad),
                _ => meta.payload = body(|body, bad| {
                    body.contents.iter_mut().for_each(|content| content.text = bad.clone());
                }),
            }
        }
        let frame = spoilt(&frame_of(&page), bytes);
        let full = MSync::decode_frame(frame.clone().into(), usize::MAX).unwrap().sync_dl().unwrap();
        prop_assert_eq!(full.metas.len(), page.metas.len());
        prop_assert!(agree(&frame).is_some());
    }

    #[test]
    fn whatever_page_a_server_sends_both_say_the_same(page in page()) {
        prop_assert!(agree(&frame_of(&page)).is_some());
    }

    #[test]
    fn whatever_is_broken_in_a_page_both_say_the_same(
        page in page(),
        breaks in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut frame = frame_of(&page).to_vec();
        for (at, byte) in breaks {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        agree(&frame);
    }

    #[test]
    fn an_address_is_the_same_as_a_value(jid in jid()) {
        let jid = jid.unwrap_or_default();
        let bytes = encode(&jid);
        let view = JidView::of(&bytes).unwrap();
        prop_assert_eq!(view.to_jid(), jid.clone());
        prop_assert_eq!(view, jid.view());
        prop_assert!(view.same_queue(&jid));
    }
}
