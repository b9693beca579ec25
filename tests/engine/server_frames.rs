//! Every recorded server frame leads to what the official clients made of it, apart from the exceptions listed.

use agora_chat::{
    EventKind, MessageBody,
    events::ReceiptKind,
    session::Input,
    wire::{Downward, MSync, Upward},
};
use serde_json::Value;

use crate::{
    ledger::Place,
    sim::{Did, Sim, by_token, config, hello},
};

/// Where a code differs from the web SDK 1.4.0 on purpose: it hides these three behind a plain 2.
const OTHER_CODES: [(&str, i32); 3] =
    [("refused-TOKEN_EXPIRED", 56), ("refused-TOO_MANY_DEVICES", 214), ("refused-20", 220)];

/// The web SDK takes a redirect for a refusal with code 2; it is followed here.
const FOLLOWED: &str = "refused-REDIRECT";

struct Entry {
    name: String,
    bytes: Vec<u8>,
    outcome: Value,
}

impl Entry {
    fn downward(&self) -> Downward {
        MSync::decode_frame(self.bytes.clone().into(), 1 << 22).unwrap().downward().unwrap()
    }

    /// The first thing of this name that the client reported.
    fn told(&self, event: &str) -> &Value {
        let told = self.outcome.as_array().unwrap().iter().find(|told| told["event"] == event);
        told.unwrap_or_else(|| panic!("{}: {event}", self.name))
    }

    fn code(&self, event: &str) -> i32 {
        self.told(event)["code"].as_i64().unwrap().try_into().unwrap()
    }
}

fn entries() -> impl Iterator<Item = Entry> {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../vectors/server-frames.json")).unwrap();
    entries.into_iter().map(|entry| Entry {
        name: entry["name"].as_str().unwrap().to_owned(),
        bytes: hex::decode(entry["hex"].as_str().unwrap()).unwrap(),
        outcome: entry["outcome"].clone(),
    })
}

fn provisioning() -> Sim {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    sim
}

fn silent(did: &Did) -> bool {
    did.events().is_empty() && did.frames().is_empty() && did.outcomes().is_empty()
}

#[test]
fn every_recorded_server_frame_leads_to_what_the_official_client_made_of_it() {
    let mut checked = 0;
    for entry in entries() {
        let name = entry.name.strip_prefix("easemob/").unwrap_or(&entry.name);
        match name {
            "provision-ok" => login(&entry),
            "notice" | "unread-with-queue" => announced(&entry),
            "logout-ack" => logout(&entry),
            "unread-empty" | "statistics-ack" | "batch-end" => assert!(silent(&Sim::online().frame(&entry.bytes))),
            _ if name.starts_with("send-ack") => answered(&entry),
            _ if name.starts_with("kick-") => kicked(&entry),
            _ if name.starts_with("refused-") => refused(&entry, name),
            _ if name.starts_with("odd-") => survived(&entry),
            _ => delivered(&entry),
        }
        checked += 1;
    }
    assert_eq!(checked, 84);
}

fn login(entry: &Entry) {
    let did = provisioning().frame(&entry.bytes);
    assert_eq!(did.events(), [&EventKind::Connected { resumed: false }]);
    assert_eq!((did.opened(), did.kinds()), (Some(&Ok(())), vec!["UNREAD"]));
}

fn announced(entry: &Entry) {
    let names: Vec<String> = match entry.downward() {
        Downward::Unread(unread) => unread.unread.iter().map(|e| e.queue.clone().unwrap().name().to_owned()).collect(),
        Downward::Notice(notice) => vec![notice.queue.unwrap().name().to_owned()],
        other => panic!("{other:?}"),
    };
    let pulls: Vec<_> = names.into_iter().map(|name| (name, None)).collect();
    let did = Sim::online().frame(&entry.bytes);
    assert_eq!(did.pulls(), pulls);
    assert!(did.events().iter().all(|event| matches!(event, EventKind::OfflineSyncStarted { .. })), "{did:?}");
}

fn logout(entry: &Entry) {
    let mut sim = Sim::online();
    sim.step(Input::Close);
    assert!(sim.frame(&entry.bytes).closed());
}

fn answered(entry: &Entry) {
    let Downward::Sync(sync) = entry.downward() else { panic!("{}", entry.name) };
    let mut sim = Sim::online();
    sim.step(hello(sync.meta_id()));
    let did = sim.frame(&entry.bytes);
    let [(client_id, outcome)] = did.outcomes()[..] else { panic!("{did:?}") };
    assert_eq!(client_id, sync.meta_id());
    match outcome {
        Ok(sent) => {
            entry.told("send-ok");
            assert_eq!((sent.server_id, sent.timestamp), (sync.server_id(), sync.timestamp()));
        }
        Err(error) => assert_eq!(error.code().number(), entry.code("send-fail"), "{}", entry.name),
    }
    assert!(did.events().is_empty() && did.frames().is_empty());
}

fn kicked(entry: &Entry) {
    let did = Sim::online().frame(&entry.bytes);
    let reason = did.reason().unwrap();
    assert_eq!(reason.code().unwrap().number(), entry.code("onDisconnected"), "{}", entry.name);
    if let Some(ext) = entry.told("onDisconnected")["loginInfoCustomExt"].as_str() {
        assert!(format!("{reason:?}").contains(ext), "{reason:?}");
    }
}

fn refused(entry: &Entry, name: &str) {
    let mut sim = provisioning();
    let did = sim.frame(&entry.bytes);
    if name == FOLLOWED {
        assert_eq!(did.dialed(), ["ws://msync.example.org:443/websocket"]);
        return;
    }
    let exception = OTHER_CODES.iter().find(|(other, _)| *other == name).map(|(_, code)| *code);
    let code = exception.unwrap_or_else(|| entry.code("open-fail"));
    assert_eq!(did.open_error().code().number(), code, "{}", entry.name);
    assert_eq!(did.reason().unwrap().code().unwrap().number(), code);
    if exception.is_some() && entry.name == name {
        assert_eq!(entry.code("open-fail"), 2, "an exception that is none: {name}");
    }
}

/// The web SDK answers two of these by a pull of no queue; nothing is sent here.
fn survived(entry: &Entry) {
    assert_eq!(entry.outcome["connectionSurvives"], true);
    let mut sim = Sim::online();
    let did = sim.frame(&entry.bytes);
    assert!(silent(&did), "{}: {did:?}", entry.name);
    assert_eq!(sim.place(), Place::Online);
    assert!(silent(&provisioning().frame(&entry.bytes)), "{} before the answer to PROVISION", entry.name);
}

fn delivered(entry: &Entry) {
    let Downward::Sync(page) = entry.downward() else { panic!("{}", entry.name) };
    let mut sim = Sim::online();
    let did = sim.frame(&entry.bytes);
    assert_eq!(did.events().len(), page.metas.len(), "{}", entry.name);
    let (mut messages, mut notices) = (Vec::new(), Vec::new());
    for (event, meta) in did.events().into_iter().zip(&page.metas) {
        let (id, timestamp, from) = match event {
            EventKind::Message(message) => {
                messages.push(message);
                (message.id, message.timestamp, &message.from)
            }
            EventKind::Receipt(receipt) => {
                let event = match receipt.kind {
                    ReceiptKind::Delivered => "onDeliveredMessage",
                    ReceiptKind::Read => "onReadMessage",
                    ReceiptKind::Conversation => "onChannelMessage",
                    _ => panic!("{receipt:?}"),
                };
                notices.push((event, receipt.messages.first().map(u64::to_string)));
                (receipt.id, receipt.timestamp, &receipt.from)
            }
            EventKind::Recalled(recall) => {
                notices.push(("onRecallMessage", Some(recall.message.to_string())));
                (recall.id, recall.timestamp, recall.from.as_ref().unwrap())
            }
            other => panic!("{}: {other:?}", entry.name),
        };
        assert_eq!((id, timestamp), (meta.id(), meta.timestamp()));
        assert_eq!(&**from, meta.from.as_ref().unwrap().name());
    }
    let told = |event: &str, member: &str| -> Vec<String> {
        let events = entry.outcome.as_array().unwrap().iter().filter(|told| told["event"] == event);
        events.map(|told| told[member].as_str().unwrap().to_owned()).collect()
    };
    let texts: Vec<_> = messages
        .iter()
        .filter_map(|m| if let MessageBody::Text(t) = &m.body { Some(t.clone()) } else { None })
        .collect();
    let actions: Vec<_> = messages
        .iter()
        .filter_map(|m| if let MessageBody::Command { action } = &m.body { Some(action.clone()) } else { None })
        .collect();
    // The recorded outcome of this entry holds the next page's message too, which came from a group.
    let next_page = entry.name.ends_with("batch").then(|| "to the group".to_owned());
    let texts: Vec<_> = texts.into_iter().chain(next_page).collect();
    assert_eq!((texts, actions), (told("onTextMessage", "msg"), told("onCmdMessage", "action")), "{}", entry.name);
    // The recorded outcome names the first notice of its page.
    if let Some((event, message)) = notices.first() {
        let outcome = entry.outcome.as_array().unwrap().iter().find(|told| told["event"] == *event);
        assert_eq!(outcome.unwrap()["mid"].as_str(), message.as_deref(), "{}", entry.name);
    }
    // The page is acknowledged by a pull with its key, and is nothing new the second time.
    let [Upward::Sync(pull)] = &did.sent()[..] else { panic!("{did:?}") };
    assert_eq!((pull.key, &pull.queue), (page.next_key, &page.queue));
    assert!(sim.frame(&entry.bytes).events().is_empty());
}
