//! What is sent means the same as what the official clients sent; where the values are equal, so are the bytes.

use agora_chat::{
    Account, Config, ConfigBuilder, Outgoing,
    session::Input,
    wire::{Logout, MSync, MessageBody, Provision, Upward, encode, msync::Command, provision::OsType},
};
use bytes::Bytes;
use prost::Message;
use serde_json::Value;

use crate::{
    peer,
    sim::{APP, Did, Sim, TOKEN, alice, by_token, config, device},
};

fn recorded(name: &str) -> Bytes {
    let entries: Vec<Value> = serde_json::from_str(include_str!("../vectors/client-frames.json")).unwrap();
    let entry = entries.iter().find(|entry| entry["name"] == name).unwrap();
    hex::decode(entry["hex"].as_str().unwrap()).unwrap().into()
}

fn envelope(bytes: &Bytes) -> MSync {
    MSync::decode_frame(bytes.clone(), 1 << 20).unwrap()
}

fn only_frame(did: &Did) -> Bytes {
    let [frame] = did.frames()[..] else { panic!("{did:?}") };
    frame.clone()
}

/// Takes the session id to pieces that vary: it is the wall clock.
fn clock_of(provision: &Provision) -> u64 {
    provision.session_id().strip_suffix(':').unwrap().parse().unwrap()
}

/// Logs in at the moment the recorded frame was sent; our PROVISION with the release of the recorded one.
fn provision_like(name: &str, config: ConfigBuilder, account: Account) -> (Bytes, Bytes) {
    let theirs = recorded(name);
    let like = envelope(&theirs).provision().unwrap();
    let mut sim = Sim::new(config);
    sim.now.wall = clock_of(&like);
    sim.step(Input::Open(account));
    let mut ours = envelope(&only_frame(&sim.step(Input::Connected)));
    let mut provision = ours.provision().unwrap();
    assert!(provision.version().starts_with("rust-"));
    provision.version = like.version;
    ours.payload = Some(encode(&provision));
    (ours.to_bytes(), theirs)
}

#[test]
fn provision_is_the_recorded_one_apart_from_the_release() {
    let (ours, theirs) = provision_like("provision", config(), alice());
    assert_eq!(hex::encode(ours), hex::encode(theirs));
}

#[test]
fn provision_with_a_login_extension_is_the_recorded_one() {
    let (ours, theirs) = provision_like("provision-with-ext", config(), alice().login_ext("my-phone"));
    assert_eq!(hex::encode(ours), hex::encode(theirs));
}

#[test]
fn provision_of_a_device_with_a_name_of_its_own_is_the_recorded_one() {
    let mut own = agora_chat::account::Device::new("webim_web_mydevice");
    own.name = "webim_web_mydevice".to_owned();
    let config = Config::builder(APP).allow_plaintext().addresses("http://r.test", "ws://s.test/websocket");
    let (ours, theirs) = provision_like("provision-own-device-id", config, alice().device(own));
    assert_eq!(hex::encode(ours), hex::encode(theirs));
}

#[test]
fn a_reconnect_sends_the_same_resource_and_token_and_a_new_session_id() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    let first = envelope(&only_frame(&sim.step(Input::Connected)));
    sim.frame(&peer::accepted());
    sim.redial();
    let again = envelope(&only_frame(&sim.step(Input::Connected)));
    assert_eq!((&again.guid, &again.auth), (&first.guid, &first.auth));
    let (first, again) = (first.provision().unwrap(), again.provision().unwrap());
    assert_ne!(again.session_id, first.session_id);
    assert_eq!(Provision { session_id: first.session_id.clone(), ..again }, first);
    // The recorded pair differs in the same field alone, and in the token, which was another account's.
    let like = envelope(&recorded("provision-reconnect")).provision().unwrap();
    let ours = Provision { version: like.version.clone(), auth_token: like.auth_token.clone(), ..first };
    assert_eq!(Provision { session_id: like.session_id.clone(), ..ours }, like);
}

#[test]
fn every_attempt_has_a_session_id_of_its_own_even_within_a_millisecond_or_when_the_clock_steps_back() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    let mut seen = std::collections::HashSet::new();
    for hop in 0..5 {
        let did = sim.step(Input::Connected);
        assert!(seen.insert(envelope(&only_frame(&did)).provision().unwrap().session_id().to_owned()), "hop {hop}");
        sim.frame(&peer::redirect(&[("next.test", 1000 + hop)]));
        sim.now.wall -= u64::from(hop % 2);
    }
}

#[test]
fn a_custom_platform_is_named_by_its_number() {
    let mut device = device();
    device.platform = Some(17);
    let mut sim = Sim::new(config());
    sim.step(Input::Open(alice().device(device)));
    let provision = envelope(&only_frame(&sim.step(Input::Connected))).provision().unwrap();
    assert_eq!((provision.os_type, provision.os_custom_value), (Some(OsType::OsCustom as i32), Some(17)));
}

#[test]
fn the_heartbeat_is_the_recorded_one() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    assert_eq!(only_frame(&sim.frame(&peer::accepted())), recorded("unread"));
}

#[test]
fn pulls_without_and_with_a_key_are_the_recorded_ones() {
    let mut sim = Sim::online();
    let alice = peer::user("alice");
    assert_eq!(only_frame(&sim.frame(&peer::notice(&alice))), recorded("pull"));
    let page = peer::page(&alice, vec![peer::text(1, "x")], 1_882_594_326_915_055_616);
    assert_eq!(only_frame(&sim.frame(&page)), recorded("pull-with-key"));
}

#[test]
fn texts_are_the_recorded_ones() {
    for (name, text) in [("send-text", "hello"), ("send-text-utf8", "héllo 世界 🙂")] {
        let theirs = recorded(name);
        let client_id = envelope(&theirs).sync_ul().unwrap().meta.unwrap().id();
        let message = Outgoing::text("bob", text).unwrap();
        let did = Sim::online().step(Input::Send { client_id, message });
        assert_eq!(hex::encode(only_frame(&did)), hex::encode(theirs), "{name}");
    }
}

#[test]
fn a_command_is_the_recorded_one_apart_from_its_extension() {
    let theirs = envelope(&recorded("send-cmd")).sync_ul().unwrap().meta.unwrap();
    let message = Outgoing::command("bob", "wave").unwrap();
    let did = Sim::online().step(Input::Send { client_id: theirs.id(), message });
    let Upward::Sync(sync) = &did.sent()[0] else { panic!("{did:?}") };
    let mut body = MessageBody::decode(theirs.payload.clone().unwrap()).unwrap();
    body.ext.clear();
    let expected = agora_chat::wire::Meta { payload: Some(encode(&body)), ..theirs };
    assert_eq!(sync.meta.as_ref().unwrap(), &expected);
}

#[test]
fn logout_is_the_recorded_one_apart_from_the_trace_id() {
    let mut theirs = envelope(&recorded("easemob/logout"));
    assert!(theirs.trace_id.take().is_some());
    let like = theirs.logout().unwrap();
    let mut sim = Sim::new(config());
    sim.now.wall = like.session_id().strip_suffix(':').unwrap().parse().unwrap();
    sim.step(by_token());
    sim.accept();
    assert_eq!(only_frame(&sim.step(Input::Close)), theirs.to_bytes());
}

#[test]
fn logout_after_the_tokens_end_says_so() {
    let mut sim = Sim::online_for(config(), crate::sim::seconds(20));
    let did = sim.run(crate::sim::seconds(20));
    let bytes = did.frames().last().copied().unwrap().clone();
    assert_eq!(envelope(&bytes).known_command(), Ok(Command::Logout));
    let Logout { reason, .. } = envelope(&bytes).logout().unwrap();
    assert_eq!(reason.as_deref(), Some("inner:token expired"));
}

#[test]
fn a_password_never_leaves_and_the_token_stands_in_provision_and_logout_alone() {
    let mut sim = Sim::online();
    let mut did = sim.step(crate::sim::hello(1));
    did.0.extend(sim.frame(&peer::notice(&peer::user("bob"))).0);
    did.0.extend(sim.run(crate::sim::seconds(10)).0);
    assert!(did.frames().len() >= 2);
    for frame in did.frames() {
        assert!(!frame.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
    }
    assert!(!format!("{:?}", sim.step(Input::Close)).contains(TOKEN), "a frame does not print its bytes");
    assert!(!format!("{:?}", sim.engine).contains(TOKEN));
    let told = peer::accepted_with(&format!("{{\"token\":\"{TOKEN}\"}}"));
    assert_eq!(format!("{:?}", Input::Frame(&told)), format!("Frame({} bytes)", told.len()));
}
