//! Presence notices (messages spec §5.2).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    local_server::{data::QueueName, protocol::deliver::Reach, state::State},
    util::unix_time::now_ms,
    wire::{Jid, Meta, meta::NameSpace},
};

impl State {
    /// Returns a user's presence as JSON, with numbers as text as the service writes them.
    pub(crate) fn presence_json(&self, user: &str, expiry_s: u64) -> Value {
        let presence = self.presences.get(user);
        let state = |resource: &String| presence.and_then(|known| known.published.get(resource)).copied().unwrap_or(1);
        let online = self.users.get(user).map(|user| user.online.as_slice()).unwrap_or_default();
        let devices: BTreeMap<&str, String> =
            online.iter().map(|(_, resource)| (resource.as_str(), state(resource).to_string())).collect();
        json!({
            "uid": user,
            "last_time": presence.map_or(0, |presence| presence.last_s).to_string(),
            "expiry": expiry_s.to_string(),
            "ext": presence.map(|presence| presence.text.as_str()).unwrap_or_default(),
            "status": devices,
        })
    }

    /// Sends a user's presence to its subscribers online.
    pub(crate) fn publish_presence(&mut self, user: &str) {
        for (watcher, until) in self.presences.watchers_of(user) {
            let payload = json!({"type": "presence", "data": {"values": [self.presence_json(user, until)]}});
            let meta = Meta {
                id: Some(self.ids.next()),
                from: Some(Jid::user(self.app.key.as_str(), user)),
                to: Some(Jid::user(self.app.key.as_str(), &watcher)),
                timestamp: Some(now_ms()),
                ns: Some(NameSpace::Notify as i32),
                payload: Some(payload.to_string().into()),
                ..Meta::default()
            };
            let queue = QueueName::user(&watcher);
            let (stored, frame) = self.queued(queue, meta);
            self.deliver(&watcher, &stored, Reach::Online, None, &frame);
        }
    }

    /// Updates a user's presence after a device came or went.
    pub(crate) fn device_changed(&mut self, user: &str, gone: Option<&str>) {
        if self.presences.device_changed(user, gone) {
            self.publish_presence(user);
        }
    }
}
