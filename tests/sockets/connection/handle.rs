//! The handle: clones, threads, arbiters, and the end when the last one is gone.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use actix_rt::{Arbiter, System};
use agora_chat::{
    Config, Connection, ConnectionActor, ConnectionError, ConnectionState, Credentials, DisconnectReason, Event,
    EventHandler, EventKind, HandlerRegistry, Handlers, LogHandle, OpenError, Outgoing, RequestError, SendError,
    connection::{Close, Open, State},
    errors::ActorEnd,
    local_server::{Cut, DevicePolicy, FrameKind},
};
use static_assertions::assert_impl_all;

use crate::connection::{
    raw::Port,
    support::{LIMIT, alice, bob, listen, online, pauses_of, quick, server, start, text, within},
};

assert_impl_all!(Connection: Clone, Send, Sync, Unpin);
assert_impl_all!(Handlers: Clone, Send, Sync);
assert_impl_all!(LogHandle: Clone, Send, Sync);
assert_impl_all!(Config: Clone, Send, Sync);
assert_impl_all!(actix::Addr<ConnectionActor>: Clone, Send, Sync);

fn send<T: Send>(_: &T) {}

/// Compiled, never run: what is awaited in an application may cross threads.
#[allow(dead_code)]
fn every_future_of_the_handle_is_send(connection: &Connection, outgoing: Outgoing) {
    send(&connection.open(alice()));
    send(&connection.close());
    send(&connection.send(outgoing));
    send(&connection.send_text("bob", "hello"));
    send(&connection.send_command("bob", "wave"));
    send(&connection.register_user("carol", "pw", None));
    send(&connection.renew_token("token"));
    send(&connection.subscribers());
}

#[actix::test]
async fn dropping_the_last_handle_logs_out_and_ends_the_actor_and_its_registry() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    let address = connection.address().clone();
    let clone = connection.clone();
    drop(connection);
    assert_eq!(clone.state(), ConnectionState::Online, "a handle is left");
    drop(clone);
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
    assert_eq!(server.sent_by("alice").last().unwrap().kind, FrameKind::Logout);
    let last = heard.ended().await;
    assert!(matches!(&last[..], [EventKind::Disconnected { .. }]), "{last:?}");
    within("the actor's end", async {
        while address.connected() {
            actix_rt::task::yield_now().await;
        }
    })
    .await;
    server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
}

#[actix::test]
async fn dropping_the_last_handle_ends_a_connection_in_every_other_state_too() {
    let server = server().await;
    let (idle, mut heard) = start(server.config());
    drop(idle);
    assert!(heard.ended().await.is_empty());

    // Asked by message, since a future of the handle would keep it alive.
    let port = Port::open().await;
    let (opening, mut heard) = start(port.config());
    let asked = actix_rt::spawn(opening.address().send(Open(alice().into())));
    let mut call = port.link().await;
    call.head().await;
    drop(opening);
    assert!(matches!(within("open", asked).await.unwrap().unwrap(), Err(OpenError::Ended { .. })));
    assert_eq!(heard.ended().await.len(), 1);
    call.closed().await;

    let pause = pauses_of(Duration::from_secs(3600));
    let (reconnecting, mut heard) = online(server.config().reconnect(pause), alice()).await;
    server.drop_links("alice", Cut::Rst);
    heard.lost().await;
    drop(reconnecting);
    assert_eq!(heard.ended().await, [EventKind::Disconnected { reason: DisconnectReason::Closed }]);
}

#[actix::test]
async fn everything_can_be_asked_of_the_actor_by_message() {
    let server = server().await;
    let (connection, _heard) = start(server.config());
    let actor = connection.address();
    assert_eq!(actor.send(State).await.unwrap(), ConnectionState::LoggedOut);
    actor.send(Open(alice().into())).await.unwrap().unwrap();
    assert_eq!(actor.send(State).await.unwrap(), ConnectionState::Online);
    actor.send(Close).await.unwrap();
    assert_eq!(actor.send(State).await.unwrap(), ConnectionState::LoggedOut);
}

#[actix::test]
async fn a_connection_is_used_from_many_threads_at_once() {
    let server = server().await;
    let (alice, _heard) = online(server.config(), alice()).await;
    let (bob, mut bob_hears) = online(server.config(), bob()).await;
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let arbiters: Vec<_> = (0..4).map(|_| Arbiter::new()).collect();
    for (worker, arbiter) in arbiters.iter().enumerate() {
        let (alice, told) = (alice.clone(), told.clone());
        arbiter.spawn(async move {
            for n in 0..50 {
                let sent = alice.send_text("bob", &format!("{worker}.{n}")).await;
                assert_eq!(alice.state(), ConnectionState::Online);
                let _ = told.send(sent.map(|sent| sent.server_id));
            }
        });
    }
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(within("a worker", tells.recv()).await.unwrap().unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200);
    let mut next = [0; 4];
    for _ in 0..200 {
        let message = bob_hears.message().await;
        let (worker, n) = text(&message).split_once('.').unwrap();
        let worker: usize = worker.parse().unwrap();
        assert_eq!(n, next[worker].to_string(), "each worker's own messages keep their order");
        next[worker] += 1;
    }
    let (closer, closed) = (alice.clone(), Arc::new(tokio::sync::Notify::new()));
    arbiters[0].spawn({
        let closed = Arc::clone(&closed);
        async move {
            closer.close().await;
            closed.notify_one();
        }
    });
    within("close from another thread", closed.notified()).await;
    assert_eq!(alice.state(), ConnectionState::LoggedOut);
    bob.close().await;
    for arbiter in arbiters {
        arbiter.stop();
        arbiter.join().unwrap();
    }
}

#[actix::test]
async fn a_connection_lives_on_the_arbiter_it_was_started_on() {
    let server = server().await;
    let arbiter = Arbiter::new();
    let connection = Connection::start_on(&arbiter.handle(), quick(server.config()).build().unwrap());
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let here = thread::current().id();
    connection
        .add_event_handler(
            "thread",
            agora_chat::EventHandler::new().on_connected(move |_| {
                let _ = told.send(thread::current().id());
            }),
        )
        .unwrap();
    let mut heard = listen(&connection, "test");
    within("open", connection.open(alice())).await.unwrap();
    let there = within("the event", tells.recv()).await.unwrap();
    assert_ne!(here, there);
    assert!(!heard.connected().await);
    within("close", connection.close()).await;
    arbiter.stop();
    arbiter.join().unwrap();
}

#[actix::test]
async fn one_registry_may_serve_several_connections() {
    let server = server().await;
    let arbiter = Arbiter::current();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let handlers = HandlerRegistry::start_on(&arbiter, &log);
    let first = Connection::start_with(&arbiter, server.config().build().unwrap(), handlers.clone());
    let second = Connection::start_with(&arbiter, server.config().build().unwrap(), handlers);
    let mut heard = listen(&first, "both");
    first.open(alice()).await.unwrap();
    second.open(bob()).await.unwrap();
    let users = [heard.event().await.user().to_string(), heard.event().await.user().to_string()];
    assert_eq!(users, ["alice", "bob"]);
    first.close().await;
    drop(first);
    assert!(matches!(heard.next().await, EventKind::Disconnected { .. }));
    second.close().await;
    assert!(matches!(heard.next().await, EventKind::Disconnected { .. }), "the registry outlives the first");
}

#[actix::test]
async fn a_subscriber_of_two_connections_answers_each_on_the_right_one() {
    let server = server().await;
    server.create_user("carol", "pw").unwrap();
    let arbiter = Arbiter::current();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let handlers = HandlerRegistry::start_on(&arbiter, &log);
    let first = Connection::start_with(&arbiter, server.config().build().unwrap(), handlers.clone());
    let second = Connection::start_with(&arbiter, server.config().build().unwrap(), handlers);
    let mut heard = listen(&first, "both");
    first.open(alice()).await.unwrap();
    second.open(bob()).await.unwrap();
    for _ in 0..2 {
        let connected = heard.event().await;
        assert!(matches!(connected.kind(), EventKind::Connected { .. }));
        assert!(connected.connection().is_some());
    }
    let (carol, mut answers) = online(server.config(), Credentials::password("carol", "pw").unwrap()).await;
    for user in ["bob", "alice", "bob"] {
        carol.send_text(user, "who is there?").await.unwrap();
        let event = heard.event().await;
        let EventKind::Message(message) = event.kind() else { panic!("{event:?}") };
        let answered = event.connection().unwrap().send_text(message.conversation(), event.user().as_str()).await;
        answered.unwrap();
        let answer = answers.message().await;
        assert_eq!((&*answer.from, text(&answer)), (user, user));
    }
    first.close().await;
    let ended = heard.event().await;
    assert!(ended.connection().is_some(), "it may be opened again");
    drop(first);
    assert!(ended.connection().is_none(), "an event holds no connection");
    assert!(Event::new("alice".parse().unwrap(), EventKind::TokenExpired).connection().is_none());
}

/// Holds up whoever wakes it until an event was heard.
struct HoldsUp {
    hears: Mutex<mpsc::Receiver<()>>,
    heard: AtomicBool,
    task: Waker,
}

impl Wake for HoldsUp {
    fn wake(self: Arc<Self>) {
        let heard = self.hears.lock().unwrap().recv_timeout(LIMIT).is_ok();
        self.heard.store(heard, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

#[actix::test]
async fn an_event_is_published_before_whoever_asked_is_told_what_follows_from_it() {
    let server = server().await;
    let others = Arbiter::new();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let handlers = HandlerRegistry::start_on(&others.handle(), &log);
    let (tell, hears) = mpsc::channel();
    let handler = EventHandler::new().in_arbiter(&others.handle()).on_connected(move |_| tell.send(()).unwrap());
    handlers.add_event_handler("another thread", handler).unwrap();
    let connection = Connection::start_with(&Arbiter::current(), server.config().build().unwrap(), handlers);
    let mut opening = pin!(connection.open(alice()));
    let (mut hears, mut waker) = (Some(hears), None::<Arc<HoldsUp>>);
    poll_fn(|task| {
        // Once the login is under way, its outcome alone wakes it: on this thread, within the actor's turn.
        if waker.is_none() && connection.state() != ConnectionState::LoggedOut {
            let hears = Mutex::new(hears.take().unwrap());
            waker = Some(Arc::new(HoldsUp { hears, heard: AtomicBool::new(false), task: task.waker().clone() }));
        }
        match &waker {
            Some(waker) => opening.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker)))),
            None => opening.as_mut().poll(task),
        }
    })
    .await
    .unwrap();
    assert!(waker.unwrap().heard.load(Ordering::Relaxed), "the caller was told first");
}

/// Every call on a connection whose arbiter has ended.
async fn finds_it_stopped(connection: &Connection) {
    let opened = within("open", connection.open(alice())).await;
    assert!(matches!(opened, Err(OpenError::Connection(ConnectionError::Stopped))), "{opened:?}");
    let sent = within("send", connection.send_text("bob", "?")).await;
    assert!(matches!(sent, Err(SendError::Connection(ConnectionError::Stopped))), "{sent:?}");
    let registered = within("register", connection.register_user("carol", "pw", None)).await;
    assert!(matches!(registered, Err(RequestError::Connection(ConnectionError::Stopped))), "{registered:?}");
    let renewed = within("renew", connection.renew_token("t")).await;
    assert!(matches!(renewed, Err(RequestError::Connection(ConnectionError::Stopped))), "{renewed:?}");
    within("close", connection.close()).await;
    assert_eq!(connection.state(), ConnectionState::LoggedOut, "nobody is left to be online");
}

#[actix::test]
async fn an_arbiter_that_ends_takes_its_connections_along_and_the_handle_says_so() {
    let server = server().await;
    let arbiter = Arbiter::new();
    let connection = Connection::start_on(&arbiter.handle(), quick(server.config()).build().unwrap());
    within("open", connection.open(alice())).await.unwrap();
    arbiter.stop();
    arbiter.join().unwrap();
    server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
    finds_it_stopped(&connection).await;
}

#[actix::test]
async fn a_call_that_waits_when_the_arbiter_ends_is_answered() {
    let port = Port::open().await;
    let arbiter = Arbiter::new();
    let connection = Connection::start_on(&arbiter.handle(), port.config().build().unwrap());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(alice()).await }
    });
    let mut call = port.link().await;
    call.head().await;
    arbiter.stop();
    let opened = within("open", opening).await.unwrap();
    let reason = DisconnectReason::ActorEnded(ActorEnd::Stopped);
    assert_eq!(opened, Err(OpenError::Ended { user: "alice".parse().unwrap(), reason }));
    arbiter.join().unwrap();
    call.closed().await;
}

#[actix::test]
async fn one_thread_holds_more_than_a_hundred_connections() {
    let server = server().await;
    server.max_devices(None, DevicePolicy::RefuseNew);
    let connections: Vec<_> = (0..150).map(|_| start(server.config())).collect();
    let openings: Vec<_> = connections
        .iter()
        .map(|(connection, _)| {
            let connection = connection.clone();
            actix_rt::spawn(async move { connection.open(alice()).await })
        })
        .collect();
    for opening in openings {
        within("open", opening).await.unwrap().unwrap();
    }
    assert_eq!(server.sessions("alice").len(), 150);
    for (connection, _) in &connections {
        connection.close().await;
    }
}

#[actix::test]
async fn on_an_arbiter_that_has_ended_nothing_starts_and_every_call_says_so() {
    let server = server().await;
    let arbiter = Arbiter::new();
    let handle = arbiter.handle();
    arbiter.stop();
    arbiter.join().unwrap();
    let connection = Connection::start_on(&handle, server.config().build().unwrap());
    finds_it_stopped(&connection).await;
}

#[test]
fn outside_a_system_starting_is_a_typed_error() {
    let config = Config::builder("local#test");
    assert!(matches!(Connection::start(config.build().unwrap()), Err(ConnectionError::NoSystem)));
}

/// Runs a system to its end in a thread of its own and gives back what it left.
fn a_whole_system<T: Send + 'static, F: Future<Output = T>>(life: impl FnOnce() -> F + Send + 'static) -> T {
    let (done, end) = mpsc::channel();
    thread::spawn(move || {
        let left = System::new().block_on(life());
        let _ = done.send(left);
    });
    end.recv_timeout(LIMIT).expect("the system ends without a panic")
}

#[test]
fn a_handle_may_be_dropped_before_while_and_after_its_system_stops() {
    for turn in 0..3 {
        let left = a_whole_system(move || async move {
            let server = server().await;
            let (connection, _heard) = online(quick(server.config()), alice()).await;
            match turn {
                0 => {
                    drop(connection);
                    System::current().stop();
                    None
                }
                1 => {
                    System::current().stop();
                    drop(connection);
                    None
                }
                _ => Some(connection),
            }
        });
        if let Some(connection) = left {
            assert_eq!(connection.state(), ConnectionState::LoggedOut);
            drop(connection);
        }
    }
}

#[test]
fn a_system_may_stop_in_the_midst_of_a_login() {
    let connection = a_whole_system(|| async {
        let server = server().await;
        server.set_silent(true);
        let (connection, _heard) = start(server.config());
        let opening = connection.clone();
        actix_rt::spawn(async move {
            let _ = opening.open(alice()).await;
        });
        server.wait_until(LIMIT, |server| server.connects() == 1).await.unwrap();
        connection
    });
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
}
