use serde::Serialize;

use crate::model::ConnectionState;

/// A snapshot of how a connection fares; serialises to JSON. Durations are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The user who is logged in, or was last.
    pub user: Option<String>,
    /// The connection's state.
    pub state: ConnectionState,
    /// Attempts to log in or to regain the link since it last held for `Reconnect::stable_after`.
    pub attempts: u32,
    /// Reconnects since the connection was started.
    pub reconnects: u64,
    /// The last failure, in words: of the link, an attempt, a login or the session. It stays after recovery.
    pub last_cause: Option<String>,
    /// The vendor's number for it, where there is one.
    pub last_code: Option<i32>,
    /// Time since the link came up; `None` where it is down.
    pub uptime_ms: Option<u64>,
    /// Time since the server's last bytes on this link.
    pub last_inbound_ms: Option<u64>,
    /// Bytes received since the connection was started, framing included.
    pub bytes_in: u64,
    /// Bytes sent since the connection was started, framing included.
    pub bytes_out: u64,
    /// Sends that went out and still wait for their answer, delivery receipts included.
    pub pending_sends: usize,
    /// Messages kept until a lost link is back.
    pub buffered_sends: usize,
    /// Queues that wait on the server for a retry of the [message handler](crate::MessageHandler).
    pub waiting_queues: usize,
    /// Events of this account missed by the current subscribers, all together.
    pub missed_events: u64,
    /// Log records lost because the application's logger panicked; shared by the connections of one `Config`.
    pub lost_records: u64,
    /// Panics of the current [`EventHandler`](crate::EventHandler)s' closures; a count of the registry's.
    pub handler_panics: u64,
}
