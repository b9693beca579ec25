//! When a connection is used for another call.

use crate::http::{
    client, grant, login,
    server::{Act, Server, answer, send},
};

/// Makes two calls and says on which connections they came.
async fn two(first: Vec<Act>) -> Vec<usize> {
    let mut script = vec![Act::Request];
    script.extend(first);
    script.extend([Act::Request, answer(200, "", grant("bob"))]);
    let other = vec![Act::Request, answer(200, "", grant("bob"))];
    let (server, rest) = Server::with_client(vec![script, other]).await;
    assert_eq!(login(&rest, "alice").await.unwrap().token.expose(), "token-of-alice");
    // What the server sends behind its answer has time to come.
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    assert_eq!(login(&rest, "bob").await.unwrap().token.expose(), "token-of-bob");
    server.connections()
}

fn alice(lines: &str) -> Act {
    answer(200, lines, grant("alice"))
}

fn chunks(lines: &str, end: &str) -> Act {
    let body = grant("alice");
    send(format!("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n{lines}\r\n{:x}\r\n{body}\r\n0\r\n{end}", body.len()))
}

#[actix::test]
async fn a_connection_is_used_again_after_one_whole_answer() {
    for first in [
        vec![alice("")],
        vec![alice("Connection: Keep-Alive\r\n")],
        vec![send("HTTP/1.1 102\r\n\r\n"), Act::Turn, alice("")],
        vec![chunks("", "\r\n")],
        vec![chunks("", "X: y\r\n\r\n")],
    ] {
        assert_eq!(two(first.clone()).await, [0, 0], "{first:?}");
    }
}

#[actix::test]
async fn a_connection_is_not_used_again_after_anything_else() {
    let mallory = || answer(200, "", grant("mallory"));
    let old = send(format!("HTTP/1.0 200 x\r\nContent-Length: {}\r\n\r\n{}", grant("alice").len(), grant("alice")));
    let both = |first: Act, second: Act| match (first, second) {
        (Act::Send(first), Act::Send(second)) => vec![Act::Send([first, second].concat())],
        _ => unreachable!(),
    };
    for (row, first) in [
        ("it closes", vec![alice("Connection: close\r\n")]),
        ("it closes in the second line", vec![alice("Connection: x\r\nConnection: y, CLOSE\r\n")]),
        ("the old version", vec![old]),
        ("an answer behind it at once", both(alice(""), mallory())),
        ("an answer behind it later", vec![alice(""), Act::Turn, mallory()]),
        ("a byte behind it later", vec![alice(""), Act::Turn, send("\n")]),
        ("an answer behind its chunks", both(chunks("", "\r\n"), mallory())),
        ("chunks and a length", vec![chunks("Content-Length: 5\r\n", "\r\n")]),
        ("a line that is none", vec![alice("X Y: z\r\n")]),
    ] {
        assert_eq!(two(first).await, [0, 1], "{row}");
    }
}

#[actix::test]
async fn a_call_on_a_connection_that_was_closed_meanwhile_is_made_on_another() {
    for end in [None, Some(Act::Reset)] {
        // The server closes when the second request has come.
        let mut script = vec![Act::Request, answer(200, "", grant("alice")), Act::Part(0)];
        script.extend(end);
        let (server, rest) = Server::with_client(vec![script, vec![Act::Request, answer(200, "", grant("bob"))]]).await;
        assert!(login(&rest, "alice").await.is_ok());
        assert_eq!(login(&rest, "bob").await.unwrap().token.expose(), "token-of-bob");
        assert_eq!(server.connections(), [0, 0, 1]);
    }
}

#[actix::test]
async fn a_call_given_up_leaves_no_answer_for_the_next_one() {
    let late = vec![Act::Request, Act::Turn, Act::Turn, Act::Turn, answer(200, "", grant("alice"))];
    let server = Server::start(vec![late, vec![Act::Request, answer(200, "", grant("bob"))]]).await;
    let rest = client(&server.base);
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(10), login(&rest, "alice")).await;
    assert!(given_up.is_err());
    assert_eq!(login(&rest, "bob").await.unwrap().token.expose(), "token-of-bob");
}
