//! The report of a drain.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{fleet::state::as_text, model::account::UserId};

/// What a [`drain`](super::Fleet::drain) did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DrainReport {
    /// Accounts that the fleet had.
    pub accounts: usize,
    /// Those that did not log out in order.
    pub left: Vec<Left>,
    /// How long it took.
    pub took: Duration,
}

/// An account that a drain did not log out in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Left {
    /// The account.
    #[serde(serialize_with = "as_text")]
    pub user: UserId,
    /// What became of it, in words.
    pub why: String,
}

impl DrainReport {
    /// Returns whether all were logged out in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left.is_empty()
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accounts drained in {:.1} s", self.accounts, self.took.as_secs_f64())?;
        match self.left.as_slice() {
            [] => Ok(()),
            [first, ..] => write!(f, ", {} not in order, such as {}: {}", self.left.len(), first.user, first.why),
        }
    }
}
