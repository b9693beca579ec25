//! Groups and threads: membership, fan-out, refusals, and the same over REST.

use agora_chat::{
    Conversation,
    local_server::LocalServer,
    wire::{KeyValue, MessageBody, Meta, key_value::Value as Typed},
};
use serde_json::json;

use crate::{
    peer::{Peer, server},
    said::{body, drain, events, group, json, meta, refused, rest, sent, text, texts, token},
};

async fn with_carol() -> LocalServer {
    let server = server().await;
    server.create_user("carol", "pw-c").unwrap();
    server
}

#[actix_web::test]
async fn a_group_message_reaches_every_member_and_the_senders_other_devices_with_all_its_fields() {
    let server = with_carol().await;
    let id = server.create_group("alice", &["bob", "carol"]).unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut other = Peer::login(&server, "alice", "a2");
    let mut bob = Peer::login(&server, "bob", "b1");
    drain(&mut bob, &group(&id));
    let ext = KeyValue { key: Some("k".to_owned()), r#type: Some(7), value: Some(Typed::String("v".to_owned())) };
    let sent_body = MessageBody { ext: vec![ext.clone()], ..text(2, "to all") };
    let sent_meta = Meta { ext: vec![ext], ..meta(7, group(&id), &sent_body) };
    let server_id = sent(&mut alice, sent_meta.clone());

    for (peer, name) in [(&mut bob, "bob"), (&mut other, "alice's other device")] {
        assert_eq!(peer.notice(), id, "{name}");
        let got = drain(peer, &group(&id));
        assert_eq!(got.len(), 1, "{name}");
        assert_eq!((got[0].id, &got[0].payload, &got[0].ext), (Some(server_id), &sent_meta.payload, &sent_meta.ext));
        let from = got[0].from.clone().unwrap();
        assert_eq!((from.name(), from.client_resource()), ("alice", "a1"));
    }
    let mut carol = Peer::login(&server, "carol", "c1");
    assert_eq!(texts(&drain(&mut carol, &group(&id))), ["to all"], "who was away");
    assert!(drain(&mut alice, &group(&id)).is_empty(), "what it sent itself");
    assert_eq!(server.messages_in(&id).iter().map(|message| message.id).collect::<Vec<_>>(), [server_id]);
}

#[actix_web::test]
async fn directed_and_online_only_messages_reach_nobody_else() {
    let server = with_carol().await;
    let id = server.create_group("alice", &["bob", "carol"]).unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    drain(&mut bob, &group(&id));
    let directed = Meta {
        directed_users: vec!["Carol".to_owned()],
        routetype: Some(2),
        ..meta(1, group(&id), &text(2, "for carol"))
    };
    sent(&mut alice, directed);
    sent(&mut alice, Meta { routetype: Some(1), ..meta(2, group(&id), &text(2, "now or never")) });
    assert_eq!(texts(&drain(&mut bob, &group(&id))), ["now or never"]);
    let mut carol = Peer::login(&server, "carol", "c1");
    assert_eq!(texts(&drain(&mut carol, &group(&id))), ["for carol"]);
    assert_eq!(server.messages_in(&id).len(), 1, "what is for those online is not kept");
}

#[actix_web::test]
async fn a_stranger_and_an_unknown_group_are_refused_as_the_service_says_it() {
    let server = with_carol().await;
    let id = server.create_group("alice", &["bob"]).unwrap();
    let mut carol = Peer::login(&server, "carol", "c1");
    let not_in = (1, "not in group or chatroom".to_owned());
    assert_eq!(refused(&mut carol, meta(1, group(&id), &text(2, "x"))), not_in);
    let nowhere = refused(&mut carol, meta(2, group("404"), &text(2, "x")));
    assert_eq!(nowhere, (1, "group not found".to_owned()));
    assert!(server.messages_in(&id).is_empty());
    assert!(server.send_text_to("carol", &Conversation::group("404"), "x").is_err());
    assert!(server.create_group("alice", &["nobody"]).is_err());
}

#[actix_web::test]
async fn sends_are_refused_or_left_unanswered_as_often_as_told() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let to_bob = |id| meta(id, crate::said::user("bob"), &text(1, "x"));
    server.refuse_next_sends("Alice", 2, 15, Some("muted")).unwrap();
    for id in 1..=2 {
        assert_eq!(refused(&mut alice, to_bob(id)), (15, "muted".to_owned()));
    }
    sent(&mut alice, to_bob(3));
    server.refuse_sends("alice", 7, Some("user is mute")).unwrap();
    assert_eq!(refused(&mut alice, to_bob(4)), (7, "user is mute".to_owned()));
    server.accept_sends("alice");
    sent(&mut alice, to_bob(5));
    server.leave_next_sends_unanswered("alice", 1).unwrap();
    alice.send(&agora_chat::wire::MSync::client_sync(&agora_chat::wire::CommSyncUl::send(to_bob(6))));
    let again = sent(&mut alice, to_bob(6));
    let kept = server.messages_between("bob", "alice");
    assert_eq!(kept.len(), 3, "taken, though not answered, and once");
    assert_eq!(kept.last().unwrap().id, again);
}

#[actix_web::test]
async fn members_are_told_who_comes_and_goes() {
    let server = with_carol().await;
    let id = server.create_group("alice", &["bob"]).unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    assert_eq!(events(&drain(&mut bob, &group(&id))), [(19, "alice".to_owned())], "direct joined");
    assert!(server.add_member(&id, "Carol").unwrap());
    assert!(!server.add_member(&id, "carol").unwrap());
    assert_eq!(server.group_members(&id), ["alice", "bob", "carol"]);
    assert_eq!(events(&drain(&mut bob, &group(&id))), [(17, "carol".to_owned())], "presence");
    assert!(server.remove_member(&id, "carol").unwrap());
    assert!(!server.remove_member(&id, "carol").unwrap());
    let told = drain(&mut bob, &group(&id));
    assert_eq!(events(&told), [(18, "carol".to_owned())], "absence");
    assert_eq!(crate::said::muc(&told[0]).muc_member_count(), 2);
    let mut carol = Peer::login(&server, "carol", "c1");
    let told = drain(&mut carol, &group(&id));
    assert_eq!(events(&told), [(19, "alice".to_owned()), (10, "alice".to_owned())], "removed");
    assert!(server.destroy_group(&id));
    assert!(!server.destroy_group(&id));
    for peer in [&mut alice, &mut bob] {
        assert_eq!(events(&drain(peer, &group(&id))).last(), Some(&(1, "alice".to_owned())), "destroyed");
    }
    assert_eq!(refused(&mut bob, meta(1, group(&id), &text(2, "x"))).1, "group not found");
}

#[actix_web::test]
async fn a_thread_message_says_what_it_hangs_on() {
    let server = with_carol().await;
    let id = server.create_group("alice", &["bob", "carol"]).unwrap();
    let about = server.send_text_to("alice", &Conversation::group(id.as_str()), "root").unwrap();
    let thread = server.create_thread(&id, about, "side talk").unwrap();
    let mut alice = Peer::login(&server, "alice", "a1");
    let mut bob = Peer::login(&server, "bob", "b1");
    let told = drain(&mut bob, &group(&id)).pop().unwrap();
    assert_eq!(told.ns, Some(5));
    let told = json(&told);
    assert_eq!((&told["type"], &told["data"]["operation"]), (&json!("thread"), &json!("create")));
    assert_eq!(told["data"]["id"], json!(thread));

    let sent_body = MessageBody { meta: Some(r#"{"thread":{},"more":1}"#.to_owned()), ..text(2, "aside") };
    sent(&mut alice, meta(1, group(&thread), &sent_body));
    let got = body(&drain(&mut bob, &group(&thread))[0]);
    assert_eq!(got.contents, sent_body.contents);
    let got: serde_json::Value = serde_json::from_str(got.meta()).unwrap();
    let wanted = json!({"msg_parent_id": about.to_string(), "muc_parent_id": id, "thread_name": "side talk"});
    assert_eq!((&got["thread"], &got["more"]), (&wanted, &json!(1)));
    assert!(server.create_thread("404", about, "x").is_err());
    server.remove_member(&id, "bob").unwrap();
    assert_eq!(server.group_members(&thread), ["alice", "carol"], "who leaves a group leaves its threads");
    server.destroy_group(&id);
    assert!(server.group_members(&thread).is_empty());
}

#[actix_web::test]
async fn groups_live_over_rest() {
    let server = with_carol().await;
    let (alice, bob, carol) = (token(&server, "alice"), token(&server, "bob"), token(&server, "carol"));
    let made = json!({"owner": "alice", "groupname": "g", "desc": "d", "members": ["bob"], "public": true,
        "approval": true, "allowinvites": false, "invite_need_confirm": false, "maxusers": 3, "custom": "c"});
    let (status, answer) = rest(&server, &alice, "POST", "chatgroups?resource=a1", &made.to_string());
    assert_eq!(status, 200, "{answer}");
    let id = answer["data"]["groupid"].as_str().unwrap();
    let call = |token: &str, method: &str, path: &str, body: serde_json::Value| {
        rest(&server, token, method, &format!("chatgroups/{id}{path}"), &body.to_string())
    };
    let (_, info) = call(&bob, "GET", "?joined_time=true", json!(null));
    assert_eq!((&info["data"][0]["name"], &info["data"][0]["affiliations_count"]), (&json!("g"), &json!(2)));
    assert_eq!(info["data"][0]["membersonly"], true);
    assert_eq!(rest(&server, &bob, "GET", "chatgroups/404", "").0, 404);

    assert_eq!(call(&bob, "POST", "/invite?resource=b1", json!({"usernames": ["carol"]})).0, 403, "owner only");
    assert_eq!(call(&carol, "POST", "/apply?resource=c1", json!({"message": "please"})).0, 200);
    assert_eq!(server.group_members(id), ["alice", "bob"]);
    assert_eq!(call(&bob, "POST", "/apply_verify", json!({"applicant": "carol", "verifyResult": true})).0, 403);
    assert_eq!(call(&alice, "POST", "/apply_verify", json!({"applicant": "carol", "verifyResult": true})).0, 200);
    assert_eq!(server.group_members(id), ["alice", "bob", "carol"]);
    let mut owner = Peer::login(&server, "alice", "a1");
    assert_eq!(events(&drain(&mut owner, &group(id))), [(4, "carol".to_owned()), (17, "carol".to_owned())]);
    assert_eq!(call(&carol, "POST", "/apply", json!({"message": ""})).0, 403, "in already");

    let (_, members) = call(&bob, "GET", "/users?pagenum=1&pagesize=2", json!(null));
    assert_eq!(
        members["data"],
        json!([{"owner": "alice", "joined_time": members["data"][0]["joined_time"]},
        {"member": "bob", "joined_time": members["data"][1]["joined_time"]}])
    );
    let (_, first) = call(&bob, "GET", "/users?limit=2&cursor=&joined_time=true", json!(null));
    assert_eq!(first["cursor"], "bob");
    let (_, rest_of) = call(&bob, "GET", "/users?limit=2&cursor=bob&joined_time=true", json!(null));
    assert_eq!((rest_of["data"].as_array().unwrap().len(), &rest_of["cursor"]), (1, &json!("")));

    let (_, joined) = rest(&server, &bob, "GET", "users/bob/joined_chatgroups?pagenum=1&pagesize=20", "");
    assert_eq!(joined["data"], json!([{"groupid": id, "groupname": "g"}]));
    let (_, joined) = rest(&server, &bob, "GET", "chatgroups/user/bob?pagenum=1&pagesize=20&needRole=true", "");
    assert_eq!(joined["entities"][0]["permission"], "member");
    assert_eq!(rest(&server, &bob, "GET", "users/alice/joined_chatgroups?pagenum=1", "").0, 401, "not one's own");
    assert_eq!(rest(&server, "no-token", "GET", &format!("chatgroups/{id}"), "").0, 401);

    assert_eq!(call(&bob, "DELETE", "/users/carol?resource=b1", json!(null)).0, 403);
    assert_eq!(call(&alice, "DELETE", "/users/carol?resource=a1", json!(null)).0, 200);
    assert_eq!(call(&alice, "DELETE", "/users/carol?resource=a1", json!(null)).0, 403, "gone already");
    assert_eq!(call(&bob, "DELETE", "/quit?resource=b1", json!(null)).0, 200);
    assert_eq!(call(&alice, "DELETE", "/quit?resource=a1", json!(null)).0, 403, "the owner cannot");
    assert_eq!(server.group_members(id), ["alice"]);
    assert_eq!(call(&bob, "DELETE", "?version=v3&resource=b1", json!(null)).0, 403);
    assert_eq!(call(&alice, "DELETE", "?version=v3&resource=a1", json!(null)).0, 200);
    assert_eq!(call(&alice, "GET", "", json!(null)).0, 404);
}

#[actix_web::test]
async fn an_invitation_is_answered_before_it_counts() {
    let server = with_carol().await;
    let (alice, bob, carol) = (token(&server, "alice"), token(&server, "bob"), token(&server, "carol"));
    let made = json!({"groupname": "g", "members": ["bob", "carol"], "invite_need_confirm": true, "maxusers": 10});
    let (_, answer) = rest(&server, &alice, "POST", "chatgroups", &made.to_string());
    let id = answer["data"]["groupid"].as_str().unwrap();
    assert_eq!(server.group_members(id), ["alice"]);
    let mut invited = Peer::login(&server, "bob", "b1");
    assert_eq!(events(&drain(&mut invited, &group(id))), [(7, "alice".to_owned())]);
    let verify = |token: &str, who: &str, yes: bool| {
        let body = json!({"invitee": who, "verifyResult": yes});
        rest(&server, token, "POST", &format!("chatgroups/{id}/invite_verify?resource=r"), &body.to_string()).0
    };
    assert_eq!(verify(&bob, "bob", true), 200);
    assert_eq!(verify(&carol, "carol", false), 200);
    assert_eq!(verify(&carol, "carol", true), 403, "it has been declined");
    assert_eq!(server.group_members(id), ["alice", "bob"]);
    let mut owner = Peer::login(&server, "alice", "a1");
    let told: Vec<i32> = events(&drain(&mut owner, &group(id))).into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(told, [8, 17, 9], "accepted, came in, declined");
}
