use std::{sync::mpsc, time::Duration};

use actix::{Actor, Context, Handler, Recipient};
use actix_rt::Arbiter;
use slog::Logger;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    EventHandler, HandlerRegistry, Handlers, Overflow, Registry, SubscriberInfo, Subscription,
    probe::{Probe, hearing, next, sized},
};
use crate::model::{Event, EventKind, EventMask};

const MIB: usize = 1 << 20;

fn log() -> Logger {
    Logger::root(slog::Discard, slog::o!())
}

async fn info(handlers: &Handlers) -> SubscriberInfo {
    handlers.subscribers().await.unwrap().remove(0)
}

/// Publishes as a connection does: no further while the registry is behind.
async fn publish(handlers: &Handlers, events: impl IntoIterator<Item = Event>) {
    for event in events {
        while handlers.is_behind() {
            actix_rt::time::sleep(Duration::from_millis(1)).await;
        }
        handlers.publish_all(vec![event]);
    }
}

struct Bridge(UnboundedSender<Event>);

impl Bridge {
    fn start(capacity: usize) -> (Recipient<Event>, UnboundedReceiver<Event>) {
        let (to, from) = unbounded_channel();
        let address = Bridge::create(|ctx| {
            ctx.set_mailbox_capacity(capacity);
            Bridge(to)
        });
        (address.recipient(), from)
    }
}

impl Actor for Bridge {
    type Context = Context<Self>;
}

impl Handler<Event> for Bridge {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Self::Context) {
        let _ = self.0.send(event);
    }
}

#[actix::test]
async fn a_slow_closure_on_a_thread_of_its_own_holds_its_bytes_and_no_more_and_counts_what_it_missed() {
    let handlers = HandlerRegistry::start_here(&log()).unwrap();
    let arbiter = Arbiter::new();
    let (let_go, gate) = mpsc::channel::<()>();
    let (told, mut heard) = hearing();
    let missed = told.clone();
    let handler = EventHandler::new()
        .on_message(move |_, message| {
            let _ = gate.recv_timeout(Duration::from_secs(20));
            told.send(message.id.to_string()).unwrap();
        })
        .on_missed(move |_, count| missed.send(format!("missed {count}")).unwrap())
        .in_arbiter(&arbiter.handle());
    handlers.add_event_handler("slow", handler).unwrap();
    publish(&handlers, (1..=30).map(|number| sized(number, 4 * MIB))).await;
    let counts = info(&handlers).await;
    assert!(counts.queued_bytes <= Overflow::BACKLOG_BYTES + 2 * 5 * MIB, "{counts:?}");
    assert!(counts.missed >= 20, "{counts:?}");
    drop(let_go);
    let (mut number, mut skipped) = (0, 0);
    while number + skipped < 30 {
        match next(&mut heard).await.strip_prefix("missed ") {
            Some(count) => skipped += count.parse::<u64>().unwrap(),
            None => number += 1,
        }
    }
    assert_eq!(skipped, info(&handlers).await.missed);
    assert_eq!(info(&handlers).await.queued_bytes, 0);
    arbiter.stop();
}

#[actix::test]
async fn an_idle_subscriber_hears_an_event_larger_than_all_its_bytes() {
    let (told, mut heard) = hearing();
    let handlers = HandlerRegistry::start_here(&log()).unwrap();
    for (id, ring) in [("a", 0), ("b", 1), ("c", 1024)] {
        let subscription = Subscription::new(id, Probe::free(id, &told)).backlog(ring).backlog_bytes(1);
        handlers.subscribe(subscription).unwrap();
    }
    for number in 1..=5 {
        handlers.publish(sized(number, 100_000));
        for id in ["a", "b", "c"] {
            assert_eq!(next(&mut heard).await, format!("{id}{number}"));
        }
    }
}

#[actix::test]
async fn a_fast_subscriber_misses_nothing_however_large_the_events_are() {
    for (capacity, ring) in [(1, 1), (16, 1024)] {
        let handlers = HandlerRegistry::start_here(&log()).unwrap();
        let (told, mut heard) = hearing();
        let (to, permits) = Probe::gated(capacity, &told);
        permits.add_permits(1 << 20);
        handlers.subscribe(Subscription::new("fast", to).backlog(ring)).unwrap();
        handlers.publish_all((1..=100).map(|number| sized(number, MIB)).collect());
        for number in 1..=100 {
            assert_eq!(next(&mut heard).await, number.to_string());
        }
        assert_eq!(info(&handlers).await.missed, 0);
    }
}

#[actix::test]
async fn an_actor_that_passes_events_on_unseen_misses_none_and_what_it_passed_on_counts_no_more() {
    for ring in [0, 1024] {
        let handlers = HandlerRegistry::start_here(&log()).unwrap();
        let (to, mut from) = Bridge::start(16);
        handlers.subscribe(Subscription::new("bridge", to).backlog(ring).backlog_bytes(200_000)).unwrap();
        for number in 1..=100 {
            handlers.publish(sized(number, 50_000));
            if ring == 0 {
                actix_rt::task::yield_now().await;
                // As fast as it is, it needs its turns.
                info(&handlers).await;
            }
        }
        let start = std::time::Instant::now();
        while info(&handlers).await.delivered < 100 {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", info(&handlers).await);
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(info(&handlers).await.missed, 0);
        for number in 1..=100 {
            let event = from.recv().await.unwrap();
            let EventKind::Message(message) = event.kind() else { panic!("{event:?}") };
            assert_eq!(message.id, number);
        }
    }
}

#[actix::test]
async fn an_event_kept_by_its_subscriber_counts_no_more_once_it_was_looked_at() {
    let mut registry = Registry::new(log());
    let (to, mut from) = Bridge::start(4);
    registry.add(Subscription::new("keeps", to).backlog_bytes(100_000));
    let mut kept = Vec::new();
    for number in 1..=20 {
        registry.publish(&sized(number, 90_000));
        let event = from.recv().await.unwrap();
        assert!(matches!(event.kind(), EventKind::Message(_)));
        assert!(format!("{event:?}").contains("Message"));
        kept.push(event);
    }
    let counts = registry.subscribers().remove(0);
    assert_eq!((counts.delivered, counts.missed, counts.queued_bytes), (20, 0, 0));
}

#[actix::test]
async fn by_bytes_as_by_number_the_policy_says_who_pays() {
    let sizes = [40_000, 40_000, 40_000, 40_000, 40_000, 40_000];
    let expected: [(Overflow, &[&str]); 2] = [
        // Half of the bytes in the mailbox, the others and one more before it.
        (Overflow::DropNewest, &["1", "2", "3", "missed 3"]),
        (Overflow::DropOldest { capacity: 100 }, &["1", "missed 3", "5", "6"]),
    ];
    for (policy, expected) in expected {
        let (told, mut heard) = hearing();
        let (to, permits) = Probe::gated(16, &told);
        let mut registry = Registry::new(log());
        registry.add(Subscription::new("slow", to).overflow(policy).backlog_bytes(100_000));
        for (number, size) in (1..).zip(sizes) {
            registry.publish(&sized(number, size));
        }
        permits.add_permits(100);
        for line in expected {
            registry.sweep();
            assert_eq!(next(&mut heard).await, *line, "{policy:?}");
        }
    }
    let (told, _heard) = hearing();
    let (to, _permits) = Probe::gated(16, &told);
    let mut registry = Registry::new(log());
    registry.add(Subscription::new("slow", to).overflow(Overflow::Disconnect).backlog_bytes(100_000));
    for (number, size) in (1..).zip(sizes) {
        registry.publish(&sized(number, size));
    }
    assert_eq!((registry.len(), registry.disconnected()), (0, 1));
}

#[actix::test]
async fn the_registry_is_behind_by_bytes_as_by_number() {
    let handlers = HandlerRegistry::start_here(&log()).unwrap();
    let (told, _heard) = hearing();
    handlers.subscribe(Subscription::new("a", Probe::free("", &told)).events(EventMask::MESSAGE)).unwrap();
    // The registry takes its turn once this one waits.
    for (size, most) in [(3 * MIB, 3), (MIB, 8), (10, Handlers::BACKLOG)] {
        let mut published = 0;
        while !handlers.is_behind() {
            published += 1;
            handlers.publish(sized(1, size));
        }
        assert_eq!(published, most, "of {size} bytes");
        handlers.subscribers().await.unwrap();
        assert!(!handlers.is_behind());
    }
}

#[test]
fn small_events_go_without_an_allocation_for_their_weight() {
    let (small, large) = (sized(1, 100), sized(1, Overflow::SMALL));
    assert!(small.weight() <= Overflow::SMALL && large.weight() > Overflow::SMALL);
}
