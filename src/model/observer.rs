//! Notes of a connection, for the code of this crate above it.

use crate::model::{ConnectionState, EventKind, error::OpenError};

/// A change of a connection, in the order in which it came to it.
#[derive(Debug)]
pub(crate) enum Observed<'a> {
    /// The state has changed. It is told before the events of the same turn.
    State(ConnectionState),
    /// A control event, or [`EventKind::Reconnecting`].
    Event(&'a EventKind),
    /// `open` is answered, also with a rejection; the caller's future completes after this.
    Opened(&'a Result<(), OpenError>),
}

/// Observes one connection, without a task or a subscription of its own.
///
/// It is called on the connection's thread, within a turn of its actor, before anything goes to the registry. So it must
/// neither block nor call the connection. Also the end of the actor is told, by its last state and event.
pub(crate) trait Observer: Send + Sync + 'static {
    /// Notes a change.
    fn observe(&self, what: Observed<'_>);
}
