//! Who comes into a group and leaves it, and who is told (messages spec §4.1).

use std::sync::Arc;

use serde_json::json;

use super::{
    frames,
    groups::{Group, Thread},
    queue::StoredItem,
    queues::QueueName,
    routing::Reach,
    state::{State, now_ms},
};
use crate::wire::{Jid, Meta, MucBody, encode, meta::NameSpace, muc_body::Operation};

pub(super) fn named(name: &str) -> Jid {
    Jid { name: Some(name.to_owned()), ..Jid::default() }
}

/// Word of something that happened in a group.
pub(super) struct GroupNotice<'a> {
    pub(super) operation: Operation,
    pub(super) from: &'a str,
    /// Whom it happened to.
    pub(super) to: Option<&'a str>,
    pub(super) reason: Option<String>,
}

impl<'a> GroupNotice<'a> {
    pub(super) fn new(operation: Operation, from: &'a str, to: &'a str) -> Self {
        GroupNotice { operation, from, to: Some(to), reason: None }
    }
}

impl State {
    /// A fresh id of a group or room: fifteen digits, as the service's are.
    pub(super) fn muc_id(&mut self) -> String {
        self.last_muc = (now_ms() << 7).max(self.last_muc + 1);
        self.last_muc.to_string()
    }

    /// Puts a group into being: its owner's devices and its members are told. `resource` is the device that asked.
    pub(super) fn create_group(&mut self, group: Group, resource: Option<&str>) {
        let (id, owner) = (group.id.clone(), group.owner.clone());
        let members: Vec<String> = group.members.keys().filter(|member| **member != owner).cloned().collect();
        self.groups.add(group);
        let created = GroupNotice { operation: Operation::Create, from: &owner, to: None, reason: None };
        let meta = self.muc_meta(&id, &created);
        let stored = Arc::new(StoredItem { id: meta.id(), queue: QueueName::muc(&id), meta });
        let frame = frames::notice(&self.app_key, &stored.queue);
        self.deliver(&owner, &stored, Reach::Online, resource, &frame);
        for member in members {
            self.muc_told(&id, [member.clone()], &GroupNotice::new(Operation::DirectJoined, &owner, &member));
        }
    }

    /// Puts a user into a group; `false` if it is in it already. The others are told; who is `brought` by another one is
    /// told too.
    pub(super) fn join_group(&mut self, id: &str, user: &str, brought: Option<&str>) -> bool {
        let Some(group) = self.groups.get_mut(id).filter(|group| !group.members.contains_key(user)) else {
            return false;
        };
        group.applicants.remove(user);
        group.invited.remove(user);
        group.members.insert(user.to_owned(), now_ms());
        if let Some(by) = brought {
            self.muc_told(id, [user.to_owned()], &GroupNotice::new(Operation::DirectJoined, by, user));
        }
        let mut others = self.groups.members_of(id);
        others.retain(|member| member != user);
        self.muc_told(id, others, &GroupNotice::new(Operation::Presence, user, user));
        true
    }

    /// Takes a user out of a group and its threads; `false` if it is not in it. The others are told; who is `removed` by
    /// another one is told too.
    pub(super) fn leave_group(&mut self, id: &str, user: &str, removed: Option<&str>) -> bool {
        let Some(group) = self.groups.get_mut(id) else {
            return false;
        };
        if group.members.remove(user).is_none() {
            return false;
        }
        let threads: Vec<String> = self.groups.threads_with(id, user).map(|thread| thread.id.clone()).collect();
        for thread in &threads {
            if let Some(thread) = self.groups.get_mut(thread) {
                thread.members.remove(user);
            }
        }
        if let Some(by) = removed {
            self.muc_told(id, [user.to_owned()], &GroupNotice::new(Operation::Kick, by, user));
        }
        let members = self.groups.members_of(id);
        self.muc_told(id, members, &GroupNotice::new(Operation::Absence, user, user));
        true
    }

    /// Ends a group and its threads; everybody in it is told. `false` if there is none.
    pub(super) fn destroy_group(&mut self, id: &str) -> bool {
        let members = self.groups.members_of(id);
        let Some(owner) = self.groups.get(id).map(|group| group.owner.clone()) else {
            return false;
        };
        let word = GroupNotice { operation: Operation::Destroy, from: &owner, to: None, reason: None };
        self.muc_told(id, members, &word);
        self.groups.remove(id);
        true
    }

    /// Puts a thread with these members into being; everybody in its group is told.
    pub(super) fn create_thread(&mut self, owner: &str, thread: Thread, members: Vec<String>) -> String {
        let id = self.muc_id();
        let now = now_ms();
        let told = json!({"type": "thread", "data": {
            "operation": "create", "id": id, "name": thread.name, "muc_parent_id": thread.parent,
            "msg_parent_id": thread.message, "timestamp": now, "from": owner, "message_count": 0,
        }});
        let parent = thread.parent.clone();
        let mut group = Group::new(id.clone(), owner);
        group.name.clone_from(&thread.name);
        group.members.extend(members.into_iter().map(|member| (member, now)));
        group.thread = Some(thread);
        self.groups.add(group);
        let meta = Meta {
            id: Some(self.next_id()),
            from: Some(Jid::group(self.app_key.as_str(), &parent)),
            timestamp: Some(now),
            ns: Some(NameSpace::Notify as i32),
            payload: Some(told.to_string().into()),
            ..Meta::default()
        };
        for member in self.groups.members_of(&parent) {
            self.tell(&member, QueueName::muc(&parent), meta.clone());
        }
        id
    }

    /// Takes a deleted user out of every group; a group it owned is destroyed.
    pub(super) fn leave_every_group(&mut self, user: &str) {
        for id in self.groups.with(user) {
            match self.groups.get(&id).map(|group| group.owner == user) {
                Some(true) => self.destroy_group(&id),
                _ => self.leave_group(&id, user, None),
            };
        }
    }

    /// Tells some users, those offline at their next login.
    pub(super) fn muc_told(&mut self, id: &str, users: impl IntoIterator<Item = String>, word: &GroupNotice<'_>) {
        let meta = self.muc_meta(id, word);
        let stored = Arc::new(StoredItem { id: meta.id(), queue: QueueName::muc(id), meta });
        let frame = frames::notice(&self.app_key, &stored.queue);
        for user in users {
            self.deliver(&user, &stored, Reach::All, None, &frame);
        }
    }

    fn muc_meta(&mut self, id: &str, word: &GroupNotice<'_>) -> Meta {
        let jid = Jid::group(self.app_key.as_str(), id);
        let group = self.groups.get(id);
        let body = MucBody {
            muc_id: Some(jid.clone()),
            operation: Some(word.operation as i32),
            from: Some(named(word.from)),
            to: word.to.map(named).into_iter().collect(),
            reason: word.reason.clone(),
            is_chatroom: Some(false),
            muc_name: group.map(|group| group.name.clone()),
            muc_member_count: group.map(|group| i32::try_from(group.members.len()).unwrap_or(i32::MAX)),
            ..MucBody::default()
        };
        self.muc_envelope(jid, &body)
    }

    /// A meta of a group or room around such a body.
    pub(super) fn muc_envelope(&mut self, from: Jid, body: &MucBody) -> Meta {
        Meta {
            id: Some(self.next_id()),
            from: Some(from),
            timestamp: Some(now_ms()),
            ns: Some(NameSpace::Muc as i32),
            payload: Some(encode(body)),
            ..Meta::default()
        }
    }
}
