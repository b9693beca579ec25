//! The body of a `ROSTER` meta: contacts (messages spec §4.3).

use super::enumeration::enumeration;
use super::jid::Jid;

/// An operation on the contacts, or a notice of one.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RosterBody {
    /// `operation`.
    #[prost(enumeration = "Operation", optional, tag = "1")]
    pub operation: Option<i32>,
    /// `status`.
    #[prost(message, optional, tag = "2")]
    pub status: Option<Status>,
    /// `from`.
    #[prost(message, optional, tag = "3")]
    pub from: Option<Jid>,
    /// `to`.
    #[prost(message, repeated, tag = "4")]
    pub to: Vec<Jid>,
    /// `reason`.
    #[prost(string, optional, tag = "5")]
    pub reason: Option<String>,
    /// `rosterVer`.
    #[prost(string, optional, tag = "6")]
    pub roster_ver: Option<String>,
    /// `biDirection`.
    #[prost(bool, optional, tag = "7")]
    pub bi_direction: Option<bool>,
}

enumeration! {
    /// Operation on the contacts.
    pub enum Operation {
        GetRoster = 0 => "GET_ROSTER",
        GetBlacklist = 1 => "GET_BLACKLIST",
        Add = 2 => "ADD",
        Remove = 3 => "REMOVE",
        Accept = 4 => "ACCEPT",
        Decline = 5 => "DECLINE",
        Ban = 6 => "BAN",
        Allow = 7 => "ALLOW",
        RemoteAccept = 8 => "REMOTE_ACCEPT",
        RemoteDecline = 9 => "REMOTE_DECLINE",
    }
}

/// The outcome of a contact operation.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Status {
    /// `errorCode`.
    #[prost(enumeration = "ErrorCode", optional, tag = "1")]
    pub error_code: Option<i32>,
    /// `description`.
    #[prost(string, optional, tag = "2")]
    pub description: Option<String>,
}

enumeration! {
    /// Outcome of a contact operation.
    pub enum ErrorCode {
        Ok = 0 => "OK",
        UserNotExist = 1 => "USER_NOT_EXIST",
        UserAlreadyFriend = 2 => "USER_ALREADY_FRIEND",
        UserAlreadyBlacklist = 3 => "USER_ALREADY_BLACKLIST",
    }
}
