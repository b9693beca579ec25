//! What tells an account from all others.

use crate::model::account::{AppKey, UserId};

/// Whose keys they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Account {
    /// The application.
    pub app_key: AppKey,
    /// The user.
    pub user: UserId,
}

impl Account {
    /// A user of an application.
    #[must_use]
    pub fn new(app_key: AppKey, user: UserId) -> Self {
        Account { app_key, user }
    }
}
