//! What comes in: queues and their pages, what is in flight, what was seen before, and cursors.

pub(in crate::session) mod cursors;
pub(in crate::session) mod dedup;
pub(in crate::session) mod in_flight;
pub(in crate::session) mod metas;
pub(in crate::session) mod offline_sync;
pub(in crate::session) mod pages;
pub(in crate::session) mod parked;
pub(in crate::session) mod queues;
pub(in crate::session) mod suspects;

use super::episodes::Oddities;
use crate::session::inbox::{cursors::CursorState, dedup::DedupWindow, in_flight::InFlight, suspects::Suspects};
use std::sync::Arc;

/// What comes in: what was seen, what is in flight, and how far it is acknowledged.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) dedup: DedupWindow,
    /// Who sent the last text: the next one is often from the same.
    pub(super) last_sender: Option<Arc<str>>,
    /// Pages that are being handled, made by the first of them.
    pub(super) in_flight: Option<Box<InFlight>>,
    /// The keys that are kept over links, where there is a store.
    pub(super) cursors: Option<Box<CursorState>>,
    /// Which queues may break a link; while one is up, its table has it.
    pub(super) suspects: Option<Box<Suspects>>,
    /// What was odd, so that it is told of once and not each time.
    pub(super) odd: Oddities,
    /// Whether it was said that nobody hears the messages.
    pub(super) unheard: bool,
}
