//! Offline sync: its start and end on a new link (messages spec §2.4).

use crate::model::EventKind;

/// Offline sync of one link. The table of queues has the outstanding ones.
#[derive(Debug, Default)]
pub(super) enum OfflineSync {
    /// The server has listed no queue yet.
    #[default]
    Before,
    /// Listed queues are outstanding.
    Running(Running),
    Over,
}

#[derive(Debug, Default)]
pub(super) struct Running {
    /// Number of outstanding queues.
    left: usize,
    /// True if others did not fit the table; the server is asked for them again.
    more: bool,
    /// True if others can never be fetched, or wait for a retry, maybe for ever.
    lost: bool,
    queues: usize,
    messages: u64,
}

/// Summary of a queue list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listing {
    /// Distinct queues and their message count.
    pub(super) queues: usize,
    pub(super) messages: u64,
    /// Number newly recorded.
    pub(super) noted: usize,
    /// True if some did not fit.
    pub(super) more: bool,
    /// True if some can never be fetched.
    pub(super) lost: bool,
}

impl OfflineSync {
    /// Returns whether the next queue list counts: the first non-empty one does, and those that complete it.
    pub(super) fn takes_list(&self) -> bool {
        match self {
            OfflineSync::Before => true,
            OfflineSync::Running(running) => running.more,
            OfflineSync::Over => false,
        }
    }

    /// Records a queue list.
    pub(super) fn listed(&mut self, list: Listing) -> Option<EventKind> {
        let Listing { queues, messages, noted, more, lost } = list;
        match self {
            OfflineSync::Before if queues > 0 => {
                *self = OfflineSync::Running(Running { left: noted, more, lost, ..Running::default() });
                Some(EventKind::OfflineSyncStarted { queues, messages })
            }
            OfflineSync::Running(running) if running.more => {
                running.left += noted;
                running.more = more;
                running.lost |= lost;
                self.end_if_done()
            }
            _ => None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, OfflineSync::Running(_))
    }

    /// Counts new messages of an outstanding queue.
    pub(super) fn received(&mut self, messages: u64) {
        if let OfflineSync::Running(running) = self {
            running.messages = running.messages.saturating_add(messages);
        }
    }

    /// Records the end of an outstanding queue.
    pub(super) fn finished(&mut self) -> Option<EventKind> {
        let OfflineSync::Running(running) = self else { return None };
        running.queues += 1;
        running.left = running.left.saturating_sub(1);
        self.end_if_done()
    }

    fn end_if_done(&mut self) -> Option<EventKind> {
        match self {
            OfflineSync::Running(Running { left: 0, more: false, .. }) => self.end(),
            _ => None,
        }
    }

    /// Records that an outstanding queue waits for a retry, maybe for ever.
    pub(super) fn postponed(&mut self) -> Option<EventKind> {
        let OfflineSync::Running(running) = self else { return None };
        running.lost = true;
        running.left = running.left.saturating_sub(1);
        self.end_if_done()
    }

    pub(super) fn end(&mut self) -> Option<EventKind> {
        match std::mem::replace(self, OfflineSync::Over) {
            OfflineSync::Running(Running { left, more, lost, queues, messages }) => {
                let complete = left == 0 && !more && !lost;
                Some(EventKind::OfflineSyncFinished { queues, messages, complete })
            }
            _ => None,
        }
    }
}
