use std::time::Duration;

use proptest::prelude::*;

use super::{Allowed, PageContent, PageEnd, Queues};
use crate::wire::Jid;

/// A pull that outlives the table's next change.
#[derive(Clone, Debug, PartialEq)]
struct Pull {
    queue: Jid,
    key: Option<u64>,
}

#[derive(Debug, PartialEq)]
enum Next {
    Pull(Pull),
    Waits,
    Rests,
}

fn kept(pull: super::Pull<'_>) -> Pull {
    Pull { queue: pull.queue.clone(), key: pull.key }
}

/// Table with addresses as values.
#[derive(Default)]
struct Tested(Queues);

impl Tested {
    fn announced(&mut self, queue: &Jid, allowed: Allowed, now: Duration) -> Option<Pull> {
        self.0.announced(queue.view(), allowed, now).map(kept)
    }

    fn next_waiting(&mut self, allowed: Allowed, now: Duration) -> Option<Pull> {
        self.0.next_waiting(allowed, now).map(kept)
    }

    fn page(
        &mut self,
        queue: &Jid,
        next_key: Option<u64>,
        is_last: bool,
        content: PageContent,
        now: Duration,
    ) -> Option<Pull> {
        self.0.page(queue.view(), next_key, is_last, content, now).map(kept)
    }

    fn received(&mut self, queue: &Jid) -> Option<u64> {
        self.0.received(queue.view(), NOW)
    }

    fn handled(&mut self, queue: &Jid, end: &PageEnd, allowed: Allowed, now: Duration) -> Next {
        match self.0.handled(queue.view(), end, allowed, now) {
            super::Next::Pull(pull) => Next::Pull(kept(pull)),
            super::Next::Waits => Next::Waits,
            super::Next::Rests => Next::Rests,
        }
    }
}

const MANY: Allowed = at_once(usize::MAX);
const NOW: Duration = Duration::from_secs(1);

const fn at_once(queues: usize) -> Allowed {
    Allowed { queues, pulls: usize::MAX }
}

fn jid(name: &str) -> Jid {
    Jid::user("o#a", name)
}

fn pull(name: &str, key: Option<u64>) -> Option<Pull> {
    Some(Pull { queue: jid(name), key })
}

#[test]
fn the_recorded_exchange_of_25_messages_is_pulled_key_by_key() {
    let mut queues = Tested::default();
    assert_eq!(queues.announced(&jid("alice"), MANY, NOW), pull("alice", None));
    assert_eq!(queues.page(&jid("alice"), Some(11), false, PageContent::New, NOW), pull("alice", Some(11)));
    assert_eq!(queues.page(&jid("alice"), Some(12), false, PageContent::New, NOW), pull("alice", Some(12)));
    assert_eq!(queues.page(&jid("alice"), Some(13), false, PageContent::New, NOW), pull("alice", Some(13)));
    assert_eq!(queues.page(&jid("alice"), None, true, PageContent::Known, NOW), None);
    assert_eq!(queues.0.under_way(), 0);
}

#[test]
fn a_notice_during_a_pull_causes_one_more_pull_afterwards() {
    let mut queues = Tested::default();
    assert!(queues.announced(&jid("a"), MANY, NOW).is_some());
    assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
    assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
    assert_eq!(queues.page(&jid("a"), None, true, PageContent::Known, NOW), pull("a", None));
    assert_eq!(queues.page(&jid("a"), None, true, PageContent::Known, NOW), None);
}

#[test]
fn the_last_key_is_sent_with_the_next_pull_after_a_finished_one() {
    let mut queues = Tested::default();
    queues.announced(&jid("a"), MANY, NOW);
    assert_eq!(queues.page(&jid("a"), Some(5), false, PageContent::New, NOW), pull("a", Some(5)));
    assert_eq!(queues.page(&jid("a"), Some(0), true, PageContent::Known, NOW), None);
    assert_eq!(queues.announced(&jid("a"), MANY, NOW), pull("a", Some(5)));
}

#[test]
fn a_user_and_a_group_of_one_name_are_two_queues_and_the_resource_does_not_count() {
    let mut queues = Tested::default();
    let group = Jid::group("o#a", "x");
    let device = jid("x").with_resource("phone");
    assert!(queues.announced(&jid("x"), MANY, NOW).is_some());
    assert!(queues.announced(&group, MANY, NOW).is_some());
    assert_eq!(queues.announced(&device, MANY, NOW), None);
}

#[test]
fn a_last_page_with_messages_and_a_key_is_acknowledged_once() {
    let mut queues = Tested::default();
    queues.announced(&jid("a"), MANY, NOW);
    assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::New, NOW), pull("a", Some(9)));
    assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::New, NOW), None);
}

#[test]
fn a_page_without_a_key_that_is_not_the_last_does_not_loop() {
    let mut queues = Tested::default();
    queues.announced(&jid("a"), MANY, NOW);
    assert_eq!(queues.page(&jid("a"), None, false, PageContent::New, NOW), None);
}

#[test]
fn a_key_that_goes_backwards_without_anything_new_ends_the_queue() {
    let mut queues = Tested::default();
    queues.announced(&jid("a"), MANY, NOW);
    assert!(queues.page(&jid("a"), Some(9), false, PageContent::New, NOW).is_some());
    assert_eq!(queues.page(&jid("a"), Some(4), false, PageContent::Known, NOW), None);
}

#[test]
fn an_unanswered_pull_is_made_once_more_with_its_key_and_then_given_up() {
    let (mut queues, late, later) = (Queues::default(), NOW + Queues::PATIENCE, NOW + 2 * Queues::PATIENCE);
    assert_eq!(queues.deadline(), None);
    queues.announced(jid("a").view(), MANY, NOW);
    queues.page(jid("a").view(), Some(5), false, PageContent::New, NOW);
    assert_eq!(queues.deadline(), Some(late));
    assert_eq!(queues.overdue(late - Duration::from_millis(1)), None);
    // An announcement meanwhile is no answer.
    assert_eq!(queues.announced(jid("a").view(), MANY, late), None);
    assert_eq!(queues.overdue(late), Some(super::Overdue::Repeat(super::Pull { queue: &jid("a"), key: Some(5) })));
    assert_eq!(queues.overdue(late), None);
    assert_eq!(queues.deadline(), Some(later));
    assert_eq!(queues.overdue(later), Some(super::Overdue::GiveUp));
}

#[test]
fn an_answered_pull_is_not_overdue_and_the_next_one_has_its_own_two_turns() {
    let (mut queues, late) = (Queues::default(), NOW + Queues::PATIENCE);
    queues.announced(jid("a").view(), MANY, NOW);
    assert!(queues.overdue(late).is_some());
    queues.page(jid("a").view(), Some(5), false, PageContent::New, late);
    assert!(matches!(queues.overdue(late + Queues::PATIENCE), Some(super::Overdue::Repeat(_))));
    queues.page(jid("a").view(), None, true, PageContent::Nothing, late + Queues::PATIENCE);
    queues.announced(jid("b").view(), MANY, NOW);
    queues.received(jid("b").view(), late);
    assert_eq!(queues.overdue(late + 9 * Queues::PATIENCE), None, "one is answered, the other has a page in hand");
    assert_eq!(queues.deadline(), None);
}

fn end(pulled_with: Option<u64>, next_key: u64) -> PageEnd {
    PageEnd { pulled_with, next_key: Some(next_key), is_last: false, content: PageContent::New }
}

#[test]
fn a_queue_with_a_page_in_hand_keeps_its_place_and_is_not_pulled() {
    let mut queues = Tested::default();
    assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
    assert_eq!(queues.received(&jid("a")), None);
    assert_eq!(queues.announced(&jid("a"), at_once(1), NOW), None);
    assert_eq!(queues.announced(&jid("b"), at_once(1), NOW + Queues::PATIENCE), None);
    let next = queues.handled(&jid("a"), &end(None, 5), at_once(1), NOW);
    assert_eq!(next, Next::Pull(Pull { queue: jid("a"), key: Some(5) }));
    assert_eq!(queues.received(&jid("a")), Some(5));
    let over = PageEnd { is_last: true, content: PageContent::Nothing, ..end(Some(5), 5) };
    assert_eq!(queues.handled(&jid("a"), &over, at_once(1), NOW), Next::Rests);
    assert_eq!(queues.next_waiting(at_once(1), NOW), pull("b", None));
}

#[test]
fn what_is_announced_while_pages_are_in_hand_is_pulled_after_the_last_of_them() {
    let mut queues = Tested::default();
    let unknown = PageEnd { next_key: None, ..end(None, 0) };
    queues.received(&jid("a"));
    queues.received(&jid("a"));
    assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
    assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Rests);
    assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Pull(Pull { queue: jid("a"), key: None }));
}

#[test]
fn without_room_for_a_page_a_queue_waits_before_those_that_were_announced() {
    let mut queues = Tested::default();
    let (none, one) = (Allowed { queues: 9, pulls: 0 }, Allowed { queues: 9, pulls: 1 });
    assert_eq!(queues.announced(&jid("b"), none, NOW), None);
    queues.0.dropped(jid("c").view(), NOW);
    queues.received(&jid("a"));
    assert_eq!(queues.handled(&jid("a"), &end(None, 5), none, NOW), Next::Waits);
    let mut order = Vec::new();
    while let Some(pull) = queues.next_waiting(one, NOW) {
        assert_eq!(queues.next_waiting(one, NOW), None);
        assert_eq!(queues.page(&pull.queue, None, true, PageContent::Nothing, NOW), None);
        order.push((pull.queue.name().to_owned(), pull.key));
    }
    assert_eq!(order, [("a".to_owned(), Some(5)), ("c".to_owned(), None), ("b".to_owned(), None)]);
}

#[test]
fn a_last_page_that_comes_again_on_a_new_link_is_acknowledged_there_once() {
    let mut queues = Tested::default();
    queues.announced(&jid("a"), MANY, NOW);
    assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::Known, NOW), pull("a", Some(9)));
    assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::Known, NOW), None);
    assert_eq!(queues.page(&jid("b"), Some(9), true, PageContent::Nothing, NOW), None);
}

#[test]
fn no_more_queues_than_allowed_are_pulled_at_once_and_every_one_has_its_turn() {
    let mut queues = Tested::default();
    let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let mut under_way: Vec<Pull> = Vec::new();
    for name in names.iter().chain(&names) {
        under_way.extend(queues.announced(&jid(name), at_once(3), NOW));
    }
    assert_eq!(under_way.len(), 3);
    let mut pulled = 0;
    while let Some(pull) = under_way.pop() {
        pulled += 1;
        assert!(queues.0.under_way() <= 3);
        under_way.extend(queues.page(&pull.queue, None, true, PageContent::Known, NOW));
        under_way.extend(queues.next_waiting(at_once(3), NOW));
    }
    // The first 3 were announced once more while they were being pulled.
    assert_eq!(pulled, 13);
}

#[test]
fn a_queue_pulled_before_its_turn_does_not_cost_the_turn_of_the_next() {
    let mut queues = Tested::default();
    let late = NOW + Queues::PATIENCE;
    assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
    assert!(queues.announced(&jid("b"), at_once(1), NOW).is_none());
    assert!(queues.announced(&jid("c"), at_once(1), NOW).is_none());
    // More are allowed by the time `b` is announced once more.
    assert_eq!(queues.announced(&jid("b"), at_once(2), late), pull("b", None));
    assert_eq!(queues.next_waiting(at_once(3), late), pull("c", None));
    assert_eq!(queues.next_waiting(at_once(4), late), None);
}

#[test]
fn queues_keep_their_keys_however_many_there_are() {
    let mut queues = Tested::default();
    let name = |n: u64| jid(&n.to_string());
    for n in 0..100 {
        queues.announced(&name(n), MANY, NOW);
        queues.page(&name(n), Some(n + 1), false, PageContent::New, NOW);
        queues.page(&name(n), None, true, PageContent::Nothing, NOW);
    }
    for n in (0..100).rev() {
        assert_eq!(queues.announced(&name(n), MANY, NOW), pull(&n.to_string(), Some(n + 1)));
    }
}

#[test]
fn making_room_keeps_the_queues_that_wait_or_are_pulled() {
    let mut queues = Tested::default();
    let few = at_once(2);
    let late = NOW + Queues::PATIENCE;
    queues.announced(&jid("pulled"), few, NOW);
    queues.announced(&jid("in hand"), few, NOW);
    queues.received(&jid("in hand"));
    queues.announced(&jid("waits"), few, NOW);
    for n in 0..2 * Queues::CAPACITY {
        queues.page(&jid(&n.to_string()), Some(7), true, PageContent::Nothing, NOW);
    }
    assert_eq!(queues.0.known.len(), Queues::CAPACITY);
    assert_eq!(queues.page(&jid("pulled"), None, true, PageContent::Nothing, NOW), None);
    assert_eq!(queues.next_waiting(few, NOW), pull("waits", None));
    assert_eq!(
        queues.handled(&jid("in hand"), &end(None, 5), MANY, late),
        Next::Pull(Pull { queue: jid("in hand"), key: Some(5) })
    );
}

#[test]
fn the_table_is_bounded_and_says_when_the_server_is_to_be_asked_again() {
    for allowed in [at_once(3), MANY] {
        let mut queues = Tested::default();
        for n in 0..3 * Queues::CAPACITY {
            queues.announced(&jid(&n.to_string()), allowed, NOW);
            assert!(queues.0.known.len() <= Queues::CAPACITY && queues.0.waiting.len() <= queues.0.known.len());
            assert!(queues.0.line.len() <= queues.0.known.len() && queues.0.pulls.len() <= queues.0.known.len());
            assert!(!queues.0.wants_list(), "there is no room");
        }
        // The first ones are still there, and come to their end.
        let (mut done, mut asked) = (0, None);
        for n in 0..Queues::CAPACITY {
            if allowed.queues == usize::MAX {
                queues.page(&jid(&n.to_string()), None, true, PageContent::Nothing, NOW);
            } else {
                assert_eq!(queues.page(&jid(&n.to_string()), None, true, PageContent::Nothing, NOW), None);
                queues.next_waiting(allowed, NOW);
            }
            done += 1;
            if queues.0.wants_list() {
                asked = asked.or(Some(done));
                queues.0.list_asked();
            }
        }
        assert_eq!(asked, Some(Queues::ROOM));
        assert_eq!((queues.0.busy, queues.0.resting, queues.0.waiting.len()), (0, Queues::CAPACITY, 0));
    }
}

#[test]
fn a_queue_at_rest_makes_room_and_the_one_at_rest_for_longest_goes_first() {
    let mut queues = Tested::default();
    for n in 0..Queues::CAPACITY {
        queues.page(&jid(&n.to_string()), Some(7), true, PageContent::Nothing, NOW);
    }
    queues.announced(&jid("0"), MANY, NOW);
    queues.announced(&jid("new"), MANY, NOW);
    assert_eq!(queues.announced(&jid("2"), MANY, NOW), pull("2", Some(7)), "it is still known");
    assert_eq!(queues.page(&jid("0"), None, true, PageContent::Nothing, NOW), None, "and so is this");
    assert_eq!(queues.announced(&jid("0"), MANY, NOW), pull("0", Some(7)));
    assert_eq!(queues.announced(&jid("1"), MANY, NOW), pull("1", None), "it made room, and its key is forgotten");
}

#[test]
fn queues_whose_names_have_one_hash_are_still_two() {
    let mut queues = Tested::default();
    for n in 0..100 {
        queues.announced(&jid(&n.to_string()), MANY, NOW);
    }
    // As if all had the first one's.
    let hash = queues.0.known[0].hash;
    queues.0.known.iter_mut().for_each(|entry| entry.hash = hash);
    queues.0.index = std::iter::once((hash, 0)).collect();
    queues.0.unindexed = 99;
    for n in 0..100 {
        assert_eq!(queues.announced(&jid(&n.to_string()), MANY, NOW), None, "{n} is known, and being pulled");
    }
    assert_eq!(queues.0.known.len(), 100);
}

#[test]
fn pages_that_answer_earlier_pulls_begin_the_wait_of_later_ones_anew() {
    let mut queues = Tested::default();
    for n in 0..3 {
        queues.announced(&jid(&n.to_string()), MANY, NOW);
    }
    let mut now = NOW;
    for round in 0..20 {
        for n in 0..3 {
            now += Duration::from_secs(12);
            assert_eq!(queues.0.overdue(now), None, "round {round}");
            assert!(queues.page(&jid(&n.to_string()), Some(round * 3 + n + 1), false, PageContent::New, now).is_some());
        }
    }
    // An overtaken pull was not waiting for later ones.
    for step in 1..10 {
        let later = now + Duration::from_secs(5 * step);
        queues.page(&jid("2"), Some(1000 + step), false, PageContent::New, later);
        queues.page(&jid("1"), Some(1000 + step), false, PageContent::New, later);
    }
    assert!(
        matches!(queues.0.overdue(now + Queues::PATIENCE), Some(super::Overdue::Repeat(pull)) if *pull.queue == jid("0"))
    );
}

#[test]
fn no_table_however_full_makes_the_next_frame_cost_more() {
    let few = at_once(1);
    let each = |waiting: usize| {
        let mut queues = Tested::default();
        for n in 0..waiting {
            queues.announced(&jid(&n.to_string()), few, NOW);
        }
        let unknown: Vec<Jid> = (0..500).map(|n| jid(&format!("x{n}"))).collect();
        let round = || {
            let begun = std::time::Instant::now();
            for queue in &unknown {
                if queues.0.known.len() >= waiting.max(4_000) {
                    queues.announced(queue, few, NOW);
                }
                queues.announced(&jid("1"), few, NOW);
                queues.0.dropped(jid("17").view(), NOW);
                queues.0.is_behind_a_gap(jid("3").view());
            }
            begun.elapsed() / 500
        };
        std::iter::repeat_with(round).take(9).min().unwrap_or_default()
    };
    let (few, many) = (each(100), each(Queues::CAPACITY));
    assert!(many < 10 * few + Duration::from_micros(5), "{few:?} with 100 queues, {many:?} with a full table");
}

proptest! {
    /// Whatever pages without anything new a server answers with, the pulling ends.
    #[test]
    fn pages_without_anything_new_never_make_a_circle(keys in prop::collection::vec(0_u64..6, 1..4)) {
        let mut queues = Tested::default();
        let mut pulling = queues.announced(&jid("a"), MANY, NOW).is_some();
        let mut pulls = 0;
        for key in keys.iter().cycle() {
            if !pulling {
                break;
            }
            pulls += 1;
            prop_assert!(pulls < 20);
            pulling = queues.page(&jid("a"), Some(*key), false, PageContent::Known, NOW).is_some();
        }
    }
}
