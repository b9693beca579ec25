//! Deadlines while something is on its way: what moves is not late.

use agora_chat::{
    ConnectionState, EventMask, LossCause,
    session::Input,
    wire::{Jid, Meta},
};

use crate::{
    ledger::Place,
    peer::{self, last, notice, page, text, unread, user},
    sim::{Sim, by_token, config, hello, seconds},
};

fn texts(id: u64) -> Vec<Meta> {
    vec![text(id, "x")]
}

/// Lets so many seconds pass in which bytes of one message come, each second.
fn trickle(sim: &mut Sim, time: u64) -> crate::sim::Did {
    let mut did = crate::sim::Did::default();
    for _ in 0..time {
        did.0.extend(sim.step(Input::Arriving).0);
        did.0.extend(sim.run(seconds(1)).0);
    }
    did
}

#[test]
fn a_page_that_comes_drop_by_drop_costs_neither_the_link_nor_a_send_behind_it() {
    let (mut sim, bob) = (Sim::online(), user("bob"));
    assert_eq!(sim.frame(&notice(&bob)).pulls().len(), 1);
    sim.step(Input::Arriving);
    sim.step(hello(1));
    let did = trickle(&mut sim, 600);
    assert!(did.outcomes().is_empty() && did.events().is_empty() && did.pulls().is_empty(), "{did:?}");
    assert_eq!(did.kinds(), ["UNREAD"], "whose answer is behind it too");
    assert_eq!(sim.frame(&page(&bob, texts(1), 7)).texts(), ["x"]);
    assert!(sim.run(seconds(5)).outcomes().is_empty(), "its answer is right behind it");
    assert!(sim.frame(&peer::answer(1, 0, None)).outcomes()[0].1.is_ok());
    assert_eq!(sim.engine.state(), ConnectionState::Online);
}

#[test]
fn a_page_that_stands_still_halfway_costs_the_link_as_silence_does() {
    let mut sim = Sim::online();
    sim.frame(&notice(&user("bob")));
    trickle(&mut sim, 100);
    let did = sim.run(seconds(10));
    assert!(matches!(did.reconnecting().2, LossCause::HeartbeatTimeout { .. }), "{did:?}");
}

#[test]
fn a_message_that_never_ends_costs_the_link_after_an_hour() {
    let mut sim = Sim::online();
    sim.frame(&notice(&user("bob")));
    assert!(trickle(&mut sim, 3_590).events().is_empty());
    let did = trickle(&mut sim, 20);
    assert_eq!(did.events().len(), 1, "{did:?}");
}

#[test]
fn of_16_queues_whose_pages_take_5_s_each_none_costs_the_link_with_a_message_handler_or_without() {
    for handled in [EventMask::NONE, EventMask::MESSAGE] {
        let mut sim = Sim::new(config());
        sim.engine.set_handled(handled);
        sim.step(by_token());
        sim.accept();
        let queues: Vec<Jid> = (0..16).map(|n| user(&n.to_string())).collect();
        assert_eq!(sim.frame(&unread(&queues)).pulls().len(), 16);
        sim.step(hello(1));
        let mut id = 0;
        for round in 1..=10 {
            for queue in &queues {
                let did = sim.run(seconds(5));
                assert!(did.pulls().is_empty() && did.events().is_empty(), "round {round}: {did:?}");
                assert!(did.outcomes().is_empty(), "the send's answer is behind the first 16 pages");
                id += 1;
                let mut pulls = sim.frame(&page(queue, texts(id), id)).pulls().len();
                if let Some(page) = sim.given() {
                    pulls += sim.step(Input::Handled { page }).pulls().len();
                }
                assert_eq!(pulls, 1);
            }
            if round == 1 {
                assert!(sim.frame(&peer::answer(1, 0, None)).outcomes()[0].1.is_ok());
            }
        }
        assert_eq!(sim.place(), Place::Online);
        queues.iter().for_each(|queue| drop(sim.frame(&last(queue))));
    }
}

#[test]
fn what_may_lie_unread_in_the_socket_is_read_before_anything_counts_as_late() {
    let mut sim = Sim::online();
    sim.step(hello(1));
    sim.frame(&notice(&user("bob")));
    sim.pass(seconds(100));
    sim.engine.set_unread(true);
    let did = sim.step(Input::Tick);
    assert!(did.outcomes().is_empty() && did.events().is_empty(), "{did:?}");
    assert!(sim.frame(&peer::answer(1, 0, None)).outcomes()[0].1.is_ok());
    assert_eq!(sim.frame(&last(&user("bob"))).events().len(), 0);
    sim.engine.set_unread(false);
    assert_eq!(sim.step(Input::Tick).events().len(), 0);
    // All is read, and it is not there.
    sim.step(hello(2));
    sim.pass(seconds(15));
    sim.engine.set_unread(true);
    assert!(sim.step(Input::Tick).outcomes().is_empty());
    sim.engine.set_unread(false);
    assert_eq!(sim.step(Input::Tick).reconnecting().2, &LossCause::SendUnanswered);
}

#[test]
fn a_logout_and_a_login_whose_answers_may_lie_unread_have_as_long_again() {
    let mut sim = Sim::online();
    sim.step(Input::Close);
    sim.engine.set_unread(true);
    sim.pass(seconds(5));
    assert!(!sim.step(Input::Tick).closed());
    assert_eq!(sim.left(), seconds(2));
    assert!(sim.due().closed());

    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    sim.engine.set_unread(true);
    sim.pass(seconds(40));
    assert!(sim.step(Input::Tick).0.is_empty(), "past PROVISION's limit, and the login's");
    assert!(matches!(sim.frame(&peer::accepted()).opened(), Some(Ok(()))));
}
