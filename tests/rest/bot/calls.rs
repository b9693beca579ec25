//! What goes out for history, presence, attributes and conversations, and how the answers are read.

use std::time::Duration;

use agora_chat::{
    Conversation, RestClient,
    errors::RestErrorKind as Kind,
    rest::{Attribute, HistoryCursor, HistoryQuery, HistoryType, Operation, Resource, UserAttributes},
    wire::{self, Content, Jid, MessageBody, Meta},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::bot::{
    scripted::{Reply, Scripted},
    support::{alice, line, scripted, token, users},
};

fn resource() -> Resource {
    "web 1".parse().unwrap()
}

async fn answering(answer: &Value) -> (Scripted, RestClient) {
    scripted([Reply::json(200, answer)]).await
}

/// The one request as method, url and JSON body.
fn sent(server: &Scripted) -> (String, String, Value) {
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let (method, url) = line(&requests[0]);
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    (method.to_owned(), url.to_owned(), requests[0].json())
}

fn is(server: &Scripted, method: &str, url: &str, body: Value) {
    assert_eq!(sent(server), (method.to_owned(), url.to_owned(), body));
}

/// A text as the history holds it.
fn entry(id: u64, from: &str, to: &str, text: &str) -> Value {
    let named = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
    let content = Content { r#type: Some(0), text: Some(text.to_owned()), ..Content::default() };
    let body = MessageBody {
        r#type: Some(1),
        from: named(from),
        to: named(to),
        contents: vec![content],
        ..MessageBody::default()
    };
    let meta = Meta {
        id: Some(id),
        from: Some(Jid::user("org#app", from)),
        to: Some(Jid::user("org#app", to)),
        timestamp: Some(id + 1),
        ns: Some(1),
        payload: Some(wire::encode(&body)),
        ..Meta::default()
    };
    json!({"msg": BASE64_STANDARD.encode(wire::encode(&meta))})
}

#[actix::test]
async fn a_history_query_is_sent_as_the_spec_has_it() {
    let none = json!({"data": {}});
    let (server, rest) = answering(&none).await;
    rest.history(&token(), &alice(), &"bob/phone".into(), &HistoryQuery::new()).await.unwrap();
    is(
        &server,
        "POST",
        "/org/app/users/alice/messageroaming",
        json!({
            "queue": "bob@easemob.com", "start": -1, "pull_number": 50, "is_positive": false, "end": -1, "msgType": "",
            "startTime": null, "endTime": null, "userId": null,
        }),
    );
    let (server, rest) = answering(&none).await;
    let query = HistoryQuery::new()
        .start(HistoryCursor::at(u64::MAX))
        .limit(7)
        .forward()
        .types([HistoryType::Text, HistoryType::Image, HistoryType::Text])
        .from(5)
        .to(9)
        .sender("bob".parse().unwrap());
    rest.history(&token(), &alice(), &Conversation::group("1827"), &query).await.unwrap();
    is(
        &server,
        "POST",
        "/org/app/users/alice/messageroaming",
        json!({
            "queue": "1827@conference.easemob.com", "start": "18446744073709551615", "pull_number": 7, "is_positive": true,
            "end": -1, "msgType": "txt,img", "startTime": 5, "endTime": 9, "userId": "bob",
        }),
    );
}

#[actix::test]
async fn a_page_of_history_is_read_and_a_broken_entry_costs_only_itself() {
    let statistics = Meta { id: Some(1), ns: Some(0), ..Meta::default() };
    let msgs = json!([
        entry(u64::MAX - 1, "bob", "alice", "hello"), {"msg": "!!"}, {"msg": BASE64_STANDARD.encode([0xff; 9])}, {}, 7,
        {"msg": BASE64_STANDARD.encode(wire::encode(&statistics))}, entry(6, "alice", "bob", "mine"),
    ]);
    let (_server, rest) = answering(&json!({"data": {"msgs": msgs, "next_key": "17", "is_last": false}})).await;
    let page = rest.history(&token(), &alice(), &"bob".into(), &HistoryQuery::new()).await.unwrap();
    assert_eq!((page.messages.len(), page.skipped), (2, 5));
    let first = &page.messages[0];
    assert_eq!((first.id, &*first.from, first.text(), first.own), (u64::MAX - 1, "bob", Some("hello"), false));
    assert_eq!(first.conversation(), Conversation::user("bob"));
    assert_eq!((page.messages[1].text(), page.messages[1].own), (Some("mine"), true));
    assert_eq!(page.messages[1].conversation(), Conversation::user("bob"));
    assert_eq!(page.next, Some(HistoryCursor::new("17")));
}

#[actix::test]
async fn the_end_of_the_history_has_no_next_page() {
    let one = json!([entry(1, "bob", "alice", "x")]);
    let ends = [
        json!({"data": {}}),
        json!({"data": {"msgs": [], "next_key": "5"}}),
        json!({"data": {"msgs": one, "next_key": "5", "is_last": true}}),
        json!({"data": {"msgs": one, "next_key": ""}}),
        json!({"data": {"msgs": one, "next_key": -1}}),
    ];
    for end in ends {
        let (_server, rest) = answering(&end).await;
        let page = rest.history(&token(), &alice(), &"bob".into(), &HistoryQuery::new()).await.unwrap();
        assert_eq!(page.next, None, "{end}");
    }
    let (_server, rest) = answering(&json!({"status": "ok"})).await;
    let error = rest.history(&token(), &alice(), &"bob".into(), &HistoryQuery::new()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::UnexpectedAnswer(_)), "{error}");
}

#[actix::test]
async fn messages_are_deleted_from_the_history_by_id() {
    let rows = [
        (Conversation::user("bob"), "chat", "userId=bob"),
        (Conversation::group("1827"), "group", "groupId=1827"),
        (Conversation::room("9"), "group", "groupId=9"),
    ];
    for (conversation, kind, whose) in rows {
        let (server, rest) = answering(&json!({"data": {}})).await;
        rest.delete_history(&token(), &alice(), &resource(), &conversation, &[1, u64::MAX]).await.unwrap();
        let url =
            format!("/org/app/sdk/message/roaming/{kind}/user/alice?{whose}&msgIdList=1,{}&resource=web%201", u64::MAX);
        is(&server, "DELETE", &url, Value::Null);
    }
}

#[actix::test]
async fn presence_is_published_for_the_own_device() {
    let (server, rest) = answering(&json!({"result": "ok"})).await;
    rest.publish_presence(&token(), &alice(), &resource(), "busy").await.unwrap();
    is(&server, "POST", "/org/app/users/alice/presence/web%201/1", json!({"ext": "busy"}));
}

#[actix::test]
async fn presence_is_subscribed_to_asked_for_and_let_go() {
    let bob = json!({"result": [{"uid": "bob", "last_time": "5", "expiry": "9", "ext": "", "status": {"ios": "1"}}]});
    let (server, rest) = answering(&bob).await;
    let day = Duration::from_secs(86_400);
    let states = rest.subscribe_presence(&token(), &alice(), &users(&["bob", "carol"]), day).await.unwrap();
    assert_eq!((states[0].user.as_str(), states[0].is_online(), states[0].expires), ("bob", true, 9));
    is(&server, "POST", "/org/app/users/alice/presence/86400", json!({"usernames": ["bob", "carol"]}));

    let (server, rest) = answering(&bob).await;
    assert_eq!(rest.presence_of(&token(), &alice(), &users(&["bob"])).await.unwrap(), states);
    is(&server, "POST", "/org/app/users/alice/presence", json!({"usernames": ["bob"]}));

    let (server, rest) = answering(&json!({"result": "ok"})).await;
    rest.unsubscribe_presence(&token(), &alice(), &users(&["bob"])).await.unwrap();
    is(&server, "DELETE", "/org/app/users/alice/presence", json!(["bob"]));

    let (server, rest) =
        answering(&json!({"result": {"totalnum": 1, "sublist": [{"uid": "bob", "expiry": "9"}]}})).await;
    let page = rest.presence_subscriptions(&token(), &alice(), 2, 30).await.unwrap();
    assert_eq!((page.total, page.subscriptions[0].user.as_str()), (1, "bob"));
    is(&server, "GET", "/org/app/users/alice/presence/sublist?pageNum=2&pageSize=30", Value::Null);
}

#[actix::test]
async fn attributes_are_set_by_form_and_read_by_list() {
    let (server, rest) = answering(&json!({"data": {"nickname": "A b"}})).await;
    let own = UserAttributes::new().with(Attribute::Nickname, "A b").with(Attribute::AvatarUrl, "http://x/?a=1&b");
    rest.set_attributes(&token(), &alice(), &own).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(line(request), ("PUT", "/org/app/metadata/user/alice"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.body, b"nickname=A%20b&avatarurl=http%3A%2F%2Fx%2F%3Fa%3D1%26b");

    let (server, rest) = answering(&json!({"data": {"bob": {"nickname": "Bob"}}})).await;
    let wanted = [Attribute::Nickname, Attribute::Birth];
    let found = rest.attributes_of(&token(), &alice(), &users(&["bob"]), &wanted).await.unwrap();
    assert_eq!(found["bob"].get(Attribute::Nickname), Some("Bob"));
    is(&server, "POST", "/org/app/metadata/user/get", json!({"targets": ["bob"], "properties": ["nickname", "birth"]}));

    let (server, rest) = answering(&json!({"data": {}})).await;
    rest.attributes_of(&token(), &alice(), &users(&["bob"]), &[]).await.unwrap();
    assert_eq!(sent(&server).2["properties"].as_array().unwrap().len(), 8, "all");
}

#[actix::test]
async fn conversations_are_listed_with_their_last_messages() {
    let payload =
        |from: &str, body: Value| json!({"type": "chat", "from": from, "to": "bob", "bodies": [body]}).to_string();
    let answer = json!({"data": {"cursor": "next page", "channel_infos": [
        {"session_to": "bob", "session_type": "chat", "unread_num": 3, "is_top": true, "update_top_status_time": 8,
         "marks": [1, 2], "meta": {"id": "77", "from": "alice", "to": "bob", "timestamp": 5,
         "payload": payload("alice", json!({"type": "txt", "msg": "hi"}))}},
        {"session_to": "1827", "session_type": "group", "unread_num": 0, "is_top": false, "marks": [],
         "meta": {"id": "78", "payload": payload("bob", json!({"type": "new"}))}},
        {"session_to": "9", "session_type": "group", "meta": {}},
        {"session_to": "x", "session_type": "new"}, 7,
    ]}});
    let (server, rest) = answering(&answer).await;
    let page = rest.conversations(&token(), &alice(), 20, Some("a&b")).await.unwrap();
    is(&server, "GET", "/org/app/sdk/user/alice/user_channels/list?limit=20&cursor=a%26b&need_mark=true", Value::Null);
    assert_eq!((page.conversations.len(), page.skipped, page.next.as_deref()), (3, 2, Some("next page")));
    let [bob, group, empty] = &page.conversations[..] else { panic!() };
    assert_eq!((&bob.conversation, bob.unread, bob.pinned, bob.pinned_at), (&Conversation::user("bob"), 3, true, 8));
    let last = bob.last_message.as_ref().unwrap();
    assert_eq!((last.id, last.text(), last.own, last.timestamp), (77, Some("hi"), true, 5));
    assert_eq!((last.conversation(), &bob.marks[..]), (Conversation::user("bob"), &[1, 2][..]));
    assert_eq!((&group.conversation, &group.last_message), (&Conversation::group("1827"), &None));
    assert_eq!(group.raw.as_ref().unwrap().json().parse().unwrap()["id"], "78", "what is not known is kept as it came");
    assert_eq!((&empty.last_message, &empty.raw), (&None, &None));

    let (server, rest) = answering(&json!({"data": {"cursor": "", "channel_infos": []}})).await;
    assert_eq!(rest.conversations(&token(), &alice(), 1, None).await.unwrap().next, None);
    assert!(sent(&server).1.ends_with("?limit=1&cursor=&need_mark=true"));
}

#[actix::test]
async fn what_the_service_would_refuse_is_refused_before_anything_is_sent() {
    let (server, rest) = answering(&json!({})).await;
    let (token, alice) = (token(), alice());
    let many =
        users(&(0..101).map(|n| format!("u{n}")).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
    let (day, long) = (Duration::from_secs(86_400), Duration::from_secs(30 * 86_400 + 1));
    let too_many = Kind::ListSize { given: 101, most: 100 };
    let list = [
        rest.presence_of(&token, &alice, &many).await.unwrap_err(),
        rest.subscribe_presence(&token, &alice, &many, day).await.unwrap_err(),
        rest.unsubscribe_presence(&token, &alice, &many).await.unwrap_err(),
        rest.attributes_of(&token, &alice, &many, &[]).await.unwrap_err(),
    ];
    for error in list {
        assert_eq!((error.kind(), error.code().number(), error.is_final()), (&too_many, -3, true), "{error}");
    }
    let none = Kind::ListSize { given: 0, most: 100 };
    assert_eq!(rest.presence_of(&token, &alice, &[]).await.unwrap_err().kind(), &none);
    let delete = rest.delete_history(&token, &alice, &resource(), &"bob".into(), &[1; 21]).await.unwrap_err();
    assert_eq!(
        (delete.kind(), delete.operation()),
        (&Kind::ListSize { given: 21, most: 20 }, Operation::DeleteHistory)
    );
    assert!(rest.set_attributes(&token, &alice, &UserAttributes::new()).await.is_err());
    let bob = users(&["bob"]);
    let bad_page = HistoryQuery::new().limit(51);
    let bounds = [
        rest.subscribe_presence(&token, &alice, &bob, long).await.unwrap_err(),
        rest.subscribe_presence(&token, &alice, &bob, Duration::from_millis(999)).await.unwrap_err(),
        rest.presence_subscriptions(&token, &alice, 0, 1).await.unwrap_err(),
        rest.presence_subscriptions(&token, &alice, 1, 501).await.unwrap_err(),
        rest.history(&token, &alice, &"bob".into(), &bad_page).await.unwrap_err(),
        rest.conversations(&token, &alice, 0, None).await.unwrap_err(),
        rest.conversations(&token, &alice, 51, None).await.unwrap_err(),
    ];
    for error in bounds {
        assert!(matches!(error.kind(), Kind::Parameter(_)), "{error}");
        assert_eq!((error.code().number(), error.user()), (-3, Some(&alice)));
    }
    assert_eq!(server.count(), 0);
}
