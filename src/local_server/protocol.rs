//! What the server does with a client's frames (connection spec §6–§9, §12, §17).

use bytes::Bytes;

use super::{
    faults::{DevicePolicy, take_once},
    frames, limits,
    observed::{FrameKind, SessionInfo},
    queues::QueueName,
    routing::SendRefused,
    socket::Outgoing,
    state::{Owner, State, now_ms},
};
use crate::{
    model::{error::Kick, server_text::ServerText},
    wire::{
        CommSyncDl, CommSyncUl, CommUnreadDl, Jid, MSync, MetaQueue, Provision, RedirectInfo, StatisticsBody, Status,
        TOKEN_PREFIX, Upward, msync::Command, statistics_body::Operation, status::ErrorCode,
    },
};

/// A client's frame; `None` for bytes that are none.
fn decode(bytes: &Bytes) -> Option<(MSync, Upward)> {
    let frame = MSync::decode_frame(bytes.clone(), limits::FRAME).ok()?;
    let up = frame.upward().ok()?;
    Some((frame, up))
}

fn kind(up: &Upward) -> FrameKind {
    match up {
        Upward::Provision(_) => FrameKind::Provision,
        Upward::Unread(_) => FrameKind::Unread,
        Upward::Sync(up) => match &up.meta {
            Some(meta) => FrameKind::Send {
                id: meta.id(),
                to: meta.to.as_ref().map(|to| to.name().to_owned()).unwrap_or_default(),
                namespace: meta.ns.unwrap_or_default(),
            },
            None => FrameKind::Pull {
                queue: up.queue.as_ref().map(|queue| queue.name().to_owned()).unwrap_or_default(),
                key: up.key,
            },
        },
        Upward::Logout(_) => FrameKind::Logout,
        Upward::Unknown(number) => FrameKind::Unknown(*number),
    }
}

impl State {
    /// Takes one binary message of a session.
    pub(super) fn received(&mut self, id: u64, bytes: &[u8]) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let provisioned = session.device.is_some();
        // What is kept of it must not keep the buffer it came in.
        let bytes = &Bytes::copy_from_slice(bytes);
        let decoded = decode(bytes);
        self.stats.frames += 1;
        let kind = decoded.as_ref().map_or(FrameKind::Undecodable, |(_, up)| kind(up));
        self.remember_frame(id, kind, bytes.clone());
        match decoded {
            Some((envelope, Upward::Provision(up))) if !provisioned => {
                self.stats.provisions += 1;
                if !self.silent {
                    self.provision(id, &envelope, *up, bytes);
                }
            }
            _ if self.silent => {}
            // Nothing but PROVISION is legal first, and it is legal once.
            _ if !provisioned => self.session_closed(id),
            Some((_, Upward::Provision(up))) => {
                self.refuse(id, frames::failed(ErrorCode::WrongParameter, "provisioned already"), *up);
            }
            Some((_, Upward::Unread(_))) => self.unread(id),
            Some((_, Upward::Sync(up))) => self.sync(id, *up),
            Some((_, Upward::Logout(_))) => {
                self.push(id, Outgoing::Binary(frames::logged_out()));
                self.session_closed(id);
            }
            Some((_, Upward::Unknown(_))) | None => {}
        }
    }

    /// Takes a text message: it is remembered and means nothing.
    pub(super) fn received_text(&mut self, id: u64) {
        self.stats.frames += 1;
        self.remember_frame(id, FrameKind::Text, Bytes::new());
    }

    // PROVISION.

    fn refuse(&mut self, id: u64, status: Status, up: Provision) {
        self.stats.refusals += 1;
        self.push(id, Outgoing::Binary(frames::refused(status, up.resource)));
        self.session_closed(id);
    }

    fn provision(&mut self, id: u64, envelope: &MSync, up: Provision, bytes: &Bytes) {
        let (user, resource, expires_ms) = match self.judge(envelope, &up) {
            Ok(accepted) => accepted,
            Err(status) => return self.refuse(id, *status, up),
        };
        let resource = self.users.get(&user).and_then(|user| user.named_device.clone()).unwrap_or(resource);
        for (other, _) in self.online(&user).into_iter().filter(|(_, name)| *name == resource) {
            self.session_closed(other);
        }
        if let Some((most, policy)) = self.devices {
            let online = self.online(&user);
            if online.len() >= most.max(1) {
                match policy {
                    DevicePolicy::RefuseNew => {
                        let reason = "Sorry, the user is logged in on too many devices";
                        return self.refuse(id, frames::failed(ErrorCode::TooManyDevices, reason), up);
                    }
                    DevicePolicy::KickOldest => {
                        for (oldest, _) in online.iter().take(online.len() + 1 - most.max(1)) {
                            self.kick_session(
                                *oldest,
                                &Kick::LoggedInElsewhere { ext: up.reason.clone().map(ServerText::from) },
                            );
                        }
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
        self.remember_frame(id, FrameKind::Provision, bytes.clone());
        let answer = Provision {
            status: frames::ok(),
            resource: Some(resource),
            session_id: up.session_id,
            auth_token: expires_ms.map(|at| format!(r#"{{"expires_in":{at}}}"#)),
            ..Provision::default()
        };
        self.push(id, Outgoing::Binary(frames::envelope(Command::Provision, &answer)));
    }

    /// Who logs in, on which device, with a token good until when; or why not (connection spec §6.3).
    fn judge(&mut self, envelope: &MSync, up: &Provision) -> Result<(String, String, Option<u64>), Box<Status>> {
        if let Some(refusal) = take_once(&mut self.refuse_provisions, |refusal| &mut refusal.left) {
            let to = |(host, port): (String, u16)| RedirectInfo { host: Some(host), port: Some(port.into()) };
            return Err(Box::new(Status {
                error_code: Some(refusal.status),
                reason: refusal.reason,
                redirect_info: refusal.redirect.map(to).into_iter().collect(),
            }));
        }
        let no = |code, reason: &str| Box::new(frames::failed(code, reason));
        let guid = envelope.guid.clone().unwrap_or_default();
        let name = guid.name.unwrap_or_default().to_lowercase();
        let resource = [&up.resource, &guid.client_resource].into_iter().flatten().find(|text| !text.is_empty());
        let (Some(token), Some(resource), false) = (token_of(envelope, up), resource, name.is_empty()) else {
            return Err(no(ErrorCode::MissingParameter, "PROVISION needs guid.name, resource and a token"));
        };
        let mismatch = || no(ErrorCode::Fail, "Sorry, token or password does not match login info");
        if guid.app_key.as_deref() != Some(self.app_key.as_str()) {
            return Err(mismatch());
        }
        let Some(user) = self.users.get(&name) else {
            return Err(no(ErrorCode::Fail, "Sorry, user not found"));
        };
        if !user.activated {
            return Err(no(ErrorCode::ImForbidden, "Server serving disabled."));
        }
        match self.token(&token) {
            Some(token) if token.owner != Owner::User(name.clone()) => Err(mismatch()),
            Some(token) if token.is_expired() => Err(no(ErrorCode::Fail, "Sorry, token expired")),
            Some(token) => Ok((name, resource.clone(), token.expires_ms)),
            None => Err(mismatch()),
        }
    }

    // Kicks.

    /// Kicks a user's devices, or one of them; answers how many.
    pub(super) fn kick(&mut self, user: &str, resource: Option<&str>, kick: &Kick) -> usize {
        let mut kicked = self.online(&user.to_lowercase());
        kicked.retain(|(_, name)| resource.is_none_or(|resource| resource == name));
        for (id, _) in &kicked {
            self.kick_session(*id, kick);
        }
        kicked.len()
    }

    fn kick_session(&mut self, id: u64, kick: &Kick) {
        let Some(device) = self.sessions.get(&id).and_then(|session| session.device.clone()) else {
            return;
        };
        let (operation, reason) = match kick {
            Kick::UserRemoved => (Operation::UserRemoved, None),
            Kick::LoggedInElsewhere { ext } => {
                (Operation::UserLoginAnotherDevice, ext.as_ref().map(|ext| ext.as_str().to_owned()))
            }
            Kick::PasswordChanged => (Operation::UserKickedByChangePassword, None),
            Kick::ByOtherDevice => (Operation::UserKickedByOtherDevice, None),
        };
        let body = StatisticsBody { operation: Some(operation as i32), reason, ..StatisticsBody::default() };
        let meta_id = self.next_id();
        let frame = frames::kick(&self.app_key, meta_id, &device.user, &device.resource, &body);
        self.push(id, Outgoing::Binary(frame));
        self.session_closed(id);
    }

    // Heartbeat, pulls, sends.

    fn device_of(&self, id: u64) -> Option<(String, String)> {
        let device = self.sessions.get(&id)?.device.as_ref()?;
        Some((device.user.clone(), device.resource.clone()))
    }

    fn unread(&mut self, id: u64) {
        self.stats.heartbeats += 1;
        let Some((user, resource)) = self.device_of(id) else {
            return;
        };
        let queues = self.users.get(&user).map_or_else(Vec::new, |user| user.mailbox.unread(&resource));
        let entry = |(queue, n): (QueueName, usize)| MetaQueue {
            queue: Some(frames::queue_jid(&self.app_key, &queue)),
            n: Some(u32::try_from(n).unwrap_or(u32::MAX)),
        };
        let answer = CommUnreadDl {
            status: frames::ok(),
            unread: queues.into_iter().map(entry).collect(),
            timestamp: Some(now_ms()),
        };
        self.push(id, Outgoing::Binary(frames::envelope(Command::Unread, &answer)));
    }

    fn sync(&mut self, id: u64, up: CommSyncUl) {
        let Some((user, resource)) = self.device_of(id) else {
            return;
        };
        let sends = up.meta.is_some();
        if let Some(meta) = up.meta {
            let meta_id = meta.id;
            let answer = match self.take_meta(id, &user, &resource, meta) {
                Ok(taken) => Some(CommSyncDl {
                    status: frames::ok(),
                    server_id: taken.id,
                    timestamp: Some(taken.at_ms),
                    metas: taken.metas,
                    ..CommSyncDl::default()
                }),
                Err(SendRefused::Refused(status)) => {
                    Some(CommSyncDl { status: Some(status), timestamp: Some(now_ms()), ..CommSyncDl::default() })
                }
                Err(SendRefused::Unanswered) => None,
            };
            if let Some(answer) = answer {
                let answer = CommSyncDl { meta_id, ..answer };
                self.push(id, Outgoing::Binary(frames::envelope(Command::Sync, &answer)));
            }
        }
        if up.queue.is_some() || !sends {
            self.pull(id, &user, &resource, up.queue, up.key);
        }
    }

    /// Answers a pull. A pull of no queue is answered by the end of the user's own, because an answer names a queue.
    fn pull(&mut self, id: u64, user: &str, resource: &str, queue: Option<Jid>, key: Option<u64>) {
        let queue = queue.filter(|jid| jid.name.as_ref().is_some_and(|name| !name.is_empty()));
        let named = queue.as_ref().map_or_else(|| QueueName::user(user), QueueName::of);
        let jid = queue.unwrap_or_else(|| Jid::user(self.app_key.as_str(), user));
        let Ok(owner) = self.user_mut(user) else {
            return;
        };
        let page = owner.mailbox.pull(resource, &named, key);
        let answer = CommSyncDl {
            status: frames::ok(),
            is_last: Some(page.metas.is_empty()),
            metas: page.metas,
            next_key: page.next_key,
            queue: Some(jid),
            timestamp: Some(now_ms()),
            ..CommSyncDl::default()
        };
        self.push(id, Outgoing::Binary(frames::envelope(Command::Sync, &answer)));
    }
}

/// The token of a PROVISION: of `authToken`, else of the envelope, without `$t$`.
fn token_of(envelope: &MSync, up: &Provision) -> Option<String> {
    let json = up.auth_token.as_deref().unwrap_or_default();
    let value = serde_json::from_str::<serde_json::Value>(json).unwrap_or_default();
    let token = value.get("token").and_then(|token| token.as_str()).or(envelope.auth.as_deref())?;
    let token = token.strip_prefix(TOKEN_PREFIX).unwrap_or(token);
    (!token.is_empty()).then(|| token.to_owned())
}
