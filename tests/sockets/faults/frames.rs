//! Frames at the limits.

use agora_chat::{EventKind, LossCause, local_server::LocalServer};

use crate::faults::{
    raw::{BINARY, CLOSE, Peer, Port},
    support::{Heard, alice, online, quick, server, start, text},
};

/// The default limit of a message taken from the server.
const CAP: usize = 4 << 20;

/// A text that fills a frame almost to the limit.
fn large() -> String {
    "m".repeat(CAP - 4_096)
}

async fn bob_to_alice(server: &LocalServer, heard: &mut Heard, message: &str) {
    server.send_text("bob", "alice", message).unwrap();
    assert!(text(&heard.message().await) == message, "all of it");
}

#[actix::test]
async fn a_message_just_under_the_limit_arrives_and_one_over_it_costs_the_link() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    bob_to_alice(&server, &mut heard, &large()).await;
    for size in [1_000, CAP] {
        // As one frame, and joined from fragments.
        server.push_fragments("alice", vec![0; CAP + 1], size);
        let cause = heard.lost().await;
        assert!(matches!(cause, LossCause::Protocol(_)), "{cause:?}");
        assert!(heard.connected().await);
    }
    bob_to_alice(&server, &mut heard, "after it").await;
    connection.close().await;
}

/// Logs in at a port, and hands out the server's end.
async fn logged_in(port: &Port) -> (agora_chat::Connection, Heard, Peer) {
    let (connection, mut heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(agora_chat::Credentials::token("alice", "t").unwrap()).await }
    });
    let peer = port.login().await;
    opening.await.unwrap().unwrap();
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
    (connection, heard, peer)
}

#[actix::test]
async fn a_frame_over_the_limit_is_refused_by_its_head_alone_before_memory_is_spent() {
    let port = Port::open().await;
    let (_connection, mut heard, mut peer) = logged_in(&port).await;
    for announced in [CAP as u64 + 1, 1 << 40, u64::MAX >> 1] {
        let head = [&[0x80 | BINARY, 127][..], &announced.to_be_bytes()].concat();
        peer.send(&head).await;
        let cause = heard.lost().await;
        assert!(matches!(&cause, LossCause::Protocol(_)), "{cause:?}");
        let last = peer.end().await.pop().unwrap();
        assert_eq!((last.0, &last.1[..2]), (CLOSE, &1009_u16.to_be_bytes()[..]), "message too big");
        peer = port.login().await;
        assert!(heard.connected().await);
    }
}
