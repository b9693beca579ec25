use crate::model::{
    account::UserId,
    error::{
        Code, ConfigError, ConnectStep, ConnectionError, CredentialError, DisconnectReason, LossCause, Refusal,
        RestError, TokenError,
    },
};

/// Error of `open`; [`OpenError::code`] gives the vendor's number.
///
/// After [`AlreadyOpen`](OpenError::AlreadyOpen) and [`InProgress`](OpenError::InProgress) the session is as it was;
/// after any other nobody is logged in and `open` may be called again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// 208: the connection is logged in already, or on its way back after a lost link.
    #[error("user {user} is logged in already; call close() first to log in anew")]
    AlreadyOpen {
        /// The user who is logged in.
        user: UserId,
    },
    /// 1: a login is under way.
    #[error("user {user} is being logged in; wait for that login or call close()")]
    InProgress {
        /// The user being logged in.
        user: UserId,
    },
    /// The credentials cannot be right; nothing was sent.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// 1: the device or the login text is malformed; nothing was sent.
    #[error(transparent)]
    Account(#[from] ConfigError),
    /// 1: the token request failed; the inner error's number is its own.
    #[error("login of user {user}: {error}")]
    Token {
        /// The user to be logged in.
        user: UserId,
        /// The REST error.
        error: RestError,
    },
    /// 1: the token provider gave no token.
    #[error("login of user {user}: {error}")]
    Provider {
        /// The user to be logged in.
        user: UserId,
        /// The reason.
        error: TokenError,
    },
    /// 304: no address of the service could be found.
    #[error("login of user {user}: {error}")]
    Discovery {
        /// The user to be logged in.
        user: UserId,
        /// The last host's error.
        error: RestError,
    },
    /// The server refused PROVISION; the number is the refusal's. No further attempt is made.
    #[error("login of user {user}: {refusal}")]
    Refused {
        /// The user to be logged in.
        user: UserId,
        /// The refusal.
        refusal: Refusal,
    },
    /// 16 or -1: every attempt to reach the service failed.
    #[error("login of user {user}: gave up at attempt {attempts}: {cause}")]
    Unreachable {
        /// The user to be logged in.
        user: UserId,
        /// Connections tried.
        attempts: u32,
        /// The last failure.
        cause: LossCause,
    },
    /// -1: the login as a whole took longer than its deadline.
    #[error("login of user {user}: not done within the login deadline; {step} was under way: {}", step.advice())]
    Deadline {
        /// The user to be logged in.
        user: UserId,
        /// The step that was under way.
        step: ConnectStep,
    },
    /// `close` was called, or the server ended the session, before the login was done.
    #[error("login of user {user} ended: {reason}")]
    Ended {
        /// The user to be logged in.
        user: UserId,
        /// The reason.
        reason: DisconnectReason,
    },
    /// The connection itself cannot take calls.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl OpenError {
    /// Returns the vendor's number (connection spec §3.5, §4, §6.3, §13).
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            OpenError::AlreadyOpen { .. } => Code::USER_ALREADY_LOGIN,
            OpenError::InProgress { .. } | OpenError::Token { .. } | OpenError::Provider { .. } => Code::OPEN_ERROR,
            OpenError::Credentials(CredentialError::EmptyUserId) => Code::USER_NOT_ASSIGNED,
            OpenError::Credentials(_) | OpenError::Account(_) => Code::OPEN_ERROR,
            OpenError::Discovery { .. } => Code::DISCOVERY_FAILED,
            OpenError::Refused { refusal, .. } => refusal.code(),
            OpenError::Unreachable { cause, .. } => cause.code(),
            OpenError::Deadline { .. } => Code::REQUEST_TIMEOUT,
            OpenError::Ended { reason, .. } => reason.code().unwrap_or(Code::REQUEST_ABORT),
            OpenError::Connection(_) => Code::CONNECTION_CLOSED,
        }
    }

    /// Returns whether the same `open` can only fail again until somebody does something: gives other credentials,
    /// registers the user, changes a setting, calls `close`.
    ///
    /// What is not final may succeed later by itself: the service was not reachable, too slow, busy or at a limit. A
    /// program that wants to be online then tries again, or has the client do so by
    /// [`ConfigBuilder::keep_trying_first_login`](crate::ConfigBuilder::keep_trying_first_login).
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            OpenError::AlreadyOpen { .. } | OpenError::Credentials(_) | OpenError::Account(_) => true,
            OpenError::InProgress { .. } | OpenError::Unreachable { .. } | OpenError::Deadline { .. } => false,
            OpenError::Token { error, .. } | OpenError::Discovery { error, .. } => error.is_final(),
            OpenError::Provider { error, .. } => error.is_final(),
            OpenError::Refused { refusal, .. } => refusal.is_final(),
            OpenError::Ended { reason, .. } => reason.is_final(),
            OpenError::Connection(error) => !matches!(error, ConnectionError::Busy),
        }
    }
}
