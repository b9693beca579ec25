//! Groups, threads and their members.

use std::collections::{BTreeMap, BTreeSet};

use crate::{local_server::limits, util::unix_time::now_ms};

/// The place of a thread.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    /// The group.
    pub(crate) parent: String,
    /// The message it is about.
    pub(crate) message: String,
    pub(crate) name: String,
}

/// A group, or a thread of one.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) custom: String,
    pub(crate) owner: String,
    /// The members, including the owner, with the time each joined in milliseconds since 1970.
    pub(crate) members: BTreeMap<String, u64>,
    pub(crate) public: bool,
    /// `true`: the owner has to accept those who want to join.
    pub(crate) approval: bool,
    /// `true`: members may invite.
    pub(crate) allow_invites: bool,
    /// `true`: the invited have to accept first.
    pub(crate) confirm_invites: bool,
    pub(crate) max_users: usize,
    pub(crate) created_ms: u64,
    pub(crate) applicants: BTreeSet<String>,
    pub(crate) invited: BTreeSet<String>,
    /// Set for a thread.
    pub(crate) thread: Option<Thread>,
}

impl Group {
    /// Returns a group with its owner in it, that everybody may find and join.
    pub(crate) fn new(id: String, owner: &str) -> Self {
        let now = now_ms();
        Group {
            name: id.clone(),
            id,
            description: String::new(),
            custom: String::new(),
            owner: owner.to_owned(),
            members: BTreeMap::from([(owner.to_owned(), now)]),
            public: true,
            approval: false,
            allow_invites: true,
            confirm_invites: false,
            max_users: limits::MEMBERS,
            created_ms: now,
            applicants: BTreeSet::new(),
            invited: BTreeSet::new(),
            thread: None,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.members.len() >= self.max_users
    }
}

/// Every group and thread.
#[derive(Default)]
pub(crate) struct Groups {
    by_id: BTreeMap<String, Group>,
}

impl Groups {
    pub(crate) fn is_full(&self) -> bool {
        self.by_id.len() >= limits::GROUPS
    }

    pub(crate) fn add(&mut self, group: Group) {
        self.by_id.insert(group.id.clone(), group);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.by_id.get_mut(id)
    }

    /// Removes a group and its threads.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Group> {
        self.by_id.retain(|_, group| group.thread.as_ref().is_none_or(|thread| thread.parent != id));
        self.by_id.remove(id)
    }

    pub(crate) fn members_of(&self, id: &str) -> Vec<String> {
        self.get(id).map_or_else(Vec::new, |group| group.members.keys().cloned().collect())
    }

    /// Returns every group, without threads.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Group> {
        self.by_id.values().filter(|group| group.thread.is_none())
    }

    /// Returns the threads of a group that a user is in.
    pub(crate) fn threads_with<'a>(&'a self, parent: &'a str, user: &'a str) -> impl Iterator<Item = &'a Group> {
        let of_parent = move |group: &&Group| group.thread.as_ref().is_some_and(|thread| thread.parent == parent);
        self.by_id.values().filter(of_parent).filter(move |group| group.members.contains_key(user))
    }

    /// Returns the groups and threads a user is in.
    pub(crate) fn with(&self, user: &str) -> Vec<String> {
        self.by_id.values().filter(|group| group.members.contains_key(user)).map(|group| group.id.clone()).collect()
    }
}
