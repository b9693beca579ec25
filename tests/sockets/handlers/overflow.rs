//! Subscribers that cannot keep up, by policy, and events published together.

use agora_chat::{Overflow, Subscription, handlers::Publish};

use super::*;

/// Counts of a subscriber: delivered, missed, queued.
async fn tally(handlers: &Handlers, id: &str) -> (u64, u64, usize) {
    let info = counts(handlers, id).await;
    (info.delivered, info.missed, info.queued)
}

const OLDEST: Overflow = Overflow::DropOldest { capacity: 4 };

#[actix::test]
async fn a_ring_keeps_the_newest_in_order_and_the_notice_stands_where_events_are_missing() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(8);
    let (quick, mut quick_hears) = Probe::start(64);
    let release = stall(&slow).await;
    handlers.subscribe(Subscription::new("slow", slow.recipient()).overflow(OLDEST)).unwrap();
    handlers.add_subscriber("quick", quick.recipient()).unwrap();
    publish(&handlers, 1..=20);
    hear_numbers(&mut quick_hears, 1..=20).await;
    // Eight in its mailbox, one past it, four in the ring.
    assert_eq!(tally(&handlers, "slow").await, (9, 7, 4));
    assert_eq!(counts(&handlers, "slow").await.overflow, OLDEST);
    drop(release);
    hear_numbers(&mut hears, 1..=9).await;
    assert_eq!(hear(&mut hears).await, Heard::Missed(7));
    hear_numbers(&mut hears, 17..=20).await;
    publish(&handlers, 21..=22);
    hear_numbers(&mut hears, 21..=22).await;
    assert_eq!(tally(&handlers, "slow").await, (15, 7, 0));
}

#[actix::test]
async fn a_ring_that_suffices_loses_nothing_and_is_emptied_without_waiting_for_a_sweep() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(1);
    let release = stall(&slow).await;
    let ring = Overflow::DropOldest { capacity: 1000 };
    handlers.subscribe(Subscription::new("slow", slow.recipient()).overflow(ring)).unwrap();
    publish(&handlers, 1..=1000);
    assert_eq!(tally(&handlers, "slow").await, (2, 0, 998));
    let start = std::time::Instant::now();
    drop(release);
    // By sweeps alone these would be two for each of them: two minutes.
    hear_numbers(&mut hears, 1..=1000).await;
    assert!(start.elapsed() < 20 * HandlerRegistry::SWEEP);
    assert_eq!(tally(&handlers, "slow").await, (1000, 0, 0));
}

#[actix::test]
async fn a_ring_serves_a_subscriber_that_stalls_again_and_again_and_every_event_is_heard_or_counted() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(2);
    handlers.subscribe(Subscription::new("slow", slow.clone().recipient()).overflow(OLDEST)).unwrap();
    let (mut published, mut accounted) = (0, 0);
    for round in 1..=20 {
        let release = stall(&slow).await;
        publish(&handlers, published + 1..=published + round);
        published += round;
        assert!(counts(&handlers, "slow").await.queued <= 4 + 1, "the ring, and one behind a notice");
        drop(release);
        let mut noticed = false;
        while accounted < published {
            match hear(&mut hears).await {
                Heard::Number(number) => {
                    accounted += 1;
                    assert_eq!(number, accounted);
                    noticed = false;
                }
                Heard::Missed(count) => {
                    assert!(!noticed, "told twice of one episode");
                    accounted += u32::try_from(count).unwrap();
                    noticed = true;
                }
            }
        }
        let (delivered, missed, queued) = tally(&handlers, "slow").await;
        assert_eq!((delivered + missed, queued), (u64::from(published), 0));
    }
    assert!(counts(&handlers, "slow").await.missed > 0);
}

#[actix::test]
async fn a_subscriber_that_stops_while_its_ring_is_full_is_forgotten() {
    let handlers = registry();
    let (slow, _hears) = Probe::start(1);
    let release = stall(&slow).await;
    handlers.subscribe(Subscription::new("slow", slow.clone().recipient()).overflow(OLDEST)).unwrap();
    publish(&handlers, 1..=10);
    assert_eq!(tally(&handlers, "slow").await, (2, 4, 4));
    slow.do_send(Order::Panic);
    drop(release);
    soon(async {
        while !handlers.subscribers().await.unwrap().is_empty() {
            actix_rt::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(handlers.wanted(), EventMask::NONE);
}

#[actix::test]
async fn a_replaced_and_a_removed_subscriber_hear_nothing_more_of_their_ring() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(1);
    let release = stall(&slow).await;
    let subscribe =
        |id: &str| handlers.subscribe(Subscription::new(id, slow.clone().recipient()).overflow(OLDEST)).unwrap();
    subscribe("a");
    publish(&handlers, 1..=5);
    assert_eq!(tally(&handlers, "a").await, (2, 0, 3));
    subscribe("a");
    assert_eq!(tally(&handlers, "a").await, (0, 0, 0));
    publish(&handlers, 6..=9);
    handlers.remove_subscriber("a").unwrap();
    assert!(handlers.subscribers().await.unwrap().is_empty());
    drop((release, slow));
    // What was in the mailbox: of each subscription one in its sender's place and one past it.
    for number in [1, 2, 6, 7] {
        assert_eq!(hear(&mut hears).await, Heard::Number(number));
    }
    assert!(soon(hears.recv()).await.is_none(), "nobody keeps it any more");
}

#[actix::test]
async fn a_subscriber_that_asked_for_it_is_disconnected_at_its_first_overflow() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(8);
    let (quick, mut quick_hears) = Probe::start(64);
    let release = stall(&slow).await;
    let once = Subscription::new("slow", slow.recipient()).events(EventMask::RECONNECTING);
    handlers.subscribe(once.overflow(Overflow::Disconnect).backlog(0)).unwrap();
    handlers.subscribe(Subscription::new("quick", quick.recipient()).events(EventMask::RECONNECTING)).unwrap();
    publish(&handlers, 1..=8);
    assert_eq!(tally(&handlers, "slow").await, (8, 0, 0));
    assert_eq!(handlers.disconnected(), 0);
    publish(&handlers, 9..=20);
    let left: Vec<_> = handlers.subscribers().await.unwrap().iter().map(|info| info.id.to_string()).collect();
    assert_eq!(left, ["quick"]);
    assert_eq!(handlers.disconnected(), 1);
    hear_numbers(&mut quick_hears, 1..=20).await;
    drop(release);
    hear_numbers(&mut hears, 1..=8).await;
    assert!(soon(hears.recv()).await.is_none(), "nobody keeps it any more");
    assert!(quick_hears.try_recv().is_err(), "the others are told nothing of it");
}

#[actix::test]
async fn kinds_that_a_subscriber_does_not_want_take_no_room_in_its_ring() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(1);
    let release = stall(&slow).await;
    let some = Subscription::new("slow", slow.recipient()).events(EventMask::RECONNECTING).overflow(OLDEST);
    handlers.subscribe(some).unwrap();
    let (all, _all_hears) = Probe::start(64);
    handlers.add_subscriber("all", all.recipient()).unwrap();
    for number in 1..=6 {
        handlers.publish(numbered(number));
        handlers.publish(event(EventKind::TokenExpired));
    }
    assert_eq!(tally(&handlers, "slow").await, (2, 0, 4));
    drop(release);
    hear_numbers(&mut hears, 1..=6).await;
}

#[actix::test]
async fn closures_may_ask_for_a_policy_and_their_ring_is_bounded() {
    let handlers = registry();
    let arbiter = Arbiter::new();
    let (told, mut tells) = unbounded_channel();
    let missed = told.clone();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let handler = EventHandler::new()
        .on_reconnecting(move |_, attempt, _, _| {
            told.send(Heard::Number(attempt)).unwrap();
            // It blocks a thread of its own, until the test lets it go for good.
            let _ = gate.recv();
        })
        .on_missed(move |_, count| missed.send(Heard::Missed(count)).unwrap())
        .capacity(2)
        .overflow(Overflow::DropOldest { capacity: 0 })
        .in_arbiter(&arbiter.handle());
    handlers.add_event_handler("slow", handler).unwrap();
    assert_eq!(counts(&handlers, "slow").await.overflow, Overflow::DropOldest { capacity: 1 });
    publish(&handlers, 1..=1);
    assert_eq!(soon(tells.recv()).await.unwrap(), Heard::Number(1));
    publish(&handlers, 2..=10);
    assert_eq!(tally(&handlers, "slow").await, (4, 5, 1));
    drop(release);
    for expected in [2, 3, 4].map(Heard::Number).into_iter().chain([Heard::Missed(5), Heard::Number(10)]) {
        assert_eq!(soon(tells.recv()).await.unwrap(), expected);
    }
    arbiter.stop();
}

#[actix::test]
async fn events_published_together_come_in_order_and_only_to_those_who_want_them() {
    let handlers = registry();
    let (all, mut all_hears) = Probe::start(64);
    let (some, mut some_hears) = Probe::start(64);
    let (slow, mut slow_hears) = Probe::start(2);
    let release = stall(&slow).await;
    handlers
        .subscribe(Subscription::new("all", all.recipient()).events(EventMask::RECONNECTING | EventMask::CONNECTED))
        .unwrap();
    handlers.subscribe(Subscription::new("some", some.recipient()).events(EventMask::RECONNECTING)).unwrap();
    handlers.subscribe(without_backlog("slow", &slow).events(EventMask::RECONNECTING)).unwrap();
    let connected = || event(EventKind::Connected { resumed: false });
    handlers.publish(numbered(1));
    handlers.publish_all(vec![numbered(2), event(EventKind::TokenExpired), connected(), numbered(3), numbered(4)]);
    handlers.publish_all(vec![]);
    handlers.publish(numbered(5));
    hear_numbers(&mut some_hears, 1..=5).await;
    hear_numbers(&mut all_hears, 1..=2).await;
    let heard = soon(all_hears.recv()).await.unwrap();
    assert!(matches!(heard.kind(), EventKind::Connected { .. }), "{heard:?}");
    hear_numbers(&mut all_hears, 3..=5).await;
    assert_eq!(tally(&handlers, "slow").await, (2, 3, 0));
    drop(release);
    hear_numbers(&mut slow_hears, 1..=2).await;
    assert_eq!(hear(&mut slow_hears).await, Heard::Missed(3));
    handlers.address().send(Publish::from(vec![numbered(6), numbered(7)])).await.unwrap();
    hear_numbers(&mut slow_hears, 6..=7).await;
    assert_eq!(tally(&handlers, "all").await, (8, 0, 0));
}

#[actix::test]
async fn a_ring_is_emptied_by_a_registry_on_another_arbiter_too() {
    let arbiter = Arbiter::new();
    let handlers = HandlerRegistry::start_on(&arbiter.handle(), &slog::Logger::root(slog::Discard, slog::o!()));
    let (slow, mut hears) = Probe::start(4);
    let release = stall(&slow).await;
    let ring = Overflow::DropOldest { capacity: 200 };
    handlers.subscribe(Subscription::new("slow", slow.recipient()).overflow(ring)).unwrap();
    publish(&handlers, 1..=100);
    assert_eq!(tally(&handlers, "slow").await, (5, 0, 95));
    drop(release);
    hear_numbers(&mut hears, 1..=100).await;
    arbiter.stop();
}

#[actix::test]
async fn a_shutdown_loses_nothing_that_waits() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(4);
    let release = stall(&slow).await;
    let subscription = Subscription::new("slow", slow.clone().recipient());
    handlers.address().send(Subscribe::from(subscription.overflow(OLDEST))).await.unwrap();
    publish(&handlers, 1..=9);
    assert_eq!(tally(&handlers, "slow").await, (5, 0, 4));
    handlers.shutdown().await.unwrap();
    drop((release, slow));
    hear_numbers(&mut hears, 1..=9).await;
    assert!(soon(hears.recv()).await.is_none(), "nobody keeps it any more");
}
