//! The target of a send and its answer.

use crate::wire::Meta;

/// The receiver of a message; names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    User(String),
    /// A group or a thread.
    Group(String),
    Room(String),
}

/// The answer to a send that was accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct SendAccepted {
    /// The server's id; statistics have none.
    pub(crate) id: Option<u64>,
    pub(crate) at_ms: u64,
    pub(crate) metas: Vec<Meta>,
}
