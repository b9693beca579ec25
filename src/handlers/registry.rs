//! The registry as a plain value: subscribe, replace, remove, publish.

use actix::WeakRecipient;
use slog::{Logger, debug, info, warn};

use crate::{
    handlers::capacity::{Drained, Freed},
    model::{Event, EventKind, EventMask, account::UserId},
    util::lent,
};

use super::{
    Overflow, SubscriberId, Subscription,
    subscriber::{Offer, Subscriber},
};

/// One subscriber's counts since it was registered.
///
/// `delivered + missed + coalesced + queued` is the number of events meant for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberInfo {
    /// Its id.
    pub id: SubscriberId,
    /// The kinds of events it wants.
    pub mask: EventMask,
    /// Its policy for an event its mailbox has no room for.
    pub overflow: Overflow,
    /// Events put into its mailbox; notices of missed events are not counted.
    pub delivered: u64,
    /// Events it missed because there was no room for them.
    pub missed: u64,
    /// Control events replaced by a newer one of their kind and account, because more than 64 waited.
    pub coalesced: u64,
    /// The number of events that wait before its mailbox: backlog, control events, and one behind a notice.
    pub queued: usize,
    /// Bytes of those and of mailbox events over [`Overflow::SMALL`]; see [`Subscription::backlog_bytes`].
    pub queued_bytes: usize,
    /// Panics of its closures, where it is an [`EventHandler`](super::EventHandler).
    pub panics: u64,
}

/// Subscribers in order of registration; the logic of [`HandlerRegistry`](super::HandlerRegistry) without the actor.
///
/// Nothing here waits. Before a subscriber's own mailbox is a bounded backlog; what happens when there is no room, its
/// [`Overflow`] says. Nobody else pays for it.
#[derive(Debug)]
pub struct Registry {
    subscribers: Vec<Subscriber>,
    wanted: EventMask,
    next: u64,
    lag: Lag,
}

/// Work pending for subscribers that lag.
#[derive(Debug)]
struct Lag {
    behind: usize,
    /// Subscribers that would miss the next event, though they may be fast enough to handle it.
    pressing: usize,
    notify: Option<WeakRecipient<Drained>>,
    disconnected: u64,
    log: Logger,
}

impl Registry {
    /// Makes an empty registry that logs through `log`, which may panic without harm.
    #[must_use]
    pub fn new(log: Logger) -> Self {
        Self::with_guarded(lent::guarded(&log).0)
    }

    /// Makes an empty registry with a logger that does not panic.
    pub(super) fn with_guarded(log: Logger) -> Self {
        let lag = Lag { behind: 0, pressing: 0, notify: None, disconnected: 0, log };
        Registry { subscribers: Vec::new(), wanted: EventMask::NONE, next: 0, lag }
    }

    /// Registers a subscriber; returns whether it replaced one.
    ///
    /// Under a known id it takes the old one's place in the order, with fresh counts; the old one's backlog is dropped.
    pub fn add(&mut self, subscription: Subscription) -> bool {
        let new = Subscriber::new(self.next, subscription);
        self.next += 1;
        debug!(self.lag.log, "subscriber added"; "subscriber" => %new.id(), "mask" => ?new.mask);
        let replaced = match self.subscribers.iter_mut().find(|known| known.id() == new.id()) {
            Some(known) => {
                let old = std::mem::replace(known, new);
                self.lag.on_removed("subscriber replaced", &old);
                true
            }
            None => {
                self.subscribers.push(new);
                false
            }
        };
        self.update_wanted();
        replaced
    }

    /// Removes a subscriber; `false` for an unknown id. Events in its mailbox are still delivered.
    pub fn remove(&mut self, id: &SubscriberId) -> bool {
        let Some(place) = self.subscribers.iter().position(|known| known.id() == id) else {
            return false;
        };
        // `remove`, not `swap_remove`: the order of registration is promised.
        let old = self.subscribers.remove(place);
        self.lag.on_removed("subscriber removed", &old);
        self.update_wanted();
        true
    }

    /// Offers an event to everybody who wants its kind, in order of registration.
    ///
    /// A published [`EventKind::Missed`] is ignored: the registry sends those itself, to one subscriber.
    pub fn publish(&mut self, event: &Event) {
        let kind = event.kind().mask();
        if matches!(event.kind(), EventKind::Missed { .. }) {
            return;
        }
        // The usual case in as few steps as a bare loop of `try_send` takes; all else is out of line.
        self.with_each(|subscriber, lag| {
            subscriber.mask.contains(kind) && !subscriber.try_deliver(event) && lag.offer(subscriber, event)
        });
    }

    /// Does something with each subscriber, in order, and forgets those of which it says that they leave.
    fn with_each(&mut self, mut act: impl FnMut(&mut Subscriber, &mut Lag) -> bool) {
        let mut leaving = false;
        for subscriber in &mut self.subscribers {
            leaving |= act(subscriber, &mut self.lag);
        }
        if leaving {
            self.forget_leaving();
        }
    }

    /// Retries deliveries to lagging subscribers, and removes those that are gone.
    pub fn sweep(&mut self) {
        self.with_each(|subscriber, lag| lag.flush(subscriber));
    }

    /// Returns whether the next event would cost somebody one that it may have the speed to take.
    pub(super) fn backpressure(&self) -> bool {
        self.lag.pressing > 0
    }

    /// Looks how fast those are for whom the others wait; those that are slow are not waited for any more.
    pub(super) fn sample_pace(&mut self) {
        self.with_each(|subscriber, lag| {
            if !subscriber.exerts_backpressure() {
                return false;
            }
            let leaves = lag.flush(subscriber);
            if subscriber.exerts_backpressure() {
                subscriber.sample_pace();
                lag.pressing -= usize::from(!leaves && !subscriber.exerts_backpressure());
            }
            leaves
        });
    }

    /// Puts all backlogs into mailboxes, past their capacity: nobody will be there to do it later.
    pub(super) fn flush_past_capacity(&mut self) {
        self.stop_notifying();
        self.with_each(|subscriber, _| {
            subscriber.flush_past_capacity();
            false
        });
        self.recount();
    }

    pub(super) fn missed_of(&self, user: &UserId) -> u64 {
        self.subscribers.iter().map(|subscriber| subscriber.missed_of(user)).sum()
    }

    /// Serves subscribers by a [`Drained`] to `tell` once they have capacity, besides at events and
    /// [`sweep`](Registry::sweep).
    pub(super) fn notify_of_capacity(&mut self, notify: WeakRecipient<Drained>) {
        self.lag.notify = Some(notify);
    }

    /// Stops waiting for capacity: neither an actor nor a task is left.
    pub(super) fn stop_notifying(&mut self) {
        self.lag.notify = None;
    }

    /// Serves a subscriber that has room again, unless it has left.
    pub(super) fn drained(&mut self, serial: u64, freed: Freed) {
        let Some(subscriber) = self.subscribers.iter_mut().find(|known| known.serial() == serial) else { return };
        if self.lag.drained(subscriber, freed) {
            self.forget_leaving();
        }
    }

    /// Removes everybody; backlogs go into the mailboxes, past the capacity.
    pub fn clear(&mut self) {
        self.flush_past_capacity();
        self.subscribers.clear();
        self.recount();
        self.update_wanted();
    }

    /// Returns whether some subscriber lags, so that [`sweep`](Registry::sweep) has work.
    #[must_use]
    pub fn behind(&self) -> bool {
        self.lag.behind > 0
    }

    /// Returns the union of all masks.
    #[must_use]
    pub fn wanted(&self) -> EventMask {
        self.wanted
    }

    /// Returns the number of subscribers disconnected because they could not keep up.
    #[must_use]
    pub fn disconnected(&self) -> u64 {
        self.lag.disconnected
    }

    /// Returns the number of subscribers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Returns everybody's counts, in order of registration.
    #[must_use]
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.subscribers.iter().map(Subscriber::info).collect()
    }

    fn forget_leaving(&mut self) {
        self.subscribers.retain(|subscriber| !subscriber.leaves);
        self.recount();
        self.update_wanted();
    }

    fn recount(&mut self) {
        self.lag.behind = self.subscribers.iter().filter(|subscriber| subscriber.behind()).count();
        self.lag.pressing = self.subscribers.iter().filter(|subscriber| subscriber.exerts_backpressure()).count();
    }

    fn update_wanted(&mut self) {
        self.wanted = self.subscribers.iter().fold(EventMask::NONE, |union, subscriber| union | subscriber.mask);
    }
}

impl Lag {
    /// Offers an event to a subscriber that is behind, full or gone; `true` if it leaves.
    #[cold]
    fn offer(&mut self, subscriber: &mut Subscriber, event: &Event) -> bool {
        let (was, episodes) = (LagFlags::of(subscriber), subscriber.episodes());
        let offer = subscriber.offer(event, self.notify.as_ref());
        if subscriber.episodes() != episodes {
            report_episode(&self.log, subscriber);
        }
        self.count(was, subscriber, matches!(offer, Offer::Gone | Offer::Overflowed));
        match offer {
            Offer::Taken | Offer::Missed => {}
            Offer::Gone => self.report_gone(subscriber),
            Offer::Overflowed => {
                self.disconnected += 1;
                subscriber.flush_past_capacity();
                warn!(self.log, "subscriber cannot keep up, it is disconnected"; "subscriber" => %subscriber.id(),
                    "delivered" => subscriber.info().delivered, "disconnected_in_all" => self.disconnected);
            }
        }
        subscriber.leaves
    }

    /// Delivers a subscriber's backlog as far as there is room; `true` if it leaves.
    fn flush(&mut self, subscriber: &mut Subscriber) -> bool {
        self.drained(subscriber, Freed::Bytes)
    }

    fn drained(&mut self, subscriber: &mut Subscriber, freed: Freed) -> bool {
        // Before anything changes: what it is counted as must be taken off as it was counted.
        let was = LagFlags::of(subscriber);
        if freed == Freed::Place {
            subscriber.drained();
        }
        let gone = subscriber.flush(self.notify.as_ref()).is_err() || !subscriber.connected();
        self.count(was, subscriber, gone);
        if gone {
            self.report_gone(subscriber);
        }
        gone
    }

    fn count(&mut self, was: LagFlags, subscriber: &mut Subscriber, leaves: bool) {
        subscriber.leaves = leaves;
        let is = if leaves { LagFlags::default() } else { LagFlags::of(subscriber) };
        self.behind = self.behind + usize::from(is.behind) - usize::from(was.behind);
        self.pressing = self.pressing + usize::from(is.pressing) - usize::from(was.pressing);
    }

    fn report_gone(&self, subscriber: &Subscriber) {
        let counts = subscriber.info();
        info!(self.log, "subscriber has stopped and is forgotten"; "subscriber" => %subscriber.id(),
            "delivered" => counts.delivered, "missed" => counts.missed, "queued" => counts.queued);
    }

    fn on_removed(&mut self, what: &str, old: &Subscriber) {
        self.behind -= usize::from(old.behind());
        self.pressing -= usize::from(old.exerts_backpressure());
        let counts = old.info();
        debug!(self.log, "{}", what; "subscriber" => %old.id(),
            "delivered" => counts.delivered, "missed" => counts.missed, "queued" => counts.queued);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct LagFlags {
    behind: bool,
    pressing: bool,
}

impl LagFlags {
    fn of(subscriber: &Subscriber) -> Self {
        LagFlags { behind: subscriber.behind(), pressing: subscriber.exerts_backpressure() }
    }
}

/// Warns of the 1st, 2nd, 4th, 8th, ... episode of a subscriber, so that a hopeless one does not flood the log.
fn report_episode(log: &Logger, subscriber: &Subscriber) {
    let (episode, missed) = (subscriber.episodes(), subscriber.info().missed);
    if episode.is_power_of_two() {
        warn!(log, "subscriber cannot keep up, it misses events"; "subscriber" => %subscriber.id(),
            "episode" => episode, "missed_in_all" => missed);
    } else {
        debug!(log, "subscriber cannot keep up, it misses events"; "subscriber" => %subscriber.id(),
            "episode" => episode, "missed_in_all" => missed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        handlers::probe::{Probe, hearing, next, numbered},
        model::error::DisconnectReason,
    };

    fn registry() -> Registry {
        Registry::new(Logger::root(slog::Discard, slog::o!()))
    }

    fn ids(registry: &Registry) -> Vec<String> {
        registry.subscribers().iter().map(|info| info.id.to_string()).collect()
    }

    #[actix::test]
    async fn subscribers_are_served_in_order_of_registration_and_a_replacement_keeps_the_place() {
        let (told, mut heard) = hearing();
        let mut registry = registry();
        for id in ["a", "b", "c"] {
            assert!(!registry.add(Subscription::new(id, Probe::free(id, &told)).events(EventMask::ALL)));
        }
        // One poll each, so that from here on they run in the order in which they are offered something.
        actix_rt::task::yield_now().await;
        registry.publish(&numbered(1));
        for expected in ["a1", "b1", "c1"] {
            assert_eq!(next(&mut heard).await, expected);
        }
        assert!(registry.add(Subscription::new("b", Probe::free("B", &told)).events(EventMask::ALL)));
        assert!(registry.remove(&"a".into()));
        assert!(!registry.add(Subscription::new("a", Probe::free("A", &told)).events(EventMask::ALL)));
        actix_rt::task::yield_now().await;
        registry.publish(&numbered(2));
        for expected in ["B2", "c2", "A2"] {
            assert_eq!(next(&mut heard).await, expected);
        }
        assert_eq!(ids(&registry), ["b", "c", "a"]);
    }

    #[actix::test]
    async fn removing_an_unknown_id_says_so_and_changes_nothing() {
        let (told, _heard) = hearing();
        let mut registry = registry();
        registry.add(Subscription::new("a", Probe::free("a", &told)).events(EventMask::ALL));
        assert!(!registry.remove(&"b".into()));
        assert_eq!(registry.len(), 1);
        assert!(registry.remove(&"a".into()));
        assert!(!registry.remove(&"a".into()));
        assert!(registry.is_empty());
    }

    #[actix::test]
    async fn wanted_is_the_exact_union_of_the_masks_after_each_change() {
        let (told, _heard) = hearing();
        let mut registry = registry();
        assert_eq!(registry.wanted(), EventMask::NONE);
        registry.add(Subscription::new("a", Probe::free("a", &told)).events(EventMask::MESSAGE));
        registry.add(Subscription::new("b", Probe::free("b", &told)).events(EventMask::CONNECTED | EventMask::MESSAGE));
        assert_eq!(registry.wanted(), EventMask::CONNECTED | EventMask::MESSAGE);
        registry.add(Subscription::new("b", Probe::free("b", &told)).events(EventMask::DISCONNECTED));
        assert_eq!(registry.wanted(), EventMask::DISCONNECTED | EventMask::MESSAGE);
        registry.remove(&"a".into());
        assert_eq!(registry.wanted(), EventMask::DISCONNECTED);
    }

    #[actix::test]
    async fn a_mask_keeps_other_kinds_away_and_uncounted() {
        let (told, mut heard) = hearing();
        let mut registry = registry();
        registry.add(Subscription::new("a", Probe::free("", &told)).events(EventMask::RECONNECTING));
        registry.publish(&Event::new("alice".parse().unwrap(), EventKind::TokenExpired));
        registry.publish(&Event::new("alice".parse().unwrap(), EventKind::Missed { count: 3 }));
        registry.publish(&numbered(1));
        assert_eq!(next(&mut heard).await, "1");
        let counts = registry.subscribers();
        assert_eq!((counts[0].delivered, counts[0].missed), (1, 0));
    }

    #[actix::test]
    async fn a_stopped_subscriber_is_forgotten_and_the_others_get_everything() {
        let (told, mut heard) = hearing();
        let mut registry = registry();
        registry.add(
            Subscription::new("quits", Probe::free("quits", &told))
                .events(EventMask::DISCONNECTED | EventMask::TOKEN_EXPIRED),
        );
        registry.add(Subscription::new("stays", Probe::free("", &told)).events(EventMask::RECONNECTING));
        registry.publish(&Event::new(
            "alice".parse().unwrap(),
            EventKind::Disconnected { reason: DisconnectReason::Closed },
        ));
        assert_eq!(next(&mut heard).await, "quits");
        registry.publish(&numbered(1));
        registry.publish(&Event::new("alice".parse().unwrap(), EventKind::TokenExpired));
        registry.publish(&numbered(2));
        assert_eq!(ids(&registry), ["stays"]);
        assert_eq!(registry.wanted(), EventMask::RECONNECTING);
        assert_eq!((next(&mut heard).await, next(&mut heard).await), ("1".to_owned(), "2".to_owned()));
    }
}
