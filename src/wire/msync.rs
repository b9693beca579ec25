//! The envelope: one `MSync` is one binary WebSocket message (connection spec §5).

use bytes::Bytes;

use super::enumeration::enumeration;
use super::jid::Jid;

/// The envelope of every frame in both directions.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[prost(skip_debug)]
pub struct MSync {
    /// `version`: always sent, as 0.
    #[prost(enumeration = "Version", optional, tag = "1")]
    pub version: Option<i32>,
    /// `guid`: own address, in PROVISION and LOGOUT only.
    #[prost(message, optional, tag = "2")]
    pub guid: Option<Jid>,
    /// `auth`: `$t$` and the token, in PROVISION and LOGOUT only. Secret.
    #[prost(string, optional, tag = "3")]
    pub auth: Option<String>,
    /// `compressAlgorimth`: 1 says that the payload is zlib data. The spelling is that of the protocol.
    #[prost(uint32, optional, tag = "4")]
    pub compress_algorimth: Option<u32>,
    /// `crypto`.
    #[prost(uint32, optional, tag = "5")]
    pub crypto: Option<u32>,
    /// `userAgent`.
    #[prost(string, optional, tag = "6")]
    pub user_agent: Option<String>,
    /// `pov`.
    #[prost(uint64, optional, tag = "7")]
    pub pov: Option<u64>,
    /// `command`: always sent, also as 0; missing reads as SYNC.
    #[prost(enumeration = "Command", optional, tag = "8")]
    pub command: Option<i32>,
    /// `payload`: the encoded inner message; absent in UNREAD upward.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub payload: Option<Bytes>,
    /// `deviceId`: sent as 0 in PROVISION and LOGOUT.
    #[prost(uint32, optional, tag = "10")]
    pub device_id: Option<u32>,
    /// `encryptType`: one `ENCRYPT_NONE` in every upward frame.
    #[prost(enumeration = "EncryptType", repeated, packed = "false", tag = "11")]
    pub encrypt_type: Vec<i32>,
    /// `encryptKey`: not in use. Secret.
    #[prost(string, optional, tag = "12")]
    pub encrypt_key: Option<String>,
    /// `traceId`: sent by the newer official client only.
    #[prost(uint64, optional, tag = "20")]
    pub trace_id: Option<u64>,
}

enumeration! {
    /// Protocol version.
    pub enum Version {
        MsyncV1 = 0 => "MSYNC_V1",
        MsyncV2 = 1 => "MSYNC_V2",
    }
}

enumeration! {
    /// Kind of the payload of a frame.
    pub enum Command {
        Sync = 0 => "SYNC",
        Unread = 1 => "UNREAD",
        Notice = 2 => "NOTICE",
        Provision = 3 => "PROVISION",
        Logout = 4 => "LOGOUT",
    }
}

enumeration! {
    /// Payload encryption; only `ENCRYPT_NONE` is in use.
    pub enum EncryptType {
        EncryptNone = 0 => "ENCRYPT_NONE",
        EncryptAes128Cbc = 1 => "ENCRYPT_AES_128_CBC",
        EncryptAes256Cbc = 2 => "ENCRYPT_AES_256_CBC",
    }
}
