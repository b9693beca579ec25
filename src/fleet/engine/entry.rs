//! What the engine holds of an account.

use std::{sync::Arc, time::Duration};

use crate::fleet::{cause::Cause, spec::AccountSpec, state::AccountState};

/// A pause, and when it is over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Paused {
    pub(super) why: Arc<str>,
    pub(super) until: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Want {
    Run,
    Paused(Box<Paused>),
    Removed,
    Drained,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    None,
    /// Waits for its turn; only then the shard makes a connection of it, so that those who wait take no memory there.
    Queued,
    Open,
    /// The shard is closing it.
    Closing,
}

/// What keeps an account without a session from getting one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Nothing,
    Until(Duration),
    Parked { until: Option<Duration> },
    Failed,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) spec: Arc<AccountSpec>,
    pub(super) shard: u16,
    pub(super) generation: u32,
    pub(super) want: Want,
    pub(super) session: Session,
    pub(super) hold: Hold,
    /// Asks for a permit, or has one.
    pub(super) paced: bool,
    /// Endpoint that its last attempt was for.
    pub(super) endpoint: u16,
    /// Has a permit that its connection has not asked for yet.
    pub(super) admitted: bool,
    pub(super) was_online: bool,
    /// Sessions in a row that ended without being online.
    pub(super) tries: u32,
    /// When it took its place back, of [`KickPolicy::TakeOver`]; and the last time from a stale login of its own fleet.
    pub(super) takeovers: Vec<Duration>,
    pub(super) reclaimed: Option<Duration>,
    pub(super) state: AccountState,
    /// Boxed, for most accounts are online and have none.
    pub(super) cause: Option<Box<Cause>>,
    pub(super) timer: Option<Duration>,
}
