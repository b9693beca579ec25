//! The login of a link, its answer, and the announced end of the session (connection spec §6, §12).

use super::msync::EncryptType;
use super::schema::schema;
use super::status::Status;

schema! {
    /// Upward the login of a link, downward the answer to it.
    #[derive(Eq, Hash)]
    pub redacted struct Provision {
        /// `OS_OTHER` for a client of no listed platform.
        os_type: Option<i32> => (enumeration = "OsType", optional, tag = "1") as named(OsType),
        /// Release of the client.
        version: Option<String> => (string, optional, tag = "2"),
        network_type: Option<i32> => (enumeration = "NetworkType", optional, tag = "3") as named(NetworkType),
        app_sign: Option<String> => (string, optional, tag = "4") as secret,
        compress_type: Vec<i32> => (enumeration = "CompressType", repeated, packed = "false", tag = "5") as list,
        encrypt_type: Vec<i32> => (enumeration = "EncryptType", repeated, packed = "false", tag = "6") as list,
        /// Not in use. Secret.
        encrypt_key: Option<String> => (string, optional, tag = "7") as secret,
        /// The outcome, downward.
        status: Option<Status> => (message, optional, tag = "8"),
        device_uuid: Option<String> => (string, optional, tag = "9"),
        is_manual_login: Option<bool> => (bool, optional, tag = "10"),
        /// Not in use. Secret.
        password: Option<String> => (string, optional, tag = "11") as secret,
        device_name: Option<String> => (string, optional, tag = "12"),
        /// Own device; repeated by the server.
        resource: Option<String> => (string, optional, tag = "13"),
        /// Not in use. Secret.
        auth: Option<String> => (string, optional, tag = "14") as secret,
        service_id: Option<String> => (string, optional, tag = "16"),
        /// Level of the provision protocol, such as `v5.1`.
        action_version: Option<String> => (string, optional, tag = "17"),
        /// JSON text: upward `{"token":"$t$…"}`, downward `{"expires_in":…}`. Secret.
        auth_token: Option<String> => (string, optional, tag = "18") as secret,
        /// Platform number, with `OS_CUSTOM`.
        os_custom_value: Option<u32> => (uint32, optional, tag = "19"),
        /// New for every attempt.
        session_id: Option<String> => (string, optional, tag = "20"),
        /// Text shown to a device kicked by this login, at most 1024 characters.
        reason: Option<String> => (string, optional, tag = "21"),
        /// Compression of whole frames; the only packed list of the schema.
        protocol_compress_type: Vec<i32> => (enumeration = "CompressType", repeated, tag = "22") as list,
        protocol_compress_direction: Option<i32> =>
            (enumeration = "CompressDirection", optional, tag = "23") as named(CompressDirection),
    }

    /// Upward the end of a session, downward the answer to it.
    #[derive(Eq, Hash)]
    pub struct Logout {
        /// The one of the PROVISION.
        session_id: Option<String> => (string, optional, tag = "1"),
        reason: Option<String> => (string, optional, tag = "2"),
        /// The outcome, downward.
        status: Option<Status> => (message, optional, tag = "3"),
    }

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

    /// Network a client is on.
    pub enum NetworkType {
        NetworkNone = 0 => "NETWORK_NONE",
        NetworkWifi = 1 => "NETWORK_WIFI",
        Network4G = 2 => "NETWORK_4G",
        Network3G = 3 => "NETWORK_3G",
        Network2G = 4 => "NETWORK_2G",
        NetworkWire = 5 => "NETWORK_WIRE",
    }

    /// Compression of payloads or whole frames.
    pub enum CompressType {
        CompressNone = 0 => "COMPRESS_NONE",
        CompressZlib = 1 => "COMPRESS_ZLIB",
        CompressLz4 = 2 => "COMPRESS_LZ4",
    }

    /// Direction that may be compressed.
    pub enum CompressDirection {
        OnlyUp = 0 => "ONLY_UP",
        OnlyDown = 1 => "ONLY_DOWN",
        Bi = 2 => "BI",
    }
}
