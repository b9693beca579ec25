use std::{collections::VecDeque, mem, thread, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Message, Response, SpawnHandle};
use actix_rt::ArbiterHandle;
use slog::{Logger, debug, error};
use tokio::sync::oneshot;

use crate::{
    handlers::{
        capacity::Drained,
        interest::{Announcement, Interest},
        read_gate::ReadGate,
    },
    model::{Event, EventMask, account::UserId, error::ConnectionError},
    util::{
        impls::{impl_from, impl_handlers},
        lent,
        spawn::spawn_bounded,
    },
};

use super::{Handlers, Registry, SubscriberId, SubscriberInfo, Subscription};

/// Delivers events to subscribers; see the [module](crate::handlers) for what is promised.
///
/// Start it with [`start_here`](HandlerRegistry::start_here) or [`start_on`](HandlerRegistry::start_on) and talk to it
/// through the [`Handlers`] they return, or by the messages of this module.
///
/// Bounds: its mailbox takes [`MAILBOX`](HandlerRegistry::MAILBOX) additions and removals; events are published past
/// that bound: connections stop reading at [`Handlers::BACKLOG`] of them or [`Handlers::BACKLOG_BYTES`], each after
/// what one read brought. What it keeps for a subscriber that is behind, [`Overflow`](crate::Overflow) bounds. It ends
/// by [`Shutdown`] or when its last address is dropped, and then puts what subscribers are still owed into their
/// mailboxes.
#[derive(Debug)]
pub struct HandlerRegistry {
    registry: Registry,
    wanted: Interest,
    told: EventMask,
    sweep: Option<SpawnHandle>,
    pace_check: Option<SpawnHandle>,
    waiting: VecDeque<Task>,
    shut: bool,
    log: Logger,
}

#[derive(Debug)]
enum Task {
    Publish(Event),
    Add(Box<Subscribe>),
    Remove(SubscriberId, oneshot::Sender<bool>),
    Tell(oneshot::Sender<Vec<SubscriberInfo>>),
}

impl HandlerRegistry {
    /// The mailbox's capacity.
    pub const MAILBOX: usize = 1024;

    /// Interval at which a subscriber with a backlog is retried, besides at each event and when it has room.
    pub const SWEEP: Duration = Duration::from_millis(250);

    /// Sampling interval for a subscriber that the others wait for. Five samples decide.
    const PACE_SAMPLE: Duration = Duration::from_millis(10);

    /// Starts a registry on this thread's arbiter. It logs through `log`, which may panic without harm.
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
        Self::start_guarded(arbiter, lent::guarded(log).0)
    }

    /// Starts a registry with a logger that does not panic.
    pub(crate) fn start_guarded(arbiter: &ArbiterHandle, log: Logger) -> Handlers {
        let wanted = Interest::default();
        let actor = HandlerRegistry {
            registry: Registry::with_guarded(log.clone()),
            wanted: wanted.clone(),
            told: EventMask::NONE,
            sweep: None,
            pace_check: None,
            waiting: VecDeque::new(),
            shut: false,
            log: log.clone(),
        };
        Handlers::new(spawn_bounded(arbiter, Self::MAILBOX, move || actor), wanted, arbiter.clone(), log)
    }

    /// Does something at once, or in its turn where something waits already.
    fn turn(&mut self, task: Task, ctx: &mut Context<Self>) {
        if self.waiting.is_empty() {
            self.carry_out(task);
        } else {
            self.waiting.push_back(task);
        }
        self.after_change(ctx);
    }

    fn carry_out(&mut self, task: Task) {
        match task {
            Task::Publish(event) => {
                self.wanted.gate().offered(ReadGate::share(&event));
                self.registry.publish(&event);
            }
            Task::Add(add) => {
                self.registry.add(add.subscription);
                self.tell_wanted();
                // Only now: in between the mask would be wanted by nobody.
                drop(add.announcement);
            }
            Task::Remove(id, asked) => {
                // An error here means that nobody waits for the answer.
                let _ = asked.send(self.registry.remove(&id));
            }
            Task::Tell(asked) => {
                self.registry.sweep();
                let _ = asked.send(self.registry.subscribers());
            }
        }
    }

    /// Does what waits, for as long as it costs no subscriber an event that it may have the speed to take.
    fn run_waiting(&mut self) {
        while !(self.registry.backpressure() && matches!(self.waiting.front(), Some(Task::Publish(_))))
            && let Some(task) = self.waiting.pop_front()
        {
            self.carry_out(task);
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(Handlers::BACKLOG);
        }
        // Connections read on once everything published is offered.
        if self.wanted.pending() == 0 {
            self.wanted.gate().wake_readers(Handlers::READERS);
        }
    }

    fn tell_wanted(&mut self) {
        let wanted = self.registry.wanted();
        if wanted != self.told {
            self.told = wanted;
            self.wanted.set_registered(wanted);
        }
    }

    /// Call after every change: runs queued tasks, republishes the mask, and arms the retry timer if a subscriber lags.
    fn after_change(&mut self, ctx: &mut Context<Self>) {
        self.run_waiting();
        self.tell_wanted();
        self.wanted.set_disconnected(self.registry.disconnected());
        if self.registry.behind() && self.sweep.is_none() {
            self.sweep = Some(ctx.run_later(Self::SWEEP, |this, ctx| {
                this.sweep = None;
                this.registry.sweep();
                // Without this a subscriber that never reads again would keep an abandoned registry alive.
                if ctx.connected() {
                    this.after_change(ctx);
                }
            }));
        }
        if !self.waiting.is_empty() && self.pace_check.is_none() {
            self.pace_check = Some(ctx.run_later(Self::PACE_SAMPLE, |this, ctx| {
                this.pace_check = None;
                this.registry.sample_pace();
                this.after_change(ctx);
            }));
        }
    }

    fn finish(&mut self) {
        while let Some(task) = self.waiting.pop_front() {
            self.carry_out(task);
        }
    }
}

impl Drop for HandlerRegistry {
    /// Releases everybody who waits, however it ends, and delivers what is published already.
    fn drop(&mut self) {
        self.registry.stop_notifying();
        let _ = lent::caught(|| self.finish());
        let registry = mem::replace(&mut self.registry, Registry::with_guarded(self.log.clone()));
        let _ = lent::caught(|| self.wanted.end((!self.shut).then_some(registry)));
    }
}

impl Actor for HandlerRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.registry.notify_of_capacity(ctx.address().downgrade().into());
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if thread::panicking() {
            error!(self.log, "handler registry ends by a panic; connections tell its subscribers by themselves";
                "subscribers" => self.registry.len());
        } else {
            debug!(self.log, "handler registry has ended"; "subscribers" => self.registry.len());
        }
    }
}

/// Registers a subscriber, or replaces the one of the same id in its place.
///
/// Sent to the actor it counts from its handling; by [`Handlers::subscribe`] it counts from the call.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Subscribe {
    subscription: Subscription,
    announcement: Option<Announcement>,
}

impl Subscribe {
    pub(super) fn announced(mut self, wanted: &Interest) -> Self {
        self.announcement = Some(wanted.announce(self.subscription.mask));
        self
    }
}

impl From<Subscription> for Subscribe {
    fn from(subscription: Subscription) -> Self {
        Subscribe { subscription, announcement: None }
    }
}

/// Forgets a subscriber; the answer says whether the id was known.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct Unsubscribe(pub SubscriberId);

/// Offers events to everybody who wants their kinds, in their order: made of one event or of many.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Publish {
    many: Vec<Event>,
    /// The last one, so that one by itself needs no list.
    last: Option<Event>,
}

impl_from! { Publish {
    |event: Event| Publish { many: Vec::new(), last: Some(event) };
    |events: Vec<Event>| Publish { many: events, last: None };
} }

#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct FinalEvents;

/// Asks for everybody's counts, in order of registration, after dropping those that have stopped.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<SubscriberInfo>")]
pub struct Subscribers;

/// Returns the answer of a task that may have to wait its turn. Every task runs, at the latest at the end.
fn in_turn<T: Default + 'static>(mut answer: oneshot::Receiver<T>) -> Response<T> {
    match answer.try_recv() {
        Ok(done) => Response::reply(done),
        Err(_) => Response::fut(async move { answer.await.unwrap_or_default() }),
    }
}

/// Asks how many events of an account were missed by the subscribers of now.
#[derive(Debug, Message)]
#[rtype(result = "u64")]
pub(super) struct MissedEvents(pub(super) UserId);

/// Ends the registry after delivering earlier events, past the capacity of mailboxes, and dropping the subscribers.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

impl_handlers! { HandlerRegistry {
    Subscribe: |this, add, ctx| { this.turn(Task::Add(Box::new(add)), ctx) }
    Unsubscribe: |this, Unsubscribe(id), ctx| -> Response<bool> {
        let (asked, answer) = oneshot::channel();
        this.turn(Task::Remove(id, asked), ctx);
        in_turn(answer)
    }
    Publish: |this, Publish { many, last }, ctx| {
        let mut offered = 0;
        for event in many.into_iter().chain(last) {
            if this.waiting.is_empty() && !this.registry.backpressure() {
                offered += ReadGate::share(&event);
                this.registry.publish(&event);
            } else {
                this.waiting.push_back(Task::Publish(event));
            }
        }
        this.wanted.gate().offered(offered);
        this.after_change(ctx);
    }
    FinalEvents: |this, _, ctx| {
        let words = this.wanted.take_final_events();
        this.wanted.gate().published(words.iter().map(ReadGate::share).sum());
        this.handle(Publish::from(words), ctx);
    }
    Drained: |this, Drained { serial, freed }, ctx| {
        this.registry.drained(serial, freed);
        this.after_change(ctx);
    }
    Subscribers: |this, _, ctx| -> Response<Vec<SubscriberInfo>> {
        let (asked, answer) = oneshot::channel();
        this.turn(Task::Tell(asked), ctx);
        in_turn(answer)
    }
    MissedEvents: |this, MissedEvents(user), _| -> u64 { this.registry.missed_of(&user) }
    Shutdown: |this, _, ctx| {
        this.finish();
        this.shut = true;
        this.registry.clear();
        this.after_change(ctx);
        ctx.stop();
    }
} }
