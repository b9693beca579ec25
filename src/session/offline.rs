//! What waited on the server when a link came up: when it begins to come and when it has come (messages spec §2.4).

use std::collections::HashSet;

use super::queues::Queues;
use crate::{
    EventKind,
    wire::{CommUnreadDl, QueueKey},
};

/// The offline synchronisation of one link.
#[derive(Debug, Default)]
pub(super) enum OfflineSync {
    /// The server has named no queue yet.
    #[default]
    Before,
    /// Queues it named are still to come.
    Running(Box<Running>),
    Over,
}

#[derive(Debug)]
pub(super) struct Running {
    left: HashSet<QueueKey>,
    queues: usize,
    messages: u64,
}

impl OfflineSync {
    /// Takes the first list of queues that names any; later ones are no news.
    pub(super) fn listed(&mut self, unread: &CommUnreadDl) -> Option<EventKind> {
        if !matches!(self, OfflineSync::Before) {
            return None;
        }
        let (mut left, mut messages) = (HashSet::new(), 0_u64);
        for entry in unread.unread.iter().take(Queues::CAPACITY) {
            if let Some(queue) = &entry.queue
                && left.insert(queue.queue_key())
            {
                messages = messages.saturating_add(u64::from(entry.n.unwrap_or(0)));
            }
        }
        if left.is_empty() {
            return None;
        }
        let queues = left.len();
        *self = OfflineSync::Running(Box::new(Running { left, queues: 0, messages: 0 }));
        Some(EventKind::OfflineSyncStarted { queues, messages })
    }

    /// Whether pages have to be looked at.
    pub(super) fn is_running(&self) -> bool {
        matches!(self, OfflineSync::Running(_))
    }

    /// So many new messages of a queue came.
    pub(super) fn received(&mut self, queue: &QueueKey, messages: u64) {
        if let OfflineSync::Running(running) = self
            && running.left.contains(queue)
        {
            running.messages = running.messages.saturating_add(messages);
        }
    }

    /// A queue has come to its end.
    pub(super) fn finished(&mut self, queue: &QueueKey) -> Option<EventKind> {
        let OfflineSync::Running(running) = self else { return None };
        running.queues += usize::from(running.left.remove(queue));
        if running.left.is_empty() { self.end() } else { None }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) -> Option<EventKind> {
        match std::mem::replace(self, OfflineSync::Over) {
            OfflineSync::Running(running) => {
                let Running { left, queues, messages } = *running;
                Some(EventKind::OfflineSyncFinished { queues, messages, complete: left.is_empty() })
            }
            _ => None,
        }
    }
}
