//! Undelivered messages of one user: a queue per device and conversation, read in pages and acknowledged by cursor
//! (connection spec §7.2).

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;

use crate::{
    local_server::{
        data::{
            queue::{Item, Queue},
            queue_name::QueueName,
        },
        limits,
    },
    wire::Meta,
};

/// One page of a queue; empty at its end.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) metas: Vec<Meta>,
    pub(crate) next_key: Option<u64>,
}

/// Bounds of a user's queues and pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Messages stored for one device.
    pub(crate) stored: usize,
    /// Metas in one page.
    pub(crate) page: usize,
}

/// The undelivered messages of one user.
#[derive(Debug)]
pub(crate) struct Mailbox {
    bounds: Bounds,
    /// Devices seen, the last to log in at the end.
    devices: VecDeque<(String, Queues)>,
    /// Messages that came while no device was online and that no device has acknowledged: a new device starts with them.
    waiting: Queues,
    dropped: u64,
}

impl Mailbox {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Mailbox { bounds, devices: VecDeque::new(), waiting: Queues::default(), dropped: 0 }
    }

    /// Adds a device, or marks it as the last to log in. A known one keeps its queues; a new one gets what no device has
    /// acknowledged.
    pub(crate) fn logged_in(&mut self, resource: &str) {
        let known = self.devices.iter().position(|(name, _)| name == resource);
        let device = match known.and_then(|at| self.devices.remove(at)) {
            Some((_, device)) => device,
            None => self.waiting.clone(),
        };
        if self.devices.len() >= limits::DEVICES {
            self.devices.pop_front();
        }
        self.devices.push_back((resource.to_owned(), device));
    }

    /// Stores an item for every known device except `except`, and for devices to come when no device is online.
    pub(crate) fn put(&mut self, item: &Item, online: bool, except: Option<&str>) {
        for (resource, device) in &mut self.devices {
            if except != Some(resource.as_str()) {
                self.dropped += device.put(item.clone(), self.bounds.stored);
            }
        }
        if !online {
            self.dropped += self.waiting.put(item.clone(), self.bounds.stored);
        }
    }

    /// Stores an item for one device, if it is known. Sessions that share a resource share its queues, so what it stored
    /// last is not stored once more.
    pub(crate) fn put_for(&mut self, resource: &str, item: Item) {
        let limit = self.bounds.stored;
        if let Some(device) = self.device(resource)
            && !device.queues.get(item.queue()).is_some_and(|queue| queue.ends_with(&item))
        {
            let dropped = device.put(item, limit);
            self.dropped += dropped;
        }
    }

    /// Drops a queue of one device.
    pub(crate) fn forget(&mut self, resource: &str, name: &QueueName) {
        if let Some(device) = self.device(resource) {
            device.acknowledge(name, u64::MAX);
        }
    }

    /// Returns the queues of a device that are not empty, with their lengths.
    pub(crate) fn unread(&self, resource: &str) -> Vec<(QueueName, usize)> {
        let device = self.devices.iter().find(|(name, _)| name == resource).map(|(_, device)| device);
        device.map_or_else(Vec::new, |device| {
            device.queues.iter().map(|(name, queue)| (name.clone(), queue.len())).collect()
        })
    }

    /// Drops everything up to the cursor `key`, and returns the next page.
    pub(crate) fn pull(&mut self, resource: &str, name: &QueueName, key: Option<u64>) -> Page {
        if let Some(key) = key.filter(|key| *key > 0) {
            self.waiting.acknowledge(name, key);
            if let Some(device) = self.device(resource) {
                device.acknowledge(name, key);
            }
        }
        let limit = self.bounds.page;
        let Some(queue) = self.device(resource).and_then(|device| device.queues.get(name)) else {
            return Page { metas: Vec::new(), next_key: key };
        };
        let mut page = Page::default();
        let mut bytes = 0;
        for (id, meta) in queue.metas().take(limit) {
            bytes += meta.encoded_len();
            if !page.metas.is_empty() && bytes > limits::PAGE_BYTES {
                break;
            }
            page.metas.push(meta);
            page.next_key = Some(id);
        }
        page
    }

    /// Returns the number of messages dropped because a queue was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn device(&mut self, resource: &str) -> Option<&mut Queues> {
        self.devices.iter_mut().find(|(name, _)| name == resource).map(|(_, device)| device)
    }
}

/// The queues of one device.
#[derive(Clone, Debug, Default)]
struct Queues {
    queues: BTreeMap<QueueName, Queue>,
    stored: usize,
}

impl Queues {
    /// Adds an item; returns how many messages were dropped for it.
    fn put(&mut self, item: Item, limit: usize) -> u64 {
        let mut dropped = 0;
        while self.stored > 0 && self.stored + item.len() > limit {
            // The longest queue drops its oldest.
            if let Some(longest) = self.queues.values_mut().max_by_key(|queue| queue.len()) {
                longest.drop_oldest();
                self.stored -= 1;
                dropped += 1;
            }
            self.queues.retain(|_, queue| queue.len() > 0);
        }
        self.stored += item.len();
        self.queues.entry(item.queue().clone()).or_default().push(item);
        dropped
    }

    fn acknowledge(&mut self, name: &QueueName, key: u64) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        self.stored -= queue.acknowledge(key);
        if queue.len() == 0 {
            self.queues.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Bounds, Mailbox};
    use crate::{
        local_server::data::{
            queue::{Item, Run, StoredItem, Texts},
            queue_name::QueueName,
        },
        wire::{Jid, Meta},
    };

    const BOUNDS: Bounds = Bounds { stored: 1000, page: 10 };

    fn message(id: u64, from: &str) -> Item {
        let meta = Meta { id: Some(id), ..Meta::default() };
        Item::One(Arc::new(StoredItem { id, queue: QueueName::user(from), meta }))
    }

    fn run(first_id: u64, count: u64, from: &str) -> Item {
        let jid = |name| Jid::user("org#app", name);
        let texts = Texts { queue: QueueName::user(from), from: jid(from), to: jid("bob"), first_id, at_ms: 1 };
        Item::Run(Run::new(texts, count))
    }

    fn ids(mailbox: &mut Mailbox, device: &str, from: &str, key: Option<u64>) -> (Vec<u64>, Option<u64>) {
        let page = mailbox.pull(device, &QueueName::user(from), key);
        (page.metas.iter().filter_map(|meta| meta.id).collect(), page.next_key)
    }

    #[test]
    fn a_queue_is_read_in_pages_and_forgotten_by_key() {
        let mut mailbox = Mailbox::new(BOUNDS);
        mailbox.logged_in("d1");
        for id in 1..=25 {
            mailbox.put(&message(id, "alice"), true, None);
        }
        assert_eq!(mailbox.unread("d1"), [(QueueName::user("alice"), 25)]);
        assert_eq!(ids(&mut mailbox, "d1", "alice", None), ((1..=10).collect(), Some(10)));
        assert_eq!(ids(&mut mailbox, "d1", "alice", None), ((1..=10).collect(), Some(10)), "unacknowledged, so again");
        assert_eq!(ids(&mut mailbox, "d1", "alice", Some(10)), ((11..=20).collect(), Some(20)));
        assert_eq!(ids(&mut mailbox, "d1", "alice", Some(20)), ((21..=25).collect(), Some(25)));
        assert_eq!(ids(&mut mailbox, "d1", "alice", Some(25)), (vec![], Some(25)));
        assert!(mailbox.unread("d1").is_empty());
    }

    #[test]
    fn what_came_while_nobody_was_online_goes_to_the_next_device_until_one_acknowledges() {
        let mut mailbox = Mailbox::new(BOUNDS);
        mailbox.put(&message(1, "alice"), false, None);
        mailbox.logged_in("d1");
        mailbox.logged_in("d2");
        assert_eq!(ids(&mut mailbox, "d1", "alice", None).0, [1]);
        assert_eq!(ids(&mut mailbox, "d2", "ALICE", None).0, [1]);
        assert!(ids(&mut mailbox, "d1", "alice", Some(1)).0.is_empty());
        mailbox.logged_in("d3");
        assert!(ids(&mut mailbox, "d3", "alice", None).0.is_empty());
        assert_eq!(ids(&mut mailbox, "d2", "alice", None).0, [1], "each device acknowledges for itself");
    }

    #[test]
    fn a_known_device_finds_what_came_while_it_was_away() {
        let mut mailbox = Mailbox::new(BOUNDS);
        mailbox.logged_in("d1");
        mailbox.logged_in("d2");
        mailbox.put(&message(1, "alice"), true, Some("d2"));
        mailbox.logged_in("d1");
        assert_eq!(ids(&mut mailbox, "d1", "alice", None).0, [1]);
        assert!(ids(&mut mailbox, "d2", "alice", None).0.is_empty());
    }

    #[test]
    fn what_two_sessions_of_a_device_get_is_stored_once() {
        let mut mailbox = Mailbox::new(BOUNDS);
        mailbox.logged_in("d1");
        let item = message(1, "alice");
        mailbox.put_for("d1", item.clone());
        mailbox.put_for("d1", item);
        mailbox.put_for("d1", message(2, "alice"));
        assert_eq!(ids(&mut mailbox, "d1", "alice", None).0, [1, 2]);
    }

    #[test]
    fn a_full_device_drops_the_oldest_of_its_longest_queue_and_counts_it() {
        let mut mailbox = Mailbox::new(BOUNDS);
        mailbox.logged_in("d1");
        for id in 1..=BOUNDS.stored as u64 + 5 {
            mailbox.put(&message(id, "alice"), true, None);
        }
        assert_eq!(mailbox.dropped(), 5);
        assert_eq!(ids(&mut mailbox, "d1", "alice", None).0.first(), Some(&6));
    }

    #[test]
    fn a_run_of_texts_is_read_between_other_messages_and_acknowledged_in_parts() {
        let mut mailbox = Mailbox::new(BOUNDS);
        mailbox.put(&message(1, "alice"), false, None);
        mailbox.put(&run(2, 20, "alice"), false, None);
        mailbox.put(&message(22, "alice"), false, None);
        mailbox.logged_in("d1");
        assert_eq!(mailbox.unread("d1"), [(QueueName::user("alice"), 22)]);
        assert_eq!(ids(&mut mailbox, "d1", "alice", None), ((1..=10).collect(), Some(10)));
        assert_eq!(ids(&mut mailbox, "d1", "alice", Some(10)).0, (11..=20).collect::<Vec<_>>());
        assert_eq!(ids(&mut mailbox, "d1", "alice", Some(20)).0, [21, 22]);
        mailbox.logged_in("d2");
        assert_eq!(ids(&mut mailbox, "d2", "alice", None).0, [21, 22], "what nobody has acknowledged");
        assert!(ids(&mut mailbox, "d1", "alice", Some(22)).0.is_empty());
        assert!(mailbox.unread("d1").is_empty());
    }

    #[test]
    fn a_run_makes_room_one_text_at_a_time() {
        let mut mailbox = Mailbox::new(BOUNDS);
        mailbox.logged_in("d1");
        mailbox.put(&run(1, 1000, "alice"), true, None);
        mailbox.put(&message(2000, "carol"), true, None);
        assert_eq!(mailbox.dropped(), 1);
        assert_eq!(ids(&mut mailbox, "d1", "alice", None).0.first(), Some(&2));
    }
}
