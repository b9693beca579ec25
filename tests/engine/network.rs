//! The application's hint that the network has changed.

use agora_chat::{
    ConnectionState, EventKind, KickPolicy, LossCause,
    session::{Action, Input},
};

use crate::{
    ledger::Place,
    peer,
    sim::{Sim, by_token, config, millis, seconds},
    states::{Login, Resume, STATES, at},
};

#[test]
fn online_one_heartbeat_asks_whether_the_link_still_lives() {
    let mut sim = Sim::online();
    assert_eq!(sim.step(Input::NetworkChanged).kinds(), ["UNREAD"]);
    assert_eq!(sim.left(), seconds(10));
    sim.frame(&peer::unread(&[]));
    assert_eq!((sim.engine.state(), sim.left()), (ConnectionState::Online, seconds(30)), "it does");
}

#[test]
fn a_link_that_the_probe_finds_dead_is_lost_after_the_answers_time_and_regained_from_the_first_rung() {
    let mut sim = Sim::online();
    for _ in 0..6 {
        sim.redial();
    }
    sim.accept();
    sim.frame(&peer::unread(&[]));
    sim.step(Input::NetworkChanged);
    let did = sim.due();
    let (attempt, pause, cause) = did.reconnecting();
    assert!(matches!(cause, LossCause::HeartbeatTimeout { .. }));
    assert!(attempt == 1 && pause <= seconds(1), "{attempt} {pause:?}");
}

#[test]
fn a_heartbeat_that_is_unanswered_is_the_probe() {
    let mut sim = Sim::online();
    sim.due();
    let left = sim.left();
    assert!(sim.step(Input::NetworkChanged).0.is_empty());
    assert_eq!(sim.left(), left);
}

#[test]
fn in_a_pause_one_attempt_is_made_at_once_and_the_ladder_starts_anew_once() {
    let mut sim = Sim::online();
    for _ in 0..6 {
        sim.redial();
    }
    sim.lose();
    assert_eq!(sim.step(Input::NetworkChanged).dialed().len(), 1);
    assert_eq!(sim.engine.state(), ConnectionState::Reconnecting { attempt: 1 });
    let did = sim.lose();
    assert_eq!(did.reconnecting().0, 2);
    assert!(did.reconnecting().1 <= seconds(2));
    assert!(sim.step(Input::NetworkChanged).0.is_empty(), "one hint in five seconds is followed");
    sim.due();
    assert_eq!(sim.lose().reconnecting().0, 3, "once");
}

#[test]
fn an_attempt_under_way_over_the_network_that_is_gone_is_given_up_for_one_over_the_new() {
    for place in [Place::Connect, Place::Provision, Place::Discovery] {
        let mut sim = at(Resume, place);
        sim.pass(seconds(6));
        let did = sim.step(Input::NetworkChanged);
        assert!(matches!(did.0[..], [Action::Hangup, Action::Connect { .. }]), "{place:?}: {did:?}");
        assert_eq!(sim.engine.state(), ConnectionState::Reconnecting { attempt: 1 });
        assert_eq!(sim.left(), seconds(10), "with all its time before it");
        sim.accept();
    }
}

#[test]
fn a_login_under_way_goes_on_with_its_next_attempt_and_has_no_more_than_three() {
    let mut sim = Sim::new(config());
    let mut dialed = sim.step(by_token()).dialed().len();
    for _ in 0..4 {
        sim.pass(seconds(5));
        dialed += sim.step(Input::NetworkChanged).dialed().len();
    }
    assert_eq!(dialed, 3);
    sim.accept();
}

#[test]
fn every_state_takes_the_hint_and_keeps_a_deadline() {
    for (way, place) in STATES {
        let mut sim = at(way, place);
        let before = sim.engine.deadline();
        let did = sim.step(Input::NetworkChanged);
        assert!(did.events().is_empty() && did.opened().is_none(), "{place:?}: {did:?}");
        assert!(did.dialed().len() <= 1);
        if matches!((way, place), (_, Place::Out | Place::Bye)) {
            assert!(did.0.is_empty());
            assert_eq!(sim.engine.deadline(), before);
        }
        let again = sim.step(Input::NetworkChanged);
        assert!(again.0.is_empty(), "the second one at once changes nothing: {again:?}");
        sim.step(Input::Close);
        sim.run_out();
    }
    assert!(at(Login, Place::Pause).step(Input::NetworkChanged).dialed().len() == 1);
}

#[test]
fn what_the_server_asked_to_wait_is_waited_for_all_the_same() {
    let mut sim = Sim::online();
    sim.redial();
    for _ in 0..5 {
        sim.step(Input::Lost(LossCause::Ended));
        sim.due();
    }
    sim.step(Input::Lost(LossCause::UpgradeRefused { status: 503, retry_after: Some(seconds(100)) }));
    assert!(sim.step(Input::NetworkChanged).0.is_empty());
    assert!((seconds(100)..=seconds(101)).contains(&sim.left()), "only the ladder's part: {:?}", sim.left());
    sim.pass(seconds(50));
    assert!(sim.step(Input::NetworkChanged).0.is_empty());
    assert!((seconds(50)..=seconds(51)).contains(&sim.left()), "a hint never lengthens a pause: {:?}", sim.left());
    assert_eq!(sim.due().dialed().len(), 1);
}

#[test]
fn the_pause_after_a_kick_and_the_floor_of_flapping_stand() {
    let mut sim = Sim::online_with(config().kick_policy(KickPolicy::RetryAfter(seconds(30))));
    sim.frame(&peer::kick(2));
    assert!(sim.step(Input::NetworkChanged).0.is_empty());
    assert!(sim.left() >= seconds(30));

    let mut sim = Sim::online();
    for _ in 0..4 {
        sim.redial();
        sim.accept();
    }
    let did = sim.lose();
    assert!(did.events().iter().any(|event| matches!(event, EventKind::Flapping { .. })));
    assert!(sim.step(Input::NetworkChanged).0.is_empty());
    assert!(sim.left() >= seconds(60));
}

#[test]
fn a_storm_of_hints_costs_one_attempt_in_five_seconds() {
    let mut sim = Sim::online();
    sim.lose();
    let mut dialed = 0;
    for _ in 0..10_000 {
        sim.pass(millis(10));
        let did = sim.step(Input::NetworkChanged);
        dialed += did.dialed().len();
        if sim.place() == Place::Connect {
            sim.lose();
        }
    }
    assert!((19..=21).contains(&dialed), "{dialed} in 100 s");
}
