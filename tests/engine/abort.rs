//! The end of whoever carries the actions out: the session ends at once, and every answer is true.

use std::time::Duration;

use agora_chat::{
    ConnectionState, DisconnectReason, LossCause, SendError,
    errors::ActorEnd,
    session::{Action, Input},
};

use crate::{
    peer,
    sim::{Did, Sim, by_token, config, hello},
};

const REASON: DisconnectReason = DisconnectReason::ActorEnded(ActorEnd::Panicked);

fn abort(sim: &mut Sim) -> Did {
    let did = sim.step(Input::Abort(ActorEnd::Panicked));
    assert!(did.closed());
    assert!(did.0.iter().any(|action| matches!(action, Action::Hangup)));
    assert_eq!(sim.engine.state(), ConnectionState::LoggedOut);
    assert!(!sim.engine.logout_answered());
    did
}

#[test]
fn online_it_says_goodbye_without_waiting_and_leaves_the_outcome_of_what_was_written_open() {
    let mut sim = Sim::online();
    sim.step(hello(7));
    let did = abort(&mut sim);
    assert_eq!(did.kinds(), ["LOGOUT"]);
    assert_eq!(did.reason(), Some(&REASON));
    let unknown = SendError::OutcomeUnknown { client_id: 7, cause: LossCause::ClosedHere };
    assert_eq!(did.outcomes(), [(7, &Err(unknown))]);
}

#[test]
fn without_a_link_it_says_that_what_was_kept_was_not_sent() {
    let mut sim = Sim::online();
    sim.lose();
    sim.step(hello(7));
    let did = abort(&mut sim);
    assert!(did.kinds().is_empty(), "there is nobody to say goodbye to");
    assert_eq!(did.reason(), Some(&REASON));
    assert_eq!(did.outcomes(), [(7, &Err(SendError::Ended(REASON)))]);
}

#[test]
fn it_answers_a_login_under_way_and_does_nothing_where_there_is_no_session() {
    let mut sim = Sim::new(config());
    assert!(sim.step(Input::Abort(ActorEnd::Stopped)).0.is_empty());
    sim.step(by_token());
    let did = abort(&mut sim);
    assert!(did.opened().unwrap().is_err());
    assert_eq!(did.reason(), Some(&REASON));
}

#[test]
fn a_logout_under_way_keeps_its_reason_and_is_not_taken_for_answered() {
    let mut sim = Sim::online();
    sim.step(Input::Close);
    let did = abort(&mut sim);
    assert!(did.kinds().is_empty(), "LOGOUT is not said twice");
    assert_eq!(did.reason(), Some(&DisconnectReason::Closed));
}

#[test]
fn a_logout_is_answered_where_the_server_answered_it_and_by_nothing_else() {
    let mut sim = Sim::online_with(config());
    sim.step(Input::Close);
    let did = sim.frame(&peer::logged_out());
    assert!(did.closed() && sim.engine.logout_answered());
    sim.step(by_token());
    assert!(!sim.engine.logout_answered(), "that was another session");
    let mut sim = Sim::online_with(config().logout_timeout(Duration::from_secs(1)));
    sim.step(Input::Close);
    sim.pass(Duration::from_secs(2));
    let did = sim.due();
    assert!(did.closed() && !sim.engine.logout_answered());
}
