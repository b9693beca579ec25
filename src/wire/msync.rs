//! The envelope: one `MSync` is one binary WebSocket message (connection spec §5).

use bytes::Bytes;

use super::jid::Jid;
use super::schema::schema;

schema! {
    /// The envelope of every frame in both directions.
    #[derive(Eq, Hash)]
    pub redacted struct MSync {
        /// Always sent, as 0.
        version: Option<i32> => (enumeration = "Version", optional, tag = "1") as named(Version),
        /// Own address, in PROVISION and LOGOUT only.
        guid: Option<Jid> => (message, optional, tag = "2"),
        /// `$t$` and the token, in PROVISION and LOGOUT only. Secret.
        auth: Option<String> => (string, optional, tag = "3") as secret,
        /// 1 says that the payload is zlib data. The spelling is that of the protocol.
        compress_algorimth: Option<u32> => (uint32, optional, tag = "4"),
        crypto: Option<u32> => (uint32, optional, tag = "5"),
        user_agent: Option<String> => (string, optional, tag = "6"),
        pov: Option<u64> => (uint64, optional, tag = "7"),
        /// Always sent, also as 0; missing reads as SYNC.
        command: Option<i32> => (enumeration = "Command", optional, tag = "8") as named(Command),
        /// The encoded inner message; absent in UNREAD upward.
        payload: Option<Bytes> => (bytes = "bytes", optional, tag = "9") as length,
        /// Sent as 0 in PROVISION and LOGOUT.
        device_id: Option<u32> => (uint32, optional, tag = "10"),
        /// One `ENCRYPT_NONE` in every upward frame.
        encrypt_type: Vec<i32> => (enumeration = "EncryptType", repeated, packed = "false", tag = "11") as list,
        /// Not in use. Secret.
        encrypt_key: Option<String> => (string, optional, tag = "12") as secret,
        /// Sent by the newer official client only.
        trace_id: Option<u64> => (uint64, optional, tag = "20"),
    }

    /// Protocol version.
    pub enum Version {
        MsyncV1 = 0 => "MSYNC_V1",
        MsyncV2 = 1 => "MSYNC_V2",
    }

    /// Kind of the payload of a frame.
    pub enum Command {
        Sync = 0 => "SYNC",
        Unread = 1 => "UNREAD",
        Notice = 2 => "NOTICE",
        Provision = 3 => "PROVISION",
        Logout = 4 => "LOGOUT",
    }

    /// Payload encryption; only `ENCRYPT_NONE` is in use.
    pub enum EncryptType {
        EncryptNone = 0 => "ENCRYPT_NONE",
        EncryptAes128Cbc = 1 => "ENCRYPT_AES_128_CBC",
        EncryptAes256Cbc = 2 => "ENCRYPT_AES_256_CBC",
    }
}
