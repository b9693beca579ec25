//! Chat rooms and the devices in them.

use std::collections::{BTreeMap, HashMap};

use crate::{local_server::limits, util::unix_time::now_ms};

/// One chat room.
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) created_ms: u64,
    /// Session to user and resource.
    devices: BTreeMap<u64, (String, String)>,
    /// User to number of devices.
    users: BTreeMap<String, usize>,
}

impl Room {
    pub(crate) fn holds(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Counts the users in it.
    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = &String> {
        self.users.keys()
    }

    pub(crate) fn new(name: String, owner: String) -> Self {
        Room { name, owner, created_ms: now_ms(), devices: BTreeMap::new(), users: BTreeMap::new() }
    }
}

/// Every chat room.
#[derive(Default)]
pub(crate) struct Rooms {
    by_id: HashMap<String, Room>,
}

impl Rooms {
    pub(crate) fn is_full(&self) -> bool {
        self.by_id.len() >= limits::ROOMS
    }

    pub(crate) fn add(&mut self, id: String, room: Room) {
        self.by_id.insert(id, room);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Room> {
        self.by_id.get(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Room)> {
        self.by_id.iter()
    }

    /// Returns session, user and resource of everybody in a room.
    pub(crate) fn devices_of(&self, id: &str) -> Vec<(u64, String, String)> {
        let devices = self.by_id.get(id).into_iter().flat_map(|room| &room.devices);
        devices.map(|(session, (user, resource))| (*session, user.clone(), resource.clone())).collect()
    }

    /// Empties every room.
    pub(crate) fn empty_all(&mut self) {
        for room in self.by_id.values_mut() {
            room.devices.clear();
            room.users.clear();
        }
    }

    /// Adds a device; returns whether its user was not in the room before, `None` if there is no such room.
    pub(crate) fn enter(&mut self, id: &str, session: u64, user: &str, resource: &str) -> Option<bool> {
        let room = self.by_id.get_mut(id)?;
        if room.devices.insert(session, (user.to_owned(), resource.to_owned())).is_some() {
            return Some(false);
        }
        let devices = room.users.entry(user.to_owned()).or_default();
        *devices += 1;
        Some(*devices == 1)
    }

    /// Removes a device; returns its user if it was the last one.
    pub(crate) fn exit(&mut self, id: &str, session: u64) -> Option<String> {
        let room = self.by_id.get_mut(id)?;
        let (user, _) = room.devices.remove(&session)?;
        let devices = room.users.get_mut(&user)?;
        *devices -= 1;
        (*devices == 0).then(|| {
            room.users.remove(&user);
            user
        })
    }
}
