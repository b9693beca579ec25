//! Which kinds of events anybody wants, readable from every thread without asking the registry.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use crate::EventMask;

/// The union of all subscribers' masks.
///
/// It holds what the registry has (`registered`) and what is on its way to it (`announced`). An addition is
/// announced before its message is sent, so an event built after `add_subscriber` returned is never skipped, and
/// the registry's own updates cannot wipe out an announcement they have not seen. Reading is one atomic load;
/// the lock is taken only by additions and removals.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    union: AtomicU32,
    /// How many subscribers were disconnected, kept here for the same reason.
    disconnected: AtomicU64,
    /// How many events are published and not yet offered to the subscribers.
    pending: AtomicUsize,
    /// Whether the registry is gone, and what is pending with it.
    ended: AtomicBool,
    /// Connections that wait to read on until the registry has caught up; entries of those that are gone do no harm.
    readers: Mutex<VecDeque<Waker>>,
    /// How many those are.
    waiting: AtomicUsize,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    registered: u32,
    announced: Vec<(u64, u32)>,
    next_ticket: u64,
}

impl Wanted {
    pub(super) fn get(&self) -> EventMask {
        EventMask::from_bits(self.0.union.load(Ordering::Acquire))
    }

    /// Sets what the registry itself has.
    pub(super) fn set_registered(&self, mask: EventMask) {
        self.update(|parts| parts.registered = mask.bits());
    }

    pub(super) fn disconnected(&self) -> u64 {
        self.0.disconnected.load(Ordering::Relaxed)
    }

    pub(super) fn set_disconnected(&self, count: u64) {
        self.0.disconnected.store(count, Ordering::Relaxed);
    }

    pub(super) fn published(&self, events: usize) {
        self.0.pending.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn offered(&self, events: usize) {
        // Messages sent to the actor's address were not counted when they were sent.
        let _ = self
            .0
            .pending
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pending| Some(pending.saturating_sub(events)));
    }

    pub(super) fn pending(&self) -> usize {
        if self.0.ended.load(Ordering::Relaxed) { 0 } else { self.0.pending.load(Ordering::Relaxed) }
    }

    pub(super) fn end(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
        self.wake_readers(usize::MAX);
    }

    /// Has a reader woken once the registry has caught up.
    pub(super) fn wait(&self, reader: &Waker) {
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.push_back(reader.clone());
        self.0.waiting.store(readers.len(), Ordering::Relaxed);
    }

    /// Wakes the readers that have waited longest.
    pub(super) fn wake_readers(&self, most: usize) {
        if self.0.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let woken: Vec<Waker> = {
            let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
            let most = most.min(readers.len());
            let woken = readers.drain(..most).collect();
            self.0.waiting.store(readers.len(), Ordering::Relaxed);
            woken
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Counts `mask` as wanted for as long as the returned value lives.
    pub(super) fn announce(&self, mask: EventMask) -> Announcement {
        let ticket = self.update(|parts| {
            let ticket = parts.next_ticket;
            parts.next_ticket += 1;
            parts.announced.push((ticket, mask.bits()));
            ticket
        });
        Announcement { wanted: self.clone(), ticket }
    }

    fn update<T>(&self, change: impl FnOnce(&mut Parts) -> T) -> T {
        let mut parts: MutexGuard<'_, Parts> = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut parts);
        let union = parts.announced.iter().fold(parts.registered, |union, (_, mask)| union | mask);
        // Stored under the lock, so that the last change is also the last store.
        self.0.union.store(union, Ordering::Release);
        result
    }
}

/// An addition on its way to the registry; dropping it takes its mask back.
#[derive(Debug)]
pub(super) struct Announcement {
    wanted: Wanted,
    ticket: u64,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.wanted.update(|parts| parts.announced.retain(|(ticket, _)| *ticket != self.ticket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_of_the_registry_does_not_wipe_out_an_announcement() {
        let wanted = Wanted::default();
        let on_its_way = wanted.announce(EventMask::MESSAGE);
        wanted.set_registered(EventMask::CONNECTED);
        assert_eq!(wanted.get(), EventMask::MESSAGE | EventMask::CONNECTED);
        wanted.set_registered(EventMask::NONE);
        assert_eq!(wanted.get(), EventMask::MESSAGE);
        drop(on_its_way);
        assert_eq!(wanted.get(), EventMask::NONE);
    }

    #[test]
    fn two_announcements_of_one_mask_are_taken_back_one_by_one() {
        let wanted = Wanted::default();
        let first = wanted.announce(EventMask::MESSAGE);
        let second = wanted.announce(EventMask::MESSAGE);
        drop(first);
        assert_eq!(wanted.get(), EventMask::MESSAGE);
        drop(second);
        assert_eq!(wanted.get(), EventMask::NONE);
    }
}
