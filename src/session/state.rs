//! Where a connection stands.

use std::fmt;

use crate::model::error::ConnectStep;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionState {
    /// Nobody is logged in and nothing is under way.
    #[default]
    LoggedOut,
    /// A login is under way.
    LoggingIn {
        /// The step it is at.
        step: ConnectStep,
    },
    /// Logged in, the link is up.
    Online,
    /// Logged in, the link is lost, and the client is on its way back.
    Reconnecting {
        /// Which attempt is under way or comes next, from 1.
        attempt: u32,
    },
    /// Saying goodbye.
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
