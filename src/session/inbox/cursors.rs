//! The keys of queues that are kept over links and restarts, where there is a store.

use crate::session::{Action, context::Cx, machine::Session};
use crate::{
    store::{Cursor, CursorTable},
    wire::{Jid, queue_name},
};

/// What the store holds, or will.
#[derive(Debug, Default)]
pub(in crate::session) struct CursorState {
    table: CursorTable,
    /// The load under way; until it is done nothing is pulled, for its first pull would lack the key.
    loading: Option<u64>,
}

impl CursorState {
    /// The longest name of a queue whose key is kept, in bytes.
    const LONGEST_NAME: usize = 1024;

    pub(in crate::session) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    pub(in crate::session) fn key(&mut self, queue: &Jid) -> Option<u64> {
        self.table.get(&queue_name(queue))
    }

    /// Keeps the key of a queue, unless its name is longer than that of any conversation: the store has a bound in bytes.
    pub(in crate::session) fn keep(&mut self, queue: &Jid, key: u64) {
        let name = queue_name(queue);
        if name.len() <= Self::LONGEST_NAME {
            self.table.set(&name, key);
        }
    }
}

impl Session {
    pub(in crate::session) fn load_cursors(&mut self, cx: &mut Cx<'_>) {
        if let Some(cursors) = &mut self.inbox.cursors {
            let load = cx.env.new_page_id();
            cursors.loading = Some(load);
            cx.out.push(Action::LoadCursors { load, user: self.user.clone() });
        }
    }

    pub(in crate::session) fn cursors_loaded(&mut self, load: u64, loaded: Vec<Cursor>, cx: &mut Cx<'_>) {
        let Some(cursors) = self.inbox.cursors.as_mut().filter(|cursors| cursors.loading == Some(load)) else { return };
        cursors.loading = None;
        for Cursor { queue, key } in loaded.into_iter().take(CursorTable::CAPACITY) {
            cursors.table.set(&queue, key);
        }
        self.pull_waiting(cx);
    }
}
