//! What waits for one user: a queue per device and conversation, read in pages and forgotten by key (connection spec §7.2).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use prost::Message as _;

use super::limits;
use crate::wire::{Jid, Meta, USER_DOMAIN};

/// A conversation as one user sees it: domain and name of the other side, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueName {
    pub(super) domain: String,
    pub(super) name: String,
}

impl QueueName {
    pub(super) fn user(name: &str) -> Self {
        QueueName { domain: USER_DOMAIN.to_owned(), name: name.to_lowercase() }
    }

    /// The queue a JID names; an absent domain is that of users.
    pub(super) fn of(jid: &Jid) -> Self {
        let domain = jid.domain.as_deref().filter(|domain| !domain.is_empty()).unwrap_or(USER_DOMAIN);
        QueueName { domain: domain.to_lowercase(), name: jid.name.as_deref().unwrap_or_default().to_lowercase() }
    }
}

/// A message as it will be delivered.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: u64,
    pub(super) queue: QueueName,
    pub(super) meta: Meta,
}

/// One page of a queue; empty at its end.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) metas: Vec<Meta>,
    pub(super) next_key: Option<u64>,
}

#[derive(Debug, Default)]
struct Device {
    queues: BTreeMap<QueueName, VecDeque<Arc<Stored>>>,
    stored: usize,
}

/// Everything that waits for one user.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// Devices seen, the last to log in at the end.
    devices: VecDeque<(String, Device)>,
    /// What came while no device was online and no device has acknowledged: a new device starts with it.
    waiting: VecDeque<Arc<Stored>>,
    dropped: u64,
}

impl Mailbox {
    /// A device logs in: a known one finds its queues as they were, a new one gets what nobody has had yet.
    pub(super) fn logged_in(&mut self, resource: &str) {
        let known = self.devices.iter().position(|(name, _)| name == resource);
        let device = match known.and_then(|at| self.devices.remove(at)) {
            Some((_, device)) => device,
            None => {
                let mut device = Device::default();
                for stored in &self.waiting {
                    device.put(Arc::clone(stored));
                }
                device
            }
        };
        if self.devices.len() >= limits::DEVICES {
            self.devices.pop_front();
        }
        self.devices.push_back((resource.to_owned(), device));
    }

    /// Stores for every known device except `but`, and for devices to come when no device is online.
    pub(super) fn put(&mut self, stored: &Arc<Stored>, online: bool, but: Option<&str>) {
        for (resource, device) in &mut self.devices {
            if but != Some(resource.as_str()) {
                self.dropped += device.put(Arc::clone(stored));
            }
        }
        if !online {
            if self.waiting.len() >= limits::STORED {
                self.waiting.pop_front();
                self.dropped += 1;
            }
            self.waiting.push_back(Arc::clone(stored));
        }
    }

    /// Stores for one device; nothing happens when it is not known.
    pub(super) fn put_for(&mut self, resource: &str, stored: &Arc<Stored>) {
        if let Some(device) = self.device(resource) {
            let dropped = device.put(Arc::clone(stored));
            self.dropped += dropped;
        }
    }

    /// The queues of a device that hold something, and how much.
    pub(super) fn unread(&self, resource: &str) -> Vec<(QueueName, usize)> {
        let device = self.devices.iter().find(|(name, _)| name == resource).map(|(_, device)| device);
        device.map_or_else(Vec::new, |device| {
            device.queues.iter().map(|(name, queue)| (name.clone(), queue.len())).collect()
        })
    }

    /// Forgets what is acknowledged by `key` and reads the next page.
    pub(super) fn pull(&mut self, resource: &str, name: &QueueName, key: Option<u64>) -> Page {
        if let Some(key) = key.filter(|key| *key > 0) {
            self.waiting.retain(|stored| stored.queue != *name || stored.id > key);
            if let Some(device) = self.device(resource) {
                device.acknowledge(name, key);
            }
        }
        let Some(queue) = self.device(resource).and_then(|device| device.queues.get(name)) else {
            return Page { metas: Vec::new(), next_key: key };
        };
        let mut page = Page::default();
        let mut bytes = 0;
        for stored in queue.iter().take(limits::PAGE) {
            bytes += stored.meta.encoded_len();
            if !page.metas.is_empty() && bytes > limits::PAGE_BYTES {
                break;
            }
            page.metas.push(stored.meta.clone());
            page.next_key = Some(stored.id);
        }
        page
    }

    /// How many messages were dropped because a queue was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn device(&mut self, resource: &str) -> Option<&mut Device> {
        self.devices.iter_mut().find(|(name, _)| name == resource).map(|(_, device)| device)
    }
}

impl Device {
    /// Answers how many messages had to go.
    fn put(&mut self, stored: Arc<Stored>) -> u64 {
        let mut dropped = 0;
        if self.stored >= limits::STORED {
            // The longest queue pays.
            if let Some(longest) = self.queues.values_mut().max_by_key(|queue| queue.len()) {
                longest.pop_front();
                self.stored -= 1;
                dropped = 1;
            }
            self.queues.retain(|_, queue| !queue.is_empty());
        }
        self.queues.entry(stored.queue.clone()).or_default().push_back(stored);
        self.stored += 1;
        dropped
    }

    fn acknowledge(&mut self, name: &QueueName, key: u64) {
        let Some(queue) = self.queues.get_mut(name) else {
            return;
        };
        while queue.front().is_some_and(|stored| stored.id <= key) {
            queue.pop_front();
            self.stored -= 1;
        }
        if queue.is_empty() {
            self.queues.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Mailbox, QueueName, Stored};
    use crate::{local_server::limits, wire::Meta};

    fn message(id: u64, from: &str) -> Arc<Stored> {
        Arc::new(Stored { id, queue: QueueName::user(from), meta: Meta { id: Some(id), ..Meta::default() } })
    }

    fn ids(mailbox: &mut Mailbox, device: &str, from: &str, key: Option<u64>) -> (Vec<u64>, Option<u64>) {
        let page = mailbox.pull(device, &QueueName::user(from), key);
        (page.metas.iter().filter_map(|meta| meta.id).collect(), page.next_key)
    }

    #[test]
    fn a_queue_is_read_in_pages_and_forgotten_by_key() {
        let mut mailbox = Mailbox::default();
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
        let mut mailbox = Mailbox::default();
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
        let mut mailbox = Mailbox::default();
        mailbox.logged_in("d1");
        mailbox.logged_in("d2");
        mailbox.put(&message(1, "alice"), true, Some("d2"));
        mailbox.logged_in("d1");
        assert_eq!(ids(&mut mailbox, "d1", "alice", None).0, [1]);
        assert!(ids(&mut mailbox, "d2", "alice", None).0.is_empty());
    }

    #[test]
    fn a_full_device_drops_the_oldest_of_its_longest_queue_and_counts_it() {
        let mut mailbox = Mailbox::default();
        mailbox.logged_in("d1");
        for id in 1..=limits::STORED as u64 + 5 {
            mailbox.put(&message(id, "alice"), true, None);
        }
        assert_eq!(mailbox.dropped(), 5);
        assert_eq!(ids(&mut mailbox, "d1", "alice", None).0.first(), Some(&6));
    }
}
