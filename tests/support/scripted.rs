//! A loopback HTTP server that answers each request as scripted and remembers what it was asked.

use std::{cell::RefCell, rc::Rc};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with a status, further header lines and a body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Sends these bytes, then nothing, and keeps the connection.
    Stall(Vec<u8>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Reply::Answer(status, Vec::new(), body.to_string().into_bytes())
    }

    /// An error body in the service's shape (connection spec §3.1).
    pub(crate) fn failure(status: u16, error: &str, description: &str) -> Self {
        let body = serde_json::json!({
            "error": error, "exception": "EasemobSecurityException", "timestamp": 1, "duration": 0,
            "error_description": description,
        });
        Reply::json(status, &body)
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The server; it answers until its runtime ends, the last reply over and over.
pub(crate) struct Scripted {
    pub(crate) port: u16,
    requests: Rc<RefCell<Vec<Request>>>,
}

impl Scripted {
    pub(crate) async fn start(replies: impl Into<Vec<Reply>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Rc::new(RefCell::new(Vec::new()));
        let (seen, replies) = (Rc::clone(&requests), Rc::new(replies.into()));
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix_rt::spawn(serve(stream, Rc::clone(&seen), Rc::clone(&replies)));
            }
        });
        Scripted { port, requests }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.borrow().len()
    }
}

async fn serve(mut stream: TcpStream, seen: Rc<RefCell<Vec<Request>>>, replies: Rc<Vec<Reply>>) {
    let Some(request) = read_request(&mut stream).await else { return };
    let index = seen.borrow().len().min(replies.len() - 1);
    seen.borrow_mut().push(request);
    let (bytes, stall) = match &replies[index] {
        Reply::Answer(status, headers, body) => {
            let mut bytes = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                bytes.push_str(&format!("{name}: {value}\r\n"));
            }
            bytes.push_str("\r\n");
            ([bytes.as_bytes(), body].concat(), false)
        }
        Reply::Raw(bytes) => (bytes.clone(), false),
        Reply::Stall(bytes) => (bytes.clone(), true),
    };
    // The client may have seen enough before everything is written.
    let _ = stream.write_all(&bytes).await;
    if stall {
        let _ = stream.read(&mut [0]).await;
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, url) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { method, url, headers, body: bytes[head + 4..].to_vec() })
}
