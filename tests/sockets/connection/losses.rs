//! Links that are lost, and the way back.

use std::time::{Duration, Instant};

use agora_chat::{
    ConfigBuilder, ConnectionState, Credentials, DisconnectReason, EventKind, LossCause, SendError,
    config::{Addresses, Endpoints},
    errors::{ConnectStep, Refusal, RefusalKind},
    local_server::{Cut, FrameKind, LocalServer, RestFault},
};

use crate::connection::{
    raw::{ClosedPort, Port, socket_url},
    support::{LIMIT, alice, online, pauses_of, quick, server, start, text, within},
};

#[actix::test]
async fn a_link_cut_by_fin_or_rst_comes_back_by_itself() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    for cut in [Cut::Fin, Cut::Rst, Cut::Fin, Cut::Rst] {
        assert_eq!(server.drop_links("alice", cut), 1);
        let EventKind::Reconnecting { attempt, cause, .. } = heard.next().await else { panic!() };
        assert!(attempt >= 1);
        match cut {
            Cut::Fin => assert_eq!(cause, LossCause::Ended),
            Cut::Rst => assert!(matches!(cause, LossCause::Io(_)), "{cause:?}"),
        }
        assert_eq!(heard.next().await, EventKind::Connected { resumed: true });
        assert_eq!(connection.state(), ConnectionState::Online);
    }
    assert_eq!(server.rest_calls().len(), 1, "the way back uses the token at hand");
    connection.close().await;
}

#[actix::test]
async fn what_others_sent_while_the_link_was_down_is_heard_once_it_is_back() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.lost().await;
    server.send_text("bob", "alice", "are you there?").unwrap();
    assert!(matches!(connection.state(), ConnectionState::Reconnecting { .. }));
    server.listen_again().await.unwrap();
    assert!(heard.connected().await);
    assert_eq!(text(&heard.message().await), "are you there?");
    connection.close().await;
}

#[actix::test]
async fn a_send_whose_answer_is_lost_with_the_link_has_an_unknown_outcome() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    server.set_silent(true);
    let sending = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.send_text("bob", "hm").await }
    });
    let sent =
        |server: &LocalServer| server.sent_by("alice").iter().any(|frame| matches!(frame.kind, FrameKind::Send { .. }));
    server.wait_until(LIMIT, sent).await.unwrap();
    server.drop_links("alice", Cut::Rst);
    server.set_silent(false);
    let error = within("the send", sending).await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(error.code().number(), 510);
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn an_unanswered_send_is_told_after_its_limit_and_the_link_is_regained() {
    let server = server().await;
    let config = quick(server.config()).send_timeout(Duration::from_millis(50));
    let (connection, mut heard) = online(config, alice()).await;
    server.set_silent(true);
    let error = within("the send", connection.send_text("bob", "hm")).await.unwrap_err();
    assert!(matches!(error, SendError::OutcomeUnknown { cause: LossCause::SendUnanswered, .. }), "{error:?}");
    assert_eq!(error.code().number(), 512);
    assert_eq!(heard.lost().await, LossCause::SendUnanswered);
    server.set_silent(false);
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_server_that_goes_and_comes_back_is_found_again() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_all(Cut::Fin);
    for expected in 1..=5 {
        let EventKind::Reconnecting { attempt, cause, .. } = heard.next().await else { panic!() };
        assert_eq!(attempt, expected);
        match expected {
            1 => assert_eq!(cause, LossCause::Ended),
            _ => assert!(matches!(cause, LossCause::Failed { step: ConnectStep::Connect, .. }), "{cause:?}"),
        }
    }
    server.listen_again().await.unwrap();
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn the_number_of_attempts_can_be_limited_and_regaining_switched_off() {
    let server = server().await;
    let mut policy = pauses_of(Duration::from_millis(1));
    policy.max_attempts = Some(3);
    let (connection, mut heard) = online(server.config().reconnect(policy.clone()), alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_all(Cut::Fin);
    for expected in 1..=3 {
        assert!(matches!(heard.next().await, EventKind::Reconnecting { attempt, .. } if attempt == expected));
    }
    let EventKind::Disconnected { reason } = heard.next().await else { panic!() };
    assert!(matches!(reason, DisconnectReason::AttemptsExhausted { attempts: 3, .. }), "{reason:?}");
    assert_eq!(connection.state(), ConnectionState::LoggedOut);

    server.listen_again().await.unwrap();
    policy.enabled = false;
    let (connection, mut heard) = online(server.config().reconnect(policy), alice()).await;
    server.drop_all(Cut::Rst);
    let EventKind::Disconnected { reason } = heard.next().await else { panic!() };
    assert!(matches!(reason, DisconnectReason::AttemptsExhausted { attempts: 0, .. }), "{reason:?}");
    assert_eq!(reason.code().unwrap().number(), 16);
    connection.open(alice()).await.unwrap();
    connection.close().await;
}

#[actix::test]
async fn a_silent_server_is_noticed_by_the_unanswered_heartbeat() {
    let server = server().await;
    let answer = Duration::from_millis(500);
    let config = quick(server.config()).heartbeat(Duration::from_millis(40), answer);
    let (connection, mut heard) = online(config, alice()).await;
    let beats = server.stats().heartbeats;
    server.wait_until(LIMIT, |server| server.stats().heartbeats >= beats + 3).await.unwrap();
    assert_eq!(heard.rest(), [], "an answered heartbeat is no news");

    server.set_silent(true);
    let LossCause::HeartbeatTimeout { silent_for } = heard.lost().await else { panic!() };
    assert!((answer..LIMIT).contains(&silent_for), "{silent_for:?}");
    server.set_silent(false);
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_stalled_link_is_noticed_by_the_unanswered_heartbeat() {
    let server = server().await;
    let config = quick(server.config()).heartbeat(Duration::from_millis(40), Duration::from_millis(300));
    let (connection, mut heard) = online(config, alice()).await;
    assert_eq!(server.stall_links("alice"), 1);
    assert!(matches!(heard.lost().await, LossCause::HeartbeatTimeout { .. }));
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_refused_upgrade_is_tried_again_after_a_pause_and_has_its_status() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    for status in [401, 503] {
        server.refuse_next_upgrades(2, status, None).unwrap();
        server.drop_links("alice", Cut::Fin);
        assert_eq!(heard.lost().await, LossCause::Ended);
        for _ in 0..2 {
            assert!(matches!(heard.lost().await, LossCause::UpgradeRefused { status: told, .. } if told == status));
        }
        assert!(heard.connected().await);
    }
    connection.close().await;

    server.refuse_upgrades(503, None).unwrap();
    let (connection, _heard) = start(quick(server.config()));
    let upgrades = server.stats().upgrades;
    assert_eq!(connection.open(alice()).await.unwrap_err().code().number(), 16);
    assert_eq!(server.stats().upgrades, upgrades + 3);
}

#[actix::test]
async fn a_refusal_that_may_pass_is_tried_again_on_the_way_back() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    server.refuse_next_provisions(3, 7, Some("Sorry, the app online count limit"));
    server.drop_links("alice", Cut::Fin);
    assert_eq!(heard.lost().await, LossCause::Ended);
    for _ in 0..3 {
        let cause = heard.lost().await;
        assert_eq!(cause.code().number(), 50);
        assert!(matches!(cause, LossCause::Refused(refusal) if refusal.kind() == RefusalKind::OnlineLimit));
    }
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_final_refusal_ends_the_way_back_and_the_user_can_log_in_again() {
    let server = server().await;
    // By token: with the password a new one would be fetched for the first row.
    let by_token = || Credentials::token("alice", server.issue_token("alice", None).unwrap()).unwrap();
    let (connection, mut heard) = online(quick(server.config()), by_token()).await;
    for (status, reason, code) in [
        (1, Some("Sorry, token or password does not match login info"), 28),
        (1, Some("Sorry, user not found"), 204),
        (2, None, 2),
        (4, None, -3),
        (12, None, 57),
        (13, None, 214),
        (20, None, 220),
    ] {
        server.refuse_next_provisions(1, status, reason);
        server.drop_links("alice", Cut::Fin);
        let provisions = server.provision_count();
        let refusal = Refusal::classify(status, reason.map(str::to_owned));
        assert_eq!(refusal.code().number(), code);
        assert_eq!(heard.disconnected().await, DisconnectReason::Refused(refusal));
        assert_eq!(server.provision_count(), provisions + 1);
        connection.open(by_token()).await.unwrap();
        assert!(!heard.connected().await);
    }
    connection.close().await;
}

#[actix::test]
async fn the_next_attempt_goes_to_the_next_host() {
    let server = server().await;
    let dead = ClosedPort::new();
    let addresses =
        Addresses { rest: vec![server.rest_url()], socket: vec![socket_url(dead.address()), server.socket_url()] };
    let config = quick(server.config()).endpoints(Endpoints::Fixed(addresses));
    let (connection, mut heard) = online(config, alice()).await;
    // The live one is next to last now: the way back visits the dead one first.
    server.drop_links("alice", Cut::Fin);
    assert_eq!(heard.lost().await, LossCause::Ended);
    assert!(matches!(heard.lost().await, LossCause::Failed { step: ConnectStep::Connect, .. }));
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_redirect_leads_to_another_server_and_a_loop_is_refused() {
    let (first, second) = (LocalServer::start().await.unwrap(), server().await);
    let token = second.issue_token("alice", None).unwrap();
    first.redirect_provisions("127.0.0.1", second.port());
    let credentials = Credentials::token("alice", token).unwrap();
    let (connection, _heard) = online(quick(first.config()), credentials.clone()).await;
    assert_eq!((first.provision_count(), second.provision_count()), (1, 1));
    first.wait_until(LIMIT, |first| first.stats().links == 0).await.unwrap();
    connection.close().await;

    second.redirect_provisions("127.0.0.1", first.port());
    let error = within("open", connection.open(credentials)).await.unwrap_err();
    assert!(
        matches!(&error, agora_chat::OpenError::Refused { refusal, .. } if refusal.kind() == RefusalKind::RedirectLoop),
        "{error:?}"
    );
}

#[actix::test]
async fn a_server_that_takes_connections_and_drops_them_costs_one_attempt_each() {
    let port = Port::open().await;
    let mut policy = pauses_of(Duration::from_millis(1));
    policy.max_attempts = Some(8);
    let (connection, mut heard) = start(port.config().reconnect(policy));
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(Credentials::token("alice", "t").unwrap()).await }
    });
    port.login().await.reset();
    opening.await.unwrap().unwrap();
    for turn in 0..8 {
        let peer = if turn % 2 == 0 { port.link().await } else { port.upgraded().await };
        if turn % 4 < 2 { peer.reset() } else { drop(peer) }
    }
    let DisconnectReason::AttemptsExhausted { attempts, .. } = heard.disconnected().await else { panic!() };
    assert_eq!(attempts, 8);
}

async fn fails_at_login(config: ConfigBuilder) -> (agora_chat::OpenError, Duration) {
    let (connection, _heard) = start(config);
    let began = Instant::now();
    let opened = within("open", connection.open(Credentials::token("alice", "t").unwrap())).await;
    (opened.unwrap_err(), began.elapsed())
}

#[actix::test]
async fn a_handshake_that_is_never_answered_is_given_up_after_its_limit() {
    let port = Port::open().await;
    let limit = Duration::from_millis(50);
    let (error, took) = fails_at_login(port.config().connect_timeouts(limit, LIMIT)).await;
    let agora_chat::OpenError::Unreachable { attempts: 3, cause, .. } = &error else { panic!("{error:?}") };
    assert_eq!(cause, &LossCause::Timeout(ConnectStep::Upgrade));
    assert_eq!(error.code().number(), -1);
    assert!(took >= 3 * limit);
    for _ in 0..3 {
        let mut peer = port.link().await;
        peer.head().await;
        assert!(peer.end().await.is_empty(), "the socket of a given-up attempt is closed");
    }
}

#[actix::test]
async fn a_provision_that_is_never_answered_is_given_up_after_its_limit() {
    let port = Port::open().await;
    let limit = Duration::from_millis(50);
    let failing = actix_rt::spawn(fails_at_login(port.config().connect_timeouts(LIMIT, limit)));
    for _ in 0..3 {
        let mut peer = port.upgraded().await;
        peer.upward().await;
        assert_eq!(peer.end().await.len(), 1, "a goodbye and the end");
    }
    let (error, _) = failing.await.unwrap();
    assert!(
        matches!(
            &error,
            agora_chat::OpenError::Unreachable { attempts: 3, cause: LossCause::Timeout(ConnectStep::Provision), .. }
        ),
        "{error:?}"
    );
}

#[actix::test]
async fn a_login_as_a_whole_has_a_deadline() {
    let server = server().await;
    server.set_silent(true);
    let limit = Duration::from_millis(500);
    let (connection, mut heard) = start(quick(server.config()).login_deadline(limit));
    let error = within("open", connection.open(alice())).await.unwrap_err();
    assert!(matches!(error, agora_chat::OpenError::Deadline { step: ConnectStep::Token, .. }), "{error:?}");
    server.set_silent(false);
    connection.open(alice()).await.unwrap();
    assert!(!heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn discovery_that_fails_is_304_and_open_may_be_called_again() {
    let server = server().await;
    // As often as a login tries.
    server.fail_rest(RestFault::new("server.json", 500).times(3)).unwrap();
    let (connection, _heard) = start(quick(server.discovery_config()));
    let error = connection.open(alice()).await.unwrap_err();
    assert_eq!(error.code().number(), 304);
    connection.open(alice()).await.unwrap();
    connection.close().await;
}
