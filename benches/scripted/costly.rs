//! Frames that make a client work the most for what they are long, kind by kind. All is as a server may send it.
#![allow(dead_code, reason = "a bench and a test need a part of it each")]

use agora_chat::{
    Outgoing,
    session::{Action, Engine, Input},
    wire::{
        self, CommSyncDl, CommUnreadDl, Content, Jid, KeyValue, MSync, MessageBody, Meta, MetaQueue, MucBody,
        Provision, StatisticsBody, Status, content::ContentType, key_value, message_body, meta::NameSpace,
        msync::Command, muc_body,
    },
};
use bytes::Bytes;

use super::scripted::{self, START, online};

/// One of them.
pub(crate) struct Costly {
    pub(crate) name: &'static str,
    /// An engine at the point where the frame comes.
    pub(crate) ready: fn() -> Engine,
    /// The frame, of about so many bytes.
    pub(crate) frame: fn(usize) -> Bytes,
}

/// Takes the frame; the actions, so that they are dropped with what is measured.
pub(crate) fn take(engine: &mut Engine, frame: &[u8]) -> Vec<Action> {
    let mut out = Vec::new();
    engine.step(Input::Frame(frame), START, &mut out);
    // What a log or an error would do with it.
    for action in &out {
        if matches!(action, Action::Opened(_) | Action::Sent { .. } | Action::Note(_)) {
            std::hint::black_box(format!("{action:?}"));
        }
    }
    out
}

fn sync(metas: Vec<Meta>) -> Bytes {
    let page = CommSyncDl {
        status: Some(status(0, None)),
        queue: Some(Jid::user("org#app", "bob")),
        metas,
        next_key: Some(7),
        ..CommSyncDl::default()
    };
    MSync::from_server(Command::Sync, &page).to_bytes()
}

fn status(code: i32, reason: Option<String>) -> Status {
    Status { error_code: Some(code), reason, ..Status::default() }
}

fn invisible(length: usize) -> String {
    "\u{200b}".repeat(length / 3)
}

fn chat(id: u64, contents: Vec<Content>, ext: Vec<KeyValue>) -> Meta {
    let user = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
    let body = MessageBody {
        r#type: Some(message_body::Type::Chat as i32),
        from: user("bob"),
        to: user("alice"),
        contents,
        ext,
        ..MessageBody::default()
    };
    of(id, NameSpace::Chat, wire::encode(&body))
}

fn of(id: u64, ns: NameSpace, payload: Bytes) -> Meta {
    let user = |name: &str| Some(Jid::user("org#app", name));
    Meta {
        id: Some(id),
        from: user("bob"),
        to: user("alice"),
        ns: Some(ns as i32),
        payload: Some(payload),
        ..Meta::default()
    }
}

fn text(text: String) -> Vec<Content> {
    vec![Content { r#type: Some(ContentType::Text as i32), text: Some(text), ..Content::default() }]
}

fn json(key: &str, value: String) -> KeyValue {
    KeyValue {
        key: Some(key.to_owned()),
        r#type: Some(key_value::ValueType::JsonString as i32),
        value: Some(key_value::Value::String(value)),
    }
}

/// As many of a small thing as fit.
fn many<T>(length: usize, each: usize, make: impl Fn(u64) -> T) -> Vec<T> {
    (1..=(length / each).max(1) as u64).map(make).collect()
}

/// A payload that is the same encoded field over and over.
fn full_of(field: &[u8], length: usize) -> Bytes {
    let payload: Bytes = field.repeat(length / field.len()).into();
    MSync { command: Some(Command::Sync as i32), payload: Some(payload), ..MSync::default() }.to_bytes()
}

/// Logged in, with a send that waits for its answer.
fn sending() -> Engine {
    let mut engine = online();
    let send = Input::Send { client_id: 1, message: Outgoing::text("bob", "hello").unwrap() };
    engine.step(send, START, &mut Vec::new());
    engine
}

/// On the way in, with its PROVISION sent.
fn entering() -> Engine {
    scripted::entering()
}

pub(crate) const ALL: [Costly; 17] = [
    Costly {
        name: "plain texts of 100 bytes",
        ready: online,
        frame: |n| sync(many(n, 200, |id| chat(id, text("x".repeat(100)), vec![]))),
    },
    Costly {
        name: "texts of 1 byte",
        ready: online,
        frame: |n| sync(many(n, 100, |id| chat(id, text("x".into()), vec![]))),
    },
    Costly { name: "empty metas", ready: online, frame: |n| full_of(&[0x22, 0], n) },
    Costly { name: "metas that do not decode", ready: online, frame: |n| full_of(&[0x22, 1, 0xff], n) },
    Costly {
        name: "metas with a long sender",
        ready: online,
        frame: |n| {
            let from = |id| Some(Jid::user("org#app", &format!("{id}{}", "x".repeat(250))));
            sync(many(n, 350, |id| Meta { from: from(id), ..chat(id, text("x".into()), vec![]) }))
        },
    },
    Costly {
        name: "attributes",
        ready: online,
        frame: |n| sync(vec![chat(1, text("x".into()), many(n, 16, |id| json(&id.to_string(), "1".into())))]),
    },
    Costly {
        name: "JSON nodes",
        ready: online,
        frame: |n| sync(vec![chat(1, text("x".into()), vec![json("a", format!("[{}1]", "{},".repeat(n / 3)))])]),
    },
    Costly {
        name: "JSON nodes, many messages",
        ready: online,
        frame: |n| {
            sync(many(n, 3200, |id| {
                chat(id, text("x".into()), vec![json("a", format!("[{}1]", "{\"\":0},".repeat(440)))])
            }))
        },
    },
    Costly {
        name: "the deepest JSON",
        ready: online,
        frame: |n| sync(vec![chat(1, text("x".into()), vec![json("a", "[".repeat(n / 2) + &"]".repeat(n / 2))])]),
    },
    Costly {
        name: "bytes that are no UTF-8",
        ready: online,
        frame: |n| {
            let frame = sync(vec![chat(1, text("%".repeat(n)), vec![])]);
            frame.iter().map(|byte| if *byte == b'%' { 0xff } else { *byte }).collect::<Vec<_>>().into()
        },
    },
    Costly { name: "a text of no width", ready: online, frame: |n| sync(vec![chat(1, text(invisible(n)), vec![])]) },
    Costly {
        name: "notices with JSON",
        ready: online,
        frame: |n| {
            let body = |_| MucBody {
                operation: Some(muc_body::Operation::Update as i32),
                muc_id: Some(Jid::user("org#app", "g")),
                event_info: Some(muc_body::EventInfo {
                    ext: Some(format!("{{\"data\":[{}1]}}", "{},".repeat(300))),
                    ..muc_body::EventInfo::default()
                }),
                ..MucBody::default()
            };
            sync(many(n, 1000, |id| of(id, NameSpace::Muc, wire::encode(&body(id)))))
        },
    },
    Costly {
        name: "queues in an answer",
        ready: online,
        frame: |n| {
            let queue =
                |id: u64| MetaQueue { queue: Some(Jid { name: Some(id.to_string()), ..Jid::default() }), n: Some(1) };
            let unread = many(n, 14, queue);
            let unread = CommUnreadDl { status: Some(status(0, None)), unread, ..CommUnreadDl::default() };
            MSync::from_server(Command::Unread, &unread).to_bytes()
        },
    },
    Costly {
        name: "a refusal of no width",
        ready: entering,
        frame: |n| {
            let refused = Provision { status: Some(status(1, Some(invisible(n)))), ..Provision::default() };
            MSync::from_server(Command::Provision, &refused).to_bytes()
        },
    },
    Costly {
        name: "a refused send of no width",
        ready: sending,
        frame: |n| {
            let answer =
                CommSyncDl { status: Some(status(1, Some(invisible(n)))), meta_id: Some(1), ..CommSyncDl::default() };
            MSync::from_server(Command::Sync, &answer).to_bytes()
        },
    },
    Costly {
        name: "a kick's ext of no width",
        ready: online,
        frame: |n| {
            let body = StatisticsBody { operation: Some(2), reason: Some(invisible(n)), ..StatisticsBody::default() };
            sync(vec![of(9, NameSpace::Statistic, wire::encode(&body))])
        },
    },
    Costly {
        name: "kicks, one after the other",
        ready: online,
        frame: |n| {
            let body =
                StatisticsBody { operation: Some(2), reason: Some("x".repeat(1000)), ..StatisticsBody::default() };
            sync(many(n, 1100, |id| of(id, NameSpace::Statistic, wire::encode(&body))))
        },
    },
];

/// A name, and so many bytes of a link.
type Link = (&'static str, fn(usize) -> Vec<u8>);

/// The bytes of links, which are for the framing alone.
pub(crate) const LINKS: [Link; 4] = [
    ("one message", |n| [&[0x82, 127][..], &(n as u64).to_be_bytes(), &vec![b'x'; n]].concat()),
    ("fragments of 1 byte", |n| {
        let first = [0x02, 1, b'x'];
        [&first[..], &[0x00, 1, b'x'].repeat(n / 3), &[0x80, 0]].concat()
    }),
    ("empty messages", |n| [0x82, 0].repeat(n / 2)),
    ("pings", |n| [0x89, 0].repeat(n / 2)),
];
