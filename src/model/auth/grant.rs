use std::time::Duration;

use crate::model::{account::Token, error::CredentialError};

/// A token and when it ends, as whoever gave it says: REST, a [`TokenProvider`](crate::TokenProvider), or the state
/// folder.
///
/// ```
/// use std::time::Duration;
/// use agora_chat::account::TokenGrant;
///
/// let grant = TokenGrant::new("007eJx")?.expires_in(Duration::from_secs(3600));
/// assert!(grant.expires_at.is_some());
/// # Ok::<(), agora_chat::errors::CredentialError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenGrant {
    /// The token.
    pub token: Token,
    /// Its end; `None` where it is not known, or there is none. Where a provider leaves it out, the service is asked
    /// for it (connection spec §3.4); should that fail, the next login tells.
    pub expires_at: Option<Expiry>,
    /// The user it was granted to, where REST says so; not for an app token.
    pub user: Option<String>,
}

impl TokenGrant {
    /// Makes a token whose end is not known.
    ///
    /// # Errors
    /// As [`Token::new`].
    pub fn new(token: impl Into<String>) -> Result<Self, CredentialError> {
        Ok(TokenGrant::of(Token::new(token)?, None))
    }

    /// Makes a token with an end, if that is known.
    #[must_use]
    pub fn of(token: Token, expires_at: Option<Expiry>) -> Self {
        TokenGrant { token, expires_at, user: None }
    }

    /// Sets when the token ends, in milliseconds since 1970.
    #[must_use]
    pub fn expires_at(self, at: u64) -> Self {
        TokenGrant { expires_at: Some(Expiry::At(at)), ..self }
    }

    /// Sets how long the token lives from now.
    #[must_use]
    pub fn expires_in(self, life: Duration) -> Self {
        TokenGrant { expires_at: Some(Expiry::In(life)), ..self }
    }

    /// Returns the end by the server's clock, where it is known by that.
    pub(crate) fn ends_at(&self) -> Option<u64> {
        match self.expires_at {
            Some(Expiry::At(at)) => Some(at),
            Some(Expiry::In(_)) | None => None,
        }
    }
}

/// When a token ends, as whoever gave it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this moment of the server's clock, in milliseconds since 1970.
    At(u64),
    /// So long after it was given. It is counted on the monotonic clock, so no wall clock can be wrong about it.
    In(Duration),
}
