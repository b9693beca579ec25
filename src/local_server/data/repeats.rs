//! Deduplication of repeated sends.
//!
//! It is not known whether the service stores a repeated client id once (messages spec §9.2). This server does, because
//! the Go client's guide implies it.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
    time::Duration,
};

use crate::{
    local_server::{data::send::SendAccepted, limits},
    util::unix_time::now_ms,
    wire::Meta,
};

/// A client id, and a digest of who sent what to whom under it.
type Key = (u64, u64);

/// Answers to the last [`limits::REPEATS`] sends; the oldest are forgotten.
#[derive(Default)]
pub(crate) struct Repeats {
    digest: RandomState,
    answers: HashMap<Key, SendAccepted>,
    order: VecDeque<Key>,
}

impl Repeats {
    /// Returns the key of a send; `None` without an id.
    pub(crate) fn key(&self, user: &str, meta: &Meta) -> Option<Key> {
        let id = meta.id.filter(|id| *id > 0)?;
        Some((id, self.digest.hash_one((user, &meta.to, meta.routetype, &meta.payload, &meta.directed_users))))
    }

    /// Returns the answer to the same send before.
    pub(crate) fn answer(&self, key: Key, window: Duration) -> Option<SendAccepted> {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self.answers.get(&key).filter(|accepted| now_ms().saturating_sub(accepted.at_ms) <= window).cloned()
    }

    /// Remembers the answer to a send.
    pub(crate) fn remember(&mut self, key: Key, accepted: &SendAccepted) {
        if self.answers.insert(key, accepted.clone()).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > limits::REPEATS
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }
}
