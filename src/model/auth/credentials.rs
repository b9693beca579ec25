use crate::model::{
    account::{Password, Token, UserId},
    auth::{Provider, TokenProvider},
    error::CredentialError,
};

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
/// # Ok::<(), agora_chat::errors::CredentialError>(())
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
    Provider,
}

impl Credentials {
    /// Logs in by password: one REST call fetches a token first (connection spec §3.2), unless one is kept
    /// ([`ConfigBuilder::state_dir`](crate::ConfigBuilder::state_dir)).
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

    /// Returns the token of credentials that are nothing else.
    pub(crate) fn token_alone(&self) -> Option<&Token> {
        match &self.secret {
            Secret::Token(token) if self.provider.is_none() => Some(token),
            _ => None,
        }
    }

    /// Returns whether both are of the same user, secret and provider.
    pub(crate) fn same_as(&self, other: &Credentials) -> bool {
        let secret = match (&self.secret, &other.secret) {
            (Secret::Password(ours), Secret::Password(theirs)) => ours.expose() == theirs.expose(),
            (Secret::Token(ours), Secret::Token(theirs)) => ours.expose() == theirs.expose(),
            (Secret::Provider, Secret::Provider) => true,
            _ => false,
        };
        let provider = match (&self.provider, &other.provider) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => ours.is(theirs),
            _ => false,
        };
        self.user == other.user && secret && provider
    }

    /// Returns the user who logs in.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;
    use crate::model::{
        account::{Nickname, Password, Token, UserId},
        error::CredentialError,
    };

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
