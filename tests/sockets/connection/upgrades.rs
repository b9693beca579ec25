//! Answers to the upgrade as gateways write them.

use std::time::Duration;

use agora_chat::{Connection, Credentials, LossCause, OpenError, errors::ConnectStep};

use crate::connection::{
    raw::{Peer, Port, accepted, switching, unread},
    support::{Heard, start, within},
};

/// Answers the upgrade of one link with what is made of the plain answer, and the login behind it.
async fn answered(port: &Port, change: impl FnOnce(String) -> Vec<String>) -> Peer {
    let mut peer = port.link().await;
    let head = peer.head().await;
    for part in change(switching(&head)) {
        peer.send(part.as_bytes()).await;
    }
    peer
}

type Opening = actix_rt::task::JoinHandle<Result<(), OpenError>>;

fn opening(port: &Port) -> (Connection, Heard, Opening) {
    let (connection, heard) = start(port.config());
    let opening = connection.clone();
    let token = Credentials::token("alice", "YWMt-token").unwrap();
    (connection, heard, actix_rt::spawn(async move { opening.open(token).await }))
}

#[actix::test]
async fn interim_answers_before_the_upgrade_are_skipped_and_header_lines_of_one_name_are_one_list() {
    type Change = fn(String) -> Vec<String>;
    let interim: Change = |answer| {
        vec!["HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n".into(), "\r\nHTTP/1.1 100 Continue\r\n\r\n".into(), answer]
    };
    let in_one: Change = |answer| vec![format!("HTTP/1.1 102 Processing\r\n\r\n{answer}")];
    let two_lines: Change =
        |answer| vec![answer.replace("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade")];
    let two_upgrades: Change =
        |answer| vec![answer.replace("Upgrade: websocket", "Upgrade: h2c\r\nupgrade: WebSocket")];
    for change in [interim, in_one, two_lines, two_upgrades] {
        let port = Port::open().await;
        let (connection, _heard, opening) = opening(&port);
        let mut peer = answered(&port, change).await;
        peer.frame().await.unwrap();
        peer.send(&[accepted(), unread()].concat()).await;
        within("open", opening).await.unwrap().unwrap();
        connection.close().await;
    }
}

/// What becomes of a login whose every upgrade is answered so.
async fn refused(answer: String) -> LossCause {
    let port = Port::open().await;
    let (connection, _heard, opening) = opening(&port);
    let answering = actix_rt::spawn(async move {
        loop {
            answered(&port, |_| vec![answer.clone()]).await.closed().await;
        }
    });
    let error = within("open", opening).await.unwrap().unwrap_err();
    answering.abort();
    connection.close().await;
    let OpenError::Unreachable { cause, .. } = error else { panic!("{error:?}") };
    cause
}

#[actix::test]
async fn interim_answers_without_end_are_given_up() {
    let cause = refused("HTTP/1.1 102 Processing\r\n\r\n".repeat(17)).await;
    let LossCause::Failed { step: ConnectStep::Upgrade, detail } = cause else { panic!("{cause:?}") };
    assert!(detail.contains("interim"), "{detail}");
}

#[actix::test]
async fn an_upgrade_that_is_refused_behind_an_interim_answer_is_refused() {
    let refusal = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n";
    let cause = refused(refusal.to_owned()).await;
    assert_eq!(cause, LossCause::UpgradeRefused { status: 503, retry_after: Some(Duration::ZERO) });
}
