//! Automatic delivery receipts (messages spec §3).

use agora_chat::{
    ConfigBuilder, ConnectionState, EventMask, LossCause,
    session::{Diagnostic, Input},
    wire::{self, Body, Content, Jid, MessageBody, Meta, Upward, content::ContentType, message_body, meta::NameSpace},
};

use crate::{
    peer,
    sim::{Did, Sim, config, hello, pending_sends, seconds},
};

fn on() -> ConfigBuilder {
    config().delivery_receipts(true)
}

/// The receipts that went out: to whom, and for what.
fn receipts(did: &Did) -> Vec<(String, u64)> {
    let receipts = did.sent().into_iter().filter_map(|frame| {
        let Upward::Sync(sync) = frame else { return None };
        let meta = sync.meta?;
        let Ok(Body::Chat(body)) = meta.body() else { return None };
        let is_receipt = body.r#type == Some(message_body::Type::DeliverAck as i32);
        is_receipt.then(|| (meta.to.unwrap().name().to_owned(), body.ack_message_id.unwrap()))
    });
    receipts.collect()
}

fn client_ids(did: &Did) -> Vec<u64> {
    let metas = did.sent().into_iter().filter_map(|frame| match frame {
        Upward::Sync(sync) => sync.meta.map(|meta| meta.id()),
        _ => None,
    });
    metas.collect()
}

fn page(metas: Vec<Meta>) -> bytes::Bytes {
    peer::page(&peer::user("bob"), metas, 4)
}

/// A text from bob, changed.
fn changed(id: u64, change: impl FnOnce(&mut MessageBody)) -> Meta {
    let meta = peer::text(id, "hi");
    let Ok(Body::Chat(mut body)) = meta.body() else { panic!() };
    change(&mut body);
    Meta { payload: Some(wire::encode(&*body)), ..meta }
}

fn content(kind: ContentType) -> Vec<Content> {
    vec![Content { r#type: Some(kind as i32), ..Content::default() }]
}

#[test]
fn none_is_sent_unless_asked_for() {
    let mut sim = Sim::online();
    assert!(receipts(&sim.frame(&page(vec![peer::text(1, "x")]))).is_empty());
}

#[test]
fn every_message_between_two_users_has_one_commands_included_and_a_repetition_none() {
    let mut sim = Sim::online_with(on());
    let metas = vec![
        peer::text(1, "x"),
        changed(2, |body| body.contents = content(ContentType::Command)),
        changed(3, |body| body.contents = content(ContentType::Image)),
        changed(4, |body| body.contents[0].r#type = Some(99)),
        peer::text(1, "x"),
    ];
    let did = sim.frame(&page(metas));
    let bob = |id| ("bob".to_owned(), id);
    assert_eq!(receipts(&did), [bob(1), bob(2), bob(3), bob(4)]);
    assert!(receipts(&sim.frame(&page(vec![peer::text(2, "x")]))).is_empty());
}

#[test]
fn a_message_that_nobody_wants_to_hear_has_one_all_the_same() {
    let mut sim = Sim::online_with(on());
    sim.engine.set_wanted(EventMask::CONNECTED);
    assert_eq!(receipts(&sim.frame(&page(vec![peer::text(1, "x")]))).len(), 1);
}

#[test]
fn groups_rooms_receipts_recalls_edits_streams_own_messages_and_what_is_no_message_have_none() {
    use message_body::Type;
    let kind = |id, kind: Type| changed(id, |body| body.r#type = Some(kind as i32));
    let named = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
    let metas = vec![
        kind(1, Type::Groupchat),
        kind(2, Type::Chatroom),
        kind(3, Type::ReadAck),
        kind(4, Type::DeliverAck),
        kind(5, Type::Recall),
        kind(6, Type::ChannelAck),
        kind(7, Type::Edit),
        kind(8, Type::Normal),
        Meta { from: Some(peer::user("alice")), ..changed(9, |body| body.from = named("alice")) },
        changed(10, |body| body.contents.clear()),
        changed(11, |body| body.contents[0].sub_type = Some(10)),
        changed(12, |body| body.stream = Some(message_body::Stream::default())),
        Meta { id: None, ..peer::text(13, "x") },
        Meta { ns: Some(NameSpace::Notify as i32), ..peer::text(14, "x") },
        Meta { payload: Some(bytes::Bytes::from_static(b"\xff\xff")), ..peer::text(15, "x") },
    ];
    let did = Sim::online_with(on()).frame(&page(metas));
    assert!(receipts(&did).is_empty(), "{:?}", receipts(&did));
}

#[test]
fn whatever_comes_of_one_disturbs_nobody() {
    let mut sim = Sim::online_with(on());
    for status in [0, 1] {
        let id = client_ids(&sim.frame(&page(vec![peer::text(u64::from(status == 0) + 1, "x")])))[0];
        assert!(sim.frame(&peer::answer(id, status, Some("blocked"))).0.is_empty());
        assert_eq!(sim.engine.pending_sends(), 0);
    }
    sim.frame(&page(vec![peer::text(7, "x")]));
    assert!(sim.lose().outcomes().is_empty(), "nobody waits for it");
}

#[test]
fn those_that_are_not_answered_cost_no_link_and_are_noted_at_once_and_then_when_the_link_ends() {
    let mut sim = Sim::online_with(on());
    sim.frame(&page(vec![peer::text(1, "x"), peer::text(2, "x")]));
    let did = sim.run(seconds(15));
    assert_eq!(did.notes(), [&Diagnostic::ReceiptsUnanswered { count: 2 }]);
    assert!(did.outcomes().is_empty() && did.events().is_empty());
    assert_eq!((sim.engine.state(), sim.engine.pending_sends()), (ConnectionState::Online, 0));
    for id in 3..6 {
        sim.frame(&page(vec![peer::text(id, "x")]));
        assert!(sim.run(seconds(15)).notes().is_empty(), "it was said");
        sim.frame(&peer::unread(&[]));
    }
    assert_eq!(sim.lose().notes(), [&Diagnostic::ReceiptsUnanswered { count: 3 }]);
}

#[test]
fn the_places_of_receipts_that_are_not_answered_go_to_those_that_wait() {
    let mut sim = Sim::online_with(on().limits(pending_sends(4)));
    assert_eq!(receipts(&sim.frame(&page((1..=5).map(|id| peer::text(id, "x")).collect()))).len(), 2);
    assert_eq!(receipts(&sim.run(seconds(15))).len(), 2);
}

#[test]
fn a_message_that_is_not_answered_beside_them_still_costs_the_link() {
    let mut sim = Sim::online_with(on());
    sim.frame(&page(vec![peer::text(1, "x")]));
    sim.step(hello(1));
    let did = sim.run(seconds(15));
    assert_eq!(did.reconnecting().2, &LossCause::SendUnanswered);
    assert_eq!(did.outcomes().len(), 1);
}

#[test]
fn they_take_at_most_half_the_places_of_sends_and_the_rest_goes_out_in_order_as_answers_come() {
    let mut sim = Sim::online_with(on().limits(pending_sends(4)));
    let bob = |id| ("bob".to_owned(), id);
    let did = sim.frame(&page((1..=5).map(|id| peer::text(id, "x")).collect()));
    assert_eq!(receipts(&did), [bob(1), bob(2)]);
    let ids = client_ids(&did);
    for id in [1, 2] {
        assert_eq!(sim.step(hello(id)).kinds(), ["send"], "half the places are the application's");
    }
    // A later one does not go past those that wait.
    assert!(receipts(&sim.frame(&page(vec![peer::text(6, "x")]))).is_empty());
    assert!(receipts(&sim.frame(&peer::answer(1, 0, None))).is_empty(), "that place is not theirs");
    let did = sim.frame(&peer::answer(ids[0], 0, None));
    assert_eq!(receipts(&did), [bob(3)]);
    let next = client_ids(&did)[0];
    assert_eq!(receipts(&sim.frame(&peer::answer(next, 1, Some("blocked")))), [bob(4)]);
    assert!(sim.engine.pending_sends() <= 4);
    assert!(sim.lose().notes().is_empty(), "nothing was left out");
    sim.due();
    assert_eq!(receipts(&sim.accept()), [bob(5), bob(6)]);
}

#[test]
fn where_all_places_are_the_applications_a_receipt_waits_for_one() {
    let mut sim = Sim::online_with(on().limits(pending_sends(2)));
    for id in [1, 2] {
        sim.step(hello(id));
    }
    assert!(receipts(&sim.frame(&page(vec![peer::text(1, "x")]))).is_empty());
    assert_eq!(receipts(&sim.frame(&peer::answer(1, 0, None))).len(), 1);
}

#[test]
fn past_1024_that_wait_they_are_left_out_and_counted_when_the_link_ends() {
    let mut sim = Sim::online_with(on().limits(pending_sends(1)));
    assert_eq!(receipts(&sim.frame(&page((1..=1030).map(|id| peer::text(id, "x")).collect()))).len(), 1);
    assert_eq!(sim.lose().notes(), [&Diagnostic::ReceiptsLeftOut { count: 5 }]);
    // With the session goes what waits.
    assert_eq!(sim.step(Input::Close).notes(), [&Diagnostic::ReceiptsLeftOut { count: 1024 }]);
}

#[test]
fn a_name_that_no_user_can_have_is_not_told() {
    let mut sim = Sim::online_with(on());
    for (id, length, sent) in [(1, 64, 1), (2, 65, 0)] {
        let from = Some(Jid { name: Some("b".repeat(length)), ..Jid::default() });
        let did = sim.frame(&page(vec![Meta { from: from.clone(), ..changed(id, |body| body.from = from) }]));
        assert_eq!(receipts(&did).len(), sent);
    }
}
