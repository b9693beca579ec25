//! The name of this device is what the service gives it in the answer to PROVISION (connection spec §6.2).

use agora_chat::{
    EventKind,
    session::{Diagnostic, Input},
    wire::{Jid, MSync, MessageBody, Meta, Upward, encode, message_body, meta::NameSpace},
};

use crate::{
    peer,
    sim::{APP, Did, RESOURCE, Sim, TOKEN, by_token, config},
};

/// Logged in, and named so by the answer.
fn named(resource: Option<&str>) -> (Sim, Did) {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    let did = sim.frame(&peer::accepted_as(resource));
    sim.frame(&peer::unread(&[]));
    (sim, did)
}

/// The names of this device in the PROVISION or LOGOUT that was sent.
fn told(did: &Did) -> Vec<String> {
    let mut told = Vec::new();
    for bytes in did.frames() {
        let frame = MSync::decode_frame(bytes.clone(), 1 << 20).unwrap();
        let guid = frame.guid.as_ref().and_then(|guid| guid.client_resource.clone());
        match frame.upward().unwrap() {
            Upward::Provision(up) => told.extend([guid.unwrap_or_default(), up.resource.unwrap_or_default()]),
            Upward::Logout(_) => told.extend(guid),
            _ => {}
        }
    }
    told
}

fn ignored(did: &Did) -> bool {
    did.notes().iter().any(|note| matches!(note, Diagnostic::ResourceIgnored { .. }))
}

#[test]
fn the_next_provision_and_the_logout_have_the_name_that_the_service_gave() {
    let (mut sim, did) = named(Some("of-the-service"));
    let taken = Diagnostic::ResourceTaken { from: RESOURCE.into(), to: "of-the-service".into() };
    assert_eq!(did.notes(), [&taken]);
    sim.redial();
    let did = sim.step(Input::Connected);
    assert_eq!(told(&did), ["of-the-service", "of-the-service"]);
    assert!(sim.frame(&peer::accepted_as(Some("of-the-service"))).notes().is_empty(), "nothing new");
    let logout = told(&sim.step(Input::Close));
    assert!(!logout.is_empty() && logout.iter().all(|name| name == "of-the-service"), "{logout:?}");
    // The next login is of the same device.
    sim.run_out();
    sim.step(by_token());
    assert_eq!(told(&sim.step(Input::Connected)), ["of-the-service", "of-the-service"]);
}

#[test]
fn a_name_that_repeats_a_secret_is_not_shown() {
    let (_, did) = named(Some(TOKEN));
    let [Diagnostic::ResourceTaken { to, .. }] = did.notes()[..] else { panic!("{did:?}") };
    assert!(!to.contains(TOKEN), "{to}");
}

#[test]
fn what_this_device_did_is_told_by_the_name_that_the_service_gave() {
    let echo = |id, device: &str| {
        let body = MessageBody {
            r#type: Some(message_body::Type::Chatroom as i32),
            from: Some(Jid { name: Some("alice".to_owned()), ..Jid::default() }),
            contents: vec![agora_chat::wire::Content::default()],
            ..MessageBody::default()
        };
        Meta {
            id: Some(id),
            from: Some(peer::user("alice").with_resource(device)),
            to: Some(Jid::group(APP, "9003")),
            ns: Some(NameSpace::Chat as i32),
            payload: Some(encode(&body)),
            ..Meta::default()
        }
    };
    let page = |meta| peer::page(&Jid::group(APP, "9003"), vec![meta], 4);
    let (mut sim, _) = named(Some("of-the-service"));
    assert!(sim.frame(&page(echo(1, "of-the-service"))).events().is_empty(), "its own");
    let did = sim.frame(&page(echo(2, RESOURCE)));
    let EventKind::Message(other) = did.event() else { panic!("{did:?}") };
    assert_eq!((other.own, other.extras().from_device.as_deref()), (true, Some(RESOURCE)), "that of another device");
}

#[test]
fn a_name_that_no_device_can_have_is_ignored_with_one_note_and_none_is_none() {
    let long = "x".repeat(129);
    let huge = "x".repeat(3 << 20);
    for absurd in [&*long, &huge, "a b", "a/b", "a@b", "a\r\nb", "\u{1b}[2J", ".", "..", "\u{2028}"] {
        let (mut sim, did) = named(Some(absurd));
        assert!(ignored(&did), "{absurd:.9}");
        assert!(format!("{:?}", did.notes()).len() < 200, "it is not repeated");
        for _ in 0..3 {
            sim.redial();
            assert_eq!(told(&sim.step(Input::Connected)), [RESOURCE, RESOURCE]);
            assert!(sim.frame(&peer::accepted_as(Some(absurd))).notes().is_empty(), "told once");
        }
    }
    for nothing in [None, Some(""), Some(RESOURCE)] {
        let (mut sim, did) = named(nothing);
        assert!(did.notes().is_empty(), "{nothing:?}");
        sim.redial();
        assert_eq!(told(&sim.step(Input::Connected)), [RESOURCE, RESOURCE]);
    }
}
