//! Chat rooms: joined and left over the socket, and with the link.

use agora_chat::{
    Conversation,
    wire::{CommSyncDl, Jid, KeyValue, Meta, MucBody, encode, key_value::Value as Typed},
};

use crate::{
    peer::{LIMIT, Peer, code, server},
    said::{drain, events, group, meta, muc, refused, rest, send, sent, text, texts, token},
};

fn request(id: u64, room: &str, user: &str, operation: i32, leave_others: bool) -> Meta {
    let named = Jid { name: Some(user.to_owned()), ..Jid::default() };
    let body = MucBody {
        muc_id: Some(group(room)),
        operation: Some(operation),
        from: Some(named),
        is_chatroom: Some(true),
        ext: Some("hi".to_owned()),
        leave_other_rooms: Some(leave_others),
        ..MucBody::default()
    };
    Meta { ns: Some(2), payload: Some(encode(&body)), routetype: None, ..meta(id, Jid::default(), &text(0, "")) }
}

fn join(peer: &mut Peer, room: &str, user: &str) -> CommSyncDl {
    let answer = send(peer, request(900, room, user, 2, false));
    assert_eq!(code(answer.status.as_ref()), 0, "{answer:?}");
    answer
}

#[actix_web::test]
async fn a_room_is_joined_and_its_messages_reach_those_in_it_and_the_sender() {
    let server = server().await;
    let room = server.create_room("carol").unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let answer = join(&mut alice, &room, "alice");
    let info = muc(&answer.metas[0]);
    assert_eq!((info.operation, info.is_chatroom), (Some(2), Some(true)));
    let info: serde_json::Value = serde_json::from_str(info.status.unwrap().chatroom_info()).unwrap();
    assert_eq!((&info["alice"]["member_count"], &info["alice"]["is_all_mute"]), (&1.into(), &false.into()));
    assert!(info["alice"]["create_timestamp"].is_u64());

    join(&mut bob, &room, "bob");
    let told = drain(&mut alice, &group(&room));
    assert_eq!(events(&told), [(17, "bob".to_owned())]);
    let told = muc(&told[0]);
    assert_eq!((told.is_chatroom(), told.muc_member_count(), told.ext()), (true, 2, "hi"));
    assert_eq!(server.room_members(&room), ["alice", "bob"]);

    let tag = KeyValue { key: Some("chatroom_msg_tag".to_owned()), r#type: Some(2), value: Some(Typed::Varint(2)) };
    let message = Meta { ext: vec![tag.clone()], ..meta(1, group(&room), &text(3, "hello")) };
    let id = sent(&mut alice, message);
    for peer in [&mut alice, &mut bob] {
        let got = drain(peer, &group(&room));
        assert_eq!((got.len(), got[0].id, &got[0].ext), (1, Some(id), &vec![tag.clone()]), "echoed too");
        assert_eq!(got[0].from.clone().unwrap().client_resource(), "a1");
    }

    assert_eq!(code(send(&mut bob, request(2, &room, "bob", 3, false)).status.as_ref()), 0);
    assert_eq!(events(&drain(&mut alice, &group(&room))), [(18, "bob".to_owned())]);
    assert_eq!(refused(&mut bob, request(3, &room, "bob", 3, false)).1, "not in group or chatroom");
}

#[actix_web::test]
async fn who_is_not_in_a_room_and_what_is_no_room_are_refused() {
    let server = server().await;
    let room = server.create_room("carol").unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    assert_eq!(refused(&mut alice, meta(1, group(&room), &text(3, "x"))), (1, "not in group or chatroom".to_owned()));
    let unknown = (1, "grpID 404 does not exist!".to_owned());
    assert_eq!(refused(&mut alice, meta(2, group("404"), &text(3, "x"))), unknown);
    assert_eq!(refused(&mut alice, request(3, "404", "alice", 2, false)), unknown);
    server.refuse_next_sends("alice", 1, 1, Some("group member list is full!")).unwrap();
    assert_eq!(refused(&mut alice, request(4, &room, "alice", 2, false)).1, "group member list is full!");
    assert!(server.room_members(&room).is_empty());
    assert!(server.send_text_to("alice", &Conversation::room("404"), "x").is_err());
}

#[actix_web::test]
async fn joining_may_leave_the_other_rooms() {
    let server = server().await;
    let rooms = [server.create_room("carol").unwrap(), server.create_room("carol").unwrap()];
    let mut alice = Peer::login(&server, "alice", "a1");
    join(&mut alice, &rooms[0], "alice");
    join(&mut alice, &rooms[1], "alice");
    assert_eq!((server.room_members(&rooms[0]).len(), server.room_members(&rooms[1]).len()), (1, 1));
    send(&mut alice, request(1, &rooms[1], "alice", 2, true));
    assert_eq!((server.room_members(&rooms[0]).len(), server.room_members(&rooms[1]).len()), (0, 1));
}

#[actix_web::test]
async fn membership_ends_with_the_link_and_the_others_are_told() {
    let server = server().await;
    let room = server.create_room("carol").unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    join(&mut alice, &room, "alice");
    join(&mut bob, &room, "bob");
    drain(&mut alice, &group(&room));
    drop(bob);
    server.wait_until(LIMIT, |server| server.room_members(&room) == ["alice"]).await.unwrap();
    assert_eq!(events(&drain(&mut alice, &group(&room))), [(18, "bob".to_owned())]);
    sent(&mut alice, meta(1, group(&room), &text(3, "missed")));
    let mut bob = Peer::login(&server, "bob", "b1");
    assert!(drain(&mut bob, &group(&room)).is_empty());
    assert_eq!(refused(&mut bob, meta(2, group(&room), &text(3, "x"))).1, "not in group or chatroom");
}

#[actix_web::test]
async fn a_room_ends_for_everybody_and_can_be_looked_at_before() {
    let server = server().await;
    let room = server.create_room("carol").unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    join(&mut alice, &room, "alice");
    server.send_text_to("carol", &Conversation::room(room.as_str()), "from outside").unwrap();
    assert_eq!(texts(&drain(&mut alice, &group(&room))), ["from outside"]);
    let token = token(&server, "alice");
    let (_, shown) = rest(&server, &token, "GET", &format!("chatrooms/{room}"), "");
    assert_eq!((&shown["data"][0]["owner"], &shown["data"][0]["affiliations_count"]), (&"carol".into(), &1.into()));
    let (_, all) = rest(&server, &token, "GET", "chatrooms?pagenum=1&pagesize=20", "");
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
    assert!(server.destroy_room(&room));
    assert!(!server.destroy_room(&room));
    assert_eq!(events(&drain(&mut alice, &group(&room))), [(1, "carol".to_owned())]);
    assert_eq!(rest(&server, &token, "GET", &format!("chatrooms/{room}"), "").0, 404);
}
