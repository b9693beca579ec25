//! The server logs the device out (connection spec §9).

use agora_chat::{
    DisconnectReason, EventKind,
    errors::Kick,
    session::{Action, Input},
    wire::{CommSyncDl, Meta},
};

use crate::{
    peer::{self, statistics, text},
    sim::{Sim, by_token, hello},
};

const ROWS: [(i32, i32); 4] = [(1, 207), (2, 206), (3, 216), (4, 217)];

#[test]
fn every_kick_ends_the_session_at_once_with_its_code() {
    for (operation, code) in ROWS {
        let mut sim = Sim::online();
        let did = sim.frame(&peer::kick(operation));
        assert_eq!(did.reason().unwrap().code().unwrap().number(), code);
        assert_eq!(did.events().len(), 1, "no Reconnecting, nothing else");
        assert!(matches!(&did.0[..], [Action::Hangup, Action::Emit(_), Action::Closed]), "we close by ourselves");
        assert_eq!(sim.engine.deadline(), None);
        assert!(sim.lose().0.is_empty(), "the server's close afterwards changes nothing");
        sim.step(by_token());
        assert_eq!(sim.accept().opened(), Some(&Ok(())), "open works again");
    }
}

#[test]
fn information_and_unknown_operations_are_not_kicks() {
    for operation in [0, 5, 99, -1, i32::MAX] {
        let mut sim = Sim::online();
        let did = sim.frame(&peer::kick(operation));
        assert!(!did.closed(), "{operation}: {did:?}");
        match did.events()[..] {
            [] => assert_eq!(operation, 0, "only information says nothing"),
            [EventKind::Unknown(notice)] => assert!(notice.namespace == 0 && operation != 0),
            _ => panic!("{operation}: {did:?}"),
        }
        assert!(sim.frame(&peer::kick(operation)).events().is_empty(), "and that once");
    }
}

#[test]
fn the_other_devices_extension_is_told_where_there_is_one() {
    for (given, told) in [(Some("my-phone"), Some("my-phone")), (Some(""), None), (None, None)] {
        let did = Sim::online().frame(&peer::batch(vec![statistics(Some(1), 2, given)]));
        let kick = Kick::LoggedInElsewhere { ext: told.map(Into::into) };
        assert_eq!(did.reason(), Some(&DisconnectReason::Kicked(kick)));
    }
}

#[test]
fn messages_in_the_frame_of_a_kick_are_delivered_before_it_whatever_their_place() {
    let kick = || statistics(Some(3), 1, None);
    for metas in [
        vec![text(1, "a"), text(2, "b"), kick()],
        vec![kick(), text(1, "a"), text(2, "b")],
        vec![text(1, "a"), kick(), text(2, "b")],
    ] {
        let did = Sim::online().frame(&peer::batch(metas));
        assert_eq!(did.texts(), ["a", "b"]);
        assert!(matches!(did.events().last(), Some(EventKind::Disconnected { .. })));
    }
}

#[test]
fn of_two_kicks_in_one_frame_the_first_counts() {
    let did = Sim::online().frame(&peer::batch(vec![statistics(Some(1), 3, None), statistics(Some(2), 1, None)]));
    assert_eq!(did.reason(), Some(&DisconnectReason::Kicked(Kick::PasswordChanged)));
}

#[test]
fn a_kick_is_heard_whatever_its_id_and_sender() {
    let heard = |sim: &mut Sim, meta: Meta| {
        assert!(sim.frame(&peer::batch(vec![meta])).closed());
    };
    let mut sim = Sim::online();
    sim.frame(&peer::batch(vec![text(9, "the same id")]));
    heard(&mut sim, statistics(Some(9), 1, None));
    for id in [Some(0), None] {
        let mut sim = Sim::online();
        sim.frame(&peer::batch(vec![statistics(id, 0, None)]));
        heard(&mut sim, statistics(id, 1, None));
    }
    heard(&mut Sim::online(), Meta { from: None, ..statistics(Some(1), 1, None) });
    // An absent name space reads as STATISTIC.
    heard(&mut Sim::online(), Meta { ns: None, ..statistics(Some(1), 1, None) });
}

#[test]
fn a_kick_needs_no_queue_no_status_and_no_end_of_the_page() {
    let bare = CommSyncDl { metas: vec![statistics(Some(1), 4, None)], ..CommSyncDl::default() };
    let frame = agora_chat::wire::MSync::from_server(agora_chat::wire::msync::Command::Sync, &bare).to_bytes();
    assert!(Sim::online().frame(&frame).closed());
}

#[test]
fn a_kick_during_logging_out_is_the_reason_told() {
    let mut sim = Sim::online();
    sim.step(Input::Close);
    let did = sim.frame(&peer::kick(1));
    assert_eq!(did.reason(), Some(&DisconnectReason::Kicked(Kick::UserRemoved)));
}

#[test]
fn a_kick_settles_what_was_sent() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    let did = sim.frame(&peer::kick(2));
    assert_eq!(did.outcomes().len(), 1);
    assert_eq!(did.outcomes()[0].1.as_ref().unwrap_err().code().number(), 510);
}
