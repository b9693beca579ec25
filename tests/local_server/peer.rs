//! A client by hand: blocking sockets, so that what arrives is seen in order.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use agora_chat::{
    local_server::LocalServer,
    wire::{CommSyncDl, CommSyncUl, CommUnreadDl, Downward, Jid, MSync, Meta, Provision, Status},
};
use serde_json::Value;
use tungstenite::{Error, Message, WebSocket, client::client};

/// Long enough for a busy machine, short enough to fail.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) const APP: &str = "testorg#testapp";

pub(crate) async fn server() -> LocalServer {
    let server = LocalServer::builder().app_key(APP).start().await.unwrap();
    for (user, password) in [("alice", "pw-a"), ("bob", "pw-b")] {
        server.create_user(user, password).unwrap();
    }
    server
}

pub(crate) struct Peer {
    pub(crate) socket: WebSocket<TcpStream>,
    token: String,
    user: String,
    resource: String,
}

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A WebSocket Close, then the end of the stream.
    Close,
    /// The end of the stream without a Close.
    Fin,
    /// A reset.
    Rst,
}

impl Peer {
    /// A socket on which nothing was said yet.
    pub(crate) fn connect(server: &LocalServer, user: &str, resource: &str) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let (socket, _) = client(server.socket_url(), stream).unwrap();
        let token = server.issue_token(user, Some(Duration::from_secs(3600))).unwrap_or_default();
        Peer { socket, token, user: user.to_owned(), resource: resource.to_owned() }
    }

    /// A device that is logged in.
    pub(crate) fn login(server: &LocalServer, user: &str, resource: &str) -> Self {
        let mut peer = Self::connect(server, user, resource);
        let answer = peer.provision();
        assert_eq!(code(answer.status.as_ref()), 0, "{answer:?}");
        peer
    }

    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = token.to_owned();
        self
    }

    /// Sends PROVISION and takes its answer.
    pub(crate) fn provision(&mut self) -> Provision {
        self.provision_as(APP, Provision::default())
    }

    /// Sends PROVISION with these fields and the usual ones, and takes its answer.
    pub(crate) fn provision_as(&mut self, app_key: &str, fields: Provision) -> Provision {
        let provision = Provision {
            os_type: Some(16),
            version: Some("1.4.0".to_owned()),
            device_name: Some("webim".to_owned()),
            resource: Some(self.resource.clone()),
            auth_token: Some(format!(r#"{{"token":"$t${}"}}"#, self.token)),
            session_id: Some("1795381857340:".to_owned()),
            ..fields
        };
        let own = Jid::user(app_key, &self.user).with_resource(&self.resource);
        self.send(&MSync::client_provision(own, &self.token, &provision));
        match self.receive() {
            Downward::Provision(answer) => *answer,
            other => panic!("instead of PROVISION: {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, frame: &MSync) {
        self.send_raw(frame.to_bytes().to_vec());
    }

    pub(crate) fn send_raw(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).unwrap();
    }

    /// The next frame; anything else fails the test.
    pub(crate) fn receive(&mut self) -> Downward {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => return MSync::decode_frame(bytes, 4 << 20).unwrap().downward().unwrap(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("instead of a frame: {other:?}"),
            }
        }
    }

    pub(crate) fn unread(&mut self) -> CommUnreadDl {
        self.send(&MSync::client_unread());
        match self.receive() {
            Downward::Unread(answer) => answer,
            other => panic!("instead of UNREAD: {other:?}"),
        }
    }

    pub(crate) fn sync(&mut self, sync: &CommSyncUl) -> CommSyncDl {
        self.send(&MSync::client_sync(sync));
        self.batch()
    }

    pub(crate) fn batch(&mut self) -> CommSyncDl {
        match self.receive() {
            Downward::Sync(answer) => answer,
            other => panic!("instead of SYNC: {other:?}"),
        }
    }

    /// The name of the queue a NOTICE is for.
    pub(crate) fn notice(&mut self) -> String {
        match self.receive() {
            Downward::Notice(notice) => notice.queue.unwrap().name.unwrap(),
            other => panic!("instead of NOTICE: {other:?}"),
        }
    }

    pub(crate) fn pull(&mut self, from: &str, key: Option<u64>) -> CommSyncDl {
        self.sync(&CommSyncUl::pull(Jid::user(APP, from), key))
    }

    /// Sends an opaque chat payload and takes the answer.
    pub(crate) fn chat(&mut self, id: u64, to: &str, payload: &'static [u8]) -> CommSyncDl {
        self.sync(&CommSyncUl::send(chat(id, Jid::user(APP, to), payload)))
    }

    /// Reads until the end, which has to come.
    pub(crate) fn end(&mut self) -> End {
        let mut closed = false;
        loop {
            match self.socket.read() {
                Ok(Message::Close(_)) => closed = true,
                Ok(other) => panic!("instead of the end: {other:?}"),
                Err(Error::ConnectionClosed) => return End::Close,
                Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionReset => return End::Rst,
                Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("it did not end")
                }
                Err(_) if closed => return End::Close,
                Err(_) => return End::Fin,
            }
        }
    }
}

pub(crate) fn chat(id: u64, to: Jid, payload: &'static [u8]) -> Meta {
    Meta {
        id: Some(id),
        to: Some(to),
        ns: Some(1),
        payload: Some(payload.into()),
        routetype: Some(0),
        ..Meta::default()
    }
}

pub(crate) fn code(status: Option<&Status>) -> i32 {
    status.expect("a status").error_code.expect("a number")
}

/// One HTTP call by hand: status, head and body.
pub(crate) fn http(server: &LocalServer, head: &str, body: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    write!(stream, "{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

/// A POST below the application, with a bearer token when it is not empty.
pub(crate) fn post(server: &LocalServer, path: &str, bearer: &str, body: &str) -> (u16, Value) {
    let authorization = if bearer.is_empty() { String::new() } else { format!("\r\nAuthorization: Bearer {bearer}") };
    let (status, _, body) = http(server, &format!("POST /testorg/testapp/{path} HTTP/1.1{authorization}"), body);
    (status, body)
}
