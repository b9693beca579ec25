//! Presence: what a user says of itself, on which devices it is, and who is told (messages spec §5.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    frames, limits,
    queue::StoredItem,
    queues::QueueName,
    rest::{Answered, Call, Refused, decoded, illegal, not_found, object, query, strings, text},
    routing::Reach,
    state::{State, now_ms},
};
use crate::wire::{Jid, Meta, meta::NameSpace};

/// What is known of one user's presence; kept for those who publish, watch or are watched.
#[derive(Debug, Default)]
pub(super) struct Presence {
    text: String,
    last_s: u64,
    /// Resource to the state it published.
    published: BTreeMap<String, i64>,
    /// Who watches it.
    watchers: BTreeSet<String>,
    /// Whom it watches, until when in seconds since 1970.
    watches: BTreeMap<String, u64>,
}

fn now_s() -> u64 {
    now_ms() / 1000
}

impl State {
    pub(super) fn presence(&mut self, call: &Call<'_>, me: &str, rest: &[&str]) -> Answered {
        match (call.method, rest) {
            ("POST", []) => {
                let users = self.presence_users(&object(call.body)?)?;
                Ok(json!({"result": users.iter().map(|user| self.described_presence(user, 0)).collect::<Vec<_>>()}))
            }
            ("DELETE", []) => self.unwatch(call, me),
            ("GET", ["sublist"]) => Ok(self.watched(call, me)),
            ("POST", [seconds]) => self.watch(call, me, seconds),
            ("POST", [resource, state]) => self.publish(call, me, &decoded(resource), state),
            _ => Err(not_found()),
        }
    }

    fn publish(&mut self, call: &Call<'_>, me: &str, resource: &str, state: &str) -> Answered {
        let state: i64 = state.parse().map_err(|_| illegal("the presence state must be a number"))?;
        let body = object(call.body)?;
        let said = text(&body, "ext").unwrap_or_default();
        if said.len() > limits::PRESENCE_TEXT {
            return Err(Refused(400, "illegal_argument", "ext is too big ".to_owned()));
        }
        let presence = self.presences.entry(me.to_owned()).or_default();
        said.clone_into(&mut presence.text);
        presence.last_s = now_s();
        if presence.published.len() < limits::DEVICES || presence.published.contains_key(resource) {
            presence.published.insert(resource.to_owned(), state);
        }
        self.presence_changed(me);
        Ok(json!({"result": "ok"}))
    }

    fn presence_users(&self, body: &Value) -> Result<Vec<String>, Refused> {
        let users = strings(body, "usernames");
        if users.is_empty() || users.len() > limits::WATCHED_AT_ONCE {
            return Err(illegal(format!("the number of users must be from 1 to {}", limits::WATCHED_AT_ONCE)));
        }
        match users.iter().find(|user| !self.users.contains_key(*user)) {
            Some(unknown) => Err(Refused(404, "service_resource_not_found", format!("user not found: {unknown}"))),
            None => Ok(users),
        }
    }

    fn watch(&mut self, call: &Call<'_>, me: &str, seconds: &str) -> Answered {
        let seconds: u64 = seconds.parse().map_err(|_| illegal("the expiry must be a number of seconds"))?;
        if !(1..=30 * 86_400).contains(&seconds) {
            return Err(illegal("the expiry must be from a second to 30 days"));
        }
        let users = self.presence_users(&object(call.body)?)?;
        let now = now_s();
        let mine = self.presences.entry(me.to_owned()).or_default();
        mine.watches.retain(|_, until| *until > now);
        let more = users.iter().filter(|user| !mine.watches.contains_key(*user)).count();
        if mine.watches.len() + more > limits::WATCHED {
            return Err(illegal(format!("at most {} users may be subscribed to", limits::WATCHED)));
        }
        mine.watches.extend(users.iter().map(|user| (user.clone(), now + seconds)));
        for user in &users {
            self.presences.entry(user.clone()).or_default().watchers.insert(me.to_owned());
        }
        Ok(json!({"result": users.iter().map(|user| self.described_presence(user, now + seconds)).collect::<Vec<_>>()}))
    }

    fn unwatch(&mut self, call: &Call<'_>, me: &str) -> Answered {
        let body = object(call.body)?;
        let users: Vec<String> =
            body.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase).collect();
        for user in users.iter().take(limits::WATCHED) {
            if let Some(mine) = self.presences.get_mut(me) {
                mine.watches.remove(user);
            }
            if let Some(theirs) = self.presences.get_mut(user) {
                theirs.watchers.remove(me);
            }
        }
        Ok(json!({"result": "ok"}))
    }

    fn watched(&self, call: &Call<'_>, me: &str) -> Value {
        let number = |name| query(call.query, name).and_then(|value| value.parse::<usize>().ok());
        let (page, size) = (number("pageNum").unwrap_or(1).max(1), number("pageSize").unwrap_or(20).min(500));
        let now = now_s();
        let watches = self.presences.get(me).map(|presence| &presence.watches);
        let live: Vec<_> = watches.into_iter().flatten().filter(|(_, until)| **until > now).collect();
        let shown = live.iter().skip((page - 1).saturating_mul(size)).take(size);
        let sublist: Vec<_> = shown.map(|(user, until)| json!({"uid": user, "expiry": until.to_string()})).collect();
        json!({"result": {"totalnum": live.len(), "sublist": sublist}})
    }

    /// A user's presence with numbers as text, as the service writes them.
    fn described_presence(&self, user: &str, expiry_s: u64) -> Value {
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

    /// Tells the watchers online of a user.
    fn presence_changed(&mut self, user: &str) {
        let now = now_s();
        let Some(presence) = self.presences.get(user) else {
            return;
        };
        let until = |watcher: &String| self.presences.get(watcher).and_then(|other| other.watches.get(user)).copied();
        let watchers: Vec<(String, u64)> = presence
            .watchers
            .iter()
            .filter_map(|watcher| until(watcher).filter(|until| *until > now).map(|until| (watcher.clone(), until)))
            .collect();
        for (watcher, until) in watchers {
            let told = json!({"type": "presence", "data": {"values": [self.described_presence(user, until)]}});
            let meta = Meta {
                id: Some(self.next_id()),
                from: Some(Jid::user(self.app_key.as_str(), user)),
                to: Some(Jid::user(self.app_key.as_str(), &watcher)),
                timestamp: Some(now_ms()),
                ns: Some(NameSpace::Notify as i32),
                payload: Some(told.to_string().into()),
                ..Meta::default()
            };
            let queue = QueueName::user(&watcher);
            let stored = Arc::new(StoredItem { id: meta.id(), queue, meta });
            let frame = frames::notice(&self.app_key, &stored.queue);
            self.deliver(&watcher, &stored, Reach::Online, None, &frame);
        }
    }

    /// A device came or went.
    pub(super) fn device_changed(&mut self, user: &str, gone: Option<&str>) {
        let Some(presence) = self.presences.get_mut(user) else {
            return;
        };
        if let Some(resource) = gone {
            presence.published.remove(resource);
        }
        presence.last_s = now_s();
        self.presence_changed(user);
    }
}
