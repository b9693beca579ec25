//! The endpoints of `examples/actix_web_app.rs`, against the local server.

use actix_web::{
    App,
    http::{Method, StatusCode, header::ContentType},
    test::{TestRequest, call_service, init_service, read_body},
    web::Data,
};
use agora_chat::{Connection, Credentials, LogHandle, LogLevel, local_server::LocalServer};
use app::Chat;
use serde_json::{Value, json};

#[path = "../../examples/actix_web_app.rs"]
#[allow(dead_code, reason = "only the routes are tested here")]
mod app;

struct Served {
    server: LocalServer,
    chat: Data<Chat>,
}

async fn served() -> Served {
    let server = LocalServer::start().await.unwrap();
    server.create_user("web", "password").unwrap();
    server.create_user("bob", "password").unwrap();
    let config = server.config().buffer_sends_for(std::time::Duration::from_millis(100));
    let connection = Connection::start(config.build().unwrap()).unwrap();
    Served { server, chat: Data::new(Chat { connection, log: LogHandle::discard() }) }
}

impl Served {
    async fn logged_in(self) -> Self {
        self.chat.connection.open(Credentials::password("web", "password").unwrap()).await.unwrap();
        self
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let app = init_service(App::new().app_data(self.chat.clone()).configure(app::routes)).await;
        let request = TestRequest::default().method(method).uri(path);
        let request = request.insert_header(ContentType::json()).set_payload(body.to_owned());
        let response = call_service(&app, request.to_request()).await;
        let status = response.status();
        (status, serde_json::from_slice(&read_body(response).await).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK);
        body
    }
}

#[actix_web::test]
async fn the_state_follows_the_connection() {
    let served = served().await;
    assert_eq!(served.get("/state").await, json!({"state": "logged_out"}));
    let served = served.logged_in().await;
    assert_eq!(served.get("/state").await, json!({"state": "online"}));
}

#[actix_web::test]
async fn a_sent_text_is_answered_with_the_servers_id() {
    let served = served().await.logged_in().await;
    let (status, body) = served.call(Method::POST, "/send", r#"{"to":"bob","text":"hello"}"#).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body["server_id"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{body}");
}

#[actix_web::test]
async fn every_failed_send_has_a_status_a_code_and_a_sentence() {
    let served = served().await;
    let hello = r#"{"to":"bob","text":"hello"}"#;
    let (status, body) = served.call(Method::POST, "/send", hello).await;
    assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(39)));

    let served = served.logged_in().await;
    let (status, body) = served.call(Method::POST, "/send", r#"{"to":"","text":"hello"}"#).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!(205)));
    assert!(body["error"].as_str().unwrap().contains("recipient"), "{body}");

    let (status, body) = served.call(Method::POST, "/send", r#"{"to":"nobody","text":"hello"}"#).await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!(204)));
}

#[actix_web::test]
async fn a_body_that_is_no_message_is_a_bad_request() {
    let served = served().await.logged_in().await;
    for body in ["", "{", "[]", r#"{"to":"bob"}"#, r#"{"to":1,"text":"hello"}"#] {
        let (status, answer) = served.call(Method::POST, "/send", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(!answer["error"].as_str().unwrap().is_empty(), "{answer}");
    }
    let long = json!({"to": "bob", "text": "x".repeat(64 * 1024)}).to_string();
    let (status, _) = served.call(Method::POST, "/send", &long).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[actix_web::test]
async fn the_level_is_set_by_name_or_number_and_by_nothing_else() {
    let served = served().await;
    for (wanted, level) in [("debug", "DEBUG"), ("3", "WARN"), ("SILENT", "SILENT"), ("Trace", "TRACE")] {
        let (status, _) = served.call(Method::PUT, &format!("/log-level/{wanted}"), "").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(served.get("/log-level").await, json!({"level": level}));
    }
    for wanted in ["6", "-1", "2.5", "loud", "%20"] {
        let (status, body) = served.call(Method::PUT, &format!("/log-level/{wanted}"), "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wanted}");
        assert!(body["error"].as_str().unwrap().contains("not a log level"), "{body}");
    }
    assert_eq!(served.chat.log.level(), LogLevel::Trace);
}

#[actix_web::test]
async fn a_lost_link_shows_in_the_state_and_a_send_meanwhile_is_refused_unless_the_link_is_back_soon() {
    let served = served().await.logged_in().await;
    served.server.stop_listening().await.unwrap();
    let (told, lost) = tokio::sync::oneshot::channel();
    let mut told = Some(told);
    let handler = agora_chat::EventHandler::new().on_reconnecting(move |_, _, _, _| {
        if let Some(told) = told.take() {
            let _ = told.send(());
        }
    });
    served.chat.connection.add_event_handler("test", handler).unwrap();
    served.server.drop_links("web", agora_chat::local_server::Cut::Rst);
    actix_rt::time::timeout(std::time::Duration::from_secs(10), lost).await.unwrap().unwrap();

    assert_eq!(served.get("/state").await["state"], "reconnecting");
    let (status, body) = served.call(Method::POST, "/send", r#"{"to":"bob","text":"hello"}"#).await;
    assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(16)));
}
