//! Servers that break the rules, and the rules of WebSocket that a client keeps.

use std::time::Duration;

use agora_chat::{
    Connection, ConnectionState, Credentials, EventKind, Limits, LossCause, SendError,
    errors::ConnectStep,
    wire::{CommNotice, CommSyncDl, Content, Jid, MSync, MessageBody, Meta, Upward, encode, msync::Command},
};

use tokio::io::AsyncWriteExt as _;

use crate::connection::{
    raw::{BINARY, CLOSE, PING, PONG, Peer, Port, accepted, binary, frame, switching, unread},
    support::{Heard, LIMIT, alice, online, pauses_of, quick, server, start, text, within},
};

fn token() -> Credentials {
    Credentials::token("alice", "YWMt-token").unwrap()
}

/// A connection that is logged in at a peer played by hand.
async fn at(port: &Port) -> (Connection, Heard, Peer) {
    with(port, port.config()).await
}

async fn with(port: &Port, config: agora_chat::ConfigBuilder) -> (Connection, Heard, Peer) {
    let (connection, mut heard) = start(config);
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    let peer = port.login().await;
    within("open", opening).await.unwrap().unwrap();
    assert!(!heard.connected().await);
    (connection, heard, peer)
}

/// A pushed page with one text.
fn message(id: u64, said: &str) -> Vec<u8> {
    let content = Content { r#type: Some(0), text: Some(said.to_owned()), ..Content::default() };
    let body = MessageBody { r#type: Some(1), contents: vec![content], ..MessageBody::default() };
    let from = Some(Jid::user("local#test", "bob"));
    let meta = Meta { id: Some(id), from, ns: Some(1), payload: Some(encode(&body)), ..Meta::default() };
    let queue = Some(Jid::user("local#test", "bob"));
    let page = CommSyncDl { metas: vec![meta], queue, is_last: Some(true), ..CommSyncDl::default() };
    MSync::from_server(Command::Sync, &page).to_bytes().to_vec()
}

#[actix::test]
async fn a_close_frame_is_answered_and_its_code_and_reason_are_the_cause() {
    let port = Port::open().await;
    let (connection, mut heard, mut peer) = at(&port).await;
    for (code, reason) in [(Some(1000_u16), ""), (Some(1001), "going away"), (Some(4000), "tschüß"), (None, "")] {
        let payload: Vec<u8> = code.map(u16::to_be_bytes).into_iter().flatten().chain(reason.bytes()).collect();
        peer.send(&frame(0x80 | CLOSE, &payload)).await;
        assert_eq!(heard.lost().await, LossCause::ClosedByPeer { code, reason: reason.to_owned() });
        let frames = peer.end().await;
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert_eq!(frames[0].0, CLOSE);
        assert_eq!(frames[0].1, payload[..payload.len().min(2)], "the same code, and no reason of its own");
        peer = port.login().await;
        assert!(heard.connected().await);
    }
    connection.close().await;
}

#[actix::test]
async fn a_ping_is_answered_by_a_pong_of_the_same_payload() {
    let port = Port::open().await;
    let (_connection, _heard, mut peer) = at(&port).await;
    for payload in [&b""[..], b"are you there?", &[0xff; 125]] {
        peer.send(&frame(0x80 | PING, payload)).await;
        assert_eq!(peer.frame().await.unwrap(), (PONG, payload.to_vec()));
    }
}

#[actix::test]
async fn every_ping_of_several_in_one_read_is_answered() {
    let port = Port::open().await;
    let (_connection, _heard, mut peer) = at(&port).await;
    let payloads: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n; usize::from(n)]).collect();
    let pings: Vec<_> = payloads.iter().map(|payload| frame(0x80 | PING, payload)).collect();
    peer.send(&pings.concat()).await;
    for payload in payloads {
        assert_eq!(peer.frame().await.unwrap(), (PONG, payload));
    }
}

#[actix::test]
async fn a_text_message_that_is_not_utf_8_ends_the_link_with_1007() {
    let port = Port::open().await;
    let (connection, mut heard, mut peer) = at(&port).await;
    // Its last fragment never comes.
    peer.send(&frame(0x01, b"half \xed\xa0")).await;
    assert!(matches!(heard.lost().await, LossCause::Protocol(detail) if detail.contains("UTF-8")));
    assert_eq!(peer.end().await, [(CLOSE, 1007_u16.to_be_bytes().to_vec())]);
    connection.close().await;
}

#[actix::test]
async fn texts_pongs_and_frames_without_a_meaning_are_survived() {
    let port = Port::open().await;
    let (connection, mut heard, mut peer) = at(&port).await;
    let unknown = MSync { command: Some(77), ..MSync::default() }.to_bytes();
    let compressed = MSync { command: Some(0), compress_algorimth: Some(1), ..MSync::default() }.to_bytes();
    for odd in [
        binary(b"\xff\xff\xff\xff garbage"),
        binary(b""),
        binary(&unknown),
        binary(&compressed),
        frame(0x81, b"a text"),
        frame(0x80 | PONG, b"unasked"),
        accepted(),
        unread(),
    ] {
        peer.send(&odd).await;
    }
    peer.send(&binary(&message(1, "still here"))).await;
    assert_eq!(text(&heard.message().await), "still here");
    assert_eq!(connection.state(), ConnectionState::Online);
}

#[actix::test]
async fn a_message_may_come_in_fragments_with_pings_between_them_and_byte_by_byte() {
    let port = Port::open().await;
    let (_connection, mut heard, mut peer) = at(&port).await;
    let whole = message(1, "in pieces");
    let (first, rest) = whole.split_at(5);
    let (second, third) = rest.split_at(7);
    peer.send(&frame(BINARY, first)).await;
    peer.send(&frame(0x80 | PING, b"between")).await;
    peer.send(&frame(0, second)).await;
    peer.send(&frame(0x80, third)).await;
    assert_eq!(text(&heard.message().await), "in pieces");
    assert_eq!(peer.frame().await.unwrap(), (PONG, b"between".to_vec()));

    for byte in binary(&message(2, "drop by drop")) {
        peer.send(&[byte]).await;
        actix_rt::task::yield_now().await;
    }
    assert_eq!(text(&heard.message().await), "drop by drop");
}

#[actix::test]
async fn what_follows_the_upgrades_answer_in_the_same_packet_is_not_lost() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    let mut peer = port.link().await;
    let head = peer.head().await;
    let ping = frame(0x80 | PING, b"early");
    peer.send(&[switching(&head).as_bytes(), &ping[..]].concat()).await;
    let mut seen = [peer.frame().await.unwrap().0, peer.frame().await.unwrap().0];
    seen.sort_unstable();
    assert_eq!(seen, [BINARY, PONG]);
    peer.send(&[accepted(), unread(), binary(&message(1, "at once"))].concat()).await;
    opening.await.unwrap().unwrap();
    assert_eq!(text(&heard.message().await), "at once");
}

#[actix::test]
async fn a_broken_rule_ends_the_link_with_the_code_for_it_and_the_client_comes_back() {
    let port = Port::open().await;
    let mut limits = agora_chat::Limits::default();
    limits.frame = 1024;
    let config = port.config().limits(limits);
    let (connection, mut heard, mut peer) = with(&port, config).await;
    let breaches: [(&str, Vec<u8>, u16); 6] = [
        ("too large", frame(0x80 | BINARY, &[0; 1025]), 1009),
        ("too large, only announced", vec![0x80 | BINARY, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1009),
        ("too large in fragments", [frame(BINARY, &[0; 1000]), frame(0x80, &[0; 25])].concat(), 1009),
        ("masked", vec![0x80 | BINARY, 0x80, 0, 0, 0, 0], 1002),
        ("a reserved opcode", vec![0x83, 0], 1002),
        ("a reserved bit", vec![0xc2, 0], 1002),
    ];
    for (what, bytes, code) in breaches {
        peer.send(&bytes).await;
        let cause = heard.lost().await;
        assert!(matches!(cause, LossCause::Protocol(_)), "{what}: {cause:?}");
        let frames = peer.end().await;
        assert_eq!(frames.last().unwrap(), &(CLOSE, code.to_be_bytes().to_vec()), "{what}");
        peer = port.login().await;
        assert!(heard.connected().await);
    }
    peer.send(&binary(&message(1, "well-behaved"))).await;
    assert_eq!(text(&heard.message().await), "well-behaved");
    connection.close().await;
}

#[actix::test]
async fn anything_but_an_upgrade_in_answer_to_an_upgrade_is_a_failed_attempt() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBvbmU=\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "no HTTP at all\r\n\r\n",
    ] {
        let port = Port::open().await;
        let (connection, _heard) = start(port.config());
        let opening = actix_rt::spawn({
            let connection = connection.clone();
            async move { connection.open(token()).await }
        });
        for _ in 0..3 {
            let mut peer = port.link().await;
            peer.head().await;
            peer.send(answer.as_bytes()).await;
            peer.end().await;
        }
        let error = within("open", opening).await.unwrap().unwrap_err();
        assert_eq!(error.code().number(), 16, "{answer}: {error:?}");
    }
}

#[actix::test]
async fn an_upgrade_that_drips_byte_by_byte_for_ever_meets_its_limit() {
    let port = Port::open().await;
    let config = port.config().connect_timeouts(Duration::from_millis(150), LIMIT);
    let (connection, _heard) = start(config);
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    for _ in 0..3 {
        let mut peer = port.link().await;
        peer.head().await;
        let mut drips = b"HTTP/1.1 101 Switching Protocols\r\nX-Drip: ".iter().chain(b"x".iter().cycle());
        let mut pace = actix_rt::time::interval(Duration::from_millis(5));
        // The client going away is what ends it.
        while peer.stream.try_write(&[*drips.next().unwrap()]).is_ok() {
            pace.tick().await;
        }
    }
    let error = within("open", opening).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, agora_chat::OpenError::Unreachable { cause: LossCause::Timeout(ConnectStep::Upgrade), .. }),
        "{error:?}"
    );
}

#[actix::test]
async fn a_flood_of_messages_holds_back_neither_calls_nor_other_connections() {
    let port = Port::open().await;
    let (connection, _heard, mut peer) = at(&port).await;
    let (other, mut other_heard, mut other_peer) = at(&port).await;
    let flooding = actix_rt::spawn(async move {
        let flood: Vec<u8> = (0..200_000_u64).flat_map(|_| frame(0x81, b"noise")).collect();
        let _ = peer.stream.write_all(&flood).await;
        peer
    });
    other_peer.send(&binary(&message(1, "in the middle of it"))).await;
    assert_eq!(text(&other_heard.message().await), "in the middle of it");
    within("close", connection.close()).await;
    within("close", other.close()).await;
    within("the end of the flood", flooding).await.unwrap();
}

#[actix::test]
async fn a_message_over_the_limit_is_refused_before_it_is_written() {
    let port = Port::open().await;
    let (connection, _heard, _peer) = at(&port).await;
    let error = within("the send", connection.send_text("bob", &"x".repeat(4 << 20))).await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge { limit, .. } if limit == 4 << 20), "{error:?}");
    assert_eq!(error.code().number(), 511);
}

#[actix::test]
async fn a_peer_that_stops_reading_is_given_up_by_the_heartbeat_behind_what_it_does_not_take() {
    let port = Port::open().await;
    let config = port.config().heartbeat(Duration::from_millis(50), Duration::from_millis(500));
    let (connection, mut heard, peer) = with(&port, config).await;
    let sends: Vec<_> = (0..3)
        .map(|_| {
            let connection = connection.clone();
            actix_rt::spawn(async move { connection.send_text("bob", &"x".repeat(2 << 20)).await })
        })
        .collect();
    assert!(matches!(heard.lost().await, LossCause::HeartbeatTimeout { .. }));
    for send in sends {
        let error = within("the send", send).await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::OutcomeUnknown { .. }), "{error:?}");
    }
    drop(peer);
    let _again = port.login().await;
    assert!(heard.connected().await);
}

#[actix::test]
async fn a_peer_that_asks_for_answers_without_reading_them_is_given_up_at_a_bound() {
    let port = Port::open().await;
    let mut limits = Limits::default();
    (limits.pulls, limits.outbox) = (4096, 64 * 1024);
    let (_connection, mut heard, mut peer) = with(&port, port.config().limits(limits)).await;
    let flooding = actix_rt::spawn(async move {
        let name = "q".repeat(4000);
        for batch in 0..200 {
            let notices = (0..1000).flat_map(|n| {
                let queue = Some(Jid::user("local#test", &format!("{name}{batch}.{n}")));
                binary(&MSync::from_server(Command::Notice, &CommNotice { queue }).to_bytes())
            });
            let notices: Vec<u8> = notices.collect();
            if peer.stream.write_all(&notices).await.is_err() {
                return;
            }
        }
        panic!("all of it was taken");
    });
    let cause = heard.lost().await;
    assert!(matches!(&cause, LossCause::Io(text) if text.contains("stopped reading")), "{cause:?}");
    within("the end of the flood", flooding).await.unwrap();
}

#[actix::test]
async fn many_large_messages_at_once_are_no_reason_to_give_up_a_peer_that_reads() {
    let server = server().await;
    let (alice, mut heard) = online(quick(server.config()), alice()).await;
    let said = "x".repeat(16 << 10);
    // Almost 8 MiB, which is what may wait, in one turn of the loop.
    let sends: Vec<_> = (0..500)
        .map(|_| {
            let (alice, said) = (alice.clone(), said.clone());
            actix_rt::spawn(async move { alice.send_text("bob", &said).await })
        })
        .collect();
    for sent in sends {
        within("a send", sent).await.unwrap().unwrap();
    }
    assert_eq!(heard.rest(), []);
    alice.close().await;
}

#[actix::test]
async fn a_provision_comes_first_and_holds_user_device_and_token() {
    let port = Port::open().await;
    let (connection, _heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        let account =
            agora_chat::Account::new(token()).device(agora_chat::account::Device::new("desk-7")).login_ext("hello");
        async move { connection.open(account).await }
    });
    let mut peer = port.upgraded().await;
    let Upward::Provision(provision) = peer.upward().await else { panic!() };
    assert_eq!(provision.resource.as_deref(), Some("desk-7"));
    assert_eq!(provision.reason.as_deref(), Some("hello"));
    assert!(provision.auth_token.as_deref().unwrap().contains("$t$YWMt-token"));
    peer.send(&accepted()).await;
    opening.await.unwrap().unwrap();
    assert!(matches!(peer.upward().await, Upward::Unread(_)));
    assert_eq!(connection.state(), ConnectionState::Online);
}

#[actix::test]
async fn a_link_lost_while_provisioning_counts_as_an_attempt() {
    let port = Port::open().await;
    let (connection, mut heard) = start(port.config().reconnect(pauses_of(Duration::from_millis(2))));
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(token()).await }
    });
    for _ in 0..2 {
        let mut peer = port.upgraded().await;
        peer.upward().await;
        peer.reset();
    }
    let _peer = port.login().await;
    within("open", opening).await.unwrap().unwrap();
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
}
