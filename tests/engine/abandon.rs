//! An end without a word to the server, in every state.

use agora_chat::{
    ConnectionState, DisconnectReason, LossCause, OpenError, SendError,
    session::{Action, Input},
};

use crate::{
    ledger::Place,
    sim::{Sim, hello},
    states::{Login, STATES, at},
};

#[test]
fn in_every_state_the_socket_is_reset_and_the_session_ends_for_the_reason_given() {
    for (way, place) in STATES {
        for reason in [DisconnectReason::LeaseLost, DisconnectReason::Moved, DisconnectReason::Paused] {
            let mut sim = at(way, place);
            let did = sim.step(Input::Abandon(reason.clone()));
            assert_eq!(did.kinds(), Vec::<&str>::new(), "{way:?} {place:?}: not a frame");
            assert_eq!(sim.engine.state(), ConnectionState::LoggedOut);
            if place == Place::Out {
                assert!(did.0.is_empty());
                continue;
            }
            assert!(matches!(did.0.first(), Some(Action::Reset)), "before anything else: {did:?}");
            assert!(did.closed() && !sim.engine.logout_answered());
            // The first reason of an end stays.
            let told = if place == Place::Bye { DisconnectReason::Closed } else { reason };
            assert_eq!(did.reason(), Some(&told), "{way:?} {place:?}");
            if way == Login && place != Place::Online {
                assert!(matches!(did.open_error(), OpenError::Ended { reason, .. } if *reason == told), "{place:?}");
            }
            assert!(sim.engine.deadline().is_none());
        }
    }
}

#[test]
fn a_send_that_went_out_has_an_unknown_outcome_and_one_that_was_kept_was_not_sent() {
    let mut sim = Sim::online();
    sim.step(hello(7));
    let did = sim.step(Input::Abandon(DisconnectReason::LeaseLost));
    let unknown = SendError::OutcomeUnknown { client_id: 7, cause: LossCause::ClosedHere };
    assert_eq!(did.outcomes(), [(7, &Err(unknown))]);
    let mut sim = Sim::online();
    sim.lose();
    sim.step(hello(8));
    let did = sim.step(Input::Abandon(DisconnectReason::Paused));
    assert_eq!(did.outcomes(), [(8, &Err(SendError::Ended(DisconnectReason::Paused)))]);
}
