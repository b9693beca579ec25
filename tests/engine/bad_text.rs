//! Texts that are not UTF-8: numbers decide, texts are read as far as they can be, and nothing goes unoffered.

use agora_chat::{
    Code, DisconnectReason, EventKind, EventMask, MessageBody, SendError,
    errors::Kick,
    events::ContactChange,
    messages::ExtValue,
    session::{Action, Diagnostic, Input, Page, PageEvent},
    wire::{
        self, Content, Jid, KeyValue, Meta, MucBody, RosterBody, Status,
        content::ContentType,
        key_value::{Value, ValueType},
        message_body::Stream,
        muc_body, roster_body,
    },
};
use bytes::Bytes;

use crate::{
    peer::{self, SPOIL, page, spoilt, text, user},
    sim::{Did, Sim, by_token, config, hello, seconds},
};

/// Half of an emoji, as the vendor's SDK writes it.
const HALF: [u8; 3] = [0xed, 0xa0, 0xbd];

/// Other bytes that are no text.
const NO_TEXTS: [[u8; 3]; 5] = [HALF, [0xff, 0xff, 0xff], [0xed, 0xb8, 0x80], [0xc3, 0x28, 0xe2], [0xf8, 0x80, 0x80]];

fn handling() -> Sim {
    let mut sim = Sim::new(config());
    sim.engine.set_handled(EventMask::MESSAGE);
    sim.step(by_token());
    sim.accept();
    sim.frame(&peer::unread(&[]));
    sim
}

fn pages(did: &Did) -> Vec<&Page> {
    did.0.iter().filter_map(|action| if let Action::Deliver(page) = action { Some(page) } else { None }).collect()
}

fn offered(did: &Did) -> Vec<&EventKind> {
    pages(did).into_iter().flat_map(|page| &page.events).map(|PageEvent { event, .. }| event.kind()).collect()
}

fn chat(id: u64, change: impl FnOnce(&mut wire::MessageBody)) -> Meta {
    let plain = text(id, "");
    let mut body: wire::MessageBody = prost::Message::decode(plain.payload.clone().unwrap()).unwrap();
    change(&mut body);
    Meta { payload: Some(wire::encode(&body)), ..plain }
}

fn content(id: u64, content: Content) -> Meta {
    chat(id, |body| body.contents = vec![content])
}

fn attribute(kind: ValueType, value: &str) -> KeyValue {
    let value = Some(Value::String(value.to_owned()));
    KeyValue { key: Some(format!("k{SPOIL}")), r#type: Some(kind as i32), value }
}

fn spoilt_page(metas: Vec<Meta>) -> Bytes {
    spoilt(&page(&user("bob"), metas, 9), HALF)
}

/// What one message of a page says.
fn read(meta: Meta) -> EventKind {
    let did = Sim::online().frame(&spoilt_page(vec![meta]));
    assert!(did.notes().is_empty(), "{did:?}");
    did.event().clone()
}

#[test]
fn half_an_emoji_in_a_message_costs_one_character_of_it() {
    for bytes in NO_TEXTS {
        let mut sim = Sim::online();
        let metas = vec![text(1, "before"), text(2, &format!("half {SPOIL}")), text(3, "after")];
        let did = sim.frame(&spoilt(&page(&user("bob"), metas, 9), bytes));
        assert_eq!(did.texts().len(), 3, "{did:?}");
        assert!(did.texts()[1].starts_with("half ") && did.texts()[1].contains('\u{fffd}'), "{did:?}");
        assert_eq!((did.texts()[0], did.texts()[2]), ("before", "after"));
        assert_eq!(did.pulls(), [("bob".to_owned(), Some(9))]);
    }
    let did = Sim::online().frame(&spoilt_page(vec![text(2, &format!("half {SPOIL}"))]));
    assert_eq!(did.texts(), ["half \u{fffd}"]);
}

#[test]
fn two_halves_that_were_encoded_apart_are_the_emoji_they_make() {
    let mut whole = spoilt(&page(&user("bob"), vec![text(1, "%%%$$$")], 9), HALF).to_vec();
    let at = whole.windows(3).position(|three| three == b"$$$").unwrap();
    whole[at..at + 3].copy_from_slice(&[0xed, 0xb8, 0x80]);
    assert_eq!(Sim::online().frame(&whole).texts(), ["\u{1f600}"]);
}

#[test]
fn every_text_of_every_kind_of_message_may_be_broken() {
    let bad = || Some(format!("x{SPOIL}"));
    let ext = chat(1, |body| {
        body.contents[0].text = Some("t".to_owned());
        body.ext = vec![attribute(ValueType::JsonString, "{\"a\":\"%%%\"}")];
    });
    let EventKind::Message(message) = read(ext) else { panic!("no message") };
    let json = serde_json::json!({"a": "\u{fffd}"});
    assert_eq!(message.ext.get("k\u{fffd}"), Some(&ExtValue::Json(json.into())));

    let escaped = chat(1, |body| {
        body.contents[0].text = Some("t".to_owned());
        body.ext = vec![attribute(ValueType::JsonString, r#"["\ud83d"]"#)];
    });
    let EventKind::Message(message) = read(escaped) else { panic!("no message") };
    assert_eq!(message.ext.get("k\u{fffd}"), Some(&ExtValue::Json(serde_json::json!(["\u{fffd}"]).into())));

    let command = Content { r#type: Some(ContentType::Command as i32), action: bad(), ..Content::default() };
    let EventKind::Message(message) = read(content(1, command)) else { panic!("no message") };
    assert_eq!(message.body, MessageBody::Command { action: "x\u{fffd}".to_owned() });

    let custom = Content {
        r#type: Some(ContentType::Custom as i32),
        custom_event: bad(),
        custom_exts: vec![attribute(ValueType::String, SPOIL)],
        params: vec![attribute(ValueType::String, SPOIL)],
        ..Content::default()
    };
    let EventKind::Message(message) = read(content(1, custom)) else { panic!("no message") };
    let MessageBody::Custom(custom) = message.body else { panic!("{message:?}") };
    assert_eq!(custom.event, "x\u{fffd}");
    assert_eq!(custom.values.get("k\u{fffd}"), Some(&ExtValue::Text("\u{fffd}".to_owned())));

    for kind in [ContentType::Image, ContentType::Video, ContentType::Voice, ContentType::File, ContentType::Combine] {
        let file = Content { r#type: Some(kind as i32), display_name: bad(), title: bad(), ..Content::default() };
        let EventKind::Message(_) = read(content(1, file)) else { panic!("{kind:?}") };
    }

    let named = |name: &str| Some(Jid::user("o#a", name).with_resource(SPOIL));
    let EventKind::Message(message) =
        read(Meta { from: named("x%%%"), to: named("alice"), ..chat(1, |body| body.from = None) })
    else {
        panic!("no message")
    };
    assert_eq!(&*message.from, "x\u{fffd}");
    let EventKind::Message(message) = read(chat(1, |body| body.meta = bad())) else { panic!("no message") };
    assert_eq!(message.id, 1);
}

#[test]
fn pieces_of_a_stream_whose_kind_is_no_text_are_not_taken_for_repetitions() {
    let piece = |place| {
        chat(7, |body| {
            body.contents[0].sub_type = Some(wire::content::SubType::SubStream as i32);
            let stream_type = Some(SPOIL.to_owned());
            body.stream = Some(Stream { stream_seq: Some(place), stream_type, ..Stream::default() });
        })
    };
    let did = Sim::online().frame(&spoilt_page(vec![piece(1), piece(2), piece(2), piece(3)]));
    assert_eq!(did.events().len(), 3, "{did:?}");
}

#[test]
fn a_kick_is_one_whatever_its_reason_holds() {
    for bytes in NO_TEXTS {
        let mut sim = Sim::online();
        let kick = peer::batch(vec![peer::statistics(Some(9), 2, Some("x%%%"))]);
        let did = sim.frame(&spoilt(&kick, bytes));
        let Some(DisconnectReason::Kicked(Kick::LoggedInElsewhere { ext })) = did.reason() else { panic!("{did:?}") };
        assert!(ext.as_ref().is_some_and(|ext| ext.starts_with("x\u{fffd}") || ext.contains('\u{fffd}')), "{ext:?}");
        assert!(did.closed());
    }
    // Neither a length beyond the end nor another wire type hides its number.
    for behind in [&[0x52, 0x7f][..], &[0x50, 0x01], &[0x0f]] {
        let payload = [&[0x08, 0x02], behind].concat();
        let broken = Meta { payload: Some(payload.into()), ..peer::statistics(Some(9), 2, None) };
        let did = Sim::online().frame(&peer::batch(vec![broken]));
        assert_eq!(did.reason(), Some(&DisconnectReason::Kicked(Kick::LoggedInElsewhere { ext: None })), "{did:?}");
    }
}

#[test]
fn a_refused_login_is_refused_for_its_number_whatever_its_reason_holds() {
    for bytes in NO_TEXTS {
        let mut sim = Sim::new(config());
        sim.step(by_token());
        sim.step(Input::Connected);
        let did = sim.frame(&spoilt(&peer::refused(7, Some("no %%%")), bytes));
        let strict = {
            let mut sim = Sim::new(config());
            sim.step(by_token());
            sim.step(Input::Connected);
            sim.frame(&peer::refused(7, Some("no"))).open_error().code()
        };
        assert_eq!(did.open_error().code(), strict);
    }
    // And one that is accepted is accepted.
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    assert_eq!(sim.frame(&spoilt(&peer::accepted_with("{\"a\":\"%%%\"}"), HALF)).opened(), Some(&Ok(())));
}

#[test]
fn the_end_of_a_token_is_read_from_json_with_half_an_emoji() {
    for told in [r#"{"expires_in":1700000600000,"x":"%%%"}"#, r#"{"expires_in":1700000600000,"x":"\ud83d"}"#] {
        let mut sim = Sim::new(config());
        sim.step(by_token());
        sim.step(Input::Connected);
        sim.frame(&spoilt(&peer::accepted_with(told), HALF));
        sim.frame(&peer::unread_at(sim.now.wall));
        assert!(sim.left() <= seconds(600));
        let mut told = Vec::new();
        for _ in 0..100 {
            told.extend(sim.due().events().into_iter().map(|event| event.mask()));
            if sim.place() == crate::ledger::Place::Online {
                sim.frame(&peer::unread(&[]));
            } else {
                break;
            }
        }
        assert!(told.contains(&EventMask::TOKEN_EXPIRED), "{told:?}");
    }
}

#[test]
fn a_send_is_answered_by_its_number_whatever_the_reason_holds() {
    for bytes in NO_TEXTS {
        let mut sim = Sim::online();
        sim.step(hello(1));
        sim.step(hello(2));
        let did = sim.frame(&spoilt(&peer::answer(1, 0, Some(SPOIL)), bytes));
        assert!(matches!(did.outcomes()[..], [(1, Ok(_))]), "{did:?}");
        let did = sim.frame(&spoilt(&peer::answer(2, 15, Some("muted %%%")), bytes));
        let [(2, Err(error))] = did.outcomes()[..] else { panic!("{did:?}") };
        assert_eq!(error.code(), Code::MUTED, "{error:?}");
        assert!(matches!(error, SendError::Refused { .. }) && error.to_string().contains('\u{fffd}'), "{error}");
    }
}

#[test]
fn events_of_contacts_groups_and_devices_are_read_whatever_their_texts_hold() {
    let bad = || Some(format!("x{SPOIL}"));
    let named = |name: &str| Some(Jid::user("o#a", name));
    let roster = RosterBody {
        operation: Some(roster_body::Operation::Add as i32),
        from: named("b%%%"),
        to: vec![Jid::user("o#a", "alice")],
        reason: bad(),
        roster_ver: bad(),
        status: Some(roster_body::Status { error_code: Some(0), description: bad() }),
        ..RosterBody::default()
    };
    // The server repeats the name as it is.
    let from = user("b%%%");
    let meta = |ns: i32, payload: Bytes| Meta {
        from: (ns != 5).then(|| from.clone()),
        ns: Some(ns),
        payload: Some(payload),
        ..text(4, "")
    };
    let EventKind::Contact(contact) = read(meta(3, wire::encode(&roster))) else { panic!("no contact") };
    assert_eq!((contact.change, &*contact.from), (ContactChange::Invited, "b\u{fffd}"));
    assert_eq!(contact.reason.as_deref(), Some("x\u{fffd}"));

    let muc = MucBody {
        muc_id: Some(Jid::group("o#a", "g")),
        operation: Some(muc_body::Operation::Kick as i32),
        from: named("b%%%"),
        to: vec![Jid::user("o#a", "alice")],
        reason: bad(),
        muc_name: bad(),
        members: vec![SPOIL.to_owned()],
        ext: bad(),
        event_info: Some(muc_body::EventInfo { ext: bad(), ..muc_body::EventInfo::default() }),
        ..MucBody::default()
    };
    let EventKind::Group(group) = read(meta(2, wire::encode(&muc))) else { panic!("no group") };
    assert_eq!((group.reason.as_deref(), group.name.as_deref()), (Some("x\u{fffd}"), Some("x\u{fffd}")));

    for text in ["%%%", r"\ud83d", "%%%\\ud83d\u{1}"] {
        let told =
            format!(r#"{{"type":"presence","data":{{"values":[{{"uid":"bob","ext":"{text}","last_time":7}}]}}}}"#);
        let EventKind::Presence(presence) = read(meta(5, told.into())) else { panic!("no presence") };
        assert_eq!((presence.users[0].user.as_str(), presence.users[0].last_seen), ("bob", 7));
    }
    let marked = [b"\xef\xbb\xbf".as_slice(), br#"{"type":"presence","data":{"values":[{"uid":"bob"}]}}"#].concat();
    assert!(matches!(read(meta(5, marked.into())), EventKind::Presence(_)));
}

#[test]
fn queues_announced_beside_a_broken_text_are_pulled() {
    let queues = [user("bob"), user("carol").with_resource("x%%%")];
    let did = Sim::online().frame(&spoilt(&peer::unread(&queues), HALF));
    assert_eq!(did.pulls().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["bob", "carol"]);
    let did = Sim::online().frame(&spoilt(&peer::notice(&user("carol").with_resource("x%%%")), HALF));
    assert_eq!(did.pulls(), [("carol".to_owned(), None)]);
    let answer = peer::sync(wire::CommSyncDl {
        status: Some(Status { reason: Some(SPOIL.to_owned()), ..peer::status(0, None) }),
        queue: Some(user("bob")),
        metas: vec![text(1, "x")],
        next_key: Some(3),
        ..wire::CommSyncDl::default()
    });
    let did = Sim::online().frame(&spoilt(&answer, HALF));
    assert_eq!((did.texts(), did.pulls()), (vec!["x"], vec![("bob".to_owned(), Some(3))]));
}

#[test]
fn the_message_handler_is_offered_what_cannot_be_read_as_it_came_before_it_is_acknowledged() {
    let undecodable = Bytes::from_static(&[0x0a, 0x7f]);
    let odd = |id, ns| Meta { ns: Some(ns), payload: Some(undecodable.clone()), ..text(id, "") };
    let unknown_kind = chat(6, |body| body.r#type = Some(77));
    let empty = chat(7, |body| body.contents.clear());
    // A chat message, a group's and a contact's event, a notification, a namespace nobody knows, an unknown kind, no content.
    for (meta, kept) in [
        (odd(1, 1), undecodable.clone()),
        (odd(2, 2), undecodable.clone()),
        (odd(3, 3), undecodable.clone()),
        (odd(4, 5), undecodable.clone()),
        (odd(5, 99), undecodable.clone()),
        (unknown_kind.clone(), unknown_kind.payload.clone().unwrap()),
        (empty.clone(), empty.payload.clone().unwrap()),
    ] {
        for wanted in [EventMask::ALL, EventMask::NONE] {
            let mut sim = handling();
            sim.engine.set_wanted(wanted);
            let did = sim.frame(&page(&user("bob"), vec![text(11, "a"), meta.clone(), text(12, "b")], 9));
            let [EventKind::Message(_), EventKind::Unknown(odd), EventKind::Message(_)] = offered(&did)[..] else {
                panic!("{meta:?}: {did:?}")
            };
            assert_eq!((odd.id, odd.namespace, &odd.payload), (meta.id.unwrap(), meta.ns.unwrap(), &kept));
            assert!(odd.unreadable && !odd.undecoded);
            assert!(matches!(did.notes()[..], [Diagnostic::BrokenMetas { count: 1 }]), "{did:?}");
            assert!(did.pulls().is_empty(), "not acknowledged yet");
            let page = pages(&did)[0].id;
            assert_eq!(sim.step(Input::Handled { page }).pulls(), [("bob".to_owned(), Some(9))]);
        }
    }
}

#[test]
fn a_whole_message_that_does_not_decode_is_offered_too() {
    let mut sim = handling();
    sim.engine.set_wanted(EventMask::NONE);
    let whole = page(&user("bob"), vec![text(1, "a"), Meta { id: Some(3), ..Meta::default() }], 9);
    let mut broken = whole.to_vec();
    let at = broken.windows(4).position(|bytes| bytes == [0x22, 0x02, 0x08, 0x03]).unwrap();
    broken[at + 2] = 0x0f;
    let did = sim.frame(&broken);
    let [EventKind::Message(_), EventKind::Unknown(odd)] = offered(&did)[..] else { panic!("{did:?}") };
    assert!(odd.undecoded && odd.unreadable);
    assert_eq!(odd.payload[..], [0x0f, 0x03]);
    assert!(did.pulls().is_empty());
}

#[test]
fn what_is_read_and_merely_not_known_is_for_those_who_ask_for_it() {
    let mut sim = handling();
    let told = |ns: i32, payload: &'static [u8]| Meta {
        ns: Some(ns),
        payload: Some(Bytes::from_static(payload)),
        ..text(u64::from(ns.unsigned_abs()), "")
    };
    let metas = vec![told(5, br#"{"type":"something new","x":"\ud83d"}"#), told(4, b"\x10\x01"), told(2, b"\x10\x63")];
    let did = sim.frame(&page(&user("bob"), metas, 9));
    assert!(offered(&did).is_empty(), "{did:?}");
    assert!(did.notes().is_empty());
}
