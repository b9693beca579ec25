//! Which queues are being pulled, and with which key (connection spec §7.2, messages spec §2.2).

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::wire::{Jid, QueueKey};

#[derive(Debug, Default)]
struct Queue {
    /// The last key the server gave; the next pull carries it and so acknowledges what came before it.
    key: Option<u64>,
    /// The key the pull under way was made with, and when it was made.
    pulling: Option<Pulling>,
    /// Something was announced while a pull was under way.
    again: bool,
    /// It stands among those that wait for their turn.
    waiting: bool,
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

/// The queues of one link. Keys are not kept across links, so a page can come twice.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    known: HashMap<QueueKey, Queue>,
    /// Announced queues whose turn has not come; each at most once, so no more than are known.
    waiting: VecDeque<Jid>,
}

impl Queues {
    /// How many queues are remembered; past it the keys of queues at rest are forgotten, which costs at most
    /// a page that comes twice.
    pub(crate) const CAPACITY: usize = 4096;

    /// How long an unanswered pull keeps its queue from being pulled again (messages spec §2.2).
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// A queue holds something: pulls it, or remembers to pull it once more when a pull is under way, or once others
    /// are done when `at_once` are.
    pub(crate) fn announced(&mut self, queue: &Jid, at_once: usize, now: Duration) -> Option<Pull> {
        self.make_room();
        let busy = self.known.len() >= at_once && self.under_way(now) >= at_once;
        let entry = self.known.entry(queue.queue_key()).or_default();
        if entry.is_pulling(now) {
            entry.again = true;
            return None;
        }
        if busy {
            if !std::mem::replace(&mut entry.waiting, true) {
                self.waiting.push_back(queue.clone());
            }
            return None;
        }
        Some(entry.pull(queue, now))
    }

    /// The next queue whose turn has come, if a place is free.
    pub(crate) fn next_waiting(&mut self, at_once: usize, now: Duration) -> Option<Pull> {
        if self.waiting.is_empty() || self.under_way(now) >= at_once {
            return None;
        }
        while let Some(queue) = self.waiting.pop_front() {
            let entry = self.known.entry(queue.queue_key()).or_default();
            entry.waiting = false;
            // One that is being pulled meanwhile has had its turn and must not cost the next one's.
            if !entry.is_pulling(now) {
                return Some(entry.pull(&queue, now));
            }
        }
        None
    }

    /// A page came. `fresh` says whether it held a message not seen before.
    ///
    /// The next pull carries the page's key and so acknowledges it, also where the page says it is the last:
    /// a server that still waits for the key would send the same page for ever. A page that brings nothing
    /// new goes on only while its key rises, so that no server can make us pull in a circle.
    pub(crate) fn page(
        &mut self,
        queue: &Jid,
        next_key: Option<u64>,
        is_last: bool,
        fresh: bool,
        now: Duration,
    ) -> Option<Pull> {
        self.make_room();
        let entry = self.known.entry(queue.queue_key()).or_default();
        let pulled_with = entry.pulling.take().and_then(|pulling| pulling.key);
        let next_key = next_key.filter(|key| *key != 0);
        let rises = next_key > entry.key.max(pulled_with);
        let changes = next_key.is_some() && next_key != pulled_with;
        if let Some(key) = next_key {
            entry.key = Some(key);
        }
        let go_on = if is_last { changes && fresh } else { rises || (changes && fresh) };
        if go_on || std::mem::take(&mut entry.again) {
            return Some(entry.pull(queue, now));
        }
        None
    }

    fn make_room(&mut self) {
        if self.known.len() >= Self::CAPACITY {
            self.known.retain(|_, queue| queue.pulling.is_some() || queue.waiting);
            if self.known.len() >= Self::CAPACITY {
                // The next heartbeat's answer names them again.
                self.known.clear();
                self.waiting.clear();
            }
        }
    }

    /// How many pulls wait for their page and have not waited too long.
    pub(crate) fn under_way(&self, now: Duration) -> usize {
        self.known.values().filter(|queue| queue.is_pulling(now)).count()
    }
}

impl Queue {
    fn is_pulling(&self, now: Duration) -> bool {
        self.pulling.is_some_and(|pulling| now.saturating_sub(pulling.since) < Queues::PATIENCE)
    }

    fn pull(&mut self, queue: &Jid, now: Duration) -> Pull {
        self.again = false;
        self.pulling = Some(Pulling { since: now, key: self.key });
        Pull { queue: queue.clone(), key: self.key }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Pull, Queues};
    use crate::wire::Jid;

    const MANY: usize = usize::MAX;
    const NOW: Duration = Duration::from_secs(1);

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
        assert_eq!(queues.page(&jid("alice"), Some(11), false, true, NOW), pull("alice", Some(11)));
        assert_eq!(queues.page(&jid("alice"), Some(12), false, true, NOW), pull("alice", Some(12)));
        assert_eq!(queues.page(&jid("alice"), Some(13), false, true, NOW), pull("alice", Some(13)));
        assert_eq!(queues.page(&jid("alice"), None, true, false, NOW), None);
        assert_eq!(queues.under_way(NOW), 0);
    }

    #[test]
    fn a_notice_during_a_pull_causes_one_more_pull_afterwards() {
        let mut queues = Queues::default();
        assert!(queues.announced(&jid("a"), MANY, NOW).is_some());
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.page(&jid("a"), None, true, false, NOW), pull("a", None));
        assert_eq!(queues.page(&jid("a"), None, true, false, NOW), None);
    }

    #[test]
    fn the_last_key_is_sent_with_the_next_pull_after_a_finished_one() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(5), false, true, NOW), pull("a", Some(5)));
        assert_eq!(queues.page(&jid("a"), Some(0), true, false, NOW), None);
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
        assert_eq!(queues.page(&jid("a"), Some(9), true, true, NOW), pull("a", Some(9)));
        assert_eq!(queues.page(&jid("a"), Some(9), true, true, NOW), None);
    }

    #[test]
    fn a_page_without_a_key_that_is_not_the_last_does_not_loop() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), None, false, true, NOW), None);
    }

    #[test]
    fn a_key_that_goes_backwards_without_anything_new_ends_the_queue() {
        let mut queues = Queues::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert!(queues.page(&jid("a"), Some(9), false, true, NOW).is_some());
        assert_eq!(queues.page(&jid("a"), Some(4), false, false, NOW), None);
    }

    #[test]
    fn an_unanswered_pull_does_not_block_its_queue_for_ever() {
        let mut queues = Queues::default();
        assert!(queues.announced(&jid("a"), MANY, NOW).is_some());
        assert_eq!(queues.announced(&jid("a"), MANY, NOW + Queues::PATIENCE - Duration::from_millis(1)), None);
        assert!(queues.announced(&jid("a"), MANY, NOW + Queues::PATIENCE).is_some());
    }

    #[test]
    fn no_more_queues_than_allowed_are_pulled_at_once_and_every_one_has_its_turn() {
        let mut queues = Queues::default();
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let mut under_way: Vec<Pull> = Vec::new();
        for name in names.iter().chain(&names) {
            under_way.extend(queues.announced(&jid(name), 3, NOW));
        }
        assert_eq!(under_way.len(), 3);
        let mut pulled = 0;
        while let Some(pull) = under_way.pop() {
            pulled += 1;
            assert!(queues.under_way(NOW) <= 3);
            under_way.extend(queues.page(&pull.queue, None, true, false, NOW));
            under_way.extend(queues.next_waiting(3, NOW));
        }
        // The first three were announced once more while they were being pulled.
        assert_eq!(pulled, 13);
    }

    #[test]
    fn a_queue_pulled_before_its_turn_does_not_cost_the_turn_of_the_next() {
        let mut queues = Queues::default();
        let late = NOW + Queues::PATIENCE;
        assert!(queues.announced(&jid("a"), 1, NOW).is_some());
        assert!(queues.announced(&jid("b"), 1, NOW).is_none());
        assert!(queues.announced(&jid("c"), 1, NOW).is_none());
        // Nothing answers the first pull, so that its place is free again when `b` is announced once more.
        assert_eq!(queues.announced(&jid("b"), 2, late), pull("b", None));
        assert_eq!(queues.next_waiting(2, late), pull("c", None));
        assert_eq!(queues.next_waiting(3, late), None);
    }

    #[test]
    fn the_table_is_bounded() {
        for at_once in [3, MANY] {
            let mut queues = Queues::default();
            for n in 0..3 * Queues::CAPACITY {
                queues.announced(&jid(&n.to_string()), at_once, NOW);
                assert!(queues.known.len() <= Queues::CAPACITY && queues.waiting.len() <= queues.known.len());
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
                pulling = queues.page(&jid("a"), Some(*key), false, false, NOW).is_some();
            }
        }
    }
}
