//! Whole frames through the engine, and what waits for a handler that hangs.

use std::{sync::Arc, time::Duration};

use agora_chat::{
    Account, Config, Credentials, EventMask, Limits,
    account::Device,
    session::{Action, Engine, Input, Now},
    wire::{self, CommSyncDl, CommUnreadDl, Jid, MSync, Meta, MucBody, Provision, Status, msync::Command},
};

use crate::support::own_process::done_alone;
use crate::weights::{KEPT, climb, genome::Genome, seeds};

/// What the actions of a step, its tables and the frame itself take for each message of it, and beside that.
const STEP: (u64, u64) = (1 << 10, 256 << 10);

struct Sim {
    engine: Engine,
    actions: Vec<Action>,
}

impl Sim {
    fn new() -> Self {
        let config = Config::builder("org#app").allow_plaintext();
        let config = config.addresses("http://rest.test", "ws://one.test/websocket");
        let mut sim = Sim { engine: Engine::new(Arc::new(config.build().unwrap()), 7), actions: Vec::new() };
        sim.step(Input::Open(Account::new(Credentials::token("alice", "tok").unwrap()).device(Device::new("phone"))));
        sim.step(Input::Connected);
        sim
    }

    fn online(handled: EventMask) -> Self {
        let mut sim = Sim::new();
        sim.engine.set_handled(handled);
        sim.step(Input::Frame(&provision(None)));
        let unread = CommUnreadDl { status: ok(), ..CommUnreadDl::default() };
        sim.step(Input::Frame(&MSync::from_server(Command::Unread, &unread).to_bytes()));
        sim.actions.clear();
        sim
    }

    fn step(&mut self, input: Input<'_>) {
        self.engine.step(input, Now { mono: Duration::from_secs(1), wall: 1_700_000_000_000 }, &mut self.actions);
    }
}

fn ok() -> Option<Status> {
    Some(Status { error_code: Some(0), ..Status::default() })
}

fn provision(auth_token: Option<String>) -> Vec<u8> {
    let provision = Provision { status: ok(), auth_token, ..Provision::default() };
    MSync::from_server(Command::Provision, &provision).to_bytes().to_vec()
}

/// A page of these encoded metas, each with an id of its own.
fn page(queue: u64, metas: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, mut meta) in metas.enumerate() {
        meta.push(0x08);
        prost::encoding::encode_varint(1 + id as u64 + (queue << 32), &mut meta);
        payload.push(0x22);
        prost::encoding::encode_varint(meta.len() as u64, &mut payload);
        payload.extend(meta);
    }
    let head = CommSyncDl {
        queue: Some(Jid::user("org#app", &queue.to_string())),
        next_key: Some(9),
        is_last: Some(true),
        ..CommSyncDl::default()
    };
    payload.extend(wire::encode(&head));
    MSync { payload: Some(payload.into()), command: Some(Command::Sync.into()), ..MSync::default() }.to_bytes().to_vec()
}

fn seed(name: &str) -> Genome {
    seeds::all().into_iter().find(|(known, _)| *known == name).unwrap().1
}

const COSTLY: [&str; 14] = [
    "text",
    "attributes",
    "attributes of JSON",
    "custom values",
    "reactions",
    "translations",
    "packed receipt",
    "counted readers",
    "members",
    "attributes of a member",
    "presence",
    "changed reactions",
    "silent modes",
    "room attributes",
];

#[test]
fn a_frame_of_the_costliest_messages_takes_no_more_than_was_promised_of_each() {
    if done_alone() {
        return;
    }
    for name in COSTLY {
        let (costliest, _) = climb(name, seed(name), 40);
        let meta = costliest.encode();
        let metas = ((1 << 20) / meta.len()).min(9_000);
        let frame = page(1, std::iter::repeat_n(meta, metas));
        for handled in [EventMask::NONE, EventMask::ALL] {
            let mut sim = Sim::online(handled);
            let counted = allocation_counter::measure(|| sim.step(Input::Frame(&frame)));
            let told = sim.actions.iter().filter(|did| matches!(did, Action::Emit(_) | Action::Publish(_))).count();
            assert!(told >= metas, "{name}: {told} of {metas}");
            let most = KEPT.0 as u64 * frame.len() as u64 + (KEPT.1 as u64 + STEP.0) * metas as u64 + STEP.1;
            println!("{name}: {} bytes, {metas} metas, peak {}, allowed {most}", frame.len(), counted.bytes_max);
            assert!(counted.bytes_max <= most, "{name}: {} bytes of memory, {most} allowed", counted.bytes_max);
        }
    }
}

/// Messages with what the service lets through of attributes, a hundred in a page.
fn three_kib() -> Vec<(&'static str, Vec<u8>)> {
    let sized = |name: &'static str, least: usize| {
        let mut genome = seed(name);
        let mut meta = genome.encode();
        while meta.len() < least {
            genome = match genome {
                Genome::Fields(tag, fields) => Genome::Fields(tag, fields.into_iter().map(grown).collect()),
                other => other,
            };
            meta = genome.encode();
        }
        (name, meta)
    };
    let mut all: Vec<_> = ["attributes", "attributes of text", "attributes of JSON", "custom values"]
        .into_iter()
        .map(|name| sized(name, 3 << 10))
        .collect();
    let part = r#"{"":0},"#.repeat((3 << 10) / 7);
    let json = Genome::Fields(
        0,
        vec![
            Genome::Number(5, 1),
            Genome::Fields(
                6,
                vec![
                    Genome::Number(1, 1),
                    Genome::Fields(4, vec![Genome::Text(2, "hi".to_owned())]),
                    Genome::Fields(
                        5,
                        vec![
                            Genome::Text(1, "k".to_owned()),
                            Genome::Number(2, 8),
                            Genome::Text(6, format!("[{part}0]")),
                        ],
                    ),
                ],
            ),
        ],
    );
    all.push(("JSON of small objects", json.encode()));
    all
}

fn grown(field: Genome) -> Genome {
    match field {
        Genome::Many(field, times) => Genome::Many(field, times * 2),
        Genome::Fields(tag, fields) => Genome::Fields(tag, fields.into_iter().map(grown).collect()),
        other => other,
    }
}

#[test]
fn what_waits_for_a_handler_that_hangs_takes_no_more_than_its_limit_whatever_the_messages_hold() {
    if done_alone() {
        return;
    }
    let limit = Limits::default().in_flight_bytes as i64;
    for (name, meta) in three_kib() {
        for (bytes, pages) in [(60 << 10, 160), (300 << 10, 32)] {
            // Six times the bytes, but for JSON.
            let pages = if name.starts_with("JSON") { pages } else { pages / 5 };
            let metas = bytes / meta.len();
            let frames: Vec<_> =
                (1..=pages).map(|queue| page(queue, std::iter::repeat_n(meta.clone(), metas))).collect();
            let mut sim = Sim::online(EventMask::MESSAGE);
            sim.engine.set_wanted(EventMask::NONE);
            let mut pages = Vec::with_capacity(1024);
            let counted = allocation_counter::measure(|| {
                for frame in &frames {
                    sim.step(Input::Frame(frame));
                    pages.extend(sim.actions.drain(..).filter(|did| matches!(did, Action::Deliver(_))));
                }
            });
            println!("{name}: {} waits, {} pages given out", counted.bytes_current, pages.len());
            assert!(counted.bytes_current < limit + (512 << 10), "{name}: {} bytes wait", counted.bytes_current);
            assert!(counted.bytes_current > limit / 4, "{name}: {} bytes wait: it is used", counted.bytes_current);
        }
    }
}

#[test]
fn a_page_that_is_given_out_counts_for_at_least_what_it_takes() {
    if done_alone() {
        return;
    }
    for name in COSTLY {
        let meta = seed(name).encode();
        let frame = page(1, std::iter::repeat_n(meta, 20));
        let mut sim = Sim::online(EventMask::ALL);
        sim.engine.set_wanted(EventMask::NONE);
        sim.step(Input::Frame(&page(2, std::iter::once(Vec::new()))));
        sim.actions.clear();
        let counted = allocation_counter::measure(|| sim.step(Input::Frame(&frame)));
        let taken =
            sim.actions.iter().find_map(|did| if let Action::Deliver(page) = did { Some(page.bytes) } else { None });
        let taken = taken.unwrap_or_else(|| panic!("{name}: {:?}", sim.actions)) as i64;
        // The tables of queues and of actions are not the page's.
        assert!(counted.bytes_current <= taken + (8 << 10), "{name}: {} bytes, {taken} counted", counted.bytes_current);
    }
}

/// A JSON object of 4 MB that costs most where it is taken apart.
fn huge(before: &str, after: &str) -> String {
    format!("{before}{}0]{after}", r#"{"":0},"#.repeat((4 << 20) / 7 - 100))
}

#[test]
fn a_frame_of_json_attributes_takes_little_more_than_its_bytes() {
    if done_alone() {
        return;
    }
    let attribute = format!("[{}0]", r#"{"":0},"#.repeat((256 << 10) / 7 - 8));
    let meta = |at: usize| {
        let value = wire::key_value::Value::String(attribute.clone());
        let ext = vec![wire::KeyValue { key: Some(at.to_string()), r#type: Some(8), value: Some(value) }];
        let contents = vec![wire::Content { text: Some("hi".to_owned()), ..wire::Content::default() }];
        let body = wire::MessageBody { r#type: Some(1), contents, ext, ..wire::MessageBody::default() };
        wire::encode(&Meta { ns: Some(1), payload: Some(wire::encode(&body)), ..Meta::default() }).to_vec()
    };
    let frame = page(1, (0..15).map(meta));
    let mut sim = Sim::online(EventMask::MESSAGE);
    let begun = std::time::Instant::now();
    let counted = allocation_counter::measure(|| sim.step(Input::Frame(&frame)));
    println!("{:?} and {} bytes for a frame of {}", begun.elapsed(), counted.bytes_max, frame.len());
    assert_eq!(sim.actions.iter().filter(|did| matches!(did, Action::Publish(_))).count(), 15);
    assert!(counted.bytes_max < 2 * frame.len() as u64, "{counted:?} for {}", frame.len());
}

#[test]
fn json_in_the_answers_of_a_server_is_not_taken_apart_whatever_its_length() {
    if done_alone() {
        return;
    }
    for small in [false, true] {
        let json = |before: &str, after: &str| match small {
            false => huge(before, after),
            true => format!("{before}{}0]{after}", r#"{"":0},"#.repeat(30_000)),
        };
        let told = provision(Some(json(r#"{"expires_in":86400,"a":["#, "}")));
        let mut sim = Sim::new();
        let counted = allocation_counter::measure(|| sim.step(Input::Frame(&told)));
        assert!(
            counted.bytes_max < 4 * told.len() as u64 + (64 << 10),
            "{counted:?} for an authToken of {}",
            told.len()
        );

        let muc = MucBody {
            status: Some(wire::muc_body::Status {
                chatroom_info: Some(json(r#"{"alice":{"member_count":7},"a":["#, "}")),
                ..wire::muc_body::Status::default()
            }),
            ..MucBody::default()
        };
        let edit = json(r#"{"edit_msg":{"count":2},"a":["#, "}").into_bytes();
        for (ns, payload) in [(2, wire::encode(&muc)), (5, edit.into())] {
            let mut sim = Sim::online(EventMask::NONE);
            sim.step(Input::Send { client_id: 77, message: agora_chat::Outgoing::text("bob", "hi").unwrap() });
            let metas = vec![Meta { ns: Some(ns), payload: Some(payload), ..Meta::default() }];
            let answer =
                CommSyncDl { status: ok(), meta_id: Some(77), server_id: Some(1), metas, ..CommSyncDl::default() };
            let frame = MSync::from_server(Command::Sync, &answer).to_bytes();
            sim.actions.clear();
            let counted = allocation_counter::measure(|| sim.step(Input::Frame(&frame)));
            assert!(!sim.actions.is_empty(), "it was an answer");
            assert!(
                counted.bytes_max < 4 * frame.len() as u64 + (64 << 10),
                "{counted:?} for an answer of {}",
                frame.len()
            );
        }
    }
}
