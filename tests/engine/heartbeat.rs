//! The heartbeat and the deadline of its answer (connection spec §7.1).

use agora_chat::{ConnectionState, LossCause, session::Input};

use crate::{
    peer,
    sim::{Sim, by_token, config, hello, millis, seconds},
};

#[test]
fn a_heartbeat_goes_out_after_30_s_without_any_frame() {
    let mut sim = Sim::online();
    assert!(sim.run(seconds(30) - millis(1)).0.is_empty());
    assert_eq!(sim.run(millis(1)).kinds(), ["UNREAD"]);
}

#[test]
fn frames_postpone_the_heartbeat_by_30_s_and_to_60_s_after_the_last_one_at_the_latest() {
    let mut sim = Sim::online();
    sim.run(seconds(29));
    sim.frame(&peer::notice(&peer::user("bob")));
    sim.frame(&peer::last(&peer::user("bob")));
    assert_eq!(sim.left(), seconds(30));
    let mut beats = Vec::new();
    for second in 30..=300 {
        sim.pass(seconds(1));
        if second % 10 == 0 {
            sim.frame(&peer::page(&peer::user("carol"), vec![peer::text(second, "x")], second));
            sim.frame(&peer::last(&peer::user("carol")));
        }
        beats.extend(sim.step(Input::Tick).kinds().into_iter().map(|_| second));
    }
    assert_eq!(beats, [60, 120, 180, 240, 300]);
}

#[test]
fn what_is_no_frame_does_not_postpone_the_heartbeat() {
    let noise: [fn(&mut Sim); 2] = [|sim| drop(sim.step(Input::Alive)), |sim| drop(sim.frame(b"\xff garbage"))];
    for comes in noise {
        let mut sim = Sim::online();
        let mut beats = Vec::new();
        for second in 1..=120 {
            sim.pass(seconds(1));
            comes(&mut sim);
            if sim.step(Input::Tick).kinds() == ["UNREAD"] {
                beats.push(second);
                sim.frame(&peer::unread(&[]));
            }
        }
        assert_eq!(beats, [30, 60, 90, 120]);
    }
}

#[test]
fn sending_does_not_postpone_it_because_only_the_peer_can_show_that_it_lives() {
    let mut sim = Sim::online_with(config().send_timeout(seconds(100)));
    sim.run(seconds(29));
    sim.step(hello(1));
    assert_eq!(sim.left(), seconds(1));
}

#[test]
fn without_an_answer_within_10_s_the_link_is_lost_after_40_s_of_silence() {
    let mut sim = Sim::online();
    let did = sim.run(seconds(40) - millis(1));
    assert_eq!((did.kinds(), sim.engine.state()), (vec!["UNREAD"], ConnectionState::Online));
    let did = sim.run(millis(1));
    let (attempt, _, cause) = did.reconnecting();
    assert_eq!((attempt, cause), (1, &LossCause::HeartbeatTimeout { silent_for: seconds(40) }));
}

#[test]
fn any_traffic_answers_the_heartbeat() {
    let mut sim = Sim::online();
    sim.run(seconds(39));
    sim.step(Input::Alive);
    assert_eq!(sim.left(), seconds(21), "30 s after the last one");
    assert_eq!(sim.due().kinds(), ["UNREAD"]);
    sim.run(seconds(9));
    sim.frame(&peer::unread(&[]));
    assert_eq!(sim.left(), seconds(30));
}

#[test]
fn the_first_heartbeat_goes_out_with_the_login_and_its_answer_is_due_too() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    assert_eq!(sim.accept().kinds(), ["PROVISION", "UNREAD"]);
    let did = sim.run(seconds(10));
    assert_eq!(did.reconnecting().2, &LossCause::HeartbeatTimeout { silent_for: seconds(10) });
}

#[test]
fn both_times_are_configurable() {
    let mut sim = Sim::online_with(config().heartbeat(millis(500), millis(20)));
    assert_eq!(sim.left(), millis(500));
    assert_eq!(sim.due().kinds(), ["UNREAD"]);
    assert_eq!(sim.left(), millis(20));
    assert_eq!(sim.due().reconnecting().2, &LossCause::HeartbeatTimeout { silent_for: millis(520) });
}

#[test]
fn a_peer_that_answers_every_heartbeat_keeps_the_link_for_a_week() {
    let mut sim = Sim::online();
    let end = sim.now.mono + seconds(7 * 24 * 60 * 60);
    let mut beats = 0;
    while sim.now.mono < end {
        assert_eq!(sim.due().kinds(), ["UNREAD"]);
        sim.pass(millis(50));
        assert!(sim.frame(&peer::unread(&[])).0.is_empty());
        beats += 1;
    }
    assert!((20_000..20_200).contains(&beats), "{beats}");
}

#[test]
fn after_a_machine_slept_the_peer_is_asked_before_it_is_given_up() {
    let mut sim = Sim::online();
    sim.pass(seconds(8 * 60 * 60));
    assert_eq!(sim.step(Input::Tick).kinds(), ["UNREAD"]);
    assert_eq!(sim.left(), seconds(10));
}

/// A gateway may answer pings before a service that is dead: pings alone do not keep a link for ever.
#[test]
fn a_peer_that_only_pings_or_sends_what_does_not_decode_is_found_out_after_130_s() {
    for noise in [|sim: &mut Sim| drop(sim.step(Input::Alive)), |sim: &mut Sim| drop(sim.frame(&[0xff; 9]))] {
        let mut sim = Sim::online();
        sim.frame(&peer::unread(&[]));
        for second in 1..130 {
            sim.pass(seconds(1));
            noise(&mut sim);
            let did = sim.step(Input::Tick);
            assert_eq!(did.kinds(), if second % 30 == 0 { vec!["UNREAD"] } else { vec![] }, "after {second} s");
        }
        sim.pass(seconds(1));
        noise(&mut sim);
        let did = sim.step(Input::Tick);
        let (_, _, cause) = did.reconnecting();
        assert_eq!(cause, &LossCause::HeartbeatTimeout { silent_for: seconds(130) });
    }
}
