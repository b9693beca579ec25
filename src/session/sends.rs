//! Sent messages that wait for their answer (connection spec §8.3).

use std::{collections::VecDeque, time::Duration};

/// The unanswered sends of a login, oldest first; all have the same limit, so the oldest falls due first.
#[derive(Debug, Default)]
pub(crate) struct Sends(VecDeque<(u64, Duration)>);

impl Sends {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, client_id: u64, due: Duration) {
        self.0.push_back((client_id, due));
    }

    pub(crate) fn contains(&self, client_id: u64) -> bool {
        self.0.iter().any(|(id, _)| *id == client_id)
    }

    /// Takes the send the answer belongs to; `false` for one that nobody waits for.
    pub(crate) fn answered(&mut self, client_id: u64) -> bool {
        let at = self.0.iter().position(|(id, _)| *id == client_id);
        at.and_then(|at| self.0.remove(at)).is_some()
    }

    /// When the oldest falls due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.0.front().map(|(_, due)| *due)
    }

    /// Takes the oldest if it is due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<u64> {
        let is_due = self.deadline().is_some_and(|due| now >= due);
        if is_due { self.0.pop_front().map(|(id, _)| id) } else { None }
    }

    /// Takes all of them.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.0.drain(..).map(|(id, _)| id)
    }
}
