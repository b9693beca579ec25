//! What a server would send, for benches that have none: an engine that is online, and frames.
#![allow(dead_code, reason = "each bench needs a part of it")]

use std::{sync::Arc, time::Duration};

use agora_chat::{
    Config, ConnectionState, Credentials,
    session::{Action, Engine, Input, Now},
    wire::{
        self, CommNotice, CommSyncDl, CommUnreadDl, Content, Jid, MSync, MessageBody, Meta, Provision, Status,
        content::ContentType, message_body, meta::NameSpace, msync::Command,
    },
};
use bytes::Bytes;

const APP: &str = "org#app";

pub(crate) const START: Now = Now { mono: Duration::from_secs(1), wall: 1_700_000_000_000 };

fn ok() -> Option<Status> {
    Some(Status { error_code: Some(0), ..Status::default() })
}

fn queue() -> Jid {
    Jid::user(APP, "bob")
}

pub(crate) fn notice() -> Bytes {
    MSync::from_server(Command::Notice, &CommNotice { queue: Some(queue()) }).to_bytes()
}

pub(crate) fn unread() -> Bytes {
    MSync::from_server(Command::Unread, &CommUnreadDl { status: ok(), ..CommUnreadDl::default() }).to_bytes()
}

/// The server has taken a message.
pub(crate) fn taken(client_id: u64) -> Bytes {
    let answer = CommSyncDl {
        status: ok(),
        meta_id: Some(client_id),
        server_id: Some(client_id + (1 << 40)),
        timestamp: Some(START.wall),
        ..CommSyncDl::default()
    };
    MSync::from_server(Command::Sync, &answer).to_bytes()
}

/// The empty page that ends the queue.
pub(crate) fn last_page() -> Bytes {
    let page = CommSyncDl { status: ok(), queue: Some(queue()), is_last: Some(true), ..CommSyncDl::default() };
    MSync::from_server(Command::Sync, &page).to_bytes()
}

/// A page of so many texts of 100 bytes, with ids from `first` on.
pub(crate) fn page(first: u64, texts: u64) -> Bytes {
    let page = CommSyncDl {
        status: ok(),
        queue: Some(queue()),
        metas: (first..first + texts).map(text).collect(),
        next_key: Some(first + texts),
        timestamp: Some(START.wall),
        ..CommSyncDl::default()
    };
    MSync::from_server(Command::Sync, &page).to_bytes()
}

fn text(id: u64) -> Meta {
    let user = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
    let content = Content { r#type: Some(ContentType::Text as i32), text: Some("x".repeat(100)), ..Content::default() };
    let body = MessageBody {
        r#type: Some(message_body::Type::Chat as i32),
        from: user("bob"),
        to: user("alice"),
        contents: vec![content],
        ..MessageBody::default()
    };
    Meta {
        id: Some(id),
        from: Some(Jid::user(APP, "bob")),
        to: Some(Jid::user(APP, "alice")),
        timestamp: Some(START.wall),
        ns: Some(NameSpace::Chat as i32),
        payload: Some(wire::encode(&body)),
        ..Meta::default()
    }
}

/// An engine that has sent its PROVISION.
pub(crate) fn entering() -> Engine {
    let config = Config::builder(APP).addresses("http://127.0.0.1:1", "ws://127.0.0.1:1/websocket");
    let mut engine = Engine::new(Arc::new(config.build().unwrap()), 7);
    let mut out: Vec<Action> = Vec::new();
    engine.step(Input::Open(Credentials::token("alice", "YWMt-token").unwrap().into()), START, &mut out);
    engine.step(Input::Connected, START, &mut out);
    engine
}

/// An engine that is online, its first heartbeat answered.
pub(crate) fn online() -> Engine {
    let (mut engine, mut out) = (entering(), Vec::new());
    let accepted = Provision { status: ok(), ..Provision::default() };
    let accepted = MSync::from_server(Command::Provision, &accepted).to_bytes();
    for input in [Input::Frame(&accepted), Input::Frame(&unread())] {
        engine.step(input, START, &mut out);
    }
    assert_eq!(engine.state(), ConnectionState::Online);
    engine
}
