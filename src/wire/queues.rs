//! The payloads that move messages: heartbeats, notices, sends and pulls (connection spec §7, §8).

use super::jid::Jid;
use super::meta::Meta;
use super::schema::schema;
use super::status::Status;

schema! {
    /// The heartbeat, which also asks for the queues that hold something; it has no fields.
    #[derive(Copy, Eq, Hash)]
    pub struct CommUnreadUl {}

    /// The answer to a heartbeat: the queues that hold something.
    #[derive(Eq, Hash)]
    pub struct CommUnreadDl {
        status: Option<Status> => (message, optional, tag = "1"),
        unread: Vec<MetaQueue> => (message, repeated, tag = "2"),
        /// Clock of the server, in milliseconds since 1970.
        timestamp: Option<u64> => (uint64, optional, tag = "3"),
    }

    /// A queue and its number of waiting messages.
    #[derive(Eq, Hash)]
    pub struct MetaQueue {
        queue: Option<Jid> => (message, optional, tag = "1"),
        n: Option<u32> => (uint32, optional, tag = "2"),
    }

    /// Notice that a queue has something new.
    #[derive(Eq, Hash)]
    pub struct CommNotice {
        queue: Option<Jid> => (message, optional, tag = "1"),
    }

    /// Upward SYNC: a send (`meta`) or a pull (`queue` with `key`).
    pub struct CommSyncUl {
        /// The message to send.
        meta: Option<Meta> => (message, optional, tag = "1"),
        /// The cursor; everything before it is acknowledged, and the server may forget it.
        key: Option<u64> => (uint64, optional, tag = "2"),
        /// The queue to pull.
        queue: Option<Jid> => (message, optional, tag = "3"),
        is_roam: Option<bool> => (bool, optional, tag = "4"),
        last_full_roam_key: Option<u64> => (uint64, optional, tag = "5"),
    }

    /// Downward SYNC: the answer to a send (`meta_id`), or a page of a queue.
    pub struct CommSyncDl {
        status: Option<Status> => (message, optional, tag = "1"),
        /// The client's id of the message answered; 0 or absent in a page.
        meta_id: Option<u64> => (uint64, optional, tag = "2"),
        /// The server's id of the message answered.
        server_id: Option<u64> => (uint64, optional, tag = "3"),
        /// The messages of a page.
        metas: Vec<Meta> => (message, repeated, tag = "4"),
        /// The cursor for the next pull.
        next_key: Option<u64> => (uint64, optional, tag = "5"),
        /// The queue a page comes from.
        queue: Option<Jid> => (message, optional, tag = "6"),
        /// Nothing follows this page.
        is_last: Option<bool> => (bool, optional, tag = "7"),
        /// Clock of the server, in milliseconds since 1970.
        timestamp: Option<u64> => (uint64, optional, tag = "8"),
        is_roam: Option<bool> => (bool, optional, tag = "9"),
    }
}
