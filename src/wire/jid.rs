//! Addresses of users, groups and rooms (connection spec §1).

use super::schema::schema;

schema! {
    /// An address; every part is optional on the wire.
    #[derive(Eq, Hash)]
    pub struct Jid {
        /// `org#app`.
        app_key: Option<String> => (string, optional, tag = "1"),
        /// User id, or group or room id.
        name: Option<String> => (string, optional, tag = "2"),
        /// Tells users from groups and rooms.
        domain: Option<String> => (string, optional, tag = "3"),
        /// One device of a user.
        client_resource: Option<String> => (string, optional, tag = "4"),
    }
}

/// Domain of users.
pub const USER_DOMAIN: &str = "easemob.com";

/// Domain of groups and chat rooms.
pub const GROUP_DOMAIN: &str = "conference.easemob.com";

/// Returns whether this is the domain of groups and rooms, also where an app has a domain of its own (messages spec
/// §1.2).
#[inline]
pub(crate) fn is_conference(domain: &str) -> bool {
    const BEGIN: &str = "conference.";
    domain == GROUP_DOMAIN || domain.get(..BEGIN.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(BEGIN))
}

/// Returns the name of a queue in a cursor.
pub(crate) fn queue_name(queue: &Jid) -> String {
    let escaped = |part: &str| part.replace('%', "%25").replace('/', "%2f");
    format!("{}/{}/{}", escaped(queue.domain()), escaped(queue.app_key()), queue.name())
}

impl Jid {
    /// Makes the address of the user `name` of the app `app_key` (`org#app`), on any device.
    #[must_use]
    pub fn user(app_key: &str, name: &str) -> Self {
        Self::new(app_key, name, USER_DOMAIN)
    }

    /// Makes the address of the group or chat room `id` of the app `app_key` (`org#app`).
    #[must_use]
    pub fn group(app_key: &str, id: &str) -> Self {
        Self::new(app_key, id, GROUP_DOMAIN)
    }

    fn new(app_key: &str, name: &str, domain: &str) -> Self {
        Jid {
            app_key: Some(app_key.to_owned()),
            name: Some(name.to_owned()),
            domain: Some(domain.to_owned()),
            client_resource: None,
        }
    }

    /// Returns the same address on one device.
    #[must_use]
    pub fn with_resource(self, resource: &str) -> Self {
        Jid { client_resource: Some(resource.to_owned()), ..self }
    }

    /// Returns the same address on any device.
    #[must_use]
    pub fn bare(self) -> Self {
        Jid { client_resource: None, ..self }
    }

    /// Returns the identity of this address's queue: app key, name and domain, not the device.
    #[must_use]
    pub fn queue_key(&self) -> QueueKey {
        QueueKey { app_key: self.app_key().to_owned(), name: self.name().to_owned(), domain: self.domain().to_owned() }
    }

    /// Returns whether both addresses name the same queue: the device does not count, and an absent part equals an
    /// empty one.
    #[must_use]
    pub fn same_queue(&self, other: &Jid) -> bool {
        self.app_key() == other.app_key() && self.name() == other.name() && self.domain() == other.domain()
    }
}

/// The identity of a queue, from [`Jid::queue_key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueKey {
    app_key: String,
    name: String,
    domain: String,
}

#[cfg(test)]
mod tests {
    use super::Jid;

    #[test]
    fn a_queue_is_told_by_app_key_name_and_domain_but_not_by_device() {
        let alice = Jid::user("org#app", "alice");
        let phone = alice.clone().with_resource("phone");
        assert!(alice.same_queue(&phone));
        assert_eq!(alice.queue_key(), phone.queue_key());
        assert_eq!(phone.bare(), alice);
        for other in [Jid::user("org#app", "bob"), Jid::user("org#other", "alice"), Jid::group("org#app", "alice")] {
            assert!(!alice.same_queue(&other));
            assert_ne!(alice.queue_key(), other.queue_key());
        }
    }

    #[test]
    fn an_absent_part_of_a_queue_name_equals_an_empty_one() {
        let empty = Jid::user("", "alice");
        let absent = Jid { app_key: None, ..empty.clone() };
        assert!(empty.same_queue(&absent));
        assert_eq!(empty.queue_key(), absent.queue_key());
    }
}
