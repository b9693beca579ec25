//! Messages as large as allowed, and larger.

use std::time::Duration;

use agora_chat::{
    Config, ConfigBuilder, Connection, Credentials, Limits, LossCause,
    wire::{
        CommSyncDl, CommUnreadDl, Content, Jid, MSync, MessageBody, Meta, MetaQueue, Upward, encode, msync::Command,
    },
};

use crate::connection::{
    raw::{Peer, Port, binary},
    support::{Heard, start, text, within},
};

fn frames(most: usize) -> Limits {
    let mut limits = Limits::default();
    (limits.frame, limits.connection) = (most, most.max(limits.connection));
    limits
}

async fn online(port: &Port, config: ConfigBuilder) -> (Connection, Heard, Peer) {
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

fn queue(name: &str) -> Jid {
    Jid::user("local#test", name)
}

/// A page of a queue with one text.
fn page(from: &str, id: u64, said: &str) -> Vec<u8> {
    let content = Content { r#type: Some(0), text: Some(said.to_owned()), ..Content::default() };
    let body = MessageBody { r#type: Some(1), contents: vec![content], ..MessageBody::default() };
    let payload = Some(encode(&body));
    let meta = Meta { id: Some(id), from: Some(queue(from)), ns: Some(1), payload, ..Meta::default() };
    let page = CommSyncDl { metas: vec![meta], queue: Some(queue(from)), is_last: Some(true), ..CommSyncDl::default() };
    binary(&MSync::from_server(Command::Sync, &page).to_bytes())
}

fn list(names: &[&str]) -> Vec<u8> {
    let unread = names.iter().map(|name| MetaQueue { queue: Some(queue(name)), n: Some(1) }).collect();
    binary(&MSync::from_server(Command::Unread, &CommUnreadDl { unread, ..CommUnreadDl::default() }).to_bytes())
}

/// The queue that is pulled next.
async fn pulled(peer: &mut Peer) -> String {
    loop {
        match peer.upward().await {
            Upward::Sync(sync) => return sync.queue.unwrap().name().to_owned(),
            Upward::Unread(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[actix::test]
async fn a_message_of_12_mib_is_taken_where_16_are_allowed() {
    let port = Port::open().await;
    let said = "x".repeat(12 << 20);
    let (connection, mut heard, mut peer) = online(&port, port.config().limits(frames(16 << 20))).await;
    // Something waits to be written meanwhile.
    let sending = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.send_text("bob", &"y".repeat(1 << 20)).await }
    });
    peer.send(&page("bob", 1, &said)).await;
    assert_eq!(text(&heard.message().await).len(), said.len());
    assert_eq!(heard.rest(), []);
    sending.abort();
    connection.close().await;
}

#[test]
fn a_frame_limit_that_contradicts_that_of_the_connection_is_refused() {
    let config = || Config::builder("o#a");
    assert!(config().limits(frames(64 << 20)).build().is_ok());
    let mut limits = Limits::default();
    limits.frame = 16 << 20;
    let error = config().limits(limits.clone()).build().unwrap_err().to_string();
    assert!(error.contains("connection") && error.contains("Limits::frame"), "{error}");
    limits.connection = 16 << 20;
    assert!(config().limits(limits).build().is_ok());
}

#[actix::test]
async fn a_page_over_the_limit_keeps_no_other_conversation_from_being_fetched() {
    let port = Port::open().await;
    let (connection, mut heard, mut peer) = online(&port, port.config().limits(frames(8 << 10))).await;
    let too_large = page("big", 1, &"x".repeat(10 << 10));
    peer.send(&list(&["big", "bob", "carol"])).await;
    for name in ["big", "bob", "carol"] {
        assert_eq!(pulled(&mut peer).await, name);
    }
    for (round, others) in [["carol", "bob"], ["bob", "carol"], ["bob", "carol"]].into_iter().enumerate() {
        // It comes first, as long as it is asked for.
        peer.send(&too_large).await;
        assert!(matches!(heard.lost().await, LossCause::Protocol(_)));
        peer = port.login().await;
        assert!(heard.connected().await);
        peer.send(&list(&["big", "bob", "carol"])).await;
        for (n, name) in others.into_iter().enumerate() {
            assert_eq!(pulled(&mut peer).await, name, "round {round}");
            let id = (10 * (round + 1) + n) as u64;
            peer.send(&page(name, id, "hello")).await;
            assert_eq!(text(&heard.message().await), "hello");
        }
        if round < 2 {
            assert_eq!(pulled(&mut peer).await, "big");
        }
    }
    actix_rt::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(heard.rest(), [], "from the second time on that it was this one, it waits");
    connection.close().await;
}
