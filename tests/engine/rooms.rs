//! Chat rooms over the socket (messages spec §1.10, §4.2).

use agora_chat::{
    Code, ConfigBuilder, ConnectionState, EventKind, EventMask, LossCause, Reconnect, SendError, Sent,
    messages::{RoomInfo, RoomRequest},
    session::{Diagnostic, Input},
    wire::{self, Body, CommSyncDl, Jid, Meta, MucBody, Upward, meta::NameSpace, muc_body},
};
use bytes::Bytes;

use crate::{
    peer,
    sim::{APP, Did, Sim, by_token, config, hello, millis, pending_sends, seconds},
};

fn join(client_id: u64, room: &str) -> Input<'static> {
    Input::Room { client_id, request: RoomRequest::join(room.to_owned()).unwrap() }
}

fn leave(client_id: u64, room: &str) -> Input<'static> {
    Input::Room { client_id, request: RoomRequest::leave(room.to_owned()).unwrap() }
}

/// The rooms asked for, as their names, whether to be joined, and the client ids.
fn asked(did: &Did) -> Vec<(String, bool, u64)> {
    let asked = did.sent().into_iter().filter_map(|frame| {
        let Upward::Sync(sync) = frame else { return None };
        let meta = sync.meta?;
        let Ok(Body::Muc(body)) = meta.body() else { return None };
        let joins = body.operation == Some(muc_body::Operation::Join as i32);
        Some((body.muc_id.unwrap().name().to_owned(), joins, meta.id()))
    });
    asked.collect()
}

fn names(did: &Did) -> Vec<String> {
    asked(did).into_iter().map(|(room, ..)| room).collect()
}

fn only(did: &Did) -> (u64, &Result<Sent, SendError>) {
    let outcomes = did.outcomes();
    assert_eq!(outcomes.len(), 1, "{did:?}");
    outcomes[0]
}

fn joined(client_id: u64, told: &str) -> Bytes {
    let status = muc_body::Status { chatroom_info: Some(told.to_owned()), ..muc_body::Status::default() };
    let body = MucBody { status: Some(status), ..MucBody::default() };
    let meta = Meta { ns: Some(NameSpace::Muc as i32), payload: Some(wire::encode(&body)), ..Meta::default() };
    peer::sync(CommSyncDl { meta_id: Some(client_id), metas: vec![meta], ..CommSyncDl::default() })
}

/// Online, and in these rooms.
fn in_rooms(config: ConfigBuilder, rooms: impl IntoIterator<Item = impl ToString>) -> Sim {
    let mut sim = Sim::online_with(config);
    for (at, room) in rooms.into_iter().enumerate() {
        let id = at as u64 + 1;
        sim.step(join(id, &room.to_string()));
        assert!(only(&sim.frame(&peer::answer(id, 0, None))).1.is_ok());
    }
    sim
}

/// Loses the link and comes back.
fn back(sim: &mut Sim) -> Did {
    sim.lose();
    sim.due();
    sim.accept()
}

#[test]
fn joining_a_room_is_answered_with_what_the_service_says_of_it() {
    let mut sim = Sim::online();
    let did = sim.step(join(1, "r"));
    assert_eq!(asked(&did), [("r".to_owned(), true, 1)]);
    let did = sim.frame(&joined(1, r#"{"alice":{"member_count":3,"is_all_mute":true}}"#));
    let (1, Ok(sent)) = only(&did) else { panic!("{did:?}") };
    let mut info = RoomInfo::default();
    (info.member_count, info.all_muted) = (Some(3), true);
    assert_eq!(sent.room.as_deref(), Some(&info));
    let did = sim.step(leave(2, "r"));
    assert_eq!(asked(&did), [("r".to_owned(), false, 2)]);
    assert!(only(&sim.frame(&peer::answer(2, 0, None))).1.is_ok());
}

#[test]
fn a_refused_join_has_its_code_and_the_room_is_not_joined_on_the_next_link() {
    let mut sim = Sim::online();
    for (id, reason, code) in [
        (1, "group member list is full!", Code::CHATROOM_MEMBERS_FULL),
        (2, "grpID 17 does not exist!", Code::CHATROOM_NOT_EXIST),
        (3, "bob has joined too many chatrooms", Code::MAX_LIMIT),
    ] {
        sim.step(join(id, "r"));
        let did = sim.frame(&peer::answer(id, 1, Some(reason)));
        assert_eq!(only(&did).1.as_ref().unwrap_err().code(), code);
    }
    assert!(asked(&back(&mut sim)).is_empty());
}

#[test]
fn without_a_link_nothing_is_kept_and_16_is_told_at_once() {
    let mut sim = Sim::online();
    sim.lose();
    for _ in 0..3 {
        for input in [join(1, "r"), leave(1, "r")] {
            let did = sim.step(input);
            assert_eq!(only(&did), (1, &Err(SendError::Reconnecting)));
        }
        sim.due();
    }
    assert_eq!(SendError::Reconnecting.code(), Code::DISCONNECTED);
    let mut sim = Sim::new(config());
    assert_eq!(only(&sim.step(join(1, "r"))).1, &Err(SendError::NotLoggedIn));
    sim.step(by_token());
    assert_eq!(only(&sim.step(join(1, "r"))).1, &Err(SendError::NotLoggedIn));
    sim.accept();
    sim.step(Input::Close);
    assert_eq!(only(&sim.step(leave(1, "r"))).1, &Err(SendError::NotLoggedIn));
}

#[test]
fn unanswered_for_15_s_the_outcome_is_unknown_with_minus_1_and_the_link_is_replaced() {
    let mut sim = Sim::online();
    sim.step(join(1, "r"));
    assert_eq!(sim.left(), seconds(15));
    let did = sim.due();
    let error = SendError::OutcomeUnknown { client_id: 1, cause: LossCause::RoomUnanswered };
    assert_eq!(only(&did), (1, &Err(error.clone())));
    assert_eq!((error.code(), LossCause::RoomUnanswered.code()), (Code::REQUEST_TIMEOUT, Code::DISCONNECTED));
    assert_eq!(did.reconnecting().2, &LossCause::RoomUnanswered);
    sim.due();
    assert!(asked(&sim.accept()).is_empty(), "what may not have been joined is the application's to join");
}

#[test]
fn a_lost_link_leaves_a_join_unknown_with_510_and_ids_and_bounds_are_those_of_sends() {
    let mut sim = Sim::online_with(config().limits(pending_sends(2)));
    sim.step(join(1, "r"));
    assert!(matches!(only(&sim.step(leave(1, "r"))).1, Err(SendError::InUse { client_id: 1 })));
    assert!(matches!(only(&sim.step(hello(1))).1, Err(SendError::InUse { client_id: 1 })));
    sim.step(hello(2));
    assert_eq!(only(&sim.step(join(3, "r"))), (3, &Err(SendError::Backlog { limit: 2 })));
    let codes: Vec<_> = sim.lose().outcomes().iter().map(|(_, outcome)| outcome.as_ref().unwrap_err().code()).collect();
    assert_eq!(codes, [Code::SEND_DISCONNECTED; 2]);
}

#[test]
fn rooms_that_were_joined_are_joined_again_on_a_new_link_before_what_was_kept() {
    let mut sim = in_rooms(config(), ["a", "b"]);
    for _ in 0..3 {
        sim.lose();
        sim.step(hello(9));
        sim.due();
        let did = sim.accept();
        assert_eq!(names(&did), ["a", "b"]);
        assert_eq!(did.kinds()[1..], ["room", "room", "send", "UNREAD"]);
        for (_, joins, id) in asked(&did) {
            assert!(joins);
            assert!(sim.frame(&peer::answer(id, 0, None)).0.is_empty(), "nobody asked for it");
        }
        sim.frame(&peer::answer(9, 0, None));
    }
}

/// The request for a room in what was done.
fn body_of(did: &Did, room: &str) -> MucBody {
    let bodies = did.sent().into_iter().filter_map(|frame| match frame {
        Upward::Sync(sync) => match sync.meta?.body() {
            Ok(Body::Muc(body)) if body.muc_id.as_ref().is_some_and(|muc| muc.name() == room) => Some(*body),
            _ => None,
        },
        _ => None,
    });
    bodies.last().unwrap()
}

#[test]
fn a_request_is_repeated_as_it_was_made_but_never_leaves_the_rooms_joined_after_it() {
    let mut sim = Sim::online();
    let request = RoomRequest::join("r").unwrap().with_ext("from the lobby").leaving_others();
    let first = body_of(&sim.step(Input::Room { client_id: 1, request }), "r");
    sim.frame(&peer::answer(1, 0, None));
    sim.step(join(2, "s"));
    sim.frame(&peer::answer(2, 0, None));
    let did = back(&mut sim);
    assert_eq!(names(&did), ["r", "s"]);
    let again = body_of(&did, "r");
    assert_eq!((first.leave_other_rooms, again.leave_other_rooms), (Some(true), Some(false)));
    assert_eq!(MucBody { leave_other_rooms: Some(true), ..again }, first);
    // The answer is lost: once more, and still nothing else is left.
    let (_, _, second) = asked(&did)[1];
    sim.frame(&peer::answer(second, 0, None));
    let did = sim.run(seconds(15));
    assert_eq!((names(&did), body_of(&did, "r").leave_other_rooms), (vec!["r".to_owned()], Some(false)));
}

#[test]
fn a_room_is_not_asked_for_once_more_while_the_application_is_leaving_it() {
    for leaving in [RoomRequest::leave("a"), RoomRequest::join("z").map(RoomRequest::leaving_others)] {
        let mut sim = in_rooms(config().send_timeout(seconds(20)), ["a"]);
        back(&mut sim);
        sim.frame(&peer::unread(&[]));
        sim.run(seconds(10));
        sim.step(Input::Room { client_id: 10, request: leaving.unwrap() });
        let did = sim.run(seconds(10));
        assert!(asked(&did).is_empty() && lost(&did).is_empty(), "{did:?}");
    }
}

#[test]
fn requests_of_many_bytes_are_not_all_repeated_so_that_repeating_them_costs_no_link() {
    let mut sim = Sim::online();
    for id in 1..=4 {
        let request = RoomRequest::join(id.to_string()).unwrap().with_ext("x".repeat(100 << 10));
        sim.step(Input::Room { client_id: id, request });
        let did = sim.frame(&peer::answer(id, 0, None));
        assert_eq!(did.notes().len(), usize::from(id > 2), "{id}");
    }
    let did = back(&mut sim);
    assert_eq!(names(&did), ["1", "2"]);
    assert_eq!(lost(&did), [("3", None), ("4", None)]);
}

#[test]
fn rooms_that_were_left_or_left_with_another_join_are_not_joined_again() {
    let mut sim = in_rooms(config(), ["a", "b", "c"]);
    sim.step(leave(10, "b"));
    assert_eq!(names(&back(&mut sim)), ["a", "c"], "whatever came of leaving it");
    let request = RoomRequest::join("d").unwrap().leaving_others();
    sim.step(Input::Room { client_id: 11, request });
    sim.frame(&peer::answer(11, 0, None));
    assert_eq!(names(&back(&mut sim)), ["d"]);
    sim.step(join(12, "d"));
    sim.frame(&peer::answer(12, 0, None));
    assert_eq!(names(&back(&mut sim)), ["d"], "joined twice, it is joined again once");
}

#[test]
fn a_room_that_is_left_before_its_join_is_answered_is_not_joined_again() {
    for leaving in [0, 1] {
        let mut sim = Sim::online();
        sim.step(join(1, "r"));
        sim.step(leave(2, "r"));
        sim.frame(&peer::answer(1, 0, None));
        sim.frame(&peer::answer(2, leaving, None));
        assert!(asked(&back(&mut sim)).is_empty());
    }
}

/// The rooms that are told to be lost, and why.
fn lost(did: &Did) -> Vec<(&str, Option<&SendError>)> {
    let lost = did.events().into_iter().filter_map(|event| match event {
        EventKind::RoomLost { room, error } => Some((&**room, error.as_ref())),
        _ => None,
    });
    lost.collect()
}

/// A page with word of a room or group, of these users.
fn news(id: u64, operation: muc_body::Operation, room: &str, users: &[&str], is_chatroom: bool) -> Bytes {
    let body = MucBody {
        muc_id: Some(Jid::group(APP, room)),
        operation: Some(operation as i32),
        to: users.iter().map(|user| peer::user(user)).collect(),
        is_chatroom: Some(is_chatroom),
        ..MucBody::default()
    };
    let ns = Some(NameSpace::Muc as i32);
    peer::batch(vec![Meta { id: Some(id), ns, payload: Some(wire::encode(&body)), ..Meta::default() }])
}

#[test]
fn a_room_that_is_refused_when_it_is_joined_again_is_told_as_lost_and_forgotten() {
    let mut sim = in_rooms(config(), ["a", "b"]);
    let did = back(&mut sim);
    let [(_, _, first), (_, _, second)] = asked(&did)[..] else { panic!("{did:?}") };
    let did = sim.frame(&peer::answer(first, 1, Some("grpID a does not exist!")));
    let [Diagnostic::RoomNotRejoined { room, error }] = did.notes()[..] else { panic!("{did:?}") };
    assert_eq!((&**room, error.code()), ("a", Code::CHATROOM_NOT_EXIST));
    assert_eq!(lost(&did), [("a", Some(error))]);
    assert!(did.outcomes().is_empty());
    assert!(sim.frame(&peer::answer(second, 0, None)).0.is_empty());
    assert_eq!(names(&back(&mut sim)), ["b"]);
}

#[test]
fn a_room_that_is_not_answered_is_asked_for_once_more_and_then_told_as_lost_and_the_link_stays() {
    let mut sim = in_rooms(config(), ["a", "b"]);
    let did = back(&mut sim);
    let [(_, _, first), (_, _, second)] = asked(&did)[..] else { panic!("{did:?}") };
    sim.frame(&peer::unread(&[]));
    let did = sim.run(seconds(15));
    let [(again, true, third), (other, true, fourth)] = &asked(&did)[..] else { panic!("{did:?}") };
    assert_eq!((&**again, &**other), ("a", "b"));
    assert!(*third > second && second > first, "under an id of its own");
    assert!(lost(&did).is_empty());
    assert!(sim.frame(&peer::answer(*fourth, 0, None)).0.is_empty());
    let did = sim.run(seconds(15));
    let error = SendError::OutcomeUnknown { client_id: *third, cause: LossCause::RoomUnanswered };
    assert_eq!(lost(&did), [("a", Some(&error))]);
    assert!(asked(&did).is_empty() && did.outcomes().is_empty());
    assert_eq!(sim.engine.state(), ConnectionState::Online, "what nobody asked for costs no link");
    assert_eq!(names(&back(&mut sim)), ["b"]);
}

#[test]
fn a_room_that_is_left_while_it_is_joined_again_is_neither_asked_for_once_more_nor_told_as_lost() {
    let mut sim = in_rooms(config(), ["a"]);
    back(&mut sim);
    sim.frame(&peer::unread(&[]));
    sim.step(leave(10, "a"));
    sim.frame(&peer::answer(10, 0, None));
    let did = sim.run(seconds(15));
    assert!(asked(&did).is_empty() && lost(&did).is_empty(), "{did:?}");
    assert_eq!(sim.engine.pending_sends(), 0);
}

#[test]
fn a_room_that_ended_or_that_the_account_was_removed_from_is_not_joined_again() {
    use muc_body::Operation::{Destroy, Kick};
    for wanted in [EventMask::ALL, EventMask::CONNECTED] {
        let mut sim = in_rooms(config(), ["a", "b", "c", "d"]);
        sim.engine.set_wanted(wanted);
        sim.frame(&news(1, Destroy, "a", &[], true));
        sim.frame(&news(2, Kick, "b", &["bob", "Alice"], true));
        sim.frame(&news(3, Kick, "c", &["bob"], true));
        sim.frame(&news(4, Kick, "c", &[], true));
        sim.frame(&news(5, Destroy, "d", &[], false));
        let did = back(&mut sim);
        assert_eq!(names(&did), ["c", "d"], "of others, and of groups, is no matter");
        assert!(lost(&did).is_empty());
    }
}

#[test]
fn at_most_64_rooms_are_joined_again_and_the_rest_is_told_as_lost_once_it_is() {
    let mut sim = in_rooms(config(), 0..64);
    for (id, room) in [(100, "too many"), (101, "left"), (102, "gone")] {
        sim.step(join(id, room));
        let did = sim.frame(&peer::answer(id, 0, None));
        assert!(only(&did).1.is_ok(), "the join itself is no matter");
        let [Diagnostic::RoomNotKept { room: noted, limit: 64 }] = did.notes()[..] else { panic!("{did:?}") };
        assert_eq!(&**noted, room);
        assert!(lost(&did).is_empty(), "the account is in it");
    }
    sim.step(leave(103, "left"));
    sim.frame(&peer::answer(103, 0, None));
    sim.frame(&news(1, muc_body::Operation::Destroy, "gone", &[], true));
    let did = back(&mut sim);
    assert_eq!(names(&did), (0..64).map(|room| room.to_string()).collect::<Vec<_>>());
    assert_eq!(lost(&did), [("too many", None)]);
    assert!(lost(&back(&mut sim)).is_empty(), "once");
}

#[test]
fn of_1024_rooms_that_are_not_joined_again_it_is_told() {
    let mut sim = in_rooms(config(), 0..64 + 1024 + 1);
    assert_eq!(lost(&back(&mut sim)).len(), 1024);
}

#[test]
fn rooms_can_be_left_alone_and_belong_to_one_session() {
    let mut sim = in_rooms(config().rejoin_rooms(false), ["a"]);
    assert!(asked(&back(&mut sim)).is_empty());
    let mut sim = in_rooms(config(), ["a"]);
    sim.step(Input::Close);
    sim.due();
    sim.step(by_token());
    assert!(asked(&sim.accept()).is_empty());
}

#[test]
fn rejoining_does_not_take_the_place_of_kept_messages() {
    let mut policy = Reconnect::default();
    (policy.base, policy.cap) = (millis(1), millis(1));
    let config = config().reconnect(policy).limits(pending_sends(2));
    let mut sim = in_rooms(config, ["a", "b", "c"]);
    sim.lose();
    for id in [8, 9] {
        assert!(sim.step(hello(id)).0.is_empty());
    }
    sim.due();
    let did = sim.accept();
    assert_eq!(did.kinds()[1..], ["room", "room", "room", "send", "send", "UNREAD"]);
}
