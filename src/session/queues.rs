//! Which queues are being pulled, and with which key (connection spec §7.2, messages spec §2.2).

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use crate::wire::{Jid, QueueKey};

#[derive(Debug, Default)]
struct Queue {
    /// The last key the server gave; the next pull carries it and so acknowledges what came before it.
    key: Option<u64>,
    /// The highest key it gave; only one above it can go on without bringing anything new.
    highest: Option<u64>,
    /// The key the pull under way was made with, and when it was made.
    pulling: Option<Pulling>,
    /// How many of its pages have come and are still to be handled.
    in_hand: u32,
    /// Something was announced while a pull was under way or a page in hand.
    again: bool,
    /// It stands among those that wait for their turn.
    waiting: bool,
    /// It stands among the busy ones.
    listed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pulling {
    since: Duration,
    key: Option<u64>,
}

/// One pull to send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pull {
    pub(crate) queue: Jid,
    pub(crate) key: Option<u64>,
}

/// How much may be under way at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// Queues that are being pulled or have a page in hand.
    pub(crate) queues: usize,
    /// Pulls whose page has not come, as there is room for pages.
    pub(crate) pulls: usize,
}

/// What a page says of its queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageEnd {
    /// The key of the pull it answers.
    pub(crate) pulled_with: Option<u64>,
    pub(crate) next_key: Option<u64>,
    pub(crate) is_last: bool,
    pub(crate) content: Content,
}

/// What a page brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Nothing,
    /// Messages that were all seen before.
    Known,
    New,
}

impl Content {
    /// Of a page of so many metas, with so many messages not seen before.
    pub(crate) fn of(metas: usize, fresh: u64) -> Self {
        match (metas, fresh) {
            (0, _) => Content::Nothing,
            (_, 0) => Content::Known,
            _ => Content::New,
        }
    }
}

/// How a queue goes on after a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    Pull(Pull),
    /// A pull is to follow once there is room for a page.
    Waits,
    Rests,
}

/// The queues of one link. Keys are not kept across links here, so a page can come twice.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    known: HashMap<QueueKey, Queue>,
    /// Announced queues whose turn has not come; each at most once, so no more than are known.
    waiting: VecDeque<Jid>,
    /// Queues that are being pulled or have a page in hand, and a few that were; each at most once.
    busy: Vec<QueueKey>,
}

impl Queues {
    /// How many queues are remembered; past it the keys of queues at rest are forgotten, which costs at most
    /// a page that comes twice.
    pub(crate) const CAPACITY: usize = 4096;

    /// How long an unanswered pull keeps its queue from being pulled again (messages spec §2.2).
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// A queue holds something: pulls it, or remembers to pull it once more when a pull is under way or a page of it in
    /// hand, or once others are done when as many as are `allowed` are.
    pub(crate) fn announced(&mut self, queue: &Jid, allowed: Allowed, now: Duration) -> Option<Pull> {
        self.make_room();
        let full = self.is_full(allowed, now);
        let entry = self.known.entry(queue.queue_key()).or_default();
        if entry.is_busy(now) {
            entry.again = true;
            return None;
        }
        if full {
            if !mem::replace(&mut entry.waiting, true) {
                self.waiting.push_back(queue.clone());
            }
            return None;
        }
        Some(entry.pull(queue, now, &mut self.busy))
    }

    /// The next queue whose turn has come, if a place is free.
    pub(crate) fn next_waiting(&mut self, allowed: Allowed, now: Duration) -> Option<Pull> {
        if self.waiting.is_empty() || self.is_full(allowed, now) {
            return None;
        }
        while let Some(queue) = self.waiting.pop_front() {
            let entry = self.known.entry(queue.queue_key()).or_default();
            entry.waiting = false;
            // One that is being pulled meanwhile has had its turn and must not cost the next one's.
            if !entry.is_busy(now) {
                return Some(entry.pull(&queue, now, &mut self.busy));
            }
            entry.again |= entry.in_hand > 0;
        }
        None
    }

    /// A page came that is handled already; see [`Queues::handled`].
    pub(crate) fn page(
        &mut self,
        queue: &Jid,
        next_key: Option<u64>,
        is_last: bool,
        content: Content,
        now: Duration,
    ) -> Option<Pull> {
        self.make_room();
        let entry = self.known.entry(queue.queue_key()).or_default();
        let pulled_with = entry.pulling.take().and_then(|pulling| pulling.key);
        if entry.goes_on(&PageEnd { pulled_with, next_key, is_last, content }) {
            return Some(entry.pull(queue, now, &mut self.busy));
        }
        None
    }

    /// A page came and is in hand until [`Queues::handled`]: its queue keeps its place and is not pulled meanwhile.
    /// The key of the pull that it answers.
    pub(crate) fn received(&mut self, queue: &Jid) -> Option<u64> {
        self.make_room();
        let entry = self.known.entry(queue.queue_key()).or_default();
        entry.in_hand = entry.in_hand.saturating_add(1);
        entry.list(queue, &mut self.busy);
        entry.pulling.take().and_then(|pulling| pulling.key)
    }

    /// A page came for which there is no room: its queue is pulled again, before others, from the key it had.
    pub(crate) fn dropped(&mut self, queue: &Jid) {
        self.make_room();
        let entry = self.known.entry(queue.queue_key()).or_default();
        entry.pulling = None;
        self.wait_first(queue);
    }

    /// A page in hand was handled, and `end` tells how its queue goes on.
    ///
    /// The next pull carries the page's key and so acknowledges it, also where the page says it is the last:
    /// a server that still waits for the key would send the same page for ever. A page that brings nothing
    /// new goes on only while its key rises, so that no server can make us pull in a circle.
    pub(crate) fn handled(&mut self, queue: &Jid, end: &PageEnd, allowed: Allowed, now: Duration) -> Next {
        let full = self.pulling(now) >= allowed.pulls;
        let entry = self.known.entry(queue.queue_key()).or_default();
        entry.in_hand = entry.in_hand.saturating_sub(1);
        if !entry.goes_on(end) {
            return Next::Rests;
        }
        if full {
            // What was handled is acknowledged before anything else is fetched.
            self.wait_first(queue);
            return Next::Waits;
        }
        Next::Pull(entry.pull(queue, now, &mut self.busy))
    }

    fn wait_first(&mut self, queue: &Jid) {
        let entry = self.known.entry(queue.queue_key()).or_default();
        if mem::replace(&mut entry.waiting, true) {
            self.waiting.retain(|waiting| !waiting.same_queue(queue));
        }
        self.waiting.push_front(queue.clone());
    }

    fn make_room(&mut self) {
        if self.known.len() >= Self::CAPACITY {
            self.known.retain(|_, queue| queue.pulling.is_some() || queue.in_hand > 0 || queue.waiting);
            if self.known.len() >= Self::CAPACITY {
                // The next heartbeat's answer names them again.
                self.known.clear();
                self.waiting.clear();
            }
            let known = &self.known;
            self.busy.retain(|key| known.contains_key(key));
        }
    }

    fn is_full(&mut self, allowed: Allowed, now: Duration) -> bool {
        let least = allowed.queues.min(allowed.pulls);
        self.known.len() >= least && { self.under_way(now) >= allowed.queues || self.pulling(now) >= allowed.pulls }
    }

    /// How many queues wait for a page that has not taken too long, or have one in hand.
    pub(crate) fn under_way(&mut self, now: Duration) -> usize {
        let known = &mut self.known;
        self.busy.retain(|key| match known.get_mut(key) {
            Some(queue) if queue.is_busy(now) => true,
            Some(queue) => {
                queue.listed = false;
                false
            }
            None => false,
        });
        self.busy.len()
    }

    /// How many pulls wait for their page and have not waited too long.
    fn pulling(&self, now: Duration) -> usize {
        self.busy.iter().filter_map(|key| self.known.get(key)).filter(|queue| queue.is_pulling(now)).count()
    }
}

impl Queue {
    fn is_pulling(&self, now: Duration) -> bool {
        self.pulling.is_some_and(|pulling| now.saturating_sub(pulling.since) < Queues::PATIENCE)
    }

    fn is_busy(&self, now: Duration) -> bool {
        self.in_hand > 0 || self.is_pulling(now)
    }

    /// Takes a page's key; whether the queue is to be pulled with it.
    fn goes_on(&mut self, end: &PageEnd) -> bool {
        let next_key = end.next_key.filter(|key| *key != 0);
        let rises = next_key > self.highest;
        let changes = next_key.is_some() && next_key != end.pulled_with;
        if let Some(key) = next_key {
            self.key = Some(key);
            self.highest = self.highest.max(next_key);
        }
        let fresh = end.content == Content::New;
        let go_on = match end.is_last {
            // One that comes again on a new link was not acknowledged on the old one.
            true => changes && (fresh || (rises && end.content == Content::Known)),
            false => rises || (changes && fresh),
        };
        // With more pages in hand, the last of them sees to what was announced meanwhile.
        go_on || (self.in_hand == 0 && mem::take(&mut self.again))
    }

    fn pull(&mut self, queue: &Jid, now: Duration, busy: &mut Vec<QueueKey>) -> Pull {
        self.again = false;
        self.pulling = Some(Pulling { since: now, key: self.key });
        self.list(queue, busy);
        Pull { queue: queue.clone(), key: self.key }
    }

    fn list(&mut self, queue: &Jid, busy: &mut Vec<QueueKey>) {
        if !mem::replace(&mut self.listed, true) {
            busy.push(queue.queue_key());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Allowed, Content, Next, PageEnd, Pull, Queues};
    use crate::wire::Jid;

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
        let mut queues = Queues::default();
        assert_eq!(queues.announced(&jid("alice"), MANY, NOW), pull("alice", None));
        assert_eq!(queues.page(&jid("alice"), Some(11), false, Content::New, NOW), pull("alice", Some(11)));
        assert_eq!(queues.page(&jid("alice"), Some(12), false, Content::New, NOW), pull("alice", Some(12)));
        assert_eq!(queues.page(&jid("alice"), Some(13), false, Content::New, NOW), pull("alice", Some(13)));
        assert_eq!(queues.page(&jid("alice"), None, true, Content::Known, NOW), None);
        assert_eq!(queues.under_way(NOW), 0);
    }

    #[test]
    fn a_notice_during_a_pull_causes_one_more_pull_afterwards() {
        let mut queues = Queues::default();
        assert!(queues.announced(&jid("a"), MANY, NOW).is_some());
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.page(&jid("a"), None, true, Content::Known, NOW), pull("a", None));
        assert_eq!(queues.page(&jid("a"), None, true, Content::Known, NOW), None);
    }

    #[test]
    fn the_last_key_is_sent_with_the_next_pull_after_a_finished_one() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(5), false, Content::New, NOW), pull("a", Some(5)));
        assert_eq!(queues.page(&jid("a"), Some(0), true, Content::Known, NOW), None);
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), pull("a", Some(5)));
    }

    #[test]
    fn a_user_and_a_group_of_one_name_are_two_queues_and_the_resource_does_not_count() {
        let mut queues = Queues::default();
        let group = Jid::group("o#a", "x");
        let device = jid("x").with_resource("phone");
        assert!(queues.announced(&jid("x"), MANY, NOW).is_some());
        assert!(queues.announced(&group, MANY, NOW).is_some());
        assert_eq!(queues.announced(&device, MANY, NOW), None);
    }

    #[test]
    fn a_last_page_with_messages_and_a_key_is_acknowledged_once() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::New, NOW), pull("a", Some(9)));
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::New, NOW), None);
    }

    #[test]
    fn a_page_without_a_key_that_is_not_the_last_does_not_loop() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), None, false, Content::New, NOW), None);
    }

    #[test]
    fn a_key_that_goes_backwards_without_anything_new_ends_the_queue() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert!(queues.page(&jid("a"), Some(9), false, Content::New, NOW).is_some());
        assert_eq!(queues.page(&jid("a"), Some(4), false, Content::Known, NOW), None);
    }

    #[test]
    fn an_unanswered_pull_does_not_block_its_queue_for_ever() {
        let mut queues = Queues::default();
        assert!(queues.announced(&jid("a"), MANY, NOW).is_some());
        assert_eq!(queues.announced(&jid("a"), MANY, NOW + Queues::PATIENCE - Duration::from_millis(1)), None);
        assert!(queues.announced(&jid("a"), MANY, NOW + Queues::PATIENCE).is_some());
    }

    fn end(pulled_with: Option<u64>, next_key: u64) -> PageEnd {
        PageEnd { pulled_with, next_key: Some(next_key), is_last: false, content: Content::New }
    }

    #[test]
    fn a_queue_with_a_page_in_hand_keeps_its_place_and_is_not_pulled() {
        let mut queues = Queues::default();
        assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
        assert_eq!(queues.received(&jid("a")), None);
        assert_eq!(queues.announced(&jid("a"), at_once(1), NOW), None);
        assert_eq!(queues.announced(&jid("b"), at_once(1), NOW + Queues::PATIENCE), None);
        let next = queues.handled(&jid("a"), &end(None, 5), at_once(1), NOW);
        assert_eq!(next, Next::Pull(Pull { queue: jid("a"), key: Some(5) }));
        assert_eq!(queues.received(&jid("a")), Some(5));
        let over = PageEnd { is_last: true, content: Content::Nothing, ..end(Some(5), 5) };
        assert_eq!(queues.handled(&jid("a"), &over, at_once(1), NOW), Next::Rests);
        assert_eq!(queues.next_waiting(at_once(1), NOW), pull("b", None));
    }

    #[test]
    fn what_is_announced_while_pages_are_in_hand_is_pulled_after_the_last_of_them() {
        let mut queues = Queues::default();
        let unknown = PageEnd { next_key: None, ..end(None, 0) };
        queues.received(&jid("a"));
        queues.received(&jid("a"));
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Rests);
        assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Pull(Pull { queue: jid("a"), key: None }));
    }

    #[test]
    fn without_room_for_a_page_a_queue_waits_before_those_that_were_announced() {
        let mut queues = Queues::default();
        let (none, one) = (Allowed { queues: 9, pulls: 0 }, Allowed { queues: 9, pulls: 1 });
        assert_eq!(queues.announced(&jid("b"), none, NOW), None);
        queues.dropped(&jid("c"));
        queues.received(&jid("a"));
        assert_eq!(queues.handled(&jid("a"), &end(None, 5), none, NOW), Next::Waits);
        let mut order = Vec::new();
        while let Some(pull) = queues.next_waiting(one, NOW) {
            assert_eq!(queues.next_waiting(one, NOW), None);
            assert_eq!(queues.page(&pull.queue, None, true, Content::Nothing, NOW), None);
            order.push((pull.queue.name().to_owned(), pull.key));
        }
        assert_eq!(order, [("a".to_owned(), Some(5)), ("c".to_owned(), None), ("b".to_owned(), None)]);
    }

    #[test]
    fn a_last_page_that_comes_again_on_a_new_link_is_acknowledged_there_once() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::Known, NOW), pull("a", Some(9)));
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::Known, NOW), None);
        assert_eq!(queues.page(&jid("b"), Some(9), true, Content::Nothing, NOW), None);
    }

    #[test]
    fn no_more_queues_than_allowed_are_pulled_at_once_and_every_one_has_its_turn() {
        let mut queues = Queues::default();
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let mut under_way: Vec<Pull> = Vec::new();
        for name in names.iter().chain(&names) {
            under_way.extend(queues.announced(&jid(name), at_once(3), NOW));
        }
        assert_eq!(under_way.len(), 3);
        let mut pulled = 0;
        while let Some(pull) = under_way.pop() {
            pulled += 1;
            assert!(queues.under_way(NOW) <= 3);
            under_way.extend(queues.page(&pull.queue, None, true, Content::Known, NOW));
            under_way.extend(queues.next_waiting(at_once(3), NOW));
        }
        // The first three were announced once more while they were being pulled.
        assert_eq!(pulled, 13);
    }

    #[test]
    fn a_queue_pulled_before_its_turn_does_not_cost_the_turn_of_the_next() {
        let mut queues = Queues::default();
        let late = NOW + Queues::PATIENCE;
        assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
        assert!(queues.announced(&jid("b"), at_once(1), NOW).is_none());
        assert!(queues.announced(&jid("c"), at_once(1), NOW).is_none());
        // Nothing answers the first pull, so that its place is free again when `b` is announced once more.
        assert_eq!(queues.announced(&jid("b"), at_once(2), late), pull("b", None));
        assert_eq!(queues.next_waiting(at_once(2), late), pull("c", None));
        assert_eq!(queues.next_waiting(at_once(3), late), None);
    }

    #[test]
    fn the_table_is_bounded() {
        for allowed in [at_once(3), MANY] {
            let mut queues = Queues::default();
            for n in 0..3 * Queues::CAPACITY {
                queues.announced(&jid(&n.to_string()), allowed, NOW);
                assert!(queues.known.len() <= Queues::CAPACITY && queues.waiting.len() <= queues.known.len());
                assert!(queues.busy.len() <= queues.known.len());
            }
        }
    }

    proptest! {
        /// Whatever pages without anything new a server answers with, the pulling ends.
        #[test]
        fn pages_without_anything_new_never_make_a_circle(keys in prop::collection::vec(0_u64..6, 1..4)) {
            let mut queues = Queues::default();
            let mut pulling = queues.announced(&jid("a"), MANY, NOW).is_some();
            let mut pulls = 0;
            for key in keys.iter().cycle() {
                if !pulling {
                    break;
                }
                pulls += 1;
                prop_assert!(pulls < 20);
                pulling = queues.page(&jid("a"), Some(*key), false, Content::Known, NOW).is_some();
            }
        }
    }
}
