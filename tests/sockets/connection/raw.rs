//! Peers played by hand, byte by byte.

use std::{net::SocketAddr, time::Duration};

use agora_chat::{
    Config, ConfigBuilder,
    wire::{
        CommSyncDl, CommUnreadDl, Jid, MSync, Meta, Provision, StatisticsBody, Status, Upward, encode, msync::Command,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tungstenite::handshake::derive_accept_key;

use crate::connection::support::{quick, within};

pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A port on which nothing but TCP is answered by itself.
pub(crate) struct Port(TcpListener);

/// A port that refuses connections for as long as this lives.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        ClosedPort(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

pub(crate) fn socket_url(address: SocketAddr) -> String {
    format!("ws://{address}/websocket")
}

/// A frame the server sends, unmasked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(short as u8),
        long if long <= 0xffff => {
            bytes.push(126);
            bytes.extend((long as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A whole binary message.
pub(crate) fn binary(payload: &[u8]) -> Vec<u8> {
    frame(0x80 | BINARY, payload)
}

pub(crate) fn accepted() -> Vec<u8> {
    let status = Some(Status { error_code: Some(0), ..Status::default() });
    binary(&MSync::from_server(Command::Provision, &Provision { status, ..Provision::default() }).to_bytes())
}

pub(crate) fn unread() -> Vec<u8> {
    binary(&MSync::from_server(Command::Unread, &CommUnreadDl::default()).to_bytes())
}

/// A kick with this `StatisticsBody.operation`.
pub(crate) fn kick(operation: i32) -> Vec<u8> {
    let body = StatisticsBody { operation: Some(operation), ..StatisticsBody::default() };
    let meta = Meta { id: Some(7), ns: Some(0), payload: Some(encode(&body)), ..Meta::default() };
    let queue = Some(Jid::user("local#test", "alice"));
    let batch = CommSyncDl { metas: vec![meta], queue, is_last: Some(true), ..CommSyncDl::default() };
    binary(&MSync::from_server(Command::Sync, &batch).to_bytes())
}

impl Port {
    pub(crate) async fn open() -> Self {
        Port(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// A configuration for this port.
    pub(crate) fn config(&self) -> ConfigBuilder {
        let address = self.address();
        let config = Config::builder("local#test");
        let config = config.addresses(format!("http://{address}"), socket_url(address));
        // Most of these peers do not answer a LOGOUT.
        quick(config).logout_timeout(Duration::from_millis(20))
    }

    /// The next TCP link.
    pub(crate) async fn link(&self) -> Peer {
        let (stream, _) = within("a connection", self.0.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, read: Vec::new() }
    }

    /// The next link, upgraded.
    pub(crate) async fn upgraded(&self) -> Peer {
        let mut peer = self.link().await;
        let head = peer.head().await;
        peer.send(switching(&head).as_bytes()).await;
        peer
    }

    /// The next link, logged in; the heartbeat that follows is answered.
    pub(crate) async fn login(&self) -> Peer {
        let mut peer = self.upgraded().await;
        assert!(matches!(peer.upward().await, Upward::Provision(_)));
        peer.send(&accepted()).await;
        assert!(matches!(peer.upward().await, Upward::Unread(_)));
        peer.send(&unread()).await;
        peer
    }
}

/// The answer to an upgrade.
pub(crate) fn switching(head: &str) -> String {
    let (_, key) = head.lines().filter_map(|line| line.split_once(": ")).find(is_key).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

fn is_key((name, _): &(&str, &str)) -> bool {
    name.eq_ignore_ascii_case("sec-websocket-key")
}

/// The server's end of one link.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Peer {
    /// The head of the client's request.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.more().await, "the client went away before its request was whole");
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("writing to the client", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Reads some more; `false` at the end, of whatever kind.
    async fn more(&mut self) -> bool {
        match within("the client's next bytes", self.stream.read_buf(&mut self.read)).await {
            Ok(0) | Err(_) => false,
            Ok(_) => true,
        }
    }

    /// The client's next frame, opcode and payload; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second, ..] = self.read[..] else { return None };
        assert_eq!(second & 0x80, 0x80, "a client masks its frames");
        let (len, at) = match second & 0x7f {
            126 => (u16::from_be_bytes(self.read.get(2..4)?.try_into().unwrap()) as usize, 4),
            127 => (u64::from_be_bytes(self.read.get(2..10)?.try_into().unwrap()) as usize, 10),
            short => (short as usize, 2),
        };
        let mask: [u8; 4] = self.read.get(at..at + 4)?.try_into().unwrap();
        let whole = at + 4 + len;
        if self.read.len() < whole {
            return None;
        }
        let payload = self.read[at + 4..whole].iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        self.read.drain(..whole);
        Some((first & 0x0f, payload))
    }

    /// The client's next binary message.
    pub(crate) async fn upward(&mut self) -> Upward {
        let (opcode, payload) = self.frame().await.expect("the client went away");
        assert_eq!(opcode, BINARY);
        MSync::decode_frame(payload.into(), 1 << 20).unwrap().upward().unwrap()
    }

    /// Reads to the end of the link, which has to come: the frames before it.
    pub(crate) async fn end(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// Waits for the end of a link that is no WebSocket.
    pub(crate) async fn closed(&mut self) {
        while self.more().await {}
    }

    /// Ends the link with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}
