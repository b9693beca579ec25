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
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            queues: Bounds { stored: limits::STORED, page: limits::PAGE },
            recall: Some(limits::RECALL),
            repeats: Some(limits::REPEAT),
            forged_bodies: false,
        }
    }
}
