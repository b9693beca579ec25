//! Frames that a client sends (connection spec §6.1, §12).

use bytes::Bytes;

use crate::{
    model::account::{AppKey, Device, Token, UserId},
    wire::{
        EncryptType, Jid, Logout, MSync, Provision, TOKEN_PREFIX,
        provision::{CompressType, OsType},
    },
};

/// Provision protocol version that the recorded web SDK speaks.
const ACTION_VERSION: &str = "v5.1";

/// Client release sent in PROVISION.
const RELEASE: &str = concat!("rust-", env!("CARGO_PKG_VERSION"));

/// User and device in PROVISION and LOGOUT.
pub(crate) struct Identity<'a> {
    pub(crate) app_key: &'a AppKey,
    pub(crate) user: &'a UserId,
    pub(crate) device: &'a Device,
    pub(crate) token: &'a Token,
}

impl Identity<'_> {
    fn own_jid(&self) -> Jid {
        Jid::user(self.app_key.as_str(), self.user.as_str()).with_resource(&self.device.resource)
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
        MSync::client_provision(self.own_jid(), self.token.expose(), &provision).to_bytes()
    }

    pub(crate) fn logout(&self, session_id: &str, reason: &str) -> Bytes {
        let logout =
            Logout { session_id: Some(session_id.to_owned()), reason: Some(reason.to_owned()), ..Logout::default() };
        MSync::client_logout(self.own_jid(), self.token.expose(), &logout).to_bytes()
    }
}

/// Returns the heartbeat, which also requests the list of non-empty queues.
pub(crate) fn unread() -> Bytes {
    const UNREAD: &[u8] = &[0x08, 0x00, 0x40, 0x01, 0x58, 0x00];
    Bytes::from_static(UNREAD)
}

#[cfg(test)]
mod tests {
    use super::unread;
    use crate::wire::MSync;

    #[test]
    fn the_constant_heartbeat_is_what_the_encoder_makes() {
        assert_eq!(unread(), MSync::client_unread().to_bytes());
    }
}
