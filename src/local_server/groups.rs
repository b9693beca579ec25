//! Groups and threads: who is in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{limits, state::now_ms};

/// Where a thread hangs.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    /// The group.
    pub(super) parent: String,
    /// The message it is about.
    pub(super) message: String,
    pub(super) name: String,
}

/// A group, or a thread of one.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) custom: String,
    pub(super) owner: String,
    /// Everybody in it, the owner included, and since when in milliseconds since 1970.
    pub(super) members: BTreeMap<String, u64>,
    pub(super) public: bool,
    /// Who wants to join has to be let in.
    pub(super) approval: bool,
    /// Members may invite.
    pub(super) allow_invites: bool,
    /// Who is invited is asked first.
    pub(super) confirm_invites: bool,
    pub(super) max_users: usize,
    pub(super) created_ms: u64,
    pub(super) applicants: BTreeSet<String>,
    pub(super) invited: BTreeSet<String>,
    /// Set for a thread.
    pub(super) thread: Option<Thread>,
}

impl Group {
    /// A group with its owner in it, that everybody may find and join.
    pub(super) fn new(id: String, owner: &str) -> Self {
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

    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= self.max_users
    }
}

/// Every group and thread.
#[derive(Default)]
pub(super) struct Groups {
    by_id: BTreeMap<String, Group>,
}

impl Groups {
    pub(super) fn is_full(&self) -> bool {
        self.by_id.len() >= limits::GROUPS
    }

    pub(super) fn add(&mut self, group: Group) {
        self.by_id.insert(group.id.clone(), group);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.by_id.get_mut(id)
    }

    /// Takes a group away; its threads are to be taken away too.
    pub(super) fn remove(&mut self, id: &str) -> Option<Group> {
        self.by_id.retain(|_, group| group.thread.as_ref().is_none_or(|thread| thread.parent != id));
        self.by_id.remove(id)
    }

    pub(super) fn members_of(&self, id: &str) -> Vec<String> {
        self.get(id).map_or_else(Vec::new, |group| group.members.keys().cloned().collect())
    }

    /// Every group, threads left out.
    pub(super) fn all(&self) -> impl Iterator<Item = &Group> {
        self.by_id.values().filter(|group| group.thread.is_none())
    }

    /// The threads of a group in which this user is.
    pub(super) fn threads_with<'a>(&'a self, parent: &'a str, user: &'a str) -> impl Iterator<Item = &'a Group> {
        let of_parent = move |group: &&Group| group.thread.as_ref().is_some_and(|thread| thread.parent == parent);
        self.by_id.values().filter(of_parent).filter(move |group| group.members.contains_key(user))
    }

    /// Every group and thread a user is in.
    pub(super) fn with(&self, user: &str) -> Vec<String> {
        self.by_id.values().filter(|group| group.members.contains_key(user)).map(|group| group.id.clone()).collect()
    }
}
