//! Tokens that the application gives while a session lasts; their ends are asked for one after the other.

use std::{collections::VecDeque, time::Duration};

use crate::model::account::Token;

/// The tokens whose ends are still to be asked for, the first one given in front: of several the last one stays.
#[derive(Debug, Default)]
pub(in crate::session) struct GivenTokens {
    waiting: VecDeque<(u64, Token)>,
    /// When the request for the end of the first one has taken too long.
    until: Option<Duration>,
}

impl GivenTokens {
    /// How many wait at most.
    pub(in crate::session) const CAPACITY: usize = 16;

    /// Adds a token; `false` where there are too many.
    pub(super) fn push(&mut self, renewal: u64, token: Token) -> bool {
        let fits = self.waiting.len() < Self::CAPACITY;
        if fits {
            self.waiting.push_back((renewal, token));
        }
        fits
    }

    /// Returns the first token, if its end is not being asked for yet; from now on it is, with this deadline.
    pub(super) fn begin(&mut self, until: Duration) -> Option<Token> {
        if self.until.is_some() {
            return None;
        }
        let (_, token) = self.waiting.front()?;
        self.until = Some(until);
        Some(token.clone())
    }

    /// Whether an end is being asked for.
    pub(super) fn is_fetching(&self) -> bool {
        self.until.is_some()
    }

    /// When the request under way has taken too long.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.until
    }

    /// Takes the first one out, whose request is over.
    pub(super) fn finish(&mut self) -> Option<u64> {
        self.until.take()?;
        self.waiting.pop_front().map(|(renewal, _)| renewal)
    }

    /// Takes one out that nobody waits for any more; whether its end is being asked for.
    pub(super) fn cancel(&mut self, renewal: u64) -> bool {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == renewal) else { return false };
        self.waiting.remove(at);
        at == 0 && self.until.take().is_some()
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = u64> {
        self.until = None;
        std::mem::take(&mut self.waiting).into_iter().map(|(renewal, _)| renewal)
    }
}
