//! When it is tried again, and when not.

pub(in crate::session) mod backoff;
pub(in crate::session) mod flapping;
pub(in crate::session) mod kicks;

use std::time::Duration;

use crate::session::retry::{backoff::Backoff, flapping::ShortSessions, kicks::Takeovers};

/// What decides about the next attempt, and whether there is one.
#[derive(Debug)]
pub(super) struct Retry {
    /// Attempts that failed since the link was up. The ladder counts on beyond: it is about pauses, this about giving up.
    pub(super) failed: u32,
    pub(super) backoff: Backoff,
    pub(super) flaps: ShortSessions,
    pub(super) takeovers: Takeovers,
    /// When the last hint of a changed network was followed.
    pub(super) hinted: Option<Duration>,
}
