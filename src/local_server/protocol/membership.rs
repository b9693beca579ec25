//! Members of groups coming and going, and the notices of it (messages spec §4.1).

use serde_json::json;

use crate::{
    local_server::{
        data::{Group, QueueName, Thread},
        protocol::{deliver::Reach, frames},
        state::State,
    },
    util::unix_time::now_ms,
    wire::{Jid, Meta, MucBody, encode, meta::NameSpace, muc_body::Operation},
};

/// A notice of something that happened in a group.
pub(crate) struct GroupNotice<'a> {
    pub(crate) operation: Operation,
    pub(crate) from: &'a str,
    /// The user it happened to.
    pub(crate) to: Option<&'a str>,
    pub(crate) reason: Option<String>,
}

impl<'a> GroupNotice<'a> {
    pub(crate) fn new(operation: Operation, from: &'a str, to: &'a str) -> Self {
        GroupNotice { operation, from, to: Some(to), reason: None }
    }
}

impl State {
    /// Creates a group, and notifies its members and its owner's devices other than `resource`.
    pub(crate) fn create_group(&mut self, group: Group, resource: Option<&str>) {
        let (id, owner) = (group.id.clone(), group.owner.clone());
        let members: Vec<String> = group.members.keys().filter(|member| **member != owner).cloned().collect();
        self.groups.add(group);
        let created = GroupNotice { operation: Operation::Create, from: &owner, to: None, reason: None };
        let meta = self.muc_meta(&id, &created);
        let (stored, frame) = self.queued(QueueName::muc(&id), meta);
        self.deliver(&owner, &stored, Reach::Online, resource, &frame);
        for member in members {
            self.notify_members(&id, [member.clone()], &GroupNotice::new(Operation::DirectJoined, &owner, &member));
        }
    }

    /// Adds a user to a group; `false` if it is in it already. The others are notified, and the user too if it was added
    /// by another one.
    pub(crate) fn join_group(&mut self, id: &str, user: &str, added_by: Option<&str>) -> bool {
        let Some(group) = self.groups.get_mut(id).filter(|group| !group.members.contains_key(user)) else {
            return false;
        };
        group.applicants.remove(user);
        group.invited.remove(user);
        group.members.insert(user.to_owned(), now_ms());
        if let Some(by) = added_by {
            self.notify_members(id, [user.to_owned()], &GroupNotice::new(Operation::DirectJoined, by, user));
        }
        let mut others = self.groups.members_of(id);
        others.retain(|member| member != user);
        self.notify_members(id, others, &GroupNotice::new(Operation::Presence, user, user));
        true
    }

    /// Removes a user from a group and its threads; `false` if it is not in it. The others are notified, and the user too
    /// if it was removed by another one.
    pub(crate) fn leave_group(&mut self, id: &str, user: &str, removed_by: Option<&str>) -> bool {
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
        if let Some(by) = removed_by {
            self.notify_members(id, [user.to_owned()], &GroupNotice::new(Operation::Kick, by, user));
        }
        let members = self.groups.members_of(id);
        self.notify_members(id, members, &GroupNotice::new(Operation::Absence, user, user));
        true
    }

    /// Ends a group and its threads, and notifies its members; `false` if there is none.
    pub(crate) fn destroy_group(&mut self, id: &str) -> bool {
        let members = self.groups.members_of(id);
        let Some(owner) = self.groups.get(id).map(|group| group.owner.clone()) else {
            return false;
        };
        let notice = GroupNotice { operation: Operation::Destroy, from: &owner, to: None, reason: None };
        self.notify_members(id, members, &notice);
        self.groups.remove(id);
        true
    }

    /// Creates a thread with these members, and notifies the members of its group.
    pub(crate) fn create_thread(&mut self, owner: &str, thread: Thread, members: Vec<String>) -> String {
        let id = self.ids.next_muc();
        let now = now_ms();
        let payload = json!({"type": "thread", "data": {
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
            id: Some(self.ids.next()),
            from: Some(Jid::group(self.app.key.as_str(), &parent)),
            timestamp: Some(now),
            ns: Some(NameSpace::Notify as i32),
            payload: Some(payload.to_string().into()),
            ..Meta::default()
        };
        for member in self.groups.members_of(&parent) {
            self.enqueue(&member, QueueName::muc(&parent), meta.clone());
        }
        id
    }

    /// Removes a deleted user from every group; a group it owned is destroyed.
    pub(crate) fn leave_every_group(&mut self, user: &str) {
        for id in self.groups.with(user) {
            match self.groups.get(&id).map(|group| group.owner == user) {
                Some(true) => self.destroy_group(&id),
                _ => self.leave_group(&id, user, None),
            };
        }
    }

    /// Notifies some users, those offline at their next login.
    pub(crate) fn notify_members(
        &mut self,
        id: &str,
        users: impl IntoIterator<Item = String>,
        notice: &GroupNotice<'_>,
    ) {
        let meta = self.muc_meta(id, notice);
        let (stored, frame) = self.queued(QueueName::muc(id), meta);
        for user in users {
            self.deliver(&user, &stored, Reach::All, None, &frame);
        }
    }

    fn muc_meta(&mut self, id: &str, notice: &GroupNotice<'_>) -> Meta {
        let jid = Jid::group(self.app.key.as_str(), id);
        let group = self.groups.get(id);
        let body = MucBody {
            muc_id: Some(jid.clone()),
            operation: Some(notice.operation as i32),
            from: Some(frames::named(notice.from)),
            to: notice.to.map(frames::named).into_iter().collect(),
            reason: notice.reason.clone(),
            is_chatroom: Some(false),
            muc_name: group.map(|group| group.name.clone()),
            muc_member_count: group.map(|group| i32::try_from(group.members.len()).unwrap_or(i32::MAX)),
            ..MucBody::default()
        };
        self.muc_envelope(jid, &body)
    }

    /// Returns a meta of a group or room around a body.
    pub(crate) fn muc_envelope(&mut self, from: Jid, body: &MucBody) -> Meta {
        Meta {
            id: Some(self.ids.next()),
            from: Some(from),
            timestamp: Some(now_ms()),
            ns: Some(NameSpace::Muc as i32),
            payload: Some(encode(body)),
            ..Meta::default()
        }
    }
}
