//! What follows a kick, by policy; two clients with one account and one device.

use std::time::Duration;

use agora_chat::{
    Code, ConfigBuilder, DisconnectReason, KickPolicy, LossCause, Reconnect,
    errors::Kick,
    session::{Action, Input},
};

use crate::{
    ledger::Place,
    peer,
    sim::{Did, Sim, by_token, config, hello, seconds},
};

const PAUSE: Duration = seconds(30);

fn with(policy: KickPolicy) -> ConfigBuilder {
    config().kick_policy(policy)
}

fn take_over(times: u32, window: Duration) -> KickPolicy {
    KickPolicy::TakeOver { times, window }
}

fn kicked_for_another() -> DisconnectReason {
    DisconnectReason::Kicked(Kick::LoggedInElsewhere { ext: None })
}

#[test]
fn under_park_one_kick_ends_the_session() {
    let mut sim = Sim::online_with(with(KickPolicy::Park));
    assert_eq!(sim.frame(&peer::kick(2)).reason(), Some(&kicked_for_another()));
    assert_eq!(sim.place(), Place::Out);
}

#[test]
fn under_retry_every_kick_is_followed_by_its_pause_and_the_ladders_and_flapping_slows_it_down() {
    let mut sim = Sim::online_with(with(KickPolicy::RetryAfter(PAUSE)));
    for time in 1..=200 {
        sim.step(hello(time));
        let did = sim.frame(&peer::kick(2));
        let (_, pause, cause) = did.reconnecting();
        assert!(matches!(cause, LossCause::Kicked(Kick::LoggedInElsewhere { .. })));
        assert_eq!(cause.code(), Code::USER_LOGIN_ANOTHER_DEVICE);
        let least = if time < 5 { PAUSE } else { seconds(60) };
        assert!((least..=least + seconds(60)).contains(&pause), "{time}: {pause:?}");
        assert_eq!(did.outcomes().len(), 1, "what was sent is settled");
        assert!(did.0.iter().any(|action| matches!(action, Action::Hangup)));
        assert_eq!(sim.due().dialed().len(), 1);
        sim.accept();
    }
}

#[test]
fn under_take_over_the_place_is_taken_back_so_often_a_window_and_then_left() {
    for times in [1, 3, 10] {
        let mut sim = Sim::online_with(with(take_over(times, seconds(3600))));
        for _ in 0..times {
            sim.frame(&peer::kick(4)).reconnecting();
            sim.due();
            sim.accept();
        }
        assert_eq!(sim.frame(&peer::kick(4)).reason(), Some(&DisconnectReason::Kicked(Kick::ByOtherDevice)));
    }
}

#[test]
fn a_take_over_counts_anew_once_its_window_is_over_and_in_the_next_session() {
    let mut sim = Sim::online_with(with(take_over(1, seconds(100))));
    for _ in 0..3 {
        sim.frame(&peer::kick(2)).reconnecting();
        sim.due();
        sim.accept();
        for _ in 0..11 {
            sim.pass(seconds(10));
            sim.step(Input::Alive);
        }
    }
    sim.frame(&peer::kick(2)).reconnecting();
    sim.due();
    sim.accept();
    assert!(sim.frame(&peer::kick(2)).closed());
    sim.step(by_token());
    sim.accept();
    sim.frame(&peer::kick(2)).reconnecting();
}

#[test]
fn a_removed_user_and_a_changed_password_end_the_session_under_every_policy() {
    for policy in [KickPolicy::Park, KickPolicy::RetryAfter(PAUSE), take_over(9, PAUSE)] {
        for operation in [1, 3] {
            assert!(Sim::online_with(with(policy.clone())).frame(&peer::kick(operation)).closed());
        }
    }
}

#[test]
fn a_return_that_is_refused_for_good_ends_the_session_and_one_that_may_pass_is_tried_again() {
    for policy in [KickPolicy::RetryAfter(PAUSE), take_over(3, seconds(600))] {
        let back = || {
            let mut sim = Sim::online_with(with(policy.clone()));
            sim.frame(&peer::kick(2)).reconnecting();
            sim.due();
            sim.step(Input::Connected);
            sim
        };
        let did = back().frame(&peer::refused(13, Some("too many devices")));
        assert_eq!(did.reason().unwrap().code(), Some(Code::TOO_MANY_DEVICES));
        let mut sim = back();
        let did = sim.frame(&peer::refused(1, Some("come later")));
        let (attempt, pause, _) = did.reconnecting();
        assert_eq!(attempt, 2);
        assert!(pause <= seconds(2), "the pause after the kick is over: {pause:?}");
        sim.due();
        sim.accept();
    }
}

#[test]
fn where_no_attempt_is_left_the_reason_told_is_the_kick() {
    let reconnect = |change: fn(&mut Reconnect)| {
        let mut policy = Reconnect::default();
        change(&mut policy);
        with(take_over(9, PAUSE)).reconnect(policy)
    };
    let mut off = Sim::online_with(reconnect(|policy| policy.enabled = false));
    assert_eq!(off.frame(&peer::kick(2)).reason(), Some(&kicked_for_another()));
}

#[test]
fn close_during_the_pause_after_a_kick_ends_the_session_at_once() {
    let mut sim = Sim::online_with(with(KickPolicy::RetryAfter(PAUSE)));
    sim.frame(&peer::kick(2));
    assert_eq!(sim.step(Input::Close).reason(), Some(&DisconnectReason::Closed));
}

/// How a fight over one place went.
struct Fight {
    kicks: u32,
    /// The reasons of those who gave up, by client.
    parked: [Option<DisconnectReason>; 2],
    online: [bool; 2],
}

/// Two clients of one account and one device at a server that kicks the one for the other, for so long.
fn fight(policies: [KickPolicy; 2], time: Duration) -> Fight {
    let [first, second] = policies;
    let mut clients = [Sim::seeded(with(first), 1), Sim::seeded(with(second), 2)];
    let mut fight = Fight { kicks: 0, parked: [None, None], online: [false; 2] };
    let end = clients[0].now.mono + time;
    for client in &mut clients {
        client.step(by_token());
    }
    loop {
        // Whoever knocks is let in, and the other one is pushed out.
        while let Some(at) = clients.iter().position(|client| client.place() == Place::Connect) {
            clients[at].accept();
            clients[at].frame(&peer::unread(&[]));
            let other = &mut clients[1 - at];
            if other.place() == Place::Online {
                fight.kicks += 1;
                note(&mut fight, 1 - at, &other.frame(&peer::kick(2)));
            }
        }
        let due = |client: &Sim| client.engine.deadline().unwrap_or(Duration::MAX);
        let at = usize::from(due(&clients[1]) < due(&clients[0]));
        let moment = due(&clients[at]);
        if moment > end {
            fight.online = [0, 1].map(|at| clients[at].place() == Place::Online);
            return fight;
        }
        for client in &mut clients {
            client.pass(moment.saturating_sub(client.now.mono));
        }
        let did = clients[at].step(Input::Tick);
        if did.kinds().contains(&"UNREAD") {
            clients[at].frame(&peer::unread(&[]));
        }
        note(&mut fight, at, &did);
    }
}

fn note(fight: &mut Fight, at: usize, did: &Did) {
    if let Some(reason) = did.reason() {
        fight.parked[at] = Some(reason.clone());
    }
}

#[test]
fn two_clients_of_one_device_stop_after_a_bounded_number_of_kicks_and_one_keeps_the_place() {
    let long = seconds(24 * 60 * 60);
    let hour = seconds(3600);
    for (policies, kicks) in [
        ([KickPolicy::Park, KickPolicy::Park], 1),
        ([KickPolicy::Park, take_over(3, hour)], 1),
        ([take_over(1, hour), take_over(1, hour)], 3),
        ([take_over(3, hour), take_over(3, hour)], 7),
        ([take_over(10, hour), take_over(10, hour)], 21),
        ([take_over(3, hour), KickPolicy::Park], 2),
        ([take_over(2, hour), KickPolicy::RetryAfter(PAUSE)], 5),
    ] {
        let fight = fight(policies.clone(), long);
        assert_eq!(fight.kicks, kicks, "{policies:?}");
        let parked: Vec<_> = fight.parked.iter().flatten().collect();
        assert_eq!(parked, [&kicked_for_another()], "one gives up and says why: {policies:?}");
        assert_eq!(fight.online.iter().filter(|online| **online).count(), 1, "{policies:?}");
    }
}

#[test]
fn two_clients_that_both_retry_for_ever_are_slowed_down_to_the_floor() {
    let hours = 10;
    let fight = fight([KickPolicy::RetryAfter(PAUSE), KickPolicy::RetryAfter(PAUSE)], seconds(hours * 3600));
    assert_eq!(fight.parked, [None, None]);
    let most = u32::try_from(hours * 60 * 2).unwrap() + 20;
    assert!((100..most).contains(&fight.kicks), "{} kicks", fight.kicks);
}
