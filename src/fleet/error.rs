//! Errors of a fleet.

use crate::{
    fleet::state::StateKind,
    model::{
        account::UserId,
        error::{ConfigError, ConnectionError, CredentialError, SendError},
    },
};

/// Error of a call of a [`Fleet`](super::Fleet) or of one of its accounts.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The fleet has ended: it was drained, or its actix system was stopped.
    #[error("the fleet has ended; start another")]
    Stopped,
    /// The fleet was started outside an actix system.
    #[error("a fleet is started outside an actix system; start it inside one (`#[actix::main]`)")]
    NoSystem,
    /// The fleet is being drained and takes no account.
    #[error("the fleet is being drained; add accounts to the next one")]
    Draining,
    /// The fleet knows no such account.
    #[error("the fleet does not know account {user}; add it first")]
    Unknown {
        /// The account.
        user: UserId,
    },
    /// The credentials are those of another user.
    #[error("account {user} is given credentials of user {other}; give its own")]
    OtherUser {
        /// The account.
        user: UserId,
        /// The user of the credentials.
        other: UserId,
    },
    /// The account is not online, so that nothing was sent.
    #[error("account {user} is {state}; nothing was sent")]
    NotOnline {
        /// The account.
        user: UserId,
        /// Its state.
        state: StateKind,
    },
    /// The fleet has as many accounts as it may.
    #[error("the fleet has {limit} accounts, as many as it may; remove some or raise `FleetConfig::max_accounts`")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The user id or a secret is malformed; nothing was done.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// A setting is out of range; nothing was done.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Sending failed.
    #[error("account {user}: {error}")]
    Send {
        /// The account.
        user: UserId,
        /// The reason.
        error: SendError,
    },
    /// The connection or registry takes no calls.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl FleetError {
    /// Returns the stable name of the kind of error, as the admin interface has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            FleetError::Stopped => "stopped",
            FleetError::NoSystem => "no_system",
            FleetError::Draining => "draining",
            FleetError::Unknown { .. } => "unknown_account",
            FleetError::OtherUser { .. } => "other_user",
            FleetError::NotOnline { .. } => "not_online",
            FleetError::Full { .. } => "full",
            FleetError::Credentials(_) => "bad_credentials",
            FleetError::Config(_) => "bad_setting",
            FleetError::Send { .. } => "send_failed",
            FleetError::Connection(_) => "connection",
        }
    }
}
