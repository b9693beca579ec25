//! Registration, tokens, expiry and discovery, and every error body of the spec.

use std::time::Duration;

use agora_chat::local_server::{LocalServer, RestFault};
use serde_json::{Value, json};

use crate::peer::{http, post, server};

fn register(server: &LocalServer, bearer: &str, body: &Value) -> (u16, Value) {
    post(server, "users", bearer, &body.to_string())
}

fn assert_error(answer: (u16, Value), status: u16, error: &str, description: &str) {
    let (got, body) = answer;
    assert_eq!(
        (got, body["error"].as_str(), body["error_description"].as_str()),
        (status, Some(error), Some(description)),
        "{body}"
    );
    assert!(body["exception"].is_string() && body["timestamp"].is_u64() && body["duration"].is_u64(), "{body}");
}

#[actix_web::test]
async fn a_user_registers_and_logs_in_with_the_recorded_shapes() {
    let server = server().await;
    let (status, body) = register(&server, "", &json!({"username": "Erin", "password": "pw", "nickname": "E"}));
    assert_eq!(status, 200);
    assert_eq!((&body["action"], &body["path"]), (&json!("post"), &json!("/users")));
    assert_eq!((&body["organization"], &body["applicationName"]), (&json!("testorg"), &json!("testapp")));
    assert_eq!(body["entities"][0]["username"], "erin");
    assert_eq!(body["entities"][0]["nickname"], "E");

    let grant = json!({"grant_type": "password", "username": "ERIN", "password": "pw", "timestamp": 1});
    let (status, body) = post(&server, "token", "", &grant.to_string());
    assert_eq!((status, body["expires_in"].as_u64()), (200, Some(86_400)));
    assert_eq!(body["user"]["username"], "erin");
    let token = body["access_token"].as_str().unwrap();
    let head = format!("GET /testorg/testapp/sdk/users/erin/token/expires HTTP/1.1\r\nAuthorization: Bearer {token}");
    let (status, _, body) = http(&server, &head, "");
    assert_eq!(status, 200);
    assert!(body["expire_timestamp"].as_u64().is_some());
    let calls: Vec<_> = server.rest_calls().into_iter().map(|call| (call.method, call.status)).collect();
    assert_eq!(calls, [("POST".to_owned(), 200), ("POST".to_owned(), 200), ("GET".to_owned(), 200)]);
}

#[actix_web::test]
async fn every_registration_error_has_the_services_words() {
    let server = server().await;
    let user = |name: &str| json!({"username": name, "password": "pw", "nickname": ""});
    let taken = "Application null Entity user requires that property named username be unique, value of alice exists";
    assert_error(register(&server, "", &user("alice")), 400, "duplicate_unique_property_exists", taken);
    let illegal = |body: &Value, words: &str| assert_error(register(&server, "", body), 400, "illegal_argument", words);
    illegal(&user("no spaces"), "username [no spaces] is not legal");
    illegal(&user(&"a".repeat(65)), "USERNAME_TOO_LONG");
    illegal(&json!({"username": "erin", "password": "pw", "nickname": "n".repeat(101)}), "NICKNAME_TOO_LONG");
    illegal(&json!({"username": "erin"}), "password or pin must provided");
    illegal(&json!({"password": "pw"}), "Entity user requires a property named username");
    let (status, body) = post(&server, "users", "", "{not json");
    assert_eq!((status, body["error"].as_str()), (400, Some("json_parse")));

    server.set_open_registration(false);
    let closed = "Open registration doesn't allow, so register user need token,";
    assert_error(register(&server, "", &user("erin")), 401, "unauthorized", closed);
    let oauth = "Unable to authenticate (OAuth)";
    assert_error(register(&server, "no-token", &user("erin")), 401, "unauthorized", oauth);
    let not_an_app = server.issue_token("alice", None).unwrap();
    assert_error(register(&server, &not_an_app, &user("erin")), 401, "unauthorized", oauth);

    let (status, _, body) = http(&server, "POST /other/app/users HTTP/1.1", "{}");
    assert_eq!((status, body["error"].as_str()), (404, Some("organization_application_not_found")));
    let words = body["error_description"].as_str().unwrap();
    assert!(words.starts_with("Could not find application for other/app from URI: "), "{words}");
}

#[actix_web::test]
async fn an_app_token_registers_one_or_up_to_sixty_and_all_or_none() {
    let server = server().await;
    server.set_open_registration(false);
    let token = server.app_token();
    let users = |from: usize, to: usize| -> Value {
        (from..to).map(|n| json!({"username": format!("u{n}"), "password": "pw"})).collect()
    };
    assert_eq!(register(&server, &token, &json!({"username": "one", "password": "pw"})).0, 200);
    let (status, body) = register(&server, &token, &users(0, 60));
    assert_eq!((status, body["entities"].as_array().unwrap().len()), (200, 60));
    assert_eq!(register(&server, &token, &users(100, 161)).0, 400);
    assert_eq!(register(&server, &token, &json!([])).0, 400);
    assert_eq!(register(&server, &token, &users(59, 62)).0, 400, "u59 is taken");
    assert!(server.issue_token("u60", None).is_err(), "so u60 was not made");
    server.set_open_registration(true);
    assert_eq!(register(&server, "", &users(70, 71)).0, 401, "many at once need an app token");
}

#[actix_web::test]
async fn every_grant_and_its_errors() {
    let server = server().await;
    let grant = |bearer: &str, body: &Value| post(&server, "token", bearer, &body.to_string());
    let password =
        |user: &str, password: &str| json!({"grant_type": "password", "username": user, "password": password});
    assert_error(grant("", &password("alice", "nope")), 400, "invalid_grant", "invalid password");
    assert_error(grant("", &password("nobody", "x")), 400, "invalid_grant", "user not found");
    assert_eq!(grant("", &json!({"grant_type": "magic"})).0, 400);

    let oauth = "Unable to authenticate (OAuth)";
    let agora = json!({"grant_type": "agora"});
    assert_error(grant("no-token", &agora), 401, "unauthorized", oauth);
    let (status, body) = grant(&server.issue_token("alice", None).unwrap(), &agora);
    assert_eq!(status, 200);
    assert!(body["access_token"].is_string() && body["expire_timestamp"].is_u64(), "{body}");

    let client = json!({"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret"});
    assert_error(grant("", &client), 401, "unauthorized", oauth);
    server.set_client("id", "secret");
    let (status, body) = grant("", &client);
    assert_eq!(status, 200);
    let app = body["access_token"].as_str().unwrap();

    let inherit = |user: &str, create: bool| json!({"grant_type": "inherit", "username": user, "autoCreateUser": create, "ttl": 0});
    assert_eq!(grant(app, &inherit("alice", false)).0, 200);
    assert_error(grant(app, &inherit("zoe", false)), 404, "service_resource_not_found", "user not found");
    assert_eq!(grant(app, &inherit("zoe", true)).0, 200);
    assert_error(grant("", &inherit("zoe", true)), 401, "unauthorized", oauth);

    server.set_token_life(Some(Duration::from_secs(5)));
    assert_eq!(grant("", &password("alice", "pw-a")).1["expires_in"], 5);
    server.set_token_life(None);
    assert_eq!(grant("", &password("alice", "pw-a")).1["expires_in"], i64::MAX);
}

#[actix_web::test]
async fn the_expiry_of_a_bad_token_is_not_told() {
    let server = server().await;
    let expired = server.issue_token("alice", Some(Duration::ZERO)).unwrap();
    let bobs = server.issue_token("bob", None).unwrap();
    for token in ["no-token", &expired, &bobs] {
        let head =
            format!("GET /testorg/testapp/sdk/users/alice/token/expires HTTP/1.1\r\nAuthorization: Bearer {token}");
        let (status, _, body) = http(&server, &head, "");
        assert_error((status, body), 401, "unauthorized", "Unable to authenticate (OAuth)");
    }
}

#[actix_web::test]
async fn discovery_names_this_server() {
    let server = server().await;
    let ask = |query: &str| http(&server, &format!("GET /easemob/server.json?{query} HTTP/1.1"), "");
    for query in ["app_key=testorg%23testapp&_v=1", "sdk_version=4.10.0&app_id=abc&file_version=1"] {
        let (status, _, body) = ask(query);
        assert_eq!((status, &body["app_key"]), (200, &json!("testorg#testapp")));
        for list in ["rest", "msync-wx"] {
            let host = &body[list]["hosts"][0];
            assert_eq!((&host["protocol"], &host["domain"]), (&json!("http"), &json!("127.0.0.1")));
            assert_eq!(host["port"], server.port().to_string());
        }
    }
    assert_eq!(ask("app_key=other%23app").0, 404);
}

#[actix_web::test]
async fn rest_fails_as_told_and_as_often_as_told() {
    let server = server().await;
    let words = "This request has reached api limit";
    let busy = RestFault::new("/token", 429).error("reach_limit", words).header("retry-after", "3").unwrap().times(1);
    server.fail_rest(busy).unwrap();
    server.fail_rest(RestFault::new("server.json", 200).body("poison")).unwrap();
    let grant = r#"{"grant_type":"password","username":"alice","password":"pw-a"}"#;
    let (status, head, body) = http(&server, "POST /testorg/testapp/token HTTP/1.1", grant);
    assert!(head.to_lowercase().contains("retry-after: 3"), "{head}");
    assert_error((status, body), 429, "reach_limit", words);
    assert_eq!(post(&server, "token", "", grant).0, 200);
    let discover = "GET /easemob/server.json?app_key=testorg%23testapp HTTP/1.1";
    assert_eq!(http(&server, discover, "").2, Value::Null);
    server.clear_rest_faults();
    assert_eq!(http(&server, discover, "").2["app_key"], "testorg#testapp");
    assert!(RestFault::new("", 500).header("bad name", "x").is_err());
    assert!(server.fail_rest(RestFault::new("", 42)).is_err());
}

#[actix_web::test]
async fn a_body_over_a_mebibyte_is_refused() {
    let server = server().await;
    assert_eq!(http(&server, "POST /testorg/testapp/users HTTP/1.1", &"x".repeat((1 << 20) + 1)).0, 413);
}
