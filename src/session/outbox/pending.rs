//! Pending sends: written, without an ack (connection spec §8.3).

use std::{collections::VecDeque, time::Duration};

use crate::model::{error::LossCause, outgoing::RoomRequest};

/// Pending sends of a link, oldest first; all have the same limit, so the oldest is due first.
#[derive(Debug, Default)]
pub(super) struct PendingSends {
    unanswered: VecDeque<PendingSend>,
    /// Time of the last page requested before the oldest was written: its ack may be behind further pages.
    progress: Duration,
    /// Number of receipts.
    receipts: usize,
    /// Highest id: fresh ids ascend, so a higher one is new without a scan.
    highest: u64,
    /// True if some ids do not ascend, so that a lookup must scan all.
    mixed: bool,
}

#[derive(Debug)]
struct PendingSend {
    client_id: u64,
    since: Duration,
    what: SendKind,
}

/// Kind of pending send; decides who is notified.
#[derive(Debug)]
pub(super) enum SendKind {
    Message,
    /// A delivery receipt; nobody is notified.
    Receipt,
    /// The application joins or leaves a chat room.
    Room(Box<RoomRequest>),
    /// A chat room rejoined on a new link, at the first or second try; only failures are reported.
    Rejoin(Box<RoomRequest>, Try),
}

/// Try on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    First,
    Second,
}

impl SendKind {
    /// Returns the loss caused by a missing ack; `None` if the application did not start the send.
    pub(super) fn unanswered(&self) -> Option<LossCause> {
        match self {
            SendKind::Message => Some(LossCause::SendUnanswered),
            SendKind::Room(_) => Some(LossCause::RoomUnanswered),
            SendKind::Receipt | SendKind::Rejoin(..) => None,
        }
    }
}

impl PendingSends {
    pub(super) fn len(&self) -> usize {
        self.unanswered.len()
    }

    pub(super) fn receipts(&self) -> usize {
        self.receipts
    }

    pub(super) fn push(&mut self, client_id: u64, since: Duration, what: SendKind) {
        (self.mixed, self.highest) = match self.unanswered.is_empty() {
            true => (false, client_id),
            false => (self.mixed || client_id <= self.highest, self.highest.max(client_id)),
        };
        self.receipts += usize::from(matches!(what, SendKind::Receipt));
        self.unanswered.push_back(PendingSend { client_id, since, what });
    }

    /// Returns whether the application's request to leave a room is pending.
    pub(super) fn is_leaving(&self, room: &str) -> bool {
        self.unanswered.iter().any(|send| match &send.what {
            SendKind::Room(request) if request.is_join() => request.leaves_others() && request.room() != room,
            SendKind::Room(request) => request.room() == room,
            _ => false,
        })
    }

    pub(super) fn contains(&self, client_id: u64) -> bool {
        client_id <= self.highest && self.find(client_id).is_some()
    }

    /// Takes the send of an ack; `None` if it is not pending.
    pub(super) fn answered(&mut self, client_id: u64) -> Option<SendKind> {
        let at = self.find(client_id)?;
        let send = self.unanswered.remove(at)?;
        Some(self.taken(send).1)
    }

    fn find(&self, client_id: u64) -> Option<usize> {
        if self.mixed {
            return self.unanswered.iter().position(|send| send.client_id == client_id);
        }
        self.unanswered.binary_search_by_key(&client_id, |send| send.client_id).ok()
    }

    /// Records a page requested at this moment.
    pub(super) fn page_came(&mut self, asked: Duration, now: Duration) {
        if self.unanswered.front().is_some_and(|oldest| asked <= oldest.since) {
            self.progress = now;
        }
    }

    /// Returns the deadline of the oldest under this limit.
    pub(super) fn deadline(&self, limit: Duration) -> Option<Duration> {
        self.unanswered.front().map(|send| send.since.max(self.progress).saturating_add(limit))
    }

    /// Takes the oldest if it is due.
    pub(super) fn take_due(&mut self, limit: Duration, now: Duration) -> Option<(u64, SendKind)> {
        let is_due = self.deadline(limit).is_some_and(|due| now >= due);
        let send = if is_due { self.unanswered.pop_front()? } else { return None };
        Some(self.taken(send))
    }

    fn taken(&mut self, send: PendingSend) -> (u64, SendKind) {
        self.receipts -= usize::from(matches!(send.what, SendKind::Receipt));
        (send.client_id, send.what)
    }

    /// Returns all of them, oldest first.
    pub(super) fn into_all(self) -> impl Iterator<Item = (u64, SendKind)> {
        self.unanswered.into_iter().map(|send| (send.client_id, send.what))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PendingSends, SendKind};

    #[test]
    fn an_id_is_contained_from_its_push_to_its_answer_whatever_its_order() {
        let mut sends = PendingSends::default();
        for round in 0..2 {
            for id in [5, 9, 2, u64::MAX, 7] {
                assert!(!sends.contains(id), "{id} in round {round}");
                sends.push(id, Duration::ZERO, SendKind::Message);
                assert!(sends.contains(id));
            }
            for id in [u64::MAX, 5, 7, 9, 2] {
                assert!(sends.answered(id).is_some() && !sends.contains(id));
                assert!(sends.answered(id).is_none());
            }
        }
    }
}
