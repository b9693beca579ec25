use crate::model::error::CredentialError;
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// A password: not empty. Prints as `<redacted>`; clones share it, and the last wipes it from memory.
///
/// The bodies of requests it is sent in are wiped as well; what the HTTP client and TLS have copied into their own
/// buffers, and what the application keeps of it, is not.
#[derive(Clone)]
pub struct Password(Arc<SecretString>);

impl Password {
    /// Takes a password.
    ///
    /// # Errors
    /// [`CredentialError::EmptyPassword`] for an empty text (the service wants one, connection spec §3.1).
    pub fn new(password: impl Into<String>) -> Result<Self, CredentialError> {
        // What is given may be moved to another place to be kept; then this one is wiped.
        let password = Zeroizing::new(password.into());
        if password.is_empty() {
            return Err(CredentialError::EmptyPassword);
        }
        Ok(Password(Arc::new(SecretString::from(password.as_str()))))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A user or app token, in any of the vendor's forms (`YWMt…`, `007…`, `dt-…`). Prints as `<redacted>`.
#[derive(Clone)]
pub struct Token(Arc<SecretString>);

impl Token {
    /// Takes a token.
    ///
    /// # Errors
    /// [`CredentialError::EmptyToken`] for an empty text, [`CredentialError::TokenCharacter`] for one that
    /// holds anything but printable ASCII without spaces.
    pub fn new(token: impl Into<String>) -> Result<Self, CredentialError> {
        let token = token.into();
        if token.is_empty() {
            Err(CredentialError::EmptyToken)
        } else if !token.bytes().all(|b| b.is_ascii_graphic()) {
            Err(CredentialError::TokenCharacter)
        } else {
            Ok(Token(Arc::new(token.into())))
        }
    }

    /// Makes a token of base64 and digits, as built here.
    pub(crate) fn of_own_make(token: String) -> Self {
        Token(Arc::new(token.into()))
    }

    /// Returns the token itself, to hand to whoever is to log in with it; keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Token {}

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}

redacted!(Password, Token);
