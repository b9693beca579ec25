//! Decoding with bounds.
//!
//! A repeated message can cost two bytes in a frame and hundreds in memory. So the fields of a message, and of those
//! inside it that repeat something themselves, are counted before anything is allocated.

use bytes::{Bytes, BytesMut};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::error::{DecodeError, Layer};
use super::mend::{Mend, decode_mended};

/// Most fields that one payload or body may have, those of the repeated messages in it included.
///
/// It keeps what one frame can cost below some tens of megabytes, and is far above what the service sends.
pub const MAX_FIELDS: usize = 65_536;

/// A message type, as far as counting is concerned: the fields that hold messages with repeated fields of their own.
pub(super) struct Shape(pub(super) &'static [(u32, &'static Shape)]);

/// A message that holds no repeated messages below its own fields.
pub(super) const FLAT: Shape = Shape(&[]);

/// Decodes a message after counting its fields.
pub(super) fn decode<T: Mend>(bytes: &Bytes, shape: &Shape, layer: Layer) -> Result<T, DecodeError> {
    let mut left = MAX_FIELDS;
    decode_within(bytes, shape, layer, &mut left)
}

/// Decodes one of several messages that may have `left` fields together, and takes its fields from that.
pub(super) fn decode_within<T: Mend>(
    bytes: &Bytes,
    shape: &Shape,
    layer: Layer,
    left: &mut usize,
) -> Result<T, DecodeError> {
    count(bytes, shape, left)
        .map_err(|source| DecodeError::Malformed { layer, source })?
        .ok_or(DecodeError::TooManyFields { layer })?;
    decode_mended(bytes.clone()).map_err(|source| DecodeError::Malformed { layer, source })
}

/// Splits the length-delimited fields numbered `tag` off a payload, one from `left` for each: the payload without
/// them, and their contents, which are not looked at.
///
/// `None` where the payload's own structure is broken.
pub(super) fn split_off(bytes: &Bytes, tag: u32, left: &mut usize) -> Result<Option<(Bytes, Vec<Bytes>)>, DecodeError> {
    let (mut rest, mut split, mut unread) = (BytesMut::with_capacity(64), Vec::new(), bytes.clone());
    while !unread.is_empty() {
        let field = unread.clone();
        let Ok((number, wire_type)) = decode_key(&mut unread) else { return Ok(None) };
        if number == tag && wire_type == WireType::LengthDelimited {
            *left = left.checked_sub(1).ok_or(DecodeError::TooManyFields { layer: Layer::Payload })?;
            let length = decode_varint(&mut unread).ok().and_then(|length| usize::try_from(length).ok());
            let Some(length) = length.filter(|length| *length <= unread.len()) else { return Ok(None) };
            split.push(unread.split_to(length));
        } else {
            if skip_field(wire_type, number, &mut unread, DecodeContext::default()).is_err() {
                return Ok(None);
            }
            rest.extend_from_slice(field.get(..field.len() - unread.len()).unwrap_or_default());
        }
    }
    Ok(Some((rest.freeze(), split)))
}

/// Takes one from `left` for every field; `None` when there are more.
fn count(mut bytes: &[u8], shape: &Shape, left: &mut usize) -> Result<Option<()>, prost::DecodeError> {
    while !bytes.is_empty() {
        let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
        *left = fewer;
        let (tag, wire_type) = decode_key(&mut bytes)?;
        let inner = shape.0.iter().find(|(field, _)| *field == tag).map(|(_, inner)| *inner);
        match (inner, wire_type) {
            (Some(inner), WireType::LengthDelimited) => {
                let length = decode_varint(&mut bytes)?;
                // A length beyond the end is for the decoder to report.
                let Some((message, rest)) = usize::try_from(length).ok().and_then(|at| bytes.split_at_checked(at))
                else {
                    return Ok(Some(()));
                };
                bytes = rest;
                if count(message, inner, left)?.is_none() {
                    return Ok(None);
                }
            }
            _ => skip_field(wire_type, tag, &mut bytes, DecodeContext::default())?,
        }
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{FLAT, MAX_FIELDS, Shape, decode};
    use crate::wire::error::{DecodeError, Layer};
    use crate::wire::{CommSyncDl, CommUnreadDl};

    #[test]
    fn a_message_of_empty_elements_is_refused_before_it_takes_memory() {
        let unread = [0x12, 0x00];
        let full = Bytes::from(unread.repeat(MAX_FIELDS));
        let decoded: CommUnreadDl = decode(&full, &FLAT, Layer::Payload).unwrap();
        assert_eq!(decoded.unread.len(), MAX_FIELDS);
        let over = Bytes::from(unread.repeat(MAX_FIELDS + 1));
        let refused = decode::<CommUnreadDl>(&over, &FLAT, Layer::Payload);
        assert_eq!(refused, Err(DecodeError::TooManyFields { layer: Layer::Payload }));
    }

    #[test]
    fn repeated_fields_inside_repeated_messages_count_too() {
        const METAS: Shape = Shape(&[(4, &FLAT)]);
        let batch = |exts: usize| {
            let mut meta = vec![0x22];
            prost::encoding::encode_varint(exts as u64 * 2, &mut meta);
            meta.extend([0x42, 0x00].repeat(exts));
            Bytes::from(meta)
        };
        let decoded: CommSyncDl = decode(&batch(MAX_FIELDS - 1), &METAS, Layer::Payload).unwrap();
        assert_eq!(decoded.metas[0].ext.len(), MAX_FIELDS - 1);
        let refused = decode::<CommSyncDl>(&batch(MAX_FIELDS), &METAS, Layer::Payload);
        assert_eq!(refused, Err(DecodeError::TooManyFields { layer: Layer::Payload }));
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        const METAS: Shape = Shape(&[(4, &FLAT)]);
        let refused = decode::<CommSyncDl>(&Bytes::from_static(&[0x22, 0x7f]), &METAS, Layer::Payload);
        assert!(matches!(refused, Err(DecodeError::Malformed { layer: Layer::Payload, .. })));
    }
}
