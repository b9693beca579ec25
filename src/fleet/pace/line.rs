//! A line of those who wait.

use std::time::Duration;

/// Below this length a line is not tidied up.
const SHORT: usize = 64;

/// A line in the order of coming, out of which anybody can be taken. Every operation costs the logarithm of its length.
///
/// Who leaves leaves a gap. A Fenwick tree counts those who are left, which gives the place of each and the one at each
/// place. When most of the line is gaps it is closed up, so it never holds more than twice those who wait, and a few.
#[derive(Debug, Default)]
pub(super) struct Line {
    slots: Vec<Slot>,
    /// Node `i`, from 1 on, is the count of the slots in `(i - lowest_bit(i), i]`.
    tree: Vec<usize>,
    /// Gaps at the front.
    head: usize,
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Grows along the line.
    pub(super) number: u64,
    pub(super) who: u32,
    pub(super) since: Duration,
    gone: bool,
}

fn lowest_bit(node: usize) -> usize {
    node & node.wrapping_neg()
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Puts one at the end; `number` is higher than any before.
    pub(super) fn push(&mut self, number: u64, who: u32, since: Duration) {
        self.slots.push(Slot { number, who, since, gone: false });
        self.waiting += 1;
        self.count_last();
    }

    /// Appends the node of the slot that is the last.
    fn count_last(&mut self) {
        let node = self.tree.len() + 1;
        let (mut below, mut count) = (node - 1, 1);
        while below > node - lowest_bit(node) {
            count += self.node(below);
            below -= lowest_bit(below);
        }
        self.tree.push(count);
    }

    fn node(&self, node: usize) -> usize {
        node.checked_sub(1).and_then(|at| self.tree.get(at)).copied().unwrap_or(0)
    }

    /// Takes one out; false if it is not in.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let Ok(at) = self.slots.binary_search_by_key(&number, |slot| slot.number) else { return false };
        let Some(slot) = self.slots.get_mut(at).filter(|slot| !slot.gone) else { return false };
        slot.gone = true;
        self.waiting -= 1;
        let mut node = at + 1;
        while let Some(count) = self.tree.get_mut(node - 1) {
            *count -= 1;
            node += lowest_bit(node);
        }
        while self.slots.get(self.head).is_some_and(|slot| slot.gone) {
            self.head += 1;
        }
        if self.slots.len() > SHORT && self.slots.len() > 2 * self.waiting {
            self.close_up();
        }
        true
    }

    fn close_up(&mut self) {
        self.slots.retain(|slot| !slot.gone);
        self.head = 0;
        self.tree.clear();
        for _ in 0..self.slots.len() {
            self.count_last();
        }
    }

    /// Returns the oldest.
    pub(super) fn first(&self) -> Option<&Slot> {
        self.slots.get(self.head)
    }

    /// Returns the one with so many before it.
    pub(super) fn nth(&self, mut before: usize) -> Option<&Slot> {
        let (mut at, mut step) = (0, self.slots.len().checked_ilog2().map_or(0, |bits| 1 << bits));
        while step > 0 {
            let count = self.node(at + step);
            if at + step <= self.slots.len() && count <= before {
                before -= count;
                at += step;
            }
            step /= 2;
        }
        self.slots.get(at)
    }

    /// Returns how many wait with a lower number.
    pub(super) fn before(&self, number: u64) -> usize {
        let mut node = self.slots.partition_point(|slot| slot.number < number);
        let mut count = 0;
        while node > 0 {
            count += self.node(node);
            node -= lowest_bit(node);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Line, SHORT};

    proptest! {
        #[test]
        fn a_line_is_a_sorted_list(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..500)) {
            let (mut line, mut list): (Line, Vec<u64>) = Default::default();
            for (number, (leaves, at)) in (0_u64..).zip(steps) {
                if leaves && !list.is_empty() {
                    let number = list.remove(at.index(list.len()));
                    prop_assert!(line.remove(number));
                    prop_assert!(!line.remove(number), "it can leave once");
                } else {
                    line.push(number, 7, Duration::ZERO);
                    list.push(number);
                }
                prop_assert_eq!(line.len(), list.len());
                prop_assert_eq!(line.first().map(|slot| slot.number), list.first().copied());
                prop_assert!(line.slots.len() <= SHORT + 2 * list.len());
                for (place, number) in list.iter().enumerate() {
                    prop_assert_eq!(line.nth(place).map(|slot| slot.number), Some(*number));
                    prop_assert_eq!(line.before(*number), place);
                }
                prop_assert!(line.nth(list.len()).is_none_or(|slot| slot.gone));
            }
        }
    }
}
