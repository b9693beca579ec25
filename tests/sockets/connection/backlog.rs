//! A registry that cannot keep up holds back the reading of its connections.

use std::{sync::mpsc, time::Duration};

use agora_chat::{
    Connection, ConnectionState, Event, EventHandler, EventKind, EventMask, HandlerRegistry, Handlers,
    connection::StateChange, local_server::LocalServer,
};
use tokio::sync::mpsc::unbounded_channel;

use crate::connection::support::{alice, quick, within};

const TEXTS: u64 = 20_000;

/// Keeps an arbiter's thread until it is told to go on; returns once the thread is held.
fn hold(arbiter: &actix_rt::ArbiterHandle) -> mpsc::Sender<()> {
    let ((release, released), (tell, held)) = (mpsc::channel::<()>(), mpsc::channel());
    arbiter.spawn_fn(move || {
        tell.send(()).unwrap();
        // The end of the test releases it as well.
        let _ = released.recv();
    });
    held.recv().unwrap();
    release
}

#[actix::test]
async fn a_connection_stops_reading_while_its_registry_is_behind_and_loses_nothing() {
    let server = LocalServer::builder().page_size(50).queue_limit(TEXTS as usize).start().await.unwrap();
    server.create_user("alice", "pw-a").unwrap();
    server.create_user("bob", "pw-b").unwrap();
    let elsewhere = actix_rt::Arbiter::new();
    let config = quick(server.config());
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let handlers = HandlerRegistry::start_on(&elsewhere.handle(), &log);
    let here = actix_rt::Arbiter::try_current().unwrap();
    let connection = Connection::start_with(&here, config.build().unwrap(), handlers.clone());
    let (tell, mut heard) = unbounded_channel();
    let closures = EventHandler::new().capacity(TEXTS as usize + 100).on_message(move |_, message| {
        let _ = tell.send(message.id);
    });
    connection.add_event_handler("test", closures).unwrap();
    within("open", connection.open(alice())).await.unwrap();
    let release = hold(&elsewhere.handle());
    server.fill_queue("alice", "bob", TEXTS).unwrap();
    // It reads until the registry is behind, and hardly any further: a round of reading a second.
    let health = loop {
        let before = within("health", connection.address().send(agora_chat::connection::GetHealth)).await.unwrap();
        // That nothing more is read shows in nothing but time.
        actix_rt::time::sleep(Duration::from_millis(50)).await;
        let after = within("health", connection.address().send(agora_chat::connection::GetHealth)).await.unwrap();
        if handlers.is_behind() && before.bytes_in == after.bytes_in {
            break after;
        }
    };
    let rough = Handlers::BACKLOG as u64 * 600;
    assert!(health.bytes_in < rough, "{} bytes were read", health.bytes_in);
    release.send(()).unwrap();
    let mut last = 0;
    for _ in 0..TEXTS {
        let id = within("a text", heard.recv()).await.unwrap();
        assert!(id > last, "in order");
        last = id;
    }
    assert!(!handlers.is_behind());
    connection.close().await;
}

#[actix::test]
async fn a_registry_that_stands_still_costs_no_link() {
    let server = LocalServer::builder().page_size(50).queue_limit(TEXTS as usize).start().await.unwrap();
    server.create_user("alice", "pw-a").unwrap();
    server.create_user("bob", "pw-b").unwrap();
    let elsewhere = actix_rt::Arbiter::new();
    let config = quick(server.config()).heartbeat(Duration::from_millis(100), Duration::from_millis(500));
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let handlers = HandlerRegistry::start_on(&elsewhere.handle(), &log);
    let here = actix_rt::Arbiter::try_current().unwrap();
    let connection = Connection::start_with(&here, config.build().unwrap(), handlers.clone());
    connection.add_event_handler("test", EventHandler::new().on_message(|_, _| {})).unwrap();
    let mut states = connection.watch();
    within("open", connection.open(alice())).await.unwrap();
    let release = hold(&elsewhere.handle());
    server.fill_queue("alice", "bob", TEXTS).unwrap();
    // Several times as long as a silent server is waited for.
    actix_rt::time::sleep(Duration::from_millis(2000)).await;
    assert!(handlers.is_behind());
    assert_eq!(connection.state(), ConnectionState::Online);
    release.send(()).unwrap();
    connection.close().await;
    let mut seen = Vec::new();
    while let Some(change) = within("a state", states.next()).await {
        seen.push(change);
        if change == StateChange::To(ConnectionState::LoggedOut) && seen.len() > 1 {
            break;
        }
    }
    let lost = |change: &StateChange| matches!(change, StateChange::To(ConnectionState::Reconnecting { .. }));
    assert!(!seen.iter().any(lost), "{seen:?}");
}

#[actix::test]
async fn a_registry_that_has_ended_holds_nobody_back() {
    let elsewhere = actix_rt::Arbiter::new();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let handlers = HandlerRegistry::start_on(&elsewhere.handle(), &log);
    handlers.add_event_handler("test", EventHandler::new().on_token_expired(|_| {})).unwrap();
    assert!(handlers.wanted().contains(EventMask::TOKEN_EXPIRED));
    let release = hold(&elsewhere.handle());
    for _ in 0..Handlers::BACKLOG {
        handlers.publish(Event::new("alice".parse().unwrap(), EventKind::TokenExpired));
    }
    assert!(handlers.is_behind());
    elsewhere.stop();
    release.send(()).unwrap();
    elsewhere.join().unwrap();
    assert!(!handlers.is_behind());
}
