//! What an operator sees: every change of state in order, and how a connection fares.

use std::time::Duration;

use actix_rt::Arbiter;
use agora_chat::{
    Connection, ConnectionState, Credentials, EventKind,
    connection::{Health, StateChange, StateWatch},
    errors::ConnectStep,
    local_server::{Cut, FrameKind},
};
use serde_json::{Value, json};

use crate::connection::{
    raw::Port,
    support::{LIMIT, alice, online, pauses_of, quick, server, start, within},
};

const HOUR: Duration = Duration::from_secs(3600);

async fn next(watch: &mut StateWatch) -> ConnectionState {
    match within("a change", watch.next()).await {
        Some(StateChange::To(state)) => state,
        other => panic!("{other:?}"),
    }
}

/// The changes up to and with the first one to `last`.
async fn changes_to(watch: &mut StateWatch, last: ConnectionState) -> Vec<ConnectionState> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        seen.push(next(watch).await);
    }
    seen
}

async fn health(connection: &Connection) -> Health {
    within("health", connection.health()).await.unwrap()
}

#[actix::test]
async fn a_watcher_sees_every_step_of_a_login_a_loss_the_return_and_the_end_in_order() {
    use ConnectionState::{LoggedOut, LoggingIn, LoggingOut, Online, Reconnecting};
    let server = server().await;
    let (connection, _heard) = start(quick(server.discovery_config()));
    let mut watch = connection.watch();
    assert_eq!(next(&mut watch).await, LoggedOut, "where it stands comes first");
    connection.open(alice()).await.unwrap();
    let mut way_in = changes_to(&mut watch, Online).await;
    // An address that needs no resolving may pass that step before anybody looks.
    way_in.retain(|state| *state != LoggingIn { step: ConnectStep::Resolve });
    let steps = [
        ConnectStep::Discovery,
        ConnectStep::Token,
        ConnectStep::Connect,
        ConnectStep::Upgrade,
        ConnectStep::Provision,
    ];
    let mut expected: Vec<_> = steps.map(|step| LoggingIn { step }).into();
    expected.push(Online);
    assert_eq!(way_in, expected);

    let mut late = connection.watch();
    assert_eq!(next(&mut late).await, Online, "a later watcher begins where it came");
    server.drop_links("alice", Cut::Rst);
    for watch in [&mut watch, &mut late] {
        assert_eq!(changes_to(watch, Online).await, [Reconnecting { attempt: 1 }, Online]);
    }
    connection.close().await;
    assert_eq!(changes_to(&mut watch, LoggedOut).await, [LoggingOut, LoggedOut]);
    drop(connection);
    assert_eq!(within("the end", watch.next()).await, None);
}

#[actix::test]
async fn the_state_without_a_round_trip_names_the_step_a_login_is_at() {
    let port = Port::open().await;
    let (connection, _heard) = start(port.config());
    let mut watch = connection.watch();
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(Credentials::token("alice", "YWMt").unwrap()).await }
    });
    let mut peer = port.link().await;
    peer.head().await;
    let upgrading = ConnectionState::LoggingIn { step: ConnectStep::Upgrade };
    changes_to(&mut watch, upgrading).await;
    assert_eq!(connection.state(), upgrading);
    connection.close().await;
    assert!(within("open", opening).await.unwrap().is_err());
}

#[actix::test]
async fn a_watcher_that_does_not_look_is_told_how_much_it_missed() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    let mut watch = connection.watch();
    next(&mut watch).await;
    let losses = StateWatch::CAPACITY / 2 + 10;
    for _ in 0..losses {
        server.drop_links("alice", Cut::Rst);
        heard.connected().await;
    }
    connection.close().await;
    let Some(StateChange::Missed(missed)) = within("a change", watch.next()).await else { panic!() };
    let seen = changes_to(&mut watch, ConnectionState::LoggedOut).await.len() as u64;
    assert_eq!(seen, StateWatch::CAPACITY as u64);
    // Some more than two of each loss, should an attempt have been cut off.
    assert!(missed + seen >= 2 * losses as u64 + 2, "{missed} and {seen}");
}

#[actix::test]
async fn watchers_of_a_connection_whose_arbiter_ends_are_told_the_end_while_handles_are_left() {
    let server = server().await;
    let arbiter = Arbiter::new();
    let connection = Connection::start_on(&arbiter.handle(), quick(server.config()).build().unwrap());
    within("open", connection.open(alice())).await.unwrap();
    let mut watch = connection.watch();
    assert_eq!(next(&mut watch).await, ConnectionState::Online);
    arbiter.stop();
    assert_eq!(next(&mut watch).await, ConnectionState::LoggedOut);
    assert_eq!(within("the end", watch.next()).await, None);
    arbiter.join().unwrap();
    let mut late = connection.watch();
    assert_eq!(next(&mut late).await, ConnectionState::LoggedOut);
    assert_eq!(within("the end", late.next()).await, None, "also for one that comes too late");
    let never = Connection::start_on(&arbiter_that_has_ended(), server.config().build().unwrap());
    let mut watch = never.watch();
    assert_eq!(next(&mut watch).await, ConnectionState::LoggedOut);
    assert_eq!(within("the end", watch.next()).await, None, "and where nothing ever began");
}

fn arbiter_that_has_ended() -> actix_rt::ArbiterHandle {
    let arbiter = Arbiter::new();
    let handle = arbiter.handle();
    arbiter.stop();
    arbiter.join().unwrap();
    handle
}

#[actix::test]
async fn health_tells_how_a_connection_fares_before_during_and_after_a_session() {
    let server = server().await;
    let (connection, mut heard) = start(server.config().reconnect(pauses_of(HOUR)));
    let idle = health(&connection).await;
    assert_eq!((idle.user.as_deref(), idle.state, idle.attempts), (None, ConnectionState::LoggedOut, 0));
    assert_eq!((idle.bytes_in, idle.bytes_out, idle.uptime_ms, idle.last_cause), (0, 0, None, None));

    connection.open(alice()).await.unwrap();
    connection.send_text("bob", "hello").await.unwrap();
    let up = health(&connection).await;
    assert_eq!((up.user.as_deref(), up.state), (Some("alice"), ConnectionState::Online));
    assert!(up.bytes_in > 20 && up.bytes_out > 200, "{up:?}");
    assert!(up.uptime_ms.unwrap() < 10_000 && up.last_inbound_ms.unwrap() <= up.uptime_ms.unwrap());
    assert_eq!((up.reconnects, up.pending_sends, up.missed_events), (0, 0, 0));

    server.drop_links("alice", Cut::Rst);
    heard.lost().await;
    let down = health(&connection).await;
    assert_eq!((down.state, down.attempts), (ConnectionState::Reconnecting { attempt: 1 }, 1));
    assert_eq!((down.uptime_ms, down.last_inbound_ms), (None, None));
    assert!(down.last_cause.is_some() && down.last_code == Some(16), "{down:?}");
    assert!(down.bytes_in >= up.bytes_in && down.bytes_out >= up.bytes_out, "counts outlive a link");

    connection.network_changed().await.unwrap();
    heard.connected().await;
    let back = health(&connection).await;
    assert_eq!((back.state, back.reconnects), (ConnectionState::Online, 1));
    assert_eq!(back.last_cause, down.last_cause, "it stays to be read");

    server.kick("alice", agora_chat::errors::Kick::PasswordChanged);
    heard.disconnected().await;
    let out = health(&connection).await;
    assert_eq!((out.user.as_deref(), out.state), (Some("alice"), ConnectionState::LoggedOut));
    assert!(out.last_cause.unwrap().contains("password"));
    assert_eq!(out.last_code, Some(216));
}

#[actix::test]
async fn health_tells_why_a_login_failed_and_nothing_of_an_end_that_was_asked_for() {
    let server = server().await;
    let (connection, _heard) = start(server.config());
    connection.open(Credentials::password("alice", "wrong").unwrap()).await.unwrap_err();
    let failed = health(&connection).await;
    assert!(failed.last_cause.is_some() && failed.last_code.is_some(), "{failed:?}");

    let (connection, _heard) = online(server.config(), alice()).await;
    connection.close().await;
    assert_eq!(health(&connection).await.last_cause, None);
}

#[actix::test]
async fn health_is_json_of_numbers_and_texts() {
    let server = server().await;
    let (connection, _heard) = online(server.config(), alice()).await;
    let Value::Object(members) = serde_json::to_value(health(&connection).await).unwrap() else { panic!() };
    let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
    let mut expected = vec![
        "user",
        "state",
        "attempts",
        "reconnects",
        "last_cause",
        "last_code",
        "uptime_ms",
        "last_inbound_ms",
        "bytes_in",
        "bytes_out",
        "pending_sends",
        "buffered_sends",
        "missed_events",
        "lost_records",
        "waiting_queues",
        "handler_panics",
    ];
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!((&members["user"], &members["state"]), (&json!("alice"), &json!({"state": "online"})));
    assert_eq!((&members["attempts"], &members["last_cause"]), (&json!(0), &Value::Null));
    assert!(members["bytes_in"].is_u64() && members["uptime_ms"].is_u64());
    connection.close().await;
    let out = serde_json::to_value(health(&connection).await).unwrap();
    assert_eq!((&out["state"], &out["uptime_ms"]), (&json!({"state": "logged_out"}), &Value::Null));
}

#[actix::test]
async fn online_a_changed_network_costs_one_probe() {
    let server = server().await;
    let (connection, mut heard) = online(server.config(), alice()).await;
    let beats = || server.sent_by("alice").iter().filter(|frame| frame.kind == FrameKind::Unread).count();
    // The first heartbeat is answered once something behind it is.
    connection.send_text("bob", "first").await.unwrap();
    assert_eq!(beats(), 1);
    for _ in 0..5 {
        connection.network_changed().await.unwrap();
    }
    connection.send_text("bob", "last").await.unwrap();
    assert_eq!(beats(), 2);
    assert_eq!(connection.state(), ConnectionState::Online);
    assert!(heard.rest().is_empty());
}

#[actix::test]
async fn offline_a_changed_network_brings_one_attempt_at_once() {
    let server = server().await;
    let (connection, mut heard) = online(server.config().reconnect(pauses_of(HOUR)), alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.lost().await;
    server.listen_again().await.unwrap();
    let before = server.provision_count();
    connection.network_changed().await.unwrap();
    assert_eq!(heard.next().await, EventKind::Connected { resumed: true });
    assert_eq!(server.provision_count(), before + 1);
    server.wait_until(LIMIT, |server| server.online() == 1).await.unwrap();
}

#[actix::test]
async fn a_connect_under_way_is_made_anew_when_the_network_changes() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config().reconnect(pauses_of(Duration::from_millis(1))));
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(Credentials::token("alice", "YWMt").unwrap()).await }
    });
    let peer = port.login().await;
    within("open", opening).await.unwrap().unwrap();
    heard.connected().await;
    peer.reset();
    let mut silent = port.link().await;
    silent.head().await;
    connection.network_changed().await.unwrap();
    silent.closed().await;
    let _peer = port.login().await;
    assert!(heard.connected().await);
}
