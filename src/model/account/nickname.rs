use crate::model::error::CredentialError;

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

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
