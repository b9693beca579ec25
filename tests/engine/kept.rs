//! Sends made while the link is being regained (messages spec §1.10): kept, sent once and in order, or surely not sent.
//! That each goes out at most once, in order, and that what is said not to have gone out never did, is checked at every
//! step by the [`Ledger`](crate::ledger::Ledger).

use std::time::Duration;

use agora_chat::{
    Code, ConfigBuilder, DisconnectReason, KickPolicy, Limits, LossCause, Outgoing, Reconnect, SendError,
    errors::{ConfigError, Kick, RefusalKind},
    session::{Action, Input},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    ledger::{Place, client_id},
    peer,
    sim::{Did, Sim, config, hello, millis, seconds},
};

/// Online, then without a link.
fn lost(config: ConfigBuilder) -> Sim {
    let mut sim = Sim::online_with(config);
    sim.lose();
    sim
}

fn limits(change: impl FnOnce(&mut Limits)) -> ConfigBuilder {
    let mut limits = Limits::default();
    change(&mut limits);
    config().limits(limits)
}

/// Pauses of nearly nothing, so that ages are those a test lets pass.
fn prompt() -> ConfigBuilder {
    let mut policy = Reconnect::default();
    (policy.base, policy.cap) = (millis(1), millis(1));
    policy.flapping = None;
    config().reconnect(policy)
}

fn give(sim: &mut Sim, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        let did = sim.step(hello(id));
        assert!(did.0.is_empty(), "it is kept in silence: {did:?}");
    }
}

/// The client ids that went out, in order.
fn went_out(did: &Did) -> Vec<u64> {
    let frames = did.0.iter().filter_map(|action| match action {
        Action::Transmit(frame) if frame.kind() == "send" => Some(client_id(frame)),
        _ => None,
    });
    frames.collect()
}

fn errors(did: &Did) -> Vec<(u64, &SendError)> {
    did.outcomes().into_iter().map(|(id, outcome)| (id, outcome.as_ref().unwrap_err())).collect()
}

#[test]
fn what_is_sent_while_the_link_is_down_goes_out_in_order_after_the_login_and_before_the_heartbeat() {
    let mut sim = lost(config());
    give(&mut sim, [5, 3]);
    sim.due();
    assert_eq!(sim.place(), Place::Connect);
    give(&mut sim, [9]);
    assert_eq!(sim.step(Input::Connected).kinds(), ["PROVISION"]);
    give(&mut sim, [1]);
    assert_eq!((sim.engine.buffered_sends(), sim.engine.pending_sends()), (4, 0));
    let did = sim.frame(&peer::accepted());
    assert_eq!(did.kinds(), ["send", "send", "send", "send", "UNREAD"]);
    assert_eq!(went_out(&did), [5, 3, 9, 1]);
    assert_eq!((sim.engine.buffered_sends(), sim.engine.pending_sends()), (0, 4));
    assert_eq!(went_out(&sim.step(hello(2))), [2], "one made right after comes behind them");
    for id in [5, 3, 9, 1, 2] {
        assert!(sim.frame(&peer::answer(id, 0, None)).outcomes()[0].1.is_ok());
    }
}

#[test]
fn the_time_for_the_answer_begins_when_the_message_is_written() {
    let mut sim = lost(prompt());
    give(&mut sim, [1]);
    sim.pass(seconds(50));
    sim.due();
    sim.accept();
    sim.frame(&peer::unread(&[]));
    assert_eq!(sim.left(), seconds(15));
    let did = sim.due();
    let [(1, SendError::OutcomeUnknown { cause: LossCause::SendUnanswered, .. })] = errors(&did)[..] else {
        panic!("{did:?}")
    };
}

#[test]
fn a_message_kept_for_longer_than_allowed_fails_and_never_goes_out() {
    let mut sim = lost(config().buffer_sends_for(seconds(3)));
    give(&mut sim, [1]);
    sim.pass(seconds(1));
    give(&mut sim, [2]);
    sim.step(Input::Tick);
    let did = sim.run(seconds(2));
    let error = SendError::Expired { client_id: 1, waited: seconds(3) };
    assert_eq!(errors(&did), [(1, &error)]);
    assert_eq!(error.code(), Code::DISCONNECTED);
    assert!(error.to_string().contains("3.0 s") && error.to_string().contains("buffer_sends_for"), "{error}");
    let did = sim.run(seconds(1));
    assert_eq!(errors(&did), [(2, &SendError::Expired { client_id: 2, waited: seconds(3) })]);
    assert_eq!(sim.engine.buffered_sends(), 0);
}

#[test]
fn the_age_of_the_oldest_kept_message_wakes_the_engine_at_every_step_of_the_way_back() {
    for steps in 0..=2 {
        let mut sim = lost(config().buffer_sends_for(millis(10)));
        if steps > 0 {
            sim.due();
        }
        if steps > 1 {
            sim.step(Input::Connected);
        }
        assert!(sim.left() > millis(10), "{:?} would come first", sim.left());
        give(&mut sim, [1]);
        assert_eq!(sim.left(), millis(10));
        assert_eq!(sim.due().outcomes().len(), 1);
    }
}

#[test]
fn nothing_too_old_goes_out_though_the_timer_is_late() {
    let mut sim = lost(prompt().buffer_sends_for(seconds(5)));
    sim.due();
    sim.step(Input::Connected);
    give(&mut sim, [1]);
    sim.pass(seconds(2));
    give(&mut sim, [2]);
    sim.pass(seconds(3));
    let did = sim.frame(&peer::accepted());
    assert_eq!(errors(&did), [(1, &SendError::Expired { client_id: 1, waited: seconds(5) })]);
    assert_eq!(went_out(&did), [2]);
}

#[test]
fn a_minute_is_kept_by_default() {
    let mut sim = lost(config());
    give(&mut sim, [1]);
    assert!(sim.run(seconds(60) - millis(1)).outcomes().is_empty());
    assert_eq!(sim.run(millis(1)).outcomes().len(), 1);
}

#[test]
fn the_number_of_kept_messages_is_bounded_and_by_that_of_unanswered_ones() {
    for (config, bound) in [
        (limits(|limits| limits.buffered_sends = 3), 3),
        (limits(|limits| (limits.buffered_sends, limits.pending_sends) = (3, 2)), 2),
        (config(), 256),
    ] {
        let mut sim = lost(config);
        give(&mut sim, 1..=bound);
        let did = sim.step(hello(1000));
        let limit = usize::try_from(bound).unwrap();
        assert_eq!(errors(&did), [(1000, &SendError::Backlog { limit })]);
        sim.due();
        assert_eq!(went_out(&sim.accept()), (1..=bound).collect::<Vec<_>>());
    }
}

#[test]
fn the_bytes_of_kept_messages_are_bounded_by_the_outbox() {
    let mut sim = lost(limits(|limits| limits.outbox = 1024));
    let large = |client_id| {
        let message = Outgoing::text("bob", "x".repeat(300)).unwrap();
        Input::Send { client_id, message }
    };
    for id in [1, 2] {
        assert!(sim.step(large(id)).0.is_empty());
    }
    assert_eq!(errors(&sim.step(large(3))), [(3, &SendError::OutboxFull { limit: 1024 })]);
    give(&mut sim, [4]);
    let message = Outgoing::text("bob", "x".repeat(2000)).unwrap();
    let did = sim.step(Input::Send { client_id: 5, message });
    let [(5, SendError::TooLarge { limit: 1024, .. })] = errors(&did)[..] else { panic!("{did:?}") };
    sim.due();
    assert_eq!(went_out(&sim.accept()), [1, 2, 4]);
    sim.lose();
    assert!(sim.step(large(6)).0.is_empty(), "and there is room again");
}

#[test]
fn keeping_can_be_switched_off_and_then_a_send_without_a_link_fails_at_once() {
    let mut sim = lost(limits(|limits| limits.buffered_sends = 0));
    for _ in 0..3 {
        let did = sim.step(hello(1));
        assert_eq!(errors(&did), [(1, &SendError::Reconnecting)]);
        match sim.place() {
            Place::Pause => drop(sim.due()),
            _ => drop(sim.step(Input::Connected)),
        }
    }
    assert_eq!(SendError::Reconnecting.code(), Code::DISCONNECTED);
    assert!(went_out(&sim.frame(&peer::accepted())).is_empty());
}

#[test]
fn a_kept_message_keeps_its_id_and_an_id_in_use_is_refused_without_disturbing_it() {
    let mut sim = lost(config());
    give(&mut sim, [1, 2]);
    for id in [0, 1] {
        let did = sim.step(hello(id));
        let [(told, error)] = errors(&did)[..] else { panic!("{did:?}") };
        assert_eq!((told, matches!(error, SendError::InUse { client_id: 1 })), (id, id == 1), "{error}");
    }
    sim.due();
    assert_eq!(went_out(&sim.accept()), [1, 2]);
    let did = sim.step(hello(1));
    let [(1, SendError::InUse { client_id: 1 })] = errors(&did)[..] else { panic!("{did:?}") };
    assert!(sim.frame(&peer::answer(1, 0, None)).outcomes()[0].1.is_ok());
}

#[test]
fn an_id_is_free_again_once_its_outcome_is_known_so_that_a_lost_send_can_be_repeated_under_it() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    assert!(matches!(errors(&sim.lose())[..], [(1, SendError::OutcomeUnknown { .. })]));
    give(&mut sim, [1]);
    sim.due();
    assert_eq!(went_out(&sim.accept()), [1]);
    assert!(sim.frame(&peer::answer(1, 0, None)).outcomes()[0].1.is_ok());
    assert_eq!(went_out(&sim.step(hello(1))), [1]);
}

#[test]
fn fresh_ids_stay_clear_of_every_id_that_was_chosen() {
    let mut sim = Sim::online();
    let first = sim.engine.next_client_id();
    for ahead in [1, 2, 10, 11, 1_000_000] {
        let chosen = first + ahead;
        sim.step(hello(chosen));
        sim.frame(&peer::answer(chosen, 0, None));
        assert_eq!(sim.engine.next_client_id(), chosen + 1);
    }
    let next = first + 1_000_002;
    for chosen in [1, first, u64::MAX, next + (1 << 31)] {
        sim.step(hello(chosen));
    }
    assert_eq!(sim.engine.next_client_id(), next, "what lies behind or out of reach moves nothing");
}

#[test]
fn whatever_ends_the_session_tells_kept_messages_that_they_were_not_sent_and_why() {
    let refused = |sim: &mut Sim| {
        sim.due();
        sim.step(Input::Connected);
        sim.frame(&peer::refused(12, None))
    };
    let exhausted = |sim: &mut Sim| {
        sim.due();
        sim.lose()
    };
    let mut once = Reconnect::default();
    once.max_attempts = Some(1);
    let once = config().reconnect(once);
    type End<'a> = &'a dyn Fn(&mut Sim) -> Did;
    let ends: [(&str, ConfigBuilder, End<'_>); 5] = [
        ("closed in the pause", config(), &|sim| sim.step(Input::Close)),
        ("closed on the way", config(), &|sim| {
            sim.due();
            sim.step(Input::Close)
        }),
        ("closed before PROVISION's answer", config(), &|sim| {
            sim.due();
            sim.step(Input::Connected);
            sim.step(Input::Close)
        }),
        ("refused", config(), &refused),
        ("exhausted", once, &exhausted),
    ];
    for (name, config, end) in ends {
        let mut sim = lost(config);
        give(&mut sim, [1, 2]);
        let did = end(&mut sim);
        let reason = did.reason().expect("it is told").clone();
        match name {
            "refused" => {
                let DisconnectReason::Refused(refusal) = &reason else { panic!("{reason}") };
                assert_eq!(refusal.kind(), RefusalKind::ServingDisabled);
            }
            "exhausted" => assert!(matches!(reason, DisconnectReason::AttemptsExhausted { attempts: 1, .. })),
            _ => assert_eq!(reason, DisconnectReason::Closed),
        }
        let error = SendError::Ended(reason);
        assert_eq!(errors(&did), [(1, &error), (2, &error)], "{name}");
        assert_eq!(error.code(), Code::SEND_DISCONNECTED);
        assert!(did.closed() && sim.engine.buffered_sends() == 0);
    }
}

#[test]
fn messages_sent_after_a_kick_that_is_returned_from_are_kept_too() {
    let mut sim = Sim::online_with(config().kick_policy(KickPolicy::RetryAfter(seconds(5))));
    sim.step(hello(1));
    let did = sim.frame(&peer::kick(2));
    let kicked = LossCause::Kicked(Kick::LoggedInElsewhere { ext: None });
    assert_eq!(errors(&did), [(1, &SendError::OutcomeUnknown { client_id: 1, cause: kicked })]);
    give(&mut sim, [2]);
    sim.due();
    assert_eq!(went_out(&sim.accept()), [2]);
}

#[test]
fn the_token_ending_while_the_link_is_down_ends_what_is_kept() {
    let mut sim = Sim::online_for(config(), seconds(100));
    sim.lose();
    sim.pass(seconds(90));
    sim.step(Input::Tick);
    give(&mut sim, [1]);
    let did = sim.run(seconds(20));
    assert_eq!(errors(&did), [(1, &SendError::Ended(DisconnectReason::TokenExpired))]);
}

#[test]
fn the_time_and_number_of_kept_messages_have_their_ranges() {
    for wrong in [Duration::ZERO, millis(9), seconds(86_401)] {
        assert!(matches!(config().buffer_sends_for(wrong).build(), Err(ConfigError::Range { .. })), "{wrong:?}");
    }
    assert!([millis(10), seconds(86_400)].into_iter().all(|time| config().buffer_sends_for(time).build().is_ok()));
    let mut limits = Limits::default();
    limits.buffered_sends = 1_000_001;
    assert!(matches!(config().limits(limits).build(), Err(ConfigError::Range { .. })));
}

/// Where the link is cut in the life of one send, and what is promised of it then.
#[test]
fn a_cut_at_any_step_of_a_send_has_exactly_the_promised_outcome() {
    // Before it is written: it waits, and goes out on the next link.
    for steps in 0..=2 {
        let mut sim = lost(config());
        if steps > 0 {
            sim.due();
        }
        if steps > 1 {
            sim.step(Input::Connected);
        }
        give(&mut sim, [1]);
        // Any number of cuts on the way in changes nothing.
        for _ in 0..3 {
            assert!(sim.lose().outcomes().is_empty());
            let did = if sim.place() == Place::Pause { sim.due() } else { Did::default() };
            assert!(did.outcomes().is_empty());
        }
        assert_eq!(went_out(&sim.accept()), [1], "{steps}");
        assert!(sim.frame(&peer::answer(1, 0, None)).outcomes()[0].1.is_ok());
    }
    // After it was written, at once or after being kept, before its answer: unknown, and never sent again.
    for kept in [false, true] {
        let mut sim = Sim::online();
        if kept {
            sim.lose();
            give(&mut sim, [1]);
            sim.due();
            assert_eq!(went_out(&sim.accept()), [1]);
        } else {
            assert_eq!(went_out(&sim.step(hello(1))), [1]);
        }
        let unknown = SendError::OutcomeUnknown { client_id: 1, cause: LossCause::Ended };
        assert_eq!(errors(&sim.lose()), [(1, &unknown)]);
        for _ in 0..3 {
            sim.due();
            let did = sim.accept();
            assert!(went_out(&did).is_empty());
            assert!(sim.frame(&peer::answer(1, 0, None)).0.is_empty(), "what nobody waits for is ignored");
            sim.lose();
        }
    }
    // After its answer, taken or refused: settled, whatever the link does.
    for status in [0, 1] {
        let mut sim = Sim::online();
        sim.step(hello(1));
        assert_eq!(sim.frame(&peer::answer(1, status, None)).outcomes().len(), 1);
        assert!(sim.lose().outcomes().is_empty());
        sim.due();
        assert!(went_out(&sim.accept()).is_empty());
    }
}

#[derive(Clone, Debug)]
enum Event {
    Send,
    /// Under the id of an earlier send.
    Again(u8),
    Lose,
    /// The next step of the way back.
    Help,
    Answer(u8, bool),
    Due,
    Wait(u16),
    Close,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Send),
        1 => any::<u8>().prop_map(Event::Again),
        4 => Just(Event::Lose),
        8 => Just(Event::Help),
        5 => (any::<u8>(), any::<bool>()).prop_map(|(back, taken)| Event::Answer(back, taken)),
        2 => Just(Event::Due),
        2 => (0..4_000_u16).prop_map(Event::Wait),
        1 => Just(Event::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_any_losses_each_send_goes_out_at_most_once_in_order_and_has_exactly_one_outcome(
        seed in any::<u64>(),
        kept in 0..6_usize,
        keep_for in 1..8_u64,
        events in vec(event(), 1..150),
    ) {
        let config = limits(|limits| (limits.buffered_sends, limits.pending_sends) = (kept, 4));
        let mut sim = Sim::seeded(config.buffer_sends_for(seconds(keep_for)), seed);
        let (mut given, mut outcomes, mut last) = (0, 0, 0_u64);
        for event in &events {
            let id = |back: u8| u64::saturating_sub(last, u64::from(back % 8));
            let did = match event {
                Event::Send => {
                    last += 1;
                    given += 1;
                    sim.step(hello(last))
                }
                Event::Again(back) => {
                    given += 1;
                    sim.step(hello(id(*back)))
                }
                Event::Lose => sim.lose(),
                Event::Help => match sim.place() {
                    Place::Out => sim.step(crate::sim::by_token()),
                    Place::Connect => sim.step(Input::Connected),
                    Place::Provision => sim.frame(&peer::accepted()),
                    Place::Online => sim.frame(&peer::unread(&[])),
                    Place::Bye => sim.frame(&peer::logged_out()),
                    _ => sim.due(),
                },
                Event::Answer(back, taken) => sim.frame(&peer::answer(id(*back), i32::from(!taken), None)),
                Event::Due if sim.engine.deadline().is_some() => sim.due(),
                Event::Due => Did::default(),
                Event::Wait(time) => {
                    sim.pass(millis(u64::from(*time)));
                    sim.step(Input::Tick)
                }
                Event::Close => sim.step(Input::Close),
            };
            outcomes += did.outcomes().len();
            prop_assert!(sim.engine.buffered_sends() <= kept.min(4) && sim.engine.pending_sends() <= 4);
            prop_assert_eq!(given - outcomes, sim.engine.buffered_sends() + sim.engine.pending_sends());
        }
        outcomes += sim.step(Input::Close).outcomes().len();
        outcomes += sim.run_out().outcomes().len();
        prop_assert_eq!(given, outcomes);
    }
}
