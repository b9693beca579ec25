//! The handle's side of groups, threads, chat rooms and what is said in them.

use bytes::Bytes;

use super::{
    LocalServer, LocalServerError, StoredFile, StoredMessage,
    groups::{Group, Thread},
    history::{Chat, Entry},
    limits,
    queue::{Item, Run, Texts},
    queues::QueueName,
    rooms::Room,
    state::{State, now_ms},
};
use crate::{
    model::message::Conversation,
    wire::{
        Content, Jid, MessageBody, Meta,
        content::ContentType,
        encode,
        message_body::Type,
        meta::{NameSpace, RouteType},
    },
};

fn no_group(id: &str) -> LocalServerError {
    LocalServerError::NotFound { what: "group", id: id.to_owned() }
}

impl LocalServer {
    /// Creates a group with its owner and these members in it, that everybody may find and join; answers its id. The
    /// members are told that they are in it.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`], [`LocalServerError::Full`].
    pub fn create_group(&self, owner: &str, members: &[&str]) -> Result<String, LocalServerError> {
        self.shared.change(|state| {
            if state.groups.is_full() {
                return Err(LocalServerError::Full { what: "groups", limit: limits::GROUPS });
            }
            if members.len() >= limits::MEMBERS {
                return Err(LocalServerError::Full { what: "group members", limit: limits::MEMBERS });
            }
            for user in members.iter().chain([&owner]) {
                state.user_mut(user)?;
            }
            let mut group = Group::new(state.muc_id(), &owner.to_lowercase());
            let now = now_ms();
            group.members.extend(members.iter().map(|member| (member.to_lowercase(), now)));
            let id = group.id.clone();
            state.create_group(group, None);
            Ok(id)
        })
    }

    /// Puts a user into a group or thread, as its owner would; answers whether the user was not in it.
    ///
    /// # Errors
    /// [`LocalServerError::NotFound`], [`LocalServerError::NoSuchUser`], [`LocalServerError::Full`].
    pub fn add_member(&self, group: &str, user: &str) -> Result<bool, LocalServerError> {
        self.shared.change(|state| {
            state.user_mut(user)?;
            let (owner, full) = match state.groups.get(group) {
                Some(group) => (group.owner.clone(), group.is_full()),
                None => return Err(no_group(group)),
            };
            if full {
                return Err(LocalServerError::Full { what: "group members", limit: limits::MEMBERS });
            }
            Ok(state.join_group(group, &user.to_lowercase(), Some(&owner)))
        })
    }

    /// Takes a user out of a group or thread, as its owner would; answers whether the user was in it.
    ///
    /// # Errors
    /// [`LocalServerError::NotFound`].
    pub fn remove_member(&self, group: &str, user: &str) -> Result<bool, LocalServerError> {
        self.shared.change(|state| {
            let owner = state.groups.get(group).map(|group| group.owner.clone()).ok_or_else(|| no_group(group))?;
            Ok(state.leave_group(group, &user.to_lowercase(), Some(&owner)))
        })
    }

    /// Ends a group, with its threads, or one thread; answers whether it was there.
    pub fn destroy_group(&self, group: &str) -> bool {
        self.shared.change(|state| state.destroy_group(group))
    }

    /// Who is in a group or thread, the owner included, in the order of their names; nobody if there is none.
    #[must_use]
    pub fn group_members(&self, group: &str) -> Vec<String> {
        self.shared.look(|state| state.groups.members_of(group))
    }

    /// Starts a thread about a message of a group, with everybody of the group in it; answers its id.
    ///
    /// # Errors
    /// [`LocalServerError::NotFound`], [`LocalServerError::Full`].
    pub fn create_thread(&self, group: &str, message: u64, name: &str) -> Result<String, LocalServerError> {
        self.shared.change(|state| {
            if state.groups.is_full() {
                return Err(LocalServerError::Full { what: "groups", limit: limits::GROUPS });
            }
            let owner = state.groups.get(group).map(|group| group.owner.clone()).ok_or_else(|| no_group(group))?;
            let members = state.groups.members_of(group);
            let thread = Thread { parent: group.to_owned(), message: message.to_string(), name: name.to_owned() };
            Ok(state.create_thread(&owner, thread, members))
        })
    }

    /// Creates a chat room with nobody in it; answers its id.
    ///
    /// # Errors
    /// [`LocalServerError::Full`].
    pub fn create_room(&self, owner: &str) -> Result<String, LocalServerError> {
        self.shared.change(|state| {
            if state.rooms.is_full() {
                return Err(LocalServerError::Full { what: "chat rooms", limit: limits::ROOMS });
            }
            let id = state.muc_id();
            state.rooms.add(id.clone(), Room::new(id.clone(), owner.to_lowercase()));
            Ok(id)
        })
    }

    /// Ends a chat room, and tells everybody in it; answers whether it was there.
    pub fn destroy_room(&self, room: &str) -> bool {
        self.shared.change(|state| state.destroy_room(room))
    }

    /// Who is in a chat room, in the order of their names; nobody if there is none.
    #[must_use]
    pub fn room_members(&self, room: &str) -> Vec<String> {
        self.shared.look(|state| state.rooms.get(room).into_iter().flat_map(Room::users).cloned().collect())
    }

    /// Sends a chat message with this encoded `MessageBody` to a conversation, as if `from` had sent it; `from` need
    /// neither exist nor be a member. Answers the server's id of it.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`], [`LocalServerError::NotFound`] for an unknown group, thread or room.
    pub fn send_to(&self, from: &str, to: &Conversation, body: Bytes) -> Result<u64, LocalServerError> {
        self.shared.change(|state| state.send_as(from, to, body))
    }

    /// Sends a text to a conversation, as if `from` had sent it. Answers the server's id of it.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to).
    pub fn send_text_to(&self, from: &str, to: &Conversation, text: &str) -> Result<u64, LocalServerError> {
        let named = |name: &str| Some(Jid { name: Some(name.to_lowercase()), ..Jid::default() });
        let content =
            Content { r#type: Some(ContentType::Text as i32), text: Some(text.to_owned()), ..Content::default() };
        let kind = match to {
            Conversation::User(_) => Type::Chat,
            Conversation::Group(_) | Conversation::Thread(_) => Type::Groupchat,
            Conversation::Room(_) => Type::Chatroom,
        };
        let body = MessageBody {
            r#type: Some(kind as i32),
            from: named(from),
            to: named(to.id()),
            contents: vec![content],
            meta: matches!(to, Conversation::Thread(_)).then(|| r#"{"thread":{}}"#.to_owned()),
            ..MessageBody::default()
        };
        self.send_to(from, to, encode(&body))
    }

    /// Puts any meta into a queue of a user, for the devices online and the others at their next login: group, roster
    /// and notify events, or what no service would send. The queue is that of the meta's `from`, and the user's own if
    /// it names nobody. An absent id or timestamp is filled in. Answers the meta's id.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`].
    pub fn push_meta(&self, user: &str, meta: Meta) -> Result<u64, LocalServerError> {
        self.shared.change(|state| state.push_meta(user, meta))
    }

    /// Puts `count` texts `text 0`, `text 1` and so on from `from` into a user's queues, as if they had been sent while
    /// the user was away or online. They take no memory before they are read, and do not come up in the history. See
    /// [`Builder::queue_limit`](super::Builder::queue_limit) for how many there may be.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`], [`LocalServerError::Full`] for more than a queue may hold.
    pub fn fill_queue(&self, user: &str, from: &str, count: u64) -> Result<(), LocalServerError> {
        self.shared.change(|state| state.fill_queue(user, from, count))
    }

    /// The messages two users have sent each other, oldest first: at most 1000, recalled ones left out, edited ones as
    /// they are now.
    #[must_use]
    pub fn messages_between(&self, one: &str, other: &str) -> Vec<StoredMessage> {
        let chat = Chat::pair(&one.to_lowercase(), &other.to_lowercase());
        self.shared.look(|state| state.history.all(&chat).map(|(id, entry)| shown(id, entry)).collect())
    }

    /// The messages of a group, thread or room by its id; see [`messages_between`](Self::messages_between).
    #[must_use]
    pub fn messages_in(&self, id: &str) -> Vec<StoredMessage> {
        let chat = Chat::Muc(id.to_lowercase());
        self.shared.look(|state| state.history.all(&chat).map(|(id, entry)| shown(id, entry)).collect())
    }

    /// One message by the server's id of it; `None` if it is unknown, recalled or forgotten.
    #[must_use]
    pub fn message(&self, id: u64) -> Option<StoredMessage> {
        self.shared.look(|state| state.history.get(id).map(|entry| shown(id, entry)))
    }

    /// How much of a conversation a user has not read, as the list of conversations tells.
    #[must_use]
    pub fn unread_count(&self, user: &str, with: &Conversation) -> u64 {
        let queue = match with {
            Conversation::User(name) => QueueName::user(name),
            _ => QueueName::muc(with.id()),
        };
        self.shared.look(|state| {
            let user = state.users.get(&user.to_lowercase());
            user.and_then(|user| user.channels.get(&queue)).map_or(0, |channel| channel.unread)
        })
    }

    /// An uploaded file by the uuid its upload was answered with.
    #[must_use]
    pub fn file(&self, uuid: &str) -> Option<StoredFile> {
        self.shared.look(|state| {
            let file = state.files.get(uuid)?;
            Some(StoredFile {
                name: file.name.clone(),
                content_type: file.content_type.clone(),
                bytes: file.bytes.clone(),
            })
        })
    }

    /// Drops an uploaded file, as if it had expired; answers whether it was there.
    pub fn expire_file(&self, uuid: &str) -> bool {
        self.shared.change(|state| state.files.remove(uuid))
    }
}

fn shown(id: u64, entry: &Entry) -> StoredMessage {
    StoredMessage {
        id,
        from: entry.from.clone(),
        meta: entry.meta().clone(),
        edits: entry.edits,
        delivered_to: entry.delivered_to.iter().cloned().collect(),
        read_by: entry.read_by.iter().cloned().collect(),
    }
}

impl State {
    /// Sends as `from`, as if a device of `from` had sent it.
    pub(super) fn send_as(&mut self, from: &str, to: &Conversation, payload: Bytes) -> Result<u64, LocalServerError> {
        let app_key = self.app_key.as_str();
        let from = Jid::user(app_key, &from.to_lowercase());
        let id = to.id().to_lowercase();
        let (jid, known, unknown) = match to {
            Conversation::User(_) => {
                let (name, resource) = id.split_once('/').map_or((&*id, None), |(name, res)| (name, Some(res)));
                let jid = Jid { client_resource: resource.map(str::to_owned), ..Jid::user(app_key, name) };
                (jid, self.users.contains_key(name), LocalServerError::NoSuchUser(name.to_owned()))
            }
            Conversation::Room(_) => {
                let unknown = LocalServerError::NotFound { what: "chat room", id: id.clone() };
                (Jid::group(app_key, &id), self.rooms.get(&id).is_some(), unknown)
            }
            Conversation::Group(_) | Conversation::Thread(_) => {
                (Jid::group(app_key, &id), self.groups.get(&id).is_some(), no_group(&id))
            }
        };
        if !known {
            return Err(unknown);
        }
        let meta = Meta {
            to: Some(jid),
            ns: Some(NameSpace::Chat as i32),
            payload: Some(payload),
            routetype: Some(RouteType::RouteAll as i32),
            ..Meta::default()
        };
        self.chat(from, meta, false).ok().and_then(|taken| taken.id).ok_or(unknown)
    }

    fn push_meta(&mut self, user: &str, meta: Meta) -> Result<u64, LocalServerError> {
        let name = user.to_lowercase();
        self.user_mut(&name)?;
        let fresh = self.next_id();
        let meta = Meta { id: meta.id.or(Some(fresh)), timestamp: meta.timestamp.or(Some(now_ms())), ..meta };
        let queue = match meta.from.as_ref().filter(|from| !from.name().is_empty()) {
            Some(from) => QueueName::of(from),
            None => QueueName::user(&name),
        };
        let id = meta.id();
        // A page's key is the fresh id, so that an odd one cannot hold the queue up.
        self.tell_as(&name, fresh, queue, meta);
        Ok(id)
    }

    fn fill_queue(&mut self, user: &str, from: &str, count: u64) -> Result<(), LocalServerError> {
        let most = self.rules.queues.stored;
        if usize::try_from(count).map_or(true, |count| count > most) {
            return Err(LocalServerError::Full { what: "undelivered messages", limit: most });
        }
        let first_id = self.next_ids(count.max(1));
        let jid = |name: &str| Jid::user(self.app_key.as_str(), &name.to_lowercase());
        let texts = Texts { queue: QueueName::user(from), from: jid(from), to: jid(user), first_id, at_ms: now_ms() };
        let queue = texts.queue.clone();
        let owner = self.user_mut(user)?;
        if count > 0 {
            owner.mailbox.put(&Item::Run(Run::new(texts, count)), !owner.online.is_empty(), None);
            self.notice(user, &queue);
        }
        Ok(())
    }
}
