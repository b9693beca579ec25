//! Heartbeats, notices, queues and sends.

use agora_chat::{
    local_server::FrameKind,
    wire::{CommSyncDl, CommSyncUl, Jid, MSync, MessageBody, Meta},
};
use prost::Message as _;
use tungstenite::Message;

use crate::peer::{APP, LIMIT, Peer, chat, code, server};

fn payloads(batch: &CommSyncDl) -> Vec<&[u8]> {
    batch.metas.iter().map(|meta| meta.payload.as_deref().unwrap()).collect()
}

#[actix_web::test]
async fn a_message_is_announced_pulled_unchanged_and_confirmed_by_its_key() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let garbage = b"\xff\x00 opaque";
    let answer = alice.chat(7, "Bob", garbage);
    assert_eq!((code(answer.status.as_ref()), answer.meta_id), (0, Some(7)));
    let server_id = answer.server_id.unwrap();
    assert!(server_id > 1 << 53);

    assert_eq!(bob.notice(), "alice");
    let batch = bob.pull("alice", None);
    assert_eq!((payloads(&batch), batch.is_last), (vec![&garbage[..]], Some(false)));
    assert_eq!((batch.metas[0].id, batch.next_key), (Some(server_id), Some(server_id)));
    assert!(batch.queue.unwrap().same_queue(&Jid::user(APP, "alice")));
    let from = batch.metas[0].from.clone().unwrap();
    assert_eq!((from.name(), from.client_resource()), ("alice", "a1"));
    assert!(batch.metas[0].timestamp.is_some());

    let end = bob.pull("alice", Some(server_id));
    assert_eq!((end.metas.len(), end.is_last, end.meta_id), (0, Some(true), None));
    assert!(bob.unread().unread.is_empty());
}

#[actix_web::test]
async fn waiting_messages_come_in_pages_of_ten_until_an_empty_last_one() {
    let server = server().await;
    for n in 0..25 {
        server.send_text("alice", "bob", &format!("text {n}")).unwrap();
    }
    let mut bob = Peer::login(&server, "bob", "b1");
    let unread = bob.unread();
    assert_eq!(code(unread.status.as_ref()), 0);
    assert_eq!((unread.unread[0].queue.clone().unwrap().name(), unread.unread[0].n()), ("alice", 25));

    let mut key = None;
    let mut sizes = Vec::new();
    let mut texts = Vec::new();
    loop {
        let batch = bob.pull("alice", key);
        sizes.push(batch.metas.len());
        for payload in payloads(&batch) {
            texts.push(MessageBody::decode(payload).unwrap().contents[0].text().to_owned());
        }
        key = batch.next_key;
        if batch.is_last() {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 5, 0]);
    assert_eq!(texts, (0..25).map(|n| format!("text {n}")).collect::<Vec<_>>());
}

#[actix_web::test]
async fn a_lost_device_finds_on_its_return_what_it_had_not_confirmed() {
    let server = server().await;
    let mut bob = Peer::login(&server, "bob", "b1");
    server.send_text("alice", "bob", "one").unwrap();
    assert_eq!(bob.notice(), "alice");
    assert_eq!(bob.pull("alice", None).metas.len(), 1);
    drop(bob);
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
    server.send_text("alice", "bob", "two").unwrap();
    let mut bob = Peer::login(&server, "bob", "b1");
    assert_eq!(bob.unread().unread[0].n(), 2);
}

#[actix_web::test]
async fn every_device_gets_a_message_and_the_senders_other_devices_get_theirs() {
    let server = server().await;
    let mut sender = Peer::login(&server, "alice", "a1");
    let mut other = Peer::login(&server, "alice", "a2");
    let mut bobs = ["b1", "b2"].map(|device| Peer::login(&server, "bob", device));
    sender.chat(1, "bob", b"x");
    for bob in &mut bobs {
        assert_eq!(bob.notice(), "alice");
        assert_eq!(bob.pull("alice", None).metas.len(), 1);
    }
    assert_eq!(other.notice(), "bob");
    assert_eq!(other.pull("bob", None).metas[0].from.clone().unwrap().name(), "alice");
    assert!(sender.unread().unread.is_empty(), "what it sent itself");
}

#[actix_web::test]
async fn a_message_for_one_device_or_for_those_online_goes_no_further() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut first = Peer::login(&server, "bob", "b1");
    let mut second = Peer::login(&server, "bob", "b2");
    let to = Jid::user(APP, "bob").with_resource("b2");
    alice.sync(&CommSyncUl::send(chat(1, to, b"x")));
    assert_eq!(second.notice(), "alice");
    assert!(first.unread().unread.is_empty());

    drop((first, second));
    server.wait_until(LIMIT, |server| server.online() == 1).await.unwrap();
    let online_only = Meta { routetype: Some(1), ..chat(2, Jid::user(APP, "bob"), b"now or never") };
    assert_eq!(code(alice.sync(&CommSyncUl::send(online_only)).status.as_ref()), 0);
    let mut first = Peer::login(&server, "bob", "b1");
    assert!(first.unread().unread.is_empty());
}

#[actix_web::test]
async fn a_message_to_nobody_or_to_a_group_is_refused() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let status = alice.chat(1, "nobody", b"x").status.unwrap();
    assert_eq!((status.error_code, status.reason()), (Some(1), "username nobody doesn't exist!"));
    let status = alice.sync(&CommSyncUl::send(chat(2, Jid::group(APP, "229"), b"x"))).status.unwrap();
    assert_eq!((status.error_code, status.reason()), (Some(1), "group not found"));
    assert!(server.send_text("alice", "nobody", "x").is_err());
}

#[actix_web::test]
async fn a_pull_of_no_queue_is_answered_by_the_end_of_the_users_own() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    for pull in [CommSyncUl::default(), CommSyncUl { key: Some(0), ..CommSyncUl::pull(Jid::default(), None) }] {
        let answer = alice.sync(&pull);
        assert_eq!((answer.is_last, answer.metas.len()), (Some(true), 0));
        assert_eq!(answer.queue.unwrap().name(), "alice");
    }
}

#[actix_web::test]
async fn odd_input_is_survived_and_remembered() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    alice.send_raw(vec![0xff; 40]);
    alice.send(&MSync { command: Some(77), ..MSync::client_unread() });
    alice.socket.send(Message::text("hello")).unwrap();
    alice.socket.send(Message::Ping(b"p".to_vec().into())).unwrap();
    assert_eq!(alice.socket.read().unwrap(), Message::Pong(b"p".to_vec().into()));
    let statistics = Meta { id: Some(5), ns: Some(0), ..Meta::default() };
    for _ in 0..2 {
        let answer = alice.sync(&CommSyncUl::send(statistics.clone()));
        assert_eq!((code(answer.status.as_ref()), answer.meta_id, answer.server_id), (0, Some(5), None));
    }
    let kinds: Vec<_> = server.sent_by("alice").into_iter().map(|frame| frame.kind.name()).collect();
    assert_eq!(kinds, ["provision", "undecodable", "unknown", "text", "send", "send"]);
    let sent = server.sent_by("alice").pop().unwrap();
    assert_eq!(sent.kind, FrameKind::Send { id: 5, to: String::new(), namespace: 0 });
    assert!(MSync::decode_frame(sent.bytes, 1 << 20).is_ok());
}

#[actix_web::test]
async fn a_fragmented_message_is_joined_and_one_over_four_mebibytes_ends_the_socket() {
    use tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let bytes = MSync::client_unread().to_bytes();
    let (first, last) = bytes.split_at(2);
    let part = |part: &[u8], code, last| Message::Frame(Frame::message(part.to_vec(), OpCode::Data(code), last));
    alice.socket.send(part(first, Data::Binary, false)).unwrap();
    alice.socket.send(part(last, Data::Continue, true)).unwrap();
    assert!(matches!(alice.receive(), agora_chat::wire::Downward::Unread(_)));

    let most = MSync { payload: Some(vec![0; (4 << 20) - 20].into()), ..MSync::client_unread() };
    alice.send(&most);
    alice.unread();
    // The server may end the socket while the frame is still on its way.
    let _ = alice.socket.send(Message::binary(vec![0; (4 << 20) + 1]));
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
}

#[actix_web::test]
async fn a_test_can_say_anything_to_a_client() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    assert_eq!(server.notice("alice", "bob"), 1);
    assert_eq!(alice.notice(), "bob");
    assert_eq!(server.push_frame("alice", vec![1, 2, 3]), 1);
    assert_eq!(alice.socket.read().unwrap(), Message::binary(vec![1, 2, 3]));
    assert_eq!(server.push_fragments("alice", vec![7; 100], 33), 1);
    assert_eq!(alice.socket.read().unwrap(), Message::binary(vec![7; 100]));
    assert_eq!(server.push_text("alice", "hello"), 1);
    assert_eq!(alice.socket.read().unwrap(), Message::text("hello"));
    assert_eq!(server.push_frame("bob", vec![1]), 0);
}

#[actix_web::test]
async fn a_client_that_reads_nothing_is_cut_off_at_the_bound() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    for _ in 0..2000 {
        server.push_frame("alice", vec![0; 16 << 10]);
    }
    server.wait_until(LIMIT, |server| server.stats().slow_clients == 1 && server.online() == 0).await.unwrap();
    let end = loop {
        match alice.socket.read() {
            Ok(message) => assert_eq!(message.len(), 16 << 10),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, tungstenite::Error::Io(_) | tungstenite::Error::Protocol(_)), "{end}");
}
