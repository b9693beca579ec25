//! What is an answer, and where it ends.

use agora_chat::{errors::RestErrorKind as Kind, rest::discover};

use crate::http::{
    client, config, grant, login,
    server::{Act, Server, answer, send},
    user,
};

fn chunked(body: &str) -> String {
    let (first, second) = body.split_at(body.len() / 2);
    format!("{:x}\r\n{first}\r\n{:X} ; a=\"b\"\r\n{second}\r\n0\r\n", first.len(), second.len())
}

#[actix::test]
async fn interim_answers_are_skipped_and_the_next_call_gets_its_own() {
    for interim in ["100 Continue", "102 Processing", "103 Early Hints", "199"] {
        let script = vec![
            Act::Request,
            send(format!("HTTP/1.1 {interim}\r\nLink: </a>; rel=preload\r\nContent-Length: 7\r\n\r\n")),
            Act::Turn,
            send("HTTP/1.1 103 x\r\n\r\nHTTP/1.1 1"),
            Act::Turn,
            send("02 x\r\n\r\n"),
            answer(200, "", grant("alice")),
            Act::Request,
            answer(200, "", grant("bob")),
        ];
        let (server, rest) = Server::with_client(vec![script]).await;
        assert_eq!(login(&rest, "alice").await.unwrap().token.expose(), "token-of-alice", "{interim}");
        assert_eq!(login(&rest, "bob").await.unwrap().token.expose(), "token-of-bob", "{interim}");
        assert_eq!(server.connections(), [0, 0], "one connection, used again");
    }
}

#[actix::test]
async fn interim_answers_without_end_or_of_any_length_are_refused() {
    let many = "HTTP/1.1 102 x\r\n\r\n".repeat(33);
    let long = format!("HTTP/1.1 102 x\r\nX: {}\r\n\r\n", "x".repeat(30_000)).repeat(3);
    let endless = format!("HTTP/1.1 200 x\r\nX: {}", "x".repeat(70_000));
    for text in [many, long, endless] {
        let (_server, rest) = Server::with_client(vec![vec![Act::Request, send(text), Act::Hold]]).await;
        let failed = login(&rest, "alice").await.unwrap_err();
        assert!(matches!(failed.kind(), Kind::UnexpectedAnswer(_)), "{failed}");
    }
}

#[actix::test]
async fn every_form_of_an_answer_is_read_to_its_end() {
    let body = grant("alice");
    let chunks = chunked(&body);
    let length = body.len();
    for (row, text) in [
        ("no length", format!("HTTP/1.1 200\r\nConnection: close\r\n\r\n{body}")),
        ("no length and no word of closing", format!("HTTP/1.1 200 OK\r\n\r\n{body}")),
        ("the old version", format!("HTTP/1.0 200 OK\r\n\r\n{body}")),
        ("the old version with a length", format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")),
        ("chunks", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}\r\n")),
        ("a trailer", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}X: y\r\nZ: z\r\n\r\n")),
        ("no end of the trailer", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")),
        (
            "codings in two lines",
            format!("HTTP/1.1 200\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}\r\n"),
        ),
        ("the coding twice", format!("HTTP/1.1 200\r\nTransfer-Encoding: chunked, chunked\r\n\r\n{chunks}\r\n")),
        (
            "chunks and a length",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}\r\n"),
        ),
        (
            "one length in two lines",
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\ncontent-length: {length}\r\n\r\n{body}"),
        ),
        ("bare line ends", format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n{body}")),
        ("empty lines before it", format!("\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")),
        ("a byte order mark", format!("HTTP/1.1 200\r\nContent-Length: {}\r\n\r\n\u{feff}{body}", length + 3)),
        (
            "odd lines",
            format!("HTTP/1.1  200  OK\r\nContent-Length : {length}\r\nX: a\r\n  b\r\nX Y: z\r\nnothing\r\n\r\n{body}"),
        ),
        ("300 lines", format!("HTTP/1.1 200\r\n{}Content-Length: {length}\r\n\r\n{body}", "X: y\r\n".repeat(200))),
    ] {
        for step in [1, 7, usize::MAX] {
            let mut script = vec![Act::Request];
            script.extend(text.as_bytes().chunks(step).map(send));
            let (_server, rest) = Server::with_client(vec![script]).await;
            let granted = login(&rest, "alice").await.unwrap_or_else(|failed| panic!("{row} by {step}: {failed}"));
            assert_eq!(granted.token.expose(), "token-of-alice", "{row}");
        }
    }
}

#[actix::test]
async fn a_cut_answer_is_an_error_wherever_it_is_cut() {
    let body = grant("alice");
    let chunks = chunked(&body);
    let length = body.len();
    for (row, text, whole) in [
        ("length", format!("HTTP/1.1 200\r\nContent-Length: {length}\r\n\r\n{body}"), 0),
        // The body is whole with the line of the last chunk.
        ("chunks", format!("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}\r\n"), 2),
        ("interim", format!("HTTP/1.1 102\r\n\r\nHTTP/1.1 200\r\nContent-Length: {length}\r\n\r\n{body}"), 0),
    ] {
        for cut in (0..text.len() - whole).step_by(3).chain([text.len() - whole - 1]) {
            let script = vec![Act::Request, send(&text[..cut])];
            let (_server, rest) = Server::with_client(vec![script]).await;
            let failed = login(&rest, "alice").await.unwrap_err();
            assert!(matches!(failed.kind(), Kind::Unreachable(_)), "{row} {cut}: {failed}");
            assert!(!failed.is_final());
        }
    }
}

#[actix::test]
async fn an_answer_that_is_not_as_http_has_it_is_refused() {
    for (text, why) in [
        ("HTTP/1.1 200\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}    ", "several lengths"),
        ("HTTP/1.1 200\r\nContent-Length: 2, 3\r\n\r\n{}    ", "several lengths"),
        ("HTTP/1.1 200\r\nContent-Length: +2\r\n\r\n{}", "no number"),
        ("HTTP/1.1 200\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "`gzip`"),
        ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n", "chunks"),
        ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n", "chunks"),
        ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}", "chunks"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
        ("HTTP/2 200\r\n\r\n", "not HTTP"),
    ] {
        let (server, rest) = Server::with_client(vec![vec![Act::Request, send(text), Act::Hold]]).await;
        let failed = login(&rest, "alice").await.unwrap_err();
        assert!(matches!(failed.kind(), Kind::UnexpectedAnswer(said) if said.contains(why)), "{text:?}: {failed}");
        assert_eq!(server.connections(), [0]);
    }
}

#[actix::test]
async fn another_protocol_is_no_answer() {
    let switching = "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 200 x\r\n\r\n";
    let (server, rest) = Server::with_client(vec![
        vec![Act::Request, send(switching), Act::Hold],
        vec![Act::Request, answer(200, "", grant("bob"))],
    ])
    .await;
    assert_eq!(login(&rest, "alice").await.unwrap_err().status(), Some(101));
    assert_eq!(login(&rest, "bob").await.unwrap().token.expose(), "token-of-bob");
    assert_eq!(server.connections(), [0, 1]);
}

#[actix::test]
async fn the_longest_of_several_pauses_counts() {
    let lines = "Retry-After: 3\r\nretry-after: 7\r\nRetry-After: soon\r\n";
    let (_server, rest) = Server::with_client(vec![vec![Act::Request, answer(503, lines, "{}")]]).await;
    assert_eq!(login(&rest, "alice").await.unwrap_err().retry_after().unwrap().as_secs(), 7);
}

#[actix::test]
async fn a_token_for_another_user_is_refused_and_the_case_of_an_id_says_nothing() {
    for (asked, granted, taken) in [("alice", "bob", false), ("alice", "ALICE", true), ("Alice", "alice", true)] {
        let (_server, rest) = Server::with_client(vec![vec![Act::Request, answer(200, "", grant(granted))]]).await;
        let outcome = login(&rest, asked).await;
        assert_eq!(outcome.is_ok(), taken, "{asked} {granted}: {outcome:?}");
        if let Err(failed) = outcome {
            assert!(matches!(failed.kind(), Kind::UnexpectedAnswer(_)), "{failed}");
            assert!(!format!("{failed} {failed:?}").contains("token-of"), "{failed:?}");
        }
    }
    let registered = r#"{"entities":[{"username":"bob"}]}"#;
    let (_server, rest) = Server::with_client(vec![vec![Act::Request, answer(200, "", registered)]]).await;
    let password = agora_chat::account::Password::new("pw").unwrap();
    let failed = rest.register_user(&user("alice"), &password, None).await.unwrap_err();
    assert!(matches!(failed.kind(), Kind::UnexpectedAnswer(_)), "{failed}");
}

#[actix::test]
async fn discovery_reads_answers_as_the_calls_do() {
    let hosts = r#"{"hosts":[{"protocol":"http","ip":"127.0.0.1","port":9}]}"#;
    let body = format!("\u{feff}{{\"rest\":{hosts},\"msync-wx\":{hosts}}}");
    let text = format!("HTTP/1.1 103\r\n\r\nHTTP/1.1 200\r\n\r\n{body}");
    let server = Server::start(vec![vec![Act::Request, send(text)]]).await;
    let config = agora_chat::Config::builder("org#app");
    let config = config.endpoints(agora_chat::config::Endpoints::Discovery(vec![server.base.clone()]));
    assert_eq!(discover(&config.build().unwrap()).await.unwrap().rest, ["http://127.0.0.1:9"]);
}

#[actix::test]
async fn an_ipv6_literal_is_a_rest_address() {
    let Ok(listener) = tokio::net::TcpListener::bind(("::1", 0)).await else { return };
    let port = listener.local_addr().unwrap().port();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let told = std::rc::Rc::clone(&seen);
    actix_rt::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let script = vec![Act::Request, answer(200, "", grant("alice"))];
        crate::http::server::play(&mut stream, 0, script, &told).await;
    });
    assert!(login(&client(&format!("http://[::1]:{port}")), "alice").await.is_ok());
    assert!(seen.borrow()[0].head.to_ascii_lowercase().contains(&format!("host: [::1]:{port}\r\n")));
    let _ = config("https://[::1]:1");
}
