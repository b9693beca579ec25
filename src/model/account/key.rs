//! What tells an account from all others.

use crate::model::account::{AppKey, UserId};

/// Whose keys they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AccountKey {
    /// The application.
    pub app_key: AppKey,
    /// The user.
    pub user: UserId,
}

impl AccountKey {
    /// A user of an application.
    #[must_use]
    pub fn new(app_key: AppKey, user: UserId) -> Self {
        AccountKey { app_key, user }
    }
}
