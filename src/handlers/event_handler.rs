//! Closures as a subscriber.

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
        message::Message,
        notice::{
            ContactEvent, DeviceEvent, Edit, MucEvent, PinEvent, PresenceEvent, ReactionEvent, Recall, Receipt,
            ThreadEvent, UnknownNotice,
        },
    },
    util::lent::{caught, drop_caught},
};

use super::{Overflow, SubscriberId, Subscription, actor::spawn_bounded};

type Call<Args> = Option<Box<dyn FnMut(Args) + Send>>;
type OnReconnecting = Option<Box<dyn FnMut(u32, Duration, &LossCause) + Send>>;
type OnRoomLost = Option<Box<dyn FnMut(&str, Option<&SendError>) + Send>>;
type OnRef<T> = Option<Box<dyn FnMut(&T) + Send>>;

/// Closures that hear events: each setter takes one, what is not set is skipped.
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
    receipt: OnRef<Receipt>,
    recalled: OnRef<Recall>,
    edited: OnRef<Edit>,
    group: OnRef<MucEvent>,
    room: OnRef<MucEvent>,
    room_lost: OnRoomLost,
    thread: OnRef<ThreadEvent>,
    contact: OnRef<ContactEvent>,
    presence: OnRef<PresenceEvent>,
    reaction: OnRef<ReactionEvent>,
    pinned: OnRef<PinEvent>,
    device: OnRef<DeviceEvent>,
    unknown: OnRef<UnknownNotice>,
    offline_sync_started: Call<(usize, u64)>,
    offline_sync_finished: Call<(usize, u64, bool)>,
    flapping: Call<Duration>,
    missed: Call<u64>,
    event: OnRef<Event>,
    capacity: usize,
    backlog_bytes: usize,
    overflow: Overflow,
    arbiter: Option<ArbiterHandle>,
}

impl EventHandler {
    /// How many events may wait for the closures unless [`capacity`](EventHandler::capacity) says otherwise.
    pub const DEFAULT_CAPACITY: usize = 1024;

    /// The largest capacity.
    pub const MAX_CAPACITY: usize = 1 << 20;

    /// Up to which capacity there is no backlog before the mailbox.
    const ALL_IN_MAILBOX: usize = 32;

    /// A handler without any closure.
    pub fn new() -> Self {
        EventHandler {
            connected: None,
            reconnecting: None,
            disconnected: None,
            token_will_expire: None,
            token_expired: None,
            message: None,
            receipt: None,
            recalled: None,
            edited: None,
            group: None,
            room: None,
            room_lost: None,
            thread: None,
            contact: None,
            presence: None,
            reaction: None,
            pinned: None,
            device: None,
            unknown: None,
            offline_sync_started: None,
            offline_sync_finished: None,
            flapping: None,
            missed: None,
            event: None,
            capacity: Self::DEFAULT_CAPACITY,
            backlog_bytes: Overflow::BACKLOG_BYTES,
            overflow: Overflow::default(),
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

    /// Called on [`EventKind::Receipt`].
    pub fn on_receipt(mut self, call: impl FnMut(&Receipt) + Send + 'static) -> Self {
        self.receipt = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Recalled`].
    pub fn on_recalled(mut self, call: impl FnMut(&Recall) + Send + 'static) -> Self {
        self.recalled = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Edited`].
    pub fn on_edited(mut self, call: impl FnMut(&Edit) + Send + 'static) -> Self {
        self.edited = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Group`].
    pub fn on_group(mut self, call: impl FnMut(&MucEvent) + Send + 'static) -> Self {
        self.group = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Room`].
    pub fn on_room(mut self, call: impl FnMut(&MucEvent) + Send + 'static) -> Self {
        self.room = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::RoomLost`] with the room's id, and what came of joining it again, if that was tried.
    pub fn on_room_lost(mut self, call: impl FnMut(&str, Option<&SendError>) + Send + 'static) -> Self {
        self.room_lost = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Thread`].
    pub fn on_thread(mut self, call: impl FnMut(&ThreadEvent) + Send + 'static) -> Self {
        self.thread = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Contact`].
    pub fn on_contact(mut self, call: impl FnMut(&ContactEvent) + Send + 'static) -> Self {
        self.contact = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Presence`].
    pub fn on_presence(mut self, call: impl FnMut(&PresenceEvent) + Send + 'static) -> Self {
        self.presence = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Reaction`].
    pub fn on_reaction(mut self, call: impl FnMut(&ReactionEvent) + Send + 'static) -> Self {
        self.reaction = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Pinned`].
    pub fn on_pinned(mut self, call: impl FnMut(&PinEvent) + Send + 'static) -> Self {
        self.pinned = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Device`].
    pub fn on_device(mut self, call: impl FnMut(&DeviceEvent) + Send + 'static) -> Self {
        self.device = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::Unknown`].
    pub fn on_unknown(mut self, call: impl FnMut(&UnknownNotice) + Send + 'static) -> Self {
        self.unknown = Some(Box::new(call));
        self
    }

    /// Called on [`EventKind::OfflineSyncStarted`] with how many queues hold how many messages.
    pub fn on_offline_sync_started(mut self, mut call: impl FnMut(usize, u64) + Send + 'static) -> Self {
        self.offline_sync_started = Some(Box::new(move |(queues, messages)| call(queues, messages)));
        self
    }

    /// Called on [`EventKind::OfflineSyncFinished`] with how many queues held how many messages, and whether all were
    /// fetched.
    pub fn on_offline_sync_finished(mut self, mut call: impl FnMut(usize, u64, bool) + Send + 'static) -> Self {
        self.offline_sync_finished = Some(Box::new(move |(queues, messages, all)| call(queues, messages, all)));
        self
    }

    /// Called on [`EventKind::Missed`] with how many events of one account these closures missed.
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
    ///
    /// With 32 or fewer all of them wait in the actor's mailbox, and it is not waited for however fast it is. With more,
    /// half of them wait in the backlog that [`Overflow`] is about.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.clamp(1, Self::MAX_CAPACITY);
        self
    }

    /// How many bytes of events may wait for the closures; see
    /// [`Subscription::backlog_bytes`](Subscription::backlog_bytes). Default: [`Overflow::BACKLOG_BYTES`].
    pub fn backlog_bytes(mut self, bytes: usize) -> Self {
        self.backlog_bytes = bytes.clamp(1, Overflow::MAX_BACKLOG_BYTES);
        self
    }

    /// What happens to an event past the capacity. Default: [`Overflow::DropNewest`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow.within_bounds();
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
            (self.receipt.is_some(), EventMask::RECEIPT),
            (self.recalled.is_some(), EventMask::RECALLED),
            (self.edited.is_some(), EventMask::EDITED),
            (self.group.is_some(), EventMask::GROUP),
            (self.room.is_some(), EventMask::ROOM),
            (self.room_lost.is_some(), EventMask::ROOM),
            (self.thread.is_some(), EventMask::THREAD),
            (self.contact.is_some(), EventMask::CONTACT),
            (self.presence.is_some(), EventMask::PRESENCE),
            (self.reaction.is_some(), EventMask::REACTION),
            (self.pinned.is_some(), EventMask::PINNED),
            (self.device.is_some(), EventMask::DEVICE),
            (self.unknown.is_some(), EventMask::UNKNOWN),
            (self.offline_sync_started.is_some(), EventMask::OFFLINE_SYNC),
            (self.offline_sync_finished.is_some(), EventMask::OFFLINE_SYNC),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(EventMask::NONE, |union, (_, mask)| union | mask)
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
        let recipient = spawn_bounded(&arbiter, mailbox, listener).recipient();
        let mut subscription =
            Subscription::new(id, recipient).events(mask).overflow(overflow).backlog(backlog).backlog_bytes(bytes);
        subscription.panics = Some(panics);
        subscription
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
            EventKind::Receipt(receipt) => call_ref(&mut self.receipt, receipt),
            EventKind::Recalled(recalled) => call_ref(&mut self.recalled, recalled),
            EventKind::Edited(edited) => call_ref(&mut self.edited, edited),
            EventKind::Group(group) => call_ref(&mut self.group, group),
            EventKind::Room(room) => call_ref(&mut self.room, room),
            EventKind::RoomLost { room, error } => {
                if let Some(on_room_lost) = &mut self.room_lost {
                    on_room_lost(room, error.as_ref());
                }
            }
            EventKind::Thread(thread) => call_ref(&mut self.thread, thread),
            EventKind::Contact(contact) => call_ref(&mut self.contact, contact),
            EventKind::Presence(presence) => call_ref(&mut self.presence, presence),
            EventKind::Reaction(reaction) => call_ref(&mut self.reaction, reaction),
            EventKind::Pinned(pinned) => call_ref(&mut self.pinned, pinned),
            EventKind::Device(device) => call_ref(&mut self.device, device),
            EventKind::Unknown(unknown) => call_ref(&mut self.unknown, unknown),
            EventKind::OfflineSyncStarted { queues, messages } => {
                call(&mut self.offline_sync_started, (*queues, *messages));
            }
            EventKind::OfflineSyncFinished { queues, messages, complete } => {
                call(&mut self.offline_sync_finished, (*queues, *messages, *complete));
            }
            EventKind::Missed { count } => call(&mut self.missed, *count),
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
    /// Taken by the destructor alone.
    handler: Option<EventHandler>,
    panics: Arc<AtomicU64>,
    log: Logger,
}

impl Listener {
    /// The closures' state after a panic is their own affair: they are called again with the next event.
    fn guarded(&mut self, event: &Event, call: impl FnOnce(&mut EventHandler)) {
        let Some(handler) = &mut self.handler else { return };
        if caught(|| call(handler)).is_none() {
            let panics = self.panics.fetch_add(1, Ordering::Relaxed) + 1;
            error!(self.log, "an event handler's closure panicked";
                "subscriber" => %self.id, "on" => ?event.kind().mask(), "panics" => panics);
        }
    }
}

impl Drop for Listener {
    /// What the closures hold may panic when it is dropped.
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
        self.guarded(&event, |handler| handler.call_for_kind(event.kind()));
        self.guarded(&event, |handler| call_ref(&mut handler.event, &event));
    }
}
