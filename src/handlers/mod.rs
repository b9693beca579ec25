//! Event subscribers, by id: delivery that never waits, and counts of missed events.
//!
//! [`HandlerRegistry`] is the actor; [`Handlers`] is the handle to it. A subscriber is any actor that handles
//! [`Event`](crate::Event), or a set of closures in an [`EventHandler`]. Nothing here knows about connections:
//! several may share one registry, since each event says which account it happened on. They share neither a device nor a
//! session by that: devices belong to accounts ([`Account::device`](crate::Account::device)).
//!
//! - Every subscriber gets every event it wants, in the order they were published; subscribers are served in the
//!   order they were registered.
//! - A burst costs nobody an event that it has the speed to take. What does not fit into a mailbox waits in a backlog before
//!   it ([`Overflow::BACKLOG`] events by default, of [`Overflow::BACKLOG_BYTES`] together). Where that is full, one that takes
//!   a thousand events a second or more, or 20 MiB, is waited for, and connections read no faster than it takes; whether it
//!   does is found out within 50 ms. These 50 ms are all that one that stands still costs the others, once until it has
//!   caught up.
//! - A subscriber that is slower misses events, alone; what it missed is counted and told by one
//!   [`EventKind::Missed`](crate::EventKind::Missed) per episode and account. A [`Subscription`] may ask to keep the
//!   newest events instead, or to be disconnected: see [`Overflow`].
//! - A subscriber that stopped or panicked is forgotten at the next delivery, and the log says so.
//! - When the registry ends, what subscribers are owed is put into their mailboxes, past the capacity. When it dies, with its
//!   arbiter or by a panic, connections tell its subscribers by themselves from then on ([`Handlers::is_dead`]).
//!
//! # Control events
//! `Connected`, `Disconnected`, `TokenWillExpire`, `TokenExpired`, `Flapping`, `RoomLost`, `OfflineSyncStarted` and
//! `OfflineSyncFinished` ([`EventKind::is_control`](crate::EventKind::is_control)) are never missed, whatever the policy. For
//! each subscriber that is behind they have a place of their own, which takes no room from the others. 64 wait as they came.
//! Past that a newer one takes the place of the one before it of the same kind and account (of `RoomLost`, also of the same
//! room), so that what waits is bounded by the number of accounts; [`SubscriberInfo::coalesced`] counts those that went.
//!
//! A control event keeps its place: events published before it that are heard at all are heard before it, and those
//! published after it are heard after it.
//!
//! ```
//! use agora_chat::{Event, EventHandler, EventKind, EventMask, HandlerRegistry};
//!
//! # actix::System::new().block_on(async {
//! let log = slog::Logger::root(slog::Discard, slog::o!());
//! let handlers = HandlerRegistry::start_here(&log)?;
//! let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
//! handlers.add_event_handler("demo", EventHandler::new().on_token_expired(move |_| told.send("expired").unwrap()))?;
//! assert!(handlers.wanted().contains(EventMask::TOKEN_EXPIRED));
//! handlers.publish(Event::new("alice".parse().unwrap(), EventKind::TokenExpired));
//! assert_eq!(hears.recv().await, Some("expired"));
//! # Ok::<(), agora_chat::ConnectionError>(())
//! # }).unwrap();
//! ```

mod actor;
mod backlog;
mod capacity;
mod event_handler;
mod handle;
mod id;
mod in_mailbox;
mod interest;
mod overflow;
#[cfg(test)]
mod probe;
mod read_gate;
mod registry;
mod subscriber;
mod subscription;
#[cfg(test)]
mod tests;

pub use actor::{HandlerRegistry, Publish, Shutdown, Subscribe, Subscribers, Unsubscribe};
pub use event_handler::EventHandler;
pub use handle::Handlers;
pub use id::SubscriberId;
pub use overflow::Overflow;
pub use registry::{Registry, SubscriberInfo};
pub use subscription::Subscription;
