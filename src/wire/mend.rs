//! Decoding of messages whose texts are not UTF-8.
//!
//! prost refuses a whole message for one bad byte in a text, and with it the numbers that say what the message is. So a
//! refused message has its texts [mended](crate::util::lenient::text) in the encoded bytes, and is decoded a second
//! time. A message without a fault is decoded once.

use bytes::Bytes;
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field},
};

use super::{
    CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, CommUnreadUl, ConferenceBody, Content, Jid, KeyValue, Logout,
    MSync, MessageBody, Meta, MetaQueue, MucBody, Provision, RosterBody, StatisticsBody, Status,
    message_body::{MessageConfig, Stream},
    muc_body, roster_body,
    status::RedirectInfo,
};
use crate::util::lenient::text;

/// Positions of the texts of a message type.
pub(crate) struct Schema {
    /// Numbers of the text fields.
    texts: &'static [u32],
    /// Numbers and schemas of the message fields that hold texts.
    messages: &'static [(u32, &'static Schema)],
}

/// A message that can be decoded whatever its texts hold.
pub(crate) trait Mend: Message + Default {
    /// Positions of its texts.
    const SCHEMA: Schema;
}

/// Declares the numbers of the texts and messages of each type; a test holds them against the types themselves.
macro_rules! schemas {
    ($($message:ty: texts $texts:expr, messages [$($tag:literal $inner:ty),*];)+) => {
        $(impl Mend for $message {
            const SCHEMA: Schema = Schema { texts: &$texts, messages: &[$(($tag, &<$inner>::SCHEMA)),*] };
        })+
    };
}

schemas! {
    MSync: texts [3, 6, 12], messages [2 Jid];
    Jid: texts [1, 2, 3, 4], messages [];
    Status: texts [2], messages [3 RedirectInfo];
    RedirectInfo: texts [1], messages [];
    CommUnreadUl: texts [], messages [];
    CommUnreadDl: texts [], messages [1 Status, 2 MetaQueue];
    MetaQueue: texts [], messages [1 Jid];
    CommNotice: texts [], messages [1 Jid];
    CommSyncUl: texts [], messages [1 Meta, 3 Jid];
    CommSyncDl: texts [], messages [1 Status, 4 Meta, 6 Jid];
    Meta: texts [10], messages [2 Jid, 3 Jid, 8 KeyValue];
    KeyValue: texts [1, 6], messages [];
    Provision: texts [2, 4, 7, 9, 11, 12, 13, 14, 16, 17, 18, 20, 21], messages [8 Status];
    Logout: texts [1, 2], messages [3 Status];
    MessageBody: texts [8, 9], messages [2 Jid, 3 Jid, 4 Content, 5 KeyValue, 13 Stream];
    MessageConfig: texts [], messages [];
    Stream: texts [1], messages [];
    Content:
        texts [2, 5, 6, 7, 8, 10, 14, 15, 16, 19, 21, 23, 24], messages [11 KeyValue, 20 KeyValue];
    MucBody:
        texts [6, 11, 14, 16],
        messages [
            1 Jid, 3 Jid, 4 Jid, 5 muc_body::Setting, 8 muc_body::Status, 10 Jid, 12 muc_body::EventInfo
        ];
    muc_body::Setting: texts [1, 2, 5], messages [];
    muc_body::Status: texts [2, 3], messages [];
    muc_body::EventInfo: texts [2], messages [];
    RosterBody: texts [5, 6], messages [2 roster_body::Status, 3 Jid, 4 Jid];
    roster_body::Status: texts [2], messages [];
    StatisticsBody: texts [3, 7, 10], messages [];
    ConferenceBody: texts [1, 3, 5, 6, 7, 9, 10, 16], messages [];
}

/// Decodes a message, with U+FFFD for each broken part of its texts.
pub(crate) fn decode_mended<T: Mend>(bytes: Bytes) -> Result<T, DecodeError> {
    T::decode(bytes.clone()).or_else(|error| match mended(&bytes, &T::SCHEMA) {
        Some(Some(mended)) => T::decode(Bytes::from(mended)),
        _ => Err(error),
    })
}

/// Mends the texts of an encoded message; `Some(None)` where none is broken, `None` where the message's structure is.
///
/// The result is at most 3 times as long, length prefixes apart. Recursion is as deep as the schema.
fn mended(bytes: &[u8], schema: &Schema) -> Option<Option<Vec<u8>>> {
    let mut mended: Option<Vec<u8>> = None;
    let mut unread = bytes;
    while !unread.is_empty() {
        let field = unread;
        let (tag, wire_type) = decode_key(&mut unread).ok()?;
        let mut replaced = None;
        if wire_type == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut unread).ok()?).ok()?;
            let (content, rest) = unread.split_at_checked(length)?;
            unread = rest;
            if schema.texts.contains(&tag) {
                replaced = match text::read(content) {
                    std::borrow::Cow::Borrowed(_) => None,
                    std::borrow::Cow::Owned(text) => Some(text.into_bytes()),
                };
            } else if let Some((_, inner)) = schema.messages.iter().find(|(number, _)| *number == tag) {
                replaced = self::mended(content, inner)?;
            }
        } else {
            skip_field(wire_type, tag, &mut unread, DecodeContext::default()).ok()?;
        }
        let (before, whole) = (bytes.len() - field.len(), field.len() - unread.len());
        match (&mut mended, replaced) {
            (None, None) => {}
            (Some(mended), None) => mended.extend_from_slice(field.get(..whole)?),
            (_, Some(replaced)) => {
                let mended = mended.get_or_insert_with(|| {
                    let mut copy = Vec::with_capacity(bytes.len() + replaced.len());
                    copy.extend_from_slice(bytes.get(..before).unwrap_or_default());
                    copy
                });
                encode_key(tag, WireType::LengthDelimited, mended);
                encode_varint(replaced.len() as u64, mended);
                mended.extend_from_slice(&replaced);
            }
        }
    }
    Some(mended)
}

#[cfg(test)]
mod tests;
