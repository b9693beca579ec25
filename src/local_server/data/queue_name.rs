//! Names of queues.

use crate::wire::{GROUP_DOMAIN, Jid, USER_DOMAIN};

/// A conversation as one user sees it: domain and name of the other side, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueName {
    pub(crate) domain: String,
    pub(crate) name: String,
}

impl QueueName {
    /// Returns the queue of a user.
    pub(crate) fn user(name: &str) -> Self {
        QueueName { domain: USER_DOMAIN.to_owned(), name: name.to_lowercase() }
    }

    /// Returns the queue of a group, thread or room.
    pub(crate) fn muc(id: &str) -> Self {
        QueueName { domain: GROUP_DOMAIN.to_owned(), name: id.to_lowercase() }
    }

    /// Returns the queue a JID names; an absent domain is that of users.
    pub(crate) fn of(jid: &Jid) -> Self {
        let domain = jid.domain.as_deref().filter(|domain| !domain.is_empty()).unwrap_or(USER_DOMAIN);
        QueueName { domain: domain.to_lowercase(), name: jid.name.as_deref().unwrap_or_default().to_lowercase() }
    }
}
