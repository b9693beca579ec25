//! Frames of clients: dispatch, heartbeats, pulls and sends (connection spec §7, §12, §17).

use bytes::Bytes;

use crate::{
    local_server::{
        data::QueueName,
        limits,
        net::Outgoing,
        observed::{FrameKind, SessionEnd},
        protocol::{frames, send::SendRefused},
        state::State,
    },
    util::unix_time::now_ms,
    wire::{CommSyncDl, CommSyncUl, CommUnreadDl, Jid, MSync, MetaQueue, Upward, msync::Command, status::ErrorCode},
};

/// Decodes a client's frame; `None` for bytes that are none.
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
    /// Handles one binary message of a session.
    pub(crate) fn received(&mut self, id: u64, bytes: &[u8]) {
        let Some(session) = self.links.session(id) else {
            return;
        };
        let provisioned = session.device.is_some();
        // A copy, so that the log does not pin the receive buffer.
        let bytes = &Bytes::copy_from_slice(bytes);
        let decoded = decode(bytes);
        self.stats.frames += 1;
        let kind = decoded.as_ref().map_or(FrameKind::Undecodable, |(_, up)| kind(up));
        self.log_frame(id, kind, bytes.clone());
        match decoded {
            Some((envelope, Upward::Provision(up))) if !provisioned => {
                self.stats.provisions += 1;
                if !self.faults.silent {
                    self.provision(id, &envelope, *up, bytes);
                }
            }
            _ if self.faults.silent => {}
            // Nothing but PROVISION is legal first, and it is legal once.
            _ if !provisioned => self.session_closed(id, SessionEnd::Link),
            Some((_, Upward::Provision(up))) => {
                self.refuse_provision(id, frames::failed(ErrorCode::WrongParameter, "provisioned already"), *up);
            }
            Some((_, Upward::Unread(_))) => self.unread(id),
            Some((_, Upward::Sync(up))) => self.sync(id, *up),
            Some((_, Upward::Logout(_))) => {
                self.push(id, Outgoing::Binary(frames::logged_out()));
                self.session_closed(id, SessionEnd::Logout);
            }
            Some((_, Upward::Unknown(_))) | None => {}
        }
    }

    /// Handles a text message: it is remembered and has no effect.
    pub(crate) fn received_text(&mut self, id: u64) {
        self.stats.frames += 1;
        self.log_frame(id, FrameKind::Text, Bytes::new());
    }

    fn device_of(&self, id: u64) -> Option<(String, String)> {
        let device = self.links.device(id)?;
        Some((device.user.clone(), device.resource.clone()))
    }

    fn unread(&mut self, id: u64) {
        self.stats.heartbeats += 1;
        let Some((user, resource)) = self.device_of(id) else {
            return;
        };
        let queues = self.users.get(&user).map_or_else(Vec::new, |user| user.mailbox.unread(&resource));
        let entry = |(queue, n): (QueueName, usize)| MetaQueue {
            queue: Some(frames::queue_jid(&self.app.key, &queue)),
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
            let answer = match self.accept_send(id, &user, &resource, meta) {
                Ok(accepted) => Some(CommSyncDl {
                    status: frames::ok(),
                    server_id: accepted.id,
                    timestamp: Some(accepted.at_ms),
                    metas: accepted.metas,
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

    /// Answers a pull. One that names no queue gets the end of the user's own, because an answer names a queue.
    fn pull(&mut self, id: u64, user: &str, resource: &str, queue: Option<Jid>, key: Option<u64>) {
        let queue = queue.filter(|jid| jid.name.as_ref().is_some_and(|name| !name.is_empty()));
        let named = queue.as_ref().map_or_else(|| QueueName::user(user), QueueName::of);
        let jid = queue.unwrap_or_else(|| Jid::user(self.app.key.as_str(), user));
        let Ok(owner) = self.users.find(user) else {
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
