//! The body of a `STATISTIC` meta: client statistics upward, kicks downward (connection spec §9).

pub use super::provision::{NetworkType, OsType};
use super::schema::schema;

schema! {
    /// Client statistics, or the reason of a kick.
    #[derive(Eq, Hash)]
    pub struct StatisticsBody {
        operation: Option<i32> => (enumeration = "Operation", optional, tag = "1"),
        os: Option<i32> => (enumeration = "OsType", optional, tag = "2"),
        version: Option<String> => (string, optional, tag = "3"),
        network: Option<i32> => (enumeration = "NetworkType", optional, tag = "4"),
        im_time: Option<u32> => (uint32, optional, tag = "5"),
        chat_time: Option<u32> => (uint32, optional, tag = "6"),
        location: Option<String> => (string, optional, tag = "7"),
        /// With `USER_LOGIN_ANOTHER_DEVICE`, the text given by the new login.
        reason: Option<String> => (string, optional, tag = "10"),
    }

    /// Kind of a statistics message; all but `INFORMATION` are kicks (connection spec §9).
    pub enum Operation {
        Information = 0 => "INFORMATION",
        UserRemoved = 1 => "USER_REMOVED",
        UserLoginAnotherDevice = 2 => "USER_LOGIN_ANOTHER_DEVICE",
        UserKickedByChangePassword = 3 => "USER_KICKED_BY_CHANGE_PASSWORD",
        UserKickedByOtherDevice = 4 => "USER_KICKED_BY_OTHER_DEVICE",
    }
}
