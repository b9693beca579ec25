//! What subscribers hear.

use std::{fmt, ops::BitOr, sync::Arc, time::Duration};

use crate::{
    model::{
        account::UserId,
        error::{DisconnectReason, LossCause, SendError},
        message::{Claims, Message},
        notice::{
            ContactEvent, DeviceEvent, Edit, MucEvent, PinEvent, PresenceEvent, ReactionEvent, Recall, Receipt,
            ThreadEvent, UnknownNotice,
        },
        redactor::Redactor,
    },
    util::weight::Weigh,
};

/// What a mailbox that holds an event is owed.
pub(crate) trait Ticket: fmt::Debug + Send + Sync {
    /// Gives it back; once only.
    fn give_back(&self);
}

/// Something that happened on a connection, as subscribers hear it.
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
    /// What it takes in memory, taken once where it is made.
    weight: usize,
    /// Hides the session's secrets where it is shown; `None` for one that no session made.
    redactor: Option<Redactor>,
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
        match (&self.what, &self.redactor) {
            (Payload::Handed(event, _), _) => event.0.fmt(f),
            (Payload::Kind(kind), None) => PlainText(&self.user, kind).fmt(f),
            // In it are names and texts, as the server or other users wrote them.
            (Payload::Kind(kind), Some(redactor)) => redactor.show(&PlainText(&self.user, kind), f),
        }
    }
}

impl Event {
    /// How many bytes one takes in memory, beside what its texts do.
    pub(crate) const SIZE: usize = size_of::<Inner>() + 2 * size_of::<usize>();

    /// Makes an event; useful for an application's own tests of its subscribers.
    #[must_use]
    pub fn new(user: UserId, kind: EventKind) -> Self {
        Self::made(user, kind, None)
    }

    /// One of a session, whose `Debug` hides the session's secrets.
    pub(crate) fn of_session(user: UserId, kind: EventKind, redactor: &Redactor) -> Self {
        Self::made(user, kind, Some(redactor.clone()))
    }

    fn made(user: UserId, kind: EventKind, redactor: Option<Redactor>) -> Self {
        let weight = Self::weight_of(&kind);
        Event(Arc::new(Inner { user, weight, redactor, what: Payload::Kind(kind) }))
    }

    pub(crate) fn redactor(&self) -> Option<&Redactor> {
        self.0.redactor.as_ref()
    }

    /// What an event takes at most for each byte it was read from.
    pub(crate) const MOST_PER_BYTE: usize = 16;

    /// What an event takes at most beside that.
    pub(crate) const MOST_AROUND: usize = 1024;

    /// Returns what an event of this kind takes.
    pub(crate) fn weight_of(kind: &EventKind) -> usize {
        Self::SIZE.saturating_add(kind.heap())
    }

    /// How many bytes it takes in memory, at most; what it shares with other events is counted with each.
    ///
    /// One that came from a server takes at most 16 times the bytes it was read from, and 1 KiB.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.weight
    }

    /// Returns the event as it is put into a mailbox: the ticket is given back once the subscriber looks at what happened,
    /// or drops it unseen.
    pub(crate) fn handed(&self, ticket: Box<dyn Ticket>) -> Event {
        let shared = match &self.0.what {
            Payload::Kind(_) => self.clone(),
            Payload::Handed(event, _) => event.clone(),
        };
        Event(Arc::new(Inner {
            user: self.0.user.clone(),
            weight: self.0.weight,
            redactor: None,
            what: Payload::Handed(shared, ticket),
        }))
    }

    /// The account it happened on.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.0.user
    }

    /// What happened.
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

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The server accepted the login, for the first time or again; messages that waited there follow.
    Connected {
        /// `false` for a login by `open`, `true` when a lost link came back by itself.
        resumed: bool,
    },
    /// The link is lost, or an attempt to regain it failed, and the client will try again by itself.
    ///
    /// Once before each attempt. Messages sent meanwhile are kept for the next link; see
    /// [`Connection::send`](crate::Connection::send).
    Reconnecting {
        /// Which attempt comes next, from 1, counted since the link last held for `Reconnect::stable_after`.
        attempt: u32,
        /// The pause before it.
        delay: Duration,
        /// Why.
        cause: LossCause,
    },
    /// The session ended and the client will **not** try again by itself; `open` may be called again.
    ///
    /// Asked, kicked, refused, the token's end, or attempts used up. Also for a login that the server refused or that
    /// `close` ended, beside the error of `open`; not for one that failed before the server's answer.
    Disconnected {
        /// Why.
        reason: DisconnectReason,
    },
    /// Four fifths of the token's life have passed (connection spec §10); once per token. Time for
    /// [`Connection::renew_token`](crate::Connection::renew_token), unless the session renews by itself: with a password or
    /// a [`TokenProvider`](crate::TokenProvider) this is news only.
    TokenWillExpire {
        /// When it ends, in milliseconds since 1970 by the server's clock.
        at: u64,
        /// What is left of it.
        expires_in: Duration,
    },
    /// The link comes and goes: so many sessions ended soon after they began that every pause now has a floor.
    ///
    /// Said once until a session has held. Two programs that use one account with one resource look like this.
    Flapping {
        /// How many short sessions there were.
        sessions: u32,
        /// Within what time.
        window: Duration,
        /// What every pause is at least from now on.
        floor: Duration,
    },
    /// The token has run out, or was refused as expired on the way back, and nobody gives another: the login was by token
    /// alone, or the password or the provider has said its last word. `Disconnected` follows.
    ///
    /// Not said while a new token can still be got: the session then outlives its token, and on the way back
    /// [`Reconnecting`](EventKind::Reconnecting) tells of each attempt that got none.
    TokenExpired,
    /// A message for the user, or one of the user's own from another device.
    Message(Message),
    /// Messages arrived at their recipient, or were read.
    Receipt(Receipt),
    /// A message was taken back.
    Recalled(Recall),
    /// A message was edited.
    Edited(Box<Edit>),
    /// Something happened in a group.
    Group(Box<MucEvent>),
    /// Something happened in a chat room.
    Room(Box<MucEvent>),
    /// The link came back, and the account is not in this chat room any more: it was not joined again.
    ///
    /// [`join_room`](crate::Connection::join_room) joins it anew. Not said with
    /// [`ConfigBuilder::rejoin_rooms`](crate::ConfigBuilder::rejoin_rooms) off, nor of a room that was destroyed or that the account was
    /// removed from: [`Room`](EventKind::Room) tells of those.
    RoomLost {
        /// The room's id.
        room: Arc<str>,
        /// What came of joining it again, which is an unknown outcome where two tries were not answered; `None` where more
        /// than 64 rooms had been joined.
        error: Option<SendError>,
    },
    /// Something happened to a thread.
    Thread(Box<ThreadEvent>),
    /// Something happened to the account's contacts.
    Contact(ContactEvent),
    /// Users that this account subscribed to came, went or say something else about themselves.
    Presence(PresenceEvent),
    /// Reactions to messages changed.
    Reaction(ReactionEvent),
    /// A message was pinned, or is pinned no more.
    Pinned(PinEvent),
    /// The account did something on another of its devices.
    Device(Box<DeviceEvent>),
    /// Messages waited on the server while this client was away, and are now fetched.
    ///
    /// [`OfflineSyncFinished`](EventKind::OfflineSyncFinished) follows each of these.
    OfflineSyncStarted {
        /// How many queues hold some.
        queues: usize,
        /// How many messages wait in them, as far as the server says.
        messages: u64,
    },
    /// The messages that waited are all delivered (and handled, where there is a
    /// [message handler](crate::MessageHandler)), or fetching them was cut short.
    OfflineSyncFinished {
        /// How many queues were fetched to their end.
        queues: usize,
        /// How many messages they held.
        messages: u64,
        /// Whether all queues that were announced were fetched and handled; those that were not will be announced, or
        /// [tried](crate::MessageHandler), again.
        complete: bool,
    },
    /// Something this release does not take apart, as it came.
    Unknown(UnknownNotice),
    /// This subscriber could not keep up: so many events of this account were not delivered to it since it last could.
    ///
    /// Sent only to the subscriber concerned, once per episode and account, in the place where the events are missing.
    Missed {
        /// How many events of the account this episode cost.
        count: u64,
    },
}

/// A set of kinds of events: what a subscriber wants to hear.
///
/// ```
/// use agora_chat::EventMask;
/// let wanted = EventMask::CONNECTED | EventMask::DISCONNECTED;
/// assert!(wanted.contains(EventMask::CONNECTED));
/// assert!(!wanted.contains(EventMask::MESSAGE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventMask(u32);

impl EventMask {
    /// No event.
    pub const NONE: EventMask = EventMask(0);
    /// [`EventKind::Connected`]
    pub const CONNECTED: EventMask = EventMask(1);
    /// [`EventKind::Reconnecting`]
    pub const RECONNECTING: EventMask = EventMask(1 << 1);
    /// [`EventKind::Disconnected`]
    pub const DISCONNECTED: EventMask = EventMask(1 << 2);
    /// [`EventKind::TokenWillExpire`]
    pub const TOKEN_WILL_EXPIRE: EventMask = EventMask(1 << 3);
    /// [`EventKind::TokenExpired`]
    pub const TOKEN_EXPIRED: EventMask = EventMask(1 << 4);
    /// [`EventKind::Message`]
    pub const MESSAGE: EventMask = EventMask(1 << 5);
    /// [`EventKind::Flapping`]
    pub const FLAPPING: EventMask = EventMask(1 << 6);
    /// [`EventKind::Receipt`]
    pub const RECEIPT: EventMask = EventMask(1 << 7);
    /// [`EventKind::Recalled`]
    pub const RECALLED: EventMask = EventMask(1 << 8);
    /// [`EventKind::Edited`]
    pub const EDITED: EventMask = EventMask(1 << 9);
    /// [`EventKind::Group`]
    pub const GROUP: EventMask = EventMask(1 << 10);
    /// [`EventKind::Room`] and [`EventKind::RoomLost`]
    pub const ROOM: EventMask = EventMask(1 << 11);
    /// [`EventKind::Thread`]
    pub const THREAD: EventMask = EventMask(1 << 12);
    /// [`EventKind::Contact`]
    pub const CONTACT: EventMask = EventMask(1 << 13);
    /// [`EventKind::Presence`]
    pub const PRESENCE: EventMask = EventMask(1 << 14);
    /// [`EventKind::Reaction`]
    pub const REACTION: EventMask = EventMask(1 << 15);
    /// [`EventKind::Pinned`]
    pub const PINNED: EventMask = EventMask(1 << 16);
    /// [`EventKind::Device`]
    pub const DEVICE: EventMask = EventMask(1 << 17);
    /// [`EventKind::OfflineSyncStarted`] and [`EventKind::OfflineSyncFinished`]
    pub const OFFLINE_SYNC: EventMask = EventMask(1 << 18);
    /// [`EventKind::Unknown`]
    pub const UNKNOWN: EventMask = EventMask(1 << 19);
    /// Every kind that comes out of the account's queues on the server.
    pub const INBOUND: EventMask = EventMask(
        Self::MESSAGE.0
            | Self::RECEIPT.0
            | Self::RECALLED.0
            | Self::EDITED.0
            | Self::GROUP.0
            | Self::ROOM.0
            | Self::THREAD.0
            | Self::CONTACT.0
            | Self::PRESENCE.0
            | Self::REACTION.0
            | Self::PINNED.0
            | Self::DEVICE.0
            | Self::UNKNOWN.0,
    );
    /// Every event, also those of later releases. [`EventKind::Missed`] needs no bit.
    pub const ALL: EventMask = EventMask(u32::MAX);

    /// Whether every kind of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: EventMask) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any kind of `other` is in this set.
    #[must_use]
    pub const fn intersects(self, other: EventMask) -> bool {
        self.0 & other.0 != 0
    }

    /// The set as bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// A set from bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        EventMask(bits)
    }
}

impl BitOr for EventMask {
    type Output = EventMask;

    fn bitor(self, other: EventMask) -> EventMask {
        EventMask(self.0 | other.0)
    }
}

impl fmt::Debug for EventMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventMask({:#x})", self.0)
    }
}

impl Weigh for Event {
    /// As if nobody else held it.
    fn heap(&self) -> usize {
        self.weight()
    }
}

impl Weigh for EventKind {
    fn heap(&self) -> usize {
        match self {
            EventKind::Message(message) => message.heap(),
            EventKind::Receipt(receipt) => receipt.heap(),
            EventKind::Recalled(recall) => recall.heap(),
            EventKind::Edited(edit) => edit.heap(),
            EventKind::Group(told) | EventKind::Room(told) => told.heap(),
            EventKind::RoomLost { room, error } => room.heap().saturating_add(error.heap()),
            EventKind::Thread(told) => told.heap(),
            EventKind::Contact(told) => told.heap(),
            EventKind::Presence(told) => told.heap(),
            EventKind::Reaction(told) => told.heap(),
            EventKind::Pinned(told) => told.heap(),
            EventKind::Device(told) => told.heap(),
            EventKind::Unknown(notice) => notice.heap(),
            EventKind::Reconnecting { attempt: _, delay: _, cause } => cause.heap(),
            EventKind::Disconnected { reason } => reason.heap(),
            EventKind::Connected { resumed: _ }
            | EventKind::TokenWillExpire { at: _, expires_in: _ }
            | EventKind::Flapping { sessions: _, window: _, floor: _ }
            | EventKind::TokenExpired
            | EventKind::OfflineSyncStarted { queues: _, messages: _ }
            | EventKind::OfflineSyncFinished { queues: _, messages: _, complete: _ }
            | EventKind::Missed { count: _ } => 0,
        }
    }
}

impl EventKind {
    /// Whether a message handler that asks for these kinds is offered it: one that asks for messages also what may be one
    /// and cannot be read.
    pub(crate) fn is_offered_to(&self, asked: EventMask) -> bool {
        let unreadable = matches!(self, EventKind::Unknown(notice) if notice.unreadable);
        asked.contains(self.mask()) || (unreadable && asked.contains(EventMask::MESSAGE))
    }

    /// Whether this is a control event: one that says what became of the session, which a subscriber that is behind hears
    /// all the same. See [the module of subscribers](crate::handlers#control-events).
    ///
    /// `Connected`, `Disconnected`, `TokenWillExpire`, `TokenExpired`, `Flapping`, `RoomLost`, `OfflineSyncStarted` and
    /// `OfflineSyncFinished`. Not `Reconnecting`, which comes again before each attempt.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        matches!(
            self,
            EventKind::Connected { .. }
                | EventKind::Disconnected { .. }
                | EventKind::TokenWillExpire { .. }
                | EventKind::TokenExpired
                | EventKind::Flapping { .. }
                | EventKind::RoomLost { .. }
                | EventKind::OfflineSyncStarted { .. }
                | EventKind::OfflineSyncFinished { .. }
        )
    }

    /// Returns what the sender's own part of it says of the sender or the conversation, where the service says otherwise:
    /// somebody pretends to be somebody else. `None` for what has no such part, and for all that is honest.
    ///
    /// ```
    /// use agora_chat::Event;
    /// fn is_to_be_obeyed(event: &Event) -> bool {
    ///     event.kind().claims().is_none()
    /// }
    /// ```
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        match self {
            EventKind::Message(message) => message.extras.as_ref().and_then(|extras| extras.claims.as_deref()),
            EventKind::Receipt(receipt) => receipt.claims.as_deref(),
            EventKind::Recalled(recall) => recall.claims.as_deref(),
            EventKind::Edited(edit) => edit.message.extras().claims.as_deref(),
            EventKind::Group(told) | EventKind::Room(told) => told.claims.as_deref(),
            EventKind::Thread(thread) => thread.claims.as_deref(),
            EventKind::Contact(contact) => contact.claims.as_deref(),
            EventKind::Presence(presence) => presence.claims.as_deref(),
            EventKind::Reaction(reaction) => reaction.claims.as_deref(),
            EventKind::Pinned(pin) => pin.claims.as_deref(),
            EventKind::Device(device) => device.claims.as_deref(),
            _ => None,
        }
    }

    /// The bit of this kind; [`EventMask::NONE`] for [`EventKind::Missed`].
    #[must_use]
    pub const fn mask(&self) -> EventMask {
        match self {
            EventKind::Connected { .. } => EventMask::CONNECTED,
            EventKind::Reconnecting { .. } => EventMask::RECONNECTING,
            EventKind::Disconnected { .. } => EventMask::DISCONNECTED,
            EventKind::TokenWillExpire { .. } => EventMask::TOKEN_WILL_EXPIRE,
            EventKind::TokenExpired => EventMask::TOKEN_EXPIRED,
            EventKind::Message(_) => EventMask::MESSAGE,
            EventKind::Flapping { .. } => EventMask::FLAPPING,
            EventKind::Receipt(_) => EventMask::RECEIPT,
            EventKind::Recalled(_) => EventMask::RECALLED,
            EventKind::Edited(_) => EventMask::EDITED,
            EventKind::Group(_) => EventMask::GROUP,
            EventKind::Room(_) | EventKind::RoomLost { .. } => EventMask::ROOM,
            EventKind::Thread(_) => EventMask::THREAD,
            EventKind::Contact(_) => EventMask::CONTACT,
            EventKind::Presence(_) => EventMask::PRESENCE,
            EventKind::Reaction(_) => EventMask::REACTION,
            EventKind::Pinned(_) => EventMask::PINNED,
            EventKind::Device(_) => EventMask::DEVICE,
            EventKind::OfflineSyncStarted { .. } | EventKind::OfflineSyncFinished { .. } => EventMask::OFFLINE_SYNC,
            EventKind::Unknown(_) => EventMask::UNKNOWN,
            EventKind::Missed { .. } => EventMask::NONE,
        }
    }
}

// An event lives in one allocation; what is rare and large stands in a box of its own.
const _: () = assert!(size_of::<Message>() <= 160 && size_of::<EventKind>() <= 168);
