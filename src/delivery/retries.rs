//! Attempts of each queue's next event, while its page is not there.

use std::collections::HashMap;

use actix_rt::time::Instant;

/// Retries of a session's queues. Bound: [`Retries::CAPACITY`] queues; past it the one longest not retried starts anew.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    queues: HashMap<Box<str>, Tried>,
}

#[derive(Debug)]
struct Tried {
    key: u64,
    attempts: u32,
    turn: u64,
    since: Instant,
    last: Instant,
    told: bool,
}

/// A queue that recovered after it was reported as waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovered {
    pub(super) attempts: u32,
    pub(super) since: Instant,
}

impl Retries {
    const CAPACITY: usize = 4096;

    /// Returns the attempts that this handler made at an event of a queue.
    pub(super) fn attempts(&self, queue: &str, key: u64, turn: u64) -> u32 {
        self.of(queue, key, turn).map_or(0, |tried| tried.attempts)
    }

    fn of(&self, queue: &str, key: u64, turn: u64) -> Option<&Tried> {
        self.queues.get(queue).filter(|tried| tried.key == key && tried.turn == turn)
    }

    pub(super) fn failed(&mut self, queue: &str, key: u64, turn: u64, attempts: u32) {
        let now = Instant::now();
        if let Some(tried) = self.queues.get_mut(queue).filter(|tried| tried.key == key) {
            // Another handler counts anew, and it was said all the same that the queue waits.
            (tried.attempts, tried.turn, tried.last) = (attempts, turn, now);
            return;
        }
        if self.queues.len() >= Self::CAPACITY
            && !self.queues.contains_key(queue)
            && let Some(oldest) = self.queues.iter().min_by_key(|(_, tried)| tried.last).map(|(name, _)| name.clone())
        {
            self.queues.remove(&oldest);
        }
        self.queues.insert(queue.into(), Tried { key, attempts, turn, since: now, last: now, told: false });
    }

    pub(super) fn is_news(&mut self, queue: &str) -> bool {
        self.queues.get_mut(queue).is_some_and(|tried| !std::mem::replace(&mut tried.told, true))
    }

    /// Ends a queue's retries; returns a recovery to log if the queue was reported as waiting.
    pub(super) fn over(&mut self, queue: &str) -> Option<Recovered> {
        if self.queues.is_empty() {
            return None;
        }
        let Tried { attempts, since, told, .. } = self.queues.remove(queue)?;
        told.then_some(Recovered { attempts, since })
    }
}

#[cfg(test)]
mod tests {
    use super::Retries;

    #[test]
    fn attempts_are_counted_for_one_event_and_one_handler() {
        let mut retries = Retries::default();
        retries.failed("a", 7, 1, 2);
        assert_eq!(
            [("a", 7, 1), ("a", 8, 1), ("a", 7, 2), ("b", 7, 1)]
                .map(|(queue, key, turn)| { retries.attempts(queue, key, turn) }),
            [2, 0, 0, 0]
        );
        assert!(retries.is_news("a") && !retries.is_news("a"));
        retries.failed("a", 7, 2, 1);
        assert!(!retries.is_news("a"), "it was said");
        assert_eq!(retries.over("a").unwrap().attempts, 1);
        assert!(retries.over("a").is_none());
        retries.failed("a", 7, 1, 1);
        assert!(retries.is_news("a"));
        retries.failed("a", 8, 1, 1);
        assert!(retries.is_news("a"), "what it waited for before is there no more, such as recalled");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut retries = Retries::default();
        for n in 0..2 * Retries::CAPACITY {
            retries.failed(&n.to_string(), 1, 1, 1);
            assert!(retries.queues.len() <= Retries::CAPACITY);
        }
    }
}
