use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{DeadLetter, DeadLetterError, Delivery, MessageHandler, handler::Failed};
use crate::{
    config::count,
    model::error::ConfigError,
    util::{lock, weight::Weigh as _},
};

/// Keeps what could not be handled, in memory: cheap to clone, and every clone is the same store. What is in it has been
/// acknowledged to the server, so it ends with the process; [`FileDeadLetters`](super::FileDeadLetters) outlive it.
///
/// Bounds: [`LETTERS`](DeadLetters::LETTERS) letters of [`BYTES`](DeadLetters::BYTES) bytes of memory in all, unless [`bounded`](DeadLetters::bounded) says otherwise. Past them it takes no more, and the queue
/// of what could not be handled waits on the server, unless the store is one [that drops the
/// oldest](DeadLetters::dropping_oldest). A single letter is taken whatever its size.
///
/// ```no_run
/// # async fn again(connection: agora_chat::Connection, letters: agora_chat::DeadLetters) {
/// if let Some(handler) = connection.message_handler() {
///     let replayed = letters.replay(&handler).await;
///     println!("{} handled, {} left", replayed.handled, replayed.failed);
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct DeadLetters(Arc<Store>);

type OnDeadLetter = Box<dyn Fn(&DeadLetter) + Send + Sync>;

struct Store {
    letters: usize,
    bytes: usize,
    drops_oldest: bool,
    kept: Mutex<Letters>,
    told: Option<OnDeadLetter>,
}

#[derive(Default)]
struct Letters {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    dropped: u64,
}

impl Default for Store {
    fn default() -> Self {
        let (letters, bytes) = (DeadLetters::LETTERS, DeadLetters::BYTES);
        Store { letters, bytes, drops_oldest: false, kept: Mutex::default(), told: None }
    }
}

/// Outcome of a replay of [`DeadLetters`] or [`FileDeadLetters`](super::FileDeadLetters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Letters that were handled, and removed.
    pub handled: usize,
    /// Letters that failed again, and were put back.
    pub failed: usize,
    /// Letters that cannot be read, and were set aside.
    pub damaged: usize,
}

impl DeadLetters {
    /// The default bound on letters.
    pub const LETTERS: usize = 1000;

    /// The default bound on their memory, in bytes.
    pub const BYTES: usize = 8 << 20;

    /// Makes an empty store with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        DeadLetters::default()
    }

    /// Makes an empty store with bounds on letters and bytes.
    ///
    /// # Errors
    /// [`ConfigError::Range`] outside 1 to 1 000 000 letters or 1 byte to 1 GiB.
    pub fn bounded(letters: usize, bytes: usize) -> Result<Self, ConfigError> {
        count("the limit of dead letters", letters, 1..=1_000_000, "from 1 to 1 000 000")?;
        count("the limit of dead letters' bytes", bytes, 1..=1 << 30, "from 1 to 1 GiB")?;
        Ok(DeadLetters(Arc::new(Store { letters, bytes, ..Store::default() })))
    }

    /// Sets a callback for every new letter, on an empty store. It runs on the connection's thread and must not block.
    #[must_use]
    pub fn on_dead_letter(self, told: impl Fn(&DeadLetter) + Send + Sync + 'static) -> Self {
        let Store { letters, bytes, drops_oldest, .. } = *self.0;
        DeadLetters(Arc::new(Store { letters, bytes, drops_oldest, told: Some(Box::new(told)), ..Store::default() }))
    }

    /// Makes an empty store drop the oldest letter past its bounds, so that no queue waits. Dropped letters are lost:
    /// they are [counted](DeadLetters::dropped) and logged at WARN. It resets
    /// [`on_dead_letter`](DeadLetters::on_dead_letter).
    #[must_use]
    pub fn dropping_oldest(self) -> Self {
        let Store { letters, bytes, .. } = *self.0;
        DeadLetters(Arc::new(Store { letters, bytes, drops_oldest: true, ..Store::default() }))
    }

    /// Returns the number of letters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().letters.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of letters dropped for newer ones.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.kept().dropped
    }

    /// Takes the oldest letter out.
    #[must_use]
    pub fn take(&self) -> Option<DeadLetter> {
        let mut kept = self.kept();
        let letter = kept.letters.pop_front()?;
        kept.bytes = kept.bytes.saturating_sub(letter.weight());
        Some(letter)
    }

    /// Takes all letters out, the oldest first.
    #[must_use]
    pub fn drain(&self) -> Vec<DeadLetter> {
        let mut kept = self.kept();
        kept.bytes = 0;
        mem::take(&mut kept.letters).into()
    }

    /// Offers each letter to a handler once, the oldest first: `Ok` and it is gone, otherwise it is back, behind those
    /// that were not offered yet. Letters that come in meanwhile are not offered.
    ///
    /// They are handled on the thread that awaits this, concurrently with the connection's messages.
    ///
    /// # Cancel safety
    /// The letter that was being handled is back when the future is dropped.
    pub async fn replay(&self, handler: &MessageHandler) -> Replayed {
        let mut replayed = Replayed::default();
        for _ in 0..self.len() {
            let Some(letter) = self.take() else { break };
            let attempt = letter.attempts.saturating_add(1);
            let delivery = Delivery::new(letter.event.clone(), attempt);
            let mut offered = Offered { letters: self, letter: Some(letter) };
            match handler.offer(delivery).await {
                Ok(()) => {
                    offered.letter = None;
                    replayed.handled += 1;
                }
                Err(Failed::NobodyThere) => replayed.failed += 1,
                Err(Failed::Attempt(error)) => {
                    if let Some(letter) = &mut offered.letter {
                        letter.failed_again(error, attempt);
                    }
                    replayed.failed += 1;
                }
            }
        }
        replayed
    }

    /// Adds a letter, if there is room, and returns those dropped for it.
    pub(super) fn push(&self, letter: DeadLetter) -> Result<Vec<DeadLetter>, DeadLetterError> {
        {
            let kept = self.kept();
            let full = kept.letters.len() >= self.0.letters
                || (!kept.letters.is_empty() && kept.bytes.saturating_add(letter.weight()) > self.0.bytes);
            if full && !self.0.drops_oldest {
                return Err(DeadLetterError::Full { letters: kept.letters.len(), bytes: kept.bytes as u64 });
            }
        }
        if let Some(told) = &self.0.told {
            // What the application's closure does wrong must not stop a queue.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told(&letter)));
        }
        Ok(self.keep(letter))
    }

    fn keep(&self, letter: DeadLetter) -> Vec<DeadLetter> {
        let (mut kept, mut dropped) = (self.kept(), Vec::new());
        kept.bytes = kept.bytes.saturating_add(letter.weight());
        kept.letters.push_back(letter);
        let over = |kept: &Letters| kept.letters.len() > self.0.letters || kept.bytes > self.0.bytes;
        while self.0.drops_oldest && kept.letters.len() > 1 && over(&kept) {
            if let Some(oldest) = kept.letters.pop_front() {
                kept.bytes = kept.bytes.saturating_sub(oldest.weight());
                kept.dropped += 1;
                dropped.push(oldest);
            }
        }
        dropped
    }

    fn kept(&self) -> MutexGuard<'_, Letters> {
        lock(&self.0.kept)
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        f.debug_struct("DeadLetters")
            .field("len", &kept.letters.len())
            .field("bytes", &kept.bytes)
            .field("dropped", &kept.dropped)
            .finish_non_exhaustive()
    }
}

struct Offered<'a> {
    letters: &'a DeadLetters,
    letter: Option<DeadLetter>,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            self.letters.keep(letter);
        }
    }
}
