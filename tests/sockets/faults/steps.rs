//! Silence at each step of the way in: within its limit the step is given up, and the error names it.

use std::time::Instant;

use agora_chat::{
    ConfigBuilder, LossCause, OpenError,
    errors::{ConnectStep, RestErrorKind},
    local_server::{Door, FaultProxy},
};

use crate::faults::{
    SHORT,
    raw::Port,
    refused_login,
    support::{LIMIT, alice, quick, server},
    unreachable,
};

/// The cause of a step that took too long.
pub(crate) fn took_too_long(cause: &LossCause, step: ConnectStep) {
    assert_eq!(cause, &LossCause::Timeout(step));
}

fn patient(config: ConfigBuilder) -> ConfigBuilder {
    quick(config).connect_timeouts(SHORT, SHORT).rest_timeout(SHORT)
}

/// A silence is met three times at a login, and nothing else takes long.
async fn given_up(config: ConfigBuilder, step: ConnectStep) {
    let began = Instant::now();
    took_too_long(&unreachable(config).await, step);
    assert!(began.elapsed() >= 3 * SHORT && began.elapsed() < LIMIT, "{:?}", began.elapsed());
}

#[cfg(target_os = "linux")]
#[actix::test]
async fn a_host_that_does_not_answer_a_connect_is_given_up() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    proxy.door(Door::Blackhole).await.unwrap();
    let config = patient(proxy.config_through(&server).unwrap());
    given_up(config.clone(), ConnectStep::Connect).await;

    let OpenError::Token { error, .. } = refused_login(config, alice()).await else { panic!() };
    assert_eq!((error.kind(), error.step()), (&RestErrorKind::Timeout(SHORT), Some(ConnectStep::Connect)));
    assert!(error.to_string().contains("connecting took too long"), "{error}");
}

#[actix::test]
async fn a_tls_handshake_that_is_not_answered_is_given_up() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    proxy.door(Door::Silent).await.unwrap();
    let at = proxy.address();
    let config = patient(server.config()).addresses(format!("https://{at}"), format!("wss://{at}/websocket"));
    given_up(config.clone(), ConnectStep::Tls).await;

    let OpenError::Token { error, .. } = refused_login(config, alice()).await else { panic!() };
    assert_eq!(error.kind(), &RestErrorKind::Timeout(SHORT));
}

#[actix::test]
async fn an_upgrade_that_is_not_answered_is_given_up() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    proxy.door(Door::Silent).await.unwrap();
    given_up(patient(proxy.config_through(&server).unwrap()), ConnectStep::Upgrade).await;
}

#[actix::test]
async fn a_provision_that_is_not_answered_is_given_up() {
    let port = Port::open().await;
    let config = patient(port.config());
    actix_rt::spawn(async move {
        let mut peers = Vec::new();
        loop {
            peers.push(port.upgraded().await);
        }
    });
    given_up(config, ConnectStep::Provision).await;
}

#[actix::test]
async fn a_rest_call_that_is_not_answered_is_given_up() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    proxy.door(Door::Silent).await.unwrap();
    let config = patient(proxy.config_through(&server).unwrap());
    let OpenError::Token { error, .. } = refused_login(config, alice()).await else { panic!() };
    assert_eq!((error.kind(), error.step()), (&RestErrorKind::Timeout(SHORT), None));
}

#[actix::test]
async fn a_login_whose_every_step_is_slow_meets_the_deadline_over_all() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    proxy.door(Door::Silent).await.unwrap();
    let config = quick(proxy.config_through(&server).unwrap()).login_deadline(SHORT);
    let began = Instant::now();
    let error = refused_login(config, alice()).await;
    assert!(matches!(error, OpenError::Deadline { step: ConnectStep::Token, .. }), "{error:?}");
    assert!(began.elapsed() < LIMIT);
}
