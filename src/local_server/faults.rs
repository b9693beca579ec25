//! What the local server can be told to get wrong.

use actix_http::header::{HeaderName, HeaderValue};

use super::LocalServerError;

/// What happens to a login on one device too many (connection spec §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevicePolicy {
    /// The device logged in longest is kicked (206) with the newcomer's extension.
    KickOldest,
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
    pub(super) path_part: String,
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) left: Option<u32>,
}

impl RestFault {
    /// Answers every call whose path holds `path_part` with this status and an empty body.
    #[must_use]
    pub fn new(path_part: impl Into<String>, status: u16) -> Self {
        RestFault { path_part: path_part.into(), status, body: String::new(), headers: Vec::new(), left: None }
    }

    /// Gives the answer this body, as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Gives the answer a body of the service's error shape (connection spec §3.1).
    #[must_use]
    pub fn error(self, error: &str, description: &str) -> Self {
        self.body(super::rest::error_body(error, description))
    }

    /// Gives the answer a header.
    ///
    /// # Errors
    /// [`LocalServerError::Header`] for what cannot stand in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, LocalServerError> {
        self.headers.push((header_name(name)?, header_value(value)?));
        Ok(self)
    }

    /// Ends the fault after so many calls. Default: it stays until it is cleared.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.left = Some(calls);
        self
    }
}

fn header_name(name: &str) -> Result<HeaderName, LocalServerError> {
    HeaderName::try_from(name).map_err(|_| LocalServerError::Header(name.to_owned()))
}

pub(super) fn header_value(value: &str) -> Result<HeaderValue, LocalServerError> {
    HeaderValue::try_from(value).map_err(|_| LocalServerError::Header(value.to_owned()))
}

/// A refusal of provisions standing in the state.
#[derive(Clone, Debug)]
pub(super) struct RefuseProvisions {
    pub(super) status: i32,
    pub(super) reason: Option<String>,
    pub(super) redirect: Option<(String, u16)>,
    pub(super) left: Option<u32>,
}

/// A refusal of upgrades standing in the state.
#[derive(Clone, Debug)]
pub(super) struct RefuseUpgrades {
    pub(super) status: actix_http::StatusCode,
    pub(super) retry_after: Option<HeaderValue>,
    pub(super) left: Option<u32>,
}

/// What happens to a user's sends instead of the right thing.
#[derive(Clone, Debug)]
pub(super) struct SendFault {
    pub(super) user: String,
    pub(super) left: Option<u32>,
    pub(super) kind: SendFaultKind,
}

#[derive(Clone, Debug)]
pub(super) enum SendFaultKind {
    /// It is answered with this status number and reason.
    Refuse(i32, Option<String>),
    /// It is taken as it should be, and not answered.
    Unanswered,
}

/// Counts a standing fault down: the fault if it applies once more, and forgets it after its last time.
pub(super) fn take_once<T: Clone>(standing: &mut Option<T>, left: impl Fn(&mut T) -> &mut Option<u32>) -> Option<T> {
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
