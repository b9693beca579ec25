//! The registry as a plain value: subscribe, replace, remove, publish.

use actix::Recipient;
use slog::{Logger, debug, info, warn};

use crate::{Event, EventKind, EventMask};

use super::{
    SubscriberId,
    subscriber::{Offer, Subscriber},
};

/// One subscriber's counts since it was registered.
///
/// `delivered + missed` is how many events it was meant to hear, but for one that may still be on its way to it
/// while a [`EventKind::Missed`] is being told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberInfo {
    /// Its id.
    pub id: SubscriberId,
    /// What it wants to hear.
    pub mask: EventMask,
    /// How many events were put into its mailbox; notices of missed events are not counted.
    pub delivered: u64,
    /// How many events it missed because its mailbox was full.
    pub missed: u64,
}

/// Subscribers in order of registration; the logic of [`HandlerRegistry`](super::HandlerRegistry) without the actor.
///
/// Nothing here waits, and nothing grows with the events published: each subscriber's own mailbox is the only
/// queue, and its capacity the bound. A full mailbox costs its owner the event (newest dropped, counted).
#[derive(Debug)]
pub struct Registry {
    subscribers: Vec<Subscriber>,
    behind: usize,
    log: Logger,
}

impl Registry {
    /// An empty registry that logs through `log`.
    #[must_use]
    pub fn new(log: Logger) -> Self {
        Registry { subscribers: Vec::new(), behind: 0, log }
    }

    /// Registers a subscriber for the kinds of events in `mask`; returns whether it replaced one.
    ///
    /// Under a known id the new one takes the old one's place in the order, with fresh counts; the old one hears
    /// nothing more, also not what it was still owed.
    pub fn subscribe(&mut self, id: impl Into<SubscriberId>, to: Recipient<Event>, mask: EventMask) -> bool {
        let new = Subscriber::new(id.into(), to, mask);
        debug!(self.log, "subscriber added"; "subscriber" => %new.id, "mask" => ?mask);
        match self.subscribers.iter_mut().find(|known| known.id == new.id) {
            Some(known) => {
                let old = std::mem::replace(known, new);
                self.left("subscriber replaced", &old);
                true
            }
            None => {
                self.subscribers.push(new);
                false
            }
        }
    }

    /// Forgets a subscriber; `false` for an unknown id. What is in its mailbox already it still hears.
    pub fn remove(&mut self, id: &SubscriberId) -> bool {
        let Some(place) = self.subscribers.iter().position(|known| known.id == *id) else {
            return false;
        };
        // `remove`, not `swap_remove`: the order of registration is promised.
        let old = self.subscribers.remove(place);
        self.left("subscriber removed", &old);
        true
    }

    /// Offers an event to everybody who wants its kind, in order of registration.
    ///
    /// A published [`EventKind::Missed`] is ignored: those are told by the registry itself, to one subscriber.
    pub fn publish(&mut self, event: &Event) {
        let kind = event.kind().mask();
        if matches!(event.kind(), EventKind::Missed { .. }) {
            return;
        }
        self.visit(|subscriber, log| {
            if !subscriber.mask.contains(kind) {
                return true;
            }
            let before = subscriber.episodes();
            let offer = subscriber.offer(event);
            if subscriber.episodes() != before {
                report_episode(log, subscriber);
            }
            offer != Offer::Gone
        });
    }

    /// Tries again to deliver what subscribers are owed, and forgets those that are gone.
    pub fn sweep(&mut self) {
        self.visit(|subscriber, _| subscriber.settle().is_ok() && subscriber.connected());
    }

    /// Forgets everybody, after one last try to deliver what they are owed.
    pub fn clear(&mut self) {
        self.sweep();
        self.subscribers.clear();
        self.behind = 0;
    }

    /// Whether some subscriber is owed a notice, so that [`sweep`](Registry::sweep) has something to do.
    #[must_use]
    pub fn behind(&self) -> bool {
        self.behind > 0
    }

    /// The union of all masks.
    #[must_use]
    pub fn wanted(&self) -> EventMask {
        self.subscribers.iter().fold(EventMask::NONE, |union, subscriber| union | subscriber.mask)
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Everybody's counts, in order of registration.
    #[must_use]
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.subscribers.iter().map(Subscriber::info).collect()
    }

    /// Visits everybody in order, forgets those for whom `visit` says `false`, and counts who is behind.
    fn visit(&mut self, mut visit: impl FnMut(&mut Subscriber, &Logger) -> bool) {
        let Registry { subscribers, behind, log } = self;
        *behind = 0;
        subscribers.retain_mut(|subscriber| {
            let stays = visit(subscriber, log);
            if stays {
                *behind += usize::from(subscriber.behind());
            } else {
                let counts = subscriber.info();
                info!(log, "subscriber has stopped and is forgotten"; "subscriber" => %subscriber.id,
                    "delivered" => counts.delivered, "missed" => counts.missed);
            }
            stays
        });
    }

    fn left(&mut self, what: &str, old: &Subscriber) {
        self.behind -= usize::from(old.behind());
        let counts = old.info();
        debug!(self.log, "{}", what; "subscriber" => %old.id,
            "delivered" => counts.delivered, "missed" => counts.missed);
    }
}

/// Warns of the 1st, 2nd, 4th, 8th, ... episode of a subscriber, so that a hopeless one does not flood the log.
fn report_episode(log: &Logger, subscriber: &Subscriber) {
    let (episode, missed) = (subscriber.episodes(), subscriber.info().missed);
    if episode.is_power_of_two() {
        warn!(log, "subscriber's mailbox is full, it misses events"; "subscriber" => %subscriber.id,
            "episode" => episode, "missed_in_all" => missed);
    } else {
        debug!(log, "subscriber's mailbox is full, it misses events"; "subscriber" => %subscriber.id,
            "episode" => episode, "missed_in_all" => missed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DisconnectReason,
        handlers::probe::{Probe, hearing, next, numbered},
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
            assert!(!registry.subscribe(id, Probe::free(id, &told), EventMask::ALL));
        }
        // One poll each, so that from here on they run in the order in which they are offered something.
        actix_rt::task::yield_now().await;
        registry.publish(&numbered(1));
        for expected in ["a1", "b1", "c1"] {
            assert_eq!(next(&mut heard).await, expected);
        }
        assert!(registry.subscribe("b", Probe::free("B", &told), EventMask::ALL));
        assert!(registry.remove(&"a".into()));
        assert!(!registry.subscribe("a", Probe::free("A", &told), EventMask::ALL));
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
        registry.subscribe("a", Probe::free("a", &told), EventMask::ALL);
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
        registry.subscribe("a", Probe::free("a", &told), EventMask::MESSAGE);
        registry.subscribe("b", Probe::free("b", &told), EventMask::CONNECTED | EventMask::MESSAGE);
        assert_eq!(registry.wanted(), EventMask::CONNECTED | EventMask::MESSAGE);
        registry.subscribe("b", Probe::free("b", &told), EventMask::DISCONNECTED);
        assert_eq!(registry.wanted(), EventMask::DISCONNECTED | EventMask::MESSAGE);
        registry.remove(&"a".into());
        assert_eq!(registry.wanted(), EventMask::DISCONNECTED);
    }

    #[actix::test]
    async fn a_mask_keeps_other_kinds_away_and_uncounted() {
        let (told, mut heard) = hearing();
        let mut registry = registry();
        registry.subscribe("a", Probe::free("", &told), EventMask::RECONNECTING);
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
        registry.subscribe("quits", Probe::free("quits", &told), EventMask::DISCONNECTED | EventMask::TOKEN_EXPIRED);
        registry.subscribe("stays", Probe::free("", &told), EventMask::RECONNECTING);
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
