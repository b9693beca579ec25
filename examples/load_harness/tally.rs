//! What an arbiter's sessions count while they run.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A count with one writer, its arbiter, and any readers.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.get() + more, Relaxed);
    }

    pub(crate) fn less(&self) {
        self.0.store(self.get().saturating_sub(1), Relaxed);
    }

    pub(crate) fn at_least(&self, value: u64) {
        self.0.store(self.get().max(value), Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts of one arbiter, or their sums.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) logged_in: Count,
    pub(crate) failed: Count,
    pub(crate) up: Count,
    pub(crate) disconnects: Count,
    pub(crate) attempts: Count,
    pub(crate) reconnected: Count,
    pub(crate) received: Count,
    pub(crate) missed: Count,
    /// The latest that a timer of this arbiter was since the phase began, in microseconds.
    pub(crate) lag_us: Count,
}

impl Tally {
    /// The sums; of the lag the greatest.
    pub(crate) fn sum<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Tally {
        let all = Tally::default();
        for one in tallies {
            all.logged_in.add(one.logged_in.get());
            all.failed.add(one.failed.get());
            all.up.add(one.up.get());
            all.disconnects.add(one.disconnects.get());
            all.attempts.add(one.attempts.get());
            all.reconnected.add(one.reconnected.get());
            all.received.add(one.received.get());
            all.missed.add(one.missed.get());
            all.lag_us.at_least(one.lag_us.get());
        }
        all
    }

    pub(crate) fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_us.get())
    }
}
