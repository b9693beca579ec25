//! Why logins failed, in few words for many accounts.

use std::collections::BTreeMap;

use agora_chat::OpenError;
use serde_json::{Value, json};

/// How many reasons are told apart; a service that says something else to each account has one more for all the rest.
const KEPT: usize = 16;

/// Reasons with their accounts.
#[derive(Debug, Default)]
pub(crate) struct Reasons(BTreeMap<String, Failure>);

/// One reason.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) code: Option<i32>,
    pub(crate) count: u64,
    /// Somebody it happened to.
    pub(crate) user: String,
}

impl Failure {
    pub(crate) fn json(&self) -> Value {
        json!({"reason": self.reason, "code": self.code, "count": self.count, "user": self.user})
    }
}

impl Reasons {
    /// Counts a login that failed.
    pub(crate) fn add(&mut self, user: String, error: &(dyn std::error::Error + 'static)) {
        let code = error.downcast_ref::<OpenError>().map(|error| error.code().number());
        // The same for all accounts.
        let reason = error.to_string().replace(&user, "USER");
        self.merge(Failure { reason, code, count: 1, user });
    }

    /// Takes in what another arbiter has counted.
    pub(crate) fn extend(&mut self, more: Reasons) {
        more.0.into_values().for_each(|failure| self.merge(failure));
    }

    fn merge(&mut self, mut failure: Failure) {
        if !self.0.contains_key(&failure.reason) && self.0.len() >= KEPT {
            (failure.reason, failure.code) = ("other reasons".to_owned(), None);
        }
        let count = failure.count;
        let kept = self.0.entry(failure.reason.clone()).or_insert(Failure { count: 0, ..failure });
        kept.count += count;
    }

    /// The most frequent first.
    pub(crate) fn into_sorted(self) -> Vec<Failure> {
        let mut all: Vec<_> = self.0.into_values().collect();
        all.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        all
    }
}
