use crate::model::error::{Code, ConnectionError, CredentialError, RestError};

/// Reasons that a REST call made through a connection failed; [`RequestError::code`] gives the vendor's number.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// 39: nobody is logged in on this connection.
    #[error("nobody is logged in on this connection; call open() first")]
    NotLoggedIn,
    /// A value that the service would refuse; nothing was sent.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The call failed.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The connection itself cannot take calls.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl RequestError {
    /// Returns the vendor's number (connection spec §3.5).
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            RequestError::Rest(error) => error.code(),
            RequestError::Credentials(_) => Code::REQUEST_PARAMETER_ERROR,
            RequestError::NotLoggedIn | RequestError::Connection(_) => Code::CONNECTION_CLOSED,
        }
    }
}
