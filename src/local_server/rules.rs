//! What a server's owner may choose about messages.

use std::time::Duration;

use super::{limits, queues::Bounds};

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) queues: Bounds,
    /// How long after sending a message may be recalled; `None`: not at all.
    pub(super) recall: Option<Duration>,
    /// How long a repeated client id is recognised; `None`: not at all.
    pub(super) repeats: Option<Duration>,
    /// Whether a body may lie about its sender and conversation.
    pub(super) forged_bodies: bool,
    /// Bytes of uploads in flight.
    pub(super) upload_bytes: usize,
    /// How long a request's head may take, its body may stand still, and wait for room.
    pub(super) request_timeout: Duration,
    /// Open TCP links.
    pub(super) links: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            queues: Bounds { stored: limits::STORED, page: limits::PAGE },
            recall: Some(limits::RECALL),
            repeats: Some(limits::REPEAT),
            forged_bodies: false,
            upload_bytes: limits::UPLOADS_BYTES,
            request_timeout: limits::REQUEST,
            links: limits::LINKS,
        }
    }
}
