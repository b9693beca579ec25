//! Bursts and control events: what the default costs nobody.

use std::{collections::BTreeMap, time::Instant};

use actix_rt::task::yield_now;
use agora_chat::{Overflow, Subscription, UserId};

use super::*;

/// Actix's default.
const MAILBOX: usize = 16;

/// Counts what it hears, and nothing else.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    async fn reaches(&self, count: usize) {
        soon(async {
            while self.count() < count {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Event> for Counter {
    type Result = ();

    fn handle(&mut self, _: Event, _: &mut Self::Context) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn disconnected(user: &str) -> Event {
    Event::new(user.parse().unwrap(), EventKind::Disconnected { reason: DisconnectReason::Closed })
}

fn of(user: &str, kind: EventKind) -> Event {
    Event::new(user.parse().unwrap(), kind)
}

#[actix::test]
async fn a_page_costs_a_subscriber_that_only_counts_no_event() {
    let handlers = registry();
    let counter = Counter::default();
    handlers.add_subscriber("counts", counter.clone().start().recipient()).unwrap();
    let mut page: Vec<_> = (1..=40).map(numbered).collect();
    page.push(disconnected("alice"));
    handlers.publish_all(page);
    counter.reaches(41).await;
    let info = counts(&handlers, "counts").await;
    assert_eq!((info.delivered, info.missed, info.queued), (41, 0, 0));
}

#[actix::test]
async fn a_burst_of_any_length_costs_no_subscriber_an_event_that_it_has_the_speed_to_take() {
    const EVENTS: u32 = 30_000;
    let handlers = registry();
    let arbiter = Arbiter::new();
    let (tiny, there, closures) = (Counter::default(), Counter::default(), Counter::default());
    let tiny_mailbox = Counter::create(|ctx| {
        ctx.set_mailbox_capacity(4);
        tiny.clone()
    });
    handlers.add_subscriber("here", tiny_mailbox.recipient()).unwrap();
    let on_arbiter = there.clone();
    let there_addr = Counter::start_in_arbiter(&arbiter.handle(), move |_| on_arbiter);
    handlers.add_subscriber("there", there_addr.recipient()).unwrap();
    let counted = closures.clone();
    let handler = EventHandler::new()
        .on_event(move |_| {
            counted.0.fetch_add(1, Ordering::SeqCst);
        })
        .in_arbiter(&arbiter.handle());
    handlers.add_event_handler("closures", handler).unwrap();
    // One page and more of single events, with nobody yielding in between.
    handlers.publish_all((1..=EVENTS / 2).map(numbered).collect());
    publish(&handlers, 1..=EVENTS / 2);
    for counter in [&tiny, &there, &closures] {
        counter.reaches(EVENTS as usize).await;
    }
    for id in ["here", "there", "closures"] {
        let info = counts(&handlers, id).await;
        assert_eq!((info.delivered, info.missed), (u64::from(EVENTS), 0), "{id}");
    }
    arbiter.stop();
}

#[actix::test]
async fn a_subscriber_that_stands_still_costs_the_others_a_moment_once_and_then_pays_alone() {
    let handlers = registry();
    let (stuck, _hears) = Probe::start(MAILBOX);
    let _release = stall(&stuck).await;
    handlers.add_subscriber("stuck", stuck.recipient()).unwrap();
    let quick = Counter::default();
    handlers.add_subscriber("quick", quick.clone().start().recipient()).unwrap();
    let began = Instant::now();
    publish(&handlers, 1..=5_000);
    quick.reaches(5_000).await;
    assert!(began.elapsed() < 3 * Duration::from_millis(250), "{:?}", began.elapsed());
    let again = Instant::now();
    for round in 0..20 {
        publish(&handlers, 1..=1_000);
        quick.reaches(5_000 + 1_000 * (round + 1)).await;
    }
    assert!(again.elapsed() < Duration::from_secs(3), "{:?}", again.elapsed());
    let info = counts(&handlers, "stuck").await;
    assert_eq!((info.queued, info.delivered), (Overflow::BACKLOG, MAILBOX as u64 + 1));
    assert_eq!(info.missed, 25_000 - (Overflow::BACKLOG + MAILBOX + 1) as u64);
    assert_eq!(counts(&handlers, "quick").await.missed, 0);
}

#[actix::test]
async fn control_events_are_heard_after_a_flood_under_every_policy_and_in_their_order() {
    for (overflow, backlog) in [
        (Overflow::DropNewest, Overflow::BACKLOG),
        (Overflow::DropNewest, 0),
        (Overflow::DropOldest { capacity: 4 }, 0),
    ] {
        let handlers = registry();
        let (slow, mut hears) = Probe::start(2);
        let release = stall(&slow).await;
        let subscription = Subscription::new("slow", slow.recipient()).overflow(overflow).backlog(backlog);
        handlers.subscribe(subscription).unwrap();
        publish(&handlers, 1..=2_000);
        handlers.publish(event(EventKind::TokenExpired));
        publish(&handlers, 2_001..=4_000);
        handlers.publish(disconnected("alice"));
        publish(&handlers, 4_001..=6_000);
        handlers.publish(event(EventKind::Connected { resumed: false }));
        // Everything is offered when this is answered.
        let info = counts(&handlers, "slow").await;
        assert!(info.missed > 4_000 && info.queued <= backlog.max(4) + 3, "{info:?}");
        drop(release);
        let (mut control, mut last, mut accounted) = (Vec::new(), 0, 0);
        while accounted < 6_000 || control.len() < 3 {
            match soon(hears.recv()).await.unwrap().kind() {
                EventKind::Reconnecting { attempt, .. } => {
                    assert!(*attempt > last);
                    (last, accounted) = (*attempt, accounted + 1);
                }
                EventKind::Missed { count } => accounted += *count,
                EventKind::TokenExpired => control.push("expired"),
                EventKind::Disconnected { .. } => control.push("disconnected"),
                EventKind::Connected { .. } => control.push("connected"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(control, ["expired", "disconnected", "connected"], "{overflow:?}");
        let info = counts(&handlers, "slow").await;
        assert_eq!(info.delivered + info.missed, 6_003);
    }
}

#[actix::test]
async fn a_control_event_keeps_its_place_among_the_messages_that_are_heard() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(1);
    let release = stall(&slow).await;
    handlers.subscribe(Subscription::new("slow", slow.recipient()).backlog(2)).unwrap();
    handlers.publish_all(vec![
        numbered(1),
        numbered(2),
        numbered(3),
        disconnected("alice"),
        numbered(4),
        numbered(5),
        event(EventKind::TokenExpired),
    ]);
    assert_eq!(counts(&handlers, "slow").await.missed, 1);
    drop(release);
    let mut heard = Vec::new();
    for _ in 0..7 {
        heard.push(match soon(hears.recv()).await.unwrap().kind() {
            EventKind::Reconnecting { attempt, .. } => attempt.to_string(),
            EventKind::Missed { count } => format!("missed {count}"),
            EventKind::Disconnected { .. } => "disconnected".to_owned(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(heard, ["1", "2", "3", "disconnected", "4", "missed 1", "TokenExpired"]);
}

#[actix::test]
async fn control_events_that_nobody_takes_are_bounded_and_the_newest_of_each_is_heard() {
    let handlers = registry();
    let (stuck, mut hears) = Probe::start(1);
    let release = stall(&stuck).await;
    handlers.add_subscriber("stuck", stuck.recipient()).unwrap();
    let lost = |room: &str| EventKind::RoomLost { room: room.into(), error: None };
    for round in 0..5_000_u32 {
        for user in ["alice", "bob"] {
            handlers.publish(of(user, EventKind::Connected { resumed: round > 0 }));
            handlers.publish(of(user, lost(if round % 2 == 0 { "even" } else { "odd" })));
            handlers.publish(disconnected(user));
        }
    }
    let info = counts(&handlers, "stuck").await;
    assert_eq!(info.missed, 0);
    assert!(info.queued <= 64 + 2 * 4, "{info:?}");
    assert_eq!(info.delivered + info.coalesced + info.queued as u64, 30_000);
    drop(release);
    let mut last = BTreeMap::new();
    for _ in 0..info.delivered as usize + info.queued {
        let event = soon(hears.recv()).await.unwrap();
        last.insert(event.user().to_string(), event.kind().mask());
    }
    let expected = ["alice", "bob"].map(|user| (user.to_owned(), EventMask::DISCONNECTED));
    assert_eq!(last, BTreeMap::from(expected));
}

#[actix::test]
async fn a_control_event_waits_for_no_sweep() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(1);
    let release = stall(&slow).await;
    handlers.subscribe(without_backlog("slow", &slow)).unwrap();
    publish(&handlers, 1..=1);
    for _ in 0..20 {
        handlers.publish(disconnected("alice"));
    }
    assert_eq!(counts(&handlers, "slow").await.missed, 0);
    let began = Instant::now();
    drop(release);
    hear_numbers(&mut hears, 1..=1).await;
    for _ in 0..20 {
        assert!(matches!(soon(hears.recv()).await.unwrap().kind(), EventKind::Disconnected { .. }));
    }
    assert!(began.elapsed() < 5 * HandlerRegistry::SWEEP, "{:?}", began.elapsed());
}

#[actix::test]
async fn what_was_missed_is_told_and_counted_account_by_account() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(1);
    let release = stall(&slow).await;
    handlers.subscribe(without_backlog("slow", &slow)).unwrap();
    let told = |user: &str| of(user, numbered(1).kind().clone());
    handlers.publish(told("alice"));
    for (user, events) in [("alice", 2), ("bob", 3), ("carol", 5), ("bob", 7)] {
        (0..events).for_each(|_| handlers.publish(told(user)));
    }
    for (user, missed) in [("alice", 2), ("bob", 10), ("carol", 5), ("dave", 0)] {
        let user: UserId = user.parse().unwrap();
        assert_eq!(handlers.missed_events(&user).await, Ok(missed), "{user}");
    }
    assert_eq!(counts(&handlers, "slow").await.missed, 17);
    drop(release);
    soon(hears.recv()).await.unwrap();
    let mut heard = BTreeMap::new();
    for _ in 0..3 {
        let event = soon(hears.recv()).await.unwrap();
        let EventKind::Missed { count } = event.kind() else { panic!("{event:?}") };
        assert!(heard.insert(event.user().to_string(), *count).is_none(), "told once");
    }
    let expected = [("alice", 2), ("bob", 10), ("carol", 5)].map(|(user, count)| (user.to_owned(), count));
    assert_eq!(heard, BTreeMap::from(expected));
}

#[actix::test]
async fn what_waits_when_the_last_handle_goes_is_heard_all_the_same() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(MAILBOX);
    let release = stall(&slow).await;
    handlers.add_subscriber("slow", slow.recipient()).unwrap();
    publish(&handlers, 1..=500);
    handlers.publish(disconnected("alice"));
    assert!(counts(&handlers, "slow").await.queued > 400);
    drop(handlers);
    yield_now().await;
    drop(release);
    hear_numbers(&mut hears, 1..=500).await;
    assert!(matches!(soon(hears.recv()).await.unwrap().kind(), EventKind::Disconnected { .. }));
    assert!(soon(hears.recv()).await.is_none(), "nobody keeps it any more");
}

/// Dies where a message asks for it.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut Self::Context) {
        panic!("the registry panics, as the test asked");
    }
}

#[actix::test]
async fn subscribers_hear_on_after_their_registry_died_of_a_panic() {
    let handlers = registry();
    let (slow, mut slow_hears) = Probe::start(MAILBOX);
    let release = stall(&slow).await;
    handlers.add_subscriber("slow", slow.recipient()).unwrap();
    let (quick, mut hears) = Probe::start(MAILBOX);
    handlers.add_subscriber("quick", quick.recipient()).unwrap();
    publish(&handlers, 1..=100);
    hear_numbers(&mut hears, 1..=100).await;
    assert!(!handlers.is_dead());
    soon(handlers.address().send(Die)).await.unwrap_err();
    assert!(handlers.is_dead());
    publish(&handlers, 101..=110);
    handlers.publish(disconnected("alice"));
    hear_numbers(&mut hears, 101..=110).await;
    assert!(matches!(soon(hears.recv()).await.unwrap().kind(), EventKind::Disconnected { .. }));
    drop(release);
    hear_numbers(&mut slow_hears, 1..=110).await;
    assert!(matches!(soon(slow_hears.recv()).await.unwrap().kind(), EventKind::Disconnected { .. }));
    assert_eq!(handlers.remove_subscriber("quick"), Err(ConnectionError::Stopped));
    assert_eq!(handlers.subscribers().await, Err(ConnectionError::Stopped));
}

#[actix::test]
async fn subscribers_of_other_arbiters_hear_what_was_published_before_the_registrys_arbiter_ended() {
    let arbiter = Arbiter::new();
    let handlers = HandlerRegistry::start_on(&arbiter.handle(), &slog::Logger::root(slog::Discard, slog::o!()));
    let (slow, mut hears) = Probe::start(1);
    let release = stall(&slow).await;
    handlers.add_subscriber("slow", slow.recipient()).unwrap();
    publish(&handlers, 1..=50);
    assert_eq!(counts(&handlers, "slow").await.queued, 48);
    arbiter.stop();
    arbiter.join().unwrap();
    handlers.publish(disconnected("alice"));
    drop(release);
    hear_numbers(&mut hears, 1..=50).await;
    assert!(matches!(soon(hears.recv()).await.unwrap().kind(), EventKind::Disconnected { .. }));
}

#[actix::test]
async fn closures_that_panic_are_counted_also_with_a_payload_or_captures_that_panic_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("it panics when it is dropped, as the test asked");
        }
    }
    let handlers = registry();
    let (told, mut tells) = unbounded_channel();
    let (bomb, last) = (Bomb, told.clone());
    let handler = EventHandler::new()
        .on_reconnecting(move |_, attempt, _, _| {
            let _captured = &bomb;
            if attempt % 2 == 0 {
                std::panic::panic_any(Bomb);
            }
        })
        .on_event(move |event| told.send(event.clone()).unwrap());
    handlers.add_event_handler("panics", handler).unwrap();
    publish(&handlers, 1..=10);
    hear_numbers(&mut tells, 1..=10).await;
    assert_eq!(counts(&handlers, "panics").await.panics, 5);
    handlers.remove_subscriber("panics").unwrap();
    drop(last);
    assert!(soon(tells.recv()).await.is_none(), "its actor is gone, and nothing else");
    assert!(handlers.subscribers().await.unwrap().is_empty());
}
