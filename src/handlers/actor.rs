//! The registry's actor and its messages.

use std::time::Duration;

use actix::{
    Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, MessageResult, Recipient, SpawnHandle,
    dev::channel,
};
use actix_rt::ArbiterHandle;
use slog::{Logger, debug};

use crate::{ConnectionError, Event, EventMask};

use super::{
    Handlers, Overflow, Registry, SubscriberId, SubscriberInfo, Subscription,
    room::HasRoom,
    wanted::{Announcement, Wanted},
};

/// Tells subscribers what happens; see the [module](crate::handlers) for what is promised.
///
/// Start it with [`start_here`](HandlerRegistry::start_here) or [`start_on`](HandlerRegistry::start_on) and talk to
/// it through the [`Handlers`] they return, or by the messages of this module.
///
/// Bounds: its mailbox takes [`MAILBOX`](HandlerRegistry::MAILBOX) additions and removals; events are published
/// past that bound: connections stop reading at [`Handlers::BACKLOG`] of them, each after what one read brought. It keeps
/// nothing per event but in the rings of [`Overflow::DropOldest`], and what waits in those when it ends is lost. It ends by [`Shutdown`] or when its last address is dropped.
#[derive(Debug)]
pub struct HandlerRegistry {
    registry: Registry,
    wanted: Wanted,
    told: EventMask,
    sweep: Option<SpawnHandle>,
    log: Logger,
}

impl HandlerRegistry {
    /// The mailbox's capacity.
    pub const MAILBOX: usize = 1024;

    /// How often a subscriber that is owed something is tried again when no further event comes; one with a ring is also
    /// tried as soon as it has room.
    pub const SWEEP: Duration = Duration::from_millis(250);

    /// Starts a registry on this thread's arbiter.
    ///
    /// # Errors
    /// [`ConnectionError::NoSystem`] outside an actix system.
    pub fn start_here(log: &Logger) -> Result<Handlers, ConnectionError> {
        let arbiter = actix_rt::Arbiter::try_current().ok_or(ConnectionError::NoSystem)?;
        Ok(Self::start_on(&arbiter, log))
    }

    /// Starts a registry on the given arbiter, from any thread.
    ///
    /// On an arbiter that has ended, every call on the handle fails with [`ConnectionError::Stopped`].
    #[must_use]
    pub fn start_on(arbiter: &ArbiterHandle, log: &Logger) -> Handlers {
        let wanted = Wanted::default();
        let actor = HandlerRegistry {
            registry: Registry::new(log.clone()),
            wanted: wanted.clone(),
            told: EventMask::NONE,
            sweep: None,
            log: log.clone(),
        };
        Handlers::new(spawn_bounded(arbiter, Self::MAILBOX, actor), wanted, arbiter.clone(), log.clone())
    }

    /// Lets connections read on once everything published is offered.
    fn caught_up(&self) {
        if self.wanted.pending() == 0 {
            self.wanted.wake_readers(Handlers::READERS);
        }
    }

    /// What follows every change: the union of wanted kinds is exact, and what is needed for subscribers that are
    /// behind is under way.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.registry.wanted();
        if wanted != self.told {
            self.told = wanted;
            self.wanted.set_registered(wanted);
        }
        self.wanted.set_disconnected(self.registry.disconnected());
        if self.registry.behind() && self.sweep.is_none() {
            self.sweep = Some(ctx.run_later(Self::SWEEP, |this, ctx| {
                this.sweep = None;
                this.registry.sweep();
                // Without this a subscriber that never reads again would keep an abandoned registry alive.
                if ctx.connected() {
                    this.settle(ctx);
                }
            }));
        }
    }
}

impl Drop for HandlerRegistry {
    /// However it ends, also with its arbiter: nobody is to wait for what it will not do.
    fn drop(&mut self) {
        self.wanted.end();
    }
}

/// Starts an actor whose mailbox has its capacity from the first message on.
///
/// `start_in_arbiter` would leave the default of 16 in place until the arbiter gets round to starting it.
pub(super) fn spawn_bounded<A>(arbiter: &ArbiterHandle, capacity: usize, actor: A) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Send,
{
    let (to, mailbox) = channel::channel(capacity);
    // An arbiter that has ended drops the mailbox, which senders then find closed.
    let _ = arbiter.spawn_fn(move || {
        let _ = Context::with_receiver(mailbox).run(actor);
    });
    Addr::new(to)
}

impl Actor for HandlerRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.registry.tell_of_room(ctx.address().downgrade().into());
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.wanted.set_registered(EventMask::NONE);
        debug!(self.log, "handler registry has ended"; "subscribers" => self.registry.len());
    }
}

/// Registers a subscriber, or replaces the one of the same id in its place.
///
/// Sent to the actor's address it counts from when the actor handles it; [`Handlers::subscribe`] makes it count from
/// the call.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Subscribe {
    subscription: Subscription,
    announcement: Option<Announcement>,
}

impl Subscribe {
    /// A subscriber that wants every event.
    #[must_use]
    pub fn new(id: impl Into<SubscriberId>, recipient: Recipient<Event>) -> Self {
        Subscription::new(id, recipient).into()
    }

    /// Narrows what it wants. Default: [`EventMask::ALL`].
    #[must_use]
    pub fn mask(mut self, mask: EventMask) -> Self {
        self.subscription = self.subscription.events(mask);
        self
    }

    /// What happens to an event its mailbox has no room for. Default: [`Overflow::DropNewest`].
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.subscription = self.subscription.overflow(overflow);
        self
    }

    pub(super) fn announced(mut self, wanted: &Wanted) -> Self {
        self.announcement = Some(wanted.announce(self.subscription.mask));
        self
    }
}

impl From<Subscription> for Subscribe {
    fn from(subscription: Subscription) -> Self {
        Subscribe { subscription, announcement: None }
    }
}

impl Handler<Subscribe> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, add: Subscribe, ctx: &mut Self::Context) {
        self.registry.add(add.subscription);
        self.settle(ctx);
        // Only now: in between the mask would be wanted by nobody.
        drop(add.announcement);
    }
}

/// Forgets a subscriber; the answer says whether the id was known.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct Unsubscribe(pub SubscriberId);

impl Handler<Unsubscribe> for HandlerRegistry {
    type Result = bool;

    fn handle(&mut self, Unsubscribe(id): Unsubscribe, ctx: &mut Self::Context) -> bool {
        let known = self.registry.remove(&id);
        self.settle(ctx);
        known
    }
}

/// Offers an event to everybody who wants its kind.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Publish(pub Event);

impl Handler<Publish> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, Publish(event): Publish, ctx: &mut Self::Context) {
        self.wanted.offered(1);
        self.registry.publish(&event);
        self.settle(ctx);
        self.caught_up();
    }
}

/// Offers events, in their order, as [`Publish`] does with each: one message for a page of them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct PublishAll(pub Vec<Event>);

impl Handler<PublishAll> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, PublishAll(events): PublishAll, ctx: &mut Self::Context) {
        self.wanted.offered(events.len());
        for event in &events {
            self.registry.publish(event);
        }
        self.settle(ctx);
        self.caught_up();
    }
}

impl Handler<HasRoom> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, HasRoom(serial): HasRoom, ctx: &mut Self::Context) {
        self.registry.has_room(serial);
        self.settle(ctx);
    }
}

/// Asks for everybody's counts, in order of registration; those that have stopped are forgotten first.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<SubscriberInfo>")]
pub struct Subscribers;

impl Handler<Subscribers> for HandlerRegistry {
    type Result = MessageResult<Subscribers>;

    fn handle(&mut self, _: Subscribers, ctx: &mut Self::Context) -> Self::Result {
        self.registry.sweep();
        self.settle(ctx);
        MessageResult(self.registry.subscribers())
    }
}

/// Ends the registry; events sent before it are delivered as far as there is room, and every subscriber is let go before the answer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

impl Handler<Shutdown> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Self::Context) {
        self.registry.clear();
        self.settle(ctx);
        ctx.stop();
    }
}
