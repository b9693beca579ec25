//! Queues announced, pulled and acknowledged (connection spec §7.2).

use agora_chat::{
    EventKind, EventMask, LossCause,
    session::{Diagnostic, Input},
    wire::{CommSyncDl, Jid, Meta},
};

use crate::{
    peer::{self, last, notice, page, text, unread, user},
    sim::{APP, Sim, by_token, seconds},
};

fn texts(ids: std::ops::Range<u64>) -> Vec<Meta> {
    ids.map(|id| text(id, &id.to_string())).collect()
}

#[test]
fn the_recorded_exchange_of_25_messages_is_made_frame_by_frame() {
    let (mut sim, alice) = (Sim::online(), user("alice"));
    let mut heard = Vec::new();
    let pulls = |did: &crate::sim::Did| did.pulls().iter().map(|(_, key)| *key).collect::<Vec<_>>();
    assert_eq!(pulls(&sim.frame(&unread(std::slice::from_ref(&alice)))), [None]);
    for (ids, key) in [(1..11, 110), (11..21, 120), (21..26, 125)] {
        let did = sim.frame(&page(&alice, texts(ids), key));
        heard.extend(did.texts().iter().map(|text| text.parse::<u64>().unwrap()));
        assert_eq!(pulls(&did), [Some(key)], "the pull with a page's key acknowledges it");
    }
    let did = sim.frame(&last(&alice));
    assert!(did.kinds().is_empty(), "the empty last page ends it");
    let finished = EventKind::OfflineSyncFinished { queues: 1, messages: 25, complete: true };
    assert_eq!(*did.event(), finished);
    assert_eq!(heard, (1..26).collect::<Vec<_>>());
}

#[test]
fn queues_of_one_heartbeat_are_pulled_at_once_each_with_its_own_keys() {
    let (mut sim, bob, carol) = (Sim::online(), user("bob"), user("carol"));
    let did = sim.frame(&unread(&[bob.clone(), carol.clone()]));
    assert_eq!(did.pulls(), [("bob".to_owned(), None), ("carol".to_owned(), None)]);
    assert_eq!(sim.frame(&page(&bob, texts(1..2), 7)).pulls(), [("bob".to_owned(), Some(7))]);
    assert_eq!(sim.frame(&page(&carol, texts(2..3), 7)).pulls(), [("carol".to_owned(), Some(7))]);
    assert_eq!(sim.frame(&page(&carol, texts(3..4), 9)).pulls(), [("carol".to_owned(), Some(9))]);
    sim.frame(&last(&bob));
    assert_eq!(sim.frame(&notice(&bob)).pulls(), [("bob".to_owned(), Some(7))], "carol's key is not bob's");
}

#[test]
fn a_notice_during_a_pull_causes_one_more_pull_after_it_however_often_it_comes() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    assert_eq!(sim.frame(&notice(&bob)).pulls().len(), 1);
    for _ in 0..3 {
        assert!(sim.frame(&notice(&bob)).0.is_empty());
    }
    assert_eq!(sim.frame(&last(&bob)).pulls(), [("bob".to_owned(), None)]);
    assert!(sim.frame(&last(&bob)).0.is_empty());
}

#[test]
fn a_user_and_a_group_of_one_name_are_two_queues_pulled_as_announced() {
    let mut sim = Sim::online();
    let (user, group) = (user("x"), Jid::group(APP, "x"));
    for queue in [&user, &group] {
        let did = sim.frame(&notice(queue));
        let agora_chat::wire::Upward::Sync(pull) = &did.sent()[0] else { panic!("{did:?}") };
        assert_eq!(pull.queue.as_ref(), Some(queue));
    }
}

#[test]
fn a_last_page_that_holds_messages_is_acknowledged_once() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    let metas = texts(1..3);
    let frame = peer::sync(CommSyncDl {
        queue: Some(bob.clone()),
        metas,
        next_key: Some(5),
        is_last: Some(true),
        ..CommSyncDl::default()
    });
    sim.frame(&notice(&bob));
    let did = sim.frame(&frame);
    assert_eq!((did.texts(), did.pulls()), (vec!["1", "2"], vec![("bob".to_owned(), Some(5))]));
    assert!(sim.frame(&frame).0.is_empty(), "a server that repeats it does not make a circle");
}

#[test]
fn a_batch_without_a_queue_is_delivered_and_nothing_is_pulled() {
    let did =
        Sim::online().frame(&peer::sync(CommSyncDl { metas: texts(1..3), next_key: Some(5), ..CommSyncDl::default() }));
    assert_eq!((did.texts(), did.kinds()), (vec!["1", "2"], vec![]));
}

#[test]
fn pages_pushed_without_a_pull_are_acknowledged_once_each() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    for n in 1..20 {
        let did = sim.frame(&page(&bob, texts(10 * n..10 * n + 3), 100 * n));
        assert_eq!(did.texts().len(), 3);
        assert_eq!(did.pulls(), [("bob".to_owned(), Some(100 * n))]);
        if n % 3 == 0 {
            assert!(sim.frame(&last(&bob)).0.is_empty());
        }
    }
}

#[test]
fn pushed_pages_without_a_key_need_no_acknowledgement() {
    let did = Sim::online().frame(&peer::sync(CommSyncDl {
        queue: Some(user("bob")),
        metas: texts(1..4),
        ..CommSyncDl::default()
    }));
    assert_eq!((did.texts().len(), did.kinds()), (3, vec![]));
}

#[test]
fn a_repeated_message_is_delivered_once_also_across_reconnects_and_a_logout_forgets() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    let again = page(&bob, texts(1..4), 9);
    assert_eq!(sim.frame(&again).texts().len(), 3);
    assert!(sim.frame(&again).events().is_empty());
    sim.redial();
    sim.accept();
    let did = sim.frame(&again);
    assert!(did.events().is_empty());
    assert_eq!(did.pulls(), [("bob".to_owned(), Some(9))], "what came twice is acknowledged all the same");
    sim.step(Input::Close);
    sim.frame(&peer::logged_out());
    sim.step(by_token());
    sim.accept();
    assert_eq!(sim.frame(&again).texts().len(), 3);
}

#[test]
fn keys_are_not_kept_across_links() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    sim.frame(&page(&bob, texts(1..2), 9));
    sim.frame(&last(&bob));
    assert_eq!(sim.frame(&notice(&bob)).pulls()[0].1, Some(9));
    sim.redial();
    sim.accept();
    assert_eq!(sim.frame(&notice(&bob)).pulls()[0].1, None);
}

#[test]
fn an_unanswered_pull_is_made_once_more_and_then_the_link_is_given_up_while_other_traffic_flows() {
    let (mut sim, bob, carol) = (Sim::online(), user("bob"), user("carol"));
    assert_eq!(sim.frame(&page(&bob, texts(1..2), 7)).pulls(), [("bob".to_owned(), Some(7))]);
    let (mut again, mut lost, mut id) = (Vec::new(), None, 100);
    for second in 1..=60 {
        let did = sim.run(seconds(1));
        again.extend(did.pulls().into_iter().map(|pull| (second, pull)));
        if did.0.iter().any(|action| matches!(action, agora_chat::session::Action::Hangup)) {
            lost = Some((second, did.reconnecting().2.clone()));
            break;
        }
        // Carol's messages and the heartbeats' answers keep coming, and bob's queue is announced over and over.
        id += 1;
        assert_eq!(sim.frame(&page(&carol, texts(id..id + 1), id)).texts().len(), 1);
        sim.frame(&last(&carol));
        sim.frame(&notice(&bob));
        sim.frame(&unread(std::slice::from_ref(&bob)));
    }
    assert_eq!(again, [(30, ("bob".to_owned(), Some(7)))], "once, with its key");
    assert_eq!(lost, Some((60, LossCause::PullUnanswered)));
}

#[test]
fn a_pull_answered_at_the_second_try_costs_no_link() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    assert_eq!(sim.frame(&notice(&bob)).pulls().len(), 1);
    assert!(sim.run(seconds(29)).pulls().is_empty());
    assert!(sim.frame(&notice(&bob)).0.is_empty());
    assert_eq!(sim.run(seconds(1)).pulls(), [("bob".to_owned(), None)]);
    // The notice in between is remembered, and caused no pull of its own.
    assert_eq!(sim.frame(&page(&bob, texts(1..2), 5)).pulls(), [("bob".to_owned(), Some(5))]);
    assert!(sim.frame(&last(&bob)).pulls().is_empty());
    for _ in 0..4 {
        assert_eq!(sim.due().kinds(), ["UNREAD"], "nothing of it is timed any more");
        sim.frame(&unread(&[]));
    }
}

#[test]
fn a_page_with_a_bad_status_is_noted_and_pulled_no_further() {
    let mut sim = Sim::online();
    sim.frame(&notice(&user("bob")));
    let frame = peer::sync(CommSyncDl {
        status: Some(peer::status(1, Some("r"))),
        queue: Some(user("bob")),
        ..CommSyncDl::default()
    });
    let did = sim.frame(&frame);
    assert_eq!(did.notes(), [&Diagnostic::PageStatus { status: 1 }]);
    assert!(did.kinds().is_empty() && did.events().is_empty());
}

#[test]
fn one_bad_meta_costs_nothing_but_itself() {
    let broken = Meta { payload: Some(bytes::Bytes::from_static(b"\xff\xff\xff")), ..text(2, "") };
    let did = Sim::online().frame(&page(&user("bob"), vec![text(1, "a"), broken, text(3, "c")], 4));
    let [EventKind::Message(first), EventKind::Unknown(second), EventKind::Message(third)] = did.events()[..] else {
        panic!("{did:?}")
    };
    assert_eq!((first.text(), second.id, third.text()), (Some("a"), 2, Some("c")));
    assert_eq!((second.namespace, &second.payload[..]), (1, &b"\xff\xff\xff"[..]));
    assert_eq!((&*second.from, &*second.to), ("bob", "alice"));
}

#[test]
fn messages_nobody_wants_are_not_built_but_acknowledged() {
    let mut sim = Sim::online();
    sim.engine.set_wanted(EventMask::CONNECTED | EventMask::DISCONNECTED);
    let did = sim.frame(&page(&user("bob"), texts(1..4), 4));
    assert!(did.events().is_empty());
    assert_eq!(did.pulls(), [("bob".to_owned(), Some(4))]);
    sim.engine.set_wanted(EventMask::ALL);
    assert!(sim.frame(&page(&user("bob"), texts(1..4), 4)).events().is_empty(), "they count as delivered");
}

#[test]
fn messages_that_arrive_while_logging_out_are_delivered() {
    let mut sim = Sim::online();
    sim.step(Input::Close);
    let did = sim.frame(&page(&user("bob"), texts(1..2), 4));
    assert_eq!((did.texts(), did.kinds()), (vec!["1"], vec![]));
}
