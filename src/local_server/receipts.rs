//! Receipts: delivered, read, read by so many of a group, and a whole conversation read (messages spec §3).

use std::sync::Arc;

use serde_json::json;

use super::{
    frames,
    history::Chat,
    payload,
    queue::StoredItem,
    queues::QueueName,
    routing::{Reach, Target},
    state::State,
};
use crate::wire::{
    KeyValue, MessageBody, Meta,
    key_value::{Value, ValueType},
    message_body::Type,
};

impl State {
    /// Takes a receipt. One for a message this server does not know goes where it is addressed, and changes nothing.
    pub(super) fn receipt(&mut self, target: &Target, meta: Meta, body: &MessageBody) {
        let user = meta.from.as_ref().map(|from| from.name().to_owned()).unwrap_or_default();
        let chat = Chat::of(target, &user);
        let id = body.ack_message_id();
        let known = self.history.chat_of(id) == Some(&chat);
        let entry = self.history.get_mut(id).filter(|entry| known && entry.from != user);
        match (body.r#type(), target) {
            (Type::ChannelAck, _) => self.channel_read(target, meta, &user),
            (kind, Target::User(receiver)) => {
                if let Some(entry) = entry {
                    let who = if kind == Type::ReadAck { &mut entry.read_by } else { &mut entry.delivered_to };
                    who.insert(user.clone());
                }
                self.tell(receiver, QueueName::user(&user), meta);
            }
            (Type::ReadAck, Target::Group(group)) => {
                let Some(entry) = entry else {
                    return;
                };
                entry.read_by.insert(user);
                let (author, count) = (entry.from.clone(), entry.read_by.len());
                let counts = KeyValue {
                    key: Some("group_ack".to_owned()),
                    r#type: Some(ValueType::JsonString as i32),
                    value: Some(Value::String(json!({id.to_string(): count}).to_string())),
                };
                let sent = meta.payload.as_deref().unwrap_or_default();
                let meta = Meta { payload: Some(payload::with_first_ext(sent, counts)), ..meta };
                self.tell(&author, QueueName::muc(group), meta);
            }
            // Nobody asks for these.
            (_, Target::Group(_) | Target::Room(_)) => {}
        }
    }

    /// A user has read a conversation: it counts as read, and the user's other devices and the other side are told.
    fn channel_read(&mut self, target: &Target, meta: Meta, user: &str) {
        let queue = match target {
            Target::User(name) => QueueName::user(name),
            Target::Group(id) | Target::Room(id) => QueueName::muc(id),
        };
        if let Some(user) = self.users.get_mut(user) {
            user.channels.read(&queue);
        }
        if let Target::User(_) = target {
            self.forward(target, meta, false);
            return;
        }
        let device = meta.from.as_ref().and_then(|from| from.client_resource.clone());
        let stored = Arc::new(StoredItem { id: meta.id(), queue, meta });
        let frame = frames::notice(&self.app_key, &stored.queue);
        self.deliver(user, &stored, Reach::Online, device.as_deref(), &frame);
    }

    /// Puts a meta into a queue of one user.
    pub(super) fn tell(&mut self, user: &str, queue: QueueName, meta: Meta) {
        self.tell_as(user, meta.id(), queue, meta);
    }

    /// Puts a meta into a queue of one user, to be acknowledged by this id.
    pub(super) fn tell_as(&mut self, user: &str, id: u64, queue: QueueName, meta: Meta) {
        let stored = Arc::new(StoredItem { id, queue, meta });
        let frame = frames::notice(&self.app_key, &stored.queue);
        self.deliver(user, &stored, Reach::All, None, &frame);
    }
}
