//! The login of a link, and its answer (connection spec §6).

use super::enumeration::enumeration;
use super::msync::EncryptType;
use super::status::Status;

/// Upward the login of a link, downward the answer to it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[prost(skip_debug)]
pub struct Provision {
    /// `osType`: `OS_OTHER` for a client of no listed platform.
    #[prost(enumeration = "OsType", optional, tag = "1")]
    pub os_type: Option<i32>,
    /// `version`: release of the client.
    #[prost(string, optional, tag = "2")]
    pub version: Option<String>,
    /// `networkType`.
    #[prost(enumeration = "NetworkType", optional, tag = "3")]
    pub network_type: Option<i32>,
    /// `appSign`.
    #[prost(string, optional, tag = "4")]
    pub app_sign: Option<String>,
    /// `compressType`.
    #[prost(enumeration = "CompressType", repeated, packed = "false", tag = "5")]
    pub compress_type: Vec<i32>,
    /// `encryptType`.
    #[prost(enumeration = "EncryptType", repeated, packed = "false", tag = "6")]
    pub encrypt_type: Vec<i32>,
    /// `encryptKey`: not in use. Secret.
    #[prost(string, optional, tag = "7")]
    pub encrypt_key: Option<String>,
    /// `status`: the outcome, downward.
    #[prost(message, optional, tag = "8")]
    pub status: Option<Status>,
    /// `deviceUuid`.
    #[prost(string, optional, tag = "9")]
    pub device_uuid: Option<String>,
    /// `isManualLogin`.
    #[prost(bool, optional, tag = "10")]
    pub is_manual_login: Option<bool>,
    /// `password`: not in use. Secret.
    #[prost(string, optional, tag = "11")]
    pub password: Option<String>,
    /// `deviceName`.
    #[prost(string, optional, tag = "12")]
    pub device_name: Option<String>,
    /// `resource`: own device; repeated by the server.
    #[prost(string, optional, tag = "13")]
    pub resource: Option<String>,
    /// `auth`: not in use. Secret.
    #[prost(string, optional, tag = "14")]
    pub auth: Option<String>,
    /// `serviceId`.
    #[prost(string, optional, tag = "16")]
    pub service_id: Option<String>,
    /// `actionVersion`: level of the provision protocol, such as `v5.1`.
    #[prost(string, optional, tag = "17")]
    pub action_version: Option<String>,
    /// `authToken`: JSON text: upward `{"token":"$t$…"}`, downward `{"expires_in":…}`. Secret.
    #[prost(string, optional, tag = "18")]
    pub auth_token: Option<String>,
    /// `osCustomValue`: platform number, with `OS_CUSTOM`.
    #[prost(uint32, optional, tag = "19")]
    pub os_custom_value: Option<u32>,
    /// `sessionId`: new for every attempt.
    #[prost(string, optional, tag = "20")]
    pub session_id: Option<String>,
    /// `reason`: text shown to a device kicked by this login, at most 1024 characters.
    #[prost(string, optional, tag = "21")]
    pub reason: Option<String>,
    /// `protocolCompressType`: compression of whole frames; the only packed list of the schema.
    #[prost(enumeration = "CompressType", repeated, tag = "22")]
    pub protocol_compress_type: Vec<i32>,
    /// `protocolCompressDirection`.
    #[prost(enumeration = "CompressDirection", optional, tag = "23")]
    pub protocol_compress_direction: Option<i32>,
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

enumeration! {
    /// Compression of payloads or whole frames.
    pub enum CompressType {
        CompressNone = 0 => "COMPRESS_NONE",
        CompressZlib = 1 => "COMPRESS_ZLIB",
        CompressLz4 = 2 => "COMPRESS_LZ4",
    }
}

enumeration! {
    /// Direction that may be compressed.
    pub enum CompressDirection {
        OnlyUp = 0 => "ONLY_UP",
        OnlyDown = 1 => "ONLY_DOWN",
        Bi = 2 => "BI",
    }
}
