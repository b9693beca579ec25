//! The body of a `STATISTIC` meta: client statistics upward, kicks downward (connection spec §9).

use super::enumeration::enumeration;

/// Client statistics, or the reason of a kick.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct StatisticsBody {
    /// `operation`.
    #[prost(enumeration = "Operation", optional, tag = "1")]
    pub operation: Option<i32>,
    /// `os`.
    #[prost(enumeration = "OsType", optional, tag = "2")]
    pub os: Option<i32>,
    /// `version`.
    #[prost(string, optional, tag = "3")]
    pub version: Option<String>,
    /// `network`.
    #[prost(enumeration = "NetworkType", optional, tag = "4")]
    pub network: Option<i32>,
    /// `imTime`.
    #[prost(uint32, optional, tag = "5")]
    pub im_time: Option<u32>,
    /// `chatTime`.
    #[prost(uint32, optional, tag = "6")]
    pub chat_time: Option<u32>,
    /// `location`.
    #[prost(string, optional, tag = "7")]
    pub location: Option<String>,
    /// `reason`: with `USER_LOGIN_ANOTHER_DEVICE`, the text given by the new login.
    #[prost(string, optional, tag = "10")]
    pub reason: Option<String>,
}

enumeration! {
    /// Kind of a statistics message; all but `INFORMATION` are kicks (connection spec §9).
    pub enum Operation {
        Information = 0 => "INFORMATION",
        UserRemoved = 1 => "USER_REMOVED",
        UserLoginAnotherDevice = 2 => "USER_LOGIN_ANOTHER_DEVICE",
        UserKickedByChangePassword = 3 => "USER_KICKED_BY_CHANGE_PASSWORD",
        UserKickedByOtherDevice = 4 => "USER_KICKED_BY_OTHER_DEVICE",
    }
}

enumeration! {
    /// Platform of a client.
    pub enum OsType {
        OsIos = 0 => "OS_IOS",
        OsAndroid = 1 => "OS_ANDROID",
        OsLinux = 2 => "OS_LINUX",
        OsOsx = 3 => "OS_OSX",
        OsWin = 4 => "OS_WIN",
        OsCustom = 5 => "OS_CUSTOM",
        OsOther = 16 => "OS_OTHER",
    }
}

enumeration! {
    /// Network a client is on.
    pub enum NetworkType {
        NetworkNone = 0 => "NETWORK_NONE",
        NetworkWifi = 1 => "NETWORK_WIFI",
        Network4G = 2 => "NETWORK_4G",
        Network3G = 3 => "NETWORK_3G",
        Network2G = 4 => "NETWORK_2G",
        NetworkWire = 5 => "NETWORK_WIRE",
    }
}
