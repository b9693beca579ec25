//! Registered users.

use std::collections::{BTreeMap, HashMap};

use crate::{
    local_server::{
        data::{
            channels::Channels,
            logs::FrameLog,
            mailbox::{Bounds, Mailbox},
        },
        error::LocalServerError,
        ids::uuid,
        limits,
        observed::ClientFrame,
    },
    model::account::{Password, UserId},
    util::unix_time::now_ms,
};

/// One registered user.
pub(crate) struct User {
    pub(crate) uuid: String,
    pub(crate) password: String,
    /// An injected fault: the password gets no token.
    pub(crate) password_rejected: bool,
    pub(crate) nickname: Option<String>,
    /// A deactivated user may not log in.
    pub(crate) activated: bool,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
    pub(crate) mailbox: Mailbox,
    /// The devices logged in, oldest first: session and resource.
    pub(crate) online: Vec<(u64, String)>,
    pub(crate) channels: Channels,
    /// The resource that answers to PROVISION name, instead of the device's own.
    pub(crate) named_device: Option<String>,
    /// The user's attributes (messages spec §5.5).
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) frames: FrameLog,
}

/// Every user, by name in lower case.
#[derive(Default)]
pub(crate) struct Users {
    by_name: HashMap<String, User>,
}

impl Users {
    /// Registers a user.
    pub(crate) fn create(
        &mut self,
        user: &UserId,
        password: &str,
        nickname: Option<String>,
        queues: Bounds,
    ) -> Result<&User, LocalServerError> {
        let name = user.as_str();
        Password::new(password)?;
        if self.contains(name) {
            return Err(LocalServerError::UserExists(name.to_owned()));
        }
        if self.by_name.len() >= limits::USERS {
            return Err(LocalServerError::Full { what: "users", limit: limits::USERS });
        }
        let now = now_ms();
        let user = User {
            uuid: uuid(),
            password: password.to_owned(),
            password_rejected: false,
            nickname,
            activated: true,
            created_ms: now,
            modified_ms: now,
            mailbox: Mailbox::new(queues),
            online: Vec::new(),
            channels: Channels::default(),
            named_device: None,
            attributes: BTreeMap::new(),
            frames: FrameLog::default(),
        };
        Ok(self.by_name.entry(name.to_owned()).or_insert(user))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut User> {
        self.by_name.get_mut(name)
    }

    /// Returns a user by a name in any case.
    pub(crate) fn find(&mut self, user: &str) -> Result<&mut User, LocalServerError> {
        let name = user.to_lowercase();
        self.by_name.get_mut(&name).ok_or(LocalServerError::NoSuchUser(name))
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<User> {
        self.by_name.remove(name)
    }

    /// Returns the sessions of a user that are logged in, oldest first.
    pub(crate) fn online(&self, name: &str) -> Vec<(u64, String)> {
        self.get(name).map_or_else(Vec::new, |user| user.online.clone())
    }

    /// Returns the frames remembered of a user, by a name in any case.
    pub(crate) fn frames_of(&self, user: &str) -> Vec<ClientFrame> {
        self.get(&user.to_lowercase()).map_or_else(Vec::new, |user| user.frames.to_vec())
    }

    /// Counts the messages dropped because a queue was full.
    pub(crate) fn dropped_messages(&self) -> u64 {
        self.by_name.values().map(|user| user.mailbox.dropped()).sum()
    }
}
