//! Logins and sessions that are not given up while a way is left, over sockets.

use std::time::Duration;

use agora_chat::{
    ConnectionState, Credentials, DisconnectReason, EventKind, LossCause, OpenError,
    errors::RestErrorKind,
    local_server::{Cut, RestFault},
};

use crate::connection::support::{LIMIT, alice, online, quick, server, start, within};

const SHORT: Duration = Duration::from_millis(1500);

#[actix::test]
async fn a_login_that_is_told_to_come_again_in_a_second_does_so() {
    let server = server().await;
    for (path, config) in [("/token", server.config()), ("server.json", server.discovery_config())] {
        let busy = RestFault::new(path, 429).header("Retry-After", "1").unwrap().times(1);
        server.fail_rest(busy).unwrap();
        let (connection, _heard) = start(quick(config));
        within("open", connection.open(alice())).await.unwrap();
        connection.close().await;
    }
    server.refuse_next_upgrades(1, 503, Some("1")).unwrap();
    let (connection, _heard) = start(quick(server.config()));
    within("open", connection.open(alice())).await.unwrap();
    connection.close().await;
}

#[actix::test]
async fn a_program_that_starts_before_its_service_gets_in_when_that_is_there() {
    let server = server().await;
    server.stop_listening().await.unwrap();
    let (connection, mut heard) = start(quick(server.config()).keep_trying_first_login(true));
    let opening = connection.clone();
    let opened = actix_rt::spawn(async move { opening.open(alice()).await });
    for _ in 0..20 {
        let cause = heard.lost().await;
        assert!(matches!(&cause, LossCause::Rest { error, .. } if !error.is_final()), "{cause:?}");
    }
    assert!(matches!(connection.state(), ConnectionState::LoggingIn { .. }) && !opened.is_finished());
    let health = connection.health().await.unwrap();
    assert!(health.attempts >= 19 && health.last_cause.is_some(), "{health:?}");
    server.listen_again().await.unwrap();
    within("open", opened).await.unwrap().unwrap();
    assert!(!heard.connected().await);
    connection.close().await;
}

#[actix::test]
async fn close_ends_a_login_that_is_kept_trying_and_so_does_a_wrong_password() {
    let server = server().await;
    let config = quick(server.config()).keep_trying_first_login(true);
    server.refuse_upgrades(503, None).unwrap();
    let (connection, mut heard) = start(config.clone());
    let opening = connection.clone();
    let opened = actix_rt::spawn(async move { opening.open(alice()).await });
    heard.lost().await;
    within("close", connection.close()).await;
    let error = within("open", opened).await.unwrap().unwrap_err();
    assert!(matches!(&error, OpenError::Ended { reason: DisconnectReason::Closed, .. }), "{error:?}");
    assert!(!error.is_final());

    let wrong = Credentials::password("alice", "wrong").unwrap();
    let error = within("open", connection.open(wrong)).await.unwrap_err();
    assert!(matches!(&error, OpenError::Token { error, .. } if error.kind() == &RestErrorKind::InvalidPassword));
    assert!(error.is_final());
}

#[actix::test]
async fn a_password_bot_survives_an_outage_that_is_longer_than_its_tokens_live() {
    let server = server().await;
    server.set_token_life(Some(SHORT));
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    // Once the token has ended each attempt begins with a request for another, which fails.
    let asks = |event| match event {
        EventKind::Reconnecting { cause: LossCause::Rest { .. }, .. } => Some(()),
        EventKind::Reconnecting { .. } | EventKind::TokenWillExpire { .. } => None,
        event => panic!("{event:?}"),
    };
    heard.until(asks).await;
    server.listen_again().await.unwrap();
    assert!(heard.connected().await);
    server.wait_until(LIMIT, |server| server.stats().links == 1).await.unwrap();
    connection.close().await;
}
