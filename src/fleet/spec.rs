//! What a fleet is told about one account.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    config::Account,
    model::{account::UserId, auth::Credentials, error::ConfigError},
};

/// An account as a fleet keeps it: who logs in and with what, and what the fleet adds.
///
/// ```
/// use agora_chat::{Credentials, fleet::AccountSpec};
/// let spec = AccountSpec::new(Credentials::password("bot-1", "s3cret")?).tag("sales");
/// assert_eq!(spec.user().as_str(), "bot-1");
/// # Ok::<(), agora_chat::errors::CredentialError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccountSpec {
    pub(super) account: Account,
    pub(super) tag: Option<Arc<str>>,
    pub(super) weight: u32,
}

impl AccountSpec {
    /// The longest tag, in bytes.
    pub const MAX_TAG: usize = 64;

    /// The largest weight.
    pub const MAX_WEIGHT: u32 = 1000;

    /// Makes an account of credentials alone, or of an [`Account`] that also names its device, login text or cursors.
    pub fn new(account: impl Into<Account>) -> Self {
        AccountSpec { account: account.into(), tag: None, weight: 1 }
    }

    /// Sets a word to find the account by, at most [`MAX_TAG`](Self::MAX_TAG) bytes. Default: none.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Sets how much work the account is beside others, from 1 to [`MAX_WEIGHT`](Self::MAX_WEIGHT); arbiters get shares
    /// of like weight. Default: 1.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Returns the user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.account.user()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.account.check()?;
        let refused = |what, value: String, allowed| Err(ConfigError::Range { what, value, allowed });
        if let Some(tag) = &self.tag
            && (tag.is_empty() || tag.len() > Self::MAX_TAG)
        {
            return refused("the tag's length", tag.len().to_string(), "from 1 to 64 bytes");
        }
        if self.weight == 0 || self.weight > Self::MAX_WEIGHT {
            return refused("the weight", self.weight.to_string(), "from 1 to 1000");
        }
        Ok(())
    }

    /// Returns whether this logs in as the other does.
    pub(super) fn logs_in_like(&self, other: &AccountSpec) -> bool {
        self.account.same_as(&other.account)
    }

    pub(super) fn with_credentials(&self, credentials: Credentials) -> Self {
        AccountSpec { account: self.account.clone().with_credentials(credentials), ..self.clone() }
    }
}

impl From<Credentials> for AccountSpec {
    fn from(credentials: Credentials) -> Self {
        AccountSpec::new(credentials)
    }
}

/// What adding an account did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Added {
    /// The fleet did not know it, and logs it in.
    New,
    /// The fleet knew it by other credentials, device, login text, tag or weight, and takes the new ones.
    Changed,
    /// The fleet knew it just so. Nothing changes.
    Same,
}

/// Why and for how long an account is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub(super) why: Arc<str>,
    pub(super) time: Option<Duration>,
}

impl Pause {
    /// The longest reason, in characters; the rest is cut.
    pub const MAX_CHARS: usize = 128;

    /// Pauses until the account is resumed. The reason is for people.
    #[must_use]
    pub fn until_resumed(why: impl fmt::Display) -> Self {
        Pause { why: why.to_string().chars().take(Self::MAX_CHARS).collect::<String>().into(), time: None }
    }

    /// Pauses for a time, or until the account is resumed.
    #[must_use]
    pub fn lasting(time: Duration, why: impl fmt::Display) -> Self {
        Pause { time: Some(time), ..Pause::until_resumed(why) }
    }
}
