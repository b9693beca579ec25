//! What `examples/connect` prints of what it hears: its command line is a contract (`--json`).

use std::collections::{BTreeMap, BTreeSet};

use agora_chat::{Event, EventKind, LossCause, SendError, wire::Meta};
use prost::Message as _;
use receiver::{Receiver, USER, chat, event, text};
use serde_json::{Value, json};

#[path = "../../examples/connect/message.rs"]
mod message;
#[path = "../../examples/connect/notice.rs"]
mod notice;
use crate::support::receiver;
#[path = "../../examples/connect/tell.rs"]
#[allow(dead_code, reason = "only what is told of events is tested here")]
mod tell;
#[path = "../../examples/connect/words.rs"]
mod words;

fn told(kind: EventKind) -> (Value, String) {
    tell::describe(&Event::new(USER.parse().unwrap(), kind))
}

#[test]
fn a_text_is_told_with_the_members_of_the_contract() {
    let (object, sentence) = told(event(chat(1_157_777_777_777_777_701, "bob", "alice", text("hi \"you\""))));
    let expected = json!({
        "event": "message", "id": "1157777777777777701", "from": "bob", "to": "alice", "chat": "single",
        "type": "text", "text": "hi \"you\"", "timestamp": 5,
    });
    assert_eq!(object, expected);
    assert_eq!(sentence, r#"bob to alice, text: "hi \"you\"""#);
}

#[test]
fn every_recorded_meta_is_told_with_names_in_snake_case_ids_as_text_and_no_secret() {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../vectors/receive.json")).unwrap();
    let (mut events, mut types) = (BTreeMap::<String, usize>::new(), BTreeSet::new());
    for entry in &entries {
        let name = entry["name"].as_str().unwrap();
        let meta = Meta::decode(&hex::decode(entry["hex"].as_str().unwrap()).unwrap()[..]).unwrap();
        for kind in Receiver::online().page(vec![meta]) {
            let (object, sentence) = told(kind);
            let members = object.as_object().unwrap();
            for (member, value) in members {
                assert!(member.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}: {member}");
                assert!(!["id", "message"].contains(&member.as_str()) || value.is_string(), "{name}: {object}");
            }
            for word in ["event", "type", "kind", "operation", "change", "status", "chat"] {
                let Some(value) = members.get(word) else { continue };
                let value = value.as_str().unwrap_or_else(|| panic!("{name}: {object}"));
                assert!(value.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}: {word} is {value}");
            }
            assert_ne!(object["event"], "other", "{name}");
            assert_ne!(object["type"], "other", "{name}");
            let all = format!("{object}{sentence}");
            assert!(!sentence.is_empty() && !all.contains("secret") && !all.contains("\"Z\""), "{name}: {all}");
            *events.entry(object["event"].as_str().unwrap().to_owned()).or_default() += 1;
            types.extend(object["type"].as_str().map(str::to_owned));
        }
    }
    let kinds: Vec<_> = events.keys().map(String::as_str).collect();
    let expected = [
        "contact",
        "device",
        "disconnected",
        "edited",
        "group",
        "message",
        "pinned",
        "presence",
        "reaction",
        "recalled",
        "receipt",
        "room",
        "thread",
        "unknown",
    ];
    assert_eq!(kinds, expected, "{events:?}");
    for kind in ["text", "command", "custom", "location", "image", "voice", "video", "file", "combined"] {
        assert!(types.contains(kind), "{kind} is not among {types:?}");
    }
}

#[test]
fn the_two_ends_of_what_waited_are_told_with_their_counts() {
    let (started, _) = told(EventKind::OfflineSyncStarted { queues: 2, messages: 30 });
    assert_eq!(started, json!({"event": "offline_sync_started", "queues": 2, "messages": 30}));
    let (finished, sentence) = told(EventKind::OfflineSyncFinished { queues: 1, messages: 10, complete: false });
    let expected = json!({"event": "offline_sync_finished", "queues": 1, "messages": 10, "complete": false});
    assert_eq!(finished, expected);
    assert!(sentence.starts_with("Not all"), "{sentence}");
}

#[test]
fn a_room_that_was_lost_is_told_with_its_code_where_it_has_one() {
    let error = SendError::OutcomeUnknown { client_id: 7, cause: LossCause::RoomUnanswered };
    let (lost, sentence) = told(EventKind::RoomLost { room: "17".into(), error: Some(error.clone()) });
    assert_eq!(lost, json!({"event": "room_lost", "room": "17", "code": -1, "error": error.to_string()}));
    assert!(sentence.contains("room 17"), "{sentence}");
    let (lost, _) = told(EventKind::RoomLost { room: "17".into(), error: None });
    assert_eq!(lost, json!({"event": "room_lost", "room": "17", "code": null, "error": null}));
}
