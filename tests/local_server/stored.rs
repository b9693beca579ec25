//! What the server keeps and gives over REST: history, conversations, attributes, files, presence; and its queues.

use agora_chat::{
    Conversation,
    local_server::LocalServer,
    wire::{Content, KeyValue, MessageBody, Meta, RosterBody, encode, key_value::Value as Typed},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    peer::{LIMIT, Peer, http, server},
    said::{about, body, drain, group, json, meta, refused, rest, sent, text, texts, token, user},
};

fn history(server: &LocalServer, who: &str, queue: &str, more: Value) -> (Vec<String>, String, bool) {
    let mut asked = json!({"queue": queue, "start": -1, "pull_number": 10, "is_positive": false, "end": -1,
        "msgType": "", "startTime": null, "endTime": null, "userId": null});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let path = format!("users/{who}/messageroaming");
    let (status, answer) = rest(server, &token(server, who), "POST", &path, &asked.to_string());
    assert_eq!(status, 200, "{answer}");
    let metas = answer["data"]["msgs"].as_array().unwrap().iter();
    let metas: Vec<Meta> =
        metas.map(|one| Meta::decode(&STANDARD.decode(one["msg"].as_str().unwrap()).unwrap()[..]).unwrap()).collect();
    (
        texts(&metas),
        answer["data"]["next_key"].as_str().unwrap().to_owned(),
        answer["data"]["is_last"].as_bool().unwrap(),
    )
}

#[actix_web::test]
async fn history_is_paged_backward_and_forward_and_filtered() {
    let server = server().await;
    let ids: Vec<u64> = (0..5).map(|n| server.send_text("alice", "bob", &format!("text {n}")).unwrap()).collect();
    let command = Content { r#type: Some(6), action: Some("wave".to_owned()), ..Content::default() };
    let command = MessageBody { contents: vec![command], ..text(1, "") };
    server.send("alice", "bob", encode(&command)).unwrap();
    let picture = Content { r#type: Some(1), text: Some("picture".to_owned()), ..Content::default() };
    server.send("bob", "alice", encode(&MessageBody { contents: vec![picture], ..text(1, "") })).unwrap();

    let queue = "alice@easemob.com";
    let (first, key, last) = history(&server, "bob", queue, json!({"pull_number": 4}));
    assert_eq!((first, last), (vec!["picture".into(), "text 4".into(), "text 3".into(), "text 2".into()], false));
    assert_eq!(key, ids[2].to_string());
    let (second, _, last) = history(&server, "bob", queue, json!({"pull_number": 4, "start": key}));
    assert_eq!((second, last), (vec!["text 1".to_owned(), "text 0".to_owned()], true));
    let (forward, _, last) =
        history(&server, "alice", "bob@easemob.com", json!({"is_positive": true, "pull_number": 2}));
    assert_eq!((forward, last), (vec!["text 0".to_owned(), "text 1".to_owned()], false));
    let after = json!({"is_positive": true, "start": ids[3].to_string()});
    assert_eq!(history(&server, "bob", queue, after).0, ["text 4", "picture"]);
    assert_eq!(history(&server, "bob", queue, json!({"msgType": "img,video"})).0, ["picture"]);
    let at = server.message(ids[0]).unwrap().meta.timestamp();
    assert!(history(&server, "bob", queue, json!({"endTime": at - 1})).0.is_empty());
    assert_eq!(history(&server, "bob", queue, json!({"startTime": at})).0.len(), 6);
    assert_eq!(history(&server, "bob", "nobody@easemob.com", json!({})), (vec![], String::new(), true));
}

#[actix_web::test]
async fn deleted_history_is_gone_for_the_one_who_deleted_it() {
    let server = server().await;
    let ids: Vec<u64> = (0..3).map(|n| server.send_text("alice", "bob", &format!("text {n}")).unwrap()).collect();
    let bob = token(&server, "bob");
    let path = format!("sdk/message/roaming/chat/user/bob?userId=alice&msgIdList={},{}&resource=b1", ids[0], ids[2]);
    assert_eq!(rest(&server, &bob, "DELETE", &path, "").0, 200);
    assert_eq!(history(&server, "bob", "alice@easemob.com", json!({})).0, ["text 1"]);
    assert_eq!(history(&server, "alice", "bob@easemob.com", json!({})).0.len(), 3);
    let path = "sdk/message/roaming/chat/user/bob/time?userId=alice&delTime=99999999999999&resource=b1";
    assert_eq!(rest(&server, &bob, "DELETE", path, "").0, 200);
    assert!(history(&server, "bob", "alice@easemob.com", json!({})).0.is_empty());
    assert_eq!(rest(&server, &bob, "DELETE", "sdk/message/roaming/chat/user/alice?userId=bob&msgIdList=1", "").0, 401);
}

#[actix_web::test]
async fn the_history_of_a_group_is_for_its_members_and_of_bounded_length() {
    let server = server().await;
    server.create_user("carol", "pw-c").unwrap();
    let id = server.create_group("alice", &["bob"]).unwrap();
    for n in 0..1005 {
        server.send_text_to("alice", &Conversation::group(id.as_str()), &format!("text {n}")).unwrap();
    }
    let queue = format!("{id}@conference.easemob.com");
    let (forward, ..) = history(&server, "bob", &queue, json!({"is_positive": true, "pull_number": 1}));
    assert_eq!((forward, server.messages_in(&id).len()), (vec!["text 5".to_owned()], 1000));
    assert!(history(&server, "bob", &queue, json!({"userId": "bob"})).0.is_empty());
    let ask = |who: &str, queue: &str, most: u32| {
        let asked = json!({"queue": queue, "start": -1, "pull_number": most, "is_positive": false});
        let path = format!("users/{who}/messageroaming");
        rest(&server, &token(&server, who), "POST", &path, &asked.to_string()).0
    };
    assert_eq!(ask("carol", &queue, 10), 403);
    assert_eq!(ask("bob", "404@conference.easemob.com", 10), 404);
    assert_eq!((ask("bob", &queue, 51), ask("bob", "no address", 10)), (400, 400));
}

#[actix_web::test]
async fn conversations_are_listed_latest_first_with_what_is_unread() {
    let server = server().await;
    let id = server.create_group("alice", &["bob"]).unwrap();
    let ext = KeyValue { key: Some("k".to_owned()), r#type: Some(1), value: Some(Typed::Varint(1)) };
    let one = MessageBody { ext: vec![ext], from: Some(user("alice")), ..text(1, "one") };
    server.send("alice", "bob", encode(&one)).unwrap();
    server.send_text_to("alice", &Conversation::group(id.as_str()), "two").unwrap();
    let bob = token(&server, "bob");
    let list = |cursor: &str| {
        let path = format!("sdk/user/bob/user_channels/list?limit=1&cursor={cursor}&need_mark=true");
        rest(&server, &bob, "GET", &path, "").1["data"].clone()
    };
    let first = list("");
    let info = &first["channel_infos"][0];
    assert_eq!(
        (&info["session_to"], &info["session_type"], &info["unread_num"]),
        (&json!(id), &json!("group"), &json!(1))
    );
    let second = list(first["cursor"].as_str().unwrap());
    let info = &second["channel_infos"][0];
    assert_eq!(
        (&info["session_to"], &info["session_type"], &second["cursor"]),
        (&json!("alice"), &json!("chat"), &json!(""))
    );
    let payload: Value = serde_json::from_str(info["meta"]["payload"].as_str().unwrap()).unwrap();
    assert_eq!((&payload["ext"], &payload["from"]), (&json!({"k": true}), &json!("alice")));
    assert_eq!(payload["bodies"], json!([{"type": "txt", "msg": "one"}]));

    let delete = json!({"channel": "alice", "type": "chat", "delete_roam": true});
    assert_eq!(rest(&server, &bob, "DELETE", "user/bob/user_channel?resource=b1", &delete.to_string()).0, 200);
    assert_eq!(list("")["cursor"], "");
    assert!(history(&server, "bob", "alice@easemob.com", json!({})).0.is_empty());
}

#[actix_web::test]
async fn attributes_are_set_by_their_owner_and_read_by_all() {
    let server = server().await;
    let (alice, bob) = (token(&server, "alice"), token(&server, "bob"));
    let put = |token: &str, who: &str, form: &str| rest(&server, token, "PUT", &format!("metadata/user/{who}"), form).0;
    assert_eq!(put(&alice, "alice", "nickname=A%C3%A9+b&ext=%7B%7D"), 200);
    assert_eq!(put(&alice, "alice", "sign=hi"), 200);
    assert_eq!(put(&bob, "alice", "nickname=x"), 401);
    assert_eq!(put(&alice, "alice", "colour=x"), 400);
    assert_eq!(put(&alice, "alice", &format!("ext={}", "x".repeat(2048))), 400);
    let get = json!({"targets": ["alice", "bob"], "properties": ["nickname", "sign"]});
    let (_, answer) = rest(&server, &bob, "POST", "metadata/user/get", &get.to_string());
    assert_eq!(answer["data"], json!({"alice": {"nickname": "Aé b", "sign": "hi"}, "bob": {}}));
}

fn upload(server: &LocalServer, headers: &str, content: &str) -> (u16, Value) {
    let head = format!(
        "POST /testorg/testapp/chatfiles?chat-type=CHAT&chat-target=bob HTTP/1.1\r\n\
         Content-Type: multipart/form-data; boundary=XX{headers}"
    );
    let form = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
         Content-Type: text/plain\r\n\r\n{content}\r\n--XX--\r\n"
    );
    let (status, _, answer) = http(server, &head, &form);
    (status, answer)
}

#[actix_web::test]
async fn a_file_opens_with_its_secret_only_and_expires() {
    let server = server().await;
    let token = token(&server, "alice");
    let restricted = format!("\r\nAuthorization: Bearer {token}\r\nrestrict-access: true");
    let (status, answer) = upload(&server, &restricted, "\"content\"");
    assert_eq!((status, &answer["entities"][0]["type"]), (200, &json!("chatfile")));
    let [uuid, secret] = ["uuid", "share-secret"].map(|member| answer["entities"][0][member].as_str().unwrap());
    let file = server.file(uuid).unwrap();
    assert_eq!((&*file.name, &*file.content_type, &file.bytes[..]), ("a.txt", "text/plain", &b"\"content\""[..]));

    let get = |query: &str, headers: &str| {
        http(&server, &format!("GET /testorg/testapp/chatfiles/{uuid}{query} HTTP/1.1{headers}"), "")
    };
    let authorised = format!("\r\nAuthorization: Bearer {token}");
    let (status, head, content) = get("", &format!("{authorised}\r\nshare-secret: {secret}\r\nthumbnail: true"));
    assert_eq!((status, content), (200, json!("content")));
    assert!(head.to_lowercase().contains("content-type: text/plain"), "{head}");
    assert_eq!(get(&format!("?em-redirect=true&share-secret={secret}"), "").0, 200);
    for (query, headers) in [("", &*authorised), ("?share-secret=wrong", ""), ("", "")] {
        let (status, _, error) = get(query, headers);
        assert_eq!((status, &error["error_description"]), (403, &json!("chatfile no permission")), "{query} {headers}");
    }
    assert_eq!(get(&format!("?share-secret={secret}"), "\r\nAuthorization: Bearer no-token").0, 401);
    assert!(server.expire_file(uuid));
    let (status, _, error) = get("", &authorised);
    assert_eq!((status, &error["error"]), (404, &json!("file_expired")));

    let (_, answer) = upload(&server, &authorised, "1");
    let uuid = answer["entities"][0]["uuid"].as_str().unwrap();
    let path = format!("GET /testorg/testapp/chatfiles/{uuid} HTTP/1.1{authorised}");
    assert_eq!(http(&server, &path, "").0, 200, "not restricted, so that a token will do");
}

#[actix_web::test]
async fn an_upload_needs_a_token_a_form_and_a_size_within_the_limit() {
    let server = server().await;
    let authorised = format!("\r\nAuthorization: Bearer {}", token(&server, "alice"));
    assert_eq!(upload(&server, "", "x").0, 401);
    let post = "POST /testorg/testapp/chatfiles HTTP/1.1";
    assert_eq!(http(&server, &format!("{post}{authorised}"), "no form").0, 400);
    assert_eq!(upload(&server, &authorised, &"x".repeat(10 << 20)).0, 200);
    assert_eq!(upload(&server, &authorised, &"x".repeat((10 << 20) + 1)).0, 413);
}

#[actix_web::test]
async fn watchers_are_told_of_presence_and_of_devices() {
    let server = server().await;
    let (alice, bob) = (token(&server, "alice"), token(&server, "bob"));
    let call = |token: &str, method: &str, path: &str, body: Value| {
        rest(&server, token, method, &format!("users/{path}"), &body.to_string())
    };
    let (status, answer) = call(&bob, "POST", "bob/presence/1000", json!({"usernames": ["alice"]}));
    assert_eq!(
        (status, &answer["result"][0]["uid"], &answer["result"][0]["status"]),
        (200, &json!("alice"), &json!({}))
    );
    let mut watcher = Peer::login(&server, "bob", "b1");
    let watched = Peer::login(&server, "alice", "a1");
    let (status, _) = call(&alice, "POST", "alice/presence/a1/1", json!({"ext": "busy"}));
    assert_eq!(status, 200);
    drop(watched);
    server.wait_until(LIMIT, |server| server.online() == 1).await.unwrap();
    let told = drain(&mut watcher, &user("bob"));
    let told: Vec<_> = told.iter().map(|meta| json(meta)["data"]["values"][0].clone()).collect();
    let seen: Vec<_> = told.iter().map(|value| (&value["ext"], &value["status"])).collect();
    let (here, gone) = (json!({"a1": "1"}), json!({}));
    assert_eq!(seen, [(&json!(""), &here), (&json!("busy"), &here), (&json!("busy"), &gone)]);
    assert!(told[1]["last_time"].is_string() && told[1]["expiry"].is_string());

    let (_, list) = call(&bob, "GET", "bob/presence/sublist?pageNum=1&pageSize=10", json!(null));
    assert_eq!((&list["result"]["totalnum"], &list["result"]["sublist"][0]["uid"]), (&json!(1), &json!("alice")));
    let (_, known) = call(&bob, "POST", "bob/presence", json!({"usernames": ["alice"]}));
    assert_eq!(known["result"][0]["ext"], "busy");
    assert_eq!(call(&bob, "DELETE", "bob/presence", json!(["alice"])).0, 200);
    call(&alice, "POST", "alice/presence/a1/1", json!({"ext": "free"}));
    assert!(drain(&mut watcher, &user("bob")).is_empty());

    assert_eq!(call(&bob, "POST", "alice/presence", json!({"usernames": ["bob"]})).0, 401);
    assert_eq!(call(&bob, "POST", "bob/presence/1000", json!({"usernames": ["nobody"]})).0, 404);
    assert_eq!(call(&bob, "POST", "bob/presence/9999999", json!({"usernames": ["alice"]})).0, 400);
    let (status, answer) = call(&alice, "POST", "alice/presence/a1/1", json!({"ext": "x".repeat(1025)}));
    assert_eq!((status, &answer["error_description"]), (400, &json!("ext is too big ")));
}

#[actix_web::test]
async fn any_meta_can_be_put_into_a_queue() {
    let server = server().await;
    let roster =
        RosterBody { operation: Some(2), from: Some(user("carol")), to: vec![user("bob")], ..Default::default() };
    let pushed = Meta { from: Some(user("carol")), ns: Some(3), payload: Some(encode(&roster)), ..Meta::default() };
    let id = server.push_meta("bob", pushed.clone()).unwrap();
    let nobody = Meta { id: Some(7), ns: Some(5), payload: Some("{}".into()), ..Meta::default() };
    assert_eq!(server.push_meta("bob", nobody).unwrap(), 7);
    let mut bob = Peer::login(&server, "bob", "b1");
    let got = drain(&mut bob, &user("carol"));
    assert_eq!((got.len(), got[0].id, &got[0].payload), (1, Some(id), &pushed.payload));
    assert_eq!(drain(&mut bob, &user("bob"))[0].id, Some(7));
    assert!(bob.unread().unread.is_empty());
    assert!(server.push_meta("nobody", pushed).is_err());
}

#[actix_web::test]
async fn a_queue_is_filled_with_more_than_memory_would_like_and_read_in_pages_of_the_chosen_size() {
    let server = LocalServer::builder().app_key(crate::peer::APP).queue_limit(200_000).page_size(50).start();
    let server = server.await.unwrap();
    server.create_user("bob", "pw-b").unwrap();
    server.fill_queue("bob", "alice", 200_000).unwrap();
    assert!(server.fill_queue("bob", "alice", 200_001).is_err());
    assert!(server.fill_queue("nobody", "alice", 1).is_err());
    let mut bob = Peer::login(&server, "bob", "b1");
    assert_eq!(bob.unread().unread[0].n(), 200_000);
    let page = bob.pull("alice", None);
    assert_eq!((page.metas.len(), texts(&page.metas)[49].as_str()), (50, "text 49"));
    assert_eq!(bob.pull("alice", None).metas, page.metas, "not acknowledged, so again");
    assert_eq!(texts(&bob.pull("alice", page.next_key).metas)[0], "text 50");
    assert_eq!(bob.unread().unread[0].n(), 199_950);
    server.send_text("alice", "bob", "one more").unwrap();
    assert_eq!(server.stats().dropped_messages, 0);
}

#[actix_web::test]
async fn a_deleted_user_leaves_its_groups_and_its_own_end() {
    let server = server().await;
    server.create_user("carol", "pw-c").unwrap();
    let own = server.create_group("carol", &["bob"]).unwrap();
    let other = server.create_group("alice", &["bob", "carol"]).unwrap();
    server.delete_user("carol").unwrap();
    assert!(server.group_members(&own).is_empty());
    assert_eq!(server.group_members(&other), ["alice", "bob"]);
    let mut bob = Peer::login(&server, "bob", "b1");
    assert_eq!(refused(&mut bob, meta(1, group(&own), &text(2, "x"))).1, "group not found");
    let id = sent(&mut bob, meta(2, group(&other), &text(2, "x")));
    assert_eq!(body(&server.message(id).unwrap().meta).r#type, Some(2));
    assert_eq!(refused(&mut bob, meta(3, group(&other), &about(6, 1))).1, "Sorry, message does not exist");
}
