//! Pages that break the link: on the next ones their queue goes last.

use agora_chat::{
    Limits, LossCause,
    session::{Action, Diagnostic, Input},
    wire::Jid,
};

use crate::{
    peer::{last, notice, page, text, unread, user},
    sim::{Did, Sim, config, seconds},
};

fn names(did: &Did) -> Vec<String> {
    did.pulls().into_iter().map(|(name, _)| name).collect()
}

/// A message over the limit of a frame begins, and ends the link; the next one is up and lists these.
fn broken(sim: &mut Sim, queues: &[Jid]) -> (Vec<Diagnostic>, Vec<String>) {
    let mut did = sim.step(Input::TooLarge);
    did.0.extend(sim.step(Input::Lost(LossCause::Protocol("too large".to_owned()))).0);
    sim.due();
    sim.accept();
    let notes = did.notes().into_iter().cloned().collect();
    (notes, names(&sim.frame(&unread(queues))))
}

#[test]
fn a_queue_whose_page_is_too_large_goes_last_and_once_it_is_known_which_one_it_is_told() {
    let (mut sim, queues) = (Sim::online(), ["big", "a", "b"].map(user));
    assert_eq!(names(&sim.frame(&unread(&queues))), ["big", "a", "b"]);
    let (notes, pulled) = broken(&mut sim, &queues);
    assert!(notes.is_empty(), "it may be any of them");
    assert_eq!(pulled, ["b"], "one at a time, the one that was asked for first as the last");
    assert_eq!(names(&sim.frame(&notice(&user("c")))), ["c"], "others are fetched at once");
    assert!(names(&sim.frame(&last(&user("b")))).is_empty());
    assert_eq!(names(&sim.frame(&last(&user("c")))), ["a"]);
    assert_eq!(names(&sim.frame(&page(&user("a"), vec![text(1, "x")], 7))), ["a"]);
    assert_eq!(names(&sim.frame(&last(&user("a")))), ["big"]);
    let (notes, pulled) = broken(&mut sim, &queues);
    assert_eq!(notes, [Diagnostic::QueueBreaksLinks { queue: "big".into(), setting: Some("Limits::frame") }]);
    assert_eq!(pulled, ["a", "b"]);
    sim.frame(&last(&user("a")));
    assert_eq!(names(&sim.frame(&last(&user("b")))), ["big"]);
    // From the second time on that it was this one, it has a pause that grows.
    for minutes in [1, 2, 4] {
        let (notes, pulled) = broken(&mut sim, &queues);
        assert!(notes.is_empty(), "told once: {notes:?}");
        assert_eq!(pulled, ["a", "b"]);
        sim.frame(&last(&user("a")));
        assert!(names(&sim.frame(&last(&user("b")))).is_empty());
        let mut late = Vec::new();
        for second in 1..=minutes * 60 {
            let did = sim.run(seconds(1));
            late.extend(names(&did).into_iter().map(|name| (second, name)));
            if did.kinds().contains(&"UNREAD") {
                sim.frame(&unread(&[user("big")]));
            }
        }
        assert_eq!(late, [(minutes * 60, "big".to_owned())]);
    }
    // It fits after all: all is well.
    sim.frame(&last(&user("big")));
    sim.redial();
    sim.accept();
    assert_eq!(names(&sim.frame(&unread(&queues))), ["big", "a", "b"]);
}

#[test]
fn a_page_of_more_messages_than_allowed_is_known_at_once() {
    let mut limits = Limits::default();
    limits.page_messages = 2;
    let mut sim = Sim::online_with(config().limits(limits));
    let queues = ["big", "a"].map(user);
    sim.frame(&unread(&queues));
    let metas = (1..=3).map(|id| text(id, "x")).collect();
    let did = sim.frame(&page(&user("big"), metas, 7));
    assert_eq!(
        did.notes(),
        [&Diagnostic::QueueBreaksLinks { queue: "big".into(), setting: Some("Limits::page_messages") }]
    );
    sim.due();
    sim.accept();
    assert_eq!(names(&sim.frame(&unread(&queues))), ["a"]);
    assert_eq!(names(&sim.frame(&last(&user("a")))), ["big"]);
}

#[test]
fn of_16_queues_that_are_never_answered_none_keeps_the_others_from_being_fetched() {
    let mut sim = Sim::online();
    let queues: Vec<Jid> = (0..16).map(|n| user(&format!("dead{n}"))).chain([user("a"), user("b")]).collect();
    assert_eq!(names(&sim.frame(&unread(&queues))).len(), 16);
    let mut lost = false;
    for _ in 0..61 {
        let did = sim.run(seconds(1));
        lost |= did.0.iter().any(|action| matches!(action, Action::Hangup));
        if lost {
            break;
        }
        sim.frame(&unread(&queues));
    }
    assert!(lost);
    sim.due();
    sim.accept();
    assert_eq!(names(&sim.frame(&unread(&queues))), ["a", "b"]);
}
