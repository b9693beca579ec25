use std::task::{Context, Poll};

use actix::{Addr, MailboxError, Recipient, dev::SendError};
use actix_rt::ArbiterHandle;
use slog::Logger;

use crate::{
    handlers::{interest::Interest, read_gate::ReadGate},
    model::{Event, EventMask, account::UserId, error::ConnectionError},
};

use super::{
    EventHandler, HandlerRegistry, Publish, Shutdown, Subscribe, SubscriberId, SubscriberInfo, Subscribers,
    Subscription, Unsubscribe,
    actor::{FinalEvents, MissedEvents},
};

/// The handle to a [`HandlerRegistry`]: cheap to clone, usable from every thread.
///
/// When the last clone (and address) is dropped the registry ends and lets its subscribers go.
#[derive(Clone, Debug)]
pub struct Handlers {
    registry: Addr<HandlerRegistry>,
    wanted: Interest,
    arbiter: ArbiterHandle,
    log: Logger,
}

impl Handlers {
    pub(super) fn new(registry: Addr<HandlerRegistry>, wanted: Interest, arbiter: ArbiterHandle, log: Logger) -> Self {
        Handlers { registry, wanted, arbiter, log }
    }

    /// Subscribes an actor to every event, from now on, under an id; the id's former subscriber is replaced.
    ///
    /// An event published after this returned is delivered. What does not fit into the subscriber's own mailbox
    /// (actix's default is 16; set it in `Actor::create`) waits in a backlog of [`Overflow::BACKLOG`] events before it;
    /// see [`Overflow`] and [`EventKind::Missed`] for what happens when that is full, and
    /// [`subscribe`](Handlers::subscribe) for other policies. The registry keeps the actor alive until it is removed,
    /// replaced or the registry ends.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when the registry has ended, [`ConnectionError::Busy`] when
    /// [`HandlerRegistry::MAILBOX`] calls are waiting.
    ///
    /// [`EventKind::Missed`]: crate::EventKind::Missed
    /// [`Overflow`]: crate::Overflow
    /// [`Overflow::BACKLOG`]: crate::Overflow::BACKLOG
    pub fn add_subscriber(
        &self,
        id: impl Into<SubscriberId>,
        recipient: Recipient<Event>,
    ) -> Result<(), ConnectionError> {
        self.subscribe(Subscription::new(id, recipient))
    }

    /// Subscribes an actor as its [`Subscription`] says; the id's former subscriber is replaced.
    ///
    /// Otherwise like [`add_subscriber`](Handlers::add_subscriber).
    ///
    /// # Errors
    /// As [`add_subscriber`](Handlers::add_subscriber).
    pub fn subscribe(&self, subscription: Subscription) -> Result<(), ConnectionError> {
        self.registry.try_send(Subscribe::from(subscription).announced(&self.wanted)).map_err(refused)
    }

    /// Subscribes closures to the events they are for, under an id; the id's former subscriber is replaced.
    ///
    /// They run in an actor of their own, on the registry's arbiter unless the handler names another.
    ///
    /// # Errors
    /// As [`add_subscriber`](Handlers::add_subscriber).
    pub fn add_event_handler(&self, id: impl Into<SubscriberId>, handler: EventHandler) -> Result<(), ConnectionError> {
        self.subscribe(self.listen(id, handler))
    }

    /// Starts the actor of closures, on the registry's arbiter unless the handler names another.
    pub(crate) fn listen(&self, id: impl Into<SubscriberId>, handler: EventHandler) -> Subscription {
        handler.listen(id.into(), &self.arbiter, &self.log)
    }

    /// Forgets a subscriber; an unknown id is no error ([`Unsubscribe`] answers whether it was known).
    ///
    /// Events in its mailbox are still delivered.
    ///
    /// # Errors
    /// As [`add_subscriber`](Handlers::add_subscriber).
    pub fn remove_subscriber(&self, id: impl Into<SubscriberId>) -> Result<(), ConnectionError> {
        self.registry.try_send(Unsubscribe(id.into())).map_err(refused)
    }

    pub(crate) async fn panics(&self) -> Result<u64, ConnectionError> {
        let subscribers = match self.registry.send(Subscribers).await {
            Ok(subscribers) => Some(subscribers),
            Err(_) => self.wanted.with_orphans(|registry| registry.subscribers()),
        };
        let panics = subscribers.map(|all| all.iter().map(|subscriber| subscriber.panics).sum());
        panics.ok_or(ConnectionError::Stopped)
    }

    /// Returns everybody's counts, in order of registration.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when the registry has ended.
    pub async fn subscribers(&self) -> Result<Vec<SubscriberInfo>, ConnectionError> {
        self.registry.send(Subscribers).await.map_err(stopped)
    }

    /// Returns the kinds of events somebody wants: one atomic load, no round trip.
    ///
    /// A kind added is in it before the addition returns; an unwanted kind leaves it once the removal is handled.
    #[must_use]
    pub fn wanted(&self) -> EventMask {
        self.wanted.get()
    }

    /// Publishes an event; nothing happens when nobody wants its kind or the registry was shut down.
    ///
    /// Never refused and never waiting. A connection reads no more from its server while [`Handlers::BACKLOG`] events
    /// or [`Handlers::BACKLOG_BYTES`] wait for the registry, but for a look once a second, so that its heartbeat goes
    /// on; an application that publishes events of its own may look at [`is_behind`](Handlers::is_behind).
    pub fn publish(&self, event: Event) {
        if self.wanted().contains(event.kind().mask()) {
            if self.wanted.ended() {
                self.wanted.publish_to_orphans(&[event]);
                return;
            }
            self.wanted.gate().published(ReadGate::share(&event));
            self.registry.do_send(Publish::from(event));
        }
    }

    /// Publishes the last events of a connection's actor, even where the registry dies with it.
    pub(crate) fn publish_last(&self, mut events: Vec<Event>) {
        let wanted = self.wanted();
        events.retain(|event| wanted.contains(event.kind().mask()));
        if !events.is_empty() && self.wanted.leave_final_events(events) {
            self.registry.do_send(FinalEvents);
        }
    }

    /// Returns whether the registry's actor has died before its last handle was dropped and without
    /// [`shutdown`](Handlers::shutdown): with its arbiter, or by a panic.
    ///
    /// Subscribers on other arbiters still receive events, but none can be added or removed any more.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.wanted.with_orphans(|_| ()).is_some()
    }

    /// Returns the number of this account's events missed by the current subscribers, all together. Accounts that share
    /// a registry are counted apart.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when the registry was shut down.
    pub async fn missed_events(&self, user: &UserId) -> Result<u64, ConnectionError> {
        match self.registry.send(MissedEvents(user.clone())).await {
            Ok(missed) => Ok(missed),
            Err(error) => self.wanted.with_orphans(|registry| registry.missed_of(user)).ok_or_else(|| stopped(error)),
        }
    }

    /// Events that may wait for the registry before its connections stop reading.
    pub const BACKLOG: usize = 1024;

    /// Bytes of events that may wait for the registry before its connections stop reading: 8 MiB.
    ///
    /// Every event counts as 8 KiB at least, so that [`BACKLOG`](Handlers::BACKLOG) of them are never passed either.
    /// Each connection may pass it by what one read brought: by one page.
    pub const BACKLOG_BYTES: usize = 8 << 20;

    /// Waiting connections that are woken at a time.
    pub(super) const READERS: usize = 16;

    /// Returns whether [`Handlers::BACKLOG`] events or [`Handlers::BACKLOG_BYTES`] wait for it; `false` once it has
    /// ended.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.wanted.pending() >= Self::BACKLOG_BYTES as u64
    }

    /// Ready while the registry is not behind; else the task is woken when it may have caught up, or must look again
    /// later.
    pub(crate) fn poll_ready(&self, task: &mut Context<'_>) -> Poll<()> {
        let pending = self.wanted.pending();
        if pending >= Self::BACKLOG_BYTES as u64 {
            self.wanted.gate().wait(task.waker());
            return Poll::Pending;
        }
        // Whoever has nothing to read lets the next one try.
        if pending < Self::BACKLOG_BYTES as u64 / 2 {
            self.wanted.gate().wake_readers(1);
        }
        Poll::Ready(())
    }

    /// Publishes events in their order, as [`publish`](Handlers::publish) does with each, at the cost of one message.
    pub fn publish_all(&self, mut events: Vec<Event>) {
        let wanted = self.wanted();
        let mut shares = 0;
        events.retain(|event| {
            let is_wanted = wanted.contains(event.kind().mask());
            if is_wanted {
                shares += ReadGate::share(event);
            }
            is_wanted
        });
        if events.is_empty() {
            return;
        }
        if self.wanted.ended() {
            self.wanted.publish_to_orphans(&events);
            return;
        }
        self.wanted.gate().published(shares);
        self.registry.do_send(Publish::from(events));
    }

    /// Returns the number of [`Overflow::Disconnect`](crate::Overflow::Disconnect) cases so far: one atomic load.
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

    /// Returns the actor's address, for its messages.
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
