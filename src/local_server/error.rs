//! Why a call on the local server failed.

use std::{sync::Arc, time::Duration};

use crate::model::{
    account::AppKeyError,
    error::{ConfigError, CredentialError},
};
use crate::util::Escaped;

/// Why a call on the local server failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalServerError {
    /// The port could not be taken, or the server's thread not started.
    #[error("the local server could not {what}: {error}")]
    Io {
        /// What it was about to do.
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
    /// There is such a user already.
    #[error("user {} exists already", Escaped(.0))]
    UserExists(String),
    /// There is no such user.
    #[error("there is no user {}", Escaped(.0))]
    NoSuchUser(String),
    /// There is no such group, thread or chat room.
    #[error("there is no {what} {}", Escaped(.id))]
    NotFound {
        /// What there is none of.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A bound of the server is reached.
    #[error("the local server holds as many {what} as it may: {limit}")]
    Full {
        /// What there would be too many of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// This cannot be sent as an HTTP header or status.
    #[error("`{}` cannot be sent in an HTTP head", Escaped(.0))]
    Header(String),
    /// This is no address a proxy can stand in front of, or no URL.
    #[error("`{}` is neither `host:port` nor a URL", Escaped(.0))]
    Upstream(String),
    /// What was waited for did not happen.
    #[error("what was waited for did not happen within {0:?}")]
    TimedOut(Duration),
    /// The server has stopped.
    #[error("the local server has stopped")]
    Stopped,
}
