//! What must hold of the wire types for any bytes and any values.

use agora_chat::wire::{
    Body, CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, ConferenceBody, DecodeError, Downward, Jid, KeyValue,
    Layer, Logout, MSync, MessageBody, Meta, MucBody, Provision, RosterBody, StatisticsBody, Status, Upward, encode,
    key_value::Value, msync::Command,
};
use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use prost::Message;

const LIMIT: usize = 1 << 20;

fn text() -> impl Strategy<Value = Option<String>> {
    option::of(".{0,12}")
}

fn bytes() -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn jid() -> impl Strategy<Value = Option<Jid>> {
    let jid = (text(), text(), text(), text()).prop_map(|(app_key, name, domain, client_resource)| Jid {
        app_key,
        name,
        domain,
        client_resource,
    });
    option::of(jid)
}

fn key_value() -> impl Strategy<Value = KeyValue> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::Varint),
        any::<f32>().prop_map(Value::Float),
        any::<f64>().prop_map(Value::Double),
        ".{0,12}".prop_map(Value::String),
    ];
    (text(), any::<Option<i32>>(), option::of(value)).prop_map(|(key, r#type, value)| KeyValue { key, r#type, value })
}

prop_compose! {
    fn msync()(
        (version, command) in any::<(Option<i32>, Option<i32>)>(),
        guid in jid(),
        (auth, user_agent, encrypt_key) in (text(), text(), text()),
        (compress_algorimth, crypto, device_id) in any::<(Option<u32>, Option<u32>, Option<u32>)>(),
        (pov, trace_id) in any::<(Option<u64>, Option<u64>)>(),
        payload in bytes(),
        encrypt_type in vec(any::<i32>(), 0..4),
    ) -> MSync {
        MSync {
            version, guid, auth, compress_algorimth, crypto, user_agent, pov, command, payload, device_id,
            encrypt_type, encrypt_key, trace_id,
        }
    }
}

prop_compose! {
    fn meta()(
        (id, timestamp) in any::<(Option<u64>, Option<u64>)>(),
        (from, to) in (jid(), jid()),
        (ns, routetype) in any::<(Option<i32>, Option<i32>)>(),
        (payload, meta) in (bytes(), bytes()),
        ext in vec(key_value(), 0..4),
        directed_users in vec(".{0,12}", 0..4),
    ) -> Meta {
        Meta { id, from, to, timestamp, ns, payload, routetype, ext, meta, directed_users }
    }
}

/// Everything a peer's bytes can reach.
fn decode_all(bytes: &Bytes) {
    if let Ok(frame) = MSync::decode_frame(bytes.clone(), LIMIT) {
        let _ = (frame.upward(), frame.downward());
    }
    for command in -1..6 {
        let frame = MSync { command: Some(command), payload: Some(bytes.clone()), ..MSync::default() };
        let _ = frame.upward();
        if let Ok(Downward::Sync(batch)) = frame.downward() {
            let _ = batch.metas.iter().map(Meta::body).collect::<Vec<_>>();
        }
    }
    for ns in -1..8 {
        let _ = Meta { ns: Some(ns), payload: Some(bytes.clone()), ..Meta::default() }.body();
    }
    let _ = (Provision::decode(bytes.clone()), Logout::decode(bytes.clone()), Status::decode(bytes.clone()));
    let _ = (CommSyncDl::decode(bytes.clone()), CommSyncUl::decode(bytes.clone()), Meta::decode(bytes.clone()));
    let _ = (CommUnreadDl::decode(bytes.clone()), CommNotice::decode(bytes.clone()), Jid::decode(bytes.clone()));
    let _ = (MessageBody::decode(bytes.clone()), MucBody::decode(bytes.clone()), RosterBody::decode(bytes.clone()));
    let _ = (StatisticsBody::decode(bytes.clone()), ConferenceBody::decode(bytes.clone()));
}

/// The recorded frames and bodies.
fn recorded() -> Vec<Vec<u8>> {
    [
        include_str!("../vectors/client-frames.json"),
        include_str!("../vectors/server-frames.json"),
        include_str!("../vectors/messages.json"),
        include_str!("../vectors/receive.json"),
    ]
    .iter()
    .flat_map(|file| serde_json::from_str::<Vec<serde_json::Value>>(file).unwrap())
    .map(|entry| hex::decode(entry["hex"].as_str().unwrap()).unwrap())
    .collect()
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_a_decoder(bytes in vec(any::<u8>(), 0..200)) {
        decode_all(&bytes.into());
    }

    #[test]
    fn damaged_frames_never_panic_a_decoder(
        mut frame in proptest::sample::select(recorded()),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        end in any::<proptest::sample::Index>(),
    ) {
        for (at, byte) in damage {
            if !frame.is_empty() {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
        }
        decode_all(&frame.clone().into());
        frame.truncate(end.index(frame.len() + 1));
        decode_all(&frame.into());
    }

    #[test]
    fn an_envelope_survives_encoding_and_decoding(frame in msync()) {
        prop_assert_eq!(MSync::decode_frame(frame.to_bytes(), LIMIT), Ok(frame));
    }

    #[test]
    fn a_meta_survives_encoding_and_decoding(meta in meta()) {
        prop_assert_eq!(Meta::decode(encode(&meta)), Ok(meta.clone()));
        let sent = MSync::client_sync(&CommSyncUl::send(meta.clone()));
        prop_assert_eq!(sent.upward(), Ok(Upward::Sync(Box::new(CommSyncUl::send(meta)))));
    }
}

#[test]
fn a_frame_at_the_limit_is_taken_and_one_byte_more_is_refused_unread() {
    let frame = MSync::client_unread().to_bytes();
    let size = frame.len();
    assert_eq!(MSync::decode_frame(frame.clone(), size), Ok(MSync::client_unread()));
    let refused = MSync::decode_frame(frame, size - 1);
    assert_eq!(refused, Err(DecodeError::TooLarge { size, limit: size - 1 }));
}

#[test]
fn a_compressed_payload_is_reported_as_such_and_a_present_zero_is_not() {
    let plain = MSync::from_server(Command::Unread, &CommUnreadDl { timestamp: Some(7), ..Default::default() });
    let zero = MSync { compress_algorimth: Some(0), ..plain.clone() };
    assert_eq!(zero.unread_dl().unwrap().timestamp, Some(7));
    let zlib = MSync { compress_algorimth: Some(1), ..plain };
    assert_eq!(zlib.downward(), Err(DecodeError::Compressed { algorithm: 1 }));
}

#[test]
fn each_layer_names_itself_when_it_cannot_be_decoded() {
    let broken = Bytes::from_static(&[0xff]);
    let layer = |error: DecodeError| match error {
        DecodeError::Malformed { layer, .. } => layer,
        other => panic!("{other:?}"),
    };
    assert_eq!(layer(MSync::decode_frame(broken.clone(), LIMIT).unwrap_err()), Layer::Envelope);
    let frame = MSync { payload: Some(broken.clone()), ..MSync::default() };
    assert_eq!(layer(frame.downward().unwrap_err()), Layer::Payload);
    let meta = Meta { payload: Some(broken), ..Meta::default() };
    assert_eq!(layer(meta.body().unwrap_err()), Layer::Body);
}

#[test]
fn unknown_enum_numbers_survive_decoding_and_are_written_again() {
    let status = Status { error_code: Some(99), ..Status::default() };
    let answer = CommSyncDl { status: Some(status), ..CommSyncDl::default() };
    let frame = MSync { command: Some(77), encrypt_type: vec![9], ..MSync::from_server(Command::Sync, &answer) };
    let read = MSync::decode_frame(frame.to_bytes(), LIMIT).unwrap();
    assert_eq!(read, frame);
    assert_eq!(read.known_command(), Err(77));
    assert_eq!(read.downward(), Ok(Downward::Unknown(77)));
    assert_eq!(read.sync_dl().unwrap().status.unwrap().error_code, Some(99));
    assert_eq!(Meta { ns: Some(42), ..Meta::default() }.body(), Ok(Body::Unknown(42)));
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let known = MSync::client_unread();
    let mut bytes = known.to_bytes().to_vec();
    // Field 200: a varint, eight bytes, a length with three bytes, a group, four bytes.
    for field in [&[0xc0, 0x0c, 1][..], &[0xc1, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8], &[0xc2, 0x0c, 3, b'a', b'b', b'c']] {
        bytes.extend(field);
    }
    bytes.extend([0xc3, 0x0c, 0xc4, 0x0c, 0xc5, 0x0c, 1, 2, 3, 4]);
    assert_eq!(MSync::decode_frame(bytes.into(), LIMIT), Ok(known));
}

#[test]
fn an_absent_field_and_a_present_zero_are_told_apart() {
    let absent = Meta::default();
    let zero = Meta { id: Some(0), ns: Some(0), payload: Some(Bytes::new()), routetype: Some(0), ..Meta::default() };
    assert_eq!(encode(&absent).len(), 0);
    assert_eq!(encode(&zero)[..], [0x08, 0, 0x28, 0, 0x32, 0, 0x38, 0]);
    assert_eq!(Meta::decode(encode(&absent)), Ok(absent));
    assert_eq!(Meta::decode(encode(&zero)), Ok(zero));
}

#[test]
fn groups_nested_without_end_are_refused_rather_than_followed() {
    let endless = Bytes::from([0xc3, 0x0c].repeat(100_000));
    assert!(matches!(MSync::decode_frame(endless.clone(), LIMIT), Err(DecodeError::Malformed { .. })));
    let frame = MSync { payload: Some(endless), ..MSync::default() };
    assert!(matches!(frame.downward(), Err(DecodeError::Malformed { .. })));
}
