//! Knowing a message that is sent once more.
//!
//! Whether the service stores a repeated client id once is not known (messages spec §9.2); this server does, because the
//! Go client's guide implies it.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
    time::Duration,
};

use super::{limits, routing::SendAccepted, state::now_ms};
use crate::wire::Meta;

/// A client id, and a digest of who sent what to whom under it.
type Key = (u64, u64);

/// What was answered to the last sends: of [`limits::REPEATS`], the oldest are forgotten.
#[derive(Default)]
pub(super) struct Repeats {
    digest: RandomState,
    answers: HashMap<Key, SendAccepted>,
    order: VecDeque<Key>,
}

impl Repeats {
    /// `None` for a send without an id.
    pub(super) fn key(&self, user: &str, meta: &Meta) -> Option<Key> {
        let id = meta.id.filter(|id| *id > 0)?;
        Some((id, self.digest.hash_one((user, &meta.to, meta.routetype, &meta.payload, &meta.directed_users))))
    }

    /// What the same send was answered with before.
    pub(super) fn answer(&self, key: Key, window: Duration) -> Option<SendAccepted> {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self.answers.get(&key).filter(|taken| now_ms().saturating_sub(taken.at_ms) <= window).cloned()
    }

    pub(super) fn remember(&mut self, key: Key, taken: &SendAccepted) {
        if self.answers.insert(key, taken.clone()).is_some() {
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
