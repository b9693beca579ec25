//! Subscribers and the registry's actor, through the public face.

mod bursts;
mod overflow;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix::{Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, WrapFuture as _};
use actix_rt::Arbiter;
use agora_chat::{
    ConnectionError, DisconnectReason, Event, EventHandler, EventKind, EventMask, HandlerRegistry, Handlers, LossCause,
    Subscription,
    handlers::{Publish, Subscribe, SubscriberInfo, Unsubscribe},
};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

/// Hears into a channel; can be stalled, stopped and made to panic.
struct Probe {
    heard: UnboundedSender<Event>,
    panics: bool,
}

impl Probe {
    fn start(capacity: usize) -> (Addr<Probe>, UnboundedReceiver<Event>) {
        let (heard, hears) = unbounded_channel();
        let addr = Probe::create(|ctx| {
            ctx.set_mailbox_capacity(capacity);
            Probe { heard, panics: false }
        });
        (addr, hears)
    }
}

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Handler<Event> for Probe {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Self::Context) {
        assert!(!self.panics, "the subscriber panics, as the test asked");
        let _ = self.heard.send(event);
    }
}

#[derive(actix::Message)]
#[rtype(result = "()")]
enum Order {
    /// Take nothing more until the sender is used or dropped.
    Stall(oneshot::Receiver<()>),
    Panic,
    Stop,
}

impl Handler<Order> for Probe {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) {
        match order {
            Order::Stall(gate) => ctx.wait(
                async move {
                    let _ = gate.await;
                }
                .into_actor(self),
            ),
            Order::Panic => self.panics = true,
            Order::Stop => ctx.stop(),
        }
    }
}

async fn stall(probe: &Addr<Probe>) -> oneshot::Sender<()> {
    let (release, gate) = oneshot::channel();
    probe.send(Order::Stall(gate)).await.unwrap();
    release
}

/// One whose mailbox is its only queue.
fn without_backlog(id: &str, probe: &Addr<Probe>) -> Subscription {
    Subscription::new(id, probe.clone().recipient()).backlog(0)
}

async fn soon<F: Future>(future: F) -> F::Output {
    actix_rt::time::timeout(Duration::from_secs(10), future).await.expect("it happens within ten seconds")
}

fn registry() -> Handlers {
    HandlerRegistry::start_here(&slog::Logger::root(slog::Discard, slog::o!())).unwrap()
}

fn event(kind: EventKind) -> Event {
    Event::new("alice".parse().unwrap(), kind)
}

fn numbered(attempt: u32) -> Event {
    event(EventKind::Reconnecting { attempt, delay: Duration::ZERO, cause: LossCause::Ended })
}

fn publish(handlers: &Handlers, numbers: std::ops::RangeInclusive<u32>) {
    for attempt in numbers {
        handlers.publish(numbered(attempt));
    }
}

/// A number heard, or the count of a notice.
#[derive(Debug, PartialEq)]
enum Heard {
    Number(u32),
    Missed(u64),
}

async fn hear(hears: &mut UnboundedReceiver<Event>) -> Heard {
    match soon(hears.recv()).await.expect("the subscriber is alive").kind() {
        EventKind::Reconnecting { attempt, .. } => Heard::Number(*attempt),
        EventKind::Missed { count } => Heard::Missed(*count),
        other => panic!("unexpected {other:?}"),
    }
}

async fn hear_numbers(hears: &mut UnboundedReceiver<Event>, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        assert_eq!(hear(hears).await, Heard::Number(number));
    }
}

async fn counts(handlers: &Handlers, id: &str) -> SubscriberInfo {
    handlers.subscribers().await.unwrap().into_iter().find(|info| info.id.as_str() == id).unwrap()
}

static_assertions::assert_impl_all!(Handlers: Clone, Send, Sync);
static_assertions::assert_impl_all!(EventHandler: Send);

#[actix::test]
async fn a_stalled_subscriber_misses_what_does_not_fit_is_told_once_and_costs_its_neighbour_nothing() {
    let handlers = registry();
    let (slow, mut slow_hears) = Probe::start(8);
    let (quick, mut quick_hears) = Probe::start(64);
    let release = stall(&slow).await;
    handlers.subscribe(without_backlog("slow", &slow)).unwrap();
    handlers.add_subscriber("quick", quick.recipient()).unwrap();
    publish(&handlers, 1..=20);
    hear_numbers(&mut quick_hears, 1..=20).await;
    let info = counts(&handlers, "slow").await;
    assert_eq!((info.delivered, info.missed), (8, 12));
    let info = counts(&handlers, "quick").await;
    assert_eq!((info.delivered, info.missed), (20, 0));

    drop(release);
    hear_numbers(&mut slow_hears, 1..=8).await;
    // The notice comes before the next event whether a sweep or that event brings it.
    publish(&handlers, 21..=22);
    assert_eq!(hear(&mut slow_hears).await, Heard::Missed(12));
    hear_numbers(&mut slow_hears, 21..=22).await;
    let info = counts(&handlers, "slow").await;
    assert_eq!((info.delivered, info.missed), (10, 12));
    assert!(slow_hears.try_recv().is_err(), "told once");
}

#[actix::test]
async fn a_subscriber_is_told_what_it_missed_even_if_no_further_event_comes() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(2);
    let release = stall(&slow).await;
    handlers.subscribe(without_backlog("slow", &slow)).unwrap();
    publish(&handlers, 1..=5);
    assert_eq!(counts(&handlers, "slow").await.missed, 3);
    drop(release);
    hear_numbers(&mut hears, 1..=2).await;
    // Nothing but the sweep asks the registry for anything from here on.
    assert_eq!(hear(&mut hears).await, Heard::Missed(3));
}

#[actix::test]
async fn two_episodes_are_told_separately_each_with_its_own_count() {
    let handlers = registry();
    let (slow, mut hears) = Probe::start(4);
    handlers.subscribe(without_backlog("slow", &slow)).unwrap();
    for (first, last, missed) in [(1, 6, 2), (11, 21, 7)] {
        let release = stall(&slow).await;
        publish(&handlers, first..=last);
        assert_eq!(counts(&handlers, "slow").await.missed, if first == 1 { 2 } else { 9 });
        drop(release);
        hear_numbers(&mut hears, first..=first + 3).await;
        assert_eq!(hear(&mut hears).await, Heard::Missed(missed));
    }
    publish(&handlers, 30..=30);
    assert_eq!(hear(&mut hears).await, Heard::Number(30));
}

#[actix::test]
async fn a_stopped_and_a_panicking_subscriber_are_forgotten_and_the_others_lose_nothing() {
    let handlers = registry();
    let (stops, _stops_hears) = Probe::start(16);
    let (panics, mut panics_hears) = Probe::start(16);
    let (stays, mut hears) = Probe::start(64);
    handlers.add_subscriber("stops", stops.clone().recipient()).unwrap();
    handlers.add_subscriber("panics", panics.clone().recipient()).unwrap();
    handlers.add_subscriber("stays", stays.recipient()).unwrap();
    publish(&handlers, 1..=1);
    hear_numbers(&mut panics_hears, 1..=1).await;
    stops.send(Order::Stop).await.unwrap();
    panics.send(Order::Panic).await.unwrap();
    publish(&handlers, 2..=10);
    hear_numbers(&mut hears, 1..=10).await;
    assert!(soon(panics_hears.recv()).await.is_none(), "its actor is gone");
    let left: Vec<_> = handlers.subscribers().await.unwrap().iter().map(|info| info.id.to_string()).collect();
    assert_eq!(left, ["stays"]);
    publish(&handlers, 11..=11);
    hear_numbers(&mut hears, 11..=11).await;
}

#[actix::test]
async fn a_panicking_closure_is_called_again_and_costs_its_neighbours_nothing() {
    let handlers = registry();
    let (told, mut tells) = unbounded_channel();
    let (next_to, mut next_to_hears) = Probe::start(16);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let handler = EventHandler::new()
        .on_reconnecting(move |_, attempt, _, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            assert!(attempt != 1, "the closure panics, as the test asked");
        })
        .on_event(move |event| told.send(event.clone()).unwrap());
    handlers.add_event_handler("panics", handler).unwrap();
    handlers.add_subscriber("neighbour", next_to.recipient()).unwrap();
    publish(&handlers, 1..=3);
    hear_numbers(&mut next_to_hears, 1..=3).await;
    hear_numbers(&mut tells, 1..=3).await;
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[actix::test]
async fn each_closure_hears_its_own_kind_and_the_handler_asks_for_no_other() {
    let handlers = registry();
    let (told, mut tells) = unbounded_channel::<String>();
    let tell = |what: &'static str| {
        let told = told.clone();
        move |event: &Event| told.send(format!("{what} {}", event.user())).unwrap()
    };
    let (reconnecting, disconnected, expires, message) = (told.clone(), told.clone(), told.clone(), told.clone());
    let handler = EventHandler::new()
        .on_connected(tell("connected"))
        .on_reconnecting(move |_, attempt, delay, cause| {
            reconnecting.send(format!("{attempt} in {delay:?}: {cause}")).unwrap();
        })
        .on_disconnected(move |_, reason| disconnected.send(reason.to_string()).unwrap())
        .on_token_will_expire(move |_, left| expires.send(format!("expires in {left:?}")).unwrap())
        .on_token_expired(tell("expired"));
    assert!(!handler.mask().contains(EventMask::MESSAGE));
    assert_eq!(EventHandler::new().mask(), EventMask::NONE);
    assert_eq!(
        EventHandler::new().on_message(move |_, _| drop(message.send(String::new()))).mask(),
        EventMask::MESSAGE
    );
    handlers.add_event_handler("all", handler).unwrap();
    assert!(!handlers.wanted().contains(EventMask::MESSAGE));

    for kind in [
        EventKind::Connected { resumed: false },
        EventKind::Reconnecting { attempt: 1, delay: Duration::from_secs(2), cause: LossCause::Ended },
        EventKind::Connected { resumed: true },
        EventKind::TokenWillExpire { at: 7, expires_in: Duration::from_secs(9) },
        EventKind::TokenExpired,
        EventKind::Disconnected { reason: DisconnectReason::Closed },
    ] {
        handlers.publish(event(kind));
    }
    let mut expected = vec![
        "connected alice".to_owned(),
        format!("1 in 2s: {}", LossCause::Ended),
        "connected alice".to_owned(),
        "expires in 9s".to_owned(),
        "expired alice".to_owned(),
        DisconnectReason::Closed.to_string(),
    ];
    for expected in expected.drain(..) {
        assert_eq!(soon(tells.recv()).await.unwrap(), expected);
    }
}

#[actix::test]
async fn a_slow_closure_misses_events_past_its_capacity_and_is_told() {
    let handlers = registry();
    let arbiter = Arbiter::new();
    let (told, mut tells) = unbounded_channel();
    let missed = told.clone();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let handler = EventHandler::new()
        .on_reconnecting(move |_, attempt, _, _| {
            told.send(Heard::Number(attempt)).unwrap();
            if attempt == 1 {
                // It blocks a thread of its own.
                let _ = gate.recv();
            }
        })
        .on_missed(move |_, count| missed.send(Heard::Missed(count)).unwrap())
        .capacity(4)
        .in_arbiter(&arbiter.handle());
    handlers.add_event_handler("slow", handler).unwrap();
    publish(&handlers, 1..=1);
    assert_eq!(soon(tells.recv()).await.unwrap(), Heard::Number(1));
    publish(&handlers, 2..=10);
    assert_eq!(counts(&handlers, "slow").await.missed, 5);
    drop(release);
    for expected in [2, 3, 4, 5].map(Heard::Number).into_iter().chain([Heard::Missed(5)]) {
        assert_eq!(soon(tells.recv()).await.unwrap(), expected);
    }
    arbiter.stop();
}

#[actix::test]
async fn a_burst_before_the_handlers_thread_has_started_finds_the_whole_capacity() {
    let handlers = registry();
    let arbiter = Arbiter::new();
    let (busy, free) = std::sync::mpsc::channel::<()>();
    assert!(arbiter.spawn_fn(move || assert!(free.recv().is_err())));
    let (told, mut tells) = unbounded_channel();
    let handler =
        EventHandler::new().on_event(move |event| told.send(event.clone()).unwrap()).in_arbiter(&arbiter.handle());
    handlers.add_event_handler("late", handler).unwrap();
    publish(&handlers, 1..=500);
    assert_eq!(counts(&handlers, "late").await.missed, 0);
    drop(busy);
    hear_numbers(&mut tells, 1..=500).await;
    arbiter.stop();
}

/// Says when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            let _ = told.send(());
        }
    }
}

fn handler_with_a_probe() -> (EventHandler, oneshot::Receiver<()>) {
    let (told, gone) = oneshot::channel();
    let probe = Dropped(Some(told));
    let handler = EventHandler::new().on_token_expired(move |_| {
        let _ = &probe;
    });
    (handler, gone)
}

#[actix::test]
async fn a_handlers_actor_ends_when_it_is_removed_replaced_or_its_registry_ends() {
    let handlers = registry();
    let (removed, removed_gone) = handler_with_a_probe();
    let (replaced, replaced_gone) = handler_with_a_probe();
    let (last, mut last_gone) = handler_with_a_probe();
    let (abandoned, abandoned_gone) = handler_with_a_probe();
    handlers.add_event_handler("removed", removed).unwrap();
    handlers.add_event_handler("replaced", replaced).unwrap();
    handlers.remove_subscriber("removed").unwrap();
    handlers.add_event_handler("replaced", last).unwrap();
    soon(removed_gone).await.unwrap();
    soon(replaced_gone).await.unwrap();
    assert_eq!(handlers.subscribers().await.unwrap().len(), 1);
    assert!(last_gone.try_recv().is_err(), "it still listens");
    handlers.shutdown().await.unwrap();
    soon(last_gone).await.unwrap();
    assert_eq!(handlers.wanted(), EventMask::NONE);
    assert_eq!(handlers.add_event_handler("late", abandoned), Err(ConnectionError::Stopped));
    soon(abandoned_gone).await.unwrap();
    assert_eq!(handlers.wanted(), EventMask::NONE, "a refused addition wants nothing");
    assert_eq!(handlers.subscribers().await, Err(ConnectionError::Stopped));
    assert_eq!(handlers.remove_subscriber("last"), Err(ConnectionError::Stopped));
    assert_eq!(handlers.shutdown().await, Err(ConnectionError::Stopped));
    handlers.publish(numbered(1));
}

#[actix::test]
async fn dropping_the_last_handle_ends_the_registry_even_while_a_subscriber_is_behind() {
    let handlers = registry();
    let (slow, _hears) = Probe::start(1);
    let _stalled_for_good = stall(&slow).await;
    handlers.subscribe(without_backlog("slow", &slow)).unwrap();
    handlers.add_subscriber("slow too", slow.clone().recipient()).unwrap();
    let (handler, gone) = handler_with_a_probe();
    handlers.add_event_handler("closures", handler).unwrap();
    publish(&handlers, 1..=3);
    assert_eq!(counts(&handlers, "slow").await.missed, 2);
    assert!(counts(&handlers, "slow too").await.queued > 0);
    drop((handlers, slow));
    soon(gone).await.unwrap();
}

#[actix::test]
async fn adding_under_a_known_id_replaces_and_removing_tells_whether_the_id_was_known() {
    let handlers = registry();
    let (first, mut first_hears) = Probe::start(16);
    let (second, mut second_hears) = Probe::start(16);
    handlers.add_subscriber("a", first.recipient()).unwrap();
    publish(&handlers, 1..=1);
    handlers.add_subscriber("a", second.recipient()).unwrap();
    publish(&handlers, 2..=2);
    assert_eq!(hear(&mut second_hears).await, Heard::Number(2));
    assert_eq!(hear(&mut first_hears).await, Heard::Number(1));
    assert!(soon(first_hears.recv()).await.is_none(), "nobody keeps it any more");
    let remove = |id: &str| handlers.address().send(Unsubscribe(id.into()));
    assert_eq!(remove("b").await, Ok(false));
    assert_eq!(remove("a").await, Ok(true));
    assert_eq!(remove("a").await, Ok(false));
    handlers.remove_subscriber("never added").unwrap();
    assert!(soon(second_hears.recv()).await.is_none());
}

#[actix::test]
async fn the_actor_can_be_driven_by_messages_alone() {
    let handlers = registry();
    let (probe, mut hears) = Probe::start(16);
    let add = Subscribe::from(Subscription::new("a", probe.recipient()).events(EventMask::RECONNECTING));
    handlers.address().send(add).await.unwrap();
    assert_eq!(handlers.wanted(), EventMask::RECONNECTING);
    handlers.address().send(Publish::from(event(EventKind::TokenExpired))).await.unwrap();
    handlers.address().send(Publish::from(numbered(1))).await.unwrap();
    assert_eq!(hear(&mut hears).await, Heard::Number(1));
    let info = counts(&handlers, "a").await;
    assert_eq!((info.mask, info.delivered, info.missed), (EventMask::RECONNECTING, 1, 0));
}

#[actix::test]
async fn wanted_is_exact_after_replacing_removing_and_stopping() {
    let handlers = registry();
    let (a, _a_hears) = Probe::start(16);
    let (b, _b_hears) = Probe::start(16);
    assert_eq!(handlers.wanted(), EventMask::NONE);
    handlers.subscribe(Subscription::new("a", a.clone().recipient()).events(EventMask::MESSAGE)).unwrap();
    assert_eq!(handlers.wanted(), EventMask::MESSAGE, "at once, before the registry has handled it");
    handlers.subscribe(Subscription::new("b", b.clone().recipient()).events(EventMask::CONNECTED)).unwrap();
    assert_eq!(handlers.wanted(), EventMask::MESSAGE | EventMask::CONNECTED);
    handlers.subscribe(Subscription::new("b", b.clone().recipient()).events(EventMask::TOKEN_EXPIRED)).unwrap();
    assert_eq!(handlers.subscribers().await.unwrap().len(), 2);
    assert_eq!(handlers.wanted(), EventMask::MESSAGE | EventMask::TOKEN_EXPIRED);
    handlers.remove_subscriber("a").unwrap();
    assert_eq!(handlers.subscribers().await.unwrap().len(), 1);
    assert_eq!(handlers.wanted(), EventMask::TOKEN_EXPIRED);
    b.send(Order::Stop).await.unwrap();
    drop(b);
    soon(async {
        while !handlers.subscribers().await.unwrap().is_empty() {
            actix_rt::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(handlers.wanted(), EventMask::NONE);
}

#[actix::test]
async fn an_addition_from_another_thread_is_never_missing_from_wanted_while_others_come_and_go() {
    let handlers = registry();
    let (probe, _hears) = Probe::start(16);
    let (stays, _stays_hears) = Probe::start(16);
    let churn = {
        let (handlers, recipient) = (handlers.clone(), probe.recipient());
        actix_rt::task::spawn_blocking(move || {
            for _ in 0..2_000 {
                // Busy now and then, which is as good as not asking.
                let _ = handlers.subscribe(Subscription::new("churn", recipient.clone()).events(EventMask::CONNECTED));
                let _ = handlers.remove_subscriber("churn");
            }
        })
    };
    let adder = {
        let (handlers, recipient) = (handlers.clone(), stays.recipient());
        actix_rt::task::spawn_blocking(move || {
            for _ in 0..500 {
                while handlers
                    .subscribe(Subscription::new("stays", recipient.clone()).events(EventMask::MESSAGE))
                    .is_err()
                {
                    thread::yield_now();
                }
                assert!(handlers.wanted().contains(EventMask::MESSAGE), "an addition was wiped out");
            }
        })
    };
    soon(adder).await.unwrap();
    soon(churn).await.unwrap();
    handlers.address().send(Unsubscribe("churn".into())).await.unwrap();
    assert_eq!(handlers.wanted(), EventMask::MESSAGE);
}

#[test]
fn outside_an_actix_system_starting_is_an_error_and_a_stopped_arbiter_is_reported() {
    let log = slog::Logger::root(slog::Discard, slog::o!());
    assert_eq!(HandlerRegistry::start_here(&log).unwrap_err(), ConnectionError::NoSystem);
    actix::System::new().block_on(async {
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        handle.stop();
        arbiter.join().unwrap();
        let handlers = HandlerRegistry::start_on(&handle, &log);
        assert_eq!(handlers.remove_subscriber("a"), Err(ConnectionError::Stopped));
        assert_eq!(handlers.subscribers().await, Err(ConnectionError::Stopped));
    });
}

#[actix::test]
async fn a_registry_on_another_arbiter_serves_subscribers_of_every_thread() {
    let arbiter = Arbiter::new();
    let handlers = HandlerRegistry::start_on(&arbiter.handle(), &slog::Logger::root(slog::Discard, slog::o!()));
    let (probe, mut hears) = Probe::start(64);
    handlers.add_subscriber("here", probe.recipient()).unwrap();
    let (told, mut tells) = unbounded_channel();
    let handler = EventHandler::new().on_event(move |event| told.send(event.clone()).unwrap());
    handlers.add_event_handler("there", handler).unwrap();
    publish(&handlers, 1..=10);
    hear_numbers(&mut hears, 1..=10).await;
    hear_numbers(&mut tells, 1..=10).await;
    arbiter.stop();
}

#[actix::test]
async fn calls_past_the_mailbox_bound_are_refused_as_busy() {
    let handlers = registry();
    // The registry shares this thread, so it handles nothing until the next await.
    let refused =
        (0..=HandlerRegistry::MAILBOX).map(|_| handlers.remove_subscriber("a")).filter(Result::is_err).count();
    assert_eq!(refused, 1);
    assert_eq!(handlers.remove_subscriber("a"), Err(ConnectionError::Busy));
    assert!(handlers.subscribers().await.unwrap().is_empty());
    assert_eq!(handlers.remove_subscriber("a"), Ok(()));
}
