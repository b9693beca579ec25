//! Presence states and their subscriptions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{local_server::limits, util::unix_time::now_ms};

/// The presence of one user.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    pub(crate) text: String,
    pub(crate) last_s: u64,
    /// Resource to the state it published.
    pub(crate) published: BTreeMap<String, i64>,
    /// The users subscribed to it.
    watchers: BTreeSet<String>,
    /// The users it is subscribed to, until when in seconds since 1970.
    watches: BTreeMap<String, u64>,
}

/// Every presence that was published or subscribed to.
#[derive(Default)]
pub(crate) struct Presences {
    by_user: HashMap<String, Presence>,
}

/// Returns the time in seconds since 1970.
pub(crate) fn now_s() -> u64 {
    now_ms() / 1000
}

impl Presences {
    pub(crate) fn get(&self, user: &str) -> Option<&Presence> {
        self.by_user.get(user)
    }

    pub(crate) fn remove(&mut self, user: &str) {
        self.by_user.remove(user);
    }

    /// Sets a user's text, and the state of one of its devices.
    pub(crate) fn publish(&mut self, user: &str, text: &str, resource: &str, state: i64) {
        let presence = self.by_user.entry(user.to_owned()).or_default();
        text.clone_into(&mut presence.text);
        presence.last_s = now_s();
        if presence.published.len() < limits::DEVICES || presence.published.contains_key(resource) {
            presence.published.insert(resource.to_owned(), state);
        }
    }

    /// Notes that a device came or went; `false` if nothing is known of the user.
    pub(crate) fn device_changed(&mut self, user: &str, gone: Option<&str>) -> bool {
        let Some(presence) = self.by_user.get_mut(user) else {
            return false;
        };
        if let Some(resource) = gone {
            presence.published.remove(resource);
        }
        presence.last_s = now_s();
        true
    }

    /// Subscribes a user to others until a time in seconds since 1970; `false` if these are more than
    /// [`limits::WATCHED`] in all.
    pub(crate) fn watch(&mut self, me: &str, users: &[String], until: u64) -> bool {
        let now = now_s();
        let mine = self.by_user.entry(me.to_owned()).or_default();
        mine.watches.retain(|_, until| *until > now);
        let more = users.iter().filter(|user| !mine.watches.contains_key(*user)).count();
        if mine.watches.len() + more > limits::WATCHED {
            return false;
        }
        mine.watches.extend(users.iter().map(|user| (user.clone(), until)));
        for user in users {
            self.by_user.entry(user.clone()).or_default().watchers.insert(me.to_owned());
        }
        true
    }

    /// Ends a subscription.
    pub(crate) fn unwatch(&mut self, me: &str, user: &str) {
        if let Some(mine) = self.by_user.get_mut(me) {
            mine.watches.remove(user);
        }
        if let Some(theirs) = self.by_user.get_mut(user) {
            theirs.watchers.remove(me);
        }
    }

    /// Returns the users someone is subscribed to, with the end of each subscription.
    pub(crate) fn watched_by(&self, me: &str) -> Vec<(&String, u64)> {
        let now = now_s();
        let watches = self.get(me).into_iter().flat_map(|presence| &presence.watches);
        watches.map(|(user, until)| (user, *until)).filter(|(_, until)| *until > now).collect()
    }

    /// Returns the users subscribed to someone, with the end of each subscription.
    pub(crate) fn watchers_of(&self, user: &str) -> Vec<(String, u64)> {
        let now = now_s();
        let until = |watcher: &String| self.get(watcher).and_then(|other| other.watches.get(user)).copied();
        let watchers = self.get(user).into_iter().flat_map(|presence| &presence.watchers);
        watchers
            .filter_map(|watcher| until(watcher).filter(|until| *until > now).map(|until| (watcher.clone(), until)))
            .collect()
    }
}
