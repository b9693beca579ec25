//! Who may call: hosts, origins, tokens, bodies.

use agora_chat::fleet::{
    StateKind,
    admin::{Admin, AdminError, AdminToken},
};
use serde_json::json;

use crate::Scene;

const TOKEN: &str = "0123456789abcdef-right";

fn token() -> AdminToken {
    AdminToken::new(TOKEN).unwrap()
}

#[actix_web::test]
async fn only_hosts_that_nobody_else_can_lead_here_are_served() {
    let scene = Scene::with(&[], |admin| admin.host("Bots.example.com").host("bots.example.com:8443")).await;
    let port = scene.served.address().port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("127.8.9.10:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("LOCALHOST:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("bots.example.com".to_owned(), 200),
        ("bots.example.com:443".to_owned(), 200),
        ("BOTS.example.com:8443".to_owned(), 200),
        ("bots.example.com:8444".to_owned(), 403),
        (format!("evil.example.com:{port}"), 403),
        (format!("localhost.evil.example.com:{port}"), 403),
        (format!("127.0.0.1.evil.example.com:{port}"), 403),
        ("127.0.0.1".to_owned(), 403),
        (format!("127.0.0.1:{}", port ^ 1), 403),
        (format!("10.0.0.1:{port}"), 403),
        ("localhost:".to_owned(), 403),
        (String::new(), 403),
        (format!("user@127.0.0.1:{port}"), 403),
    ] {
        let reply = scene.client().host(&host).call("GET", "/fleet").await;
        match status {
            200 => drop(reply.is(200)),
            _ => drop(reply.refused(403, "foreign_host")),
        }
    }
    // Two of them, or none: the framework answers, or we do.
    for client in [scene.client().header("host", "localhost"), scene.client().no_host()] {
        let status = client.call("GET", "/fleet").await.status;
        assert!(matches!(status, 400 | 403), "{status}");
    }
    // What a proxy in between might be made to say is not looked at.
    let evil = scene.client().host("evil.example.com").header("x-forwarded-host", format!("localhost:{port}"));
    let evil = evil.header("forwarded", format!("host=localhost:{port}"));
    evil.call("GET", "/fleet").await.refused(403, "foreign_host");
}

#[actix_web::test]
async fn no_page_of_another_origin_reads_or_acts() {
    let scene = Scene::of(&["bot-1"]).await;
    let own = scene.served.address().to_string();
    let port = scene.served.address().port();
    for (method, path) in [
        ("GET", "/fleet"),
        ("GET", "/events"),
        ("GET", "/"),
        ("POST", "/accounts/bot-1/pause"),
        ("DELETE", "/accounts/bot-1"),
    ] {
        for origin in [
            "http://evil.example.com".to_owned(),
            "null".to_owned(),
            String::new(),
            "file://".to_owned(),
            format!("http://127.0.0.1:{}", port ^ 1),
            // Another name of this machine is another origin.
            format!("http://localhost:{port}"),
            format!("http://{own}.evil.example.com"),
            own.clone(),
        ] {
            let reply = scene.client().header("origin", &origin).call(method, path).await;
            assert!(!reply.head.contains("access-control"), "{}", reply.head);
            reply.refused(403, "foreign_origin");
        }
        for site in ["cross-site", "same-site"] {
            let asked = scene.client().header("sec-fetch-site", site).header("sec-fetch-mode", "no-cors");
            asked.call(method, path).await.refused(403, "foreign_origin");
        }
    }
    let preflight =
        scene.client().header("origin", "http://evil.example.com").header("access-control-request-method", "PUT");
    preflight.call("OPTIONS", "/accounts/bot-1/credentials").await.refused(403, "foreign_origin");
    assert_eq!(scene.fleet.account("bot-1").unwrap().state().kind(), StateKind::Online);

    // A link to the page is no page that reads it.
    let link = scene.client().header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    link.call("GET", "/").await.is(200);
    link.call("GET", "/fleet").await.refused(403, "foreign_origin");
    link.call("POST", "/accounts/bot-1/pause").await.refused(403, "foreign_origin");
    let same = scene.client().header("origin", format!("http://{own}")).header("sec-fetch-site", "same-origin");
    same.call("POST", "/accounts/bot-1/pause").await.is(200);
}

#[actix_web::test]
async fn every_call_but_the_page_and_the_probes_needs_the_token() {
    let scene = Scene::with(&["bot-1"], |admin| admin.token(token())).await;
    for path in ["/", "/page.css", "/page.js", "/page.svg", "/livez", "/readyz", "/startupz"] {
        scene.call("GET", path).await.is(200);
    }
    for (method, path) in [
        ("GET", "/fleet"),
        ("GET", "/accounts"),
        ("GET", "/accounts/bot-1"),
        ("GET", "/events"),
        ("GET", "/metrics"),
        ("GET", "/log-level"),
        ("GET", "/nothing"),
        ("GET", "//"),
        ("GET", "/page.js/../fleet"),
        ("POST", "/"),
        ("POST", "/livez"),
        ("POST", "/accounts/bot-1/pause"),
        ("POST", "/fleet/drain"),
    ] {
        let reply = scene.call(method, path).await;
        assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
        reply.refused(401, "unauthorized");
        let wrong = [
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdef-wrong",
            &format!("Basic {TOKEN}"),
            &format!("Bearer {TOKEN}x"),
            TOKEN,
        ];
        for given in wrong {
            let reply = scene.client().header("authorization", given).call(method, path).await;
            let message = reply.refused(401, "unauthorized");
            assert!(!message.contains("0123456789abcdef"), "{message}");
        }
    }
    assert_eq!(scene.fleet.account("bot-1").unwrap().state().kind(), StateKind::Online);
    let right = scene.client().header("authorization", format!("bearer {TOKEN}"));
    right.call("GET", "/fleet").await.is(200);
    // The right token does not make a foreign page one's own, and may come to any address, but to no name.
    right
        .clone()
        .header("origin", "http://evil.example.com")
        .call("GET", "/fleet")
        .await
        .refused(403, "foreign_origin");
    let port = scene.served.address().port();
    right.clone().host(&format!("10.0.0.1:{port}")).call("GET", "/fleet").await.is(200);
    right.host(&format!("evil.example.com:{port}")).call("GET", "/fleet").await.refused(403, "foreign_host");
    assert!(!format!("{:?}", Admin::new(&scene.fleet).token(token())).contains("0123456789abcdef"));
}

#[actix_web::test]
async fn a_token_is_of_some_length_and_needed_where_others_can_reach() {
    for bad in ["", "short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdé-x", &"x".repeat(5000)] {
        assert!(matches!(AdminToken::new(bad), Err(AdminError::Token)), "{bad}");
    }
    let scene = Scene::of(&[]).await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Admin::new(&scene.fleet).serve(address.parse().unwrap());
        assert!(matches!(refused, Err(AdminError::TokenMissing { .. })), "{refused:?}");
    }
    let taken = Admin::new(&scene.fleet).serve(scene.served.address());
    assert!(
        matches!(&taken, Err(error @ AdminError::Bind { .. }) if error.to_string().contains("cannot listen")),
        "{taken:?}"
    );
    // White space around a file's token is none of it.
    let served = Admin::new(&scene.fleet).token(AdminToken::new(&format!("{TOKEN}\n")).unwrap());
    let served = served.serve("0.0.0.0:0".parse().unwrap()).unwrap();
    let loopback = format!("127.0.0.1:{}", served.address().port());
    let client = crate::Client::new(loopback.parse().unwrap()).header("authorization", format!("Bearer {TOKEN}"));
    client.call("GET", "/fleet").await.is(200);
    served.stop().await;
}

#[actix_web::test]
async fn bodies_are_json_and_bounded_however_they_come() {
    let scene = Scene::of(&["bot-1"]).await;
    let path = "/accounts/bot-1/pause";
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let sent = scene.client().header("content-type", kind).body(r#"{"why":"x"}"#);
        sent.call("POST", path).await.refused(415, "not_json");
    }
    scene.client().body("{}").call("POST", path).await.refused(415, "not_json");
    let charset = scene.client().header("content-type", "application/json; charset=utf-8").body("{}");
    charset.call("POST", path).await.is(200);

    let long = json!({"why": "x".repeat(Admin::MAX_BODY)});
    scene.json("POST", path, &long).await.refused(413, "body_too_large");
    // Also where the length is not said before, and where nobody looks at the body.
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.to_string().len());
    for path in [path, "/accounts/bot-1/resume", "/fleet/resume"] {
        let sent = scene.client().header("content-type", "application/json").header("transfer-encoding", "chunked");
        sent.raw(chunk.clone()).call("POST", path).await.refused(413, "body_too_large");
    }
    scene
        .client()
        .header("content-type", "application/json")
        .body(vec![0xff; 10])
        .call("POST", path)
        .await
        .refused(400, "bad_body");
}

#[actix_web::test]
async fn every_answer_tells_a_browser_to_keep_nothing_and_show_it_nowhere_else() {
    let scene = Scene::of(&[]).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/page.js"),
        ("GET", "/fleet"),
        ("GET", "/nothing"),
        ("PUT", "/fleet"),
        ("POST", "/accounts/x/send"),
    ] {
        let head = scene.call(method, path).await.head;
        for header in [
            "cache-control: no-store",
            "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "cross-origin-resource-policy: same-origin",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.contains(&format!("\r\n{header}")), "{path}: {header}\n{head}");
        }
        assert!(!head.contains("access-control-"), "{head}");
    }
}
