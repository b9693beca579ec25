//! A server that does on each of its connections, step by step, what it is told.

use std::{cell::RefCell, rc::Rc, time::Duration};

use agora_chat::RestClient;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

/// What the server does next on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Reads a whole request.
    Request,
    /// Reads a request's head and so many bytes of its body.
    Part(usize),
    Send(Vec<u8>),
    /// Lets the client take in what was sent.
    Turn,
    /// Closes with a reset, after what was sent before.
    Reset,
    /// Says nothing more, and keeps the connection open.
    Hold,
}

pub(crate) fn send(text: impl AsRef<[u8]>) -> Act {
    Act::Send(text.as_ref().to_vec())
}

/// An answer with a length.
pub(crate) fn answer(status: u16, lines: &str, body: impl AsRef<[u8]>) -> Act {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} x\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
    send([head.as_bytes(), body].concat())
}

/// A request as it came: on which connection, its head, its body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Server {
    pub(crate) base: String,
    seen: Rc<RefCell<Vec<Request>>>,
}

impl Server {
    /// Serves the first connection by the first script and so on, further ones by the last; each ends with its script.
    pub(crate) async fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&seen);
        actix_rt::spawn(async move {
            for connection in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let script = scripts[connection.min(scripts.len() - 1)].clone();
                let seen = Rc::clone(&told);
                actix_rt::spawn(async move {
                    if play(&mut stream, connection, script, &seen).await == Some(true) {
                        let _ = stream.set_zero_linger();
                    }
                });
            }
        });
        Server { base, seen }
    }

    /// A server and its client.
    pub(crate) async fn with_client(scripts: Vec<Vec<Act>>) -> (Self, RestClient) {
        let server = Server::start(scripts).await;
        let rest = crate::http::client(&server.base);
        (server, rest)
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.borrow().clone()
    }

    /// On which connections the requests came.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.seen.borrow().iter().map(|request| request.connection).collect()
    }
}

/// Plays a script, and says whether it ends with a reset; `None` where the client has gone before.
pub(crate) async fn play(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    connection: usize,
    script: Vec<Act>,
    seen: &RefCell<Vec<Request>>,
) -> Option<bool> {
    for act in script {
        match act {
            Act::Request => {
                let request = request(stream, connection, usize::MAX).await?;
                seen.borrow_mut().push(request);
            }
            Act::Part(most) => {
                let request = request(stream, connection, most).await?;
                seen.borrow_mut().push(request);
            }
            Act::Send(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                stream.flush().await.ok()?;
            }
            Act::Turn => tokio::time::sleep(Duration::from_millis(10)).await,
            Act::Reset => return Some(true),
            Act::Hold => std::future::pending().await,
        }
    }
    Some(false)
}

/// Reads a request with at most so much of its body.
pub(crate) async fn request(stream: &mut (impl AsyncRead + Unpin), connection: usize, most: usize) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let body = bytes.split_off(head);
    let head = String::from_utf8(bytes).unwrap();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut request = Request { connection, head, body };
    while request.body.len() < length.unwrap_or(0).min(most) {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}
