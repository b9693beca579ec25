//! An HTTP proxy that tunnels by CONNECT, or fails to.

use std::{cell::RefCell, net::SocketAddr, rc::Rc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// What a proxy does with a CONNECT.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Opens a tunnel to this address, whatever was asked for.
    Tunnel(SocketAddr),
    /// Says this and closes the connection.
    Says(Vec<u8>),
    /// Never says a word.
    Silent,
}

/// What was asked of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) authority: String,
    pub(crate) authorization: Option<String>,
}

pub(crate) struct ConnectProxy {
    pub(crate) address: SocketAddr,
    asked: Rc<RefCell<Vec<Asked>>>,
}

impl ConnectProxy {
    /// A proxy that asks for these credentials, if any, as `Proxy-Authorization` holds them.
    pub(crate) async fn start(wants: Option<&'static str>, does: Does) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&asked);
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix_rt::spawn(serve(stream, wants, does.clone(), Rc::clone(&seen)));
            }
        });
        ConnectProxy { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }
}

async fn serve(mut stream: TcpStream, wants: Option<&str>, does: Does, seen: Rc<RefCell<Vec<Asked>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let authority = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    let authorization = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: ")).map(str::to_owned);
    let denied = wants.is_some_and(|wanted| authorization.as_deref() != Some(wanted));
    seen.borrow_mut().push(Asked { authority, authorization });
    match does {
        _ if denied => {
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        }
        Does::Tunnel(to) => {
            let mut service = TcpStream::connect(to).await.unwrap();
            // As some do while they look for the way, or a name.
            stream
                .write_all(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\nVia: test\r\n\r\n")
                .await
                .unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut service).await;
        }
        Does::Says(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Does::Silent => {
            let _ = stream.read(&mut [0]).await;
        }
    }
}
