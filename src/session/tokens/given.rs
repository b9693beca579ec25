//! Tokens from the application during a session; their ends are requested one by one.

use std::{collections::VecDeque, time::Duration};

use crate::model::account::Token;

/// Tokens whose ends are to be requested, oldest first; the last one wins.
#[derive(Debug, Default)]
pub(in crate::session) struct GivenTokens {
    waiting: VecDeque<(u64, Token)>,
    /// Deadline of the request for the first one's end.
    until: Option<Duration>,
}

impl GivenTokens {
    /// Maximum number queued.
    pub(in crate::session) const CAPACITY: usize = 16;

    /// Queues a token; `false` if the queue is full.
    pub(super) fn push(&mut self, renewal: u64, token: Token) -> bool {
        let fits = self.waiting.len() < Self::CAPACITY;
        if fits {
            self.waiting.push_back((renewal, token));
        }
        fits
    }

    /// Starts the request for the first token's end with this deadline, unless one is in flight.
    pub(super) fn begin(&mut self, until: Duration) -> Option<Token> {
        if self.until.is_some() {
            return None;
        }
        let (_, token) = self.waiting.front()?;
        self.until = Some(until);
        Some(token.clone())
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.until.is_some()
    }

    /// Returns the deadline of the request in flight.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.until
    }

    /// Removes the first one, whose request is over.
    pub(super) fn finish(&mut self) -> Option<u64> {
        self.until.take()?;
        self.waiting.pop_front().map(|(renewal, _)| renewal)
    }

    /// Removes a token without a caller; returns whether its request is in flight.
    pub(super) fn cancel(&mut self, renewal: u64) -> bool {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == renewal) else { return false };
        self.waiting.remove(at);
        at == 0 && self.until.take().is_some()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = u64> {
        self.until = None;
        std::mem::take(&mut self.waiting).into_iter().map(|(renewal, _)| renewal)
    }
}
