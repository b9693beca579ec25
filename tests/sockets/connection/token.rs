//! The token's countdown, its renewal, and its death at a reconnect.

use std::time::Duration;

use agora_chat::{
    ConnectionState, Credentials, DisconnectReason, EventKind, RequestError,
    errors::RestErrorKind,
    local_server::{Cut, FrameKind},
};

use crate::connection::support::{LIMIT, alice, online, quick, server, start, within};

const SHORT: Duration = Duration::from_millis(400);

#[actix::test]
async fn a_token_announces_its_end_and_ends_the_session_with_a_logout() {
    let server = server().await;
    let token = server.issue_token("alice", Some(SHORT)).unwrap();
    let (connection, mut heard) = online(quick(server.config()), Credentials::token("alice", token).unwrap()).await;
    let EventKind::TokenWillExpire { expires_in, .. } = heard.next().await else { panic!() };
    assert!(expires_in <= SHORT / 4, "{expires_in:?}");
    assert_eq!(heard.next().await, EventKind::TokenExpired);
    assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::TokenExpired });
    assert_eq!(DisconnectReason::TokenExpired.code().unwrap().number(), 56);
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
    server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
    assert_eq!(server.sent_by("alice").last().unwrap().kind, FrameKind::Logout);
    connection.open(alice()).await.unwrap();
    assert!(!heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_renewed_token_counts_from_then_on_and_serves_the_next_reconnect() {
    let server = server().await;
    // Its last fifth is long enough for a renewal on a busy machine.
    let token = server.issue_token("alice", Some(4 * SHORT)).unwrap();
    let (connection, mut heard) =
        online(quick(server.config()), Credentials::token("alice", token.clone()).unwrap()).await;
    assert!(matches!(heard.next().await, EventKind::TokenWillExpire { .. }));
    let fresh = server.issue_token("alice", Some(Duration::from_secs(3600))).unwrap();
    let until = within("renew_token", connection.renew_token(fresh)).await.unwrap();
    assert!(until > 1_700_000_000_000);
    assert_eq!(server.stats().connects, 2, "the link was not touched");

    server.revoke_token(&token);
    server.drop_links("alice", Cut::Fin);
    assert!(heard.connected().await);
    assert_eq!(connection.state(), ConnectionState::Online);
    connection.close().await;

    // A countdown was started anew: this time it is the shorter one that comes second.
    let token = server.issue_token("alice", Some(Duration::from_secs(3600))).unwrap();
    // The server's clock, which the countdown goes by, comes with the heartbeat.
    let config = quick(server.config()).heartbeat(Duration::from_millis(50), LIMIT);
    let (connection, mut heard) = online(config, Credentials::token("alice", token).unwrap()).await;
    let short = server.issue_token("alice", Some(SHORT)).unwrap();
    connection.renew_token(short).await.unwrap();
    assert_eq!(heard.disconnected().await, DisconnectReason::TokenExpired);
}

#[actix::test]
async fn a_bad_token_is_refused_with_52_and_nothing_changes() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    let of_bob = server.issue_token("bob", None).unwrap();
    for bad in ["nonsense", of_bob.as_str()] {
        let error = within("renew_token", connection.renew_token(bad)).await.unwrap_err();
        assert!(matches!(&error, RequestError::Rest(rest) if rest.kind() == &RestErrorKind::Unauthorized), "{error:?}");
        assert_eq!(error.code().number(), 52);
    }
    assert!(matches!(connection.renew_token("").await, Err(RequestError::Credentials(_))));
    assert_eq!(connection.state(), ConnectionState::Online);
    server.drop_links("alice", Cut::Fin);
    assert!(heard.connected().await, "the token it had still serves");
    connection.close().await;
}

#[actix::test]
async fn renewing_without_a_session_is_refused_without_a_call() {
    let server = server().await;
    let (connection, _heard) = start(server.config());
    assert!(matches!(connection.renew_token("t").await, Err(RequestError::NotLoggedIn)));
    assert_eq!(server.connects(), 0);
}

#[actix::test]
async fn renewing_works_while_the_link_is_down() {
    let server = server().await;
    let token = server.issue_token("alice", Some(Duration::from_secs(3600))).unwrap();
    let (connection, mut heard) =
        online(quick(server.config()), Credentials::token("alice", token.clone()).unwrap()).await;
    server.refuse_upgrades(503, None).unwrap();
    server.drop_links("alice", Cut::Fin);
    heard.lost().await;
    server.revoke_token(&token);
    let fresh = server.issue_token("alice", Some(Duration::from_secs(3600))).unwrap();
    within("renew_token", connection.renew_token(fresh)).await.unwrap();
    server.accept_upgrades();
    assert!(heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn a_token_found_dead_on_the_way_back_ends_the_session_as_expired() {
    let server = server().await;
    let token = server.issue_token("alice", Some(Duration::from_secs(3600))).unwrap();
    let (connection, mut heard) = online(quick(server.config()), Credentials::token("alice", token).unwrap()).await;
    server.refuse_next_provisions(1, 1, Some("Sorry, token expired"));
    server.drop_links("alice", Cut::Fin);
    heard.lost().await;
    assert_eq!(heard.next().await, EventKind::TokenExpired);
    assert_eq!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::TokenExpired });
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
    connection.open(alice()).await.unwrap();
    connection.close().await;
}

#[actix::test]
async fn a_token_that_runs_out_while_the_link_is_down_ends_the_way_back() {
    let server = server().await;
    let token = server.issue_token("alice", Some(SHORT)).unwrap();
    let (connection, mut heard) = online(quick(server.config()), Credentials::token("alice", token).unwrap()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    assert_eq!(heard.disconnected().await, DisconnectReason::TokenExpired);
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
}
