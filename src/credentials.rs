//! Who logs in and with what. Secrets print as `<redacted>`.

use std::{fmt, str::FromStr, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{TokenProvider, app_key::is_step, logger::Escaped, token_provider::Provider};

/// A credential or profile value that would be refused by the service; nothing was sent.
///
/// The value itself is named only where it is not a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// No user id was given.
    #[error("the user id is empty")]
    EmptyUserId,
    /// The user id is longer than 64 bytes.
    #[error("the user id has {0} bytes; at most {max} are allowed", max = UserId::MAX_BYTES)]
    UserIdTooLong(usize),
    /// A character outside `a-z A-Z 0-9 _ - .` in a user id.
    #[error("user id `{}`: the character {found:?} is not one of a-z A-Z 0-9 _ - .", Escaped(.user))]
    UserIdCharacter {
        /// The refused user id.
        user: String,
        /// The first character that may not stand in one.
        found: char,
    },
    /// The user id is `.` or `..`, which in the path of a REST call is a step and no name.
    #[error("the user id must not be `.` or `..`")]
    UserIdStep,
    /// No password was given.
    #[error("the password is empty")]
    EmptyPassword,
    /// The nickname is longer than 100 characters.
    #[error("the nickname has {0} characters; at most {max} are allowed", max = Nickname::MAX_CHARS)]
    NicknameTooLong(usize),
    /// No token was given.
    #[error("the token is empty")]
    EmptyToken,
    /// A token that cannot be put into an HTTP header.
    #[error("the token holds white space or a control or non-ASCII character")]
    TokenCharacter,
}

/// A user id: 1 to 64 bytes of `a-z A-Z 0-9 _ - .`, and not `.` or `..` (connection spec §1).
///
/// Letter case does not distinguish users and the service stores lower case, so the id is lowered here.
///
/// ```
/// use agora_chat::UserId;
/// assert_eq!("Alice".parse::<UserId>()?.as_str(), "alice");
/// assert!("no spaces".parse::<UserId>().is_err());
/// # Ok::<(), agora_chat::CredentialError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The longest user id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The id in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as shared text.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl FromStr for UserId {
    type Err = CredentialError;

    fn from_str(user: &str) -> Result<Self, Self::Err> {
        if user.is_empty() {
            return Err(CredentialError::EmptyUserId);
        }
        if user.len() > Self::MAX_BYTES {
            return Err(CredentialError::UserIdTooLong(user.len()));
        }
        if is_step(user) {
            return Err(CredentialError::UserIdStep);
        }
        match user.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
            Some(found) => Err(CredentialError::UserIdCharacter { user: user.to_owned(), found }),
            None => Ok(UserId(user.to_ascii_lowercase().into())),
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({})", self.0)
    }
}

/// A password: not empty. Prints as `<redacted>`; clones share it, and it is wiped from memory when the last is dropped.
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

/// A nickname: at most 100 characters, may be empty (connection spec §3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nickname(String);

impl Nickname {
    /// The longest nickname, in characters.
    pub const MAX_CHARS: usize = 100;

    /// Takes a nickname.
    ///
    /// # Errors
    /// [`CredentialError::NicknameTooLong`] over 100 characters.
    pub fn new(nickname: impl Into<String>) -> Result<Self, CredentialError> {
        let nickname = nickname.into();
        match nickname.chars().count() {
            n if n > Self::MAX_CHARS => Err(CredentialError::NicknameTooLong(n)),
            _ => Ok(Nickname(nickname)),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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

    /// A token made here, of base64 and digits.
    pub(crate) fn of_own_make(token: String) -> Self {
        Token(Arc::new(token.into()))
    }

    /// The token itself, to hand to whoever is to log in with it; keep it out of logs.
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

/// User id with a password, a token, or somebody who gives tokens.
///
/// A session that began with a password fetches a new token by itself before the old one ends, and one with a
/// [`TokenProvider`] asks that; both go on without losing the link. A session with a token alone ends with it, unless
/// [`renew_token`](crate::Connection::renew_token) gives it another.
///
/// ```
/// use agora_chat::Credentials;
/// let credentials = Credentials::password("alice", "s3cret")?;
/// assert!(!format!("{credentials:?}").contains("s3cret"));
/// # Ok::<(), agora_chat::CredentialError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Credentials {
    user: UserId,
    pub(crate) secret: Secret,
    pub(crate) provider: Option<Provider>,
}

/// The secret half of [`Credentials`].
#[derive(Clone, Debug)]
pub(crate) enum Secret {
    Password(Password),
    Token(Token),
    /// The provider has it.
    Provider,
}

impl Credentials {
    /// Logs in by password: one REST call fetches a token first (connection spec §3.2), unless one is kept
    /// ([`Config::state_dir`](crate::Config::state_dir)).
    ///
    /// # Errors
    /// A user id or password that the service would refuse.
    pub fn password(user: &str, password: impl Into<String>) -> Result<Self, CredentialError> {
        Ok(Credentials { user: user.parse()?, secret: Secret::Password(Password::new(password)?), provider: None })
    }

    /// Logs in by a token that the application obtained; no REST call is made (connection spec §3.3).
    ///
    /// # Errors
    /// A user id or token that the service would refuse.
    pub fn token(user: &str, token: impl Into<String>) -> Result<Self, CredentialError> {
        Ok(Credentials { user: user.parse()?, secret: Secret::Token(Token::new(token)?), provider: None })
    }

    /// Logs in by the tokens of a provider, the first one included.
    ///
    /// # Errors
    /// A user id that the service would refuse.
    pub fn provider(user: &str, provider: impl TokenProvider) -> Result<Self, CredentialError> {
        Ok(Credentials { user: user.parse()?, secret: Secret::Provider, provider: Some(Provider::new(provider)) })
    }

    /// Has a provider give every token after the first, which these credentials hold or fetch.
    #[must_use]
    pub fn with_provider(mut self, provider: impl TokenProvider) -> Self {
        self.provider = Some(Provider::new(provider));
        self
    }

    /// The user who logs in.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

#[cfg(test)]
mod tests {
    use super::{CredentialError, Credentials, Nickname, Password, Token, UserId};

    #[test]
    fn a_user_id_is_1_to_64_bytes_of_the_allowed_characters_and_is_lowered() {
        assert_eq!("A.b_C-9".parse::<UserId>().unwrap().as_str(), "a.b_c-9");
        assert!("x".repeat(64).parse::<UserId>().is_ok());
        assert_eq!("x".repeat(65).parse::<UserId>(), Err(CredentialError::UserIdTooLong(65)));
        assert_eq!("".parse::<UserId>(), Err(CredentialError::EmptyUserId));
        for (bad, found) in [("a b", ' '), ("a@b", '@'), ("a/b", '/'), ("ä", 'ä'), ("a\u{0}", '\u{0}')] {
            assert_eq!(bad.parse::<UserId>(), Err(CredentialError::UserIdCharacter { user: bad.to_owned(), found }));
        }
    }

    #[test]
    fn a_nickname_is_counted_in_characters() {
        assert!(Nickname::new("ä".repeat(100)).is_ok());
        assert_eq!(Nickname::new("ä".repeat(101)), Err(CredentialError::NicknameTooLong(101)));
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        let shown = format!(
            "{:?} {:?} {:?} {:?}",
            Password::new("CANARY").unwrap(),
            Token::new("CANARY").unwrap(),
            Credentials::password("u", "CANARY").unwrap(),
            Credentials::token("u", "CANARY").unwrap()
        );
        assert!(!shown.contains("CANARY"), "{shown}");
        assert!(shown.contains("<redacted>"));
    }

    #[test]
    fn empty_secrets_and_tokens_with_odd_bytes_are_refused() {
        assert_eq!(Password::new("").unwrap_err(), CredentialError::EmptyPassword);
        assert_eq!(Token::new("").unwrap_err(), CredentialError::EmptyToken);
        for bad in ["a b", "a\r\nX: y", "ü"] {
            assert_eq!(Token::new(bad).unwrap_err(), CredentialError::TokenCharacter);
        }
    }
}
