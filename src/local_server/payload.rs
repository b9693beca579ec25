//! Adding to an encoded body without touching what is there, unknown fields included.
//!
//! Of a field that stands twice the last one counts, and the entries of a list are read in order: what is put behind a
//! body replaces its single fields, what is put before it comes first in its lists.

use bytes::Bytes;
use prost::Message as _;
use serde_json::{Map, Value};

use crate::wire::{Jid, KeyValue, MessageBody};

/// The body with a member set in its `meta`, which is JSON text.
pub(super) fn with_meta(payload: &[u8], meta: &str, member: &str, value: Value) -> Bytes {
    let mut members: Map<String, Value> = serde_json::from_str(meta).unwrap_or_default();
    members.insert(member.to_owned(), value);
    let behind = MessageBody { meta: Some(Value::Object(members).to_string()), ..MessageBody::default() };
    [payload, &behind.encode_to_vec()].concat().into()
}

/// The body as one from this sender.
pub(super) fn from(payload: &[u8], sender: Jid) -> Bytes {
    let behind = MessageBody { from: Some(sender), ..MessageBody::default() };
    [payload, &behind.encode_to_vec()].concat().into()
}

/// The body with this as the first of its `ext`.
pub(super) fn with_first_ext(payload: &[u8], ext: KeyValue) -> Bytes {
    let before = MessageBody { ext: vec![ext], ..MessageBody::default() };
    [&before.encode_to_vec(), payload].concat().into()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use serde_json::json;

    use super::{with_first_ext, with_meta};
    use crate::wire::{KeyValue, MessageBody};

    #[test]
    fn what_is_added_counts_and_the_rest_stays_byte_for_byte() {
        let key = |key: &str| KeyValue { key: Some(key.to_owned()), ..KeyValue::default() };
        let body = MessageBody {
            meta: Some(r#"{"thread":{},"a":1}"#.to_owned()),
            ext: vec![key("old")],
            ..Default::default()
        };
        // Field 18, which this crate does not know.
        let payload = [&body.encode_to_vec()[..], &[0x90, 0x01, 0x01]].concat();

        let changed = with_meta(&payload, body.meta(), "thread", json!({"name": "x"}));
        assert!(changed.starts_with(&payload));
        let read = MessageBody::decode(changed).unwrap();
        assert_eq!(read.meta(), r#"{"a":1,"thread":{"name":"x"}}"#);

        let changed = with_first_ext(&payload, key("new"));
        assert!(changed.ends_with(&payload));
        assert_eq!(MessageBody::decode(changed).unwrap().ext, [key("new"), key("old")]);
    }
}
