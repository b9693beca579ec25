//! Parked queues: a message could not be handled, so they wait on the server until their next retry.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    time::Duration,
};

use super::queues::Queues;
use crate::wire::{Jid, QueueKey};

/// Queues that wait for a retry, and the messages of their returned pages.
///
/// Outlives links, as the server lists such a queue anew on each. Bounds: [`Queues::CAPACITY`] queues, beyond which the
/// first due one is forgotten and so retried as soon as the server lists it; [`Returned::CAPACITY`] ids.
#[derive(Debug, Default)]
pub(super) struct Parked {
    queues: HashMap<QueueKey, Place>,
    /// Waiting queues by due time.
    due: BTreeSet<(Duration, QueueKey)>,
    given_back: Returned,
}

#[derive(Debug)]
struct Place {
    queue: Jid,
    /// Time of the next retry; `None` while that is under way.
    until: Option<Duration>,
}

impl Parked {
    /// Returns the number of queues that wait or are being retried.
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    fn retrying(&self) -> usize {
        self.queues.len().saturating_sub(self.due.len())
    }

    /// Returns whether a queue is not to be pulled for now.
    pub(super) fn waits(&self, queue: &QueueKey) -> bool {
        self.queues.get(queue).is_some_and(|place| place.until.is_some())
    }

    /// Parks a queue until a moment.
    pub(super) fn park(&mut self, key: QueueKey, queue: Jid, until: Duration) {
        self.over(&key);
        if self.queues.len() >= Queues::CAPACITY
            && let Some((_, first)) = self.due.pop_first()
        {
            self.queues.remove(&first);
        }
        self.due.insert((until, key.clone()));
        self.queues.insert(key, Place { queue, until: Some(until) });
    }

    pub(super) fn over(&mut self, key: &QueueKey) {
        if let Some(Place { until: Some(until), .. }) = self.queues.remove(key) {
            self.due.remove(&(until, key.clone()));
        }
    }

    /// Returns the time of the next retry, while fewer than `at_once` are under way.
    pub(super) fn deadline(&self, at_once: usize) -> Option<Duration> {
        let (until, _) = self.due.first().filter(|_| self.retrying() < at_once)?;
        Some(*until)
    }

    /// Starts the next due retry and returns its queue.
    pub(super) fn next_due(&mut self, at_once: usize, now: Duration) -> Option<Jid> {
        self.deadline(at_once).filter(|due| *due <= now)?;
        let (_, key) = self.due.pop_first()?;
        let place = self.queues.get_mut(&key)?;
        place.until = None;
        Some(place.queue.clone())
    }

    /// Handles the loss of the link, and of the pulls of queues being retried.
    pub(super) fn link_ended(&mut self, now: Duration) {
        for (key, place) in self.queues.iter_mut().filter(|(_, place)| place.until.is_none()) {
            place.until = Some(now);
            self.due.insert((now, key.clone()));
        }
    }

    /// Makes all retries due now.
    pub(super) fn all_due(&mut self, now: Duration) {
        for (until, key) in mem::take(&mut self.due) {
            let until = until.min(now);
            if let Some(place) = self.queues.get_mut(&key) {
                place.until = Some(until);
                self.due.insert((until, key));
            }
        }
    }

    /// Records a message of a returned page; `handled` if it need not be handled again.
    pub(super) fn give_back(&mut self, id: u64, handled: bool) {
        self.given_back.insert(id, handled);
    }

    /// Returns whether a repeated message was handled; `None` if unknown. An unhandled one is forgotten.
    pub(super) fn comes_again(&mut self, id: u64) -> Option<bool> {
        self.given_back.comes_again(id)
    }

    pub(super) fn was_handled(&self, id: u64) -> bool {
        self.given_back.known.get(&id).is_some_and(|(_, handled)| *handled)
    }
}

/// Messages of returned pages. All were reported to the observers, and some were handled.
#[derive(Debug, Default)]
struct Returned {
    /// Counter of the last use, and whether it was handled.
    known: HashMap<u64, (u64, bool)>,
    /// The same by use; the least recently used are forgotten.
    order: BTreeMap<u64, u64>,
    uses: u64,
}

impl Returned {
    /// Maximum number of ids, about 1 MiB; a forgotten message is reported or handled once more.
    const CAPACITY: usize = 16_384;

    fn insert(&mut self, id: u64, handled: bool) {
        self.remove(id);
        self.uses += 1;
        self.known.insert(id, (self.uses, handled));
        self.order.insert(self.uses, id);
        if self.known.len() > Self::CAPACITY
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.known.remove(&oldest);
        }
    }

    fn remove(&mut self, id: u64) -> Option<bool> {
        let (used, handled) = self.known.remove(&id)?;
        self.order.remove(&used);
        Some(handled)
    }

    fn comes_again(&mut self, id: u64) -> Option<bool> {
        if self.known.is_empty() {
            return None;
        }
        let handled = self.remove(id)?;
        if handled {
            self.insert(id, true);
        }
        Some(handled)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Parked, Queues, Returned};
    use crate::wire::Jid;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn park(parked: &mut Parked, name: &str, until: u64) {
        let queue = Jid::user("o#a", name);
        parked.park(queue.queue_key(), queue, at(until));
    }

    fn next(parked: &mut Parked, at_once: usize, now: u64) -> Option<String> {
        Some(parked.next_due(at_once, at(now))?.name().to_owned())
    }

    #[test]
    fn queues_are_tried_again_when_they_are_due_and_no_more_of_them_at_once_than_allowed() {
        let mut parked = Parked::default();
        for (name, until) in [("late", 9), ("first", 1), ("second", 2)] {
            park(&mut parked, name, until);
        }
        assert_eq!((parked.deadline(1), next(&mut parked, 1, 0)), (Some(at(1)), None));
        assert_eq!(next(&mut parked, 1, 5).unwrap(), "first");
        assert_eq!((parked.deadline(1), next(&mut parked, 1, 5)), (None, None), "nothing is timed meanwhile");
        parked.over(&Jid::user("o#a", "first").queue_key());
        assert_eq!(next(&mut parked, 1, 5).unwrap(), "second");
        parked.link_ended(at(6));
        assert_eq!(next(&mut parked, 2, 6).unwrap(), "second", "its pull is lost");
        parked.all_due(at(7));
        assert_eq!(next(&mut parked, 2, 7).unwrap(), "late");
        assert_eq!(parked.len(), 2);
    }

    #[test]
    fn a_queue_that_is_parked_again_waits_for_its_new_time_only() {
        let mut parked = Parked::default();
        park(&mut parked, "a", 1);
        park(&mut parked, "a", 5);
        assert_eq!((parked.deadline(9), parked.len()), (Some(at(5)), 1));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut parked = Parked::default();
        for n in 0..2 * Queues::CAPACITY as u64 {
            park(&mut parked, &n.to_string(), n);
            for id in 0..8 {
                parked.give_back(8 * n + id, id % 2 == 0);
            }
            assert!(parked.len() <= Queues::CAPACITY && parked.due.len() == parked.len());
            assert!(parked.given_back.known.len() <= Returned::CAPACITY);
            assert_eq!(parked.given_back.known.len(), parked.given_back.order.len());
        }
    }

    #[test]
    fn what_was_handled_stays_known_and_the_rest_is_handed_over_once() {
        let mut parked = Parked::default();
        parked.give_back(1, true);
        parked.give_back(2, false);
        assert_eq!([1, 1, 2, 2, 3].map(|id| parked.comes_again(id)), [Some(true), Some(true), Some(false), None, None]);
        assert!(parked.was_handled(1) && !parked.was_handled(2));
    }
}
