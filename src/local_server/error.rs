//! Errors of the local server.

use std::{sync::Arc, time::Duration};

use crate::model::{
    account::AppKeyError,
    error::{ConfigError, CredentialError},
};
use crate::util::Escaped;

/// Error of a call on the local server.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalServerError {
    /// The port could not be bound, or the server's thread not started.
    #[error("the local server could not {what}: {error}")]
    Io {
        /// The step that failed.
        what: &'static str,
        /// The system's error.
        error: Arc<std::io::Error>,
    },
    /// The app key is malformed.
    #[error(transparent)]
    AppKey(#[from] AppKeyError),
    /// The configuration for clients could not be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The user id or the password is malformed.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The user exists already.
    #[error("user {} exists already", Escaped(.0))]
    UserExists(String),
    /// The user does not exist.
    #[error("there is no user {}", Escaped(.0))]
    NoSuchUser(String),
    /// The group, thread or chat room does not exist.
    #[error("there is no {what} {}", Escaped(.id))]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A bound of the server is reached.
    #[error("the local server holds as many {what} as it may: {limit}")]
    Full {
        /// The kind of thing.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// This is no HTTP header or status.
    #[error("`{}` cannot be sent in an HTTP head", Escaped(.0))]
    Header(String),
    /// This is neither an address nor a URL.
    #[error("`{}` is neither `host:port` nor a URL", Escaped(.0))]
    Upstream(String),
    /// The condition waited for was not met in time.
    #[error("what was waited for did not happen within {0:?}")]
    TimedOut(Duration),
    /// The server has stopped.
    #[error("the local server has stopped")]
    Stopped,
}
