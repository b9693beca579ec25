//! Pages that cannot be handled for now: let go of, tried again, and in nobody's way.

use std::time::Duration;

use agora_chat::{
    EventKind, EventMask, Limits,
    session::{Action, Input, PageId},
    wire::Meta,
};
use proptest::prelude::*;

use crate::{
    peer::{last, notice, page, text, unread, user},
    sim::{Did, Sim, by_token, config, millis, seconds},
};

fn handling(change: impl FnOnce(&mut Limits)) -> Sim {
    let mut limits = Limits::default();
    change(&mut limits);
    let mut sim = Sim::new(config().limits(limits));
    sim.engine.set_handled(EventMask::MESSAGE);
    sim.step(by_token());
    sim.accept();
    sim.frame(&unread(&[]));
    sim
}

fn texts(ids: std::ops::Range<u64>) -> Vec<Meta> {
    ids.map(|id| text(id, &id.to_string())).collect()
}

/// The one page given out: its id and those of its messages.
fn given(did: &Did) -> (PageId, Vec<u64>) {
    let mut pages =
        did.0.iter().filter_map(|action| if let Action::Deliver(page) = action { Some(page) } else { None });
    let page = pages.next().expect("a page");
    assert!(pages.next().is_none(), "one page of {did:?}");
    let ids = page.events.iter().map(|event| match event.event.kind() {
        EventKind::Message(message) => message.id,
        other => panic!("{other:?}"),
    });
    (page.id, ids.collect())
}

fn gives_nothing(did: &Did) -> bool {
    !did.0.iter().any(|action| matches!(action, Action::Deliver(_)))
}

fn told(did: &Did) -> usize {
    did.0.iter().filter(|action| matches!(action, Action::Publish(_))).count()
}

fn postpone(sim: &mut Sim, page: PageId, handled: usize, pause: Duration) -> Did {
    sim.step(Input::Postponed { page, handled, pause })
}

/// Runs up to a pull, which comes after a pause and up to a quarter of it more.
fn pulled_after(sim: &mut Sim, pause: Duration) -> Vec<(String, Option<u64>)> {
    assert!(sim.run(pause - millis(1)).pulls().is_empty(), "not before");
    sim.run(pause / 4 + millis(2)).pulls()
}

#[test]
fn a_page_that_is_postponed_is_let_go_of_and_pulled_again_from_the_key_before_it_once_its_pause_is_over() {
    let (mut sim, bob) = (handling(|_| {}), user("bob"));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    sim.step(Input::Handled { page: first });
    let did = sim.frame(&page(&bob, texts(3..6), 5));
    let (second, ids) = given(&did);
    assert_eq!((ids, told(&did)), (vec![3, 4, 5], 3));
    assert!(postpone(&mut sim, second, 1, seconds(10)).0.is_empty());
    assert_eq!((sim.engine.in_flight_bytes(), sim.engine.waiting_queues()), (0, 1));
    assert!(sim.frame(&notice(&bob)).pulls().is_empty(), "nor does a notice hurry it");
    assert_eq!(pulled_after(&mut sim, seconds(10)), [("bob".to_owned(), Some(2))]);
    let did = sim.frame(&page(&bob, texts(3..7), 6));
    let (again, ids) = given(&did);
    assert_eq!(ids, [4, 5, 6], "what was handled is not offered again");
    assert_eq!(told(&did), 1, "nor is told again what was told");
    assert_eq!(sim.step(Input::Handled { page: again }).pulls(), [("bob".to_owned(), Some(6))]);
    assert_eq!(sim.engine.waiting_queues(), 0);
}

#[test]
fn every_page_of_a_queue_that_came_is_let_go_of_and_comes_again_in_order() {
    let (mut sim, bob) = (handling(|_| {}), user("bob"));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    sim.frame(&page(&bob, texts(3..5), 4));
    postpone(&mut sim, first, 0, seconds(1));
    assert_eq!(sim.engine.in_flight_bytes(), 0);
    assert!(sim.frame(&page(&bob, texts(5..7), 6)).0.is_empty(), "what is pushed meanwhile is not taken");
    assert_eq!(pulled_after(&mut sim, seconds(1)), [("bob".to_owned(), None)]);
    let (first, ids) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    assert_eq!(ids, [1, 2]);
    assert_eq!(sim.step(Input::Handled { page: first }).pulls(), [("bob".to_owned(), Some(2))]);
    assert_eq!(given(&sim.frame(&page(&bob, texts(3..7), 6))).1, [3, 4, 5, 6]);
}

#[test]
fn a_queue_waits_out_its_pause_over_a_lost_link_and_is_then_pulled_on_the_new_one() {
    let (mut sim, bob) = (handling(|_| {}), user("bob"));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    postpone(&mut sim, first, 1, seconds(600));
    sim.redial();
    sim.accept();
    assert!(sim.frame(&unread(std::slice::from_ref(&bob))).pulls().is_empty(), "the new link names it");
    assert!(sim.frame(&page(&bob, texts(2..4), 3)).0.is_empty(), "pushed, it would be handled before its turn");
    let mut pulls = Vec::new();
    for _ in 0..30 {
        pulls.extend(sim.run(seconds(30)).pulls());
        if !pulls.is_empty() {
            break;
        }
        sim.frame(&unread(std::slice::from_ref(&bob)));
    }
    assert_eq!(pulls, [("bob".to_owned(), None)], "keys are not kept without a store");
    assert_eq!(given(&sim.frame(&page(&bob, texts(1..3), 2))).1, [2]);
}

#[test]
fn a_try_that_is_lost_with_its_link_is_made_on_the_next_one() {
    let (mut sim, bob) = (handling(|_| {}), user("bob"));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    postpone(&mut sim, first, 0, seconds(1));
    assert_eq!(pulled_after(&mut sim, seconds(1)).len(), 1);
    sim.redial();
    sim.accept();
    assert_eq!(sim.run(millis(1)).pulls(), [("bob".to_owned(), None)], "whether or not the server names it");
    assert_eq!(given(&sim.frame(&page(&bob, texts(1..3), 2))).1, [1, 2]);
}

#[test]
fn a_retry_asked_for_is_made_at_once() {
    let (mut sim, bob) = (handling(|_| {}), user("bob"));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    postpone(&mut sim, first, 0, seconds(3600));
    assert_eq!(sim.step(Input::RetryPostponed).pulls(), [("bob".to_owned(), None)]);
    assert!(sim.step(Input::RetryPostponed).pulls().is_empty(), "once");
}

#[test]
fn without_a_handler_a_queue_that_waited_is_acknowledged_and_told_once() {
    let (mut sim, bob) = (handling(|_| {}), user("bob"));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    postpone(&mut sim, first, 0, seconds(3600));
    sim.engine.set_handled(EventMask::NONE);
    sim.step(Input::RetryPostponed);
    let did = sim.frame(&page(&bob, texts(1..4), 3));
    assert_eq!((did.texts(), did.pulls()), (vec!["3"], vec![("bob".to_owned(), Some(3))]));
    assert_eq!(sim.engine.waiting_queues(), 0);
}

#[test]
fn an_offline_sync_does_not_wait_for_a_queue_that_cannot_be_handled() {
    let (mut sim, bob, carol) = (handling(|_| {}), user("bob"), user("carol"));
    sim.frame(&unread(&[bob.clone(), carol.clone()]));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    assert!(postpone(&mut sim, first, 0, seconds(1)).events().is_empty());
    let did = sim.frame(&last(&carol));
    let finished = EventKind::OfflineSyncFinished { queues: 1, messages: 2, complete: false };
    assert_eq!(did.events(), [&finished]);
}

#[test]
fn a_hundred_queues_that_always_fail_hold_no_memory_and_no_place_of_those_that_do_not() {
    const POISONED: u64 = 100;
    let mut sim = handling(|limits| limits.in_flight_bytes = 64 << 10);
    let pages: Vec<_> = (0..POISONED).map(|n| (user(&n.to_string()), texts(100 * n + 1..100 * n + 50))).collect();
    let (mut tries, mut healthy, mut waiting) = (0, 0, 0);
    let fail = |sim: &mut Sim, did: Did, tries: &mut u64| {
        let (id, _) = given(&did);
        *tries += 1;
        let pause = seconds(1 << (*tries / POISONED).min(8)).min(seconds(300));
        postpone(sim, id, 0, pause)
    };
    for (queue, metas) in &pages {
        let did = sim.frame(&page(queue, metas.clone(), 50));
        fail(&mut sim, did, &mut tries);
    }
    assert_eq!((sim.engine.in_flight_bytes(), sim.engine.waiting_queues()), (0, 100));
    // An hour, in which a message for a healthy queue comes each second.
    for second in 0..3600_u64 {
        let alice = user(&format!("healthy-{}", second % 7));
        let did = sim.frame(&notice(&alice));
        assert_eq!(did.pulls().len(), 1, "it is pulled at once, {second} s on");
        let id = 1_000_000 + second;
        let (given_out, ids) = given(&sim.frame(&page(&alice, texts(id..id + 1), id)));
        assert_eq!(ids, [id]);
        sim.step(Input::Handled { page: given_out });
        sim.frame(&last(&alice));
        healthy += 1;
        let mut pulls = sim.run(seconds(1)).pulls();
        sim.frame(&unread(&[]));
        assert!(pulls.len() <= Limits::default().pulls / 2, "{}", pulls.len());
        while let Some((name, _)) = pulls.pop() {
            let (queue, metas) = &pages[name.parse::<usize>().unwrap()];
            let did = sim.frame(&page(queue, metas.clone(), 50));
            assert!(sim.engine.in_flight_bytes() <= 64 << 10);
            waiting = waiting.max(sim.engine.in_flight_bytes());
            pulls.extend(fail(&mut sim, did, &mut tries).pulls());
        }
        assert_eq!(sim.engine.in_flight_bytes(), 0);
    }
    assert_eq!((healthy, sim.engine.waiting_queues()), (3600, 100));
    assert!((1500..3000).contains(&tries), "{tries} in an hour, of pauses of up to 5 minutes");
}

#[test]
fn handlers_that_hang_on_queues_tried_again_leave_half_of_the_places_to_others() {
    let mut sim = handling(|limits| limits.pulls = 4);
    let queues: Vec<_> = (0..4_u64).map(|n| user(&n.to_string())).collect();
    for (n, queue) in (0..4_u64).zip(&queues) {
        let (id, _) = given(&sim.frame(&page(queue, texts(10 * n + 1..10 * n + 3), 2)));
        postpone(&mut sim, id, 0, seconds(1));
    }
    let pulls = sim.run(seconds(2)).pulls();
    assert_eq!(pulls.len(), 2, "{pulls:?}");
    let hanging: Vec<_> = pulls
        .iter()
        .map(|(name, _)| {
            let n: u64 = name.parse().unwrap();
            given(&sim.frame(&page(&user(name), texts(10 * n + 1..10 * n + 3), 2))).0
        })
        .collect();
    assert!(sim.run(seconds(20)).pulls().is_empty(), "the others wait for these");
    assert_eq!(sim.frame(&notice(&user("healthy"))).pulls().len(), 1);
    let did = postpone(&mut sim, hanging[0], 0, seconds(60));
    assert_eq!(did.pulls().len(), 1, "the next one has its turn");
}

#[test]
fn a_page_of_an_earlier_session_or_one_that_is_not_given_out_is_not_postponed() {
    let (mut sim, bob) = (handling(|_| {}), user("bob"));
    let (first, _) = given(&sim.frame(&page(&bob, texts(1..3), 2)));
    assert!(postpone(&mut sim, PageId::default(), 0, seconds(1)).0.is_empty());
    assert_eq!(sim.engine.waiting_queues(), 0);
    sim.step(Input::Close);
    assert!(postpone(&mut sim, first, 0, seconds(1)).0.is_empty());
    assert!(gives_nothing(&sim.run(seconds(60))));
}

proptest! {
    /// Queues come back after their pause and at most a quarter of it later, at different moments.
    #[test]
    fn pauses_are_kept_and_spread(pause in 100_u64..1_000_000) {
        let mut sim = handling(|limits| limits.pulls = 64);
        sim.engine.set_wanted(EventMask::NONE);
        for n in 0..20_u64 {
            let (id, _) = given(&sim.frame(&page(&user(&n.to_string()), texts(10 * n + 1..10 * n + 3), 2)));
            postpone(&mut sim, id, 0, millis(pause));
        }
        let begun = sim.now.mono;
        let (mut due, mut last) = (Vec::new(), begun);
        while due.len() < 20 {
            let did = sim.due();
            due.extend(std::iter::repeat_n(sim.now.mono - begun, did.pulls().len()));
            if did.kinds().contains(&"UNREAD") {
                sim.frame(&unread(&[]));
            }
            prop_assert!(sim.now.mono >= last);
            last = sim.now.mono;
            for (name, _) in did.pulls() {
                sim.frame(&last_page(&name));
            }
        }
        let (pause, longest) = (millis(pause), millis(pause + pause / 4 + 1));
        prop_assert!(due.iter().all(|at| (pause..=longest).contains(at)), "{due:?}");
        due.dedup();
        prop_assert!(due.len() > 10, "{due:?}");
    }
}

fn last_page(name: &str) -> bytes::Bytes {
    last(&user(name))
}
