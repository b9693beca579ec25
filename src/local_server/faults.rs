//! Injected faults.

use actix_http::header::{HeaderName, HeaderValue};

use super::{error::LocalServerError, error_body::error_body, limits};

/// The rule for a login on one device too many (connection spec §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevicePolicy {
    /// The device logged in longest is kicked (206) with the newcomer's extension.
    KickOldest,
    /// The newcomer is refused with `TOO_MANY_DEVICES` (13).
    RefuseNew,
}

/// The rule for a login of a user with the resource of a session that is there. The live service's is not confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// The older session is closed without a word, as connection spec §6.5 has it.
    #[default]
    Replace,
    /// The older session is kicked (206) with the newcomer's extension, then closed.
    ReplaceWith206,
    /// Both stay. Nor does one device too many end another then ([`DevicePolicy::KickOldest`]).
    KeepBoth,
    /// The newcomer is refused with `TOO_MANY_DEVICES` (13).
    RefuseNew,
}

/// A REST answer given instead of the right one.
///
/// ```
/// use agora_chat::local_server::RestFault;
/// let busy = RestFault::new("/token", 503).header("retry-after", "2")?.times(3);
/// # Ok::<(), agora_chat::local_server::LocalServerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RestFault {
    pub(crate) path_part: String,
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) left: Option<u32>,
    /// The one user, in lower case, to whose calls it applies.
    pub(crate) user: Option<String>,
}

impl RestFault {
    /// Answers every call whose path holds `path_part` with this status and an empty body.
    #[must_use]
    pub fn new(path_part: impl Into<String>, status: u16) -> Self {
        RestFault {
            path_part: path_part.into(),
            status,
            body: String::new(),
            headers: Vec::new(),
            left: None,
            user: None,
        }
    }

    /// Sets the body of the answer, as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a body of the service's error shape (connection spec §3.1).
    #[must_use]
    pub fn error(self, error: &str, description: &str) -> Self {
        self.body(error_body(error, description))
    }

    /// Adds a header to the answer.
    ///
    /// # Errors
    /// [`LocalServerError::Header`] for a name or value that is no header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, LocalServerError> {
        self.headers.push((header_name(name)?, header_value(value)?));
        Ok(self)
    }

    /// Limits the fault to the calls of one user: those with its token, those for a token of it, and, without either, those
    /// whose path names it. Default: every call.
    ///
    /// ```
    /// use agora_chat::local_server::RestFault;
    /// let held_back = RestFault::new("/token", 429).header("retry-after", "2")?.of_user("alice");
    /// # Ok::<(), agora_chat::local_server::LocalServerError>(())
    /// ```
    #[must_use]
    pub fn of_user(mut self, user: &str) -> Self {
        self.user = Some(user.to_lowercase());
        self
    }

    /// Ends the fault after this number of calls. Default: it stays until it is cleared.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.left = Some(calls);
        self
    }
}

fn header_name(name: &str) -> Result<HeaderName, LocalServerError> {
    HeaderName::try_from(name).map_err(|_| LocalServerError::Header(name.to_owned()))
}

pub(crate) fn header_value(value: &str) -> Result<HeaderValue, LocalServerError> {
    HeaderValue::try_from(value).map_err(|_| LocalServerError::Header(value.to_owned()))
}

/// An injected refusal of PROVISIONs.
#[derive(Clone, Debug)]
pub(crate) struct RefuseProvisions {
    pub(crate) status: i32,
    pub(crate) reason: Option<String>,
    pub(crate) redirect: Option<(String, u16)>,
    pub(crate) left: Option<u32>,
}

impl RefuseProvisions {
    /// Returns a refusal that stays.
    pub(crate) fn always(status: i32, reason: Option<String>) -> Self {
        RefuseProvisions { status, reason, redirect: None, left: None }
    }
}

/// An injected refusal of upgrades.
#[derive(Clone, Debug)]
pub(crate) struct RefuseUpgrades {
    pub(crate) status: actix_http::StatusCode,
    pub(crate) retry_after: Option<HeaderValue>,
    pub(crate) left: Option<u32>,
}

/// An injected fault of a user's sends.
#[derive(Clone, Debug)]
pub(crate) struct SendFault {
    pub(crate) user: String,
    pub(crate) left: Option<u32>,
    pub(crate) kind: SendFaultKind,
}

#[derive(Clone, Debug)]
pub(crate) enum SendFaultKind {
    /// Answers with this status number and reason.
    Refuse(i32, Option<String>),
    /// Accepts the message as usual, and does not answer.
    Unanswered,
}

/// The faults injected into one server.
#[derive(Default)]
pub(crate) struct FaultTable {
    pub(crate) provisions: Option<RefuseProvisions>,
    pub(crate) upgrades: Option<RefuseUpgrades>,
    pub(crate) silent: bool,
    /// Refusals of single users, by name in lower case.
    user_provisions: Vec<(String, RefuseProvisions)>,
    rest: Vec<RestFault>,
    sends: Vec<SendFault>,
}

impl FaultTable {
    /// Returns the refusal of this user's PROVISION, and counts it.
    pub(crate) fn next_provision(&mut self, user: &str) -> Option<RefuseProvisions> {
        if let Some(refusal) = take_once(&mut self.provisions, |refusal| &mut refusal.left) {
            return Some(refusal);
        }
        self.user_provisions.retain(|(_, refusal)| refusal.left != Some(0));
        let (_, refusal) = self.user_provisions.iter_mut().find(|(name, _)| name == user)?;
        refusal.left = refusal.left.map(|left| left - 1);
        Some(refusal.clone())
    }

    /// Refuses a user's PROVISIONs, and no longer as before.
    pub(crate) fn refuse_user(&mut self, user: String, refusal: RefuseProvisions) -> Result<(), LocalServerError> {
        self.accept_user(&user);
        if self.user_provisions.len() >= limits::FAULTS {
            return Err(LocalServerError::Full { what: "refused users", limit: limits::FAULTS });
        }
        self.user_provisions.push((user, refusal));
        Ok(())
    }

    /// Ends the refusal of a user's PROVISIONs, and those that have run out.
    pub(crate) fn accept_user(&mut self, user: &str) {
        self.user_provisions.retain(|(name, refusal)| name != user && refusal.left != Some(0));
    }

    /// Returns the refusal of this upgrade, and counts it.
    pub(crate) fn next_upgrade(&mut self) -> Option<RefuseUpgrades> {
        take_once(&mut self.upgrades, |refusal| &mut refusal.left)
    }

    /// Returns the fault of a REST call, and counts it.
    pub(crate) fn next_rest(&mut self, path: &str, user: Option<&str>) -> Option<&RestFault> {
        self.rest.retain(|fault| fault.left != Some(0));
        let fits = |fault: &&mut RestFault| {
            path.contains(&fault.path_part) && fault.user.as_deref().is_none_or(|name| Some(name) == user)
        };
        let fault = self.rest.iter_mut().find(fits)?;
        fault.left = fault.left.map(|left| left - 1);
        Some(fault)
    }

    /// Returns whether a fault applies to the calls of one user.
    pub(crate) fn wants_user(&self) -> bool {
        self.rest.iter().any(|fault| fault.user.is_some())
    }

    /// Returns the fault of a user's send, and counts it.
    pub(crate) fn next_send(&mut self, user: &str) -> Option<SendFaultKind> {
        self.sends.retain(|fault| fault.left != Some(0));
        let fault = self.sends.iter_mut().find(|fault| fault.user == user)?;
        fault.left = fault.left.map(|left| left - 1);
        Some(fault.kind.clone())
    }

    /// Adds a fault of REST calls.
    pub(crate) fn add_rest(&mut self, fault: RestFault) -> Result<(), LocalServerError> {
        if !(200..600).contains(&fault.status) {
            return Err(LocalServerError::Header(fault.status.to_string()));
        }
        self.rest.retain(|fault| fault.left != Some(0));
        if self.rest.len() >= limits::FAULTS {
            return Err(LocalServerError::Full { what: "REST faults", limit: limits::FAULTS });
        }
        self.rest.push(fault);
        Ok(())
    }

    /// Adds a fault of sends.
    pub(crate) fn add_send(&mut self, fault: SendFault) -> Result<(), LocalServerError> {
        self.sends.retain(|fault| fault.left != Some(0));
        if self.sends.len() >= limits::FAULTS {
            return Err(LocalServerError::Full { what: "send faults", limit: limits::FAULTS });
        }
        self.sends.push(fault);
        Ok(())
    }

    /// Ends the faults of a user's REST calls.
    pub(crate) fn clear_rest_of(&mut self, user: &str) {
        self.rest.retain(|fault| fault.user.as_deref() != Some(user));
    }

    pub(crate) fn clear_rest(&mut self) {
        self.rest.clear();
    }

    /// Ends the faults of a user's sends.
    pub(crate) fn clear_sends(&mut self, user: &str) {
        self.sends.retain(|fault| fault.user != user);
    }
}

/// Returns the fault if it applies once more; clears it after its last time.
fn take_once<T: Clone>(standing: &mut Option<T>, left: impl Fn(&mut T) -> &mut Option<u32>) -> Option<T> {
    let fault = standing.as_mut()?;
    if let Some(left) = left(fault) {
        if *left == 0 {
            *standing = None;
            return None;
        }
        *left -= 1;
    }
    standing.clone()
}
