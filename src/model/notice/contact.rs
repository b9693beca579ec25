use std::sync::Arc;

use crate::{
    model::message::Claims,
    util::weight::{flat, weigh},
};

/// A change of the account's contacts (messages spec §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContactEvent {
    /// The notice's id; 0 where the server gave none.
    pub id: u64,
    /// The user who did it; empty where the server gave nobody.
    pub from: Arc<str>,
    /// To whom; empty where the server gave nobody.
    pub to: Arc<str>,
    /// The text given with it.
    pub reason: Option<String>,
    /// When the server took it, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The change.
    pub change: ContactChange,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

/// Kind of change of a contact. The vendor's name of the event stands in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContactChange {
    /// A user asks to become a contact (`onContactInvited`).
    Invited,
    /// A user is a contact no more (`onContactDeleted`).
    Removed,
    /// A user became a contact (`onContactAdded`).
    Added,
    /// A request was declined (`onContactRefuse`).
    Declined,
    /// A user accepted this account's request (`onContactAgreed`).
    Agreed,
    /// A user declined this account's request (`onContactRefuse`).
    Refused,
}

flat!(ContactChange);

weigh! { ContactEvent { id, from, to, reason, timestamp, change, claims } }
