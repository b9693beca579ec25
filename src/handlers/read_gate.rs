//! The gate before which connections wait while the registry is behind.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use super::Handlers;
use crate::{model::Event, util::lock};

/// Backpressure from the registry to its connections: how much it has not offered yet, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct ReadGate {
    /// The [shares](ReadGate::share) of the events that are published and not yet offered to the subscribers.
    pending: AtomicU64,
    /// Connections that wait to read on until the registry has caught up; entries of those that are gone do no harm.
    readers: Mutex<VecDeque<Waker>>,
    /// The number of those.
    waiting: AtomicUsize,
}

impl ReadGate {
    /// Returns an event's share of the backlog, in bytes: its memory, but enough that one number bounds events as well.
    pub(super) fn share(event: &Event) -> u64 {
        const LEAST: usize = Handlers::BACKLOG_BYTES / Handlers::BACKLOG;
        event.weight().max(LEAST) as u64
    }

    pub(super) fn published(&self, shares: u64) {
        self.pending.fetch_add(shares, Ordering::Relaxed);
    }

    pub(super) fn offered(&self, shares: u64) {
        // Messages sent to the actor's address were not counted when they were sent.
        let _ = self
            .pending
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pending| Some(pending.saturating_sub(shares)));
    }

    pub(super) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Has a reader woken once the registry has caught up.
    pub(super) fn wait(&self, reader: &Waker) {
        let mut readers = lock(&self.readers);
        readers.push_back(reader.clone());
        self.waiting.store(readers.len(), Ordering::Relaxed);
    }

    /// Wakes the readers that have waited longest.
    pub(super) fn wake_readers(&self, most: usize) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let woken: Vec<Waker> = {
            let mut readers = lock(&self.readers);
            let most = most.min(readers.len());
            let woken = readers.drain(..most).collect();
            self.waiting.store(readers.len(), Ordering::Relaxed);
            woken
        };
        woken.into_iter().for_each(Waker::wake);
    }
}
