//! What the engine gives to the message handler, how much of it, and when queues go on.

use agora_chat::{
    ConfigBuilder, EventKind, EventMask, Limits,
    session::{Action, Diagnostic, Input, Page, PageId},
    wire::{
        self, CommSyncDl, Jid, KeyValue, MessageBody, Meta,
        key_value::{Value, ValueType},
    },
};
use bytes::Bytes;
use prost::Message;

use crate::{
    peer::{self, last, notice, page, text, unread, user},
    sim::{Did, Sim, by_token, config, millis, seconds},
};

fn limited(change: impl FnOnce(&mut Limits)) -> ConfigBuilder {
    let mut limits = Limits::default();
    change(&mut limits);
    config().limits(limits)
}

fn handling(config: ConfigBuilder) -> Sim {
    let mut sim = Sim::new(config);
    sim.engine.set_handled(EventMask::MESSAGE);
    sim.step(by_token());
    sim.accept();
    sim.frame(&unread(&[]));
    sim
}

fn texts(ids: std::ops::Range<u64>) -> Vec<Meta> {
    ids.map(|id| text(id, &id.to_string())).collect()
}

fn last_page(queue: &Jid, metas: Vec<Meta>, key: u64) -> Bytes {
    let (queue, next_key, is_last) = (Some(queue.clone()), Some(key), Some(true));
    peer::sync(CommSyncDl { queue, metas, next_key, is_last, ..CommSyncDl::default() })
}

/// The pages given out, as id and message ids.
fn given(did: &Did) -> Vec<(PageId, Vec<u64>)> {
    let ids = |page: &Page| {
        let ids = page.events.iter().map(|event| match event.event.kind() {
            EventKind::Message(message) => message.id,
            other => panic!("{other:?}"),
        });
        (page.id, ids.collect())
    };
    did.0.iter().filter_map(|action| if let Action::Deliver(page) = action { Some(ids(page)) } else { None }).collect()
}

fn one(did: &Did) -> (PageId, Vec<u64>) {
    let [(page, ids)] = &given(did)[..] else { panic!("one page of {did:?}") };
    (*page, ids.clone())
}

fn done(sim: &mut Sim, page: PageId) -> Did {
    sim.step(Input::Handled { page })
}

fn syncs(did: &Did) -> Vec<&EventKind> {
    let wanted = |event: &&EventKind| event.mask() == EventMask::OFFLINE_SYNC;
    did.events().into_iter().filter(wanted).collect()
}

#[test]
fn a_page_is_told_at_once_and_acknowledged_once_it_is_handled() {
    let (mut sim, bob) = (handling(config()), user("bob"));
    sim.frame(&notice(&bob));
    let did = sim.frame(&page(&bob, texts(1..4), 9));
    let (first, ids) = one(&did);
    assert_eq!(ids, [1, 2, 3]);
    let told = did.0.iter().filter(|action| matches!(action, Action::Publish(_)));
    assert_eq!((told.count(), did.kinds()), (3, vec![]), "the observers hear it, the server does not yet");
    assert!(sim.frame(&notice(&bob)).0.is_empty(), "its queue is not pulled meanwhile");
    assert_eq!(done(&mut sim, first).pulls(), [("bob".to_owned(), Some(9))]);
    assert!(done(&mut sim, first).0.is_empty(), "a page is handled once");
    assert!(sim.frame(&last(&bob)).pulls().is_empty(), "the pull after the notice has brought what it announced");
}

#[test]
fn observers_are_not_told_what_they_do_not_want_and_the_handler_is() {
    let mut sim = handling(config());
    sim.engine.set_wanted(EventMask::NONE);
    let did = sim.frame(&page(&user("bob"), texts(1..3), 9));
    assert_eq!((one(&did).1, did.0.len()), (vec![1, 2], 1), "nor is it said that nobody hears it");
}

#[test]
fn pages_of_one_queue_are_given_out_one_after_the_other_and_those_of_others_beside_it() {
    let (mut sim, bob, carol) = (handling(config()), user("bob"), user("carol"));
    let (first, _) = one(&sim.frame(&page(&bob, texts(1..3), 2)));
    assert!(given(&sim.frame(&page(&bob, texts(3..5), 4))).is_empty());
    assert_eq!(one(&sim.frame(&page(&carol, texts(11..13), 12))).1, [11, 12]);
    let did = done(&mut sim, first);
    let (second, ids) = one(&did);
    assert_eq!((ids, did.pulls()), (vec![3, 4], vec![("bob".to_owned(), Some(2))]));
    assert_eq!(done(&mut sim, second).pulls(), [("bob".to_owned(), Some(4))]);
}

#[test]
fn no_more_queues_are_handled_at_once_than_are_pulled_and_every_one_has_its_turn() {
    let mut sim = handling(limited(|limits| limits.pulls = 2));
    let mut running = Vec::new();
    for n in 0..6_u64 {
        running.extend(given(&sim.frame(&page(&user(&n.to_string()), texts(10 * n..10 * n + 2), 10 * n + 2))));
    }
    assert_eq!(running.len(), 2);
    let mut handled = 0;
    while let Some((page, _)) = running.pop() {
        handled += 1;
        running.extend(given(&done(&mut sim, page)));
        assert!(running.len() <= 2);
    }
    assert_eq!(handled, 6);
}

#[test]
fn messages_that_come_while_logging_out_are_told_and_left_for_the_next_login() {
    let (mut sim, bob) = (handling(config()), user("bob"));
    let (first, _) = one(&sim.frame(&page(&bob, texts(1..3), 2)));
    sim.frame(&page(&bob, texts(3..5), 4));
    sim.step(Input::Close);
    let did = sim.frame(&page(&bob, texts(5..7), 6));
    assert_eq!((did.texts(), given(&did).len()), (vec!["5", "6"], 0));
    assert!(done(&mut sim, first).0.is_empty(), "nothing more begins or is acknowledged");
    assert!(sim.frame(&peer::logged_out()).closed());
    assert!(done(&mut sim, first).0.is_empty());
    sim.step(by_token());
    sim.accept();
    assert_eq!(one(&sim.frame(&page(&bob, texts(1..7), 6))).1, [1, 2, 3, 4, 5, 6]);
    assert!(done(&mut sim, first).0.is_empty(), "a page of an earlier session is none of this one's");
}

#[test]
fn what_a_cleared_handler_leaves_is_handled_before_its_queue_goes_on() {
    let (mut sim, bob) = (handling(config()), user("bob"));
    let (first, _) = one(&sim.frame(&page(&bob, texts(1..3), 2)));
    sim.engine.set_handled(EventMask::NONE);
    let did = sim.frame(&page(&bob, texts(3..5), 4));
    assert_eq!((did.texts(), did.pulls()), (vec!["3", "4"], vec![]));
    let pulls = done(&mut sim, first).pulls();
    assert_eq!(pulls, [("bob".to_owned(), Some(2)), ("bob".to_owned(), Some(4))]);
    assert_eq!(sim.frame(&page(&bob, texts(5..7), 6)).pulls(), [("bob".to_owned(), Some(6))]);
}

#[test]
fn a_page_larger_than_the_memory_for_ids_is_not_given_out_twice() {
    let (mut sim, bob) = (handling(limited(|limits| limits.remembered_ids = 8)), user("bob"));
    let big = page(&bob, texts(1..5001), 5000);
    let (first, ids) = one(&sim.frame(&big));
    assert_eq!(ids.len(), 5000);
    sim.redial();
    sim.accept();
    assert!(given(&sim.frame(&big)).is_empty(), "it is in hand");
    assert_eq!(done(&mut sim, first).pulls(), [("bob".to_owned(), Some(5000))], "the page that came again");
    sim.redial();
    sim.accept();
    let did = sim.frame(&big);
    assert!(given(&did).is_empty(), "it was handled, and the server may not know");
    assert_eq!(did.pulls(), [("bob".to_owned(), Some(5000))]);
}

#[test]
fn what_is_handled_after_its_link_was_lost_is_acknowledged_once_it_comes_again() {
    let (mut sim, bob) = (handling(config()), user("bob"));
    let (first, _) = one(&sim.frame(&page(&bob, texts(1..4), 3)));
    sim.lose();
    assert!(done(&mut sim, first).0.is_empty());
    sim.due();
    sim.accept();
    assert_eq!(sim.frame(&notice(&bob)).pulls(), [("bob".to_owned(), None)], "keys are not kept without a store");
    let did = sim.frame(&page(&bob, texts(1..4), 3));
    assert_eq!((given(&did).len(), did.pulls()), (0, vec![("bob".to_owned(), Some(3))]));

    let (second, _) = one(&sim.frame(&page(&bob, texts(4..6), 5)));
    sim.redial();
    sim.accept();
    assert!(done(&mut sim, second).pulls().is_empty(), "a page of another link is none of this one's");
    let did = sim.frame(&page(&bob, texts(4..8), 7));
    assert_eq!(one(&did).1, [6, 7], "what comes with it is new");
}

#[test]
fn a_page_beyond_the_budget_is_dropped_and_comes_again_once_there_is_room() {
    let (bob, carol) = (user("bob"), user("carol"));
    let (small, more) = (page(&bob, texts(1..4), 3), page(&carol, texts(11..14), 13));
    let budget = 2000;
    let mut sim = handling(limited(|limits| limits.in_flight_bytes = budget));
    let (first, _) = one(&sim.frame(&small));
    let bytes = sim.engine.in_flight_bytes();
    assert!((3 * 150..budget).contains(&bytes), "{bytes} for three messages in {} bytes", small.len());
    let did = sim.frame(&more);
    assert_eq!(did.notes(), [&Diagnostic::PageDropped { bytes: more.len() }]);
    assert_eq!(did.0.len(), 1, "nobody is told of it, and it is not acknowledged");
    let did = done(&mut sim, first);
    assert_eq!(did.pulls(), [("bob".to_owned(), Some(3))], "what was handled is acknowledged first");
    let did = sim.frame(&last(&bob));
    assert_eq!(did.pulls(), [("carol".to_owned(), None)], "from the key the queue had");
    assert_eq!(one(&sim.frame(&more)).1, [11, 12, 13]);
}

#[test]
fn what_is_pushed_behind_a_dropped_page_is_dropped_too_until_one_comes_that_was_asked_for() {
    let (bob, carol) = (user("bob"), user("carol"));
    let mut sim = handling(limited(|limits| limits.in_flight_bytes = 1));
    let (first, _) = one(&sim.frame(&page(&carol, texts(11..14), 13)));
    let dropped = |did: &Did| matches!(did.notes()[..], [Diagnostic::PageDropped { .. }]) && did.0.len() == 1;
    assert!(dropped(&sim.frame(&page(&bob, texts(1..3), 2))));
    assert_eq!(done(&mut sim, first).pulls(), [("carol".to_owned(), Some(13))]);
    // There is room, and taking it would acknowledge the one that was dropped.
    assert!(dropped(&sim.frame(&page(&bob, texts(3..5), 4))));
    sim.engine.set_handled(EventMask::NONE);
    assert!(dropped(&sim.frame(&page(&bob, texts(3..5), 4))), "without a handler, too");
    sim.engine.set_handled(EventMask::MESSAGE);
    assert_eq!(sim.frame(&last(&carol)).pulls(), [("bob".to_owned(), None)]);
    let (asked_for, ids) = one(&sim.frame(&page(&bob, texts(1..5), 4)));
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!(done(&mut sim, asked_for).pulls(), [("bob".to_owned(), Some(4))]);
    sim.frame(&last(&bob));
    assert_eq!(one(&sim.frame(&page(&bob, texts(5..7), 6))).1, [5, 6], "what is pushed later is taken");
}

fn with_attributes(count: usize) -> Meta {
    let attribute = |n: usize| KeyValue {
        key: Some(n.to_string()),
        r#type: Some(ValueType::Int as i32),
        value: Some(Value::Varint(1)),
    };
    let plain = text(1, "one");
    let mut body = MessageBody::decode(plain.payload.clone().unwrap()).unwrap();
    body.ext = (0..count).map(attribute).collect();
    Meta { payload: Some(wire::encode(&body)), ..plain }
}

#[test]
fn a_message_counts_for_its_attributes() {
    let weighed = |attributes: usize| {
        let mut sim = handling(config());
        sim.frame(&page(&user("bob"), vec![with_attributes(attributes)], 2));
        sim.engine.in_flight_bytes()
    };
    assert!(weighed(20) >= weighed(0) + 20 * 80);
}

#[test]
fn nothing_is_pulled_while_there_is_no_room_and_the_heartbeat_goes_on() {
    let big = page(&user("bob"), texts(1..50), 49);
    let mut sim = handling(limited(|limits| limits.in_flight_bytes = big.len()));
    let (first, _) = one(&sim.frame(&big));
    let carol = user("carol");
    assert!(sim.frame(&notice(&carol)).pulls().is_empty());
    for _ in 0..5 {
        let did = sim.run(seconds(30));
        assert_eq!(did.kinds(), ["UNREAD"]);
        assert!(sim.frame(&unread(std::slice::from_ref(&carol))).pulls().is_empty());
    }
    sim.run(millis(1));
    let pulls = done(&mut sim, first).pulls();
    assert_eq!(pulls, [("bob".to_owned(), Some(49))]);
    assert_eq!(sim.frame(&last(&user("bob"))).pulls(), [("carol".to_owned(), None)]);
}

#[test]
fn whatever_is_pushed_the_bytes_in_hand_stay_within_the_budget_and_everything_is_handled() {
    let (budget, queues) = (8192, 50_u64);
    let mut sim = handling(limited(|limits| limits.in_flight_bytes = budget));
    let pages: Vec<Bytes> = (0..queues).map(|n| page(&user(&n.to_string()), texts(10 * n..10 * n + 9), 9)).collect();
    let (mut running, mut handled, mut dropped) = (Vec::new(), 0, 0);
    let mut to_answer = Vec::new();
    let take = |sim: &Sim, did: &Did, running: &mut Vec<_>, to_answer: &mut Vec<(String, Option<u64>)>| {
        assert!(sim.engine.in_flight_bytes() <= budget);
        running.extend(given(did));
        to_answer.extend(did.pulls());
    };
    for pushed in &pages {
        let did = sim.frame(pushed);
        dropped += did.notes().len();
        take(&sim, &did, &mut running, &mut to_answer);
    }
    assert!(dropped > 10, "{dropped}");
    while !running.is_empty() || !to_answer.is_empty() {
        if let Some((queue, key)) = to_answer.pop() {
            let n: usize = queue.parse().unwrap();
            let answer = if key.is_some() { last(&user(&queue)) } else { pages[n].clone() };
            let did = sim.frame(&answer);
            take(&sim, &did, &mut running, &mut to_answer);
        } else if let Some((page, ids)) = running.pop() {
            handled += ids.len();
            let did = done(&mut sim, page);
            take(&sim, &did, &mut running, &mut to_answer);
        }
    }
    assert_eq!(handled as u64, 9 * queues);
    assert_eq!(sim.engine.in_flight_bytes(), 0);
}

#[test]
fn pages_without_end_that_bring_nothing_take_no_memory_without_end() {
    let (mut sim, bob) = (handling(limited(|limits| limits.in_flight_bytes = 1 << 16)), user("bob"));
    let (first, _) = one(&sim.frame(&page(&bob, texts(1..3), 2)));
    let mut dropped = 0;
    for key in 3..10_000 {
        dropped += sim.frame(&page(&bob, texts(1..3), key)).notes().len();
        assert!(sim.engine.in_flight_bytes() <= 1 << 16);
    }
    assert!(dropped > 9_000, "{dropped}");
    let did = done(&mut sim, first);
    assert_eq!(sim.engine.in_flight_bytes(), 0);
    assert!(did.pulls().len() < 1000);
}

#[test]
fn a_page_larger_than_the_budget_is_taken_while_nothing_is_in_hand() {
    let mut sim = handling(limited(|limits| limits.in_flight_bytes = 1));
    let (bob, carol) = (user("bob"), user("carol"));
    let (first, _) = one(&sim.frame(&page(&bob, texts(1..50), 49)));
    sim.frame(&page(&carol, texts(101..150), 149));
    done(&mut sim, first);
    assert_eq!(sim.frame(&last(&bob)).pulls(), [("carol".to_owned(), None)]);
    assert_eq!(one(&sim.frame(&page(&carol, texts(101..150), 149))).1.len(), 49);
}

#[test]
fn what_waited_is_told_to_begin_once_a_link_and_to_end_once_it_is_handled() {
    let (mut sim, bob, carol) = (handling(config()), user("bob"), user("carol"));
    let did = sim.frame(&unread(&[bob.clone(), carol.clone()]));
    assert_eq!(syncs(&did), [&EventKind::OfflineSyncStarted { queues: 2, messages: 2 }]);
    assert!(syncs(&sim.frame(&unread(std::slice::from_ref(&bob)))).is_empty(), "no news");
    let (first, _) = one(&sim.frame(&last_page(&bob, texts(1..4), 3)));
    assert!(syncs(&sim.frame(&last(&carol))).is_empty());
    let finished = EventKind::OfflineSyncFinished { queues: 2, messages: 3, complete: true };
    assert_eq!(syncs(&done(&mut sim, first)), [&finished]);
    assert!(syncs(&sim.frame(&unread(&[bob]))).is_empty());
}

#[test]
fn a_sync_that_is_cut_off_is_told_to_be_incomplete_before_the_loss() {
    type End = fn(&mut Sim) -> Did;
    let ends: [(End, bool); 4] = [
        (Sim::lose, true),
        (|sim| sim.step(Input::Close), false),
        (|sim| sim.frame(&peer::kick(2)), true),
        (|sim| sim.frame(&peer::kick(1)), true),
    ];
    for (end, tells_more) in ends {
        let (mut sim, bob) = (Sim::online(), user("bob"));
        sim.frame(&unread(&[bob.clone(), user("carol")]));
        sim.frame(&last_page(&bob, texts(1..4), 3));
        let did = end(&mut sim);
        let events = did.events();
        assert_eq!(*events[0], EventKind::OfflineSyncFinished { queues: 1, messages: 3, complete: false });
        assert_eq!((syncs(&did).len(), events.len()), (1, 1 + usize::from(tells_more)), "{events:?}");
    }
}

#[test]
fn a_new_link_has_a_sync_of_its_own_and_an_empty_list_has_none() {
    let mut sim = Sim::online();
    let started = EventKind::OfflineSyncStarted { queues: 1, messages: 1 };
    for _ in 0..3 {
        assert!(syncs(&sim.frame(&unread(&[]))).is_empty());
        assert_eq!(syncs(&sim.frame(&unread(&[user("bob")]))), [&started]);
        sim.redial();
        sim.accept();
    }
}

#[test]
fn a_kick_on_a_page_for_which_there_is_no_room_is_heard() {
    let mut sim = handling(limited(|limits| limits.in_flight_bytes = 1));
    sim.frame(&page(&user("bob"), texts(1..3), 2));
    let mut metas = texts(11..13);
    metas.push(peer::statistics(Some(9), 2, None));
    let did = sim.frame(&peer::batch(metas));
    assert!(did.reason().is_some() && did.closed());
}
