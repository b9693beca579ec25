//! Groups, threads, chat rooms and their messages.

use bytes::Bytes;

use crate::{
    local_server::{
        data::{Chat, Group, QueueName, Room, Thread},
        error::LocalServerError,
        handle::server::LocalServer,
        limits,
        observed::{StoredFile, StoredMessage},
    },
    model::message::Conversation,
    util::unix_time::now_ms,
    wire::{Content, Jid, MessageBody, Meta, content::ContentType, encode, message_body::Type},
};

fn no_group(id: &str) -> LocalServerError {
    LocalServerError::NotFound { what: "group", id: id.to_owned() }
}

impl LocalServer {
    /// Creates a group with its owner and these members in it, that everybody may find and join; returns its id. The
    /// members are notified.
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
                state.users.find(user)?;
            }
            let mut group = Group::new(state.ids.next_muc(), &owner.to_lowercase());
            let now = now_ms();
            group.members.extend(members.iter().map(|member| (member.to_lowercase(), now)));
            let id = group.id.clone();
            state.create_group(group, None);
            Ok(id)
        })
    }

    /// Adds a user to a group or thread, as its owner would; returns `false` if the user was in it already.
    ///
    /// # Errors
    /// [`LocalServerError::NotFound`], [`LocalServerError::NoSuchUser`], [`LocalServerError::Full`].
    pub fn add_member(&self, group: &str, user: &str) -> Result<bool, LocalServerError> {
        self.shared.change(|state| {
            state.users.find(user)?;
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

    /// Removes a user from a group or thread, as its owner would; returns whether the user was in it.
    ///
    /// # Errors
    /// [`LocalServerError::NotFound`].
    pub fn remove_member(&self, group: &str, user: &str) -> Result<bool, LocalServerError> {
        self.shared.change(|state| {
            let owner = state.groups.get(group).map(|group| group.owner.clone()).ok_or_else(|| no_group(group))?;
            Ok(state.leave_group(group, &user.to_lowercase(), Some(&owner)))
        })
    }

    /// Ends a group with its threads, or one thread; returns whether it existed.
    pub fn destroy_group(&self, group: &str) -> bool {
        self.shared.change(|state| state.destroy_group(group))
    }

    /// Returns the members of a group or thread, including the owner, sorted by name; none if it does not exist.
    #[must_use]
    pub fn group_members(&self, group: &str) -> Vec<String> {
        self.shared.read(|state| state.groups.members_of(group))
    }

    /// Starts a thread about a message of a group, with everybody of the group in it; returns its id.
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

    /// Creates a chat room with nobody in it; returns its id.
    ///
    /// # Errors
    /// [`LocalServerError::Full`].
    pub fn create_room(&self, owner: &str) -> Result<String, LocalServerError> {
        self.shared.change(|state| {
            if state.rooms.is_full() {
                return Err(LocalServerError::Full { what: "chat rooms", limit: limits::ROOMS });
            }
            let id = state.ids.next_muc();
            state.rooms.add(id.clone(), Room::new(id.clone(), owner.to_lowercase()));
            Ok(id)
        })
    }

    /// Ends a chat room and notifies everybody in it; returns whether it existed.
    pub fn destroy_room(&self, room: &str) -> bool {
        self.shared.change(|state| state.destroy_room(room))
    }

    /// Returns the users in a chat room, sorted by name; none if it does not exist.
    #[must_use]
    pub fn room_members(&self, room: &str) -> Vec<String> {
        self.shared.read(|state| state.rooms.get(room).into_iter().flat_map(Room::users).cloned().collect())
    }

    /// Sends a chat message with this encoded `MessageBody` to a conversation, as if `from` had sent it; `from` need
    /// neither exist nor be a member. Returns the server's id of it.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`], [`LocalServerError::NotFound`] for an unknown group, thread or room.
    pub fn send_to(&self, from: &str, to: &Conversation, body: Bytes) -> Result<u64, LocalServerError> {
        self.shared.change(|state| state.send_as(from, to, body))
    }

    /// Sends a text to a conversation, as if `from` had sent it. Returns the server's id of it.
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
    /// it names nobody. An absent id or timestamp is filled in. Returns the meta's id.
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`].
    pub fn push_meta(&self, user: &str, meta: Meta) -> Result<u64, LocalServerError> {
        self.shared.change(|state| state.push_meta(user, meta))
    }

    /// Puts `count` texts `text 0`, `text 1` and so on from `from` into a user's queues, as if they had been sent while
    /// the user was away or online. They take no memory before they are read, and are not in the history. Their number is
    /// bounded by [`Builder::queue_limit`](super::Builder::queue_limit).
    ///
    /// # Errors
    /// [`LocalServerError::NoSuchUser`], [`LocalServerError::Full`] for more than a queue may hold.
    pub fn fill_queue(&self, user: &str, from: &str, count: u64) -> Result<(), LocalServerError> {
        self.shared.change(|state| state.fill_queue(user, from, count))
    }

    /// Returns the messages two users have sent each other, oldest first: at most 1000, without recalled ones, edited ones
    /// as they are now.
    #[must_use]
    pub fn messages_between(&self, one: &str, other: &str) -> Vec<StoredMessage> {
        let chat = Chat::pair(&one.to_lowercase(), &other.to_lowercase());
        self.shared.read(|state| state.history.all(&chat).map(|(id, entry)| entry.snapshot(id)).collect())
    }

    /// Returns the messages of a group, thread or room by its id; see [`messages_between`](Self::messages_between).
    #[must_use]
    pub fn messages_in(&self, id: &str) -> Vec<StoredMessage> {
        let chat = Chat::Muc(id.to_lowercase());
        self.shared.read(|state| state.history.all(&chat).map(|(id, entry)| entry.snapshot(id)).collect())
    }

    /// Returns one message by the server's id of it; `None` if it is unknown, recalled or forgotten.
    #[must_use]
    pub fn message(&self, id: u64) -> Option<StoredMessage> {
        self.shared.read(|state| state.history.get(id).map(|entry| entry.snapshot(id)))
    }

    /// Returns the unread count of a conversation, as the list of conversations has it.
    #[must_use]
    pub fn unread_count(&self, user: &str, with: &Conversation) -> u64 {
        let queue = match with {
            Conversation::User(name) => QueueName::user(name),
            _ => QueueName::muc(with.id()),
        };
        self.shared.read(|state| {
            let user = state.users.get(&user.to_lowercase());
            user.and_then(|user| user.channels.get(&queue)).map_or(0, |channel| channel.unread)
        })
    }

    /// Returns an uploaded file by the uuid in the answer to its upload.
    #[must_use]
    pub fn file(&self, uuid: &str) -> Option<StoredFile> {
        self.shared.read(|state| {
            let file = state.files.get(uuid)?;
            Some(StoredFile {
                name: file.name.clone(),
                content_type: file.content_type.clone(),
                bytes: file.bytes.clone(),
            })
        })
    }

    /// Drops an uploaded file, as if it had expired; returns whether it existed.
    pub fn expire_file(&self, uuid: &str) -> bool {
        self.shared.change(|state| state.files.remove(uuid))
    }
}
