use std::fmt;

use crate::{
    model::error::{CredentialError, RestError},
    util::{Escaped, weight::weigh},
};

/// Error of a [`TokenProvider`](crate::TokenProvider). Its text goes to the log, so it must not hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Escaped(.text))]
pub struct ProviderError {
    text: String,
    is_final: bool,
}

impl ProviderError {
    /// The longest text shown in a log or in the error of `open`, in characters; the rest is cut.
    pub const MAX_CHARS: usize = 512;

    /// Makes an error of this text that may pass: the provider is asked again.
    pub fn new(text: impl fmt::Display) -> Self {
        ProviderError { text: text.to_string(), is_final: false }
    }

    /// Makes an error of this text that is final, such as that the user is gone: the session ends with its token.
    pub fn permanent(text: impl fmt::Display) -> Self {
        ProviderError { text: text.to_string(), is_final: true }
    }

    /// Returns whether it is the provider's last word.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// Cut only after `show` has taken the secrets out, or half of one could be left.
    pub(crate) fn shown_by(self, show: impl Fn(String) -> String) -> Self {
        ProviderError { text: show(self.text).chars().take(Self::MAX_CHARS).collect(), ..self }
    }
}

impl From<CredentialError> for ProviderError {
    fn from(error: CredentialError) -> Self {
        ProviderError::new(error)
    }
}

/// Reasons that a session did not get a new token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The provider says so.
    #[error("the token provider failed: {0}")]
    Provider(#[from] ProviderError),
    /// The provider panicked.
    #[error("the token provider panicked")]
    Panicked,
    /// No answer came within `ConfigBuilder::token_timeout`.
    #[error("no new token came within the time limit")]
    Timeout,
    /// The token is the one that is to be replaced, or has ended already.
    #[error("the new token has ended already, or is the one it was to replace")]
    Stale,
    /// The token request, or the check of a provided token, failed.
    #[error(transparent)]
    Rest(#[from] RestError),
}

impl TokenError {
    /// Returns whether the same ask can never succeed by itself, however long one waits.
    ///
    /// A provider that fails, panics or is too slow, and an answer of REST that passes, are not final.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            TokenError::Provider(error) => error.is_final(),
            TokenError::Rest(error) => error.is_final(),
            TokenError::Panicked | TokenError::Timeout | TokenError::Stale => false,
        }
    }
}

weigh! { ProviderError { text, is_final } }
