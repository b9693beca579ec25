//! The place of a connection's message handler, which every thread may fill.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use super::MessageHandler;
use crate::EventMask;

/// Who handles messages; reading what it wants is one atomic load.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    wanted: AtomicU32,
    handler: Mutex<Option<MessageHandler>>,
}

impl Slot {
    pub(crate) fn set(&self, handler: Option<MessageHandler>) -> Option<MessageHandler> {
        let mut place = self.lock();
        let wanted = handler.as_ref().map_or(EventMask::NONE, MessageHandler::wanted);
        // Stored under the lock, so that the last change is also the last store.
        self.wanted.store(wanted.bits(), Ordering::Release);
        std::mem::replace(&mut *place, handler)
    }

    pub(crate) fn get(&self) -> Option<MessageHandler> {
        self.lock().clone()
    }

    pub(crate) fn wanted(&self) -> EventMask {
        EventMask::from_bits(self.wanted.load(Ordering::Acquire))
    }

    fn lock(&self) -> MutexGuard<'_, Option<MessageHandler>> {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
