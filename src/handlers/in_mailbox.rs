//! Bytes in a subscriber's mailbox.
//!
//! A mailbox bounds events by number only. So a large event goes into it with a [`Ticket`], which gives its bytes back
//! once the subscriber looks at the event or drops it. A subscriber may do neither, and pass it on: so where there is
//! no room left, one more event goes in that [tells](super::capacity) when it has been handled, and then all before it
//! have been as well. Small ones go without a ticket: the mailbox's capacity bounds them.

use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::{
    handlers::capacity::{Drained, Freed},
    model::Ticket,
    util::lock,
};
use actix::WeakRecipient;

/// The large events in one subscriber's mailbox, as the registry knows them.
#[derive(Debug, Default)]
pub(super) struct InMailbox {
    /// Their bytes; only [`collect_released`](InMailbox::collect_released) takes off those released meanwhile.
    bytes: usize,
    releases: Arc<ReleaseQueue>,
    /// The same for what lies before an event that tells when it has been handled, that one included.
    older: Option<(usize, Arc<ReleaseQueue>)>,
}

#[derive(Debug, Default)]
struct ReleaseQueue {
    released: AtomicUsize,
    awaited: AtomicBool,
    tell: Mutex<Option<(u64, WeakRecipient<Drained>)>>,
}

#[derive(Debug)]
pub(super) struct Bytes {
    bytes: AtomicUsize,
    releases: Arc<ReleaseQueue>,
}

impl InMailbox {
    /// Returns the bytes in the mailbox, as of the last [`collect_released`](InMailbox::collect_released).
    pub(super) fn bytes(&self) -> usize {
        self.older.as_ref().map_or(self.bytes, |(older, _)| self.bytes.saturating_add(*older))
    }

    pub(super) fn bytes_now(&self) -> usize {
        let now =
            |bytes: usize, releases: &ReleaseQueue| bytes.saturating_sub(releases.released.load(Ordering::SeqCst));
        let older = self.older.as_ref().map_or(0, |(older, releases)| now(*older, releases));
        now(self.bytes, &self.releases).saturating_add(older)
    }

    pub(super) fn collect_released(&mut self) {
        let left =
            |bytes: usize, releases: &ReleaseQueue| bytes.saturating_sub(releases.released.swap(0, Ordering::SeqCst));
        self.bytes = left(self.bytes, &self.releases);
        if let Some((older, releases)) = &mut self.older {
            *older = left(*older, releases);
        }
    }

    /// Marks an event of this size whose handling is reported.
    pub(super) fn mark(&mut self, bytes: usize) {
        let older = self.bytes().saturating_add(bytes);
        self.older = Some((older, mem::take(&mut self.releases)));
        self.bytes = 0;
    }

    /// Takes off the bytes of that event, and of those before it.
    pub(super) fn mark_handled(&mut self) {
        self.older = None;
    }

    /// Returns whether this many bytes more may go in, within `share`: always when it is empty. Otherwise `tell` is
    /// notified of the next ones released.
    pub(super) fn has_room(
        &mut self,
        bytes: usize,
        share: usize,
        serial: u64,
        tell: Option<&WeakRecipient<Drained>>,
    ) -> bool {
        if self.fits(bytes, share) {
            return true;
        }
        for releases in [Some(&self.releases), self.older.as_ref().map(|(_, releases)| releases)].into_iter().flatten()
        {
            *lock(&releases.tell) = tell.map(|tell| (serial, tell.clone()));
            releases.awaited.store(true, Ordering::SeqCst);
        }
        // Once more: bytes released before the flag was set notified nobody.
        self.collect_released();
        self.fits(bytes, share)
    }

    fn fits(&self, bytes: usize, share: usize) -> bool {
        let held = self.bytes();
        bytes == 0 || held == 0 || held.saturating_add(bytes) <= share
    }

    pub(super) fn ticket(&mut self, bytes: usize) -> Box<dyn Ticket> {
        self.bytes = self.bytes.saturating_add(bytes);
        Box::new(Bytes { bytes: AtomicUsize::new(bytes), releases: Arc::clone(&self.releases) })
    }
}

impl Ticket for Bytes {
    fn give_back(&self) {
        // Every look at the event comes here.
        if self.bytes.load(Ordering::Relaxed) == 0 {
            return;
        }
        let bytes = self.bytes.swap(0, Ordering::SeqCst);
        if bytes == 0 {
            return;
        }
        self.releases.released.fetch_add(bytes, Ordering::SeqCst);
        if self.releases.awaited.swap(false, Ordering::SeqCst) {
            let tell = lock(&self.releases.tell).take();
            if let Some((serial, tell)) = tell
                && let Some(registry) = tell.upgrade()
            {
                registry.do_send(Drained { serial, freed: Freed::Bytes });
            }
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.give_back();
    }
}
