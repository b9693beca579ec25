//! Receipts: delivered, read, read counts of a group, and a whole conversation read (messages spec §3).

use serde_json::json;

use crate::{
    local_server::{
        data::{Chat, QueueName, Target},
        protocol::{deliver::Reach, payload},
        state::State,
    },
    wire::{
        KeyValue, MessageBody, Meta,
        key_value::{Value, ValueType},
        message_body::Type,
    },
};

impl State {
    /// Handles a receipt. One for an unknown message is delivered and changes nothing.
    pub(crate) fn receipt(&mut self, target: &Target, meta: Meta, body: &MessageBody) {
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
                self.enqueue(receiver, QueueName::user(&user), meta);
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
                self.enqueue(&author, QueueName::muc(group), meta);
            }
            // Nobody asks for these.
            (_, Target::Group(_) | Target::Room(_)) => {}
        }
    }

    /// Marks a conversation read, and notifies the user's other devices and the other side.
    fn channel_read(&mut self, target: &Target, meta: Meta, user: &str) {
        let queue = match target {
            Target::User(name) => QueueName::user(name),
            Target::Group(id) | Target::Room(id) => QueueName::muc(id),
        };
        if let Some(user) = self.users.get_mut(user) {
            user.channels.mark_read(&queue);
        }
        if let Target::User(_) = target {
            self.forward(target, meta, false);
            return;
        }
        let device = meta.from.as_ref().and_then(|from| from.client_resource.clone());
        let (stored, frame) = self.queued(queue, meta);
        self.deliver(user, &stored, Reach::Online, device.as_deref(), &frame);
    }
}
