//! A token that was kept.

use crate::model::account::Token;

/// A token and its end in milliseconds since 1970, where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptToken {
    pub(crate) token: Token,
    pub(crate) expires_at: Option<u64>,
}
