//! Groups, threads and rooms over REST (messages spec §5.6).

use serde_json::{Value, json};

use crate::{
    local_server::{
        data::{Group, Room, Thread},
        limits,
        protocol::membership::GroupNotice,
        rest::answer::{Answered, Call, Refused, decoded, illegal, not_found, object, query, strings, text},
        state::State,
    },
    util::unix_time::now_ms,
    wire::muc_body::Operation,
};

fn no_such_group(id: &str) -> Refused {
    Refused(404, "resource_not_found", format!("grpID {id} does not exist!"))
}

fn no_permission() -> Refused {
    Refused(403, "forbidden_op", "no permission for this operation".to_owned())
}

fn full() -> Refused {
    Refused(403, "forbidden_op", "group member list is full!".to_owned())
}

/// Returns the page that `pagenum` (from 1, or 0) and `pagesize` ask for.
fn page<T>(call: &Call<'_>, all: impl Iterator<Item = T>) -> Vec<T> {
    let number = |name| query(call.query, name).and_then(|value| value.parse::<usize>().ok());
    let (page, size) = (number("pagenum").unwrap_or(1).max(1), number("pagesize").unwrap_or(20).min(1000));
    all.skip((page - 1).saturating_mul(size)).take(size).collect()
}

/// Returns the entries behind a cursor, and the next cursor.
fn behind<'a, T>(call: &Call<'_>, all: impl Iterator<Item = (&'a String, T)>) -> (Vec<(&'a String, T)>, String) {
    let limit = query(call.query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).clamp(1, 1000);
    let cursor = query(call.query, "cursor").filter(|cursor| !cursor.is_empty() && cursor != "undefined");
    let mut rest = all.skip_while(|(key, _)| cursor.as_ref().is_some_and(|cursor| *key <= cursor)).peekable();
    let mut found = Vec::new();
    while let Some(one) = rest.next_if(|_| found.len() < limit) {
        found.push(one);
    }
    let next = rest.peek().and_then(|_| found.last().map(|(key, _)| (*key).clone())).unwrap_or_default();
    (found, next)
}

fn flag(body: &Value, member: &str) -> Option<bool> {
    body.get(member).and_then(Value::as_bool)
}

impl State {
    /// Answers a call below `/chatgroups`.
    pub(crate) fn group_call(&mut self, call: &Call<'_>, me: &str, rest: &[&str]) -> Answered {
        let rest: Vec<String> = rest.iter().map(|part| decoded(part).to_lowercase()).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        match (call.method, rest.as_slice()) {
            ("POST", []) => self.create_group_call(call, me),
            ("GET", ["user", user]) if *user == me => Ok(self.joined_groups(call, me)),
            ("GET", [ids]) => self.group_infos(me, ids),
            (method, [id, rest @ ..]) => {
                if self.groups.get(id).is_none() {
                    return Err(no_such_group(id));
                }
                let answered = match (method, rest) {
                    ("GET", ["users"]) => return self.group_members(call, id, me),
                    ("GET", ["acks", message]) => return self.readers(id, me, message),
                    ("POST", ["apply"]) => self.apply_for_group(call, id, me),
                    ("DELETE", ["quit"]) => self.quit(id, me),
                    ("POST", ["invite"]) => self.invite_call(call, id, me),
                    ("POST", ["invite_verify"]) => self.verify_invitation(call, id, me),
                    ("POST", ["apply_verify"]) => self.verify_application(call, id, me),
                    ("DELETE", ["users", users]) => self.remove_members(id, me, users),
                    ("DELETE", []) => self.require_owner(id, me).map(|()| {
                        self.destroy_group(id);
                        json!({"success": true, "groupid": id})
                    }),
                    _ => Err(not_found()),
                };
                answered.map(|data| json!({"action": "post", "data": data, "timestamp": now_ms(), "duration": 0}))
            }
            _ => Err(not_found()),
        }
    }

    fn require_owner(&self, id: &str, me: &str) -> Result<(), Refused> {
        let is_owner = self.groups.get(id).is_some_and(|group| group.owner == me);
        if is_owner { Ok(()) } else { Err(no_permission()) }
    }

    fn require_member(&self, id: &str, me: &str) -> Result<&Group, Refused> {
        let group = self.groups.get(id).ok_or_else(|| no_such_group(id))?;
        if group.members.contains_key(me) {
            return Ok(group);
        }
        Err(Refused(403, "forbidden_op", format!("users [{me}] are not members of this group!")))
    }

    fn known_users(&self, users: &[String]) -> Result<(), Refused> {
        match users.iter().find(|user| !self.users.contains(user)) {
            Some(user) => Err(Refused(404, "resource_not_found", format!("username {user} doesn't exist!"))),
            None => Ok(()),
        }
    }

    fn create_group_call(&mut self, call: &Call<'_>, me: &str) -> Answered {
        let body = object(call.body)?;
        if self.groups.is_full() {
            return Err(Refused(403, "exceed_limit", "the application has created too many groups".to_owned()));
        }
        let members = strings(&body, "members");
        self.known_users(&members)?;
        // The Go client's names for the same things.
        let named = |one: &str, other: &str| text(&body, one).or_else(|| text(&body, other)).map(str::to_owned);
        let mut group = Group::new(self.ids.next_muc(), me);
        group.name = named("groupname", "name").unwrap_or_default();
        group.description = named("desc", "description").unwrap_or_default();
        group.custom = named("custom", "custom").unwrap_or_default();
        group.public = flag(&body, "public").unwrap_or_default();
        group.approval = flag(&body, "approval").or(flag(&body, "memberonly")).unwrap_or_default();
        group.allow_invites = flag(&body, "allowinvites").unwrap_or(true);
        group.confirm_invites = flag(&body, "invite_need_confirm").unwrap_or_default();
        let most = body.get("maxusers").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
        group.max_users = most.unwrap_or(200).clamp(1, limits::MEMBERS);
        if members.len() >= group.max_users {
            return Err(Refused(403, "exceed_limit", "members size is greater than max user size !".to_owned()));
        }
        let now = now_ms();
        if !group.confirm_invites {
            group.members.extend(members.iter().map(|member| (member.clone(), now)));
        }
        let id = group.id.clone();
        let confirm = group.confirm_invites;
        self.create_group(group, query(call.query, "resource").as_deref());
        if confirm {
            self.invite(&id, me, &members, "");
        }
        Ok(json!({"action": "post", "data": {"groupid": id}, "timestamp": now, "duration": 0}))
    }

    fn invite(&mut self, id: &str, me: &str, users: &[String], reason: &str) {
        for user in users {
            if let Some(group) = self.groups.get_mut(id) {
                group.invited.insert(user.clone());
            }
            let notice =
                GroupNotice { reason: Some(reason.to_owned()), ..GroupNotice::new(Operation::Invite, me, user) };
            self.notify_members(id, [user.clone()], &notice);
        }
    }

    fn group_infos(&self, me: &str, ids: &str) -> Answered {
        let info = |id: &str| {
            let group = self.groups.get(id).ok_or_else(|| no_such_group(id))?;
            let role = |member: &String| if *member == group.owner { "owner" } else { "member" };
            let affiliations: Vec<_> = group
                .members
                .iter()
                .map(|(member, since)| json!({role(member): member, "joined_time": since}))
                .collect();
            let mut info = group_json(group, me);
            if let Some(info) = info.as_object_mut() {
                info.insert("affiliations".to_owned(), json!(affiliations));
            }
            Ok(info)
        };
        let infos: Vec<Value> = ids.split(',').take(100).map(info).collect::<Result<_, Refused>>()?;
        Ok(json!({"action": "get", "data": infos, "count": infos.len(), "timestamp": now_ms(), "duration": 0}))
    }

    fn group_members(&self, call: &Call<'_>, id: &str, me: &str) -> Answered {
        let group = self.require_member(id, me)?;
        let shown = |(member, since): (&String, &u64)| json!({if *member == group.owner { "owner" } else { "member" }: member, "joined_time": since});
        if query(call.query, "pagenum").is_some() {
            let data: Vec<_> = page(call, group.members.iter()).into_iter().map(shown).collect();
            return Ok(json!({"action": "get", "data": data, "count": data.len(), "timestamp": now_ms()}));
        }
        let (found, cursor) = behind(call, group.members.iter());
        let data: Vec<_> = found.into_iter().map(shown).collect();
        Ok(json!({"action": "get", "data": data, "cursor": cursor, "timestamp": now_ms()}))
    }

    /// Answers the readers of a message.
    fn readers(&self, id: &str, me: &str, message: &str) -> Answered {
        self.require_member(id, me)?;
        let entry = message.parse().ok().and_then(|message| self.history.get(message));
        let readers: Vec<_> = entry.into_iter().flat_map(|entry| &entry.read_by).collect();
        let list: Vec<_> = readers.iter().map(|user| json!({"user": user, "msg_id": message})).collect();
        Ok(json!({"data": {"ack_list": list, "total": list.len(), "is_last": true}, "timestamp": now_ms()}))
    }

    fn apply_for_group(&mut self, call: &Call<'_>, id: &str, me: &str) -> Answered {
        let body = object(call.body)?;
        let group = self.groups.get_mut(id).ok_or_else(|| no_such_group(id))?;
        if group.members.contains_key(me) {
            return Err(Refused(403, "forbidden_op", format!("user {me} already in group")));
        }
        if group.is_full() {
            return Err(full());
        }
        if !group.public {
            return Err(no_permission());
        }
        if group.approval {
            if group.applicants.len() < limits::MEMBERS {
                group.applicants.insert(me.to_owned());
            }
            let owner = group.owner.clone();
            let message = text(&body, "message").unwrap_or_default();
            let notice =
                GroupNotice { reason: Some(message.to_owned()), ..GroupNotice::new(Operation::Apply, me, &owner) };
            self.notify_members(id, [owner.clone()], &notice);
        } else {
            self.join_group(id, me, None);
        }
        Ok(json!({"result": true, "action": "apply", "id": id}))
    }

    fn quit(&mut self, id: &str, me: &str) -> Answered {
        if self.require_member(id, me)?.owner == me {
            return Err(no_permission());
        }
        self.leave_group(id, me, None);
        Ok(json!({"result": true}))
    }

    fn invite_call(&mut self, call: &Call<'_>, id: &str, me: &str) -> Answered {
        let body = object(call.body)?;
        let group = self.require_member(id, me)?;
        if group.owner != me && !group.allow_invites {
            return Err(no_permission());
        }
        let mut users = strings(&body, "usernames");
        users.retain(|user| !group.members.contains_key(user));
        if group.members.len() + users.len() > group.max_users {
            return Err(full());
        }
        let confirm = group.confirm_invites;
        self.known_users(&users)?;
        if confirm {
            self.invite(id, me, &users, text(&body, "msg").unwrap_or_default());
        } else {
            for user in &users {
                self.join_group(id, user, Some(me));
            }
        }
        Ok(json!(
            users
                .iter()
                .map(|user| json!({"result": true, "action": "invite", "user": user, "id": id}))
                .collect::<Vec<_>>()
        ))
    }

    fn verify_invitation(&mut self, call: &Call<'_>, id: &str, me: &str) -> Answered {
        let body = object(call.body)?;
        let group = self.groups.get_mut(id).ok_or_else(|| no_such_group(id))?;
        if !group.invited.contains(me) {
            return Err(no_permission());
        }
        let accepts = flag(&body, "verifyResult").unwrap_or_default();
        if accepts && group.is_full() {
            return Err(full());
        }
        group.invited.remove(me);
        let owner = group.owner.clone();
        let operation = if accepts { Operation::InviteAccept } else { Operation::InviteDecline };
        self.notify_members(id, [owner.clone()], &GroupNotice::new(operation, me, &owner));
        if accepts {
            self.join_group(id, me, None);
        }
        Ok(json!({"result": true}))
    }

    fn verify_application(&mut self, call: &Call<'_>, id: &str, me: &str) -> Answered {
        self.require_owner(id, me)?;
        let body = object(call.body)?;
        let applicant = text(&body, "applicant").unwrap_or_default().to_lowercase();
        let group = self.groups.get_mut(id).ok_or_else(|| no_such_group(id))?;
        if !group.applicants.contains(&applicant) {
            return Err(no_permission());
        }
        let accepted = flag(&body, "verifyResult").unwrap_or_default();
        if accepted && group.is_full() {
            return Err(full());
        }
        group.applicants.remove(&applicant);
        let operation = if accepted { Operation::ApplyAccept } else { Operation::ApplyDecline };
        let reason = text(&body, "reason").map(str::to_owned);
        self.notify_members(
            id,
            [applicant.clone()],
            &GroupNotice { reason, ..GroupNotice::new(operation, me, &applicant) },
        );
        if accepted {
            self.join_group(id, &applicant, None);
        }
        Ok(json!({"result": true}))
    }

    fn remove_members(&mut self, id: &str, me: &str, users: &str) -> Answered {
        self.require_owner(id, me)?;
        let mut results = Vec::new();
        for user in users.split(',').take(100) {
            let result = user != me && self.leave_group(id, user, Some(me));
            if !result && !users.contains(',') {
                let description = format!("users [{user}] are not members of this group!");
                return Err(Refused(403, "forbidden_op", description));
            }
            results.push(json!({"result": result, "action": "remove_member", "user": user, "groupid": id}));
        }
        Ok(if results.len() == 1 { results.remove(0) } else { json!(results) })
    }

    /// Answers the groups a user is in: in the form of `/chatgroups/user/…`, and of `/users/…/joined_chatgroups`.
    pub(crate) fn joined_groups(&self, call: &Call<'_>, me: &str) -> Value {
        let mine = page(call, self.groups.all().filter(|group| group.members.contains_key(me)));
        let (entities, data): (Vec<_>, Vec<_>) = mine
            .into_iter()
            .map(|group| (group_json(group, me), json!({"groupid": group.id, "groupname": group.name})))
            .unzip();
        let uri = format!("{}{}", self.app.rest_url, call.path);
        json!({"action": "get", "uri": uri, "entities": entities, "data": data, "timestamp": now_ms(), "duration": 0})
    }

    /// Answers the public groups.
    pub(crate) fn public_groups(&self, call: &Call<'_>) -> Value {
        let public = self.groups.all().filter(|group| group.public).map(|group| (&group.id, group));
        let (found, cursor) = behind(call, public);
        let data: Vec<_> = found
            .iter()
            .map(|(id, group)| json!({"groupid": id, "groupname": group.name, "id": id, "name": group.name}))
            .collect();
        json!({"action": "get", "data": data, "cursor": cursor, "count": data.len(), "timestamp": now_ms()})
    }

    /// Answers a call below `/chatrooms`.
    pub(crate) fn room_call(&self, call: &Call<'_>, rest: &[&str]) -> Answered {
        let shown = |id: &str, room: &Room| json!({"id": id, "name": room.name, "owner": room.owner, "affiliations_count": room.users().count()});
        let data: Vec<Value> = match rest {
            [] => page(call, self.rooms.all()).into_iter().map(|(id, room)| shown(id, room)).collect(),
            [id] => vec![self.rooms.get(id).map(|room| shown(id, room)).ok_or_else(|| no_such_group(id))?],
            _ => return Err(not_found()),
        };
        Ok(json!({"action": "get", "data": data, "count": data.len(), "timestamp": now_ms(), "duration": 0}))
    }

    /// Answers a call below `/thread`.
    pub(crate) fn thread_call(&mut self, call: &Call<'_>, me: &str, rest: &[&str]) -> Answered {
        match (call.method, rest) {
            ("POST", []) => {
                let body = object(call.body)?;
                let given = |member: &str| text(&body, member).map(str::to_owned).filter(|text| !text.is_empty());
                let (Some(name), Some(message), Some(parent)) = (given("name"), given("msg_id"), given("group_id"))
                else {
                    return Err(illegal("a thread needs name, msg_id and group_id"));
                };
                self.require_member(&parent, me)?;
                if self.groups.is_full() {
                    return Err(Refused(403, "exceed_limit", "there are too many threads".to_owned()));
                }
                let id = self.create_thread(me, Thread { parent, message, name }, Vec::new());
                Ok(json!({"data": {"thread_id": id}, "timestamp": now_ms()}))
            }
            ("POST", [id, "user", user, "join"]) if decoded(user).to_lowercase() == me => {
                let parent =
                    self.groups.get(id).and_then(|group| group.thread.as_ref()).map(|thread| thread.parent.clone());
                let parent =
                    parent.ok_or_else(|| Refused(404, "resource_not_found", format!("thread {id} does not exist")))?;
                self.require_member(&parent, me)?;
                let thread = self.groups.get_mut(id).ok_or_else(not_found)?;
                thread.members.insert(me.to_owned(), now_ms());
                Ok(json!({"data": {"status": "ok", "detail": {"id": id, "name": thread.name}}, "timestamp": now_ms()}))
            }
            _ => Err(not_found()),
        }
    }
}

fn group_json(group: &Group, me: &str) -> Value {
    json!({
        "id": group.id,
        "groupid": group.id,
        "name": group.name,
        "description": group.description,
        "owner": group.owner,
        "membersonly": group.approval,
        "allowinvites": group.allow_invites,
        "invite_need_confirm": group.confirm_invites,
        "maxusers": group.max_users,
        "affiliations_count": group.members.len(),
        "public": group.public,
        "permission": if group.owner == me { "owner" } else { "member" },
        "mute": false,
        "disabled": false,
        "custom": group.custom,
        "created": group.created_ms,
    })
}
