//! Clocks that are set, and a process that stands still.

use std::time::Duration;

use agora_chat::{ConnectionState, EventKind, LossCause, OpenError, errors::ConnectStep, session::Input, wire::Upward};

use crate::{
    ledger::Place,
    peer,
    sim::{Sim, T0, by_token, config, hello, millis, seconds},
    states::{STATES, at},
};

const HOUR: u64 = 3_600_000;
const YEAR: u64 = 365 * 24 * HOUR;
const TEN_MINUTES: Duration = seconds(600);

/// The wall clock an hour back, a year ahead, at nothing and at its end.
const WRONG: [u64; 4] = [T0 - HOUR, T0 + YEAR, 0, u64::MAX];

#[test]
fn a_wall_clock_that_is_set_moves_no_wait_in_any_state() {
    for (way, place) in STATES {
        for wall in WRONG {
            let mut sim = at(way, place);
            let before = (sim.engine.deadline(), sim.engine.state());
            sim.now.wall = wall;
            assert!(sim.step(Input::Tick).0.is_empty(), "{place:?} at {wall}");
            assert_eq!((sim.engine.deadline(), sim.engine.state()), before, "{place:?} at {wall}");
        }
    }
}

#[test]
fn a_wall_clock_that_is_set_meanwhile_does_not_move_the_end_of_a_token() {
    for wall in WRONG {
        let mut sim = Sim::online_for(config(), seconds(1000));
        sim.pass(seconds(100));
        sim.step(Input::Alive);
        let server = T0 + 100_000;
        sim.now.wall = wall;
        assert!(sim.frame(&peer::unread_at(server)).0.is_empty());
        // Busy with messages until four fifths have passed.
        for _ in 0..699 {
            sim.pass(seconds(1));
            sim.frame(&peer::unread(&[]));
            assert!(sim.step(Input::Tick).0.is_empty());
        }
        sim.pass(seconds(1));
        let told = EventKind::TokenWillExpire { at: T0 + 1_000_000, expires_in: seconds(200) };
        assert_eq!(sim.step(Input::Tick).event(), &told, "{wall}");
    }
}

#[test]
fn a_wall_clock_that_is_wrong_at_the_login_is_corrected_by_the_servers_first_answer() {
    for wall in WRONG {
        let mut sim = Sim::new(config());
        sim.now.wall = wall;
        sim.step(by_token());
        sim.step(Input::Connected);
        let did = sim.frame(&peer::accepted_until(T0 + 1_000_000));
        assert_eq!(did.event(), &EventKind::Connected { resumed: false });
        assert!(sim.frame(&peer::unread_at(T0)).events().is_empty(), "{wall}");
        for _ in 0..799 {
            sim.pass(seconds(1));
            sim.frame(&peer::unread(&[]));
            assert!(sim.step(Input::Tick).0.is_empty(), "{wall}");
        }
        sim.pass(seconds(1));
        assert!(matches!(sim.step(Input::Tick).event(), EventKind::TokenWillExpire { .. }), "{wall}");
    }
}

#[test]
fn session_ids_go_on_rising_when_the_wall_clock_steps_back() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    let mut last = 0;
    for wall in [T0, T0 - HOUR, 0, T0 + YEAR, T0] {
        sim.now.wall = wall;
        let did = sim.step(Input::Connected);
        let Upward::Provision(provision) = &did.sent()[0] else { panic!("{did:?}") };
        let id: u64 = provision.session_id.as_ref().unwrap().trim_end_matches(':').parse().unwrap();
        assert!(id > last, "{id} after {last}");
        last = id;
        sim.frame(&peer::accepted());
        sim.redial();
    }
}

#[test]
fn ten_minutes_of_standing_still_cost_at_most_one_step_of_the_way_and_no_burst() {
    for (way, place) in STATES.into_iter().filter(|(_, place)| *place != Place::Out) {
        let mut sim = at(way, place);
        sim.pass(TEN_MINUTES);
        let did = sim.step(Input::Tick);
        // The most is the end of a session whose token nobody replaced.
        assert!(did.0.len() <= 6 && did.dialed().len() <= 1, "{place:?}: {did:?}");
        let again = sim.step(Input::Tick);
        assert!(again.0.is_empty() || sim.place() == Place::Out, "{place:?}: {again:?}");
        assert!(sim.engine.deadline().is_none_or(|due| due > sim.now.mono), "{place:?}");
    }
}

#[test]
fn a_link_that_outlived_the_suspension_is_kept_and_one_that_did_not_is_found_out_in_ten_seconds() {
    let asleep = || {
        let mut sim = Sim::online();
        sim.pass(TEN_MINUTES);
        assert_eq!(sim.step(Input::Tick).kinds(), ["UNREAD"]);
        assert_eq!(sim.left(), seconds(10));
        sim
    };
    let mut kept = asleep();
    kept.frame(&peer::unread(&[]));
    assert_eq!((kept.engine.state(), kept.left()), (ConnectionState::Online, seconds(30)));
    let mut dead = asleep();
    assert!(matches!(dead.due().reconnecting().2, LossCause::HeartbeatTimeout { .. }));
}

#[test]
fn an_answer_that_came_during_the_suspension_is_read_before_its_deadline_is_looked_at() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    sim.pass(TEN_MINUTES);
    assert_eq!(sim.frame(&peer::answer(1, 0, None)).outcomes().len(), 1);
    assert!(sim.step(Input::Tick).events().is_empty());
    assert_eq!(sim.engine.state(), ConnectionState::Online);
}

#[test]
fn a_login_that_slept_through_its_deadline_fails_and_names_its_step() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::At(ConnectStep::Tls));
    sim.pass(TEN_MINUTES);
    assert!(matches!(sim.step(Input::Tick).open_error(), OpenError::Deadline { step: ConnectStep::Tls, .. }));
}

#[test]
fn a_token_that_ended_during_the_suspension_ends_the_session_also_where_the_monotonic_clock_stood_still() {
    let mut process = Sim::online_for(config(), seconds(300));
    process.pass(TEN_MINUTES);
    assert!(process.step(Input::Tick).events().contains(&&EventKind::TokenExpired));

    // A machine that sleeps: only the wall clock and the server's have gone on.
    let mut machine = Sim::online_for(config(), seconds(300));
    machine.now.wall += 600_000;
    assert!(machine.step(Input::Tick).0.is_empty());
    assert_eq!(machine.due().kinds(), ["UNREAD"]);
    let did = machine.frame(&peer::unread_at(machine.now.wall));
    assert!(did.events().contains(&&EventKind::TokenExpired), "{did:?}");
    assert!(machine.run(seconds(2) + millis(1)).closed());
}
