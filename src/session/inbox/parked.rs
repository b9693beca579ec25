//! Queues whose message could not be handled: they stand still, on the server, until their next try is due.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    time::Duration,
};

use super::queues::Queues;
use crate::wire::{Jid, QueueKey};

/// The queues that wait for another try, and what is known of the pages that they gave back.
///
/// It outlives links, as the server names such a queue anew on each. Bounds: [`Queues::CAPACITY`] queues, past which the
/// one that is due first is forgotten and so tried as soon as the server names it; [`Returned::CAPACITY`] ids.
#[derive(Debug, Default)]
pub(super) struct Parked {
    queues: HashMap<QueueKey, Place>,
    /// Those that wait, by when they are due.
    due: BTreeSet<(Duration, QueueKey)>,
    given_back: Returned,
}

#[derive(Debug)]
struct Place {
    queue: Jid,
    /// When its next try is due; `None` while that is under way.
    until: Option<Duration>,
}

impl Parked {
    /// How many queues wait or are being tried again.
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    /// How many are being tried again.
    fn retrying(&self) -> usize {
        self.queues.len().saturating_sub(self.due.len())
    }

    /// Whether a queue is to be left alone for now.
    pub(super) fn waits(&self, queue: &QueueKey) -> bool {
        self.queues.get(queue).is_some_and(|place| place.until.is_some())
    }

    /// Leaves a queue alone until then.
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

    /// A queue goes on.
    pub(super) fn over(&mut self, key: &QueueKey) {
        if let Some(Place { until: Some(until), .. }) = self.queues.remove(key) {
            self.due.remove(&(until, key.clone()));
        }
    }

    /// When the next queue is to be tried again, where no more than so many are at once.
    pub(super) fn deadline(&self, at_once: usize) -> Option<Duration> {
        let (until, _) = self.due.first().filter(|_| self.retrying() < at_once)?;
        Some(*until)
    }

    /// A queue whose next try is due and begins now.
    pub(super) fn next_due(&mut self, at_once: usize, now: Duration) -> Option<Jid> {
        self.deadline(at_once).filter(|due| *due <= now)?;
        let (_, key) = self.due.pop_first()?;
        let place = self.queues.get_mut(&key)?;
        place.until = None;
        Some(place.queue.clone())
    }

    /// The link is gone, and with it the pulls of those that were being tried again.
    pub(super) fn link_ended(&mut self, now: Duration) {
        for (key, place) in self.queues.iter_mut().filter(|(_, place)| place.until.is_none()) {
            place.until = Some(now);
            self.due.insert((now, key.clone()));
        }
    }

    /// There is reason to try all of them now.
    pub(super) fn all_due(&mut self, now: Duration) {
        for (until, key) in mem::take(&mut self.due) {
            let until = until.min(now);
            if let Some(place) = self.queues.get_mut(&key) {
                place.until = Some(until);
                self.due.insert((until, key));
            }
        }
    }

    /// Notes a message of a page that was given back; `handled` where it need not be handled again.
    pub(super) fn give_back(&mut self, id: u64, handled: bool) {
        self.given_back.insert(id, handled);
    }

    /// What is known of a message that comes again: whether it was handled. One that was not is handed over.
    pub(super) fn comes_again(&mut self, id: u64) -> Option<bool> {
        self.given_back.comes_again(id)
    }

    pub(super) fn was_handled(&self, id: u64) -> bool {
        self.given_back.known.get(&id).is_some_and(|(_, handled)| *handled)
    }
}

/// Messages of pages that were given back. They were told to the observers already, and some of them were handled.
#[derive(Debug, Default)]
struct Returned {
    /// When each was last used, counted, and whether it was handled.
    known: HashMap<u64, (u64, bool)>,
    /// The same by use; those longest not used are forgotten.
    order: BTreeMap<u64, u64>,
    uses: u64,
}

impl Returned {
    /// How many are remembered, some 1 MiB; what is forgotten is told once more, or handled once more.
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
