use std::sync::Arc;

use bytes::Bytes;

use crate::util::{impls::impl_debug, weight::weigh};

/// Something received that this release does not take apart, as it came: a namespace, type or operation without an
/// event of its own, a payload that does not decode, or a whole message that does not (messages spec §2.5).
///
/// [`wire`](crate::wire) has the types to read it. `Debug` shows its length only: it may hold a file's secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownNotice {
    /// Its id; 0 where the server gave none.
    pub id: u64,
    /// The sender; empty where the server gave nobody.
    pub from: Arc<str>,
    /// To whom; empty where the server gave nobody.
    pub to: Arc<str>,
    /// When the server took it, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The number of its namespace (messages spec §2.5).
    pub namespace: i32,
    /// Set if the message does not decode: `payload` is an encoded [`Meta`](crate::wire::Meta), and all else is empty
    /// or 0.
    pub undecoded: bool,
    /// Set if it could not be read at all, so that it may be a message: it does not decode, is a chat message of a kind
    /// this release does not know, or of a namespace nobody knows. A [`MessageHandler`](crate::MessageHandler) of
    /// messages is offered it, so that it is not acknowledged unseen.
    pub unreadable: bool,
    /// Its payload; a copy, which keeps nothing else in memory.
    pub payload: Bytes,
}

impl_debug! {
    UnknownNotice {
        id, from, to, timestamp, namespace, undecoded, unreadable, payload = format_args!("{} bytes", payload.len())
    }
}

weigh! { UnknownNotice { id, from, to, timestamp, namespace, undecoded, unreadable, payload } }
