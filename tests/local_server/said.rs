//! Bodies of messages, and what arrives, for the tests of conversations.

use agora_chat::{
    local_server::LocalServer,
    wire::{CommSyncDl, CommSyncUl, Content, Downward, Jid, MessageBody, Meta, MucBody, encode},
};
use prost::Message as _;
use serde_json::Value;

use crate::peer::{APP, Peer, code, http};

pub(crate) fn text(kind: i32, text: &str) -> MessageBody {
    let content = Content { r#type: Some(0), text: Some(text.to_owned()), ..Content::default() };
    MessageBody { r#type: Some(kind), contents: vec![content], ..MessageBody::default() }
}

/// A body about another message: a receipt or a recall.
pub(crate) fn about(kind: i32, id: u64) -> MessageBody {
    MessageBody {
        r#type: Some(kind),
        contents: vec![Content::default()],
        ack_message_id: Some(id),
        ..Default::default()
    }
}

pub(crate) fn meta(id: u64, to: Jid, body: &MessageBody) -> Meta {
    Meta { id: Some(id), to: Some(to), ns: Some(1), payload: Some(encode(body)), routetype: Some(0), ..Meta::default() }
}

pub(crate) fn user(name: &str) -> Jid {
    Jid::user(APP, name)
}

pub(crate) fn group(id: &str) -> Jid {
    Jid::group(APP, id)
}

/// Reads the next answer to a send, passing over notices.
pub(crate) fn answer(peer: &mut Peer) -> CommSyncDl {
    loop {
        match peer.receive() {
            Downward::Sync(answer) => return answer,
            Downward::Notice(_) => {}
            other => panic!("instead of SYNC: {other:?}"),
        }
    }
}

/// Sends and takes the answer.
pub(crate) fn send(peer: &mut Peer, meta: Meta) -> CommSyncDl {
    peer.send(&agora_chat::wire::MSync::client_sync(&CommSyncUl::send(meta)));
    answer(peer)
}

/// Sends what has to be taken; the server's id of it.
pub(crate) fn sent(peer: &mut Peer, meta: Meta) -> u64 {
    let answer = send(peer, meta);
    assert_eq!(code(answer.status.as_ref()), 0, "{answer:?}");
    answer.server_id.unwrap()
}

/// Sends what has to be refused; number and reason.
pub(crate) fn refused(peer: &mut Peer, meta: Meta) -> (i32, String) {
    let answer = send(peer, meta);
    let status = answer.status.expect("a status");
    assert_eq!(answer.server_id, None);
    (status.error_code.unwrap(), status.reason().to_owned())
}

/// Everything a queue holds, acknowledged.
pub(crate) fn drain(peer: &mut Peer, queue: &Jid) -> Vec<Meta> {
    let mut key = None;
    let mut metas = Vec::new();
    loop {
        peer.send(&agora_chat::wire::MSync::client_sync(&CommSyncUl::pull(queue.clone(), key)));
        let page = answer(peer);
        let last = page.is_last();
        metas.extend(page.metas);
        key = page.next_key;
        if last {
            return metas;
        }
    }
}

pub(crate) fn body(meta: &Meta) -> MessageBody {
    assert_eq!(meta.ns, Some(1), "{meta:?}");
    MessageBody::decode(meta.payload.clone().unwrap()).unwrap()
}

/// The texts among some metas.
pub(crate) fn texts(metas: &[Meta]) -> Vec<String> {
    let chats = metas.iter().filter(|meta| meta.ns == Some(1)).map(body);
    chats.filter_map(|body| body.contents.first().and_then(|content| content.text.clone())).collect()
}

pub(crate) fn muc(meta: &Meta) -> MucBody {
    assert_eq!(meta.ns, Some(2), "{meta:?}");
    MucBody::decode(meta.payload.clone().unwrap()).unwrap()
}

/// Operation and actor of the group and room events among some metas.
pub(crate) fn events(metas: &[Meta]) -> Vec<(i32, String)> {
    let events = metas.iter().filter(|meta| meta.ns == Some(2)).map(muc);
    events.map(|body| (body.operation.unwrap(), body.from.unwrap().name().to_owned())).collect()
}

pub(crate) fn json(meta: &Meta) -> Value {
    serde_json::from_slice(meta.payload.as_deref().unwrap()).unwrap()
}

/// A REST call below the application with a token.
pub(crate) fn rest(server: &LocalServer, token: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let head = format!("{method} /testorg/testapp/{path} HTTP/1.1\r\nAuthorization: Bearer {token}");
    let (status, _, body) = http(server, &head, body);
    (status, body)
}

pub(crate) fn token(server: &LocalServer, user: &str) -> String {
    server.issue_token(user, None).unwrap()
}
