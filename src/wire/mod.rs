//! The protobuf messages of the protocol, with the spec's names in Rust spelling.
//!
//! These are wire types: they describe frames, not what a client does with them. Every scalar, enum and message is an
//! `Option`, because the protocol tells an absent field from a present zero. Enums are held as their number, so that
//! unknown ones survive. The generated accessors (`MSync::command()`) turn unknown numbers into the default, so use
//! `TryFrom<i32>` where it matters. Messages that carry secrets show neither them nor encoded bytes in `Debug`.
//!
//! A text need not be UTF-8: JavaScript's may hold half of a surrogate pair. [`MSync::decode_frame`], the payloads and
//! [`Meta::body`] read such texts with U+FFFD in the place of each broken part, one for half a pair (`ED A0 BD`); two
//! halves that were encoded one by one become the character they make. `prost::Message::decode` refuses them.

mod body;
pub mod conference_body;
pub mod content;
mod decode;
mod error;
mod frame;
mod jid;
pub mod key_value;
mod mend;
pub mod message_body;
pub mod meta;
pub mod msync;
pub mod muc_body;
pub mod provision;
mod pull;
mod queues;
mod redacted;
pub mod roster_body;
mod schema;
pub mod statistics_body;
pub mod status;
mod transmit;
mod view;

pub use body::Body;
pub use conference_body::ConferenceBody;
pub use content::Content;
pub use decode::MAX_FIELDS;
pub use error::{DecodeError, Layer};
pub use frame::{Downward, TOKEN_PREFIX, Upward};
pub use jid::{GROUP_DOMAIN, Jid, QueueKey, USER_DOMAIN};
pub(crate) use jid::{is_conference, queue_name};
pub use key_value::KeyValue;
pub(crate) use mend::decode_mended;
pub use message_body::MessageBody;
pub use meta::Meta;
pub use msync::{EncryptType, MSync};
pub use muc_body::MucBody;
pub use provision::{Logout, Provision};
pub use pull::pull_frame;
pub use queues::{CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, CommUnreadUl, MetaQueue};
pub use roster_body::RosterBody;
pub use statistics_body::StatisticsBody;
pub use status::{RedirectInfo, Status};
pub use transmit::Frame;
pub(crate) use view::BodyView;
pub use view::{JidView, MetaView, PageView, TextView, full_meta};

/// Encodes a message.
#[must_use]
pub fn encode(message: &impl prost::Message) -> bytes::Bytes {
    message.encode_to_vec().into()
}
