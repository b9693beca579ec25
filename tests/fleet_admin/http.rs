//! HTTP by hand, so that a test can send what no client library would.

use std::net::SocketAddr;

use actix_rt::{net::TcpStream, time::timeout};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::LIMIT;

/// A request in the making.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    host: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    raw: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Client { address, host: Some(address.to_string()), headers: Vec::new(), body: Vec::new(), raw: Vec::new() }
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub(crate) fn no_host(mut self) -> Self {
        self.host = None;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Puts these bytes after the head as they are.
    pub(crate) fn raw(mut self, raw: impl Into<Vec<u8>>) -> Self {
        self.raw = raw.into();
        self
    }

    /// Sends it and leaves the connection open.
    pub(crate) async fn open(&self, method: &str, path: &str) -> TcpStream {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if let Some(host) = &self.host {
            request += &format!("host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            request += &format!("content-length: {}\r\n", self.body.len());
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&[request.as_bytes(), b"\r\n", &self.body, &self.raw].concat()).await.unwrap();
        stream
    }

    pub(crate) async fn call(&self, method: &str, path: &str) -> Reply {
        let mut stream = self.open(method, path).await;
        let mut read = Vec::new();
        // A server that refuses a large body may reset what it has not read.
        let _ = timeout(LIMIT, stream.read_to_end(&mut read)).await.expect("an answer");
        Reply::parse(&String::from_utf8(read).unwrap())
    }
}

impl Reply {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Asserts that it is a typed error, and returns its message.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        let value = self.is(status).value();
        assert_eq!(value["error"]["code"], code, "{value}");
        let message = value["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty());
        message.to_owned()
    }
}
