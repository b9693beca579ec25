//! Who hears what happens: subscribers by id, delivery that never waits, and counts of what was missed.
//!
//! [`HandlerRegistry`] is the actor; [`Handlers`] is the handle to it. A subscriber is any actor that handles
//! [`Event`](crate::Event), or a set of closures in an [`EventHandler`]. Nothing here knows about connections:
//! several may share one registry, since each event says which account it happened on.
//!
//! - Every subscriber gets every event it wants, in the order they were published; subscribers are served in the
//!   order they were registered.
//! - Nobody is waited for. A subscriber whose mailbox is full misses the event, alone; what it missed is counted
//!   and told by one [`EventKind::Missed`](crate::EventKind::Missed) per episode. A [`Subscription`] may ask to keep the
//!   newest events instead, or to be disconnected: see [`Overflow`].
//! - A subscriber that stopped or panicked is forgotten at the next delivery, and the log says so.
//!
//! ```
//! use agora_chat::{Event, EventHandler, EventKind, EventMask, HandlerRegistry};
//!
//! # actix::System::new().block_on(async {
//! let log = slog::Logger::root(slog::Discard, slog::o!());
//! let handlers = HandlerRegistry::start_here(&log)?;
//! let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
//! handlers.add_event_handler("demo", EventHandler::new().on_token_expired(move || told.send("expired").unwrap()))?;
//! assert!(handlers.wanted().contains(EventMask::TOKEN_EXPIRED));
//! handlers.publish(Event::new("alice".parse().unwrap(), EventKind::TokenExpired));
//! assert_eq!(hears.recv().await, Some("expired"));
//! # Ok::<(), agora_chat::ConnectionError>(())
//! # }).unwrap();
//! ```

mod actor;
mod backlog;
mod event_handler;
mod handle;
mod id;
mod overflow;
#[cfg(test)]
mod probe;
mod registry;
mod room;
mod subscriber;
mod subscription;
mod wanted;

pub use actor::{HandlerRegistry, Publish, PublishAll, Shutdown, Subscribe, Subscribers, Unsubscribe};
pub use event_handler::EventHandler;
pub use handle::Handlers;
pub use id::SubscriberId;
pub use overflow::Overflow;
pub use registry::{Registry, SubscriberInfo};
pub use subscription::Subscription;
