//! Sends buffered while the link is being regained (messages spec §1.10).

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

/// Buffered sends, oldest first, encoded already: so their bytes are counted and encoding cannot fail later.
#[derive(Debug, Default)]
pub(super) struct BufferedSends {
    sends: VecDeque<BufferedSend>,
    bytes: usize,
}

/// A message that waits for the next link.
#[derive(Debug)]
pub(super) struct BufferedSend {
    pub(super) client_id: u64,
    /// Time of the send.
    pub(super) since: Duration,
    /// Time it began to age; later than the send if no attempt could be made at first.
    pub(super) ages_from: Duration,
    pub(super) frame: Bytes,
}

impl BufferedSends {
    pub(super) fn len(&self) -> usize {
        self.sends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn contains(&self, client_id: u64) -> bool {
        self.sends.iter().any(|send| send.client_id == client_id)
    }

    pub(super) fn push(&mut self, send: BufferedSend) {
        self.bytes += send.frame.len();
        self.sends.push_back(send);
    }

    /// Returns the expiry of the oldest, which is always the first.
    pub(super) fn deadline(&self, longest: Duration) -> Option<Duration> {
        self.sends.front().map(|send| send.ages_from.saturating_add(longest))
    }

    /// Takes the oldest if it has expired.
    pub(super) fn take_old(&mut self, longest: Duration, now: Duration) -> Option<BufferedSend> {
        self.deadline(longest).filter(|due| now >= *due)?;
        let send = self.sends.pop_front()?;
        self.bytes -= send.frame.len();
        Some(send)
    }

    /// Returns all of them, oldest first.
    pub(super) fn into_all(self) -> impl Iterator<Item = BufferedSend> {
        self.sends.into_iter()
    }
}
