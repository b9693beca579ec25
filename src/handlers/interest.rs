//! The kinds of events that anybody wants, readable from every thread without asking the registry.

use std::sync::{
    Arc, Mutex, MutexGuard, Weak,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use tokio::runtime::Handle;

use crate::{
    model::{Event, EventMask},
    util::lock,
};

use super::{HandlerRegistry, Registry, read_gate::ReadGate};

/// The union of all subscribers' masks. It holds what the registry has (`registered`) and what is on its way to it
/// (`announced`). An addition is announced before its message is sent, so an event built after `add_subscriber`
/// returned is never skipped, and the registry's own updates cannot wipe out an announcement they have not seen.
/// Reading is one atomic load; the lock is taken only by additions and removals.
#[derive(Clone, Debug, Default)]
pub(super) struct Interest(Arc<InterestCell>);

#[derive(Debug, Default)]
struct InterestCell {
    union: AtomicU32,
    /// Disconnected subscribers, counted here for the same reason.
    disconnected: AtomicU64,
    /// Set if the registry is gone, and what is pending with it.
    ended: AtomicBool,
    gate: ReadGate,
    parts: Mutex<Parts>,
    last: Mutex<Last>,
}

/// Events to deliver though an actor is gone.
#[derive(Debug, Default)]
struct Last {
    /// Last words of connections, which the registry has not taken yet.
    words: Vec<Event>,
    /// The subscribers of a registry whose actor died: connections tell them by themselves.
    orphans: Option<Registry>,
    sweeping: bool,
}

#[derive(Debug, Default)]
struct Parts {
    registered: u32,
    announced: Vec<(u64, u32)>,
    next_ticket: u64,
}

impl Interest {
    pub(super) fn get(&self) -> EventMask {
        EventMask::from_bits(self.0.union.load(Ordering::Acquire))
    }

    pub(super) fn set_registered(&self, mask: EventMask) {
        self.update(|parts| parts.registered = mask.bits());
    }

    pub(super) fn disconnected(&self) -> u64 {
        self.0.disconnected.load(Ordering::Relaxed)
    }

    pub(super) fn set_disconnected(&self, count: u64) {
        self.0.disconnected.store(count, Ordering::Relaxed);
    }

    /// Returns the gate before which connections wait while the registry is behind.
    pub(super) fn gate(&self) -> &ReadGate {
        &self.0.gate
    }

    /// Returns the shares of the events that the registry still has to offer; none once it is gone.
    pub(super) fn pending(&self) -> u64 {
        if self.0.ended.load(Ordering::Relaxed) { 0 } else { self.0.gate.pending() }
    }

    /// Ends the registry's actor. Connections go on delivering to its subscribers.
    pub(super) fn end(&self, registry: Option<Registry>) {
        let mut last = self.last();
        let words = std::mem::take(&mut last.words);
        // The registry alone holds it once no handle is left, and then nobody has anything more to tell.
        last.orphans = registry.map(|mut registry| {
            words.iter().for_each(|event| registry.publish(event));
            registry.flush_past_capacity();
            registry
        });
        if Arc::strong_count(&self.0) == 1 {
            last.orphans = None;
        }
        let wanted = last.orphans.as_ref().map_or(EventMask::NONE, Registry::wanted);
        self.0.ended.store(true, Ordering::Release);
        drop(last);
        self.set_registered(wanted);
        self.gate().wake_readers(usize::MAX);
    }

    pub(super) fn ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// Does something with the subscribers that a dead registry left behind.
    pub(super) fn with_orphans<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> Option<T> {
        self.last().orphans.as_mut().map(act)
    }

    /// Offers events to the orphans of a dead registry. A task of the caller's runtime retries those without room.
    pub(super) fn publish_to_orphans(&self, events: &[Event]) {
        let mut last = self.last();
        let Some(registry) = &mut last.orphans else { return };
        events.iter().for_each(|event| registry.publish(event));
        if registry.behind()
            && !last.sweeping
            && let Ok(runtime) = Handle::try_current()
        {
            last.sweeping = true;
            let sweeping = Sweeping(Arc::downgrade(&self.0));
            runtime.spawn(async move { while sweeping.sweep_later().await {} });
        }
    }

    /// Leaves final events for the registry; `true` if it is to be notified.
    pub(super) fn leave_final_events(&self, events: Vec<Event>) -> bool {
        let mut last = self.last();
        match &mut last.orphans {
            Some(registry) => {
                events.iter().for_each(|event| registry.publish(event));
                registry.flush_past_capacity();
                false
            }
            None if self.ended() => false,
            None => {
                last.words.extend(events);
                true
            }
        }
    }

    pub(super) fn take_final_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.last().words)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        lock(&self.0.last)
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
        let mut parts = lock(&self.0.parts);
        let result = change(&mut parts);
        let union = parts.announced.iter().fold(parts.registered, |union, (_, mask)| union | mask);
        // Stored under the lock, so that the last change is also the last store.
        self.0.union.store(union, Ordering::Release);
        result
    }
}

/// The task for those whose registry is dead; it keeps nothing alive.
struct Sweeping(Weak<InterestCell>);

impl Sweeping {
    async fn sweep_later(&self) -> bool {
        actix_rt::time::sleep(HandlerRegistry::SWEEP).await;
        let Some(shared) = self.0.upgrade() else { return false };
        Interest(shared).with_orphans(|registry| {
            registry.sweep();
            registry.behind()
        }) == Some(true)
    }
}

impl Drop for Sweeping {
    /// It may end with its runtime, and the next one must be able to begin.
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            Interest(shared).last().sweeping = false;
        }
    }
}

/// An addition on its way to the registry; dropping it takes its mask back.
#[derive(Debug)]
pub(super) struct Announcement {
    wanted: Interest,
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
        let wanted = Interest::default();
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
        let wanted = Interest::default();
        let first = wanted.announce(EventMask::MESSAGE);
        let second = wanted.announce(EventMask::MESSAGE);
        drop(first);
        assert_eq!(wanted.get(), EventMask::MESSAGE);
        drop(second);
        assert_eq!(wanted.get(), EventMask::NONE);
    }
}
