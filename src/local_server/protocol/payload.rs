//! Additions to an encoded body that leave its bytes as they are, unknown fields included.
//!
//! A decoder takes the last value of a field that comes twice, and reads the entries of a list in order. So bytes appended
//! to a body replace its single fields, and bytes put before it come first in its lists.

use bytes::Bytes;
use prost::Message as _;
use serde_json::{Map, Value};

use crate::wire::{Jid, KeyValue, MessageBody};

/// Returns the body with a member set in its `meta`, which is JSON text.
pub(crate) fn with_meta(payload: &[u8], meta: &str, member: &str, value: Value) -> Bytes {
    let mut members: Map<String, Value> = serde_json::from_str(meta).unwrap_or_default();
    members.insert(member.to_owned(), value);
    let behind = MessageBody { meta: Some(Value::Object(members).to_string()), ..MessageBody::default() };
    [payload, &behind.encode_to_vec()].concat().into()
}

/// Returns the body with this sender.
pub(crate) fn from(payload: &[u8], sender: Jid) -> Bytes {
    let behind = MessageBody { from: Some(sender), ..MessageBody::default() };
    [payload, &behind.encode_to_vec()].concat().into()
}

/// Returns the body with this as the first of its `ext`.
pub(crate) fn with_first_ext(payload: &[u8], ext: KeyValue) -> Bytes {
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
