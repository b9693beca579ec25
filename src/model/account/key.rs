use crate::model::account::{AppKey, UserId};

/// Key of an account: application and user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AccountKey {
    /// The application.
    pub app_key: AppKey,
    /// The user.
    pub user: UserId,
}

impl AccountKey {
    /// Makes a user of an application.
    #[must_use]
    pub fn new(app_key: AppKey, user: UserId) -> Self {
        AccountKey { app_key, user }
    }
}
