//! What becomes of a sent message: checked, kept, and put into the queues of everybody it concerns (messages spec §1).

use std::sync::Arc;

use bytes::Bytes;

use super::{
    faults::SendFaultKind,
    frames,
    groups::Thread,
    payload,
    queue::{Item, StoredItem},
    queues::QueueName,
    socket::Outgoing,
    state::{State, now_ms},
};
use crate::wire::{
    Body, Jid, MessageBody, Meta, Status, USER_DOMAIN,
    content::ContentType,
    message_body::Type,
    meta::{NameSpace, RouteType},
    status::ErrorCode,
};

/// A send as it is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct SendAccepted {
    /// The server's id; statistics have none.
    pub(super) id: Option<u64>,
    pub(super) at_ms: u64,
    pub(super) metas: Vec<Meta>,
}

/// A send that is answered with something else, or not.
pub(super) enum SendRefused {
    Refused(Status),
    Unanswered,
}

impl From<Status> for SendRefused {
    fn from(status: Status) -> Self {
        SendRefused::Refused(status)
    }
}

/// Whom a message is for; names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    User(String),
    /// A group or a thread.
    Group(String),
    Room(String),
}

/// Which of a user's devices get something.
#[derive(Clone, Copy)]
pub(super) enum Reach<'a> {
    /// All of them, those to come included.
    All,
    Online,
    Device(&'a str),
    OnlineDevice(&'a str),
}

pub(super) fn refused(reason: impl Into<String>) -> Status {
    frames::failed(ErrorCode::Fail, reason)
}

impl State {
    /// Takes what a device sent.
    pub(super) fn take_meta(
        &mut self,
        session: u64,
        user: &str,
        resource: &str,
        meta: Meta,
    ) -> Result<SendAccepted, SendRefused> {
        let namespace = meta.ns.and_then(|ns| NameSpace::try_from(ns).ok());
        let taken = |id| Ok(SendAccepted { id, at_ms: now_ms(), metas: Vec::new() });
        let fault = match namespace {
            Some(NameSpace::Statistic) | None => return taken(None),
            Some(_) => self.send_fault(user),
        };
        if let Some(SendFaultKind::Refuse(number, reason)) = fault {
            let status = Status { error_code: Some(number), reason, redirect_info: Vec::new() };
            return Err(SendRefused::Refused(status));
        }
        let taken = match namespace {
            Some(NameSpace::Chat) => self.chat_once(user, resource, meta)?,
            Some(NameSpace::Muc) => self.muc_request(session, user, &meta)?,
            _ => taken(Some(self.next_id()))?,
        };
        if matches!(fault, Some(SendFaultKind::Unanswered)) { Err(SendRefused::Unanswered) } else { Ok(taken) }
    }

    fn send_fault(&mut self, user: &str) -> Option<SendFaultKind> {
        self.send_faults.retain(|fault| fault.left != Some(0));
        let fault = self.send_faults.iter_mut().find(|fault| fault.user == user)?;
        fault.left = fault.left.map(|left| left - 1);
        Some(fault.kind.clone())
    }

    fn chat_once(&mut self, user: &str, resource: &str, meta: Meta) -> Result<SendAccepted, Status> {
        let from = Jid::user(self.app_key.as_str(), user).with_resource(resource);
        let Some((window, key)) = self.rules.repeats.zip(self.repeats.key(user, &meta)) else {
            return self.chat(from, meta, true);
        };
        if let Some(taken) = self.repeats.answer(key, window) {
            return Ok(taken);
        }
        let taken = self.chat(from, meta, true)?;
        self.repeats.remember(key, &taken);
        Ok(taken)
    }

    /// Takes a chat meta. Unless `checked`, its sender need not exist nor be a member.
    pub(super) fn chat(&mut self, from: Jid, meta: Meta, checked: bool) -> Result<SendAccepted, Status> {
        let body = match meta.body() {
            Ok(Body::Chat(body)) => *body,
            // An opaque payload is passed on as it is.
            _ => MessageBody::default(),
        };
        let target = self.target(meta.to.as_ref(), body.r#type())?;
        if checked && !self.is_member(&target, from.name()) {
            return Err(refused("not in group or chatroom"));
        }
        if checked && !self.rules.forged_bodies {
            self.honest(&target, from.name(), &body)?;
        }
        let at_ms = now_ms();
        let meta = Meta { id: Some(self.next_id()), from: Some(from), timestamp: Some(at_ms), ..meta };
        let id = meta.id;
        let metas = match body.r#type() {
            Type::Recall => self.recall(&target, self.with_sender(meta, &body), &body).map(|()| Vec::new())?,
            Type::Edit => vec![self.edit(&target, meta, &body)?],
            Type::ReadAck | Type::DeliverAck | Type::ChannelAck => {
                self.receipt(&target, meta, &body);
                Vec::new()
            }
            Type::Normal | Type::Chat | Type::Groupchat | Type::Chatroom => {
                self.message(&target, meta, &body);
                Vec::new()
            }
        };
        Ok(SendAccepted { id, at_ms, metas })
    }

    /// Puts the sender into a recall that names nobody, which is what the administration's looks like.
    fn with_sender(&self, meta: Meta, body: &MessageBody) -> Meta {
        let names_somebody = body.from.as_ref().is_some_and(|from| !from.name().is_empty());
        if names_somebody || self.rules.forged_bodies {
            return meta;
        }
        let from = Jid { name: meta.from.as_ref().and_then(|from| from.name.clone()), ..Jid::default() };
        let payload = payload::from(meta.payload.as_deref().unwrap_or_default(), from);
        Meta { payload: Some(payload), ..meta }
    }

    /// Whom a message is for, if there is such a user, group or room.
    fn target(&self, to: Option<&Jid>, kind: Type) -> Result<Target, Status> {
        let to = to.cloned().unwrap_or_default();
        let name = to.name().to_lowercase();
        if !to.domain().is_empty() && !to.domain().eq_ignore_ascii_case(USER_DOMAIN) {
            return match () {
                () if self.groups.get(&name).is_some() => Ok(Target::Group(name)),
                () if self.rooms.get(&name).is_some() => Ok(Target::Room(name)),
                () if kind == Type::Chatroom => Err(refused(format!("grpID {name} does not exist!"))),
                () => Err(refused("group not found")),
            };
        }
        if self.users.contains_key(&name) {
            Ok(Target::User(name))
        } else {
            Err(refused(format!("username {name} doesn't exist!")))
        }
    }

    fn is_member(&self, target: &Target, user: &str) -> bool {
        match target {
            Target::User(_) => true,
            Target::Group(id) => self.groups.get(id).is_some_and(|group| group.members.contains_key(user)),
            Target::Room(id) => self.rooms.get(id).is_some_and(|room| room.holds(user)),
        }
    }

    fn message(&mut self, target: &Target, mut meta: Meta, body: &MessageBody) {
        if let Target::Group(id) = target
            && let Some(Thread { parent, message, name, .. }) = self.groups.get(id).and_then(|g| g.thread.as_ref())
        {
            let thread = serde_json::json!({"msg_parent_id": message, "muc_parent_id": parent, "thread_name": name});
            let payload = meta.payload.as_deref().unwrap_or_default();
            meta.payload = Some(payload::with_meta(payload, body.meta(), "thread", thread));
        }
        let kept = meta.routetype != Some(RouteType::RouteOnline as i32);
        let is_command = body.contents.first().is_some_and(|content| content.r#type() == ContentType::Command);
        let stored = self.forward(target, meta, !is_command);
        if kept {
            self.history.put(target, &stored, body);
        }
    }

    /// Puts a meta into the queues of everybody it concerns: those it is for, and the sender's other devices. A message
    /// counts as unread, a command and other things do not.
    pub(super) fn forward(&mut self, target: &Target, meta: Meta, is_message: bool) -> Arc<StoredItem> {
        let id = meta.id();
        let from = meta.from.clone().unwrap_or_default();
        let (sender, sending) = (from.name().to_owned(), from.client_resource.as_deref());
        let route = meta.routetype.and_then(|route| RouteType::try_from(route).ok()).unwrap_or(RouteType::RouteAll);
        let is_for = |user: &str| {
            route != RouteType::RouteDirect
                || meta.directed_users.iter().any(|directed| directed.eq_ignore_ascii_case(user))
        };
        let reach = if route == RouteType::RouteOnline { Reach::Online } else { Reach::All };
        match target {
            Target::User(receiver) => {
                let device = meta.to.as_ref().and_then(|to| to.client_resource.clone()).filter(|name| !name.is_empty());
                let reach = match (&device, reach) {
                    (Some(device), Reach::Online) => Reach::OnlineDevice(device),
                    (Some(device), _) => Reach::Device(device),
                    (None, reach) => reach,
                };
                let stored = Arc::new(StoredItem { id, queue: QueueName::user(&sender), meta: meta.clone() });
                let but = sending.filter(|_| sender == *receiver);
                let frame = frames::notice(&self.app_key, &stored.queue);
                self.deliver(receiver, &stored, reach, but, &frame);
                if sender != *receiver {
                    let queue = QueueName::user(receiver);
                    let mirror = Arc::new(StoredItem { id, queue, meta });
                    let frame = frames::notice(&self.app_key, &mirror.queue);
                    self.deliver(&sender, &mirror, Reach::Online, sending, &frame);
                    if is_message {
                        self.count_for(&sender, &mirror, false);
                    }
                }
                if is_message {
                    self.count_for(receiver, &stored, sender != *receiver);
                }
                stored
            }
            Target::Group(group) => {
                let mut members = self.groups.members_of(group);
                members.retain(|member| *member != sender && is_for(member));
                let stored = Arc::new(StoredItem { id, queue: QueueName::muc(group), meta });
                let frame = frames::notice(&self.app_key, &stored.queue);
                for member in &members {
                    self.deliver(member, &stored, reach, None, &frame);
                    if is_message {
                        self.count_for(member, &stored, true);
                    }
                }
                self.deliver(&sender, &stored, Reach::Online, sending, &frame);
                if is_message {
                    self.count_for(&sender, &stored, false);
                }
                stored
            }
            Target::Room(room) => {
                let mut devices = self.rooms.devices_of(room);
                devices.retain(|(_, user, _)| *user == sender || is_for(user));
                let stored = Arc::new(StoredItem { id, queue: QueueName::muc(room), meta });
                let frame = frames::notice(&self.app_key, &stored.queue);
                for (session, user, resource) in devices {
                    if let Some(owner) = self.users.get_mut(&user) {
                        owner.mailbox.put_for(&resource, Item::One(Arc::clone(&stored)));
                    }
                    self.push(session, Outgoing::Binary(frame.clone()));
                }
                stored
            }
        }
    }

    /// Puts something into the queues of one user's devices and tells those online of it.
    pub(super) fn deliver(
        &mut self,
        user: &str,
        stored: &Arc<StoredItem>,
        reach: Reach<'_>,
        but: Option<&str>,
        notice: &Bytes,
    ) {
        let Some(owner) = self.users.get_mut(user) else {
            return;
        };
        let mut online = owner.online.clone();
        let item = || Item::One(Arc::clone(stored));
        online.retain(|(_, name)| match reach {
            Reach::Device(only) | Reach::OnlineDevice(only) => name == only,
            Reach::All | Reach::Online => but != Some(name.as_str()),
        });
        match reach {
            Reach::All => owner.mailbox.put(&item(), !online.is_empty(), but),
            Reach::Device(only) => owner.mailbox.put_for(only, item()),
            Reach::Online | Reach::OnlineDevice(_) => {
                for (_, name) in &online {
                    owner.mailbox.put_for(name, item());
                }
            }
        }
        for (session, _) in online {
            self.push(session, Outgoing::Binary(notice.clone()));
        }
    }

    /// Announces a queue to a user's devices, whether it holds something or not.
    pub(super) fn notice(&mut self, user: &str, queue: &QueueName) -> usize {
        let online = self.online(&user.to_lowercase());
        let frame = frames::notice(&self.app_key, queue);
        for (id, _) in &online {
            self.push(*id, Outgoing::Binary(frame.clone()));
        }
        online.len()
    }
}
