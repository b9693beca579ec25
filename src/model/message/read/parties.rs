//! Sender, receiver and kind of conversation, by the service's word.
//!
//! The body is the sender's own part, and nobody checks it on the way. So the meta, which the service writes, goes
//! first, and the body's names count only where it gives none.

use crate::{
    model::message::{ChatType, Claims},
    wire::{Jid, Meta, is_conference},
};

/// The two ends of a message and the kind of conversation, seen in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parties<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) chat: ChatType,
    pub(crate) is_vouched_for: bool,
    claimed: (Option<&'a str>, Option<&'a str>, Option<ChatType>),
}

impl<'a> Parties<'a> {
    /// Takes the meta's names before the body's. Groups and rooms share addresses: `chat`, the body's kind, decides.
    #[inline]
    pub(crate) fn of(
        meta: &'a Meta,
        body_from: Option<&'a str>,
        body_to: Option<&'a str>,
        chat: Option<ChatType>,
    ) -> Self {
        let app_key = meta.from.as_ref().or(meta.to.as_ref()).and_then(|jid| jid.app_key.as_deref());
        let sender = meta.from.as_ref().filter(|from| !is_muc(from)).and_then(named);
        let receiver = meta.to.as_ref().and_then(named);
        let (body_from, body_to) = (body_from.filter(|name| !name.is_empty()), body_to.filter(|name| !name.is_empty()));
        let in_muc = receiver.and(meta.to.as_ref()).and_then(place);
        let fits = match (in_muc, chat) {
            (Some(true), None | Some(ChatType::Single)) => ChatType::Group,
            (Some(false), _) => ChatType::Single,
            (_, chat) => chat.unwrap_or(ChatType::Single),
        };
        let otherwise = |served: Option<&str>, said: Option<&'a str>| {
            said.filter(|said| served.is_some_and(|served| !is_same(served, said, app_key)))
        };
        Parties {
            // A group writes nothing itself: its name is better than none.
            from: sender.or(body_from).or_else(|| meta.from.as_ref().and_then(named)).unwrap_or_default(),
            to: receiver.or(body_to).unwrap_or_default(),
            chat: fits,
            is_vouched_for: sender.is_some(),
            claimed: (otherwise(sender, body_from), otherwise(receiver, body_to), chat.filter(|chat| *chat != fits)),
        }
    }

    /// Takes the names of the body first: for what a user wrote as a whole, such as the file of a combined message.
    pub(crate) fn as_written(
        meta: &'a Meta,
        body_from: Option<&'a str>,
        body_to: Option<&'a str>,
        chat: ChatType,
    ) -> Self {
        let first = |name: Option<&'a str>, jid: &'a Option<Jid>| name.or_else(|| jid.as_ref().and_then(named));
        Parties {
            from: first(body_from, &meta.from).unwrap_or_default(),
            to: first(body_to, &meta.to).unwrap_or_default(),
            chat,
            is_vouched_for: false,
            claimed: (None, None, None),
        }
    }

    /// Replaces the receiver, whom only the body names.
    pub(crate) fn to_whom_the_body_says(self, to: &'a str) -> Self {
        Parties { to, claimed: (self.claimed.0, None, self.claimed.2), ..self }
    }

    pub(crate) fn agree(&self) -> bool {
        matches!(self.claimed, (None, None, None))
    }

    pub(crate) fn claims(&self) -> Option<Box<Claims>> {
        let (from, to, chat) = self.claimed;
        (!self.agree()).then(|| Box::new(Claims::new(from, to, chat)))
    }
}

fn named(jid: &Jid) -> Option<&str> {
    jid.name.as_deref().filter(|name| !name.is_empty())
}

fn is_muc(jid: &Jid) -> bool {
    jid.domain.as_deref().is_some_and(is_conference)
}

/// Returns whether it is a group or a room, as far as the address says.
fn place(jid: &Jid) -> Option<bool> {
    jid.domain.as_deref().filter(|domain| !domain.is_empty()).map(is_conference)
}

/// Returns whether both texts name one user or group, in whatever form.
#[inline]
pub(crate) fn is_same(served: &str, said: &str, app_key: Option<&str>) -> bool {
    served == said || is_same_in_another_form(served, said, app_key)
}

#[cold]
fn is_same_in_another_form(served: &str, said: &str, app_key: Option<&str>) -> bool {
    let lower = |name: &'_ str| bare(name.trim(), app_key).chars().flat_map(char::to_lowercase).collect::<String>();
    // No name is longer, and texts of any length are not gone through for that.
    let longest = 1024;
    served.len() <= longest && said.len() <= longest && lower(served) == lower(said)
}

/// Returns the name in `org#app_NAME@domain/resource`, of which each other part may be absent.
pub(crate) fn bare<'a>(name: &'a str, app_key: Option<&str>) -> &'a str {
    let name = name.split_once('/').map_or(name, |(name, _)| name);
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let behind_the_key = match app_key.filter(|key| !key.is_empty()) {
        Some(key) => name
            .split_at_checked(key.len())
            .and_then(|(start, rest)| rest.strip_prefix('_').filter(|_| start.eq_ignore_ascii_case(key))),
        // No user id has a `#`.
        None => name.split_once('#').and_then(|(_, rest)| rest.split_once('_')).map(|(_, name)| name),
    };
    behind_the_key.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{Parties, is_same};
    use crate::{
        model::message::ChatType,
        wire::{Jid, Meta},
    };

    #[test]
    fn a_name_in_another_form_is_the_same_and_another_name_is_not() {
        let same = |said: &str| is_same("alice", said, Some("Org#App"));
        for said in ["alice", "Alice", "alice/phone", "alice@easemob.com", "org#app_ALICE@easemob.com/phone", " alice "]
        {
            assert!(same(said), "{said}");
        }
        for said in
            ["alic", "alicee", "bob/alice", "org#app_", "other#app_alice", "@alice", "/", "al\u{200b}ice", "аlice"]
        {
            assert!(!same(said), "{said}");
        }
        assert!(is_same("ÄRGER", "ärger", None));
        assert!(!is_same(&"a".repeat(4 << 20), &"A".repeat(4 << 20), None), "no name is so long");
    }

    #[test]
    fn the_service_goes_first_and_the_body_where_it_says_nothing() {
        let meta = |from: Option<Jid>, to: Option<Jid>| Meta { from, to, ..Meta::default() };
        let (mallory, alice, group) =
            (Jid::user("o#a", "mallory"), Jid::user("o#a", "alice"), Jid::group("o#a", "9001"));
        let seen = |meta: &Meta, from, to, chat| {
            let parties = Parties::of(meta, from, to, chat);
            (parties.from.to_owned(), parties.to.to_owned(), parties.chat, parties.claims())
        };
        let both = meta(Some(mallory.clone()), Some(alice.clone()));
        let (from, to, chat, claims) = seen(&both, Some("admin"), Some("9001"), Some(ChatType::Group));
        assert_eq!((&*from, &*to, chat), ("mallory", "alice", ChatType::Single));
        let claims = claims.unwrap();
        assert_eq!((claims.from.as_deref(), claims.to.as_deref()), (Some("admin"), Some("9001")));
        assert_eq!(claims.chat, Some(ChatType::Group));

        for (from, to) in [(None, None), (Some(""), Some("")), (Some("Mallory"), Some("ALICE/phone"))] {
            let seen = seen(&both, from, to, Some(ChatType::Single));
            assert_eq!(seen, ("mallory".to_owned(), "alice".to_owned(), ChatType::Single, None));
        }
        let in_group = meta(Some(mallory), Some(group.clone()));
        assert_eq!(seen(&in_group, None, None, Some(ChatType::Room)).2, ChatType::Room);
        let (_, to, chat, claims) = seen(&in_group, None, Some("alice"), Some(ChatType::Single));
        assert_eq!((&*to, chat, claims.unwrap().chat), ("9001", ChatType::Group, Some(ChatType::Single)));
        for nobody in [None, Some(Jid { name: Some(String::new()), ..alice.clone() }), Some(group)] {
            let unnamed = meta(nobody, None);
            let seen = seen(&unnamed, Some("bob"), Some("9003"), Some(ChatType::Room));
            assert_eq!(seen, ("bob".to_owned(), "9003".to_owned(), ChatType::Room, None));
        }
        let without_domain = meta(None, Some(Jid { domain: None, ..alice }));
        assert_eq!(seen(&without_domain, None, None, Some(ChatType::Group)).2, ChatType::Group);
    }
}
