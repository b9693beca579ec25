//! What subscribers hear.

use std::{fmt, ops::BitOr, sync::Arc, time::Duration};

use crate::{DisconnectReason, LossCause, Message, UserId};

/// Something that happened on a connection, as subscribers hear it.
///
/// One event is built once and shared: cloning it costs a reference count whatever it holds.
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

#[derive(Debug)]
struct Inner {
    user: UserId,
    kind: EventKind,
}

impl Event {
    /// Makes an event; useful for an application's own tests of its subscribers.
    #[must_use]
    pub fn new(user: UserId, kind: EventKind) -> Self {
        Event(Arc::new(Inner { user, kind }))
    }

    /// The account it happened on.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.0.user
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &EventKind {
        &self.0.kind
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
    /// Once before each attempt. Sends fail with [`SendError::Reconnecting`](crate::SendError::Reconnecting) meanwhile.
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
    /// The token has run out, or was refused as expired on the way back, and there is no other; `Disconnected` follows.
    TokenExpired,
    /// A message for the user.
    Message(Message),
    /// What waited on the server while nobody was logged in, or the link was lost, begins to come (messages spec §2.4).
    ///
    /// At most once a link, and not where nothing waited. `OfflineSyncFinished` always follows, before the next
    /// `Reconnecting` or `Disconnected`.
    OfflineSyncStarted {
        /// How many queues hold something.
        queues: usize,
        /// How many messages they hold, as the server counts them.
        messages: u64,
    },
    /// What waited has come, or the link was lost before it had.
    ///
    /// With a [message handler](crate::MessageHandler) it has been handled as well.
    OfflineSyncFinished {
        /// How many queues have come whole.
        queues: usize,
        /// How many messages have come.
        messages: u64,
        /// `false` where the link was lost or the session ended before everything had come.
        complete: bool,
    },
    /// This subscriber could not keep up: so many events were not delivered to it since it last could.
    ///
    /// Sent only to the subscriber concerned, once per episode, as soon as its mailbox has room again.
    Missed {
        /// How many events this episode cost.
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
    /// [`EventKind::OfflineSyncStarted`] and [`EventKind::OfflineSyncFinished`]
    pub const OFFLINE_SYNC: EventMask = EventMask(1 << 7);
    /// Every event, also those of later releases. [`EventKind::Missed`] needs no bit.
    pub const ALL: EventMask = EventMask(u32::MAX);

    /// Whether every kind of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: EventMask) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some kind of `other` is in this set.
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

impl EventKind {
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
            EventKind::OfflineSyncStarted { .. } | EventKind::OfflineSyncFinished { .. } => EventMask::OFFLINE_SYNC,
            EventKind::Missed { .. } => EventMask::NONE,
        }
    }
}
