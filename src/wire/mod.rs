//! The protobuf messages of the protocol, with the spec's names in Rust spelling.
//!
//! These are wire types: they say what may stand in a frame, not what a client should do with it. Every scalar, enum
//! and message is an `Option`, because the protocol tells an absent field from a present zero. Enums are held as their
//! number, so that unknown ones survive. Messages that carry secrets show neither them nor encoded bytes in `Debug`.

pub mod conference_body;
pub mod content;
mod enumeration;
mod jid;
pub mod key_value;
mod logout;
pub mod message_body;
pub mod meta;
pub mod msync;
pub mod muc_body;
pub mod provision;
mod queues;
mod redacted;
pub mod roster_body;
pub mod statistics_body;
pub mod status;

pub use conference_body::ConferenceBody;
pub use content::Content;
pub use jid::Jid;
pub use key_value::KeyValue;
pub use logout::Logout;
pub use message_body::MessageBody;
pub use meta::Meta;
pub use msync::{EncryptType, MSync};
pub use muc_body::MucBody;
pub use provision::Provision;
pub use queues::{CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, CommUnreadUl, MetaQueue};
pub use roster_body::RosterBody;
pub use statistics_body::StatisticsBody;
pub use status::{RedirectInfo, Status};

/// Domain of users.
pub const USER_DOMAIN: &str = "easemob.com";

/// Domain of groups and chat rooms.
pub const GROUP_DOMAIN: &str = "conference.easemob.com";

/// What stands before a token in `auth` and `authToken`.
pub const TOKEN_PREFIX: &str = "$t$";
