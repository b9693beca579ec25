//! The conversations of one user, as the service lists them (messages spec §5.4).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::local_server::{
    data::{queue::StoredItem, queue_name::QueueName},
    limits,
};

/// One conversation.
pub(crate) struct Channel {
    pub(crate) last: Arc<StoredItem>,
    pub(crate) unread: u64,
}

/// A user's conversations: the [`limits::CHANNELS`] with the latest messages.
#[derive(Default)]
pub(crate) struct Channels {
    by_queue: BTreeMap<QueueName, Channel>,
    /// Last message and conversation, the oldest first.
    order: BTreeSet<(u64, QueueName)>,
}

impl Channels {
    /// Makes a message the last of its conversation.
    pub(crate) fn put(&mut self, stored: &Arc<StoredItem>, unread: bool) {
        let queue = &stored.queue;
        let before = self.by_queue.remove(queue);
        let mut count = 0;
        if let Some(before) = before {
            self.order.remove(&(before.last.id, queue.clone()));
            count = before.unread;
        }
        self.order.insert((stored.id, queue.clone()));
        let channel = Channel { last: Arc::clone(stored), unread: count + u64::from(unread) };
        self.by_queue.insert(queue.clone(), channel);
        if self.order.len() > limits::CHANNELS
            && let Some((_, silent)) = self.order.pop_first()
        {
            self.by_queue.remove(&silent);
        }
    }

    pub(crate) fn get(&self, queue: &QueueName) -> Option<&Channel> {
        self.by_queue.get(queue)
    }

    /// Sets the unread count to 0.
    pub(crate) fn mark_read(&mut self, queue: &QueueName) {
        if let Some(channel) = self.by_queue.get_mut(queue) {
            channel.unread = 0;
        }
    }

    /// Removes a recalled message; `before` is the one before it.
    pub(crate) fn recall(&mut self, queue: &QueueName, id: u64, before: Option<&Arc<StoredItem>>) {
        if self.by_queue.get(queue).is_none_or(|channel| channel.last.id != id) {
            return;
        }
        let Some(gone) = self.by_queue.remove(queue) else {
            return;
        };
        self.order.remove(&(id, queue.clone()));
        if let Some(before) = before {
            self.put(before, false);
            if let Some(channel) = self.by_queue.get_mut(queue) {
                channel.unread = gone.unread.saturating_sub(1);
            }
        }
    }

    pub(crate) fn remove(&mut self, queue: &QueueName) {
        if let Some(channel) = self.by_queue.remove(queue) {
            self.order.remove(&(channel.last.id, queue.clone()));
        }
    }

    /// Returns conversations, the latest first: those behind the one whose last message has the id `before`.
    pub(crate) fn latest(&self, before: Option<u64>) -> impl Iterator<Item = (&QueueName, &Channel)> {
        let newest_first = self.order.iter().rev().filter(move |(id, _)| before.is_none_or(|before| *id < before));
        newest_first.filter_map(|(_, queue)| self.by_queue.get_key_value(queue))
    }
}
