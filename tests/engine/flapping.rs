//! Sessions that end soon after they began, again and again.

use std::time::Duration;

use agora_chat::{Code, ConfigBuilder, DisconnectReason, EventKind, Reconnect, session::Input};

use crate::sim::{Did, Sim, config, millis, seconds};

fn policy(change: impl FnOnce(&mut Reconnect)) -> ConfigBuilder {
    let mut policy = Reconnect::default();
    change(&mut policy);
    config().reconnect(policy)
}

/// Keeps the link for so long, then loses it.
fn hold(sim: &mut Sim, time: Duration) -> Did {
    let end = sim.now.mono + time;
    while sim.now.mono < end {
        sim.pass(seconds(20).min(end - sim.now.mono));
        sim.step(Input::Alive);
    }
    sim.lose()
}

/// A session of so long and the way back: the pause, and whether flapping was told.
fn session(sim: &mut Sim, time: Duration) -> (Duration, bool) {
    let did = hold(sim, time);
    let told = did.events().iter().any(|event| matches!(event, EventKind::Flapping { .. }));
    let pause = did.reconnecting().1;
    assert_eq!(sim.left(), pause);
    sim.due();
    sim.accept();
    (pause, told)
}

#[test]
fn accept_then_drop_200_times_climbs_to_the_cap_and_from_the_fifth_time_on_stands_on_the_floor() {
    let mut sim = Sim::online();
    let began = sim.now.mono;
    let ceilings = [1, 2, 4, 8, 16, 32].into_iter().chain(std::iter::repeat(60)).map(seconds);
    for (time, ceiling) in (1..=200).zip(ceilings) {
        let (pause, told) = session(&mut sim, Duration::ZERO);
        let floor = if time < 5 { Duration::ZERO } else { seconds(60) };
        assert!((floor..=floor + ceiling).contains(&pause), "{time}: {pause:?}");
        assert_eq!(told, time == 5, "{time}");
    }
    assert!(sim.now.mono - began > 196 * seconds(60), "so a server that drops everybody is left in peace");
}

#[test]
fn the_fifth_short_session_within_ten_minutes_is_told_with_its_rule_before_the_pause_it_lengthens() {
    let mut sim = Sim::online();
    for _ in 0..4 {
        assert!(!session(&mut sim, seconds(59)).1);
    }
    let did = hold(&mut sim, millis(59_999));
    let rule = EventKind::Flapping { sessions: 5, window: seconds(600), floor: seconds(60) };
    assert!(matches!(did.events()[..], [told, EventKind::Reconnecting { .. }] if *told == rule), "{did:?}");
}

#[test]
fn five_short_sessions_over_more_than_ten_minutes_are_not_flapping() {
    let mut sim = Sim::online();
    for _ in 0..20 {
        let (pause, told) = session(&mut sim, seconds(1));
        assert!(!told && pause <= seconds(2));
        assert!(!session(&mut sim, seconds(160)).1);
    }
}

#[test]
fn failed_attempts_are_not_short_sessions() {
    let mut sim = Sim::online();
    sim.lose();
    for _ in 0..50 {
        sim.due();
        let did = sim.lose();
        assert!(did.reconnecting().1 <= seconds(60));
        assert_eq!(did.events().len(), 1);
    }
}

#[test]
fn the_floor_and_the_word_last_until_a_session_holds_however_slow_the_flapping_is() {
    let mut sim = Sim::online();
    let sessions: Vec<(Duration, bool)> = (0..100).map(|_| session(&mut sim, seconds(59))).collect();
    let told = sessions.iter().position(|(_, told)| *told).unwrap();
    assert_eq!(sessions.iter().filter(|(_, told)| *told).count(), 1, "said once");
    assert!(sessions[told..].iter().all(|(pause, _)| *pause >= seconds(60)));
}

#[test]
fn a_stable_session_ends_it_and_the_next_time_it_is_told_again() {
    let mut sim = Sim::online();
    for _ in 0..3 {
        let told = (0..5).filter(|_| session(&mut sim, seconds(1)).1).count();
        assert_eq!(told, 1);
        let (pause, told) = session(&mut sim, seconds(60));
        assert!(pause <= seconds(1) && !told, "{pause:?}");
    }
}

#[test]
fn a_stable_session_between_short_ones_does_not_hide_them() {
    let mut sim = Sim::online();
    let held = [1, 1, 1, 61, 1, 1].map(seconds);
    let told: Vec<bool> = held.into_iter().map(|held| session(&mut sim, held).1).collect();
    assert_eq!(told, [false, false, false, false, false, true]);
}

#[test]
fn attempts_that_succeed_are_not_held_against_a_flapping_connection() {
    let mut sim = Sim::online_with(policy(|policy| policy.max_attempts = Some(2)));
    assert_eq!((0..20).filter(|_| session(&mut sim, seconds(1)).1).count(), 1);
    hold(&mut sim, seconds(1));
    sim.due();
    sim.lose();
    sim.due();
    let did = sim.lose();
    let DisconnectReason::AttemptsExhausted { attempts: 2, .. } = did.reason().unwrap() else { panic!("{did:?}") };
    assert_eq!(did.reason().unwrap().code(), Some(Code::DISCONNECTED));
}

#[test]
fn the_rule_is_configurable_and_can_be_switched_off() {
    let mut sim = Sim::online_with(policy(|policy| {
        let rule = policy.flapping.as_mut().unwrap();
        (rule.sessions, rule.floor) = (2, seconds(3));
    }));
    assert!(!session(&mut sim, seconds(1)).1);
    let (pause, told) = session(&mut sim, seconds(1));
    assert!(told && (seconds(3)..=seconds(5)).contains(&pause));

    let mut sim = Sim::online_with(policy(|policy| policy.flapping = None));
    assert!((0..200).all(|_| session(&mut sim, seconds(1)) <= (seconds(60), false)));
}
