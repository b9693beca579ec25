//! A logout that waits for the message handler.

use std::time::Duration;

use agora_chat::{
    ConnectionState, DisconnectReason, EventMask, KickPolicy,
    session::{Action, Input},
};

use crate::{
    ledger::Place,
    peer,
    sim::{Did, Sim, config, hello, millis, seconds},
    states::{STATES, at},
};

const LIMIT: Duration = seconds(10);

/// Online, with a page of one message at the handler.
fn busy() -> Sim {
    let mut sim = Sim::online();
    sim.engine.set_handled(EventMask::MESSAGE);
    sim.frame(&peer::unread(&[peer::user("bob"), peer::user("carol")]));
    sim.frame(&peer::page(&peer::user("bob"), vec![peer::text(1, "x")], 4));
    assert!(sim.given().is_some());
    sim
}

fn close_within(sim: &mut Sim, limit: Duration, reason: DisconnectReason) -> Did {
    sim.step(Input::CloseWithin { limit, reason })
}

fn handled(sim: &mut Sim) -> Did {
    let page = sim.given().unwrap();
    sim.step(Input::Handled { page })
}

#[test]
fn what_the_handler_does_in_time_is_acknowledged_before_the_logout() {
    let mut sim = busy();
    assert!(close_within(&mut sim, LIMIT, DisconnectReason::Moved).0.is_empty());
    assert_eq!(sim.engine.state(), ConnectionState::Online);
    sim.pass(seconds(3));
    let did = handled(&mut sim);
    assert_eq!(did.kinds(), ["pull", "LOGOUT"]);
    assert_eq!(did.pulls()[0], ("bob".to_owned(), Some(4)), "which acknowledges");
    let did = sim.frame(&peer::logged_out());
    assert_eq!(did.reason(), Some(&DisconnectReason::Moved));
    assert!(did.closed() && sim.engine.logout_answered());
}

#[test]
fn after_the_limit_it_logs_out_and_what_is_not_handled_is_not_acknowledged() {
    let mut sim = busy();
    close_within(&mut sim, LIMIT, DisconnectReason::Paused);
    assert!(!sim.run(LIMIT - millis(1)).kinds().contains(&"LOGOUT"));
    let did = sim.run(millis(1));
    assert_eq!(did.kinds(), ["LOGOUT"]);
    assert!(handled(&mut sim).0.is_empty(), "it is too late");
    assert_eq!(sim.frame(&peer::logged_out()).reason(), Some(&DisconnectReason::Paused));
}

#[test]
fn with_nothing_in_hand_or_no_time_it_logs_out_at_once() {
    let mut sim = Sim::online();
    assert_eq!(close_within(&mut sim, LIMIT, DisconnectReason::Closed).kinds(), ["LOGOUT"]);
    let mut sim = busy();
    assert_eq!(close_within(&mut sim, Duration::ZERO, DisconnectReason::Closed).kinds(), ["LOGOUT"]);
}

#[test]
fn nothing_more_is_pulled_taken_or_handed_out_and_sends_go_on() {
    let mut sim = busy();
    close_within(&mut sim, LIMIT, DisconnectReason::Closed);
    assert!(sim.frame(&peer::notice(&peer::user("dave"))).pulls().is_empty());
    let did = sim.frame(&peer::page(&peer::user("carol"), vec![peer::text(2, "y")], 5));
    assert!(did.events().is_empty() && did.pulls().is_empty(), "it comes with the next login: {did:?}");
    assert!(!did.0.iter().any(|action| matches!(action, Action::Deliver(_) | Action::Publish(_))));
    assert_eq!(sim.step(hello(3)).kinds(), ["send"], "the handler can answer");
    sim.frame(&peer::answer(3, 0, None));
    assert_eq!(handled(&mut sim).kinds(), ["pull", "LOGOUT"]);
    assert_eq!(sim.frame(&peer::logged_out()).reason(), Some(&DisconnectReason::Closed));
}

#[test]
fn a_page_that_is_put_off_is_none_to_wait_for() {
    let mut sim = busy();
    close_within(&mut sim, LIMIT, DisconnectReason::Closed);
    let page = sim.given().unwrap();
    let did = sim.step(Input::Postponed { page, handled: 0, pause: seconds(1) });
    assert_eq!(did.kinds(), ["LOGOUT"], "and it is not acknowledged");
}

#[test]
fn a_lost_link_and_a_kick_end_it() {
    let mut sim = busy();
    close_within(&mut sim, LIMIT, DisconnectReason::Moved);
    let did = sim.lose();
    assert_eq!(did.reason(), Some(&DisconnectReason::Moved));
    assert!(did.closed(), "it does not come back");
    let mut sim = Sim::online_with(config().kick_policy(KickPolicy::TakeOver { times: 9, window: seconds(60) }));
    sim.engine.set_handled(EventMask::MESSAGE);
    sim.frame(&peer::unread(&[peer::user("bob")]));
    sim.frame(&peer::page(&peer::user("bob"), vec![peer::text(1, "x")], 4));
    close_within(&mut sim, LIMIT, DisconnectReason::Moved);
    let did = sim.frame(&peer::kick(2));
    assert!(matches!(did.reason(), Some(DisconnectReason::Kicked(_))), "{did:?}");
}

#[test]
fn a_close_meanwhile_does_not_wait_and_a_second_limit_can_only_be_sooner() {
    let mut sim = busy();
    close_within(&mut sim, LIMIT, DisconnectReason::Moved);
    assert_eq!(sim.step(Input::Close).kinds(), ["LOGOUT"]);
    assert_eq!(sim.frame(&peer::logged_out()).reason(), Some(&DisconnectReason::Moved), "the first reason stays");
    let mut sim = busy();
    close_within(&mut sim, LIMIT, DisconnectReason::Moved);
    close_within(&mut sim, seconds(2), DisconnectReason::Closed);
    close_within(&mut sim, seconds(60), DisconnectReason::Closed);
    assert_eq!(sim.run(seconds(2)).kinds(), ["LOGOUT"]);
    assert_eq!(sim.frame(&peer::logged_out()).reason(), Some(&DisconnectReason::Moved));
    let mut sim = busy();
    close_within(&mut sim, LIMIT, DisconnectReason::Moved);
    let did = sim.step(Input::Abandon(DisconnectReason::LeaseLost));
    assert_eq!((did.kinds().len(), did.reason()), (0, Some(&DisconnectReason::LeaseLost)));
}

#[test]
fn in_every_state_without_a_link_it_ends_at_once() {
    for (way, place) in STATES {
        let mut sim = at(way, place);
        let did = close_within(&mut sim, LIMIT, DisconnectReason::Paused);
        match place {
            Place::Out => assert!(did.closed()),
            Place::Online => assert_eq!(did.kinds(), ["LOGOUT"]),
            Place::Bye => assert!(did.0.is_empty()),
            _ => assert_eq!(did.reason(), Some(&DisconnectReason::Paused), "{way:?} {place:?}"),
        }
    }
    let mut sim = busy();
    sim.lose();
    let did = close_within(&mut sim, LIMIT, DisconnectReason::Paused);
    assert!(did.closed() && !matches!(did.reason(), Some(DisconnectReason::AttemptsExhausted { .. })));
}
