//! What goes out: pending and buffered sends, their acks, receipts and chat rooms.

pub(in crate::session) mod ack;
pub(in crate::session) mod answer;
pub(in crate::session) mod buffered;
pub(in crate::session) mod pending;
pub(in crate::session) mod receipts;
pub(in crate::session) mod rooms;
pub(in crate::session) mod sending;

use std::{sync::Arc, time::Duration};

use crate::model::outgoing::RoomRequest;
use crate::session::outbox::{buffered::BufferedSends, pending::PendingSends, receipts::Receipts};

/// What goes out, and what is to be made good on the next link.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) pending: PendingSends,
    /// What is to be sent once the link is back; empty while it is up.
    pub(super) buffered: BufferedSends,
    /// When the floor of flapping lets an attempt through; kept sends age from then on.
    pub(super) kept_from: Duration,
    /// The joins of the rooms to be joined again on the next link.
    pub(super) rooms: Vec<RoomRequest>,
    /// Rooms past those, of which it is told on the next link that the account is not in them any more.
    pub(super) more_rooms: Vec<Arc<str>>,
    pub(super) receipts: Receipts,
}
