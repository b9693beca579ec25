//! The announced end of a session (connection spec §12).

use super::status::Status;

/// Upward the end of a session, downward the answer to it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Logout {
    /// `sessionId`: the one of the PROVISION.
    #[prost(string, optional, tag = "1")]
    pub session_id: Option<String>,
    /// `reason`.
    #[prost(string, optional, tag = "2")]
    pub reason: Option<String>,
    /// `status`: the outcome, downward.
    #[prost(message, optional, tag = "3")]
    pub status: Option<Status>,
}
