//! Recalls, edits, receipts and repeated client ids.

use std::time::Duration;

use agora_chat::{
    Conversation,
    local_server::LocalServer,
    wire::{KeyValue, MessageBody, Meta, key_value::Value as Typed, message_body::MessageConfig},
};
use serde_json::{Value, json};

use crate::{
    peer::{Peer, server},
    said::{about, body, drain, group, json, meta, refused, send, sent, text, texts, user},
};

fn keyed(key: &str, value: &str) -> KeyValue {
    let value = Some(Typed::String(value.to_owned()));
    KeyValue { key: Some(key.to_owned()), r#type: Some(7), value }
}

fn edit(id: u64, new: &str) -> MessageBody {
    MessageBody { edit_message_id: Some(id), edit_scope: Some(1), ..text(8, new) }
}

#[actix_web::test]
async fn a_recalled_message_is_gone_and_the_other_side_is_told() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut other = Peer::login(&server, "alice", "a2");
    let mut bob = Peer::login(&server, "bob", "b1");
    let id = sent(&mut alice, meta(1, user("bob"), &text(1, "oops")));
    let why = keyed("recallMessageExtensionInfo", "typo");
    let recall = Meta { ext: vec![why.clone()], ..meta(2, user("bob"), &about(6, id)) };
    let recall_id = sent(&mut alice, recall);
    for (peer, queue) in [(&mut bob, "alice"), (&mut other, "bob")] {
        let got = drain(peer, &user(queue)).pop().unwrap();
        assert_eq!((body(&got).r#type, body(&got).ack_message_id), (Some(6), Some(id)));
        assert_eq!((got.id, &got.ext), (Some(recall_id), &vec![why.clone()]));
        assert_eq!(got.from.unwrap().name(), "alice");
    }
    assert!(server.messages_between("alice", "bob").is_empty());
    assert!(server.message(id).is_none());
    assert_eq!(server.unread_count("bob", &Conversation::user("alice")), 0, "nothing is left to read");
    let gone = (1, "Sorry, message does not exist".to_owned());
    assert_eq!(refused(&mut alice, meta(3, user("bob"), &about(6, id))), gone);
}

#[actix_web::test]
async fn only_the_author_recalls_and_only_in_time_and_in_the_conversation() {
    let server = server().await;
    server.create_user("carol", "pw-c").unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let id = sent(&mut alice, meta(1, user("bob"), &text(1, "mine")));
    let not_yours = "Sorry, You do not have permission";
    assert_eq!(refused(&mut bob, meta(2, user("alice"), &about(6, id))).1, not_yours);
    assert_eq!(refused(&mut alice, meta(3, user("carol"), &about(6, id))).1, "Sorry, message does not exist");
    server.set_recall_window(None);
    assert_eq!(refused(&mut alice, meta(4, user("bob"), &about(6, id))).1, "message recall disabled");
    // The clock has to move on by a millisecond at least.
    server.set_recall_window(Some(Duration::ZERO));
    let sent_ms = server.message(id).unwrap().meta.timestamp();
    let later = |server: &LocalServer| {
        let probe = server.send_text("carol", "carol", "tick").unwrap();
        server.message(probe).unwrap().meta.timestamp() > sent_ms
    };
    while !later(&server) {}
    assert_eq!(refused(&mut alice, meta(5, user("bob"), &about(6, id))), (1, "exceed recall time limit".to_owned()));
    assert!(server.message(id).is_some());
}

#[actix_web::test]
async fn an_edit_is_answered_forwarded_and_shown_five_times() {
    let server = server().await;
    let id = server.create_group("alice", &["bob"]).unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let original = MessageBody { ext: vec![keyed("a", "1")], ..text(2, "first try") };
    let message = sent(&mut alice, meta(1, group(&id), &original));
    drain(&mut bob, &group(&id));

    let answer = send(&mut alice, meta(2, group(&id), &edit(message, "first")));
    assert_eq!(answer.metas[0].ns, Some(5));
    let told = json(&answer.metas[0])["edit_msg"].clone();
    assert_eq!((&told["count"], &told["operator"], &told["sender"]), (&json!(1), &json!("alice"), &json!("alice")));
    assert_eq!((&told["chat_type"], told["edit_time"].is_u64()), (&json!("chat:group"), true));
    assert_eq!(told["send_time"], json!(server.message(message).unwrap().meta.timestamp()));

    let got = drain(&mut bob, &group(&id)).pop().unwrap();
    assert_eq!(got.id, answer.server_id);
    let got = body(&got);
    assert_eq!((got.r#type, got.edit_message_id, got.contents[0].text()), (Some(8), Some(message), "first"));
    assert_eq!(serde_json::from_str::<Value>(got.meta()).unwrap()["edit_msg"], told);

    let shown = server.message(message).unwrap();
    let shown_body = body(&shown.meta);
    assert_eq!((shown.edits, shown.meta.id, shown_body.r#type), (1, Some(message), Some(2)));
    assert_eq!((shown_body.contents[0].text(), shown_body.ext), ("first", original.ext));
    let with_ext = MessageBody { ext: vec![keyed("b", "2")], edit_scope: Some(2), ..edit(message, "2") };
    sent(&mut alice, meta(3, group(&id), &with_ext));
    assert_eq!(body(&server.message(message).unwrap().meta).ext, [keyed("b", "2")]);
    for n in 3..=5 {
        sent(&mut alice, meta(n + 1, group(&id), &edit(message, &n.to_string())));
    }
    let limit = (1, "Sorry, edit limit reached".to_owned());
    assert_eq!(refused(&mut alice, meta(7, group(&id), &edit(message, "6"))), limit);
    assert_eq!(texts(&[server.message(message).unwrap().meta]), ["5"]);
}

#[actix_web::test]
async fn an_edit_of_another_ones_or_no_message_or_without_content_is_refused() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let id = sent(&mut alice, meta(1, user("bob"), &text(1, "mine")));
    let not_yours = "Sorry, You do not have permission";
    assert_eq!(refused(&mut bob, meta(2, user("alice"), &edit(id, "x"))).1, not_yours);
    assert_eq!(refused(&mut alice, meta(3, user("bob"), &edit(77, "x"))).1, "Sorry, message does not exist");
    let empty = MessageBody { contents: Vec::new(), ..edit(id, "") };
    assert_eq!(refused(&mut alice, meta(4, user("bob"), &empty)).1, "Sorry, format is incorrect");
    assert_eq!(server.message(id).unwrap().edits, 0);
}

#[actix_web::test]
async fn receipts_reach_the_author_and_are_kept() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let mut other = Peer::login(&server, "bob", "b2");
    let id = sent(&mut alice, meta(1, user("bob"), &text(1, "hello")));
    assert_eq!(server.unread_count("bob", &Conversation::user("alice")), 1);
    for peer in [&mut bob, &mut other] {
        drain(peer, &user("alice"));
    }
    sent(&mut bob, meta(1, user("alice"), &about(5, id)));
    sent(&mut bob, meta(2, user("alice"), &about(4, id)));
    let got: Vec<_> =
        drain(&mut alice, &user("bob")).iter().map(body).map(|b| (b.r#type(), b.ack_message_id())).collect();
    use agora_chat::wire::message_body::Type;
    assert_eq!(got, [(Type::DeliverAck, id), (Type::ReadAck, id)]);
    let kept = server.message(id).unwrap();
    assert_eq!((kept.delivered_to, kept.read_by), (vec!["bob".to_owned()], vec!["bob".to_owned()]));
    assert!(drain(&mut other, &user("alice")).is_empty());
    assert_eq!(server.unread_count("bob", &Conversation::user("alice")), 1, "a receipt of one message clears nothing");

    let channel = MessageBody { ack_message_id: None, ..about(7, 0) };
    sent(&mut bob, meta(3, user("alice"), &channel));
    assert_eq!(server.unread_count("bob", &Conversation::user("alice")), 0);
    for (peer, queue) in [(&mut alice, "bob"), (&mut other, "alice")] {
        assert_eq!(body(&drain(peer, &user(queue))[0]).r#type, Some(7));
    }
    sent(&mut bob, meta(4, user("alice"), &about(4, 77)));
    assert_eq!(body(&drain(&mut alice, &user("bob"))[0]).ack_message_id, Some(77), "unknown, and passed on");
    assert_eq!(server.messages_between("alice", "bob").len(), 1, "receipts are no messages");
}

#[actix_web::test]
async fn group_receipts_tell_the_author_how_many_have_read() {
    let server = server().await;
    server.create_user("carol", "pw-c").unwrap();
    let id = server.create_group("alice", &["bob", "carol"]).unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let wants = MessageBody { msg_config: Some(MessageConfig { allow_group_ack: Some(true) }), ..text(2, "read?") };
    let message = sent(&mut alice, meta(1, group(&id), &wants));
    let ack = MessageBody {
        msg_config: Some(MessageConfig { allow_group_ack: Some(true) }),
        ack_content: Some("yes".to_owned()),
        ..about(4, message)
    };
    for (name, count) in [("bob", 1), ("carol", 2), ("carol", 2)] {
        let mut reader = Peer::login(&server, name, "r");
        server.set_repeat_window(None);
        drain(&mut reader, &group(&id));
        sent(&mut reader, meta(1, group(&id), &ack));
        let got = body(&drain(&mut alice, &group(&id))[0]);
        assert_eq!((got.ack_message_id(), got.ack_content()), (message, "yes"));
        let Some(Typed::String(counts)) = &got.ext[0].value else { panic!("{got:?}") };
        let counts: Value = serde_json::from_str(counts).unwrap();
        assert_eq!(counts, json!({message.to_string(): count}));
    }
    assert_eq!(server.message(message).unwrap().read_by, ["bob", "carol"]);
    let token = crate::said::token(&server, "alice");
    let (_, acks) = crate::said::rest(&server, &token, "GET", &format!("chatgroups/{id}/acks/{message}?limit=500"), "");
    assert_eq!(acks["data"]["total"], 2);
}

#[actix_web::test]
async fn a_repeated_client_id_is_stored_once_and_answered_alike() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let message = meta(1, user("bob"), &text(1, "once"));
    let first = sent(&mut alice, message.clone());
    drop(alice);
    let mut alice = Peer::login(&server, "alice", "a1");
    assert_eq!(sent(&mut alice, message.clone()), first, "also after a reconnect");
    assert_ne!(sent(&mut alice, meta(1, user("bob"), &text(1, "another"))), first, "other content under the same id");
    assert_ne!(sent(&mut bob, meta(1, user("bob"), &text(1, "once"))), first, "another sender");
    assert_eq!(texts(&drain(&mut bob, &user("alice"))), ["once", "another"]);

    let edited = meta(5, user("bob"), &edit(first, "twice"));
    let answers = [send(&mut alice, edited.clone()), send(&mut alice, edited)];
    assert_eq!(answers[0], answers[1], "what was answered, whole");
    assert_eq!(server.message(first).unwrap().edits, 1);

    server.set_repeat_window(None);
    assert_ne!(sent(&mut alice, message), first);
}
