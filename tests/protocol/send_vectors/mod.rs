//! What the public face makes to be sent is, byte for byte, what the vendor's web SDK sent.

mod messages;
mod round_trip;

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use agora_chat::{
    AppKey, Config, Credentials, UserId,
    session::{Action, Engine, Input, Now},
    wire::{CommSyncDl, CommSyncUl, MSync, Meta, Provision, Status, Upward, encode, msync::Command},
};
use bytes::Bytes;
use prost::Message;
use serde_json::Value;

pub(crate) fn app_key() -> AppKey {
    "org#app".parse().unwrap()
}

pub(crate) fn alice() -> UserId {
    "alice".parse().unwrap()
}

struct Entry {
    name: String,
    kind: String,
    bytes: Bytes,
}

fn entries() -> Vec<Entry> {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../../vectors/messages.json")).unwrap();
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap().to_owned();
    let entry = |entry: &Value| Entry {
        name: text(entry, "name"),
        kind: text(entry, "type"),
        bytes: hex::decode(text(entry, "hex")).unwrap().into(),
    };
    vectors.iter().map(entry).collect()
}

/// What is pulled, asked for or received rather than sent by a caller.
const NOT_SENT: [&str; 9] = [
    "sync_pull_first",
    "sync_pull_first_ul",
    "sync_pull_next",
    "sync_pull_next_ul",
    "unread_request",
    "dl_send_ok",
    "dl_send_blocked",
    "dl_send_muted",
    "dl_batch",
];

/// The client id in a recorded meta or frame.
fn client_id(entry: &Entry) -> u64 {
    match &*entry.kind {
        "easemob.pb.Meta" => Meta::decode(entry.bytes.clone()).unwrap().id(),
        "easemob.pb.MSync" => match MSync::decode(entry.bytes.clone()).unwrap().upward().unwrap() {
            Upward::Sync(sync) => sync.meta.unwrap().id(),
            other => panic!("{other:?}"),
        },
        _ => 1,
    }
}

#[test]
fn every_message_receipt_change_and_room_request_is_the_recorded_one() {
    let mut ours = messages::all();
    let mut checked = 0;
    for entry in entries() {
        let name = &*entry.name;
        if NOT_SENT.contains(&name) || entry.kind == "file" {
            continue;
        }
        let base = name.strip_suffix("_meta").or(name.strip_suffix("_frame")).unwrap_or(name);
        let make = ours.get(base).unwrap_or_else(|| panic!("{name} is not made by anything"));
        let meta = make(client_id(&entry));
        let bytes = match &*entry.kind {
            "easemob.pb.MessageBody" | "easemob.pb.MUCBody" => meta.payload.unwrap(),
            "easemob.pb.Meta" => encode(&meta),
            "easemob.pb.MSync" => MSync::client_sync(&CommSyncUl::send(meta)).to_bytes(),
            other => panic!("{name}: a message of type {other}"),
        };
        assert_eq!(hex::encode(bytes), hex::encode(&entry.bytes), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 66 - NOT_SENT.len() - 1, "all but the uploaded file");
    let named: HashMap<_, _> = entries().into_iter().map(|entry| (entry.name, ())).collect();
    ours.retain(|name, _| !named.contains_key(*name));
    assert!(ours.is_empty(), "made but not recorded: {:?}", ours.keys());
}

#[test]
fn the_uploaded_file_of_a_combined_message_is_the_recorded_one() {
    let theirs = entries().into_iter().find(|entry| entry.kind == "file").unwrap();
    assert_eq!(theirs.name, "combine_file");
    let ours = messages::bundle();
    assert_eq!(hex::encode(ours.file()), hex::encode(&theirs.bytes));
    assert_eq!(ours.level(), 1);
    let read = agora_chat::messages::Bundle::read(&theirs.bytes).unwrap();
    let ids: Vec<_> =
        read.iter().map(|message| (message.id, &*message.from, &*message.to, message.timestamp)).collect();
    assert_eq!(
        ids,
        [
            (1_157_777_777_777_777_701, "bob", "alice", 1_700_000_000_001),
            (1_157_777_777_777_777_702, "alice", "bob", 1_700_000_000_002),
        ]
    );
    assert_eq!(read[0].text(), Some("one"));
}

#[test]
fn what_is_not_sent_by_a_caller_decodes_and_encodes_to_its_bytes() {
    fn same<T: Message + Default + PartialEq + Debug>(entry: &Entry) -> T {
        let value = T::decode(entry.bytes.clone()).unwrap();
        assert_eq!(encode(&value), entry.bytes, "{}", entry.name);
        value
    }
    let mut found = Vec::new();
    for entry in entries().iter().filter(|entry| NOT_SENT.contains(&&*entry.name)) {
        match &*entry.kind {
            "easemob.pb.MSync" => assert!(same::<MSync>(entry).upward().is_ok()),
            "easemob.pb.CommSyncUL" => assert_eq!(same::<CommSyncUl>(entry).meta, None, "{}", entry.name),
            "easemob.pb.CommSyncDL" => assert!(same::<CommSyncDl>(entry).status.is_some()),
            other => panic!("{}: a message of type {other}", entry.name),
        }
        found.push(entry.name.clone());
    }
    assert_eq!(found, NOT_SENT);
}

/// The bytes that a logged-in engine writes for a message.
fn through_the_engine(client_id: u64, message: agora_chat::Outgoing) -> Bytes {
    let config = Config::builder("org#app").allow_plaintext();
    let config = config.addresses("http://rest.test", "ws://one.test/websocket");
    let now = Now { mono: std::time::Duration::from_secs(1), wall: 1_700_000_000_000 };
    let mut engine = Engine::new(Arc::new(config.build().unwrap()), 7);
    let mut out = Vec::new();
    let accepted = Provision {
        status: Some(Status { error_code: Some(0), ..Status::default() }),
        resource: Some("a-device".to_owned()),
        ..Provision::default()
    };
    let accepted = MSync::from_server(Command::Provision, &accepted);
    engine.step(Input::Open(Credentials::token("alice", "a-token").unwrap().into()), now, &mut out);
    engine.step(Input::Connected, now, &mut out);
    engine.step(Input::Frame(&accepted.to_bytes()), now, &mut out);
    out.clear();
    engine.step(Input::Send { client_id, message }, now, &mut out);
    let sent = out.into_iter().find_map(|action| match action {
        Action::Transmit(frame) => Some(frame.bytes().clone()),
        _ => None,
    });
    sent.expect("the engine is online and writes it")
}

#[test]
fn a_connection_that_is_online_writes_the_recorded_frame() {
    let theirs = entries().into_iter().find(|entry| entry.name == "txt_single_frame").unwrap();
    let ours = through_the_engine(client_id(&theirs), agora_chat::Outgoing::text("bob", "hello").unwrap());
    assert_eq!(hex::encode(ours), hex::encode(theirs.bytes));
}
