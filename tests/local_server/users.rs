//! Users and devices managed by an app token, in the shapes the vendor documents.

use agora_chat::local_server::LocalServer;
use serde_json::{Value, json};

use crate::peer::{End, Peer, http, server};

fn ask(server: &LocalServer, call: &str, token: &str, body: &str) -> (u16, Value) {
    let (method, path) = call.split_once(' ').unwrap();
    let head = format!("{method} /testorg/testapp/users/{path} HTTP/1.1\r\nAuthorization: Bearer {token}");
    let (status, _, body) = http(server, &head, body);
    (status, body)
}

#[actix_web::test]
async fn answers_have_the_documented_shapes() {
    let server = server().await;
    let token = server.app_token();
    let _peer = Peer::login(&server, "alice", "d1");
    let (status, body) = ask(&server, "GET Alice/resources", &token, "");
    assert_eq!((status, &body["action"], &body["entities"]), (200, &json!("get"), &json!([])));
    assert_eq!(body["data"], json!([{"res": "d1", "device_uuid": null, "device_name": "webim"}]));
    let (status, body) = ask(&server, "DELETE alice/disconnect/d%31", &token, "");
    assert_eq!((status, &body["action"], &body["data"]), (200, &json!("delete"), &json!({"result": true})));
    let (status, body) = ask(&server, "GET alice/disconnect", &token, "");
    assert_eq!((status, &body["action"], &body["data"]), (200, &json!("get"), &json!({"result": true})));
    let (status, body) = ask(&server, "POST alice/deactivate", &token, "");
    assert_eq!((status, &body["action"]), (200, &json!("Deactivate user")));
    let entity = &body["entities"][0];
    assert_eq!((&entity["username"], &entity["activated"]), (&json!("alice"), &json!(false)));
    let (status, body) = ask(&server, "POST alice/activate", &token, "");
    assert_eq!((status, &body["action"]), (200, &json!("activate user")));
    let (status, body) = ask(&server, "PUT alice/password", &token, r#"{"newpassword":"new"}"#);
    assert_eq!((status, &body["action"]), (200, &json!("set user password")));
    let (status, body) = ask(&server, "DELETE alice", &token, "");
    assert_eq!((status, &body["action"], &body["path"]), (200, &json!("delete"), &json!("/users")));
    assert_eq!(body["entities"][0]["username"], "alice");
}

#[actix_web::test]
async fn only_an_app_token_may_and_only_what_is_there_can() {
    let server = server().await;
    let own = server.issue_token("alice", None).unwrap();
    let token = server.app_token();
    let calls = [
        "DELETE alice",
        "PUT alice/password",
        "POST alice/activate",
        "POST alice/deactivate",
        "GET alice/resources",
        "GET alice/disconnect",
        "DELETE alice/disconnect/d1",
    ];
    for call in calls {
        let (status, body) = ask(&server, call, &own, "{}");
        assert_eq!((status, &body["error"]), (401, &json!("unauthorized")), "{call}");
        let (status, body) = ask(&server, &call.replace("alice", "nobody"), &token, "{}");
        assert_eq!((status, &body["error"]), (404, &json!("service_resource_not_found")), "{call}");
    }
    assert_eq!(ask(&server, "POST alice/promote", &token, "").0, 404);
    for body in ["{}", r#"{"newpassword":""}"#, r#"{"newpassword":7}"#, "{"] {
        assert_eq!(ask(&server, "PUT alice/password", &token, body).0, 400, "{body}");
    }
    assert_eq!(ask(&server, "GET alice/resources", &token, "").1["data"], json!([]));
}

#[actix_web::test]
async fn a_deactivated_user_goes_off_keeps_its_messages_and_comes_back() {
    let server = server().await;
    let token = server.app_token();
    let mut alice = Peer::login(&server, "alice", "d1");
    ask(&server, "POST alice/deactivate", &token, "");
    alice.batch();
    assert_eq!(alice.end(), End::Close);
    let status = Peer::connect(&server, "alice", "d1").provision().status.unwrap();
    assert_eq!((status.error_code, status.reason()), (Some(12), "Server serving disabled."));
    let mut bob = Peer::login(&server, "bob", "d1");
    bob.chat(1, "alice", b"waits");
    ask(&server, "POST alice/activate", &token, "");
    let mut alice = Peer::login(&server, "alice", "d1");
    assert_eq!(alice.pull("bob", None).metas.len(), 1);
}
