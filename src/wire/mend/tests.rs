//! Tests of the schema against the types themselves, and of mending.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};

use super::{Mend, Schema, decode_mended};
use crate::wire::{
    CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, CommUnreadUl, ConferenceBody, Content, Jid, KeyValue, Logout,
    MSync, MessageBody, Meta, MetaQueue, MucBody, Provision, RosterBody, StatisticsBody, Status, encode,
    key_value::Value, status::RedirectInfo,
};

/// The higher numbers are too far for any type to have.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=64;

/// A field of these bytes at the end of a path of messages within messages.
fn at(path: &[u32], bytes: &[u8]) -> Bytes {
    path.iter()
        .rev()
        .fold(bytes.to_vec(), |inner, tag| {
            let mut field = Vec::new();
            encode_key(*tag, WireType::LengthDelimited, &mut field);
            encode_varint(inner.len() as u64, &mut field);
            field.extend(inner);
            field
        })
        .into()
}

/// Walks a type by prost's verdict on fields of one byte: a text may not be `ff`, a message not `00`.
fn hold<T: Mend>(schema: &Schema, path: &mut Vec<u32>) {
    let says = |path: &[u32], byte: u8, what: &str| {
        T::decode(at(path, &[byte])).is_err_and(|error| error.to_string().contains(what))
    };
    let (mut texts, mut messages) = (BTreeSet::new(), BTreeSet::new());
    for tag in NUMBERS {
        path.push(tag);
        if says(path, 0xff, "UTF-8") {
            texts.insert(tag);
        }
        if says(path, 0x00, "invalid tag") {
            messages.insert(tag);
        }
        path.pop();
    }
    let type_name = std::any::type_name::<T>();
    assert_eq!(schema.texts.iter().copied().collect::<BTreeSet<_>>(), texts, "texts of {type_name} at {path:?}");
    for (tag, inner) in schema.messages {
        assert!(messages.remove(tag), "{tag} of {type_name} at {path:?} is no message");
        path.push(*tag);
        hold::<T>(inner, path);
        path.pop();
    }
    // The messages that are left out have no texts.
    for tag in messages {
        path.push(tag);
        hold::<T>(&Schema { texts: &[], messages: &[] }, path);
        path.pop();
    }
}

#[test]
fn every_text_of_every_message_is_known() {
    macro_rules! all {
        ($($message:ty),+) => { $(hold::<$message>(&<$message>::SCHEMA, &mut Vec::new());)+ };
    }
    all!(
        MSync,
        Jid,
        Status,
        CommUnreadUl,
        CommUnreadDl,
        MetaQueue,
        CommNotice,
        CommSyncUl,
        CommSyncDl,
        Meta,
        KeyValue,
        Provision,
        Logout,
        MessageBody,
        Content,
        MucBody,
        RosterBody,
        StatisticsBody,
        ConferenceBody
    );
}

#[test]
fn one_bad_byte_of_text_costs_nothing_but_itself() {
    let content = Content {
        text: Some("ab".into()),
        custom_exts: vec![KeyValue {
            key: Some("ab".into()),
            value: Some(Value::String("ab".into())),
            r#type: Some(7),
        }],
        ..Content::default()
    };
    let body = MessageBody {
        r#type: Some(1),
        from: Some(Jid::user("o#a", "ab")),
        contents: vec![content],
        ack_message_id: Some(7),
        ..MessageBody::default()
    };
    let bytes = encode(&body);
    let mut broken = bytes.to_vec();
    for at in 1..broken.len() {
        if broken[at - 1..=at] == *b"ab" {
            broken[at] = 0xff;
        }
    }
    assert!(MessageBody::decode(&broken[..]).is_err());
    let read: MessageBody = decode_mended(broken.into()).unwrap();
    let told = format!("{body:?}").replace("ab", "a\u{fffd}");
    assert_eq!(format!("{read:?}"), told);
}

#[test]
fn what_is_broken_otherwise_is_still_refused_for_what_it_is() {
    let status = Status {
        error_code: Some(2),
        reason: Some("no".into()),
        redirect_info: vec![RedirectInfo { host: Some("h".into()), port: Some(1) }],
    };
    let whole = encode(&status);
    for cut in 1..whole.len() {
        let cut = whole.slice(..cut);
        let strict = Status::decode(cut.clone());
        assert_eq!(decode_mended::<Status>(cut), strict);
    }
    let wrong_type = Bytes::from_static(&[0x10, 0x01]);
    assert_eq!(decode_mended::<Status>(wrong_type.clone()), Status::decode(wrong_type));
    let also_broken = Bytes::from_static(b"\x12\x01\xff\x0f");
    assert!(decode_mended::<Status>(also_broken).is_err());
}

#[test]
fn a_message_without_a_fault_is_decoded_without_a_copy() {
    let meta = encode(&Meta { id: Some(7), payload: Some(Bytes::from(vec![0; 4096])), ..Meta::default() });
    // Shared bytes, as those of a frame are; the first clone makes them so.
    let _shared = meta.clone();
    let strict = allocation_counter::measure(|| drop(Meta::decode(meta.clone())));
    let mended = allocation_counter::measure(|| drop(decode_mended::<Meta>(meta.clone())));
    assert_eq!((mended.count_total, mended.bytes_total), (strict.count_total, strict.bytes_total));
}
