//! Written sends that wait for their answer (connection spec §8.3).

use std::{collections::VecDeque, time::Duration};

use crate::model::{error::LossCause, outgoing::RoomRequest};

/// The unanswered sends of a link, oldest first; all have the same limit, so the oldest falls due first.
#[derive(Debug, Default)]
pub(super) struct PendingSends {
    unanswered: VecDeque<PendingSend>,
    /// When a page came last that was asked for no later than the oldest of them was written: its answer may be behind
    /// others like it.
    progress: Duration,
    /// How many of them are receipts.
    receipts: usize,
    /// No id among them is higher: fresh ids ascend, so one is known to be new without a look at all of them.
    highest: u64,
    /// Whether some do not ascend, so that one is found by a look at all of them only.
    mixed: bool,
}

#[derive(Debug)]
struct PendingSend {
    client_id: u64,
    since: Duration,
    what: SendKind,
}

/// What waits for its answer, and so who hears of it.
#[derive(Debug)]
pub(super) enum SendKind {
    /// A message of the application's.
    Message,
    /// A delivery receipt; nobody asked for it, so nobody hears.
    Receipt,
    /// The application joins or leaves a chat room.
    Room(Box<RoomRequest>),
    /// A chat room that is joined again on a new link, for the first time on it or once more. Nobody asked for it, so
    /// only what it fails with is told.
    Rejoin(Box<RoomRequest>, Try),
}

/// Which try on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    First,
    Second,
}

impl SendKind {
    /// Why the link is given up when no answer comes; `None` where the application asked for nothing.
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

    /// How many receipts are among them.
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

    /// Whether the application has asked to leave a room, and there is no answer yet.
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

    /// Takes the send the answer belongs to; `None` for one that nobody waits for.
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

    /// A page came that was asked for at this moment.
    pub(super) fn page_came(&mut self, asked: Duration, now: Duration) {
        if self.unanswered.front().is_some_and(|oldest| asked <= oldest.since) {
            self.progress = now;
        }
    }

    /// When the oldest falls due, which has so long to be answered.
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

    /// All of them, oldest first.
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
