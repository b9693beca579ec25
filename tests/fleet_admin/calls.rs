//! What each call does and answers.

use agora_chat::{LogHandle, LogLevel, errors::Kick, fleet::StateKind, local_server::SessionEnd};
use serde_json::json;

use crate::{LIMIT, Scene};

#[actix_web::test]
async fn the_fleet_and_its_accounts_are_told_as_they_are() {
    let scene = Scene::of(&["bot-0", "bot-1", "bot-2"]).await;
    let fleet = scene.call("GET", "/fleet").await.is(200).value();
    assert_eq!(fleet["accounts"], json!({"online": 3}));
    assert_eq!(
        (&fleet["node"], &fleet["draining"], &fleet["breaker"]),
        (&json!("node"), &json!(false), &json!("closed"))
    );
    assert_eq!(fleet["queue"]["length"], 0);
    assert_eq!(fleet["logins"], json!({"done": 3, "failed": 0}));

    let list = scene.call("GET", "/accounts?limit=2").await.is(200).value();
    assert_eq!((&list["accounts"][1]["user"], &list["next"]), (&json!("bot-1"), &json!("bot-1")));
    for field in ["user", "state", "since_ms", "node", "epoch", "cause", "code", "action"] {
        assert!(list["accounts"][0].get(field).is_some(), "{field}: {list}");
    }
    let rest = scene.call("GET", "/accounts?limit=2&after=bot-1").await.is(200).value();
    assert_eq!((rest["accounts"].as_array().unwrap().len(), &rest["next"]), (1, &json!(null)));
    for (query, count) in [
        ("state=online", 3),
        ("state=online,parked&state=failed", 3),
        ("state=parked", 0),
        ("tag=odd", 1),
        ("search=T-2", 1),
        ("cause=timeout", 0),
        ("node=node", 3),
        ("node=other", 0),
    ] {
        let list = scene.call("GET", &format!("/accounts?{query}")).await.is(200).value();
        assert_eq!(list["accounts"].as_array().unwrap().len(), count, "{query}");
    }

    let one = scene.call("GET", "/accounts/BOT-1").await.is(200).value();
    assert_eq!((&one["user"], &one["state"], &one["tag"]), (&json!("bot-1"), &json!("online"), &json!("odd")));
    assert_eq!((&one["health"]["user"], &one["health"]["reconnects"]), (&json!("bot-1"), &json!(0)));
    let states: Vec<_> = one["transitions"].as_array().unwrap().iter().map(|to| to["to"].as_str().unwrap()).collect();
    assert_eq!(states.last(), Some(&"online"), "{one}");
}

#[actix_web::test]
async fn one_account_is_paused_resumed_restarted_and_removed_and_again() {
    let scene = Scene::of(&["bot-1", "bot-2"]).await;
    for _ in 0..2 {
        scene.json("POST", "/accounts/bot-1/pause", &json!({"why": "audit"})).await.is(200);
        scene.until("bot-1", StateKind::Paused).await;
        let paused = scene.call("GET", "/accounts/bot-1").await.is(200).value();
        assert_eq!(
            (&paused["state"], &paused["why"], &paused["action"]),
            (&json!("paused"), &json!("audit"), &json!("resume"))
        );
    }
    let ended = async {
        while scene.log_of("bot-1").iter().any(|session| session.to_ms.is_none()) {
            actix_rt::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    actix_rt::time::timeout(LIMIT, ended).await.unwrap();
    assert_eq!(scene.log_of("bot-1")[0].end, Some(SessionEnd::Logout));

    for _ in 0..2 {
        scene.call("POST", "/accounts/bot-1/resume").await.is(200);
        scene.until("bot-1", StateKind::Online).await;
    }
    scene.call("POST", "/accounts/bot-1/restart").await.is(200);
    let again = async {
        while scene.log_of("bot-1").len() < 3 {
            actix_rt::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    actix_rt::time::timeout(LIMIT, again).await.unwrap();
    scene.until("bot-1", StateKind::Online).await;

    scene.json("POST", "/accounts/bot-1/pause", &json!({"for_ms": 300})).await.is(200);
    scene.until("bot-1", StateKind::Paused).await;
    let timed = scene.call("GET", "/accounts/bot-1").await.is(200).value();
    assert!(timed["until_ms"].as_u64().is_some(), "{timed}");
    scene.until("bot-1", StateKind::Online).await;

    scene.call("DELETE", "/accounts/bot-1").await.is(204);
    let gone = async {
        while scene.fleet.account("bot-1").is_ok() {
            actix_rt::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    actix_rt::time::timeout(LIMIT, gone).await.unwrap();
    for (method, path) in [
        ("DELETE", "/accounts/bot-1"),
        ("GET", "/accounts/bot-1"),
        ("POST", "/accounts/bot-1/pause"),
        ("GET", "/accounts/not%20a%20user"),
        ("GET", "/accounts/%FF"),
    ] {
        scene.call(method, path).await.refused(404, "unknown_account");
    }
    assert!(scene.server.online_twice().is_empty());
}

#[actix_web::test]
async fn a_text_is_sent_and_each_way_it_cannot_be_has_a_code() {
    let scene = Scene::of(&["bot-1"]).await;
    scene.server.create_user("alice", "password").unwrap();
    let hello = json!({"to": "alice", "text": "hi"});
    let sent = scene.json("POST", "/accounts/bot-1/send", &hello).await.is(200).value();
    assert!(sent["server_id"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{sent}");
    assert_eq!(scene.server.messages_between("bot-1", "alice").len(), 1);

    scene.json("POST", "/accounts/nobody/send", &hello).await.refused(404, "unknown_account");
    scene.json("POST", "/accounts/bot-1/send", &json!({"to": "", "text": "hi"})).await.refused(400, "send_failed");
    scene
        .json("POST", "/accounts/bot-1/send", &json!({"to": "nobody", "text": "hi"}))
        .await
        .refused(422, "send_failed");
    for body in [json!({}), json!([]), json!({"to": 1, "text": "hi"}), json!({"to": "a", "text": "b", "more": 1})] {
        scene.json("POST", "/accounts/bot-1/send", &body).await.refused(400, "bad_body");
    }
    scene.call("POST", "/accounts/bot-1/pause").await.is(200);
    scene.until("bot-1", StateKind::Paused).await;
    let message = scene.json("POST", "/accounts/bot-1/send", &hello).await.refused(409, "not_online");
    assert!(message.contains("bot-1") && message.contains("paused"), "{message}");
}

#[actix_web::test]
async fn a_kicked_account_says_why_and_credentials_bring_a_refused_one_back() {
    let scene = Scene::of(&["bot-1", "bot-2"]).await;
    scene.server.kick("bot-1", Kick::LoggedInElsewhere { ext: None });
    scene.until("bot-1", StateKind::Parked).await;
    let one = scene.call("GET", "/accounts/bot-1").await.is(200).value();
    assert_eq!(
        (&one["state"], &one["cause"], &one["code"]),
        (&json!("parked"), &json!("kicked_elsewhere"), &json!(206))
    );
    assert_eq!(one["action"], "find_other_login");
    let list = scene.call("GET", "/accounts?cause=kicked_elsewhere").await.is(200).value();
    assert_eq!(list["accounts"].as_array().unwrap().len(), 1);

    scene.server.change_password("bot-2", "n3w-s3cret").unwrap();
    scene.until("bot-2", StateKind::Failed).await;
    let path = "/accounts/bot-2/credentials";
    for body in [json!({}), json!({"password": "a", "token": "b"}), json!({"password": 5}), json!({"secret": "a"})] {
        let message = scene.json("PUT", path, &body).await.refused(400, "bad_body");
        assert!(message.contains("password"), "{message}");
    }
    let answer = scene.json("PUT", path, &json!({"password": "n3w-s3cret"})).await.is(200);
    assert!(!answer.body.contains("s3cret"));
    scene.until("bot-2", StateKind::Online).await;

    // What is wrong with a body is told without what is in it.
    let body = r#"{"password":"n3w-s3cret" 7}"#;
    let broken = scene.client().header("content-type", "application/json").body(body).call("PUT", path).await;
    let message = broken.refused(400, "bad_body");
    assert!(!message.contains("s3cret") && message.contains("column"), "{message}");
}

#[actix_web::test]
async fn many_are_acted_on_by_filter_and_a_dry_run_only_says_which() {
    let scene = Scene::of(&["bot-1", "bot-2", "bot-11"]).await;
    let dry = scene.call("POST", "/accounts/pause?tag=odd&dry_run").await.is(200).value();
    assert_eq!((&dry["taken"], &dry["done"], &dry["users"]), (&json!(2), &json!(0), &json!(["bot-1", "bot-11"])));
    assert_eq!(scene.fleet.summary().of(StateKind::Online), 3);

    let done = scene.json("POST", "/accounts/pause?tag=odd", &json!({"why": "audit"})).await.is(200).value();
    assert_eq!((&done["taken"], &done["done"], &done["failed"]), (&json!(2), &json!(2), &json!([])));
    scene.until("bot-1", StateKind::Paused).await;
    scene.until("bot-11", StateKind::Paused).await;
    assert_eq!(scene.fleet.summary().of(StateKind::Online), 1);

    scene.call("POST", "/fleet/pause").await.is(200);
    scene.until("bot-2", StateKind::Paused).await;
    let resumed = scene.call("POST", "/fleet/resume").await.is(200).value();
    assert_eq!(resumed["done"], 3);
    for user in ["bot-1", "bot-2", "bot-11"] {
        scene.until(user, StateKind::Online).await;
    }
    assert_eq!(scene.call("POST", "/fleet/resume").await.is(200).value()["taken"], 0);
    scene.call("POST", "/accounts/remove").await.refused(400, "bad_query");
    let removed = scene.call("POST", "/accounts/remove?search=bot-2").await.is(200).value();
    assert_eq!(removed["done"], 1);
    scene.call("POST", "/accounts/explode").await.refused(404, "not_found");
}

#[actix_web::test]
async fn an_unknown_query_path_or_method_is_refused_by_name() {
    let scene = Scene::of(&["bot-1"]).await;
    for query in
        ["state=asleep", "cause=mood", "limit=0", "limit=10001", "limit=x", "colour=red", "tag=a&tag=b", "after=a%20b"]
    {
        let message = scene.call("GET", &format!("/accounts?{query}")).await.refused(400, "bad_query");
        assert!(message.contains('`') || message.contains("one of"), "{query}: {message}");
    }
    scene.call("POST", "/accounts/pause?dry_run=maybe").await.refused(400, "bad_query");
    scene.call("POST", "/fleet/drain?deadline=soon").await.refused(400, "bad_query");
    scene.call("GET", "/metrics?per_account=2").await.refused(400, "bad_query");
    for path in ["/nothing", "/accounts/bot-1/dance/twice", "/fleet/dance"] {
        scene.call("GET", path).await.refused(404, "not_found");
    }
    scene.call("POST", "/accounts/bot-1/dance").await.refused(404, "not_found");
    for (method, path, allowed) in [
        ("POST", "/fleet", "get"),
        ("DELETE", "/fleet/drain", "post"),
        ("GET", "/fleet/drain", "post"),
        ("PUT", "/accounts/bot-1", "get, post, delete"),
        ("GET", "/accounts/bot-1/send", "post"),
        ("POST", "/events", "get"),
        ("PATCH", "/", "get"),
    ] {
        let reply = scene.call(method, path).await;
        assert!(reply.head.contains(&format!("\r\nallow: {allowed}\r\n")), "{}", reply.head);
        reply.refused(405, "method_not_allowed");
    }
    for (method, path) in [("GET", "/nodes"), ("POST", "/nodes/a/drain"), ("POST", "/accounts/bot-1/move?to=b")] {
        scene.call(method, path).await.refused(501, "not_clustered");
    }
}

#[actix_web::test]
async fn the_level_of_the_log_is_read_and_set_where_there_is_a_log() {
    let log = LogHandle::discard();
    let given = log.clone();
    let scene = Scene::with(&[], |admin| admin.log(given)).await;
    assert_eq!(
        scene.json("PUT", "/log-level", &json!({"level": "debug"})).await.is(200).value(),
        json!({"level": "DEBUG"})
    );
    assert_eq!(log.level(), LogLevel::Debug);
    assert_eq!(scene.call("GET", "/log-level").await.is(200).value(), json!({"level": "DEBUG"}));
    scene.json("PUT", "/log-level", &json!({"level": "loud"})).await.refused(400, "bad_body");
    let without = Scene::of(&[]).await;
    without.call("GET", "/log-level").await.refused(501, "no_log");
}

#[actix_web::test]
async fn probes_follow_the_fleet_and_a_drained_fleet_takes_no_calls() {
    let scene = Scene::of(&["bot-1"]).await;
    for probe in ["/livez", "/readyz", "/startupz"] {
        scene.call("GET", probe).await.is(200);
        assert_eq!(scene.call("HEAD", probe).await.is(200).body, "");
    }
    for _ in 0..2 {
        scene.call("POST", "/fleet/drain?deadline=5s").await.is(202);
    }
    scene.fleet.drain(LIMIT).await;
    scene.call("GET", "/readyz").await.refused(503, "not_yet");
    scene.call("GET", "/livez").await.is(200);
    scene.call("GET", "/startupz").await.is(200);
    scene.call("POST", "/accounts/bot-1/pause").await.refused(409, "stopped");
    scene.call("POST", "/fleet/pause").await.refused(409, "stopped");
    let fleet = scene.call("GET", "/fleet").await.is(200).value();
    assert_eq!((&fleet["draining"], &fleet["accounts"]), (&json!(true), &json!({"released": 1})));
    assert_eq!(scene.log_of("bot-1")[0].end, Some(SessionEnd::Logout));
}

#[actix_web::test]
async fn a_program_says_when_it_is_ready() {
    let ready = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = ready.clone();
    let scene =
        Scene::with(&[], |admin| admin.ready_when(move || seen.load(std::sync::atomic::Ordering::Relaxed))).await;
    scene.call("GET", "/readyz").await.refused(503, "not_yet");
    scene.call("GET", "/startupz").await.refused(503, "not_yet");
    ready.store(true, std::sync::atomic::Ordering::Relaxed);
    scene.call("GET", "/readyz").await.is(200);
    scene.call("GET", "/startupz").await.is(200);
}
