//! An actor that ends by a panic or with its arbiter, and what `close` says.

use std::time::Duration;

use actix::{Actor, Handler};
use actix_rt::Arbiter;
use agora_chat::{
    Connection, ConnectionActor, ConnectionError, ConnectionState, Credentials, DisconnectReason, EventHandler,
    EventKind, EventMask, HandlerRegistry, OpenError, SendError,
    connection::{Close, Closed, StateChange},
    errors::ActorEnd,
    local_server::{Cut, FrameKind, LocalServer},
    wire::Upward,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::connection::{
    raw::Port,
    support::{Heard, LIMIT, alice, bob, listen, online, pauses_of, quick, server, start, within},
};

/// Has an actor panic in its handler.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut <Self as Actor>::Context) {
        panic!("the connection's actor panics, as the test asked");
    }
}

impl Handler<Die> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut <Self as Actor>::Context) {
        panic!("the registry panics, as the test asked");
    }
}

const PANICKED: DisconnectReason = DisconnectReason::ActorEnded(ActorEnd::Panicked);
const STOPPED: DisconnectReason = DisconnectReason::ActorEnded(ActorEnd::Stopped);

async fn die(connection: &Connection) {
    within("the panic", connection.address().send(Die)).await.unwrap_err();
}

fn log_outs(server: &LocalServer, user: &str) -> usize {
    server.sent_by(user).iter().filter(|frame| frame.kind == FrameKind::Logout).count()
}

#[actix::test]
async fn an_actor_that_panics_is_told_to_everybody_who_waits() {
    let server = server().await;
    let (connection, mut heard) = online(server.config(), alice()).await;
    let mut watch = connection.watch();
    assert_eq!(watch.next().await, Some(StateChange::To(ConnectionState::Online)));
    assert_eq!(connection.ended(), None);
    die(&connection).await;
    assert_eq!(heard.next().await, EventKind::Disconnected { reason: PANICKED });
    assert_eq!(watch.next().await, Some(StateChange::To(ConnectionState::LoggedOut)));
    assert_eq!(within("the end of the watch", watch.next()).await, None);
    assert_eq!((connection.state(), connection.ended()), (ConnectionState::LoggedOut, Some(ActorEnd::Panicked)));
    assert_eq!(connection.health().await, Err(ConnectionError::Stopped));
    assert_eq!(within("close", connection.close()).await, Closed::ActorGone);
    assert_eq!(within("close", connection.close()).await, Closed::ActorGone, "said again");
    let error = connection.open(alice()).await.unwrap_err();
    assert!(matches!(error, OpenError::Connection(ConnectionError::Stopped)), "{error:?}");
    // The goodbye went out all the same.
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
    assert_eq!(log_outs(&server, "alice"), 1);
    assert!(heard.rest().is_empty(), "told once");
}

#[actix::test]
async fn sends_of_an_actor_that_panics_come_to_their_true_outcome() {
    // One on its way, and one that waits for the link.
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config().reconnect(pauses_of(Duration::from_secs(3600))));
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(Credentials::token("alice", "YWMt-token").unwrap()).await }
    });
    let mut peer = port.login().await;
    opening.await.unwrap().unwrap();
    let send = |connection: &Connection| {
        let connection = connection.clone();
        actix_rt::spawn(async move { connection.send_text("bob", "hello").await })
    };
    let unanswered = send(&connection);
    assert!(matches!(peer.upward().await, Upward::Sync(_)));
    let (second, mut second_heard) = start(port.config().reconnect(pauses_of(Duration::from_secs(3600))));
    let opening = actix_rt::spawn({
        let second = second.clone();
        async move { second.open(Credentials::token("bob", "YWMt-token").unwrap()).await }
    });
    let second_peer = port.login().await;
    opening.await.unwrap().unwrap();
    second_peer.reset();
    second_heard.lost().await;
    let kept = send(&second);
    while second.health().await.unwrap().buffered_sends == 0 {
        actix_rt::task::yield_now().await;
    }

    die(&connection).await;
    let outcome = within("the outcome", unanswered).await.unwrap();
    assert!(matches!(outcome, Err(SendError::OutcomeUnknown { .. })), "{outcome:?}");
    die(&second).await;
    let outcome = within("the outcome", kept).await.unwrap();
    assert_eq!(outcome, Err(SendError::Ended(PANICKED)), "surely not sent");
    assert_eq!(heard.disconnected().await, PANICKED);
    assert_eq!(second_heard.disconnected().await, PANICKED);
    assert_eq!(connection.send_text("bob", "late").await, Err(SendError::Connection(ConnectionError::Stopped)));
}

#[actix::test]
async fn an_open_and_a_close_under_way_are_answered_by_an_actor_that_panics() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(Credentials::token("alice", "YWMt-token").unwrap()).await }
    });
    let mut peer = port.upgraded().await;
    peer.upward().await;
    die(&connection).await;
    let error = within("open", opening).await.unwrap().unwrap_err();
    assert!(matches!(&error, OpenError::Ended { reason, .. } if *reason == PANICKED), "{error:?}");
    assert_eq!(heard.disconnected().await, PANICKED);

    let (connection, mut heard) = start(port.config().logout_timeout(LIMIT));
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(Credentials::token("alice", "YWMt-token").unwrap()).await }
    });
    let mut peer = port.login().await;
    opening.await.unwrap().unwrap();
    let closing = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.close().await }
    });
    assert!(matches!(peer.upward().await, Upward::Logout(_)));
    die(&connection).await;
    assert_eq!(within("close", closing).await.unwrap(), Closed::ActorGone, "the answer had not come");
    assert_eq!(heard.disconnected().await, DisconnectReason::Closed, "it was asked for all the same");
}

/// Hears on this thread what a connection of another arbiter tells.
fn listen_here(connection: &Connection) -> UnboundedReceiver<EventKind> {
    let (tell, heard) = unbounded_channel();
    let handler = EventHandler::new()
        .on_event(move |event| {
            if event.kind().mask() != EventMask::OFFLINE_SYNC {
                let _ = tell.send(event.kind().clone());
            }
        })
        .in_arbiter(&Arbiter::current());
    connection.add_event_handler("here", handler).unwrap();
    heard
}

async fn next(heard: &mut UnboundedReceiver<EventKind>) -> EventKind {
    within("the next event", heard.recv()).await.unwrap()
}

#[actix::test]
async fn an_arbiter_that_ends_is_told_to_subscribers_of_other_arbiters_and_close_is_honest() {
    let server = server().await;
    for shared in [false, true] {
        let arbiter = Arbiter::new();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let handlers = if shared {
            HandlerRegistry::start_here(&log).unwrap()
        } else {
            HandlerRegistry::start_on(&arbiter.handle(), &log)
        };
        let connection = Connection::start_with(&arbiter.handle(), server.config().build().unwrap(), handlers);
        let mut heard = listen_here(&connection);
        within("open", connection.open(alice())).await.unwrap();
        assert_eq!(next(&mut heard).await, EventKind::Connected { resumed: false });
        arbiter.stop();
        assert_eq!(next(&mut heard).await, EventKind::Disconnected { reason: STOPPED }, "shared: {shared}");
        arbiter.join().unwrap();
        assert_eq!(connection.ended(), Some(ActorEnd::Stopped));
        assert_eq!(within("close", connection.close()).await, Closed::ActorGone);
        assert!(!Closed::ActorGone.is_clean());
        server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
    }
    assert_eq!(log_outs(&server, "alice"), 2, "the goodbye goes out though nobody waits for its answer");
}

#[actix::test]
async fn an_arbiter_that_ends_while_close_waits_for_the_answer_is_told_by_close() {
    let server = server().await;
    let arbiter = Arbiter::new();
    let config = server.config().logout_timeout(Duration::from_secs(3600));
    let connection = Connection::start_on(&arbiter.handle(), config.build().unwrap());
    let mut heard = listen_here(&connection);
    within("open", connection.open(alice())).await.unwrap();
    server.set_silent(true);
    let closing = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.close().await }
    });
    server.wait_until(LIMIT, |server| log_outs(server, "alice") == 1).await.unwrap();
    arbiter.stop();
    assert_eq!(within("close", closing).await.unwrap(), Closed::ActorGone);
    assert_eq!(next(&mut heard).await, EventKind::Connected { resumed: false });
    assert_eq!(next(&mut heard).await, EventKind::Disconnected { reason: DisconnectReason::Closed });
    arbiter.join().unwrap();
}

#[actix::test]
async fn a_system_that_stops_is_told_by_close_and_to_subscribers_of_another_system() {
    let server = server().await;
    let (tell, started) = tokio::sync::oneshot::channel();
    let config = server.config();
    let thread = std::thread::spawn(move || {
        let system = actix::System::new();
        let handle = Arbiter::current();
        tell.send((Connection::start_on(&handle, config.build().unwrap()), actix::System::current())).unwrap();
        system.run().unwrap();
    });
    let (connection, system) = started.await.unwrap();
    let mut heard = listen_here(&connection);
    within("open", connection.open(alice())).await.unwrap();
    assert_eq!(next(&mut heard).await, EventKind::Connected { resumed: false });
    system.stop();
    assert_eq!(next(&mut heard).await, EventKind::Disconnected { reason: STOPPED });
    assert_eq!(within("close", connection.close()).await, Closed::ActorGone);
    actix_rt::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
}

#[actix::test]
async fn sends_of_an_arbiter_that_ends_come_to_their_true_outcome() {
    let server = server().await;
    let arbiter = Arbiter::new();
    let connection = Connection::start_on(&arbiter.handle(), server.config().build().unwrap());
    within("open", connection.open(alice())).await.unwrap();
    server.set_silent(true);
    let sending = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.send_text("bob", "hello").await }
    });
    let sent =
        |server: &LocalServer| server.sent_by("alice").iter().any(|frame| matches!(frame.kind, FrameKind::Send { .. }));
    server.wait_until(LIMIT, sent).await.unwrap();
    arbiter.stop();
    let outcome = within("the outcome", sending).await.unwrap();
    assert!(matches!(outcome, Err(SendError::OutcomeUnknown { .. })), "{outcome:?}");
    arbiter.join().unwrap();
}

#[actix::test]
async fn close_says_whether_the_server_knows() {
    let server = server().await;
    let (connection, _heard) = start(quick(server.config()));
    assert_eq!(connection.close().await, Closed::NotLoggedIn);
    connection.open(alice()).await.unwrap();
    let (one, other) = (connection.clone(), connection.clone());
    let both = tokio::join!(within("close", one.close()), within("close", other.close()));
    assert_eq!(both, (Closed::LoggedOut, Closed::LoggedOut));
    assert_eq!(connection.close().await, Closed::NotLoggedIn);
    connection.open(alice()).await.unwrap();
    assert_eq!(connection.address().send(Close).await.unwrap(), Closed::LoggedOut, "by message too");
    assert!(Closed::LoggedOut.is_clean() && Closed::NotLoggedIn.is_clean() && !Closed::Cut.is_clean());

    // A LOGOUT that is not answered, and a link that is down.
    let config = quick(server.config()).logout_timeout(Duration::from_millis(20));
    let (connection, _heard) = online(config.clone(), alice()).await;
    server.set_silent(true);
    assert_eq!(within("close", connection.close()).await, Closed::Cut);
    server.set_silent(false);
    let (connection, mut heard) = online(config.reconnect(pauses_of(Duration::from_secs(3600))), bob()).await;
    server.drop_links("bob", Cut::Rst);
    heard.lost().await;
    assert_eq!(within("close", connection.close()).await, Closed::Cut);
    assert_eq!(connection.close().await, Closed::NotLoggedIn);
    assert_eq!(connection.ended(), None);
}

#[actix::test]
async fn a_connection_goes_on_when_its_registry_dies_and_its_subscribers_hear_on() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    within("the panic", connection.handlers().address().send(Die)).await.unwrap_err();
    assert!(connection.handlers().is_dead());
    server.send_text("bob", "alice", "are you there?").unwrap();
    assert_eq!(crate::connection::support::text(&heard.message().await), "are you there?");
    connection.send_text("bob", "yes").await.unwrap();
    let health = connection.health().await.unwrap();
    assert_eq!((health.state, health.missed_events), (ConnectionState::Online, 0));
    server.drop_links("alice", Cut::Rst);
    assert!(heard.connected().await);
    die(&connection).await;
    assert_eq!(heard.disconnected().await, PANICKED);
}

#[actix::test]
async fn losses_of_accounts_that_share_a_registry_are_told_apart() {
    let server = server().await;
    let handlers = HandlerRegistry::start_here(&slog::Logger::root(slog::Discard, slog::o!())).unwrap();
    let here = Arbiter::current();
    let start = || Connection::start_with(&here, server.config().build().unwrap(), handlers.clone());
    let (ours, theirs) = (start(), start());
    let (gate, gated) = std::sync::mpsc::channel::<()>();
    let arbiter = Arbiter::new();
    let (tell, mut tells) = unbounded_channel();
    let handler = EventHandler::new()
        .on_message({
            let mut gated = Some(gated);
            move |_, _| {
                let _ = gated.take().map(|gated| gated.recv());
            }
        })
        .on_event(move |event| {
            if let EventKind::Missed { count } = event.kind() {
                tell.send((event.user().to_string(), *count)).unwrap();
            }
        })
        .capacity(1)
        .in_arbiter(&arbiter.handle());
    handlers.add_event_handler("slow", handler).unwrap();
    let mut all: Heard = listen(&ours, "all");
    within("open", ours.open(alice())).await.unwrap();
    within("open", theirs.open(bob())).await.unwrap();
    server.create_user("carol", "pw").unwrap();
    for n in 0..30 {
        server.send_text("carol", "alice", &n.to_string()).unwrap();
    }
    for _ in 0..30 {
        all.message().await;
    }
    let missed = (ours.health().await.unwrap().missed_events, theirs.health().await.unwrap().missed_events);
    assert!((20..30).contains(&missed.0), "{missed:?}");
    assert_eq!(missed.1, 0, "nothing of bob's is lost");
    drop(gate);
    let (user, _) = within("the notice", tells.recv()).await.unwrap();
    assert_eq!(user, "alice");
    arbiter.stop();
}
