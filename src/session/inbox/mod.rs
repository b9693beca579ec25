//! What comes in: queues and their pages, what is in flight, what was seen before, and cursors.

pub(in crate::session) mod cursors;
pub(in crate::session) mod dedup;
pub(in crate::session) mod in_flight;
pub(in crate::session) mod metas;
pub(in crate::session) mod offline_sync;
pub(in crate::session) mod pages;
pub(in crate::session) mod parked;
pub(in crate::session) mod queues;
pub(in crate::session) mod trouble;

use super::episodes::Odd;
use crate::session::inbox::{cursors::KeptCursors, dedup::Recent, in_flight::InHand, trouble::Trouble};
use std::sync::Arc;

/// What comes in: what was seen, what is in flight, and how far it is acknowledged.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) recent: Recent,
    /// Who sent the last text: the next one is often from the same.
    pub(super) last_sender: Option<Arc<str>>,
    /// Pages that are being handled, made by the first of them.
    pub(super) in_hand: Option<Box<InHand>>,
    /// The keys that are kept over links, where there is a store.
    pub(super) cursors: Option<Box<KeptCursors>>,
    /// Which queues may break a link; while one is up, its table has it.
    pub(super) trouble: Option<Box<Trouble>>,
    /// What was odd, so that it is told of once and not each time.
    pub(super) odd: Odd,
    /// Whether it was said that nobody hears the messages.
    pub(super) unheard: bool,
}
