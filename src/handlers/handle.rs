//! The handle to a registry.

use std::task::{Context, Poll};

use actix::{Addr, MailboxError, Recipient, dev::SendError};
use actix_rt::ArbiterHandle;
use slog::Logger;

use crate::{ConnectionError, Event, EventMask};

use super::{
    EventHandler, HandlerRegistry, Publish, PublishAll, Shutdown, Subscribe, SubscriberId, SubscriberInfo, Subscribers,
    Subscription, Unsubscribe, wanted::Wanted,
};

/// The handle to a [`HandlerRegistry`]: cheap to clone, usable from every thread.
///
/// When the last clone (and address) is dropped the registry ends and lets its subscribers go.
#[derive(Clone, Debug)]
pub struct Handlers {
    registry: Addr<HandlerRegistry>,
    wanted: Wanted,
    arbiter: ArbiterHandle,
    log: Logger,
}

impl Handlers {
    pub(super) fn new(registry: Addr<HandlerRegistry>, wanted: Wanted, arbiter: ArbiterHandle, log: Logger) -> Self {
        Handlers { registry, wanted, arbiter, log }
    }

    /// Lets an actor hear every event, from now on, under an id; the id's former subscriber is replaced.
    ///
    /// An event published after this returned is delivered. The subscriber's own mailbox is the only queue: set
    /// its capacity in `Actor::create` (actix's default is 16), and see [`EventKind::Missed`] for what happens when
    /// it is full, or [`subscribe`](Handlers::subscribe) for other policies. The registry keeps the actor alive until it is removed, replaced or the registry ends.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when the registry has ended, [`ConnectionError::Busy`] when
    /// [`HandlerRegistry::MAILBOX`] calls are waiting.
    ///
    /// [`EventKind::Missed`]: crate::EventKind::Missed
    pub fn add_subscriber(
        &self,
        id: impl Into<SubscriberId>,
        recipient: Recipient<Event>,
    ) -> Result<(), ConnectionError> {
        self.add_subscriber_with(id, recipient, EventMask::ALL)
    }

    /// Like [`add_subscriber`](Handlers::add_subscriber), for some kinds of events only.
    ///
    /// # Errors
    /// As [`add_subscriber`](Handlers::add_subscriber).
    pub fn add_subscriber_with(
        &self,
        id: impl Into<SubscriberId>,
        recipient: Recipient<Event>,
        mask: EventMask,
    ) -> Result<(), ConnectionError> {
        self.subscribe(Subscription::new(id, recipient).events(mask))
    }

    /// Lets an actor hear events as its [`Subscription`] says; the id's former subscriber is replaced.
    ///
    /// Otherwise like [`add_subscriber`](Handlers::add_subscriber).
    ///
    /// # Errors
    /// As [`add_subscriber`](Handlers::add_subscriber).
    pub fn subscribe(&self, subscription: Subscription) -> Result<(), ConnectionError> {
        self.registry.try_send(Subscribe::from(subscription).announced(&self.wanted)).map_err(refused)
    }

    /// Lets closures hear the events they are for, under an id; the id's former subscriber is replaced.
    ///
    /// They run in an actor of their own, on the registry's arbiter unless the handler names another.
    ///
    /// # Errors
    /// As [`add_subscriber`](Handlers::add_subscriber).
    pub fn add_event_handler(&self, id: impl Into<SubscriberId>, handler: EventHandler) -> Result<(), ConnectionError> {
        let (id, mask, overflow) = (id.into(), handler.mask(), handler.overflow);
        let recipient = handler.listen(id.clone(), &self.arbiter, &self.log);
        self.subscribe(Subscription::new(id, recipient).events(mask).overflow(overflow))
    }

    /// Forgets a subscriber; an unknown id is no error ([`Unsubscribe`] answers whether it was known).
    ///
    /// What is in its mailbox already it still hears.
    ///
    /// # Errors
    /// As [`add_subscriber`](Handlers::add_subscriber).
    pub fn remove_subscriber(&self, id: impl Into<SubscriberId>) -> Result<(), ConnectionError> {
        self.registry.try_send(Unsubscribe(id.into())).map_err(refused)
    }

    /// Everybody's counts, in order of registration.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when the registry has ended.
    pub async fn subscribers(&self) -> Result<Vec<SubscriberInfo>, ConnectionError> {
        self.registry.send(Subscribers).await.map_err(stopped)
    }

    /// The kinds of events somebody wants: one atomic load, no round trip.
    ///
    /// A kind added is in it before the addition returns; a kind nobody wants any more leaves it once the registry
    /// has handled the removal.
    #[must_use]
    pub fn wanted(&self) -> EventMask {
        self.wanted.get()
    }

    /// Publishes an event; nothing happens when nobody wants its kind or the registry has ended.
    ///
    /// Never refused and never waiting. A connection reads no more from its server while [`Handlers::BACKLOG`] events
    /// wait for the registry, but for a look once a second, so that its heartbeat goes on; an application that publishes events of its own may look at
    /// [`is_behind`](Handlers::is_behind).
    pub fn publish(&self, event: Event) {
        if self.wanted().contains(event.kind().mask()) {
            self.wanted.published(1);
            self.registry.do_send(Publish(event));
        }
    }

    /// How many events may wait for the registry before its connections stop reading.
    pub const BACKLOG: usize = 1024;

    /// How many of the connections that wait are let read at a time.
    pub(super) const READERS: usize = 16;

    /// Whether [`Handlers::BACKLOG`] events or more wait for the registry; never once it has ended.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.wanted.pending() >= Self::BACKLOG
    }

    /// Ready while the registry is not behind; otherwise the task is woken when it may have caught up. That it is woken
    /// is no promise: look again after a while.
    pub(crate) fn poll_ready(&self, task: &mut Context<'_>) -> Poll<()> {
        let pending = self.wanted.pending();
        if pending >= Self::BACKLOG {
            self.wanted.wait(task.waker());
            return Poll::Pending;
        }
        // Whoever has nothing to read lets the next one try.
        if pending < Self::BACKLOG / 2 {
            self.wanted.wake_readers(1);
        }
        Poll::Ready(())
    }

    /// Publishes events in their order, as [`publish`](Handlers::publish) does with each, at the cost of one message.
    pub fn publish_all(&self, mut events: Vec<Event>) {
        let wanted = self.wanted();
        events.retain(|event| wanted.contains(event.kind().mask()));
        if !events.is_empty() {
            self.wanted.published(events.len());
            self.registry.do_send(PublishAll(events));
        }
    }

    /// How many subscribers were disconnected by [`Overflow::Disconnect`](crate::Overflow::Disconnect) since the registry
    /// was started: one atomic load.
    #[must_use]
    pub fn disconnected(&self) -> u64 {
        self.wanted.disconnected()
    }

    /// Ends the registry, after what was published before; returns once it has let its subscribers go.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when it had ended already.
    pub async fn shutdown(&self) -> Result<(), ConnectionError> {
        self.registry.send(Shutdown).await.map_err(stopped)
    }

    /// The actor's address, for its messages.
    #[must_use]
    pub fn address(&self) -> &Addr<HandlerRegistry> {
        &self.registry
    }
}

fn refused<M>(error: SendError<M>) -> ConnectionError {
    match error {
        SendError::Full(_) => ConnectionError::Busy,
        SendError::Closed(_) => ConnectionError::Stopped,
    }
}

fn stopped(_: MailboxError) -> ConnectionError {
    ConnectionError::Stopped
}
