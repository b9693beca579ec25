//! Decoding with bounds.
//!
//! A repeated message can cost two bytes in a frame and hundreds in memory. So two things are counted before anything
//! is allocated: the fields of a message, those of nested messages with repeated fields included; and the memory of the
//! repeated values, which has to be in proportion to the encoded bytes.

use bytes::{Bytes, BytesMut};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::error::{DecodeError, Layer};
use super::mend::{Mend, decode_mended};

/// Most fields that one payload or body may have, including those of its repeated messages.
///
/// It keeps the memory of one frame below some tens of megabytes, and is far above what the service sends.
pub const MAX_FIELDS: usize = 65_536;

/// Most bytes of structs for each encoded byte of a message. No meaningful message comes near.
const GROWTH: usize = 16;

/// Bytes of structs that any message may have besides those.
const FREE: usize = 4096;

/// Returns the bytes of structs that a message of `bytes` encoded bytes may have.
pub(super) const fn allowance(bytes: usize) -> usize {
    bytes.saturating_mul(GROWTH).saturating_add(FREE)
}

/// Shape of a message type for counting: its repeated fields, and its fields of messages with repeated fields.
pub(super) struct Shape(pub(super) &'static [Field]);

/// Shape of a message without repeated fields.
pub(super) const FLAT: Shape = Shape(&[]);

/// Field that counting looks at.
pub(super) struct Field {
    tag: u32,
    /// Bytes of one element, without its texts.
    size: usize,
    /// True where each element is weighed against its own encoded bytes.
    alone: bool,
    inner: Option<&'static Shape>,
}

impl Field {
    /// Describes a repeated field with elements of this type.
    pub(super) const fn repeated<T>(tag: u32) -> Self {
        Field { tag, size: size_of::<T>(), alone: false, inner: None }
    }

    /// Describes a field whose message has repeated fields.
    pub(super) const fn holding(tag: u32, inner: &'static Shape) -> Self {
        Field { tag, size: 0, alone: false, inner: Some(inner) }
    }

    /// Counts the fields of its elements too.
    pub(super) const fn with(self, inner: &'static Shape) -> Self {
        Field { inner: Some(inner), ..self }
    }

    /// Weighs each element against its own encoded bytes.
    pub(super) const fn alone(self) -> Self {
        Field { alone: true, size: 0, ..self }
    }
}

/// Decodes a message after counting its fields.
pub(super) fn decode<T: Mend>(bytes: &Bytes, shape: &Shape, layer: Layer) -> Result<T, DecodeError> {
    let mut left = MAX_FIELDS;
    decode_within(bytes, shape, layer, &mut left)
}

/// Decodes one of several messages that share a budget of `left` fields, and deducts its own.
pub(super) fn decode_within<T: Mend>(
    bytes: &Bytes,
    shape: &Shape,
    layer: Layer,
    left: &mut usize,
) -> Result<T, DecodeError> {
    count(bytes, shape, left, &mut allowance(bytes.len()))
        .map_err(|source| DecodeError::Malformed { layer, source })?
        .ok_or(DecodeError::TooManyFields { layer })?;
    decode_mended(bytes.clone()).map_err(|source| DecodeError::Malformed { layer, source })
}

/// Splits the length-delimited fields numbered `tag` off a payload: returns the payload without them, and their
/// contents, which are not parsed. Deducts one from `left` for each.
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

/// Deducts one from `left` for every field, and the memory of repeated ones from `memory`; `None` when either runs out.
fn count(
    mut bytes: &[u8],
    shape: &Shape,
    left: &mut usize,
    memory: &mut usize,
) -> Result<Option<()>, prost::DecodeError> {
    while !bytes.is_empty() {
        let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
        *left = fewer;
        let (tag, wire_type) = decode_key(&mut bytes)?;
        let field = shape.0.iter().find(|field| field.tag == tag);
        if let Some(field) = field {
            let Some(less) = memory.checked_sub(field.size) else { return Ok(None) };
            *memory = less;
        }
        match (field.and_then(|field| Some((field.inner?, field.alone))), wire_type) {
            (Some((inner, alone)), WireType::LengthDelimited) => {
                let length = decode_varint(&mut bytes)?;
                // A length beyond the end is for the decoder to report.
                let Some((message, rest)) = usize::try_from(length).ok().and_then(|at| bytes.split_at_checked(at))
                else {
                    return Ok(Some(()));
                };
                bytes = rest;
                let mut own = allowance(message.len());
                if count(message, inner, left, if alone { &mut own } else { &mut *memory })?.is_none() {
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

    use super::{FLAT, FREE, Field, GROWTH, MAX_FIELDS, Shape, decode};
    use crate::wire::error::{DecodeError, Layer};
    use crate::wire::{CommSyncDl, CommUnreadDl, KeyValue, Meta, MetaQueue};

    #[test]
    fn a_message_of_too_many_fields_is_refused_before_it_takes_memory() {
        // Of a number that nobody knows.
        let decoded =
            |fields: usize| decode::<CommUnreadDl>(&Bytes::from([0x38, 0].repeat(fields)), &FLAT, Layer::Payload);
        assert!(decoded(MAX_FIELDS).is_ok());
        assert_eq!(decoded(MAX_FIELDS + 1), Err(DecodeError::TooManyFields { layer: Layer::Payload }));
    }

    #[test]
    fn elements_that_say_nothing_are_refused_before_they_take_memory() {
        const UNREAD: Shape = Shape(&[Field::repeated::<MetaQueue>(2)]);
        let decoded =
            |fields: usize| decode::<CommUnreadDl>(&Bytes::from([0x12, 0].repeat(fields)), &UNREAD, Layer::Payload);
        let free = FREE / (size_of::<MetaQueue>() - 2 * GROWTH);
        assert_eq!(decoded(free).unwrap().unread.len(), free);
        let counted = allocation_counter::measure(|| {
            assert_eq!(decoded(MAX_FIELDS), Err(DecodeError::TooManyFields { layer: Layer::Payload }));
        });
        assert!(counted.bytes_max < 1 << 20, "{counted:?}");
    }

    #[test]
    fn repeated_fields_inside_repeated_messages_count_too() {
        const META: Shape = Shape(&[Field::repeated::<KeyValue>(8)]);
        const METAS: Shape = Shape(&[Field::repeated::<Meta>(4).with(&META).alone()]);
        let batch = |ext: &[u8], exts: usize| {
            let mut meta = vec![0x22];
            prost::encoding::encode_varint((exts * ext.len()) as u64, &mut meta);
            meta.extend(ext.repeat(exts));
            decode::<CommSyncDl>(&Bytes::from(meta), &METAS, Layer::Payload)
        };
        let full = [0x42, 5, 0x0a, 1, b'k', 0x10, 1];
        assert_eq!(batch(&full, MAX_FIELDS - 1).unwrap().metas[0].ext.len(), MAX_FIELDS - 1);
        let refused = Err(DecodeError::TooManyFields { layer: Layer::Payload });
        assert_eq!(batch(&full, MAX_FIELDS), refused);
        assert_eq!(batch(&[0x42, 0], 1000), refused);
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        const METAS: Shape = Shape(&[Field::repeated::<Meta>(4).with(&FLAT).alone()]);
        let refused = decode::<CommSyncDl>(&Bytes::from_static(&[0x22, 0x7f]), &METAS, Layer::Payload);
        assert!(matches!(refused, Err(DecodeError::Malformed { layer: Layer::Payload, .. })));
    }
}
