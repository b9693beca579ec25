//! Messages by conversation.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use prost::Message as _;

use crate::{
    local_server::{
        data::{queue::StoredItem, send::Target},
        limits,
        observed::StoredMessage,
    },
    wire::{MessageBody, Meta, content::ContentType, meta::RouteType},
};

/// A conversation, the same for all who are in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Chat {
    /// Between two users, in the order of their names.
    Pair(String, String),
    /// In a group, thread or room.
    Muc(String),
}

impl Chat {
    pub(crate) fn pair(one: &str, other: &str) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Chat::Pair(first.to_owned(), second.to_owned())
    }

    pub(crate) fn of(target: &Target, sender: &str) -> Self {
        match target {
            Target::User(user) => Chat::pair(user, sender),
            Target::Group(id) | Target::Room(id) => Chat::Muc(id.clone()),
        }
    }
}

/// One message.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The message with its edits. Shared with the queues until it is edited.
    stored: Arc<StoredItem>,
    pub(crate) from: String,
    pub(crate) content: Option<ContentType>,
    pub(crate) edits: u32,
    pub(crate) delivered_to: BTreeSet<String>,
    pub(crate) read_by: BTreeSet<String>,
    /// Users who have deleted it from their history.
    hidden_from: BTreeSet<String>,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.meta().encoded_len()
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.stored.meta
    }

    /// Returns it as tests see it.
    pub(crate) fn snapshot(&self, id: u64) -> StoredMessage {
        StoredMessage {
            id,
            from: self.from.clone(),
            meta: self.meta().clone(),
            edits: self.edits,
            delivered_to: self.delivered_to.iter().cloned().collect(),
            read_by: self.read_by.iter().cloned().collect(),
        }
    }

    pub(crate) fn is_seen_by(&self, user: &str) -> bool {
        let directed = self.meta().routetype == Some(RouteType::RouteDirect as i32);
        let is_for = |name: &String| name.eq_ignore_ascii_case(user);
        !self.hidden_from.contains(user)
            && (!directed || self.from == user || self.meta().directed_users.iter().any(is_for))
    }
}

/// The last messages of every conversation. Commands are stored for recalls and receipts, but not shown.
#[derive(Default)]
pub(crate) struct History {
    chats: HashMap<Chat, BTreeMap<u64, Entry>>,
    order: BTreeMap<u64, Chat>,
    bytes: usize,
}

/// A query for a part of a conversation.
pub(crate) struct HistoryRange<'a> {
    pub(crate) viewer: &'a str,
    /// The message before or behind which it begins.
    pub(crate) start: Option<u64>,
    /// `true`: forward in time.
    pub(crate) forward: bool,
    pub(crate) limit: usize,
    /// Kinds of content; empty for all.
    pub(crate) kinds: Vec<ContentType>,
    pub(crate) sender: Option<String>,
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

impl History {
    pub(crate) fn put(&mut self, target: &Target, stored: &Arc<StoredItem>, body: &MessageBody) {
        let from = stored.meta.from.as_ref().map(|from| from.name().to_owned()).unwrap_or_default();
        let chat = Chat::of(target, &from);
        let content = body.contents.first().map(|content| content.r#type());
        let (delivered_to, read_by, hidden_from) = Default::default();
        let entry = Entry { stored: Arc::clone(stored), from, content, edits: 0, delivered_to, read_by, hidden_from };
        self.bytes += entry.bytes();
        let entries = self.chats.entry(chat.clone()).or_default();
        entries.insert(stored.id, entry);
        let oldest = entries.first_key_value().map(|(id, _)| *id).filter(|_| entries.len() > limits::HISTORY);
        self.order.insert(stored.id, chat);
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        while self.order.len() > limits::HISTORY_ALL || (self.bytes > limits::HISTORY_BYTES && self.order.len() > 1) {
            let Some((oldest, _)) = self.order.first_key_value() else { break };
            self.remove(*oldest);
        }
    }

    pub(crate) fn chat_of(&self, id: u64) -> Option<&Chat> {
        self.order.get(&id)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Entry> {
        self.chats.get(self.order.get(&id)?)?.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.chats.get_mut(self.order.get(&id)?)?.get_mut(&id)
    }

    /// Puts an edited message in the place of the old one.
    pub(crate) fn replace(&mut self, id: u64, meta: Meta, content: Option<ContentType>) {
        let Some(entry) = self.get_mut(id) else {
            return;
        };
        let before = entry.bytes();
        entry.stored = Arc::new(StoredItem { id, queue: entry.stored.queue.clone(), meta });
        entry.content = content;
        entry.edits += 1;
        let after = entry.bytes();
        self.bytes = (self.bytes + after).saturating_sub(before);
    }

    pub(crate) fn remove(&mut self, id: u64) {
        let Some(chat) = self.order.remove(&id) else {
            return;
        };
        let Some(entries) = self.chats.get_mut(&chat) else {
            return;
        };
        if let Some(entry) = entries.remove(&id) {
            self.bytes -= entry.bytes();
        }
        if entries.is_empty() {
            self.chats.remove(&chat);
        }
    }

    /// Returns every message of a conversation, oldest first.
    pub(crate) fn all(&self, chat: &Chat) -> impl Iterator<Item = (u64, &Entry)> {
        self.chats.get(chat).into_iter().flatten().map(|(id, entry)| (*id, entry))
    }

    /// Returns the last message of a conversation that is shown.
    pub(crate) fn last(&self, chat: &Chat) -> Option<(u64, &Meta)> {
        let mut latest = self.chats.get(chat)?.iter().rev();
        let (id, entry) = latest.find(|(_, entry)| entry.content != Some(ContentType::Command))?;
        Some((*id, entry.meta()))
    }

    /// Returns a page of a conversation, and whether it is the last one.
    pub(crate) fn page(&self, chat: &Chat, range: &HistoryRange<'_>) -> (Vec<(u64, &Meta)>, bool) {
        let Some(entries) = self.chats.get(chat) else {
            return (Vec::new(), true);
        };
        let mut found: Box<dyn Iterator<Item = (&u64, &Entry)>> = match (range.forward, range.start) {
            (true, start) => Box::new(entries.range(start.map_or(0, |start| start.saturating_add(1))..)),
            (false, None) => Box::new(entries.iter().rev()),
            (false, Some(start)) => Box::new(entries.range(..start).rev()),
        };
        let mut page = Vec::new();
        for (id, entry) in &mut found {
            let at_ms = entry.meta().timestamp();
            let kind = entry.content.unwrap_or(ContentType::Text);
            let wanted = entry.is_seen_by(range.viewer)
                && kind != ContentType::Command
                && (range.kinds.is_empty() || range.kinds.contains(&kind))
                && range.sender.as_ref().is_none_or(|sender| *sender == entry.from)
                && (range.from_ms..=range.to_ms).contains(&at_ms);
            if !wanted {
                continue;
            }
            if page.len() == range.limit {
                return (page, false);
            }
            page.push((*id, entry.meta()));
        }
        (page, true)
    }

    /// Hides messages of a conversation from one user's history.
    pub(crate) fn hide(&mut self, chat: &Chat, ids: &[u64], user: &str) {
        for id in ids {
            if self.order.get(id) == Some(chat)
                && let Some(entry) = self.get_mut(*id)
            {
                entry.hidden_from.insert(user.to_owned());
            }
        }
    }
}
