//! What requests may take of bytes, time and links before they are refused.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use agora_chat::local_server::{Builder, LocalServer};

use crate::peer::{APP, LIMIT, Peer};

/// The time limit of requests that are to run into it.
const SHORT: Duration = Duration::from_millis(400);

async fn started(builder: impl FnOnce(Builder) -> Builder) -> LocalServer {
    let server = builder(LocalServer::builder().app_key(APP)).start().await.unwrap();
    server.create_user("alice", "pw-a").unwrap();
    server
}

fn connect(server: &LocalServer) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Begins an upload whose form has this many bytes, and sends these of them.
fn upload(server: &LocalServer, length: usize, sent: usize) -> TcpStream {
    let token = server.issue_token("alice", None).unwrap();
    let mut stream = connect(server);
    let head = "POST /testorg/testapp/chatfiles HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XX";
    write!(stream, "{head}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n").unwrap();
    stream.write_all(form(length).get(..sent).unwrap()).unwrap();
    stream
}

fn form(length: usize) -> Vec<u8> {
    let (begin, end) =
        ("--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n", "\r\n--XX--\r\n");
    let content = "x".repeat(length - begin.len() - end.len());
    format!("{begin}{content}{end}").into_bytes()
}

/// The head of the next answer.
fn answered(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn has_ended(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn is_unanswered(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    let read = stream.peek(&mut [0]);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    matches!(read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[actix_web::test]
async fn an_upload_past_the_room_for_all_waits_until_another_is_answered() {
    let server = started(|builder| builder.upload_limit(100_000)).await;
    let mut first = upload(&server, 80_000, 10);
    // It is the first to have room before the second one asks.
    assert!(is_unanswered(&mut first));
    let mut second = upload(&server, 50_000, 50_000);
    assert!(is_unanswered(&mut second), "there is no room for it yet");
    // What is small has room of its own.
    assert!(answered(&mut call(&server)).starts_with("http/1.1 400"));
    first.write_all(&form(80_000)[10..]).unwrap();
    assert!(answered(&mut first).starts_with("http/1.1 200"));
    assert!(answered(&mut second).starts_with("http/1.1 200"));
    assert!(answered(&mut upload(&server, 100_001, 0)).starts_with("http/1.1 413"), "it never has room");
}

fn call(server: &LocalServer) -> TcpStream {
    let mut stream = connect(server);
    write!(stream, "POST /testorg/testapp/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
    stream
}

#[actix_web::test]
async fn an_upload_that_finds_no_room_in_time_is_refused_with_503_and_retry_after() {
    let server = started(|builder| builder.upload_limit(100_000).request_timeout(SHORT)).await;
    let mut first = upload(&server, 100_000, 10);
    assert!(is_unanswered(&mut first));
    let mut second = upload(&server, 100, 0);
    second.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let form = form(100_000);
    let mut bytes = form[10..].iter();
    while second.peek(&mut [0]).is_err() {
        // It moves, so it keeps its room.
        first.write_all(&[*bytes.next().expect("the second is refused")]).unwrap();
    }
    second.set_read_timeout(Some(LIMIT)).unwrap();
    let refused = answered(&mut second);
    assert!(refused.starts_with("http/1.1 503") && refused.contains("retry-after: 1\r\n"), "{refused}");
    first.write_all(&bytes.copied().collect::<Vec<_>>()).unwrap();
    assert!(answered(&mut first).starts_with("http/1.1 200"));
}

#[actix_web::test]
async fn a_body_that_stands_still_is_answered_408_and_gives_its_room_back() {
    let server = started(|builder| builder.upload_limit(100_000).request_timeout(SHORT)).await;
    let mut still = upload(&server, 100_000, 50_000);
    assert!(answered(&mut still).starts_with("http/1.1 408"));
    assert!(has_ended(&mut still));
    assert!(answered(&mut upload(&server, 100_000, 100_000)).starts_with("http/1.1 200"));
}

#[actix_web::test]
async fn a_head_that_drips_ends_its_link_also_after_another_request() {
    let server = started(|builder| builder.request_timeout(SHORT)).await;
    for is_first in [true, false] {
        let mut stream = if is_first { connect(&server) } else { call(&server) };
        if !is_first {
            let head = answered(&mut stream);
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
            stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
        }
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(4000)).into_bytes().into_iter();
        let ended = loop {
            // It is written until the end has come.
            let written = stream.write_all(&[head.next().expect("the link ends")]);
            match stream.read(&mut [0; 256]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => written.unwrap(),
                ended => break ended,
            }
        };
        if is_first {
            assert!(ended.unwrap() > 0, "408 comes before the end");
        }
    }
    server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
}

#[actix_web::test]
async fn a_web_socket_is_under_no_limit_of_requests() {
    let server = started(|builder| builder.request_timeout(Duration::from_millis(50))).await;
    let mut alice = Peer::login(&server, "alice", "a1");
    std::thread::sleep(Duration::from_millis(500));
    alice.unread();
}

#[actix_web::test]
async fn a_link_past_the_bound_of_links_is_closed_at_once_and_a_closed_one_makes_room() {
    let server = started(|builder| builder.link_limit(1)).await;
    let mut first = call(&server);
    answered(&mut first);
    assert!(has_ended(&mut connect(&server)));
    drop(first);
    server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
    answered(&mut call(&server));
}

#[actix_web::test]
async fn the_small_file_of_a_large_form_keeps_none_of_the_rest() {
    let server = started(|builder| builder).await;
    let rest = "x".repeat(9 << 20);
    let body = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"rest\"\r\n\r\n{rest}\r\n--XX\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nsmall\r\n--XX--\r\n"
    );
    let token = server.issue_token("alice", None).unwrap();
    let mut ids = Vec::new();
    // Together more than all files may have, were the forms kept.
    for _ in 0..32 {
        let head = format!(
            "POST /testorg/testapp/chatfiles HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=XX\r\n\
             Authorization: Bearer {token}"
        );
        let (status, _, answer) = crate::peer::http(&server, &head, &body);
        assert_eq!(status, 200);
        ids.push(answer["entities"][0]["uuid"].as_str().unwrap().to_owned());
    }
    assert!(ids.iter().all(|id| server.file(id).is_some_and(|file| file.bytes == "small")));
}
