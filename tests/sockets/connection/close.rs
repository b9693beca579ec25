//! `close` in every state.

use std::{future::Future, time::Duration};

use agora_chat::{
    Connection, ConnectionState, Credentials, DisconnectReason, EventKind, OpenError, RequestError,
    config::Endpoints,
    errors::ConnectStep,
    local_server::{Cut, FrameKind},
    wire::Upward,
};

use crate::connection::{
    raw::{CLOSE, ClosedPort, Port, socket_url},
    support::{Heard, LIMIT, alice, online, pauses_of, published, quick, server, start, within},
};

fn token() -> Credentials {
    Credentials::token("alice", "YWMt-token").unwrap()
}

type Opening = actix_rt::task::JoinHandle<Result<(), OpenError>>;

fn open(connection: &Connection, credentials: Credentials) -> Opening {
    let connection = connection.clone();
    actix_rt::spawn(async move { connection.open(credentials).await })
}

/// Closes in the midst of a login: `open` says so, subscribers hear it once, and nothing is left.
async fn close_midway(connection: &Connection, heard: &mut Heard, opening: Opening) {
    within("close", connection.close()).await;
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
    let error = within("open", opening).await.unwrap().unwrap_err();
    assert!(matches!(&error, OpenError::Ended { reason: DisconnectReason::Closed, .. }), "{error:?}");
    assert_eq!(error.code().number(), -4);
    published(connection).await;
    assert_eq!(heard.rest(), [EventKind::Disconnected { reason: DisconnectReason::Closed }]);
}

/// Nothing comes to a port for as long as a fast client would have needed many times over.
async fn stays_away(next: impl Future<Output = crate::connection::raw::Peer>) {
    assert!(tokio::time::timeout(Duration::from_millis(50), next).await.is_err(), "it connects again");
}

#[actix::test]
async fn closing_while_logged_out_does_nothing() {
    let server = server().await;
    let (connection, mut heard) = start(server.config());
    within("close", connection.close()).await;
    within("close", connection.close()).await;
    published(&connection).await;
    assert_eq!(heard.rest(), []);
    assert_eq!(server.connects(), 0);
}

#[actix::test]
async fn closing_during_discovery_and_during_the_token_request_ends_the_call() {
    let port = Port::open().await;
    let bootstrap = Endpoints::Discovery(vec![format!("http://{}", port.address())]);
    let by_discovery = port.config().endpoints(bootstrap);
    for (config, step, path) in [
        (by_discovery, ConnectStep::Discovery, "server.json"),
        (port.config(), ConnectStep::Token, "/local/test/token"),
    ] {
        let (connection, mut heard) = start(config);
        let opening = open(&connection, alice());
        let mut call = port.link().await;
        assert!(call.head().await.contains(path));
        assert_eq!(connection.state(), ConnectionState::LoggingIn { step });
        close_midway(&connection, &mut heard, opening).await;
        call.closed().await;
        stays_away(port.link()).await;
    }
}

#[actix::test]
async fn closing_while_connecting_closes_the_half_open_socket() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config());
    let opening = open(&connection, token());
    let mut peer = port.link().await;
    peer.head().await;
    assert_eq!(connection.state(), ConnectionState::LoggingIn { step: ConnectStep::Upgrade });
    close_midway(&connection, &mut heard, opening).await;
    assert!(peer.end().await.is_empty());
    stays_away(port.link()).await;
}

#[actix::test]
async fn closing_while_provisioning_closes_the_socket() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config());
    let opening = open(&connection, token());
    let mut peer = port.upgraded().await;
    peer.upward().await;
    assert_eq!(connection.state(), ConnectionState::LoggingIn { step: ConnectStep::Provision });
    close_midway(&connection, &mut heard, opening).await;
    assert_eq!(peer.end().await.last().unwrap().0, CLOSE);
    stays_away(port.link()).await;
}

#[actix::test]
async fn closing_in_the_pause_between_two_login_attempts_ends_the_login() {
    let dead = ClosedPort::new();
    let config = agora_chat::Config::builder("local#test");
    let config = config.addresses("http://127.0.0.1:1", socket_url(dead.address()));
    let (connection, mut heard) = start(config.reconnect(pauses_of(Duration::from_secs(20))));
    let opening = open(&connection, token());
    // The refusal comes back within a few turns of the loop; whichever side of it `close` meets, it ends the login.
    for _ in 0..20 {
        actix_rt::task::yield_now().await;
    }
    close_midway(&connection, &mut heard, opening).await;
}

#[actix::test]
async fn closing_while_online_sends_logout_with_the_sessions_id_and_then_the_socket_is_gone() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config().logout_timeout(LIMIT));
    let opening = open(&connection, token());
    let mut peer = port.upgraded().await;
    let Upward::Provision(provision) = peer.upward().await else { panic!() };
    peer.send(&crate::connection::raw::accepted()).await;
    assert!(matches!(peer.upward().await, Upward::Unread(_)));
    opening.await.unwrap().unwrap();

    let closing = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.close().await }
    });
    let Upward::Logout(logout) = peer.upward().await else { panic!() };
    assert!(provision.session_id.is_some());
    assert_eq!(logout.session_id, provision.session_id);
    assert_eq!(connection.state(), ConnectionState::LoggingOut);
    assert!(matches!(connection.open(token()).await, Err(OpenError::AlreadyOpen { .. })));
    assert!(!closing.is_finished(), "it waits for the answer");
    let answer = agora_chat::wire::Logout::default();
    let answer = agora_chat::wire::MSync::from_server(agora_chat::wire::msync::Command::Logout, &answer);
    peer.send(&crate::connection::raw::binary(&answer.to_bytes())).await;
    within("close", closing).await.unwrap();
    assert_eq!(peer.end().await.last().unwrap().0, CLOSE);
    assert!(!heard.connected().await);
    published(&connection).await;
    assert_eq!(heard.rest(), [EventKind::Disconnected { reason: DisconnectReason::Closed }]);
}

#[actix::test]
async fn an_unanswered_logout_holds_close_for_its_limit_only() {
    let server = server().await;
    for limit in [Duration::ZERO, Duration::from_millis(80)] {
        let (connection, mut heard) = online(quick(server.config()).logout_timeout(limit), alice()).await;
        server.set_silent(true);
        let began = std::time::Instant::now();
        within("close", connection.close()).await;
        assert!(began.elapsed() >= limit);
        assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::Closed });
        server.set_silent(false);
        server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
        let logouts = server.sent_by("alice").iter().filter(|frame| frame.kind == FrameKind::Logout).count();
        assert!(logouts >= 1, "it was sent");
    }
}

#[actix::test]
async fn a_link_lost_while_logging_out_ends_the_wait() {
    let server = server().await;
    let config = quick(server.config()).logout_timeout(Duration::from_secs(3600));
    let (connection, mut heard) = online(config, alice()).await;
    server.set_silent(true);
    let closing = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.close().await }
    });
    let logged_out = |server: &agora_chat::local_server::LocalServer| {
        server.sent_by("alice").iter().any(|frame| frame.kind == FrameKind::Logout)
    };
    server.wait_until(LIMIT, logged_out).await.unwrap();
    server.drop_links("alice", Cut::Rst);
    within("close", closing).await.unwrap();
    assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::Closed });
}

#[actix::test]
async fn closing_in_the_pause_before_an_attempt_ends_it_and_nothing_connects_any_more() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config().reconnect(pauses_of(Duration::from_secs(3600))));
    let opening = open(&connection, token());
    let peer = port.login().await;
    opening.await.unwrap().unwrap();
    peer.reset();
    heard.lost().await;
    assert_eq!(connection.state(), ConnectionState::Reconnecting { attempt: 1 });
    within("close", connection.close()).await;
    assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::Closed });
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
    stays_away(port.link()).await;
}

#[actix::test]
async fn closing_while_an_attempt_to_come_back_connects_or_provisions_ends_it() {
    for provisioning in [false, true] {
        let port = Port::open().await;
        let (connection, mut heard) = start(port.config());
        let opening = open(&connection, token());
        port.login().await.reset();
        opening.await.unwrap().unwrap();
        let mut peer = if provisioning {
            let mut peer = port.upgraded().await;
            peer.upward().await;
            peer
        } else {
            let mut peer = port.link().await;
            peer.head().await;
            peer
        };
        within("close", connection.close()).await;
        assert_eq!(heard.disconnected().await, DisconnectReason::Closed);
        peer.end().await;
        stays_away(port.link()).await;
        published(&connection).await;
        assert_eq!(heard.rest(), []);
    }
}

#[actix::test]
async fn several_closes_at_once_all_return_and_the_end_is_told_once() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    let closing: Vec<_> = (0..8)
        .map(|_| {
            let connection = connection.clone();
            actix_rt::spawn(async move { connection.close().await })
        })
        .collect();
    for closing in closing {
        within("close", closing).await.unwrap();
    }
    published(&connection).await;
    assert_eq!(heard.rest(), [EventKind::Disconnected { reason: DisconnectReason::Closed }]);
}

#[actix::test]
async fn closing_settles_the_sends_that_wait_for_an_answer() {
    let server = server().await;
    let (connection, _heard) = online(quick(server.config()).logout_timeout(Duration::from_millis(20)), alice()).await;
    server.set_silent(true);
    let sending = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.send_text("bob", "hm").await }
    });
    let sent = |server: &agora_chat::local_server::LocalServer| {
        server.sent_by("alice").iter().any(|frame| matches!(frame.kind, FrameKind::Send { .. }))
    };
    server.wait_until(LIMIT, sent).await.unwrap();
    let closing = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.close().await }
    });
    assert!(within("the send", sending).await.unwrap().is_err());
    within("close", closing).await.unwrap();
}

#[actix::test]
async fn closing_ends_a_renewal_that_is_under_way() {
    let port = Port::open().await;
    let (connection, _heard) = start(port.config().logout_timeout(Duration::ZERO));
    let opening = open(&connection, token());
    let mut peer = port.login().await;
    opening.await.unwrap().unwrap();
    let renewing = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.renew_token("YWMt-new").await }
    });
    let mut call = port.link().await;
    assert!(call.head().await.contains("/token/expires"));
    within("close", connection.close()).await;
    let error = within("renew_token", renewing).await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::NotLoggedIn), "{error:?}");
    call.closed().await;
    peer.end().await;
}
