//! The state of a connection.

use std::fmt;

use crate::model::error::ConnectStep;

/// The state of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionState {
    /// Logged out, nothing under way.
    #[default]
    LoggedOut,
    /// A login is under way.
    LoggingIn {
        /// Current step.
        step: ConnectStep,
    },
    /// Logged in, the link is up.
    Online,
    /// Logged in, the link is lost and being regained.
    Reconnecting {
        /// Attempt that is under way or comes next, from 1.
        attempt: u32,
    },
    /// Waiting for the answer to LOGOUT.
    LoggingOut,
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionState::LoggedOut => f.write_str("logged out"),
            ConnectionState::LoggingIn { step } => write!(f, "logging in ({step})"),
            ConnectionState::Online => f.write_str("online"),
            ConnectionState::Reconnecting { attempt } => write!(f, "reconnecting (attempt {attempt})"),
            ConnectionState::LoggingOut => f.write_str("logging out"),
        }
    }
}
