//! The ids of the messages seen last, so that a page that comes again is not delivered twice.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    time::Duration,
};

use crate::Limits;

/// The message ids seen last in a login, bounded by number and age; it outlives reconnects.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    known: HashSet<u64, BuildHasherDefault<IdHasher>>,
    /// The same ids, oldest first, with when they came.
    order: VecDeque<(u64, Duration)>,
}

/// Spreads ids, which are spread well already: a server that chose them to collide would slow down its own answers,
/// within the bound of the table.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // Fibonacci hashing; the table takes its place from the low bits and a tag from the high ones.
        let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }
}

impl Recent {
    /// Notes an id; `false` when it was seen already. Id 0 stands for no id and is always new.
    pub(crate) fn insert(&mut self, id: u64, now: Duration, limits: &Limits) -> bool {
        if id == 0 {
            return true;
        }
        self.forget_old(now, limits);
        if limits.remembered_ids == 0 {
            return true;
        }
        if !self.known.insert(id) {
            return false;
        }
        while self.order.len() >= limits.remembered_ids {
            self.forget_oldest();
        }
        self.order.push_back((id, now));
        true
    }

    /// Whether an id is among them.
    pub(crate) fn contains(&mut self, id: u64, now: Duration, limits: &Limits) -> bool {
        self.forget_old(now, limits);
        self.known.contains(&id)
    }

    fn forget_old(&mut self, now: Duration, limits: &Limits) {
        while self.order.front().is_some_and(|(_, seen)| now.saturating_sub(*seen) > limits.remembered_for) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((id, _)) = self.order.pop_front() {
            self.known.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Limits, Recent};

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn an_id_is_new_once_until_it_falls_out_of_the_window() {
        let (mut recent, limits) = (Recent::default(), Limits::default());
        assert!(recent.insert(7, NOW, &limits));
        assert!(!recent.insert(7, NOW, &limits));
        for id in 100..100 + limits.remembered_ids as u64 {
            assert!(recent.insert(id, NOW, &limits));
        }
        assert!(recent.insert(7, NOW, &limits));
        assert_eq!(recent.order.len(), limits.remembered_ids);
    }

    #[test]
    fn an_id_is_forgotten_after_its_time() {
        let (mut recent, limits) = (Recent::default(), Limits::default());
        assert!(recent.insert(7, NOW, &limits));
        assert!(!recent.insert(7, NOW + limits.remembered_for, &limits));
        assert!(recent.insert(7, NOW + limits.remembered_for + Duration::from_millis(1), &limits));
    }

    #[test]
    fn id_zero_is_never_a_repetition() {
        let (mut recent, limits) = (Recent::default(), Limits::default());
        assert!(recent.insert(0, NOW, &limits));
        assert!(recent.insert(0, NOW, &limits));
    }

    #[test]
    fn nothing_is_remembered_where_nothing_may_be() {
        let limits = Limits { remembered_ids: 0, ..Limits::default() };
        let mut recent = Recent::default();
        assert!(recent.insert(7, NOW, &limits));
        assert!(recent.insert(7, NOW, &limits));
        assert!(recent.order.is_empty());
    }
}
