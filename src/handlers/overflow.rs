//! What a subscriber that cannot keep up pays with.

/// What happens to an event for which a subscriber's mailbox has no room.
///
/// Whatever the policy, nobody else waits or misses anything, and what is dropped is counted and told by one
/// [`EventKind::Missed`](crate::EventKind::Missed) in the place where the events are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The event is missed: the subscriber keeps what is oldest. The default.
    #[default]
    DropNewest,
    /// The event waits in a ring before the mailbox; when that is full its oldest event is missed: the subscriber
    /// keeps what is newest.
    ///
    /// For as long as it is behind, the subscriber's mailbox holds one event past its capacity, whose handling says
    /// that there is room again. The ring takes memory only while something waits in it.
    DropOldest {
        /// How many events may wait in the ring, from 1 to [`MAX_CAPACITY`](Overflow::MAX_CAPACITY); what lies
        /// outside is taken as the nearest of the two.
        capacity: usize,
    },
    /// The subscriber is forgotten, as if it had been removed: it still hears what is in its mailbox, and an actor
    /// that nobody else keeps then ends. The log says so, and
    /// [`Handlers::disconnected`](crate::Handlers::disconnected) counts it.
    Disconnect,
}

impl Overflow {
    /// The largest capacity of a ring.
    pub const MAX_CAPACITY: usize = 65_536;

    pub(super) fn within_bounds(self) -> Self {
        match self {
            Overflow::DropOldest { capacity } => {
                Overflow::DropOldest { capacity: capacity.clamp(1, Self::MAX_CAPACITY) }
            }
            other => other,
        }
    }

    /// How many events may wait before the mailbox.
    pub(super) fn ring(self) -> usize {
        match self {
            Overflow::DropOldest { capacity } => capacity,
            Overflow::DropNewest | Overflow::Disconnect => 0,
        }
    }
}
