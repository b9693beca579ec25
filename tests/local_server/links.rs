//! Links that break, go silent and come back.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use agora_chat::{
    local_server::{Cut, LocalServer, LocalServerError},
    wire::{Downward, MSync},
};
use tungstenite::Message;

use crate::peer::{End, LIMIT, Peer, http, server};

/// Whether nothing at all arrives for a moment. The one place where time decides: silence has no event.
fn is_quiet(stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    let mut stream = stream;
    let read = stream.read(&mut [0; 1]);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    matches!(read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[actix_web::test]
async fn a_link_is_cut_by_fin_or_by_rst_and_the_session_is_gone_at_once() {
    let server = server().await;
    for (cut, end) in [(Cut::Fin, End::Fin), (Cut::Rst, End::Rst)] {
        let mut alice = Peer::login(&server, "alice", "a1");
        let mut bob = Peer::login(&server, "bob", "b1");
        assert_eq!(server.drop_links("Alice", cut), 1);
        assert_eq!(server.online(), 1);
        assert_eq!(alice.end(), end);
        bob.unread();
        assert!(server.drop_all(cut) >= 1);
        assert_eq!(bob.end(), end);
    }
    server.wait_until(LIMIT, |server| server.stats().links == 0).await.unwrap();
}

#[actix_web::test]
async fn a_silent_server_reads_everything_and_answers_nothing_not_even_afterwards() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    server.set_silent(true);
    alice.send(&MSync::client_unread());
    alice.socket.send(Message::Ping(b"p".to_vec().into())).unwrap();
    server.wait_until(LIMIT, |server| server.sent_by("alice").len() == 2).await.unwrap();
    assert!(is_quiet(alice.socket.get_ref()));
    let upgrade = TcpStream::connect(server.address()).unwrap();
    write_upgrade(&upgrade, &server);
    let call = TcpStream::connect(server.address()).unwrap();
    write!(&call, "POST /testorg/testapp/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
    assert!(is_quiet(&upgrade) && is_quiet(&call));

    server.set_silent(false);
    for mut cut_off in [&upgrade, &call] {
        let mut rest = Vec::new();
        cut_off.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "what was asked in silence is cut off when it ends");
    }
    assert!(server.rest_calls().is_empty());
    assert!(is_quiet(alice.socket.get_ref()));
    alice.unread();
}

fn write_upgrade(mut stream: &TcpStream, server: &LocalServer) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let host = server.address();
    write!(
        stream,
        "GET /websocket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n\r\n"
    )
    .unwrap();
}

#[actix_web::test]
async fn a_stalled_link_stays_up_without_a_byte_and_delivers_when_it_flows_again() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    assert_eq!(server.stall_links("alice"), 1);
    alice.send(&MSync::client_unread());
    server.notice("alice", "bob");
    assert!(is_quiet(alice.socket.get_ref()));
    assert_eq!(server.resume_links("alice"), 1);
    assert_eq!(alice.notice(), "bob");
    assert!(matches!(alice.receive(), Downward::Unread(_)));
    server.stall_links("alice");
    server.drop_links("alice", Cut::Rst);
    assert_eq!(alice.end(), End::Rst, "a stalled link can be cut");
}

#[actix_web::test]
async fn a_delay_holds_back_answers_and_keeps_their_order() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    server.set_delay(Duration::from_millis(120));
    let asked = Instant::now();
    for queue in ["q1", "q2", "q3"] {
        server.notice("alice", queue);
    }
    assert_eq!([alice.notice(), alice.notice(), alice.notice()], ["q1", "q2", "q3"]);
    assert!(asked.elapsed() >= Duration::from_millis(120));
    server.set_delay(Duration::ZERO);
}

#[actix_web::test]
async fn a_port_that_stops_listening_refuses_keeps_its_links_and_comes_back() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let port = server.port();
    server.stop_listening().await.unwrap();
    server.stop_listening().await.unwrap();
    assert_eq!(TcpStream::connect(server.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    alice.unread();
    server.listen_again().await.unwrap();
    server.listen_again().await.unwrap();
    Peer::login(&server, "bob", "b1");
    assert_eq!(server.port(), port);
}

#[actix_web::test]
async fn upgrades_are_refused_with_a_status_and_retry_after() {
    let server = server().await;
    server.refuse_next_upgrades(1, 503, Some("7")).unwrap();
    let head = "GET /websocket HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let refused = upgrade_answer(&server, head);
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after: 7\r\n"), "{refused}");
    Peer::login(&server, "alice", "a1");

    server.refuse_upgrades(401, None).unwrap();
    assert!(upgrade_answer(&server, head).starts_with("HTTP/1.1 401 "));
    assert!(upgrade_answer(&server, head).starts_with("HTTP/1.1 401 "));
    server.accept_upgrades();
    let elsewhere = head.replace("/websocket", "/elsewhere");
    assert!(upgrade_answer(&server, &elsewhere).starts_with("HTTP/1.1 404 "));
    assert!(matches!(server.refuse_upgrades(101, None), Err(LocalServerError::Header(_))));
    assert!(matches!(server.refuse_upgrades(503, Some("a\nb")), Err(LocalServerError::Header(_))));
}

/// The whole answer to an upgrade that is refused: the server ends the link after it.
fn upgrade_answer(server: &LocalServer, head: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "{head}\r\nHost: x\r\nConnection: Upgrade\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[actix_web::test]
async fn waiting_for_what_does_not_happen_is_an_error_after_the_limit() {
    let server = server().await;
    let limit = Duration::from_millis(20);
    let waited = server.wait_until(limit, |server| server.online() == 1).await;
    assert!(matches!(waited, Err(LocalServerError::TimedOut(after)) if after == limit));
}

#[actix_web::test]
async fn a_stopped_server_has_ended_its_links_and_left_its_port() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let address = server.address();
    server.stop().await;
    assert_ne!(alice.end(), End::Close);
    assert!(std::net::TcpListener::bind(address).is_ok() || TcpStream::connect(address).is_err());
    assert!(matches!(server.listen_again().await, Err(LocalServerError::Stopped)));
    server.stop().await;
}

#[actix_web::test]
async fn the_last_handle_that_goes_stops_the_server() {
    let server = server().await;
    let mut alice = Peer::login(&server, "alice", "a1");
    let clone = server.clone();
    drop(server);
    alice.unread();
    drop(clone);
    assert_ne!(alice.end(), End::Close);
}

#[actix_web::test]
async fn a_thousand_links_leave_no_link_and_no_session_behind() {
    let server = server().await;
    for n in 0..1000 {
        let peer = Peer::login(&server, "alice", "a1");
        if n % 3 == 0 {
            server.drop_links("alice", if n % 2 == 0 { Cut::Rst } else { Cut::Fin });
        }
        drop(peer);
    }
    let gone = |server: &LocalServer| server.online() == 0 && server.stats().links == 0;
    server.wait_until(LIMIT, gone).await.unwrap();
    assert_eq!(server.connects(), 1000);
    assert_eq!(http(&server, "GET /nothing HTTP/1.1", "").0, 404);
}
