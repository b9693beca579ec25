/// Policy for an event for which a subscriber's mailbox has no room.
///
/// With every policy events first wait in a backlog before the mailbox, [`BACKLOG`](Overflow::BACKLOG) of them unless
/// the [`Subscription`](crate::Subscription::backlog) says otherwise; the policy says who pays once that is full as
/// well. A subscriber that takes a thousand events a second or more, or 20 MiB, is waited for, so that it misses none;
/// a slower one costs the others 50 ms, once until it has caught up, and after that pays alone.
///
/// # Bytes
/// What waits is bounded in bytes of memory besides its number: [`BACKLOG_BYTES`](Overflow::BACKLOG_BYTES) unless the
/// [`Subscription`](crate::Subscription::backlog_bytes) says otherwise. They are those of the backlog and of the
/// mailbox together. In the mailbox an event of up to [`SMALL`](Overflow::SMALL) bytes does not count, as the mailbox's
/// own capacity bounds those; a larger one counts until its handler looks at what happened
/// ([`Event::kind`](crate::Event::kind)) or is done with it. At most half of the bytes are in the mailbox at a time
/// where there is a backlog, and one event more of any size: so an idle subscriber hears every event, however large.
/// The backlog may be passed by the one event that reaches the bound: so what waits takes no more than the bytes and
/// two events. Control events always have room; none holds more than a few KiB.
///
/// An event is one piece of memory that all subscribers share, and counts for each as if it were alone.
///
/// What is missed is counted and told by one [`EventKind::Missed`](crate::EventKind::Missed) for each account where the
/// events are missing. [Control events](crate::handlers#control-events) are never missed.
///
/// For as long as a subscriber is behind, its mailbox holds one event past its capacity, whose handling says that there
/// is room again. The backlog takes memory only while something waits in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The newest event is missed: the subscriber keeps what is oldest. It pays with the end of a flood. The default.
    #[default]
    DropNewest,
    /// The oldest event of the backlog is missed, so that the newest stay: the middle of a flood is lost.
    DropOldest {
        /// Events that may wait in the backlog, from 1 to [`MAX_CAPACITY`](Overflow::MAX_CAPACITY), clamped.
        capacity: usize,
    },
    /// The subscriber is removed: earlier events are still delivered, and an actor without other addresses then ends.
    /// This is logged, and [`Handlers::disconnected`](crate::Handlers::disconnected) counts it.
    Disconnect,
}

impl Overflow {
    /// The number of events that wait before a mailbox by default: as many as may wait for the registry
    /// ([`Handlers::BACKLOG`](crate::Handlers::BACKLOG)), and more than the service puts into one page.
    pub const BACKLOG: usize = 1024;

    /// The default bound on bytes that wait for a subscriber: 8 MiB.
    pub const BACKLOG_BYTES: usize = 8 << 20;

    /// The most bytes that can be asked for: 1 GiB.
    pub const MAX_BACKLOG_BYTES: usize = 1 << 30;

    /// Up to how many bytes of memory an event in a mailbox does not count: 4 KiB.
    pub const SMALL: usize = 4 << 10;

    /// The largest backlog.
    pub const MAX_CAPACITY: usize = 65_536;

    pub(super) fn within_bounds(self) -> Self {
        match self {
            Overflow::DropOldest { capacity } => {
                Overflow::DropOldest { capacity: capacity.clamp(1, Self::MAX_CAPACITY) }
            }
            other => other,
        }
    }

    pub(super) fn ring(self, backlog: usize) -> usize {
        match self {
            Overflow::DropOldest { capacity } => capacity,
            Overflow::DropNewest | Overflow::Disconnect => backlog.min(Self::MAX_CAPACITY),
        }
    }
}
