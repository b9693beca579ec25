//! Every recorded meta.

use agora_chat::{EventKind, wire::Meta};
use prost::Message;
use serde_json::Value;

use crate::receive::{
    receiver::Receiver,
    vendor::{normal, shown},
};

/// What the vendor's SDK drops without an event is told as it came.
const UNKNOWN: [&str; 13] = [
    "txt_no_contents",
    "type_NORMAL",
    "roster_6",
    "muc_2",
    "muc_3",
    "muc_11",
    "muc_12",
    "muc_15",
    "muc_16",
    "muc_39",
    "muc_40",
    "muc_41",
    "muc_42",
];

/// What this device sent into a chat room, told back to it (messages spec §2.7).
const ECHO: &str = "room_own_echo_same_resource";

/// Statistics without a content: the vendor's SDK hands them on, here they are nobody's news.
const STATISTICS: &str = "stat_0";

#[test]
fn every_recorded_meta_becomes_the_events_that_the_official_client_made_of_it() {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../../vectors/receive.json")).unwrap();
    assert_eq!(entries.len(), 102);
    let mut without = Vec::new();
    for entry in &entries {
        let name = entry["name"].as_str().unwrap();
        let meta = Meta::decode(&hex::decode(entry["hex"].as_str().unwrap()).unwrap()[..]).unwrap();
        let heard = Receiver::online().page(vec![meta.clone()]);
        let expected = entry["events"].as_array().unwrap();
        assert!(
            heard.iter().all(|event| event.claims().is_none()),
            "{name}: both parts agree in all that was recorded"
        );
        if name == STATISTICS {
            assert_eq!(expected[0][0], "onStatisticMessage");
            assert!(heard.is_empty(), "{name}: {heard:?}");
        } else if expected.is_empty() {
            without.push(name);
            if name == ECHO {
                assert!(heard.is_empty(), "{name}: {heard:?}");
                continue;
            }
            let [EventKind::Unknown(notice)] = &heard[..] else { panic!("{name}: {heard:?}") };
            assert_eq!(
                (notice.id, notice.timestamp, notice.namespace),
                (meta.id(), meta.timestamp(), meta.ns.unwrap())
            );
            assert_eq!((&*notice.from, &*notice.to), (meta.from.unwrap().name(), meta.to.unwrap().name()), "{name}");
            assert_eq!(Some(&notice.payload), meta.payload.as_ref(), "{name}");
        } else {
            assert_eq!(heard.len(), 1, "{name}: {heard:?}");
            assert_eq!(normal(shown(&heard[0])), normal(entry["events"].clone()), "{name}: {heard:?}");
        }
    }
    without.sort_unstable();
    let mut dropped = [&UNKNOWN[..], &[ECHO]].concat();
    dropped.sort_unstable();
    assert_eq!(without, dropped);
}

#[test]
fn no_recorded_meta_shows_the_secret_of_a_file_in_its_debug() {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../../vectors/receive.json")).unwrap();
    for entry in &entries {
        let meta = Meta::decode(&hex::decode(entry["hex"].as_str().unwrap()).unwrap()[..]).unwrap();
        let debug = format!("{:?}", Receiver::online().page(vec![meta]));
        assert!(!debug.contains("share-secret") && !debug.contains("\"Z\""), "{debug}");
    }
}
