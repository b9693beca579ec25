//! What waited on the server when a link came up: when it begins to come and when it has come (messages spec §2.4).

use crate::model::EventKind;

/// The offline synchronisation of one link. Which queues are still to come is noted in the table of queues.
#[derive(Debug, Default)]
pub(super) enum OfflineSync {
    /// The server has named no queue yet.
    #[default]
    Before,
    /// Queues it named are still to come.
    Running(Running),
    Over,
}

#[derive(Debug, Default)]
pub(super) struct Running {
    /// How many queues are noted and still to come.
    left: usize,
    /// Others had no place yet; the server is asked for them again.
    more: bool,
    /// Others can never be fetched, or wait for another try, which may be for ever.
    lost: bool,
    queues: usize,
    messages: u64,
}

/// What a list of queues that hold something comes to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listing {
    /// Different queues in it, and what it says they hold.
    pub(super) queues: usize,
    pub(super) messages: u64,
    /// How many of them are newly noted.
    pub(super) noted: usize,
    /// Whether some had no place.
    pub(super) more: bool,
    /// Whether some can never be fetched.
    pub(super) lost: bool,
}

impl OfflineSync {
    /// Whether the next list of queues is to be noted: the first that names any, and those that make up for what had no
    /// place in it. Others are no news.
    pub(super) fn takes_list(&self) -> bool {
        match self {
            OfflineSync::Before => true,
            OfflineSync::Running(running) => running.more,
            OfflineSync::Over => false,
        }
    }

    /// Takes a list whose queues are noted.
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

    /// Whether pages have to be looked at.
    pub(super) fn is_running(&self) -> bool {
        matches!(self, OfflineSync::Running(_))
    }

    /// So many new messages of a noted queue came.
    pub(super) fn received(&mut self, messages: u64) {
        if let OfflineSync::Running(running) = self {
            running.messages = running.messages.saturating_add(messages);
        }
    }

    /// A noted queue has come to its end.
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

    /// A noted queue waits for another try, which may be for ever.
    pub(super) fn postponed(&mut self) -> Option<EventKind> {
        let OfflineSync::Running(running) = self else { return None };
        running.lost = true;
        running.left = running.left.saturating_sub(1);
        self.end_if_done()
    }

    /// Nothing more comes.
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
