use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler};
use actix_rt::ArbiterHandle;
use slog::{Logger, error};

use crate::{
    model::{
        Event, EventKind, EventMask,
        error::{DisconnectReason, LossCause, SendError},
        events,
        message::Message,
        notice::{
            ContactEvent, DeviceEvent, Edit, MucEvent, PinEvent, PresenceEvent, ReactionEvent, Recall, Receipt,
            ThreadEvent, UnknownNotice,
        },
    },
    util::{
        impls::setters,
        lent::{caught, drop_caught},
        spawn::spawn_bounded,
    },
};

use super::{Overflow, SubscriberId, Subscription};

type Closure = Box<dyn FnMut(&Event) + Send>;

/// Makes the closures and their setters out of the rows of the table of events.
macro_rules! closures {
    ($(
        $(#[$doc:meta])*
        $kind:ident $(($value:ident: $value_type:ty))? $({
            $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)*
        })?
        $class:ident $mask:ident $(= $bit:literal $($also:literal)?)?
        $on:ident($($arg:ident: $arg_type:ty = $arg_value:expr),*) $(with $with:literal)? $(claims $claims:expr)?;
    )*) => {
        /// One closure for each kind of event.
        #[derive(Default)]
        struct Closures {
            $($on: Option<Box<dyn FnMut(&Event $(, $arg_type)*) + Send>>,)*
        }

        impl Closures {
            fn mask(&self) -> EventMask {
                let bits = [$(if self.$on.is_some() { EventMask::$mask } else { EventMask::NONE }),*];
                bits.into_iter().fold(EventMask::NONE, |union, mask| union | mask)
            }

            #[allow(unused_variables, reason = "most rows name values for their other columns")]
            fn call(&mut self, event: &Event) {
                match event.kind() {
                    $(EventKind::$kind $(($value))? $({ $($field,)* })? => {
                        if let Some(call) = &mut self.$on {
                            call(event $(, $arg_value)*);
                        }
                    })*
                }
            }
        }

        impl EventHandler {
            $(
                #[doc = concat!(
                    "Calls a closure on [`EventKind::", stringify!($kind), "`], with the event", $(" and ", $with,)? ".",
                )]
                pub fn $on(mut self, call: impl FnMut(&Event $(, $arg_type)*) + Send + 'static) -> Self {
                    self.closures.$on = Some(Box::new(call));
                    self
                }
            )*
        }
    };
}

events!(closures);

/// Closures that receive events: each setter takes one, what is not set is skipped.
///
/// Setting the same one twice keeps the later. The handler asks only for the kinds its closures are for.
///
/// The closures run one at a time, in an actor of their own for which
/// [`DEFAULT_CAPACITY`](EventHandler::DEFAULT_CAPACITY) events may wait; past that, events are missed like by any
/// subscriber and [`on_missed`](EventHandler::on_missed) is called. They **must not block**: by default they share
/// the thread with the connection. Work that takes long belongs on another arbiter
/// ([`in_arbiter`](EventHandler::in_arbiter)) or thread. A closure that panics is logged and counted
/// ([`SubscriberInfo::panics`](super::SubscriberInfo::panics)), and called again for the next event.
///
/// Each closure gets the event first, which says on which account it happened ([`Event::user`]): so one handler may serve
/// many connections, and answer on the one the event came from (`Event::connection`). What the event holds follows in parts.
///
/// ```
/// use agora_chat::EventHandler;
/// let handler = EventHandler::new()
///     .on_connected(|event| println!("{} is connected", event.user()))
///     .on_reconnecting(|_, attempt, delay, cause| println!("attempt {attempt} in {delay:?}: {cause}"))
///     .on_disconnected(|_, reason| println!("logged out: {reason}"));
/// ```
#[must_use = "a handler hears nothing until it is added"]
pub struct EventHandler {
    closures: Closures,
    on_event: Option<Closure>,
    capacity: usize,
    backlog_bytes: usize,
    overflow: Overflow,
    arbiter: Option<ArbiterHandle>,
}

impl EventHandler {
    /// The default capacity, unless [`capacity`](EventHandler::capacity) sets another.
    pub const DEFAULT_CAPACITY: usize = 1024;

    /// The largest capacity.
    pub const MAX_CAPACITY: usize = 1 << 20;

    /// Up to which capacity there is no backlog before the mailbox.
    const ALL_IN_MAILBOX: usize = 32;

    /// Makes a handler without any closure.
    pub fn new() -> Self {
        EventHandler {
            closures: Closures::default(),
            on_event: None,
            capacity: Self::DEFAULT_CAPACITY,
            backlog_bytes: Overflow::BACKLOG_BYTES,
            overflow: Overflow::default(),
            arbiter: None,
        }
    }

    setters! {
        /// Calls a closure on every event, also of kinds a later release adds, after the closure for its kind.
        on_event(call: impl FnMut(&Event) + Send + 'static) |this| this.on_event = Some(Box::new(call));

        /// Sets the number of events that may wait for the closures, from 1 to
        /// [`MAX_CAPACITY`](EventHandler::MAX_CAPACITY), clamped. Default:
        /// [`DEFAULT_CAPACITY`](EventHandler::DEFAULT_CAPACITY).
        ///
        /// With 32 or fewer all of them wait in the actor's mailbox, and it is not waited for however fast it is. With
        /// more, half of them wait in the backlog that [`Overflow`] is about.
        capacity(events: usize) |this| this.capacity = events.clamp(1, Self::MAX_CAPACITY);

        /// Sets [`Subscription::backlog_bytes`](Subscription::backlog_bytes). Default: [`Overflow::BACKLOG_BYTES`].
        backlog_bytes(bytes: usize) |this| this.backlog_bytes = bytes.clamp(1, Overflow::MAX_BACKLOG_BYTES);

        /// Sets the policy for an event past the capacity. Default: [`Overflow::DropNewest`].
        overflow(overflow: Overflow) |this| this.overflow = overflow.within_bounds();

        /// Runs the closures on this arbiter. Default: the registry's, which is the connection's.
        ///
        /// `Arbiter::new().handle()` is a thread of their own.
        in_arbiter(arbiter: &ArbiterHandle) |this| this.arbiter = Some(arbiter.clone());
    }

    /// Returns the kinds of events the closures are for.
    #[must_use]
    pub fn mask(&self) -> EventMask {
        if self.on_event.is_some() { EventMask::ALL } else { self.closures.mask() }
    }

    /// Starts the actor the closures run in; it lives as long as the subscription.
    pub(super) fn listen(mut self, id: SubscriberId, near: &ArbiterHandle, log: &Logger) -> Subscription {
        let arbiter = self.arbiter.take().unwrap_or_else(|| near.clone());
        let (mask, overflow, panics) = (self.mask(), self.overflow, Arc::<AtomicU64>::default());
        let bytes = self.backlog_bytes;
        let (mailbox, backlog) = match overflow {
            Overflow::DropOldest { .. } => (self.capacity, 0),
            _ if self.capacity <= Self::ALL_IN_MAILBOX => (self.capacity, 0),
            _ => {
                let backlog = (self.capacity / 2).min(Overflow::MAX_CAPACITY);
                (self.capacity - backlog, backlog)
            }
        };
        let listener = Listener { id: id.clone(), handler: Some(self), panics: Arc::clone(&panics), log: log.clone() };
        let recipient = spawn_bounded(&arbiter, mailbox, move || listener).recipient();
        let mut subscription =
            Subscription::new(id, recipient).events(mask).overflow(overflow).backlog(backlog).backlog_bytes(bytes);
        subscription.panics = Some(panics);
        subscription
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

struct Listener {
    id: SubscriberId,
    handler: Option<EventHandler>,
    panics: Arc<AtomicU64>,
    log: Logger,
}

impl Listener {
    /// Runs a closure and catches its panic; it is called again with the next event.
    fn guarded(&mut self, event: &Event, call: impl FnOnce(&mut EventHandler)) {
        let Some(handler) = &mut self.handler else { return };
        if caught(|| call(handler)).is_none() {
            let panics = self.panics.fetch_add(1, Ordering::Relaxed) + 1;
            error!(self.log, "an event handler's closure panicked";
                "subscriber" => %self.id, "on" => event.kind().name(), "panics" => panics);
        }
    }
}

impl Drop for Listener {
    /// Drops the closures, which may panic.
    fn drop(&mut self) {
        drop_caught(self.handler.take());
    }
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Event> for Listener {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Self::Context) {
        self.guarded(&event, |handler| handler.closures.call(&event));
        self.guarded(&event, |handler| {
            if let Some(call) = &mut handler.on_event {
                call(&event);
            }
        });
    }
}
