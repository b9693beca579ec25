//! Closures as a subscriber.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use actix::{Actor, Context, Handler, Recipient};
use actix_rt::ArbiterHandle;
use slog::{Logger, error};

use crate::{DisconnectReason, Event, EventKind, EventMask, LossCause, Message};

use super::{SubscriberId, actor::spawn_bounded};

type Call<Args> = Option<Box<dyn FnMut(Args) + Send>>;
type OnReconnecting = Option<Box<dyn FnMut(u32, Duration, &LossCause) + Send>>;
type OnRef<T> = Option<Box<dyn FnMut(&T) + Send>>;

/// Closures that hear events: each setter takes one, what is not set is skipped.
///
/// Setting the same one twice keeps the later. The handler asks only for the kinds its closures are for.
///
/// The closures run one at a time, in an actor of their own with a mailbox of
/// [`DEFAULT_CAPACITY`](EventHandler::DEFAULT_CAPACITY) events; when that is full, events are missed like by any
/// subscriber and [`on_missed`](EventHandler::on_missed) is called. They **must not block**: by default they share
/// the thread with the connection. Work that takes long belongs on another arbiter
/// ([`in_arbiter`](EventHandler::in_arbiter)) or thread. A closure that panics is logged, and called again for the
/// next event.
///
/// ```
/// use agora_chat::EventHandler;
/// let handler = EventHandler::new()
///     .on_connected(|| println!("connected"))
///     .on_reconnecting(|attempt, delay, cause| println!("attempt {attempt} in {delay:?}: {cause}"))
///     .on_disconnected(|reason| println!("logged out: {reason}"));
/// ```
#[must_use = "a handler hears nothing until it is added"]
pub struct EventHandler {
    connected: Call<()>,
    reconnecting: OnReconnecting,
    disconnected: OnRef<DisconnectReason>,
    token_will_expire: Call<Duration>,
    token_expired: Call<()>,
    message: OnRef<Message>,
    flapping: Call<Duration>,
    missed: Call<u64>,
    event: OnRef<Event>,
    capacity: usize,
    arbiter: Option<ArbiterHandle>,
}

impl EventHandler {
    /// How many events may wait for the closures unless [`capacity`](EventHandler::capacity) says otherwise.
    pub const DEFAULT_CAPACITY: usize = 1024;

    /// The largest capacity.
    pub const MAX_CAPACITY: usize = 1 << 20;

    /// A handler without any closure.
    pub fn new() -> Self {
        EventHandler {
            connected: None,
            reconnecting: None,
            disconnected: None,
            token_will_expire: None,
            token_expired: None,
            message: None,
            flapping: None,
            missed: None,
            event: None,
            capacity: Self::DEFAULT_CAPACITY,
            arbiter: None,
        }
    }

    /// Called on [`EventKind::Connected`], after a login by `open` as well as after each return of a lost link;
    /// [`on_event`](EventHandler::on_event) can tell the two apart by `resumed`.
    pub fn on_connected(mut self, mut call: impl FnMut() + Send + 'static) -> Self {
        self.connected = Some(Box::new(move |()| call()));
        self
    }

    /// Called on [`EventKind::Reconnecting`] with the number of the coming attempt, the pause before it and why the
    /// link was lost.
    pub fn on_reconnecting(mut self, call: impl FnMut(u32, Duration, &LossCause) + Send + 'static) -> Self {
        self.reconnecting = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Disconnected`]: the client will not try again by itself.
    pub fn on_disconnected(mut self, call: impl FnMut(&DisconnectReason) + Send + 'static) -> Self {
        self.disconnected = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::TokenWillExpire`] with what is left of the token's life.
    pub fn on_token_will_expire(mut self, call: impl FnMut(Duration) + Send + 'static) -> Self {
        self.token_will_expire = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Flapping`], with what every pause is at least from then on.
    pub fn on_flapping(mut self, call: impl FnMut(Duration) + Send + 'static) -> Self {
        self.flapping = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::TokenExpired`].
    pub fn on_token_expired(mut self, mut call: impl FnMut() + Send + 'static) -> Self {
        self.token_expired = Some(Box::new(move |()| call()));
        self
    }

    /// Called on [`EventKind::Message`].
    pub fn on_message(mut self, call: impl FnMut(&Message) + Send + 'static) -> Self {
        self.message = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Missed`] with how many events these closures missed.
    pub fn on_missed(mut self, call: impl FnMut(u64) + Send + 'static) -> Self {
        self.missed = Some(Box::new(call));
        self
    }

    /// Called on every event, also of kinds a later release adds, after the closure for its kind.
    pub fn on_event(mut self, call: impl FnMut(&Event) + Send + 'static) -> Self {
        self.event = Some(Box::new(call));
        self
    }

    /// How many events may wait for the closures, from 1 to [`MAX_CAPACITY`](EventHandler::MAX_CAPACITY); what lies
    /// outside is taken as the nearest of the two. Default: [`DEFAULT_CAPACITY`](EventHandler::DEFAULT_CAPACITY).
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.clamp(1, Self::MAX_CAPACITY);
        self
    }

    /// Runs the closures on this arbiter. Default: the registry's, which is the connection's.
    ///
    /// `Arbiter::new().handle()` is a thread of their own.
    pub fn in_arbiter(mut self, arbiter: &ArbiterHandle) -> Self {
        self.arbiter = Some(arbiter.clone());
        self
    }

    /// The kinds of events the closures are for.
    #[must_use]
    pub fn mask(&self) -> EventMask {
        if self.event.is_some() {
            return EventMask::ALL;
        }
        [
            (self.connected.is_some(), EventMask::CONNECTED),
            (self.reconnecting.is_some(), EventMask::RECONNECTING),
            (self.disconnected.is_some(), EventMask::DISCONNECTED),
            (self.token_will_expire.is_some(), EventMask::TOKEN_WILL_EXPIRE),
            (self.token_expired.is_some(), EventMask::TOKEN_EXPIRED),
            (self.message.is_some(), EventMask::MESSAGE),
            (self.flapping.is_some(), EventMask::FLAPPING),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(EventMask::NONE, |union, (_, mask)| union | mask)
    }

    /// Starts the actor the closures run in; it lives as long as the returned recipient.
    pub(super) fn listen(mut self, id: SubscriberId, near: &ArbiterHandle, log: &Logger) -> Recipient<Event> {
        let arbiter = self.arbiter.take().unwrap_or_else(|| near.clone());
        let capacity = self.capacity;
        spawn_bounded(&arbiter, capacity, Listener { id, handler: self, log: log.clone() }).recipient()
    }

    fn call_for_kind(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Connected { .. } => call(&mut self.connected, ()),
            EventKind::Reconnecting { attempt, delay, cause } => {
                if let Some(on_reconnecting) = &mut self.reconnecting {
                    on_reconnecting(*attempt, *delay, cause);
                }
            }
            EventKind::Disconnected { reason } => call_ref(&mut self.disconnected, reason),
            EventKind::TokenWillExpire { expires_in, .. } => call(&mut self.token_will_expire, *expires_in),
            EventKind::TokenExpired => call(&mut self.token_expired, ()),
            EventKind::Message(message) => call_ref(&mut self.message, message),
            EventKind::Flapping { floor, .. } => call(&mut self.flapping, *floor),
            EventKind::Missed { count } => call(&mut self.missed, *count),
            EventKind::OfflineSyncStarted { .. } | EventKind::OfflineSyncFinished { .. } => {}
        }
    }
}

impl Default for EventHandler {
    fn default() -> Self {
        EventHandler::new()
    }
}

impl fmt::Debug for EventHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHandler")
            .field("mask", &self.mask())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

fn call<Args>(closure: &mut Call<Args>, args: Args) {
    if let Some(closure) = closure {
        closure(args);
    }
}

fn call_ref<T>(closure: &mut OnRef<T>, value: &T) {
    if let Some(closure) = closure {
        closure(value);
    }
}

/// The actor the closures of one handler run in.
struct Listener {
    id: SubscriberId,
    handler: EventHandler,
    log: Logger,
}

impl Listener {
    /// The closures' state after a panic is their own affair: they are called again with the next event.
    fn guarded(&mut self, event: &Event, call: impl FnOnce(&mut EventHandler)) {
        if catch_unwind(AssertUnwindSafe(|| call(&mut self.handler))).is_err() {
            error!(self.log, "an event handler's closure panicked";
                "subscriber" => %self.id, "on" => ?event.kind().mask());
        }
    }
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Event> for Listener {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Self::Context) {
        self.guarded(&event, |handler| handler.call_for_kind(event.kind()));
        self.guarded(&event, |handler| call_ref(&mut handler.event, &event));
    }
}
