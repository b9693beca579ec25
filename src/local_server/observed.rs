//! Observations of the local server, for tests to read.

use bytes::Bytes;
use serde::ser::SerializeStruct as _;

use crate::{
    model::{error::Code, message::Message},
    util::impls::impl_debug,
    wire::Meta,
};

/// One frame a provisioned client sent. `Debug` shows its kind and length only: a PROVISION holds a token.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ClientFrame {
    /// The kind of frame.
    pub kind: FrameKind,
    /// The whole binary message; empty for a text message.
    pub bytes: Bytes,
    /// The device that sent it.
    pub resource: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
}

impl_debug! { ClientFrame { kind, bytes = bytes.len(), resource, at_ms } }

/// The kind of a client's frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// The login of a link.
    Provision,
    /// A heartbeat.
    Unread,
    /// A message to be sent, or a statistics message.
    Send {
        /// The client's id of it.
        id: u64,
        /// The user, group or room it is for.
        to: String,
        /// Its name space: 0 statistics, 1 chat (connection spec §7.3).
        namespace: i32,
    },
    /// A pull of a queue.
    Pull {
        /// The queue's name; empty for a pull of no queue.
        queue: String,
        /// The cursor, which acknowledges everything up to it.
        key: Option<u64>,
    },
    /// The announced end of a session.
    Logout,
    /// A WebSocket text message, which means nothing here.
    Text,
    /// A frame of a command this server does not know.
    Unknown(i32),
    /// Bytes that are not a frame.
    Undecodable,
}

impl FrameKind {
    /// Returns its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            FrameKind::Provision => "provision",
            FrameKind::Unread => "unread",
            FrameKind::Send { .. } => "send",
            FrameKind::Pull { .. } => "pull",
            FrameKind::Logout => "logout",
            FrameKind::Text => "text",
            FrameKind::Unknown(_) => "unknown",
            FrameKind::Undecodable => "undecodable",
        }
    }
}

/// One device that is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The user id, in lower case.
    pub user: String,
    /// The device's resource.
    pub resource: String,
    /// When it logged in, in milliseconds since 1970.
    pub since_ms: u64,
    /// `osType` of its PROVISION.
    pub os_type: Option<i32>,
    /// `deviceUuid` of its PROVISION.
    pub device_uuid: Option<String>,
    /// `deviceName` of its PROVISION.
    pub device_name: Option<String>,
    /// `version` of its PROVISION.
    pub version: Option<String>,
}

/// One session of the log: a device from its accepted PROVISION to its end. As JSON it is what `GET /_control/sessions`
/// lists.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LoggedSession {
    /// The user id, in lower case.
    pub user: String,
    /// The device's resource.
    pub resource: String,
    /// The session's number, which no other session of the server has.
    pub session: u64,
    /// When it began, in milliseconds since 1970.
    pub from_ms: u64,
    /// When it ended, in milliseconds since 1970; `None` while it is online.
    pub to_ms: Option<u64>,
    /// The kind of its end; `None` while it is online.
    pub end: Option<SessionEnd>,
    /// The code of the kick it was sent at its end.
    pub code: Option<Code>,
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SessionEnd {
    /// The client sent LOGOUT.
    Logout,
    /// Its link ended or was cut, whichever side began, or the server stopped.
    Link,
    /// The same user logged in with the same resource; with [`DuplicatePolicy::ReplaceWith206`] a kick came before the
    /// end.
    ///
    /// [`DuplicatePolicy::ReplaceWith206`]: crate::local_server::DuplicatePolicy::ReplaceWith206
    Replaced,
    /// It was kicked for any other reason.
    Kicked,
}

impl SessionEnd {
    /// Returns its name: `logout`, `link`, `replaced` or `kicked`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SessionEnd::Logout => "logout",
            SessionEnd::Link => "link",
            SessionEnd::Replaced => "replaced",
            SessionEnd::Kicked => "kicked",
        }
    }
}

/// Two sessions of one user that were there at the same time. As JSON it is what `GET /_control/online-twice` lists: the
/// user, the time in which both were there, and the two sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnlineTwice {
    /// The session that was there.
    pub earlier: LoggedSession,
    /// The session that began meanwhile.
    pub later: LoggedSession,
}

impl OnlineTwice {
    /// Returns when both were there, in milliseconds since 1970; the end is `None` while they still are.
    #[must_use]
    pub fn window_ms(&self) -> (u64, Option<u64>) {
        let to = match (self.earlier.to_ms, self.later.to_ms) {
            (Some(earlier), Some(later)) => Some(earlier.min(later)),
            (earlier, later) => earlier.or(later),
        };
        (self.later.from_ms, to)
    }
}

impl serde::Serialize for OnlineTwice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (from_ms, to_ms) = self.window_ms();
        let mut shown = serializer.serialize_struct("OnlineTwice", 4)?;
        shown.serialize_field("user", &self.earlier.user)?;
        shown.serialize_field("from_ms", &from_ms)?;
        shown.serialize_field("to_ms", &to_ms)?;
        shown.serialize_field("sessions", &[&self.earlier, &self.later])?;
        shown.end()
    }
}

/// One message as the server has it now.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// The server's id of it.
    pub id: u64,
    /// The sender.
    pub from: String,
    /// The message, with the last edit in it.
    pub meta: Meta,
    /// The number of edits.
    pub edits: u32,
    /// Users who confirmed its delivery, sorted by name.
    pub delivered_to: Vec<String>,
    /// Users who confirmed that they read it, sorted by name.
    pub read_by: Vec<String>,
}

impl StoredMessage {
    /// Returns the message as a client reads it; `None` if it has no readable content.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        Message::from_meta(&self.meta, None)
    }

    /// Returns its text; `None` if it is no text message.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.message()?.text().map(str::to_owned)
    }
}

/// An uploaded file. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFile {
    /// The file name of the form.
    pub name: String,
    /// The content type of the form.
    pub content_type: String,
    /// The content.
    pub bytes: Bytes,
}

impl_debug! { StoredFile { name, content_type, bytes = bytes.len() } }

/// One REST or discovery call, answered. Neither query nor body is stored: they hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestCall {
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The status it was answered with.
    pub status: u16,
}

/// Counts since the server was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Devices logged in at this moment.
    pub online: usize,
    /// TCP links open at this moment.
    pub links: usize,
    /// TCP links accepted.
    pub connects: u64,
    /// WebSocket upgrades requested, including refused ones.
    pub upgrades: u64,
    /// PROVISION frames received, including refused ones.
    pub provisions: u64,
    /// PROVISION frames refused.
    pub refusals: u64,
    /// PROVISION frames accepted.
    pub logins: u64,
    /// UNREAD frames received.
    pub heartbeats: u64,
    /// Frames received of every kind, including text messages.
    pub frames: u64,
    /// REST and discovery calls answered.
    pub rest_calls: u64,
    /// Links cut because a client read too slowly.
    pub slow_clients: u64,
    /// Messages dropped because a queue was full.
    pub dropped_messages: u64,
    /// Pairs of sessions of one user that overlapped; see
    /// [`online_twice`](crate::local_server::LocalServer::online_twice).
    pub online_twice: u64,
    /// Sessions dropped from the log because it was full.
    pub dropped_sessions: u64,
}
