//! The body of a `ROSTER` meta: contacts (messages spec §4.3).

use super::jid::Jid;
use super::schema::schema;

schema! {
    /// An operation on the contacts, or a notice of one.
    #[derive(Eq, Hash)]
    pub struct RosterBody {
        operation: Option<i32> => (enumeration = "Operation", optional, tag = "1"),
        status: Option<Status> => (message, optional, tag = "2"),
        from: Option<Jid> => (message, optional, tag = "3"),
        to: Vec<Jid> => (message, repeated, tag = "4"),
        reason: Option<String> => (string, optional, tag = "5"),
        roster_ver: Option<String> => (string, optional, tag = "6"),
        bi_direction: Option<bool> => (bool, optional, tag = "7"),
    }

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

    /// The outcome of a contact operation.
    #[derive(Eq, Hash)]
    pub struct Status {
        error_code: Option<i32> => (enumeration = "ErrorCode", optional, tag = "1"),
        description: Option<String> => (string, optional, tag = "2"),
    }

    /// Outcome of a contact operation.
    pub enum ErrorCode {
        Ok = 0 => "OK",
        UserNotExist = 1 => "USER_NOT_EXIST",
        UserAlreadyFriend = 2 => "USER_ALREADY_FRIEND",
        UserAlreadyBlacklist = 3 => "USER_ALREADY_BLACKLIST",
    }
}
