use crate::{model::message::Claims, util::weight::weigh};

/// The presence of users this account subscribed to (messages spec §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceEvent {
    /// The notice's id; 0 where the server gave none.
    pub id: u64,
    /// The users.
    pub users: Vec<UserPresence>,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

/// A user's presence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserPresence {
    /// The user.
    pub user: String,
    /// When the user was last online, in **seconds** since 1970.
    pub last_seen: u64,
    /// When the subscription ends, in the service's **seconds**.
    pub expires: u64,
    /// The user's own words about it.
    pub text: String,
    /// The state of each device of the user, by its resource; 0 is offline.
    pub devices: Vec<(String, u64)>,
}

weigh! {
    PresenceEvent { id, users, claims }
    UserPresence { user, last_seen, expires, text, devices }
}
