//! Logging in by PROVISION (connection spec §6).

use std::time::Duration;

use bytes::Bytes;

use crate::{
    local_server::{
        data::Owner,
        faults::{DevicePolicy, DuplicatePolicy},
        net::Outgoing,
        observed::{FrameKind, SessionEnd, SessionInfo},
        protocol::frames,
        rates::Activity,
        state::State,
    },
    model::{account::Token, error::Kick, server_text::ServerText},
    util::unix_time::now_ms,
    wire::{MSync, Provision, RedirectInfo, Status, TOKEN_PREFIX, msync::Command, status::ErrorCode},
};

impl State {
    /// Refuses a PROVISION and ends the session.
    pub(crate) fn refuse_provision(&mut self, id: u64, status: Status, up: Provision) {
        self.stats.refusals += 1;
        self.push(id, Outgoing::Binary(frames::refused(status, up.resource)));
        self.session_closed(id, SessionEnd::Link);
    }

    /// Logs a session in, or refuses it.
    pub(crate) fn provision(&mut self, id: u64, envelope: &MSync, up: Provision, bytes: &Bytes) {
        let (user, resource, expires_ms) = match self.authenticate(envelope, &up) {
            Ok(accepted) => accepted,
            Err(status) => return self.refuse_provision(id, *status, up),
        };
        let resource = self.users.get(&user).and_then(|user| user.named_device.clone()).unwrap_or(resource);
        let elsewhere = Kick::LoggedInElsewhere { ext: up.reason.clone().map(ServerText::from) };
        let duplicates = self.settings.duplicates;
        let (same, mut others): (Vec<_>, Vec<_>) =
            self.users.online(&user).into_iter().partition(|(_, name)| *name == resource);
        for (older, _) in &same {
            match duplicates {
                DuplicatePolicy::Replace => self.session_closed(*older, SessionEnd::Replaced),
                DuplicatePolicy::ReplaceWith206 => self.kick_session(*older, &elsewhere, SessionEnd::Replaced),
                DuplicatePolicy::KeepBoth => {}
                DuplicatePolicy::RefuseNew => {
                    let reason = "Sorry, the device is logged in already";
                    return self.refuse_provision(id, frames::failed(ErrorCode::TooManyDevices, reason), up);
                }
            }
        }
        if let Some((most, policy)) = self.settings.devices {
            let most = most.max(1);
            match policy {
                DevicePolicy::RefuseNew => {
                    // Devices that are there twice count once.
                    others.sort_by(|(_, one), (_, other)| one.cmp(other));
                    others.dedup_by(|(_, one), (_, other)| one == other);
                    if others.len() >= most {
                        let reason = "Sorry, the user is logged in on too many devices";
                        return self.refuse_provision(id, frames::failed(ErrorCode::TooManyDevices, reason), up);
                    }
                }
                DevicePolicy::KickOldest if duplicates == DuplicatePolicy::KeepBoth => {}
                DevicePolicy::KickOldest => {
                    for (oldest, _) in others.iter().take((others.len() + 1).saturating_sub(most)) {
                        self.kick_session(*oldest, &elsewhere, SessionEnd::Kicked);
                    }
                }
            }
        }
        if let Some(user) = self.users.get_mut(&user) {
            user.mailbox.logged_in(&resource);
        }
        let device = SessionInfo {
            user,
            resource: resource.clone(),
            since_ms: now_ms(),
            os_type: up.os_type,
            device_uuid: up.device_uuid,
            device_name: up.device_name,
            version: up.version,
        };
        self.session_provisioned(id, device);
        self.log_frame(id, FrameKind::Provision, bytes.clone());
        let answer = Provision {
            status: frames::ok(),
            resource: Some(resource),
            session_id: up.session_id,
            auth_token: expires_ms.map(|at| format!(r#"{{"expires_in":{at}}}"#)),
            ..Provision::default()
        };
        self.push(id, Outgoing::Binary(frames::envelope(Command::Provision, &answer)));
    }

    /// Returns user, resource and end of the token of a login, or its refusal (connection spec §6.3).
    fn authenticate(&mut self, envelope: &MSync, up: &Provision) -> Result<(String, String, Option<u64>), Box<Status>> {
        let guid = envelope.guid.clone().unwrap_or_default();
        let name = guid.name.unwrap_or_default().to_lowercase();
        if let Some(refusal) = self.faults.next_provision(&name) {
            self.rates.count(Activity::Probes);
            let to = |(host, port): (String, u16)| RedirectInfo { host: Some(host), port: Some(port.into()) };
            return Err(Box::new(Status {
                error_code: Some(refusal.status),
                reason: refusal.reason,
                redirect_info: refusal.redirect.map(to).into_iter().collect(),
            }));
        }
        let no = |code, reason: &str| Box::new(frames::failed(code, reason));
        let resource = [&up.resource, &guid.client_resource].into_iter().flatten().find(|text| !text.is_empty());
        let (Some(token), Some(resource), false) = (token_of(envelope, up), resource, name.is_empty()) else {
            return Err(no(ErrorCode::MissingParameter, "PROVISION needs guid.name, resource and a token"));
        };
        let mismatch = || no(ErrorCode::Fail, "Sorry, token or password does not match login info");
        if guid.app_key.as_deref() != Some(self.app.key.as_str()) {
            return Err(mismatch());
        }
        let Some(user) = self.users.get(&name) else {
            return Err(no(ErrorCode::Fail, "Sorry, user not found"));
        };
        if !user.activated {
            return Err(no(ErrorCode::ImForbidden, "Server serving disabled."));
        }
        self.recognise(&token);
        match self.tokens.get(&token) {
            Some(token) if token.owner != Owner::User(name.clone()) => Err(mismatch()),
            Some(token) if token.is_expired() => Err(no(ErrorCode::Fail, "Sorry, token expired")),
            Some(token) => Ok((name, resource.clone(), token.expires_ms)),
            None => Err(mismatch()),
        }
    }
}

impl State {
    /// Takes a token that the app's certificate has signed for a user of this server, and that was not seen before.
    pub(crate) fn recognise(&mut self, text: &str) {
        let Some(app) = self.settings.app.as_ref().filter(|_| self.tokens.get(text).is_none()) else { return };
        let Ok(token) = Token::new(text) else { return };
        let info = token.inspect();
        let Some(user) = info.user.as_deref().filter(|_| app.signed(&token)) else { return };
        let life = info.expires_at.map(|end| Duration::from_millis(end.saturating_sub(now_ms())));
        if self.users.get(user).is_some() {
            self.tokens.adopt(text.to_owned(), Owner::User(user.to_lowercase()), life);
        }
    }
}

/// Returns the token of a PROVISION: that of `authToken`, else of the envelope, without `$t$`.
fn token_of(envelope: &MSync, up: &Provision) -> Option<String> {
    let json = up.auth_token.as_deref().unwrap_or_default();
    let value = serde_json::from_str::<serde_json::Value>(json).unwrap_or_default();
    let token = value.get("token").and_then(|token| token.as_str()).or(envelope.auth.as_deref())?;
    let token = token.strip_prefix(TOKEN_PREFIX).unwrap_or(token);
    (!token.is_empty()).then(|| token.to_owned())
}
