//! Frames that no server should send: each costs at most itself.

use agora_chat::{
    ConnectionState, EventKind, Limits, LossCause, MessageBody,
    events::UnknownNotice,
    session::{Diagnostic, Input},
    wire::{self, CommSyncDl, DecodeError, MSync, Meta, msync::Command},
};
use bytes::Bytes;
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};

use crate::{
    peer::{self, last, notice, page, text, unread, user},
    sim::{Did, Sim, config, seconds},
};

fn limited(change: impl FnOnce(&mut Limits)) -> Sim {
    let mut limits = Limits::default();
    change(&mut limits);
    Sim::online_with(config().limits(limits))
}

/// Nothing but perhaps a note, the link stays, and what comes after it arrives.
fn survived(sim: &mut Sim, did: &Did) {
    assert!(did.events().is_empty() && did.kinds().is_empty() && !did.closed(), "{did:?}");
    assert_eq!(sim.engine.state(), ConnectionState::Online);
    let after = page(&user("after"), vec![text(1 << 50, "after")], 7);
    assert_eq!(sim.frame(&after).texts(), ["after"]);
}

/// A varint field numbered 1000 behind an encoded message.
fn with_unknown_field(bytes: &[u8]) -> Bytes {
    let mut longer = bytes.to_vec();
    encode_key(1000, WireType::Varint, &mut longer);
    encode_varint(u64::MAX, &mut longer);
    longer.into()
}

/// A page whose metas are given as bytes, decodable or not.
fn raw_page(metas: &[Bytes]) -> Bytes {
    let head = CommSyncDl { queue: Some(user("bob")), next_key: Some(9), ..CommSyncDl::default() };
    let mut payload = head.encode_to_vec();
    for meta in metas {
        encode_key(4, WireType::LengthDelimited, &mut payload);
        encode_varint(meta.len() as u64, &mut payload);
        payload.extend_from_slice(meta);
    }
    let empty = MSync::from_server(Command::Sync, &CommSyncDl::default());
    MSync { payload: Some(payload.into()), ..empty }.to_bytes()
}

fn bytes(meta: &Meta) -> Bytes {
    meta.encode_to_vec().into()
}

fn unknown(did: &Did) -> &UnknownNotice {
    let EventKind::Unknown(notice) = did.event() else { panic!("{did:?}") };
    notice
}

#[test]
fn an_unknown_command_is_noted_and_dropped() {
    for command in [5, 99, -1, i32::MAX] {
        let mut sim = Sim::online();
        let frame = MSync { command: Some(command), ..MSync::default() };
        let did = sim.frame(&frame.to_bytes());
        assert!(matches!(did.notes()[..], [Diagnostic::Unexpected { .. }]), "{did:?}");
        survived(&mut sim, &did);
    }
}

#[test]
fn a_message_of_an_unknown_namespace_arrives_raw() {
    for namespace in [6, 7, 99, -1] {
        let meta = Meta { ns: Some(namespace), ..text(1, "x") };
        let payload = meta.payload.clone().unwrap();
        let did = Sim::online().frame(&page(&user("bob"), vec![meta], 4));
        assert_eq!((unknown(&did).namespace, &unknown(&did).payload), (namespace, &payload));
    }
}

#[test]
fn unknown_enum_numbers_are_kept_and_break_nothing() {
    let plain = text(1, "x");
    let mut odd = wire::MessageBody::decode(plain.payload.clone().unwrap()).unwrap();
    odd.contents[0].r#type = Some(4242);
    let content = Meta { payload: Some(wire::encode(&odd)), ..plain.clone() };
    odd.contents[0].r#type = Some(0);
    odd.r#type = Some(-7);
    let chat = Meta { payload: Some(wire::encode(&odd)), ..text(2, "") };
    let did = Sim::online().frame(&page(&user("bob"), vec![content.clone()], 4));
    let EventKind::Message(message) = did.event() else { panic!("{did:?}") };
    let payload = content.payload.unwrap();
    assert_eq!(message.body, MessageBody::Raw { namespace: 1, payload }, "a message of an unknown content");
    let did = Sim::online().frame(&page(&user("bob"), vec![chat.clone()], 4));
    assert_eq!(unknown(&did).payload, chat.payload.unwrap());
    let routed = Meta { routetype: Some(77), ..plain };
    assert_eq!(Sim::online().frame(&page(&user("bob"), vec![routed], 4)).texts(), ["x"]);

    let mut sim = Sim::online();
    let did = sim.frame(&peer::sync(CommSyncDl { status: Some(peer::status(4242, None)), ..CommSyncDl::default() }));
    assert_eq!(did.notes(), [&Diagnostic::PageStatus { status: 4242 }]);
    survived(&mut sim, &did);
}

#[test]
fn unknown_fields_are_skipped_wherever_they_stand() {
    let metas = vec![with_unknown_field(&bytes(&text(1, "x")))];
    let inside = raw_page(&metas);
    let mut frame = MSync::decode_frame(inside.clone(), 1 << 20).unwrap();
    frame.payload = frame.payload.map(|payload| with_unknown_field(&payload));
    for frame in [inside, frame.to_bytes(), with_unknown_field(&frame.to_bytes())] {
        let did = Sim::online().frame(&frame);
        assert_eq!((did.texts(), did.notes().len()), (vec!["x"], 0));
    }
}

#[test]
fn a_page_without_a_queue_delivers_what_it_holds_a_kick_included() {
    let bare = |metas| peer::sync(CommSyncDl { metas, is_last: Some(true), ..CommSyncDl::default() });
    let mut sim = Sim::online();
    let did = sim.frame(&bare(vec![text(1, "x")]));
    assert_eq!((did.texts(), did.kinds().len()), (vec!["x"], 0));
    assert!(sim.frame(&bare(vec![peer::statistics(Some(1), 2, None)])).closed());
    let mut sim = Sim::online();
    let did = sim.frame(&MSync::from_server(Command::Notice, &wire::CommNotice { queue: None }).to_bytes());
    survived(&mut sim, &did);
}

#[test]
fn a_last_page_with_messages_is_delivered_and_does_not_make_a_circle_with_or_without_a_key() {
    for next_key in [None, Some(0), Some(5)] {
        let (mut sim, bob) = (Sim::online(), user("bob"));
        let frame = peer::sync(CommSyncDl {
            queue: Some(bob.clone()),
            metas: vec![text(1, "a"), text(2, "b")],
            is_last: Some(true),
            next_key,
            ..CommSyncDl::default()
        });
        sim.frame(&notice(&bob));
        let did = sim.frame(&frame);
        assert_eq!(did.texts(), ["a", "b"]);
        assert_eq!(did.pulls().len(), usize::from(next_key == Some(5)), "only a key can be acknowledged");
        for _ in 0..3 {
            assert!(sim.frame(&frame).0.is_empty());
        }
    }
}

#[test]
fn a_page_that_is_not_the_last_and_has_no_key_ends_its_queue_until_it_is_announced_again() {
    for next_key in [None, Some(0)] {
        let (mut sim, bob) = (Sim::online(), user("bob"));
        let frame = |id| {
            let metas = vec![text(id, "x")];
            peer::sync(CommSyncDl {
                queue: Some(bob.clone()),
                metas,
                is_last: Some(false),
                next_key,
                ..CommSyncDl::default()
            })
        };
        sim.frame(&notice(&bob));
        let did = sim.frame(&frame(1));
        assert_eq!((did.texts().len(), did.pulls().len()), (1, 0));
        assert_eq!(sim.frame(&notice(&bob)).pulls(), [("bob".to_owned(), None)]);
    }
}

#[test]
fn repeated_ids_are_delivered_once_within_a_page_too() {
    let metas = vec![text(1, "a"), text(1, "b"), text(2, "c"), text(1, "d")];
    assert_eq!(Sim::online().frame(&page(&user("bob"), metas, 4)).texts(), ["a", "c"]);
}

#[test]
fn messages_of_id_0_are_all_delivered() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    let absent = Meta { id: None, ..text(0, "c") };
    let metas = vec![text(0, "a"), text(0, "b"), absent];
    assert_eq!(sim.frame(&page(&bob, metas, 4)).texts(), ["a", "b", "c"]);
    assert_eq!(sim.frame(&page(&bob, vec![text(0, "a")], 5)).texts(), ["a"]);
}

#[test]
fn a_key_that_goes_backwards_is_followed_while_it_brings_something_new_and_not_in_a_circle() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    sim.frame(&notice(&bob));
    assert_eq!(sim.frame(&page(&bob, vec![text(1, "a")], 9)).pulls()[0].1, Some(9));
    let back = page(&bob, vec![text(2, "b")], 4);
    let did = sim.frame(&back);
    assert_eq!((did.texts(), did.pulls()[0].1), (vec!["b"], Some(4)));
    assert!(sim.frame(&back).0.is_empty(), "the same page again ends it");
    // A server that goes round and round with what was seen.
    sim.frame(&notice(&bob));
    let mut pulls = 0;
    for key in [9, 4].into_iter().cycle().take(1_000) {
        pulls += sim.frame(&page(&bob, vec![text(1, "a")], key)).pulls().len();
    }
    assert!(pulls <= 2, "{pulls} pulls for 1 000 pages");
}

#[test]
fn of_a_batch_whose_third_message_does_not_decode_the_others_arrive_and_are_acknowledged() {
    for broken in [&b"\xff\xff\xff"[..], b"\x0a\x05ab", b"\x00", b"\x12\x02\x0a\x7f"] {
        let meta = |id: u64, name: &str| bytes(&text(id, name));
        let metas = [meta(1, "a"), meta(2, "b"), Bytes::copy_from_slice(broken), meta(4, "d"), meta(5, "e")];
        let mut sim = Sim::online();
        let did = sim.frame(&raw_page(&metas));
        assert_eq!(did.texts(), ["a", "b", "d", "e"]);
        assert_eq!(did.notes(), [&Diagnostic::BrokenMetas { count: 1 }]);
        let told = did.events().into_iter().filter_map(|event| match event {
            EventKind::Unknown(told) => Some((told.undecoded, &told.payload[..], told.id, &*told.from)),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), [(true, broken, 0, "")], "as it came");
        assert_eq!(did.pulls(), [("bob".to_owned(), Some(9))]);
        assert_eq!(sim.engine.state(), ConnectionState::Online);
    }
}

#[test]
fn a_message_that_does_not_decode_is_handed_on_as_it_came_also_where_its_page_is_no_plain_one() {
    let metas = [bytes(&text(1, "a")), Bytes::from_static(b"\xff\xff"), bytes(&text(3, "c"))];
    let plain = raw_page(&metas);
    // A status with a text is left to the full decoder.
    let payload = MSync::decode(plain.clone()).unwrap().payload.unwrap();
    let status = CommSyncDl { status: Some(peer::status(0, Some("ok"))), ..CommSyncDl::default() };
    let payload = [&payload[..], &status.encode_to_vec()].concat();
    let other = MSync { payload: Some(payload.into()), ..MSync::decode(plain.clone()).unwrap() }.to_bytes();
    for (frame, place) in [(plain, 1), (other, 2)] {
        let mut sim = Sim::online();
        let did = sim.frame(&frame);
        assert_eq!((did.events().len(), did.notes()), (3, vec![&Diagnostic::BrokenMetas { count: 1 }]));
        let EventKind::Unknown(told) = did.events()[place] else { panic!("{did:?}") };
        assert_eq!((told.undecoded, &told.payload[..]), (true, &b"\xff\xff"[..]));
        assert_eq!(did.pulls(), [("bob".to_owned(), Some(9))]);
        assert!(sim.frame(&frame).events().is_empty(), "told once, however often it comes");
    }
}

#[test]
fn a_page_of_nothing_but_what_does_not_decode_is_acknowledged_and_ends() {
    let mut sim = Sim::online();
    let frame = raw_page(&[Bytes::from_static(b"\xff\xff"), Bytes::from_static(b"\x00")]);
    let did = sim.frame(&frame);
    assert_eq!((did.events().len(), did.pulls()), (2, vec![("bob".to_owned(), Some(9))]));
    assert!(sim.frame(&frame).pulls().is_empty());
}

#[test]
fn a_compressed_payload_is_noted_and_dropped() {
    let mut sim = Sim::online();
    let plain = MSync::from_server(Command::Sync, &CommSyncDl { metas: vec![text(1, "x")], ..CommSyncDl::default() });
    let did = sim.frame(&MSync { compress_algorimth: Some(1), ..plain.clone() }.to_bytes());
    assert!(
        matches!(did.notes()[..], [Diagnostic::Undecodable { error: DecodeError::Compressed { .. }, .. }]),
        "{did:?}"
    );
    survived(&mut sim, &did);
    let did = sim.frame(&MSync { compress_algorimth: Some(0), ..plain }.to_bytes());
    assert_eq!(did.texts(), ["x"], "0 says that it is not");
}

#[test]
fn a_page_over_the_batch_limit_ends_the_link_with_a_typed_reason_and_delivers_nothing() {
    let metas = |n: u64| (1..=n).map(|id| text(id, "x")).collect();
    let mut sim = limited(|limits| limits.page_messages = 3);
    assert_eq!(sim.frame(&page(&user("bob"), metas(3), 4)).texts().len(), 3);
    let did = sim.frame(&page(&user("carol"), metas(4), 4));
    assert!(matches!(did.reconnecting().2, LossCause::Protocol(detail) if detail.contains("limit of 3")), "{did:?}");
    assert!(did.texts().is_empty());
}

#[test]
fn a_frame_over_the_limit_is_not_decoded() {
    let mut sim = limited(|limits| limits.frame = 1024);
    let did = sim.frame(&page(&user("bob"), vec![text(1, &"x".repeat(2000))], 4));
    assert!(
        matches!(did.notes()[..], [Diagnostic::Undecodable { error: DecodeError::TooLarge { .. }, .. }]),
        "{did:?}"
    );
}

#[test]
fn queues_over_the_limit_of_pulls_wait_for_their_turn_and_each_has_it() {
    let mut sim = limited(|limits| limits.pulls = 3);
    let queues: Vec<_> = (0..10).map(|n| user(&n.to_string())).collect();
    let mut pulling: Vec<String> = sim.frame(&unread(&queues)).pulls().into_iter().map(|(name, _)| name).collect();
    assert_eq!(pulling, ["0", "1", "2"]);
    let mut pulled = Vec::new();
    while !pulling.is_empty() {
        assert!(pulling.len() <= 3);
        let name = pulling.remove(0);
        pulling.extend(sim.frame(&last(&user(&name))).pulls().into_iter().map(|(name, _)| name));
        pulled.push(name);
    }
    assert_eq!(pulled, (0..10).map(|n| n.to_string()).collect::<Vec<_>>(), "in the order they were announced");
}

#[test]
fn pulls_that_are_never_answered_keep_their_places_until_the_link_goes_with_them() {
    let mut sim = limited(|limits| limits.pulls = 2);
    let queues: Vec<_> = (0..4).map(|n| user(&n.to_string())).collect();
    let names = |did: &Did| did.pulls().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&sim.frame(&unread(&queues))), ["0", "1"]);
    assert_eq!(names(&sim.run(seconds(30))), ["0", "1"], "once more");
    assert!(names(&sim.frame(&unread(&queues))).is_empty());
    assert_eq!(sim.run(seconds(30)).reconnecting().2, &LossCause::PullUnanswered);
    sim.due();
    sim.accept();
    assert_eq!(names(&sim.frame(&unread(&queues))), ["2", "3"], "on the new link the others come first");
}

#[test]
fn ids_are_remembered_by_number() {
    let (mut sim, bob) = (limited(|limits| limits.remembered_ids = 3), user("bob"));
    let metas = |ids: std::ops::Range<u64>| ids.map(|id| text(id, "x")).collect();
    assert_eq!(sim.frame(&page(&bob, metas(1..5), 4)).texts().len(), 4);
    assert_eq!(sim.frame(&page(&bob, metas(2..5), 5)).texts().len(), 0);
    assert_eq!(sim.frame(&page(&bob, metas(1..2), 6)).texts().len(), 1, "the oldest of four is forgotten");
}

#[test]
fn ids_are_remembered_by_time() {
    let (mut sim, bob) = (limited(|limits| limits.remembered_for = seconds(100)), user("bob"));
    let again = page(&bob, vec![text(1, "x")], 4);
    assert_eq!(sim.frame(&again).texts().len(), 1);
    sim.pass(seconds(100));
    sim.step(Input::Alive);
    assert_eq!(sim.frame(&again).texts().len(), 0);
    sim.pass(seconds(1));
    assert_eq!(sim.frame(&again).texts().len(), 1);
}
