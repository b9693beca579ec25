//! Dedup window of message ids, so that a repeated page is not delivered twice.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use crate::config::Limits;

/// Recent message ids of a login, bounded by number and age; outlives reconnects.
#[derive(Debug, Default)]
pub(super) struct DedupWindow {
    known: HashSet<u64, IdKey>,
    /// The same ids, oldest first, with their times.
    order: VecDeque<(u64, Duration)>,
}

/// Hash key of one table: a server chooses the ids, and could make them collide in a table with a known key. The
/// table's content does not depend on it, so runs stay reproducible.
#[derive(Clone)]
pub(super) struct IdKey {
    mask: u64,
    factor: u64,
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey")
    }
}

impl Default for IdKey {
    fn default() -> Self {
        let random = RandomState::new();
        // An even factor would lose bits.
        IdKey { mask: random.hash_one(0_u8), factor: random.hash_one(1_u8) | 1 }
    }
}

impl BuildHasher for IdKey {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { key: self.clone(), hash: 0 }
    }
}

/// Hasher of ids by a keyed, folded multiplication: as cheap as one without a key.
#[derive(Debug)]
pub(super) struct IdHasher {
    key: IdKey,
    hash: u64,
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.hash ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        let product = u128::from(id ^ self.key.mask).wrapping_mul(u128::from(self.key.factor));
        // Both halves: the low one depends on the id's low bits alone.
        self.hash = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl DedupWindow {
    /// Adds an id; `false` if it was known. Id 0 stands for no id and is always new.
    pub(super) fn insert(&mut self, id: u64, now: Duration, limits: &Limits) -> bool {
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

    /// Returns whether an id is in the window.
    pub(super) fn contains(&mut self, id: u64, now: Duration, limits: &Limits) -> bool {
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

    use super::{DedupWindow, Limits};

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn an_id_is_new_once_until_it_falls_out_of_the_window() {
        let (mut recent, limits) = (DedupWindow::default(), Limits::default());
        assert!(recent.insert(7, NOW, &limits));
        assert!(!recent.insert(7, NOW, &limits));
        for id in 100..100 + limits.remembered_ids as u64 {
            assert!(recent.insert(id, NOW, &limits));
        }
        assert!(recent.insert(7, NOW, &limits));
        assert_eq!(recent.order.len(), limits.remembered_ids);
    }

    /// Returns ids that all collide in a table without a key: `(id * factor) ^ (id * factor >> 32)` agrees in the bits
    /// that a table uses.
    fn chosen(n: u64) -> u64 {
        // The inverse of the factor, by Newton's method.
        let factor = 0x9e37_79b9_7f4a_7c15_u64;
        let inverse = (0..6).fold(factor, |x, _| x.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(x))));
        let high = n + 1;
        ((high << 32) | (high ^ 0x1234_5678)).wrapping_mul(inverse)
    }

    #[test]
    fn ids_chosen_to_collide_cost_no_more_than_any_others() {
        let unkeyed = |id: u64| {
            let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            spread ^ (spread >> 32)
        };
        let places = |id: u64| unkeyed(id) & 0xffff_ffff;
        assert!((0..1000).all(|n| places(chosen(n)) == places(chosen(0))), "they were chosen well");

        const MANY: u64 = 100_000;
        let limits = Limits { remembered_ids: 100_000, ..Limits::default() };
        let took = |id: &dyn Fn(u64) -> u64| {
            let begun = std::time::Instant::now();
            let mut recent = DedupWindow::default();
            assert!((0..MANY).all(|n| recent.insert(id(n), NOW, &limits)));
            assert!((0..MANY).all(|n| !recent.insert(id(n), NOW, &limits)));
            begun.elapsed()
        };
        let random = |n: u64| fastrand::Rng::with_seed(n).u64(1..);
        // Without a key it is 50 times and more, and worse with each further id.
        let (usual, worst) = (took(&random), took(&chosen));
        assert!(worst < usual * 5 + Duration::from_millis(100), "{worst:?} for chosen ids, {usual:?} for others");
    }

    #[test]
    fn a_key_is_of_one_table_and_spreads_ids_that_differ_anywhere() {
        use std::hash::BuildHasher as _;

        let (one, other) = (super::IdKey::default(), super::IdKey::default());
        assert_ne!(one.hash_one(7_u64), other.hash_one(7_u64));
        for shift in [0, 8, 24, 40, 56] {
            let low: std::collections::HashSet<u64> = (0..256_u64).map(|n| one.hash_one(n << shift) & 0xffff).collect();
            assert!(low.len() > 200, "{shift}: {}", low.len());
        }
    }

    #[test]
    fn an_id_is_forgotten_after_its_time() {
        let (mut recent, limits) = (DedupWindow::default(), Limits::default());
        assert!(recent.insert(7, NOW, &limits));
        assert!(!recent.insert(7, NOW + limits.remembered_for, &limits));
        assert!(recent.insert(7, NOW + limits.remembered_for + Duration::from_millis(1), &limits));
    }

    #[test]
    fn id_zero_is_never_a_repetition() {
        let (mut recent, limits) = (DedupWindow::default(), Limits::default());
        assert!(recent.insert(0, NOW, &limits));
        assert!(recent.insert(0, NOW, &limits));
    }

    #[test]
    fn nothing_is_remembered_where_nothing_may_be() {
        let limits = Limits { remembered_ids: 0, ..Limits::default() };
        let mut recent = DedupWindow::default();
        assert!(recent.insert(7, NOW, &limits));
        assert!(recent.insert(7, NOW, &limits));
        assert!(recent.order.is_empty());
    }
}
