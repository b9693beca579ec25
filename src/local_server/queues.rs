//! What waits for one user: a queue per device and conversation, read in pages and forgotten by key (connection spec §7.2).

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;

use super::{
    limits,
    queue::{Item, Queue},
};
use crate::wire::{GROUP_DOMAIN, Jid, Meta, USER_DOMAIN};

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

    /// The queue of a group, thread or room.
    pub(super) fn muc(id: &str) -> Self {
        QueueName { domain: GROUP_DOMAIN.to_owned(), name: id.to_lowercase() }
    }

    /// The queue a JID names; an absent domain is that of users.
    pub(super) fn of(jid: &Jid) -> Self {
        let domain = jid.domain.as_deref().filter(|domain| !domain.is_empty()).unwrap_or(USER_DOMAIN);
        QueueName { domain: domain.to_lowercase(), name: jid.name.as_deref().unwrap_or_default().to_lowercase() }
    }
}

/// One page of a queue; empty at its end.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) metas: Vec<Meta>,
    pub(super) next_key: Option<u64>,
}

/// How much of a user's messages is kept, and handed out at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Messages kept for one device.
    pub(super) stored: usize,
    /// Metas in one page.
    pub(super) page: usize,
}

/// Everything that waits for one user.
#[derive(Debug)]
pub(super) struct Mailbox {
    bounds: Bounds,
    /// Devices seen, the last to log in at the end.
    devices: VecDeque<(String, Queues)>,
    /// What came while no device was online and no device has acknowledged: a new device starts with it.
    waiting: Queues,
    dropped: u64,
}

impl Mailbox {
    pub(super) fn new(bounds: Bounds) -> Self {
        Mailbox { bounds, devices: VecDeque::new(), waiting: Queues::default(), dropped: 0 }
    }

    /// A device logs in: a known one finds its queues as they were, a new one gets what nobody has had yet.
    pub(super) fn logged_in(&mut self, resource: &str) {
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

    /// Stores for every known device except `but`, and for devices to come when no device is online.
    pub(super) fn put(&mut self, item: &Item, online: bool, but: Option<&str>) {
        for (resource, device) in &mut self.devices {
            if but != Some(resource.as_str()) {
                self.dropped += device.put(item.clone(), self.bounds.stored);
            }
        }
        if !online {
            self.dropped += self.waiting.put(item.clone(), self.bounds.stored);
        }
    }

    /// Stores for one device; nothing happens when it is not known.
    pub(super) fn put_for(&mut self, resource: &str, item: Item) {
        let most = self.bounds.stored;
        if let Some(device) = self.device(resource) {
            let dropped = device.put(item, most);
            self.dropped += dropped;
        }
    }

    /// Forgets a queue of one device.
    pub(super) fn forget(&mut self, resource: &str, name: &QueueName) {
        if let Some(device) = self.device(resource) {
            device.acknowledge(name, u64::MAX);
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
            self.waiting.acknowledge(name, key);
            if let Some(device) = self.device(resource) {
                device.acknowledge(name, key);
            }
        }
        let most = self.bounds.page;
        let Some(queue) = self.device(resource).and_then(|device| device.queues.get(name)) else {
            return Page { metas: Vec::new(), next_key: key };
        };
        let mut page = Page::default();
        let mut bytes = 0;
        for (id, meta) in queue.metas().take(most) {
            bytes += meta.encoded_len();
            if !page.metas.is_empty() && bytes > limits::PAGE_BYTES {
                break;
            }
            page.metas.push(meta);
            page.next_key = Some(id);
        }
        page
    }

    /// How many messages were dropped because a queue was full.
    pub(super) fn dropped(&self) -> u64 {
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
    /// Answers how many messages had to go.
    fn put(&mut self, item: Item, most: usize) -> u64 {
        let mut dropped = 0;
        while self.stored > 0 && self.stored + item.len() > most {
            // The longest queue pays.
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

    use super::{Bounds, Mailbox, QueueName};
    use crate::{
        local_server::queue::{Item, Run, StoredItem, Texts},
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
