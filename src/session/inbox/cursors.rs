//! Cursors of queues, saved over links and restarts if there is a store.

use crate::{
    store::{Cursor, CursorTable},
    wire::{Jid, queue_name},
};

/// Cursors in the store, or on their way to it.
#[derive(Debug, Default)]
pub(super) struct CursorState {
    table: CursorTable,
    /// Load in flight; nothing is pulled until it is done, because a first pull would lack its cursor.
    loading: Option<u64>,
}

impl CursorState {
    /// Longest queue name whose cursor is saved, in bytes.
    const LONGEST_NAME: usize = 1024;

    pub(super) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    pub(super) fn key(&mut self, queue: &Jid) -> Option<u64> {
        self.table.get(&queue_name(queue))
    }

    /// Saves a queue's cursor, unless the name is longer than any conversation's: the store has a bound in bytes.
    pub(super) fn keep(&mut self, queue: &Jid, key: u64) {
        let name = queue_name(queue);
        if name.len() <= Self::LONGEST_NAME {
            self.table.set(&name, key);
        }
    }

    pub(super) fn load(&mut self, load: u64) {
        self.loading = Some(load);
    }

    /// Adopts the cursors of a load; `false` if another load is in flight.
    pub(super) fn loaded(&mut self, load: u64, cursors: Vec<Cursor>) -> bool {
        if self.loading != Some(load) {
            return false;
        }
        self.loading = None;
        for Cursor { queue, key } in cursors.into_iter().take(CursorTable::CAPACITY) {
            self.table.set(&queue, key);
        }
        true
    }
}
