//! Delivery: from a meta to the queues and devices it is for (messages spec §1).

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    local_server::{
        data::{Chat, Item, QueueName, StoredItem, Target},
        net::Outgoing,
        protocol::frames,
        state::State,
    },
    wire::{Meta, meta::RouteType},
};

/// The devices of a user that get a message.
#[derive(Clone, Copy)]
pub(crate) enum Reach<'a> {
    /// All of them, those to come included.
    All,
    Online,
    Device(&'a str),
    OnlineDevice(&'a str),
}

impl State {
    /// Puts a meta into the queues of everybody it concerns: those it is for, and the sender's other devices. A message
    /// counts as unread, a command and other things do not.
    pub(crate) fn forward(&mut self, target: &Target, meta: Meta, is_message: bool) -> Arc<StoredItem> {
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
                let (stored, frame) = self.queued(QueueName::user(&sender), meta.clone());
                let except = sending.filter(|_| sender == *receiver);
                self.deliver(receiver, &stored, reach, except, &frame);
                if sender != *receiver {
                    let queue = QueueName::user(receiver);
                    let (mirror, frame) = self.queued(queue, meta);
                    self.deliver(&sender, &mirror, Reach::Online, sending, &frame);
                    if is_message {
                        self.count_message(&sender, &mirror, false);
                    }
                }
                if is_message {
                    self.count_message(receiver, &stored, sender != *receiver);
                }
                stored
            }
            Target::Group(group) => {
                let mut members = self.groups.members_of(group);
                members.retain(|member| *member != sender && is_for(member));
                let (stored, frame) = self.queued(QueueName::muc(group), meta);
                for member in &members {
                    self.deliver(member, &stored, reach, None, &frame);
                    if is_message {
                        self.count_message(member, &stored, true);
                    }
                }
                self.deliver(&sender, &stored, Reach::Online, sending, &frame);
                if is_message {
                    self.count_message(&sender, &stored, false);
                }
                stored
            }
            Target::Room(room) => {
                let mut devices = self.rooms.devices_of(room);
                devices.retain(|(_, user, _)| *user == sender || is_for(user));
                let (stored, frame) = self.queued(QueueName::muc(room), meta);
                self.deliver_to_devices(devices, &stored, &frame);
                stored
            }
        }
    }

    /// Puts a message into the queues of one user's devices, and notifies those online.
    pub(crate) fn deliver(
        &mut self,
        user: &str,
        stored: &Arc<StoredItem>,
        reach: Reach<'_>,
        except: Option<&str>,
        notice: &Bytes,
    ) {
        let Some(owner) = self.users.get_mut(user) else {
            return;
        };
        let mut online = owner.online.clone();
        let item = || Item::One(Arc::clone(stored));
        online.retain(|(_, name)| match reach {
            Reach::Device(only) | Reach::OnlineDevice(only) => name == only,
            Reach::All | Reach::Online => except != Some(name.as_str()),
        });
        match reach {
            Reach::All => owner.mailbox.put(&item(), !online.is_empty(), except),
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

    /// Puts a message into the queues of these devices of a room, and notifies them.
    pub(crate) fn deliver_to_devices(
        &mut self,
        devices: Vec<(u64, String, String)>,
        stored: &Arc<StoredItem>,
        notice: &Bytes,
    ) {
        for (session, user, resource) in devices {
            if let Some(user) = self.users.get_mut(&user) {
                user.mailbox.put_for(&resource, Item::One(Arc::clone(stored)));
            }
            self.push(session, Outgoing::Binary(notice.clone()));
        }
    }

    /// Returns a meta as an item of a queue, and the frame that announces it.
    pub(crate) fn queued(&self, queue: QueueName, meta: Meta) -> (Arc<StoredItem>, Bytes) {
        let frame = frames::notice(&self.app.key, &queue);
        (Arc::new(StoredItem { id: meta.id(), queue, meta }), frame)
    }

    /// Announces a queue to a user's devices, empty or not.
    pub(crate) fn notice(&mut self, user: &str, queue: &QueueName) -> usize {
        let online = self.users.online(&user.to_lowercase());
        let frame = frames::notice(&self.app.key, queue);
        for (id, _) in &online {
            self.push(*id, Outgoing::Binary(frame.clone()));
        }
        online.len()
    }

    /// Puts a meta into a queue of one user.
    pub(crate) fn enqueue(&mut self, user: &str, queue: QueueName, meta: Meta) {
        self.enqueue_as(user, meta.id(), queue, meta);
    }

    /// Puts a meta into a queue of one user, with this id for its cursor.
    pub(crate) fn enqueue_as(&mut self, user: &str, id: u64, queue: QueueName, meta: Meta) {
        let stored = Arc::new(StoredItem { id, queue, meta });
        let frame = frames::notice(&self.app.key, &stored.queue);
        self.deliver(user, &stored, Reach::All, None, &frame);
    }

    /// Counts a message in a user's conversations.
    pub(crate) fn count_message(&mut self, user: &str, stored: &Arc<StoredItem>, unread: bool) {
        if let Some(user) = self.users.get_mut(user) {
            user.channels.put(stored, unread);
        }
    }

    /// Removes a recalled message from the conversations of everybody concerned.
    pub(crate) fn remove_from_channels(&mut self, target: &Target, sender: &str, id: u64) {
        let last = self.history.last(&Chat::of(target, sender));
        let concerned = match target {
            Target::User(receiver) => {
                vec![(receiver.clone(), QueueName::user(sender)), (sender.to_owned(), QueueName::user(receiver))]
            }
            Target::Group(group) => {
                let members = self.groups.members_of(group).into_iter();
                members.map(|member| (member, QueueName::muc(group))).collect()
            }
            Target::Room(_) => Vec::new(),
        };
        for (user, queue) in concerned {
            let before = last.map(|(id, meta)| Arc::new(StoredItem { id, queue: queue.clone(), meta: meta.clone() }));
            if let Some(user) = self.users.get_mut(&user) {
                user.channels.recall(&queue, id, before.as_ref());
            }
        }
    }
}
