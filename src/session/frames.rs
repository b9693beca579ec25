//! The frames a client sends (connection spec §5, §6.1, §7, §8.1, §12).

use bytes::Bytes;
use prost::Message as _;

use crate::{
    AppKey, Token, UserId,
    config::Device,
    wire::{
        CommSyncUl, EncryptType, Jid, Logout, MSync, Meta, Provision, TOKEN_PREFIX, USER_DOMAIN,
        msync::Command,
        provision::{CompressType, OsType},
    },
};

/// The level of the provision protocol that the recorded web SDK speaks.
const ACTION_VERSION: &str = "v5.1";

/// Sent as the client's release.
const RELEASE: &str = concat!("rust-", env!("CARGO_PKG_VERSION"));

fn envelope(command: Command, payload: Option<Vec<u8>>) -> MSync {
    MSync {
        version: Some(0),
        command: Some(command as i32),
        payload: payload.map(Bytes::from),
        encrypt_type: vec![EncryptType::EncryptNone as i32],
        ..MSync::default()
    }
}

fn encoded(frame: &MSync) -> Bytes {
    frame.encode_to_vec().into()
}

/// Who is logging in, in PROVISION and LOGOUT.
pub(crate) struct Identity<'a> {
    pub(crate) app_key: &'a AppKey,
    pub(crate) user: &'a UserId,
    pub(crate) device: &'a Device,
    pub(crate) token: &'a Token,
}

impl Identity<'_> {
    fn envelope(&self, command: Command, payload: Vec<u8>) -> MSync {
        MSync {
            guid: Some(Jid {
                app_key: Some(self.app_key.as_str().to_owned()),
                name: Some(self.user.as_str().to_owned()),
                domain: Some(USER_DOMAIN.to_owned()),
                client_resource: Some(self.device.resource.clone()),
            }),
            auth: Some(format!("{TOKEN_PREFIX}{}", self.token.expose())),
            device_id: Some(0),
            ..envelope(command, Some(payload))
        }
    }

    pub(crate) fn provision(&self, session_id: &str, login_ext: Option<&str>) -> Bytes {
        let auth_token = serde_json::json!({ "token": format!("{TOKEN_PREFIX}{}", self.token.expose()) });
        let os_type = if self.device.platform.is_some() { OsType::OsCustom } else { OsType::OsOther };
        let provision = Provision {
            os_type: Some(os_type as i32),
            version: Some(RELEASE.to_owned()),
            compress_type: vec![CompressType::CompressNone as i32],
            encrypt_type: vec![EncryptType::EncryptNone as i32],
            device_uuid: Some(self.device.uuid.clone()),
            device_name: Some(self.device.name.clone()),
            resource: Some(self.device.resource.clone()),
            action_version: Some(ACTION_VERSION.to_owned()),
            auth_token: Some(auth_token.to_string()),
            os_custom_value: self.device.platform.map(u32::from),
            session_id: Some(session_id.to_owned()),
            reason: login_ext.map(str::to_owned),
            ..Provision::default()
        };
        encoded(&self.envelope(Command::Provision, provision.encode_to_vec()))
    }

    pub(crate) fn logout(&self, session_id: &str, reason: &str) -> Bytes {
        let logout =
            Logout { session_id: Some(session_id.to_owned()), reason: Some(reason.to_owned()), ..Logout::default() };
        encoded(&self.envelope(Command::Logout, logout.encode_to_vec()))
    }
}

/// The heartbeat, which also asks for the queues that hold something.
pub(crate) fn unread() -> Bytes {
    const UNREAD: &[u8] = &[0x08, 0x00, 0x40, 0x01, 0x58, 0x00];
    Bytes::from_static(UNREAD)
}

/// Pulls a queue; with a key it acknowledges what came before.
pub(crate) fn pull(queue: Jid, key: Option<u64>) -> Bytes {
    let sync = CommSyncUl { queue: Some(queue), key, ..CommSyncUl::default() };
    encoded(&envelope(Command::Sync, Some(sync.encode_to_vec())))
}

/// Sends a message.
pub(crate) fn send(meta: Meta) -> Bytes {
    let sync = CommSyncUl { meta: Some(meta), ..CommSyncUl::default() };
    encoded(&envelope(Command::Sync, Some(sync.encode_to_vec())))
}

#[cfg(test)]
mod tests {
    use super::{Command, envelope, unread};
    use prost::Message as _;

    #[test]
    fn the_constant_heartbeat_is_what_the_encoder_makes() {
        assert_eq!(unread(), envelope(Command::Unread, None).encode_to_vec());
    }
}
