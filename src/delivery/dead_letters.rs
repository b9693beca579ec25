//! What could not be handled.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Delivery, HandlerError, MessageHandler, handler::Failed};
use crate::{ConfigError, Event, config::count};

/// An event that a [`MessageHandler`] could not handle. It prints no text of a message.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The event.
    pub event: Event,
    /// What the last attempt failed with.
    pub error: HandlerError,
    /// How many attempts there were.
    pub attempts: u32,
    /// When the last one failed, in milliseconds since 1970.
    pub at: u64,
    bytes: usize,
}

impl DeadLetter {
    pub(super) fn new(event: Event, error: HandlerError, attempts: u32, bytes: usize) -> Self {
        DeadLetter { event, error, attempts, at: now(), bytes }
    }

    /// What it counts for: its text and what is around it.
    fn weight(&self) -> usize {
        const AROUND: usize = 256;
        self.bytes.saturating_add(AROUND)
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("delivery", &Delivery::new(self.event.clone(), self.attempts))
            .field("error", &self.error)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps what could not be handled, in memory: cheap to clone, and every clone is the same store.
///
/// Bounds: [`LETTERS`](DeadLetters::LETTERS) letters of [`BYTES`](DeadLetters::BYTES) bytes in all (as they were encoded,
/// and 256 for each), unless [`bounded`](DeadLetters::bounded) says otherwise. Past them the oldest is dropped and
/// counted; the newest stays whatever its size.
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
    kept: Mutex<Kept>,
    told: Option<OnDeadLetter>,
}

#[derive(Default)]
struct Kept {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    dropped: u64,
}

impl Default for Store {
    fn default() -> Self {
        Store { letters: DeadLetters::LETTERS, bytes: DeadLetters::BYTES, kept: Mutex::default(), told: None }
    }
}

/// What a [replay](DeadLetters::replay) came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// How many were handled, and are gone.
    pub handled: usize,
    /// How many failed again, and are back.
    pub failed: usize,
}

impl DeadLetters {
    /// How many letters are kept by default.
    pub const LETTERS: usize = 1000;

    /// How many bytes they have in all by default.
    pub const BYTES: usize = 8 << 20;

    /// An empty store with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        DeadLetters::default()
    }

    /// An empty store of so many letters and bytes.
    ///
    /// # Errors
    /// [`ConfigError::Range`] outside 1 to 1 000 000 letters or 1 byte to 1 GiB.
    pub fn bounded(letters: usize, bytes: usize) -> Result<Self, ConfigError> {
        count("the limit of dead letters", letters, 1..=1_000_000, "from 1 to 1 000 000")?;
        count("the limit of dead letters' bytes", bytes, 1..=1 << 30, "from 1 to 1 GiB")?;
        Ok(DeadLetters(Arc::new(Store { letters, bytes, ..Store::default() })))
    }

    /// An empty store of the same bounds that calls this for every letter that comes in, on the connection's thread; it
    /// must not block.
    #[must_use]
    pub fn on_dead_letter(self, told: impl Fn(&DeadLetter) + Send + Sync + 'static) -> Self {
        let Store { letters, bytes, .. } = *self.0;
        DeadLetters(Arc::new(Store { letters, bytes, told: Some(Box::new(told)), ..Store::default() }))
    }

    /// How many letters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().letters.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were dropped because there was no room.
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
    /// They are handled on the thread that awaits this, beside what the connection has handled at the time.
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
                        (letter.error, letter.attempts, letter.at) = (error, attempt, now());
                    }
                    replayed.failed += 1;
                }
            }
        }
        replayed
    }

    /// Takes a letter in.
    pub(super) fn push(&self, letter: DeadLetter) {
        if let Some(told) = &self.0.told {
            // What the application's closure does wrong must not stop a queue.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told(&letter)));
        }
        self.keep(letter);
    }

    fn keep(&self, letter: DeadLetter) {
        let mut kept = self.kept();
        kept.bytes = kept.bytes.saturating_add(letter.weight());
        kept.letters.push_back(letter);
        while kept.letters.len() > 1 && (kept.letters.len() > self.0.letters || kept.bytes > self.0.bytes) {
            if let Some(oldest) = kept.letters.pop_front() {
                kept.bytes = kept.bytes.saturating_sub(oldest.weight());
                kept.dropped += 1;
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A letter that is being offered; what is still there in the end goes back.
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
