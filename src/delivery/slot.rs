//! The place of a connection's message handler, which every thread may fill.

use std::{
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use tokio::sync::Notify;

use super::MessageHandler;
use crate::{model::EventMask, util::lock};

#[derive(Debug, Default)]
pub(crate) struct Slot {
    wanted: AtomicU32,
    keeps_encoded: AtomicBool,
    place: Mutex<Installed>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Installed {
    handler: Option<MessageHandler>,
    turn: u64,
    told: bool,
}

impl Slot {
    pub(crate) fn set(&self, handler: Option<MessageHandler>) -> Option<MessageHandler> {
        let mut place = lock(&self.place);
        let wanted = handler.as_ref().map_or(EventMask::NONE, MessageHandler::wanted);
        // Stored under the lock, so that the last change is also the last store.
        self.wanted.store(wanted.bits(), Ordering::Release);
        let keeps_encoded = handler.as_ref().is_some_and(MessageHandler::keeps_encoded);
        self.keeps_encoded.store(keeps_encoded, Ordering::Release);
        let turn = place.turn + 1;
        let former = std::mem::replace(&mut *place, Installed { handler, turn, told: false });
        drop(place);
        self.changed.notify_waiters();
        former.handler
    }

    pub(crate) fn get(&self) -> Option<MessageHandler> {
        lock(&self.place).handler.clone()
    }

    pub(super) fn with_turn(&self) -> Option<(MessageHandler, u64)> {
        let place = lock(&self.place);
        Some((place.handler.clone()?, place.turn))
    }

    /// Resolves once another handler, or none, is set.
    pub(crate) async fn changed(&self, turn: u64) {
        // Made before the look, or a change right after it would be missed.
        let changed = pin!(self.changed.notified());
        if lock(&self.place).turn == turn {
            changed.await;
        }
    }

    /// Returns whether it is new that this handler handles nothing any more.
    pub(super) fn is_news(&self, turn: u64) -> bool {
        let mut place = lock(&self.place);
        place.turn == turn && !std::mem::replace(&mut place.told, true)
    }

    pub(crate) fn wanted(&self) -> EventMask {
        EventMask::from_bits(self.wanted.load(Ordering::Acquire))
    }

    pub(crate) fn keeps_encoded(&self) -> bool {
        self.keeps_encoded.load(Ordering::Acquire)
    }
}
