//! A caller and its service.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
};

use agora_chat::{
    Config, ConfigBuilder, RestClient, UserId,
    account::Token,
    config::{Addresses, Endpoints},
    messages::FileSecret,
};

use crate::bot::scripted::{Reply, Request, Scripted};

pub(crate) const TOKEN: &str = "YWMt-own";

pub(crate) fn config(bases: &[String]) -> ConfigBuilder {
    let socket = vec!["ws://127.0.0.1:1/websocket".to_owned()];
    let config = Config::builder("org#app");
    config.endpoints(Endpoints::Fixed(Addresses { rest: bases.to_vec(), socket }))
}

pub(crate) fn client(bases: &[String]) -> RestClient {
    RestClient::new(&config(bases).build().unwrap()).unwrap()
}

/// A server with these replies, and a client of it.
pub(crate) async fn scripted(replies: impl Into<Vec<Reply>>) -> (Scripted, RestClient) {
    let server = Scripted::start(replies).await;
    let client = client(&[server.base()]);
    (server, client)
}

pub(crate) fn token() -> Token {
    Token::new(TOKEN).unwrap()
}

pub(crate) fn alice() -> UserId {
    "alice".parse().unwrap()
}

pub(crate) fn users(ids: &[&str]) -> Vec<UserId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

pub(crate) fn secret(text: &str) -> Option<FileSecret> {
    Some(FileSecret::new(text))
}

/// An address where nobody listens.
pub(crate) fn refused() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port())
}

/// One request as (method, url), with the user's token.
pub(crate) fn line(request: &Request) -> (&str, &str) {
    assert_eq!(request.header("authorization"), Some("Bearer YWMt-own"));
    (request.method.as_str(), request.url.as_str())
}

/// A server of one connection on a thread of its own, so that what it allocates is not the client's.
pub(crate) fn on_a_thread<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    (base, std::thread::spawn(move || serve(listener.accept().unwrap().0)))
}

/// Reads a head and a body of announced length, answers, and gives back the head and the body's length.
pub(crate) fn swallow(mut stream: TcpStream, answer: &str) -> (String, usize) {
    let mut buffer = vec![0; 1 << 16];
    let mut head = Vec::new();
    let end = loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "cut within the head");
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8(head[..end].to_vec()).unwrap();
    let length =
        text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let length: usize = length.unwrap().parse().unwrap();
    let mut got = head.len() - end;
    while got < length {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "cut within the body");
        got += read;
    }
    stream.write_all(answer.as_bytes()).unwrap();
    (text, got)
}
