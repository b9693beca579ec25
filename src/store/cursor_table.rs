//! A bounded table of cursors.

use std::collections::HashMap;

use super::Cursor;

/// The cursor of each queue; over the bound, the least recently used are dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct CursorTable {
    keys: HashMap<Box<str>, Used>,
    uses: u64,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    key: u64,
    last: u64,
}

impl CursorTable {
    /// Number of queues in the table.
    pub(crate) const CAPACITY: usize = 4096;

    /// Longest name of a queue, in bytes; the cursor of a longer one is not kept.
    pub(crate) const LONGEST: usize = 512;

    /// Entries over the capacity at which the oldest are removed, since finding them takes a while.
    const SLACK: usize = 256;

    pub(crate) fn get(&mut self, queue: &str) -> Option<u64> {
        self.uses += 1;
        let used = self.keys.get_mut(queue)?;
        used.last = self.uses;
        Some(used.key)
    }

    pub(crate) fn set(&mut self, queue: &str, key: u64) {
        self.uses += 1;
        let used = Used { key, last: self.uses };
        if let Some(known) = self.keys.get_mut(queue) {
            *known = used;
        } else if queue.len() <= Self::LONGEST {
            self.keys.insert(queue.into(), used);
            if self.keys.len() > Self::CAPACITY + Self::SLACK {
                self.forget_oldest();
            }
        }
    }

    fn forget_oldest(&mut self) {
        let mut last: Vec<u64> = self.keys.values().map(|used| used.last).collect();
        last.sort_unstable_by_key(|last| std::cmp::Reverse(*last));
        if let Some(oldest) = last.get(Self::CAPACITY - 1).copied() {
            self.keys.retain(|_, used| used.last >= oldest);
        }
    }

    /// Returns all cursors, the least recently used first.
    pub(crate) fn to_cursors(&self) -> Vec<Cursor> {
        let mut keys: Vec<(&str, &Used)> = self.keys.iter().map(|(queue, used)| (&**queue, used)).collect();
        keys.sort_unstable_by_key(|(_, used)| used.last);
        let over = keys.len().saturating_sub(Self::CAPACITY);
        keys.into_iter().skip(over).map(|(queue, used)| Cursor::new(queue, used.key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::CursorTable;

    #[test]
    fn the_queues_longest_not_used_are_forgotten() {
        let mut table = CursorTable::default();
        for n in 0..3 * CursorTable::CAPACITY as u64 {
            table.set(&n.to_string(), n);
            assert_eq!(table.get("0"), Some(0), "what is used stays");
            assert!(table.keys.len() <= CursorTable::CAPACITY + CursorTable::SLACK);
        }
        assert_eq!(table.get("1"), None);
        assert_eq!(table.to_cursors().len(), CursorTable::CAPACITY);
        assert_eq!(table.to_cursors().last().unwrap().queue, "0");
    }

    #[test]
    fn a_queue_with_a_name_too_long_is_not_kept() {
        let mut table = CursorTable::default();
        table.set(&"q".repeat(CursorTable::LONGEST + 1), 7);
        assert!(table.to_cursors().is_empty());
    }
}
