//! Every recorded frame and message decodes to the JSON beside it, and that JSON encodes to the recorded bytes.

mod from_json;

use std::fmt::Debug;

use agora_chat::wire::{
    Body, CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, CommUnreadUl, DecodeError, Downward, Layer, Logout, MSync,
    MessageBody, Meta, MucBody, Provision, RosterBody, StatisticsBody, TOKEN_PREFIX, Upward, encode,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use from_json::FromJson;
use prost::Message;
use serde_json::{Value, json};

const LIMIT: usize = 1 << 20;

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn client_frames() -> Vec<Value> {
    vectors(include_str!("../../vectors/client-frames.json"))
}

fn server_frames() -> Vec<Value> {
    vectors(include_str!("../../vectors/server-frames.json"))
}

fn hex_of(entry: &Value) -> Bytes {
    hex::decode(entry["hex"].as_str().unwrap()).unwrap().into()
}

fn name_of(entry: &Value) -> &str {
    entry["name"].as_str().unwrap()
}

/// Both directions: `bytes` is this JSON, and this JSON is `bytes`.
fn same<T: FromJson + Message + Default + PartialEq + Debug>(bytes: &Bytes, json: &Value, name: &str) -> T {
    let value = T::from_json(json);
    assert_eq!(T::decode(bytes.clone()).unwrap(), value, "{name} decodes to its JSON");
    assert_eq!(hex::encode(encode(&value)), hex::encode(bytes), "{name} encodes from its JSON");
    value
}

/// The bytes of a message given in JSON, after a look that they decode to the same.
fn bytes_of<T: FromJson + Message + Default + PartialEq + Debug>(json: &Value) -> Value {
    let bytes = encode(&T::from_json(json));
    assert_eq!(T::decode(bytes.clone()).unwrap(), T::from_json(json));
    Value::String(STANDARD.encode(bytes))
}

/// Replaces the body of a meta, decoded in place in the frame files, by its bytes.
fn close_meta(meta: &mut Value) {
    let Some(kind) = meta.as_object_mut().unwrap().remove("payloadType") else { return };
    let body = &meta["payload"];
    meta["payload"] = match kind.as_str().unwrap() {
        "StatisticsBody" => bytes_of::<StatisticsBody>(body),
        "MessageBody" => bytes_of::<MessageBody>(body),
        other => panic!("a body of type {other}"),
    };
}

/// The JSON of a frame as its envelope with payload bytes, and the JSON of its payload.
fn closed(decoded: &Value) -> (MSync, Value) {
    let mut payload = decoded["payload"].clone();
    if let Some(meta) = payload.get_mut("meta") {
        close_meta(meta);
    }
    for meta in payload.get_mut("metas").and_then(Value::as_array_mut).into_iter().flatten() {
        close_meta(meta);
    }
    let mut envelope = decoded["msync"].clone();
    if !payload.is_null() {
        envelope["payload"] = match decoded["payloadType"].as_str() {
            Some("CommSyncUL") => bytes_of::<CommSyncUl>(&payload),
            Some("CommSyncDL") => bytes_of::<CommSyncDl>(&payload),
            Some("CommUnreadDL") => bytes_of::<CommUnreadDl>(&payload),
            Some("CommNotice") => bytes_of::<CommNotice>(&payload),
            Some("Provision") => bytes_of::<Provision>(&payload),
            Some("Logout") => bytes_of::<Logout>(&payload),
            None => Value::String(STANDARD.encode(hex::decode(payload["hex"].as_str().unwrap()).unwrap())),
            Some(other) => panic!("a payload of type {other}"),
        };
        assert_eq!(decoded["command"], envelope["command"]);
    } else {
        payload = json!({});
    }
    (MSync::from_json(&envelope), payload)
}

#[test]
fn every_client_frame_decodes_to_its_json_and_encodes_to_its_bytes() {
    let entries = client_frames();
    assert_eq!(entries.len(), 42);
    for entry in &entries {
        let name = name_of(entry);
        let (expected, payload) = closed(&entry["decoded"]);
        let frame = MSync::decode_frame(hex_of(entry), LIMIT).unwrap();
        assert_eq!(frame, expected, "{name} decodes to its JSON");
        assert_eq!(expected.to_bytes(), hex_of(entry), "{name} encodes from its JSON");
        match (frame.upward().unwrap(), entry["decoded"]["payloadType"].as_str().unwrap()) {
            (Upward::Sync(sync), "CommSyncUL") => assert_eq!(*sync, FromJson::from_json(&payload), "{name}"),
            (Upward::Unread(unread), "CommUnreadUL") => assert_eq!(unread, CommUnreadUl {}, "{name}"),
            (Upward::Provision(provision), "Provision") => {
                assert_eq!(*provision, FromJson::from_json(&payload), "{name}");
            }
            (Upward::Logout(logout), "Logout") => assert_eq!(logout, FromJson::from_json(&payload), "{name}"),
            (other, kind) => panic!("{name}: {other:?} for {kind}"),
        }
    }
}

#[test]
fn the_frame_helpers_of_a_client_build_every_recorded_client_frame() {
    for entry in client_frames() {
        let name = name_of(&entry);
        let frame = MSync::decode_frame(hex_of(&entry), LIMIT).unwrap();
        let own = || frame.guid.clone().unwrap();
        let token = || frame.auth().strip_prefix(TOKEN_PREFIX).unwrap().to_owned();
        let built = match frame.upward().unwrap() {
            Upward::Sync(sync) => MSync::client_sync(&sync),
            Upward::Unread(_) => MSync::client_unread(),
            Upward::Provision(provision) => MSync::client_provision(own(), &token(), &provision),
            Upward::Logout(logout) => MSync::client_logout(own(), &token(), &logout),
            other => panic!("{name}: {other:?}"),
        };
        // The newer client numbers its frames.
        let built = MSync { trace_id: frame.trace_id, ..built };
        assert_eq!(hex::encode(built.to_bytes()), entry["hex"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn every_server_frame_decodes_to_its_json_and_encodes_to_its_bytes() {
    let entries = server_frames();
    assert_eq!(entries.len(), 84);
    let mut odd = 0;
    for entry in &entries {
        let name = name_of(entry);
        if entry["decoded"].get("issues").is_some() {
            odd += 1;
            continue;
        }
        let (expected, payload) = closed(&entry["decoded"]);
        let frame = MSync::decode_frame(hex_of(entry), LIMIT).unwrap();
        assert_eq!(frame, expected, "{name} decodes to its JSON");
        assert_eq!(expected.to_bytes(), hex_of(entry), "{name} encodes from its JSON");
        match (frame.downward().unwrap(), entry["decoded"]["payloadType"].as_str()) {
            (Downward::Sync(sync), Some("CommSyncDL")) => assert_eq!(sync, FromJson::from_json(&payload), "{name}"),
            (Downward::Unread(unread), Some("CommUnreadDL")) => {
                assert_eq!(unread, FromJson::from_json(&payload), "{name}");
            }
            (Downward::Notice(notice), Some("CommNotice")) => {
                assert_eq!(notice, FromJson::from_json(&payload), "{name}");
            }
            (Downward::Provision(provision), Some("Provision")) => {
                assert_eq!(*provision, FromJson::from_json(&payload), "{name}");
            }
            (Downward::Logout(logout), Some("Logout")) => assert_eq!(logout, FromJson::from_json(&payload), "{name}"),
            (Downward::Unknown(77), None) => assert_eq!(name, "odd-unknowncommand"),
            (other, kind) => panic!("{name}: {other:?} for {kind:?}"),
        }
    }
    assert_eq!(odd, 4, "the frames with issues have their own test");
}

#[test]
fn the_odd_server_frames_are_survived_and_named() {
    let entries = server_frames();
    let frame = |name: &str| {
        let entry = entries.iter().find(|entry| name_of(entry) == name).unwrap();
        assert!(entry["decoded"].get("issues").is_some());
        (MSync::decode_frame(hex_of(entry), LIMIT), entry)
    };
    for undecodable in ["odd-random", "odd-truncated"] {
        let (refused, _) = frame(undecodable);
        assert!(matches!(refused, Err(DecodeError::Malformed { layer: Layer::Envelope, .. })), "{refused:?}");
    }
    let (envelope, _) = frame("odd-badpayload");
    let refused = envelope.unwrap().downward();
    assert!(matches!(refused, Err(DecodeError::Malformed { layer: Layer::Payload, .. })), "{refused:?}");

    let (envelope, entry) = frame("odd-unknownfields");
    let (expected, payload) = closed(&entry["decoded"]);
    let envelope = envelope.unwrap();
    assert_eq!(envelope, expected, "unknown fields are skipped");
    assert_eq!(envelope.unread_dl().unwrap(), CommUnreadDl::from_json(&payload));
}

#[test]
fn every_recorded_message_decodes_to_its_json_and_encodes_to_its_bytes() {
    let entries = vectors(include_str!("../../vectors/messages.json"));
    assert_eq!(entries.len(), 66);
    let mut files = 0;
    for entry in &entries {
        let (name, bytes, json) = (name_of(entry), hex_of(entry), &entry["json"]);
        match entry["type"].as_str().unwrap() {
            "easemob.pb.MSync" => drop(same::<MSync>(&bytes, json, name)),
            "easemob.pb.Meta" => drop(same::<Meta>(&bytes, json, name)),
            "easemob.pb.MessageBody" => drop(same::<MessageBody>(&bytes, json, name)),
            "easemob.pb.MUCBody" => drop(same::<MucBody>(&bytes, json, name)),
            "easemob.pb.CommSyncUL" => drop(same::<CommSyncUl>(&bytes, json, name)),
            "easemob.pb.CommSyncDL" => drop(same::<CommSyncDl>(&bytes, json, name)),
            "file" => files += 1,
            other => panic!("{name}: a message of type {other}"),
        }
    }
    assert_eq!(files, 1, "only the uploaded file is not protobuf");
}

#[test]
fn every_received_meta_and_its_body_decode_to_their_json_and_encode_to_their_bytes() {
    let entries = vectors(include_str!("../../vectors/receive.json"));
    assert_eq!(entries.len(), 102);
    for entry in &entries {
        let (name, json) = (name_of(entry), &entry["payload"]);
        let meta: Meta = same(&hex_of(entry), &entry["json"], name);
        let payload = meta.payload.clone().unwrap();
        match (entry["payload_type"].as_str().unwrap(), meta.body().unwrap()) {
            ("easemob.pb.MUCBody", Body::Muc(body)) => assert_eq!(*body, same(&payload, json, name)),
            ("easemob.pb.MessageBody", Body::Chat(body)) => assert_eq!(*body, same(&payload, json, name)),
            ("easemob.pb.RosterBody", Body::Roster(body)) => {
                assert_eq!(*body, same::<RosterBody>(&payload, json, name))
            }
            ("easemob.pb.StatisticsBody", Body::Statistic(body)) => assert_eq!(body, same(&payload, json, name)),
            ("json", Body::Notify(text)) => {
                assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), *json, "{name}");
            }
            (kind, body) => panic!("{name}: {body:?} for {kind}"),
        }
    }
}
