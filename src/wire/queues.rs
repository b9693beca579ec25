//! The payloads that move messages: heartbeats, notices, sends and pulls (connection spec §7, §8).

use super::jid::Jid;
use super::meta::Meta;
use super::status::Status;

/// The heartbeat, which also asks for the queues that hold something; it has no fields.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct CommUnreadUl {}

/// The answer to a heartbeat: the queues that hold something.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CommUnreadDl {
    /// `status`.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// `unread`.
    #[prost(message, repeated, tag = "2")]
    pub unread: Vec<MetaQueue>,
    /// `timestamp`: clock of the server, in milliseconds since 1970.
    #[prost(uint64, optional, tag = "3")]
    pub timestamp: Option<u64>,
}

/// A queue and its number of waiting messages.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MetaQueue {
    /// `queue`.
    #[prost(message, optional, tag = "1")]
    pub queue: Option<Jid>,
    /// `n`.
    #[prost(uint32, optional, tag = "2")]
    pub n: Option<u32>,
}

/// Notice that a queue has something new.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CommNotice {
    /// `queue`.
    #[prost(message, optional, tag = "1")]
    pub queue: Option<Jid>,
}

/// Upward SYNC: a send (`meta`) or a pull (`queue` with `key`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommSyncUl {
    /// `meta`: the message to send.
    #[prost(message, optional, tag = "1")]
    pub meta: Option<Meta>,
    /// `key`: the cursor; everything before it is acknowledged, and the server may forget it.
    #[prost(uint64, optional, tag = "2")]
    pub key: Option<u64>,
    /// `queue`: the queue to pull.
    #[prost(message, optional, tag = "3")]
    pub queue: Option<Jid>,
    /// `isRoam`.
    #[prost(bool, optional, tag = "4")]
    pub is_roam: Option<bool>,
    /// `lastFullRoamKey`.
    #[prost(uint64, optional, tag = "5")]
    pub last_full_roam_key: Option<u64>,
}

/// Downward SYNC: the answer to a send (`meta_id`), or a page of a queue.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommSyncDl {
    /// `status`.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// `metaId`: the client's id of the message answered; 0 or absent in a page.
    #[prost(uint64, optional, tag = "2")]
    pub meta_id: Option<u64>,
    /// `serverId`: the server's id of the message answered.
    #[prost(uint64, optional, tag = "3")]
    pub server_id: Option<u64>,
    /// `metas`: the messages of a page.
    #[prost(message, repeated, tag = "4")]
    pub metas: Vec<Meta>,
    /// `nextKey`: the cursor for the next pull.
    #[prost(uint64, optional, tag = "5")]
    pub next_key: Option<u64>,
    /// `queue`: the queue a page comes from.
    #[prost(message, optional, tag = "6")]
    pub queue: Option<Jid>,
    /// `isLast`: nothing follows this page.
    #[prost(bool, optional, tag = "7")]
    pub is_last: Option<bool>,
    /// `timestamp`: clock of the server, in milliseconds since 1970.
    #[prost(uint64, optional, tag = "8")]
    pub timestamp: Option<u64>,
    /// `isRoam`.
    #[prost(bool, optional, tag = "9")]
    pub is_roam: Option<bool>,
}
