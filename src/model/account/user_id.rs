use crate::{
    model::{account::app_key::is_step, error::CredentialError},
    util::impls::{impl_debug, impl_display},
};
use std::{str::FromStr, sync::Arc};

/// A user id: 1 to 64 bytes of `a-z A-Z 0-9 _ - .`, and not `.` or `..` (connection spec §1).
///
/// Letter case does not distinguish users and the service stores lower case, so the id is lowered here.
///
/// ```
/// use agora_chat::UserId;
/// assert_eq!("Alice".parse::<UserId>()?.as_str(), "alice");
/// assert!("no spaces".parse::<UserId>().is_err());
/// # Ok::<(), agora_chat::errors::CredentialError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The longest user id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Returns the id in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id as shared text.
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

impl_display!(|this: UserId| "{}", this.0);

impl_debug!(|this: UserId| "UserId({})", this.0);
