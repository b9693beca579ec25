use crate::model::error::ConfigError;

/// Reasons that a call on a connection could not be carried out at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The connection's actor has ended, usually because its actix system did.
    #[error("the connection's actor is gone; start a new connection inside a running actix system")]
    Stopped,
    /// There is no actix system on this thread to start the actors in.
    #[error("no actix system runs on this thread; call this from inside one, or give an arbiter")]
    NoSystem,
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The queue of subscriptions is full ([`HandlerRegistry::MAILBOX`](crate::HandlerRegistry::MAILBOX)).
    #[error("too many subscriptions are being added or removed at once; try again")]
    Busy,
}
