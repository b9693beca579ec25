//! Dedup keys: the pieces of a streamed text share one id (messages spec §2.3, §2.8).

use std::hash::{DefaultHasher, Hasher};

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::wire::{Meta, decode_mended, message_body::Stream, meta::NameSpace};

/// Returns a meta's dedup key: its id, or for a later piece of a streamed text a hash of id and position. 0 for a meta
/// without an id, which is never a repetition.
///
/// Only the payload's outermost fields are scanned, and the stream's few bytes decoded, if any.
pub(crate) fn repetition_key(meta: &Meta) -> u64 {
    let id = meta.id.unwrap_or(0);
    if id == 0 || meta.ns != Some(NameSpace::Chat as i32) {
        return id;
    }
    match stream(meta.payload.as_deref().unwrap_or_default()).and_then(|stream| stream.stream_seq) {
        None | Some(0) => id,
        // Never 0; collides with another id by a chance of 2^-64.
        Some(place) => mixed(id.wrapping_add(mixed(place))).max(1),
    }
}

/// Returns the stream next to the contents of a body.
fn stream(mut bytes: &[u8]) -> Option<Stream> {
    let mut stream: Option<Stream> = None;
    while !bytes.is_empty() {
        match decode_key(&mut bytes).ok()? {
            (13, WireType::LengthDelimited) => {
                let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
                let (chunk, rest) = bytes.split_at_checked(length)?;
                stream = Some(decode_mended(bytes::Bytes::copy_from_slice(chunk)).ok()?);
                bytes = rest;
            }
            (tag, wire_type) => skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).ok()?,
        }
    }
    stream
}

/// Returns the dedup key of an undecodable meta, a hash of its bytes. Never 0.
pub(crate) fn broken_key(encoded: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(encoded);
    hasher.finish().max(1)
}

/// Mixes by SplitMix64's finalizer, a bijection without a pattern.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::repetition_key;
    use crate::wire::{MessageBody, Meta, encode, message_body::Stream};

    fn piece(id: u64, place: Option<u64>) -> Meta {
        let stream = place.map(|place| Stream { stream_seq: Some(place), ..Stream::default() });
        let body = MessageBody { r#type: Some(1), stream, meta: Some("{}".into()), ..MessageBody::default() };
        Meta { id: Some(id), ns: Some(1), payload: Some(encode(&body)), ..Meta::default() }
    }

    #[test]
    fn pieces_are_told_by_id_and_place_and_everything_else_by_id() {
        assert_eq!(repetition_key(&piece(7, None)), 7);
        assert_eq!(repetition_key(&piece(7, Some(0))), 7);
        let keys: HashSet<_> = (0..1000).map(|place| repetition_key(&piece(7 + place % 2, Some(place / 2)))).collect();
        assert_eq!(keys.len(), 1000);
        assert_eq!(repetition_key(&piece(7, Some(3))), repetition_key(&piece(7, Some(3))));
        assert_eq!(repetition_key(&Meta { ns: Some(2), ..piece(7, Some(3)) }), 7);
        assert_eq!(repetition_key(&piece(0, Some(3))), 0);
        // A kind that is not UTF-8, and place 3.
        let bad_text =
            |place| Meta { payload: Some(vec![0x6a, 5, 0x0a, 1, 0xff, 0x10, place].into()), ..piece(7, None) };
        assert_eq!(repetition_key(&bad_text(3)), repetition_key(&piece(7, Some(3))));
        assert_ne!(repetition_key(&bad_text(3)), repetition_key(&bad_text(4)));
        let broken = Meta { payload: Some(bytes::Bytes::from_static(b"\x6a\x7f")), ..piece(7, None) };
        assert_eq!(repetition_key(&broken), 7);
    }
}
