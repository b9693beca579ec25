//! The conversations of one user, as the service lists them (messages spec §5.4).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{history::Chat, limits, queue::StoredItem, queues::QueueName, routing::Target, state::State};

/// One conversation.
pub(super) struct Channel {
    pub(super) last: Arc<StoredItem>,
    pub(super) unread: u64,
}

/// A user's conversations: the last [`limits::CHANNELS`] that something was said in.
#[derive(Default)]
pub(super) struct Channels {
    by_queue: BTreeMap<QueueName, Channel>,
    /// Last message and conversation, the longest silent first.
    order: BTreeSet<(u64, QueueName)>,
}

impl Channels {
    fn put(&mut self, stored: &Arc<StoredItem>, unread: bool) {
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

    pub(super) fn get(&self, queue: &QueueName) -> Option<&Channel> {
        self.by_queue.get(queue)
    }

    pub(super) fn read(&mut self, queue: &QueueName) {
        if let Some(channel) = self.by_queue.get_mut(queue) {
            channel.unread = 0;
        }
    }

    /// A message of a conversation is gone; `before` is what was said before it.
    fn recalled(&mut self, queue: &QueueName, id: u64, before: Option<&Arc<StoredItem>>) {
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

    pub(super) fn remove(&mut self, queue: &QueueName) {
        if let Some(channel) = self.by_queue.remove(queue) {
            self.order.remove(&(channel.last.id, queue.clone()));
        }
    }

    /// Conversations, the latest first; those behind the one whose last message has the id `before`.
    pub(super) fn latest(&self, before: Option<u64>) -> impl Iterator<Item = (&QueueName, &Channel)> {
        let newest_first = self.order.iter().rev().filter(move |(id, _)| before.is_none_or(|before| *id < before));
        newest_first.filter_map(|(_, queue)| self.by_queue.get_key_value(queue))
    }
}

impl State {
    /// Counts a message in a user's conversations.
    pub(super) fn count_for(&mut self, user: &str, stored: &Arc<StoredItem>, unread: bool) {
        if let Some(user) = self.users.get_mut(user) {
            user.channels.put(stored, unread);
        }
    }

    /// Takes a recalled message out of the conversations of everybody concerned.
    pub(super) fn recalled_for_all(&mut self, target: &Target, sender: &str, id: u64) {
        let last = self.history.last(&Chat::of(target, sender));
        let concerned = match target {
            Target::User(receiver) => {
                vec![(receiver.clone(), QueueName::user(sender)), (sender.to_owned(), QueueName::user(receiver))]
            }
            Target::Group(group) => {
                let members = self.groups.members_of(group).into_iter();
                members.map(|member| (member, QueueName::muc(group))).collect()
            }
            Target::Room(_) => Vec::new(),
        };
        for (user, queue) in concerned {
            let before = last.map(|(id, meta)| Arc::new(StoredItem { id, queue: queue.clone(), meta: meta.clone() }));
            if let Some(user) = self.users.get_mut(&user) {
                user.channels.recalled(&queue, id, before.as_ref());
            }
        }
    }
}
