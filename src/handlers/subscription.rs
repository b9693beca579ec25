//! What a subscriber asks for.

use actix::Recipient;

use crate::{Event, EventMask};

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
}

impl Subscription {
    /// A subscriber that wants every event, under an id.
    pub fn new(id: impl Into<SubscriberId>, to: Recipient<Event>) -> Self {
        Subscription { id: id.into(), to, mask: EventMask::ALL, overflow: Overflow::default() }
    }

    /// Narrows what it wants. Default: [`EventMask::ALL`].
    pub fn events(mut self, mask: EventMask) -> Self {
        self.mask = mask;
        self
    }

    /// What happens to an event its mailbox has no room for. Default: [`Overflow::DropNewest`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow.within_bounds();
        self
    }
}
