//! What other processes read from the server's port.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use agora_chat::{
    errors::Kick,
    local_server::{DuplicatePolicy, LocalServer, RestFault},
};
use serde_json::{Value, json};

use crate::peer::{LIMIT, Peer, server};

/// A call with exactly this head: status, head and body of the answer.
fn raw(server: &LocalServer, head: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "{head}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

fn get(server: &LocalServer, what: &str) -> Value {
    let (status, head, body) = raw(server, &format!("GET /_control/{what} HTTP/1.1\r\nHost: {}", server.address()));
    assert_eq!(status, 200, "{head}");
    assert!(head.contains("content-type: application/json") && head.contains("cache-control: no-store"), "{head}");
    assert!(!head.contains("access-control"), "{head}");
    body
}

#[actix_web::test]
async fn sessions_and_who_was_online_twice_are_read_as_json() {
    let server = server().await;
    assert_eq!((get(&server, "sessions"), get(&server, "online-twice")), (json!({"sessions": []}), json!([])));
    server.set_duplicates(DuplicatePolicy::KeepBoth);
    let _one = Peer::login(&server, "alice", "a1");
    let _two = Peer::login(&server, "alice", "a1");
    let _bob = Peer::login(&server, "bob", "b1");
    server.kick("bob", Kick::PasswordChanged);

    // No fault of REST, and no silence, hides what is to be seen.
    server.fail_rest(RestFault::new("/", 503)).unwrap();
    server.set_silent(true);
    let sessions = get(&server, "sessions");
    let log = server.session_log();
    assert_eq!(
        sessions["sessions"][0],
        json!({
            "user": "alice", "resource": "a1", "session": log[0].session, "from_ms": log[0].from_ms, "to_ms": null,
            "end": null, "code": null,
        })
    );
    let bob = &sessions["sessions"][2];
    assert_eq!((&bob["end"], &bob["code"], &bob["to_ms"]), (&json!("kicked"), &json!(216), &json!(log[2].to_ms)));
    let twice = get(&server, "online-twice");
    assert_eq!(twice.as_array().unwrap().len(), 1);
    assert_eq!((&twice[0]["user"], &twice[0]["to_ms"]), (&json!("alice"), &json!(null)));
    assert_eq!(twice[0]["from_ms"], log[1].from_ms);
    assert_eq!(twice[0]["sessions"], json!([sessions["sessions"][0], sessions["sessions"][1]]));
    assert!(server.rest_calls().is_empty(), "they are no calls of clients");
}

#[actix_web::test]
async fn what_the_server_saw_is_for_this_machine_and_for_no_page_of_another_origin() {
    let server = server().await;
    let address = server.address();
    let port = server.port();
    let call = |headers: &str| raw(&server, &format!("GET /_control/sessions HTTP/1.1\r\n{headers}")).0;
    for headers in [
        format!("Host: localhost:{port}"),
        format!("Host: [::1]:{port}"),
        format!("Host: {address}\r\nOrigin: http://{address}"),
    ] {
        assert_eq!(call(&headers), 200, "{headers}");
    }
    for headers in [
        format!("Host: rebound.example:{port}"),
        format!("Host: rebound.example:{port}\r\nOrigin: http://rebound.example:{port}"),
        format!("Host: {address}\r\nOrigin: https://{address}"),
        format!("Host: {address}\r\nOrigin: http://127.0.0.1:1"),
        format!("Host: {address}\r\nOrigin: http://page.example"),
        format!("Host: {address}\r\nOrigin: null"),
        format!("Host: {address}\r\nOrigin: http://{address}\r\nOrigin: http://page.example"),
    ] {
        assert_eq!(call(&headers), 403, "{headers}");
    }
    assert_eq!(raw(&server, "GET /_control/sessions HTTP/1.0").0, 403, "it must be named");
    let (status, head, _) = raw(&server, &format!("OPTIONS /_control/sessions HTTP/1.1\r\nHost: {address}"));
    assert_eq!((status, head.contains("access-control")), (405, false));
    assert_eq!(raw(&server, &format!("GET /_control/passwords HTTP/1.1\r\nHost: {address}")).0, 404);
}
