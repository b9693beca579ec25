//! The body of a meta, decoded by name space (connection spec §7.3).

use bytes::Bytes;

use super::decode::{FLAT, Field, Shape, decode};
use super::error::{DecodeError, Layer};
use super::frame::META;
use super::meta::{Meta, NameSpace};
use super::{ConferenceBody, Content, Jid, KeyValue, MessageBody, MucBody, RosterBody, StatisticsBody};

const CONTENT: Shape = Shape(&[Field::repeated::<KeyValue>(11), Field::repeated::<KeyValue>(20)]);
const CHAT: Shape = Shape(&[Field::repeated::<Content>(4).with(&CONTENT), Field::repeated::<KeyValue>(5)]);
const MUC: Shape = Shape(&[Field::repeated::<Jid>(4), Field::repeated::<String>(16)]);
const ROSTER: Shape = Shape(&[Field::repeated::<Jid>(4)]);

/// The body of a [`Meta`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Body {
    /// Statistics, or a kick.
    Statistic(StatisticsBody),
    /// A chat message, a receipt, a recall or an edit.
    Chat(Box<MessageBody>),
    /// A group, chat room or thread event.
    Muc(Box<MucBody>),
    /// A contact event.
    Roster(Box<RosterBody>),
    /// Call signalling.
    Conference(Box<ConferenceBody>),
    /// A notification: JSON text, not checked.
    Notify(Bytes),
    /// An answer to a query, not looked into.
    Query(Bytes),
    /// A name space this crate does not know, by number.
    Unknown(i32),
}

impl Meta {
    /// Decodes a meta that stands alone, such as in a combined message's file or in a history; its payload stays a slice
    /// of `bytes`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] and [`DecodeError::TooManyFields`].
    pub fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        decode(&bytes, &META, Layer::Payload)
    }

    /// Decodes the payload by name space. A missing name space reads as STATISTIC, a missing payload as an empty one.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] and [`DecodeError::TooManyFields`].
    pub fn body(&self) -> Result<Body, DecodeError> {
        let number = self.ns.unwrap_or_default();
        let payload = self.payload.clone().unwrap_or_default();
        Ok(match NameSpace::try_from(number) {
            Ok(NameSpace::Statistic) => Body::Statistic(decode(&payload, &FLAT, Layer::Body)?),
            Ok(NameSpace::Chat) => Body::Chat(Box::new(decode(&payload, &CHAT, Layer::Body)?)),
            Ok(NameSpace::Muc) => Body::Muc(Box::new(decode(&payload, &MUC, Layer::Body)?)),
            Ok(NameSpace::Roster) => Body::Roster(Box::new(decode(&payload, &ROSTER, Layer::Body)?)),
            Ok(NameSpace::Conference) => Body::Conference(Box::new(decode(&payload, &FLAT, Layer::Body)?)),
            Ok(NameSpace::Notify) => Body::Notify(payload),
            Ok(NameSpace::Query) => Body::Query(payload),
            Err(_) => Body::Unknown(number),
        })
    }
}
