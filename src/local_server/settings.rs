//! The settings of a server.

use std::time::Duration;

use super::{
    data::Bounds,
    faults::{DevicePolicy, DuplicatePolicy},
    limits,
};
use crate::model::auth::agora_token::ChatTokenBuilder;

/// The settings of a server; those that the handle can change hold at once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) queues: Bounds,
    /// Life of tokens issued by REST; `None` never ends.
    pub(crate) token_life: Option<Duration>,
    /// The app whose certificate signs tokens of users.
    pub(crate) app: Option<ChatTokenBuilder>,
    pub(crate) open_registration: bool,
    /// The client id and secret an app token is given for.
    pub(crate) client: Option<(String, String)>,
    /// The number of devices a user may be online with, and the rule for one more.
    pub(crate) devices: Option<(usize, DevicePolicy)>,
    /// The rule for a login with the resource of a session that is there.
    pub(crate) duplicates: DuplicatePolicy,
    /// The time after sending in which a message may be recalled; `None`: not at all.
    pub(crate) recall: Option<Duration>,
    /// The time in which a repeated client id is recognised; `None`: not at all.
    pub(crate) repeats: Option<Duration>,
    /// `true` passes on bodies that name another sender or conversation than they have.
    pub(crate) forged_bodies: bool,
    /// Bytes of uploads in flight.
    pub(crate) upload_bytes: usize,
    /// Limit of a request's head, of a pause in its body, and of the wait for capacity.
    pub(crate) request_timeout: Duration,
    /// Open TCP links.
    pub(crate) links: usize,
}

impl Settings {
    /// Returns how long a link may be idle between two requests: 75 s by default, as common front ends have it.
    pub(crate) fn keep_alive(&self) -> Duration {
        self.request_timeout + self.request_timeout / 4
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            queues: Bounds { stored: limits::STORED, page: limits::PAGE },
            token_life: Some(Duration::from_secs(24 * 60 * 60)),
            app: None,
            open_registration: true,
            client: None,
            devices: Some((4, DevicePolicy::KickOldest)),
            duplicates: DuplicatePolicy::default(),
            recall: Some(limits::RECALL),
            repeats: Some(limits::REPEAT),
            forged_bodies: false,
            upload_bytes: limits::UPLOADS_BYTES,
            request_timeout: limits::REQUEST,
            links: limits::LINKS,
        }
    }
}
