//! A thread that stood still: what came meanwhile is read before anything counts as unanswered.

use std::time::Duration;

use agora_chat::{
    Connection, ConnectionState, Credentials,
    wire::{CommSyncDl, Jid, MSync, Status, Upward, msync::Command},
};

use crate::connection::{
    raw::{PING, Peer, Port, binary, frame, unread},
    support::{Heard, start, within},
};

const ANSWER: Duration = Duration::from_millis(500);
const STALL: Duration = Duration::from_millis(800);

async fn online(port: &Port, config: agora_chat::ConfigBuilder) -> (Connection, Heard, Peer) {
    let (connection, mut heard) = start(config);
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(Credentials::token("alice", "YWMt-token").unwrap()).await }
    });
    let peer = port.login().await;
    within("open", opening).await.unwrap().unwrap();
    assert!(!heard.connected().await);
    (connection, heard, peer)
}

fn answer(client_id: u64) -> Vec<u8> {
    let status = Some(Status { error_code: Some(0), ..Status::default() });
    let ack = CommSyncDl { status, meta_id: Some(client_id), server_id: Some(9), ..CommSyncDl::default() };
    binary(&MSync::from_server(Command::Sync, &ack).to_bytes())
}

/// 40 000 bytes that mean nothing.
fn noise() -> Vec<u8> {
    let page = CommSyncDl { queue: Some(Jid::user("local#test", "bob")), ..CommSyncDl::default() };
    let each = binary(&MSync::from_server(Command::Sync, &page).to_bytes());
    let ping = frame(0x80 | PING, &[b'x'; 100]);
    [each, ping].concat().repeat(40_000 / 150)
}

#[actix::test]
async fn the_answer_to_a_send_that_came_while_the_thread_stood_still_counts() {
    for wakes in [0, 1, 5] {
        let port = Port::open().await;
        let (connection, mut heard, mut peer) = online(&port, port.config().send_timeout(ANSWER)).await;
        let sending = actix_rt::spawn({
            let connection = connection.clone();
            async move { connection.send_text("bob", "hm").await }
        });
        let Upward::Sync(sent) = peer.upward().await else { panic!() };
        // Whoever asks the actor something wakes it before the runtime has looked at its sockets.
        for _ in 0..wakes {
            let connection = connection.clone();
            actix_rt::spawn(async move { connection.health().await });
        }
        peer.send(&[noise(), answer(sent.meta.unwrap().id())].concat()).await;
        std::thread::sleep(STALL);
        let outcome = within("the send", sending).await.unwrap();
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(connection.state(), ConnectionState::Online);
        assert_eq!(heard.rest(), []);
        connection.close().await;
    }
}

#[actix::test]
async fn the_answer_to_a_heartbeat_and_to_the_login_that_came_while_the_thread_stood_still_counts() {
    let port = Port::open().await;
    let config = port.config().heartbeat(Duration::from_millis(300), ANSWER);
    let (connection, mut heard, mut peer) = online(&port, config.connect_timeouts(ANSWER, ANSWER)).await;
    for _ in 0..3 {
        assert!(matches!(peer.upward().await, Upward::Unread(_)));
        peer.send(&unread()).await;
        std::thread::sleep(STALL);
        assert_eq!(connection.state(), ConnectionState::Online);
    }
    assert_eq!(heard.rest(), []);
    peer.reset();
    let mut peer = port.upgraded().await;
    assert!(matches!(peer.upward().await, Upward::Provision(_)));
    peer.send(&crate::connection::raw::accepted()).await;
    std::thread::sleep(STALL);
    assert!(heard.connected().await);
    assert_eq!(heard.rest(), []);
    connection.close().await;
}

#[actix::test]
async fn an_answer_that_has_not_come_is_still_found_to_be_missing_behind_a_flood() {
    let port = Port::open().await;
    let (connection, mut heard, mut peer) = online(&port, port.config().send_timeout(ANSWER)).await;
    let flood = actix_rt::spawn(async move {
        let Upward::Sync(_) = peer.upward().await else { panic!() };
        let noise = noise();
        let mut stream = peer.stream;
        while tokio::io::AsyncWriteExt::write_all(&mut stream, &noise).await.is_ok() {}
    });
    let error = within("the send", connection.send_text("bob", "hm")).await.unwrap_err();
    assert_eq!(error.code().number(), 512, "{error:?}");
    heard.lost().await;
    connection.close().await;
    within("the flood", flood).await.unwrap();
}
