use std::{fmt, sync::Arc};

use crate::{
    model::{EventKind, account::UserId, origin::Origin, redactor::Redactor},
    util::weight::Weigh,
};

pub(crate) trait Ticket: fmt::Debug + Send + Sync {
    fn give_back(&self);
}

/// An event on a connection, as delivered to subscribers.
///
/// One event is built once and shared: cloning it costs a reference count whatever it holds. `Debug` hides the secrets of the
/// session it is of, whoever wrote them; what [`kind`](Event::kind) gives is as it came.
///
/// ```
/// use agora_chat::{Event, EventKind};
/// fn hear(event: &Event) {
///     if let EventKind::Disconnected { reason } = event.kind() {
///         println!("{} is logged out: {reason}", event.user());
///     }
/// }
/// ```
#[derive(Clone, Debug, actix::Message)]
#[rtype(result = "()")]
pub struct Event(Arc<Inner>);

struct Inner {
    user: UserId,
    /// Memory it takes, computed once where it is made.
    weight: usize,
    /// The connection it happened on; `None` for one that no connection made.
    origin: Option<Origin>,
    what: Payload,
}

enum Payload {
    Kind(EventKind),
    /// The same event in one subscriber's mailbox, where its bytes count until it is looked at or dropped.
    Handed(Event, Box<dyn Ticket>),
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct PlainText<'a>(&'a UserId, &'a EventKind);
        impl fmt::Debug for PlainText<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Inner").field("user", self.0).field("kind", self.1).finish()
            }
        }
        match (&self.what, self.origin.as_ref().map(Origin::redactor)) {
            (Payload::Handed(event, _), _) => event.0.fmt(f),
            (Payload::Kind(kind), None) => PlainText(&self.user, kind).fmt(f),
            // In it are names and texts, as the server or other users wrote them.
            (Payload::Kind(kind), Some(redactor)) => redactor.show(&PlainText(&self.user, kind), f),
        }
    }
}

impl Event {
    /// Bytes one takes in memory, without its texts.
    pub(crate) const SIZE: usize = size_of::<Inner>() + 2 * size_of::<usize>();

    /// Makes an event; useful for an application's own tests of its subscribers.
    #[must_use]
    pub fn new(user: UserId, kind: EventKind) -> Self {
        Self::made(user, kind, None)
    }

    /// Makes an event of a connection, whose `Debug` hides the session's secrets.
    pub(crate) fn of_session(user: UserId, kind: EventKind, origin: &Origin) -> Self {
        Self::made(user, kind, Some(origin.clone()))
    }

    fn made(user: UserId, kind: EventKind, origin: Option<Origin>) -> Self {
        let weight = Self::weight_of(&kind);
        Event(Arc::new(Inner { user, weight, origin, what: Payload::Kind(kind) }))
    }

    pub(crate) fn redactor(&self) -> Option<&Redactor> {
        self.0.origin.as_ref().map(Origin::redactor)
    }

    /// Returns its origin; `None` for an event that no connection made.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        match &self.0.what {
            Payload::Kind(_) => self.0.origin.as_ref(),
            Payload::Handed(event, _) => event.origin(),
        }
    }

    /// The most memory an event takes for each byte it was read from.
    pub(crate) const MOST_PER_BYTE: usize = 16;

    pub(crate) const MOST_AROUND: usize = 1024;

    pub(crate) fn weight_of(kind: &EventKind) -> usize {
        Self::SIZE.saturating_add(kind.heap())
    }

    /// Returns the bytes it takes in memory, at most; memory shared with other events is counted with each.
    ///
    /// One that came from a server takes at most 16 times the bytes it was read from, and 1 KiB.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.weight
    }

    /// Returns the event for a mailbox: the ticket is given back once the subscriber looks at it, or drops it unseen.
    pub(crate) fn handed(&self, ticket: Box<dyn Ticket>) -> Event {
        let shared = match &self.0.what {
            Payload::Kind(_) => self.clone(),
            Payload::Handed(event, _) => event.clone(),
        };
        Event(Arc::new(Inner {
            user: self.0.user.clone(),
            weight: self.0.weight,
            origin: None,
            what: Payload::Handed(shared, ticket),
        }))
    }

    /// Returns the epoch of the session it happened in, as given by [`Account::epoch`](crate::Account::epoch); `None`
    /// where none was given, and for an event that no connection made.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.origin()?.epoch()
    }

    /// Returns the account it happened on.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.0.user
    }

    /// Returns the change.
    #[must_use]
    pub fn kind(&self) -> &EventKind {
        match &self.0.what {
            Payload::Kind(kind) => kind,
            Payload::Handed(event, ticket) => {
                ticket.give_back();
                event.kind()
            }
        }
    }
}

impl Weigh for Event {
    fn heap(&self) -> usize {
        self.weight()
    }
}
