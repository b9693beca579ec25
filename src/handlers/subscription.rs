use std::sync::{Arc, atomic::AtomicU64};

use actix::Recipient;

use crate::{
    model::{Event, EventMask},
    util::impls::setters,
};

use super::{Overflow, SubscriberId};

/// A subscriber with what it wants to hear and what happens when it cannot keep up.
///
/// ```
/// use actix::Recipient;
/// use agora_chat::{Connection, ConnectionError, Event, EventMask, Overflow, Subscription};
///
/// fn watch(connection: &Connection, screen: Recipient<Event>) -> Result<(), ConnectionError> {
///     // A screen wants the latest messages, not the first of a flood.
///     let newest = Overflow::DropOldest { capacity: 256 };
///     connection.subscribe(Subscription::new("screen", screen).events(EventMask::MESSAGE).overflow(newest))
/// }
/// ```
#[derive(Debug)]
#[must_use = "a subscription hears nothing until it is handed to `subscribe`"]
pub struct Subscription {
    pub(super) id: SubscriberId,
    pub(super) to: Recipient<Event>,
    pub(super) mask: EventMask,
    pub(super) overflow: Overflow,
    pub(super) backlog: usize,
    pub(super) backlog_bytes: usize,
    /// Counts panics of closures, where the subscriber is made of them.
    pub(super) panics: Option<Arc<AtomicU64>>,
}

impl Subscription {
    /// Makes a subscriber that wants every event, under an id.
    pub fn new(id: impl Into<SubscriberId>, to: Recipient<Event>) -> Self {
        Subscription {
            id: id.into(),
            to,
            mask: EventMask::ALL,
            overflow: Overflow::default(),
            backlog: Overflow::BACKLOG,
            backlog_bytes: Overflow::BACKLOG_BYTES,
            panics: None,
        }
    }

    /// Makes the same subscription for another registry.
    pub(crate) fn again(&self) -> Self {
        let (id, to, panics) = (self.id.clone(), self.to.clone(), self.panics.clone());
        Subscription { id, to, panics, ..*self }
    }

    setters! {
        /// Narrows what it wants. Default: [`EventMask::ALL`].
        events(mask: EventMask) |this| this.mask = mask;

        /// Sets the policy for an event its backlog has no room for. Default: [`Overflow::DropNewest`].
        overflow(overflow: Overflow) |this| this.overflow = overflow.within_bounds();

        /// Sets the number of events that may wait before its mailbox, at most [`Overflow::MAX_CAPACITY`]. Default:
        /// [`Overflow::BACKLOG`].
        ///
        /// With 0 the mailbox is the only queue: what does not fit into it is missed, also by a subscriber that is
        /// fast. [`Overflow::DropOldest`] has a capacity of its own, and this one does not count.
        backlog(events: usize) |this| this.backlog = events.min(Overflow::MAX_CAPACITY);

        /// Sets the bytes of events that may wait for it, in backlog and mailbox together, with every policy; from 1 to
        /// [`Overflow::MAX_BACKLOG_BYTES`], clamped. Default: [`Overflow::BACKLOG_BYTES`]. See
        /// [`Overflow`](Overflow#bytes).
        backlog_bytes(bytes: usize) |this| this.backlog_bytes = bytes.clamp(1, Overflow::MAX_BACKLOG_BYTES);
    }
}
