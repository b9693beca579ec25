//! Sent messages and their answers (connection spec §8).

use agora_chat::{
    Code, LossCause, Outgoing, SendError,
    session::{Action, Input},
    wire::{CommSyncDl, MSync, msync::Command},
};

use crate::{
    peer,
    sim::{Did, Sim, by_token, config, hello, millis, pending_sends, seconds},
};

fn only(did: &Did) -> (u64, &Result<agora_chat::Sent, SendError>) {
    let outcomes = did.outcomes();
    assert_eq!(outcomes.len(), 1, "{did:?}");
    outcomes[0]
}

#[test]
fn an_answer_belongs_to_the_send_of_its_meta_id() {
    let mut sim = Sim::online();
    for id in [1, 2, 3] {
        sim.step(hello(id));
    }
    for id in [2, 3, 1] {
        let did = sim.frame(&peer::answer(id, 0, None));
        let (client_id, outcome) = only(&did);
        let sent = outcome.as_ref().unwrap();
        assert_eq!((client_id, sent.client_id, sent.server_id, sent.timestamp), (id, id, 1000 + id, 5));
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_ignored_with_all_that_is_in_its_frame() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    assert!(sim.frame(&peer::answer(2, 0, None)).0.is_empty());
    sim.frame(&peer::answer(1, 0, None));
    assert!(sim.frame(&peer::answer(1, 0, None)).0.is_empty(), "answered before");
    let with_metas = peer::sync(CommSyncDl {
        meta_id: Some(5),
        metas: vec![peer::text(1, "x")],
        queue: Some(peer::user("bob")),
        next_key: Some(3),
        ..CommSyncDl::default()
    });
    assert!(sim.frame(&with_metas).0.is_empty());
}

#[test]
fn a_refused_send_has_its_code_and_costs_nothing_else() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    sim.step(hello(2));
    let did = sim.frame(&peer::answer(1, 1, Some("blocked")));
    assert_eq!(only(&did).1.as_ref().unwrap_err().code(), Code::PERMISSION_DENIED);
    assert!(only(&sim.frame(&peer::answer(2, 0, None))).1.is_ok());
}

#[test]
fn an_answer_without_a_status_settles_the_send_as_not_understood() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    let bare = CommSyncDl { meta_id: Some(1), ..CommSyncDl::default() };
    let did = sim.frame(&MSync::from_server(Command::Sync, &bare).to_bytes());
    assert_eq!(only(&did).1.as_ref().unwrap_err().code(), Code::LOAD_MESSAGE_ERROR);
}

#[test]
fn unanswered_for_15_s_the_outcome_is_unknown_with_512_and_the_link_is_given_up() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    for _ in 0..14 {
        sim.pass(seconds(1));
        assert!(sim.step(Input::Alive).0.is_empty(), "other traffic is no answer");
    }
    assert_eq!(sim.left(), seconds(1));
    let did = sim.due();
    let (client_id, outcome) = only(&did);
    let error = SendError::OutcomeUnknown { client_id: 1, cause: LossCause::SendUnanswered };
    assert_eq!((client_id, outcome), (1, &Err(error.clone())));
    assert_eq!(error.code(), Code::SEND_TIMEOUT);
    assert_eq!(did.reconnecting().2, &LossCause::SendUnanswered);
}

#[test]
fn sends_that_still_had_time_when_another_ran_out_of_it_are_lost_with_the_link() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    sim.step(hello(2));
    sim.pass(seconds(1));
    sim.step(hello(3));
    let did = sim.run(seconds(14));
    let codes: Vec<_> =
        did.outcomes().iter().map(|(id, outcome)| (*id, outcome.as_ref().unwrap_err().code())).collect();
    assert_eq!(codes, [(1, Code::SEND_TIMEOUT), (2, Code::SEND_TIMEOUT), (3, Code::SEND_DISCONNECTED)]);
}

#[test]
fn the_limit_of_an_answer_is_configurable_and_the_oldest_send_falls_due_first() {
    let mut sim = Sim::online_with(config().send_timeout(millis(100)));
    sim.step(hello(1));
    sim.pass(millis(60));
    sim.step(hello(2));
    sim.pass(millis(30));
    assert_eq!(sim.left(), millis(10));
    sim.frame(&peer::answer(1, 0, None));
    assert_eq!(sim.left(), millis(70));
}

#[test]
fn a_lost_link_leaves_the_outcome_of_every_unanswered_send_unknown_with_510() {
    let mut sim = Sim::online();
    for id in 1..=5 {
        sim.step(hello(id));
    }
    sim.frame(&peer::answer(3, 0, None));
    let did = sim.lose();
    let ids: Vec<_> = did.outcomes().iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [1, 2, 4, 5]);
    for (client_id, outcome) in did.outcomes() {
        let error = SendError::OutcomeUnknown { client_id, cause: LossCause::Ended };
        assert_eq!((outcome, error.code()), (&Err(error.clone()), Code::SEND_DISCONNECTED));
    }
    sim.due();
    sim.accept();
    assert!(sim.frame(&peer::answer(1, 0, None)).0.is_empty(), "an answer over the next link comes too late");
}

#[test]
fn the_number_of_unanswered_sends_is_bounded() {
    let mut sim = Sim::online_with(config().limits(pending_sends(3)));
    for id in 1..=3 {
        assert_eq!(sim.step(hello(id)).kinds(), ["send"]);
    }
    let did = sim.step(hello(4));
    assert_eq!(only(&did), (4, &Err(SendError::Backlog { limit: 3 })));
    assert!(did.kinds().is_empty());
    sim.frame(&peer::answer(2, 0, None));
    assert_eq!(sim.step(hello(5)).kinds(), ["send"]);
}

#[test]
fn an_id_of_nothing_or_in_use_is_refused_and_the_first_send_is_not_touched() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    for id in [0, 1] {
        let did = sim.step(hello(id));
        let error = only(&did).1.as_ref().unwrap_err();
        assert_eq!(error.code(), Code::MESSAGE_PARAMETER_ERROR);
        match id {
            0 => assert!(matches!(error, SendError::Invalid(_)), "{error}"),
            _ => assert_eq!(error, &SendError::InUse { client_id: 1 }),
        }
        assert!(did.kinds().is_empty());
    }
    assert!(only(&sim.frame(&peer::answer(1, 0, None))).1.is_ok());
}

#[test]
fn where_nothing_can_be_sent_the_error_says_why() {
    let refused = |sim: &mut Sim, error: SendError| {
        let did = sim.step(hello(9));
        assert_eq!(only(&did), (9, &Err(error)));
        assert!(matches!(did.0[..], [Action::Sent { .. }]));
    };
    let mut sim = Sim::new(config());
    refused(&mut sim, SendError::NotLoggedIn);
    sim.step(by_token());
    refused(&mut sim, SendError::NotLoggedIn);
    sim.accept();
    sim.step(Input::Close);
    refused(&mut sim, SendError::NotLoggedIn);
    sim.due();
    refused(&mut sim, SendError::NotLoggedIn);
    assert_eq!(SendError::NotLoggedIn.code().number(), 39);
}

#[test]
fn answers_that_arrive_while_logging_out_still_count_and_the_rest_is_unknown() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    sim.step(hello(2));
    assert!(sim.step(Input::Close).outcomes().is_empty());
    assert!(only(&sim.frame(&peer::answer(1, 0, None))).1.is_ok());
    let did = sim.frame(&peer::logged_out());
    assert_eq!(only(&did).1.as_ref().unwrap_err().code(), Code::SEND_DISCONNECTED);
}

#[test]
fn client_ids_are_unique_never_0_and_fit_a_signed_integer() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..100 {
        let mut sim = Sim::seeded(config(), seed);
        for _ in 0..100 {
            let id = sim.engine.next_client_id();
            assert!(id != 0 && i64::try_from(id).is_ok());
            assert!(seen.insert(id));
        }
    }
}

#[test]
fn a_text_goes_out_as_one_frame_to_its_recipient() {
    let message = Outgoing::text("bob", "hi").unwrap();
    let did = Sim::online().step(Input::Send { client_id: 4, message });
    let agora_chat::wire::Upward::Sync(sync) = &did.sent()[0] else { panic!("{did:?}") };
    let meta = sync.meta.as_ref().unwrap();
    assert_eq!((meta.id(), meta.to.as_ref()), (4, Some(&peer::user("bob"))));
}
