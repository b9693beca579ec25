//! The keys of queues that are kept over links and restarts, where there is a store.

use crate::{
    store::{Cursor, CursorTable},
    wire::{Jid, queue_name},
};

/// What the store holds, or will.
#[derive(Debug, Default)]
pub(super) struct CursorState {
    table: CursorTable,
    /// The load under way; until it is done nothing is pulled, for its first pull would lack the key.
    loading: Option<u64>,
}

impl CursorState {
    /// The longest name of a queue whose key is kept, in bytes.
    const LONGEST_NAME: usize = 1024;

    pub(super) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    pub(super) fn key(&mut self, queue: &Jid) -> Option<u64> {
        self.table.get(&queue_name(queue))
    }

    /// Keeps the key of a queue, unless its name is longer than that of any conversation: the store has a bound in bytes.
    pub(super) fn keep(&mut self, queue: &Jid, key: u64) {
        let name = queue_name(queue);
        if name.len() <= Self::LONGEST_NAME {
            self.table.set(&name, key);
        }
    }

    /// Notes a load under way.
    pub(super) fn load(&mut self, load: u64) {
        self.loading = Some(load);
    }

    /// Takes the cursors read by a load; `false` where another one is waited for.
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
