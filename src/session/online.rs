//! The link is up: heartbeat, queues, messages, kicks, answers to sends.

use std::{mem, time::Duration};

use bytes::Bytes;

use super::{
    Action, Note, Now, answer, frames,
    inbound::{self, Inbound},
    life::{Flow, Phase, Purpose, Session},
    queues::{Pull, Queues},
    token::ServerClock,
    world::Context,
};
use crate::{
    Config, EventKind, EventMask, Kick, LossCause, Outgoing, SendError, Sent,
    wire::{CommSyncDl, CommSyncUl, CommUnreadDl, Downward, Jid, MSync},
};

/// One link that the server accepted.
#[derive(Debug)]
pub(super) struct Online {
    session_id: Box<str>,
    since: Duration,
    /// When anything came, a ping or what does not decode included.
    last_inbound: Duration,
    /// When a frame came that decodes.
    last_frame: Duration,
    /// When the heartbeat that nothing has answered yet was sent.
    beat_sent: Option<Duration>,
    queues: Queues,
}

impl Online {
    pub(super) fn new(session_id: Box<str>, now: Now) -> Self {
        Online {
            session_id,
            since: now.mono,
            last_inbound: now.mono,
            last_frame: now.mono,
            beat_sent: None,
            queues: Queues::default(),
        }
    }

    pub(super) fn session_id(&self) -> &str {
        &self.session_id
    }

    pub(super) fn since(&self) -> Duration {
        self.since
    }

    pub(super) fn last_inbound(&self) -> Duration {
        self.last_inbound
    }

    /// A frame came that decodes: the peer lives and speaks.
    pub(super) fn heard(&mut self, now: Now) {
        self.last_inbound = now.mono;
        self.last_frame = now.mono;
        self.beat_sent = None;
    }

    /// Something else came: the peer lives. It may be a gateway before a service that does not, so this counts only as
    /// long as frames come now and then.
    pub(super) fn alive(&mut self, now: Now, config: &Config) {
        self.last_inbound = now.mono;
        if now.mono < self.must_speak(config) {
            self.beat_sent = None;
        }
    }

    /// When the peer must have sent a frame again, whatever else comes: after four idle times.
    fn must_speak(&self, config: &Config) -> Duration {
        self.last_frame.saturating_add(config.heartbeat_idle.saturating_mul(4))
    }

    /// Sends the heartbeat, which also asks which queues hold something.
    pub(super) fn beat(&mut self, context: &mut Context<'_>) {
        self.beat_sent = Some(context.now.mono);
        context.transmit("UNREAD", frames::unread());
    }

    /// Sends a heartbeat now, unless one is unanswered: whether the peer is still there must be known soon.
    pub(super) fn probe(&mut self, context: &mut Context<'_>) {
        if self.beat_sent.is_none() {
            self.beat(context);
        }
    }

    /// When the next heartbeat, or the answer to the last one, is due.
    pub(super) fn heartbeat_due(&self, config: &Config) -> Duration {
        match self.beat_sent {
            Some(sent) => sent.saturating_add(config.heartbeat_answer),
            None => self.last_inbound.saturating_add(config.heartbeat_idle).min(self.must_speak(config)),
        }
    }
}

fn transmit_pull(pull: Pull, context: &mut Context<'_>) {
    context.transmit("pull", MSync::client_sync(&CommSyncUl::pull(pull.queue, pull.key)).to_bytes());
}

impl Session {
    /// Reads a binary message. What does not decode is dropped and noted; the connection survives (§16).
    pub(super) fn frame(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Flow {
        let limit = context.world.config.limits.frame;
        let decoded =
            MSync::decode_frame(Bytes::copy_from_slice(bytes), limit).and_then(|frame| frame.downward_lossy());
        let frame = match decoded {
            Ok((frame, 0)) => frame,
            Ok((frame, count)) => {
                context.out.push(Action::Note(Note::LostMetas { count }));
                frame
            }
            Err(error) => {
                context.out.push(Action::Note(Note::Undecodable { length: bytes.len(), error }));
                if let Phase::Online(online) = &mut self.phase {
                    online.alive(context.now, &context.world.config);
                }
                return Flow::Stay;
            }
        };
        if let Phase::Online(online) = &mut self.phase {
            online.heard(context.now);
        }
        match (&self.phase, frame) {
            (Phase::Waiting { .. }, _) => Flow::Stay,
            (Phase::Entering { .. }, Downward::Provision(answer)) => self.provision_answer(*answer, context),
            (Phase::Online(_) | Phase::LoggingOut { .. }, Downward::Sync(sync)) => self.sync(sync, context),
            (Phase::LoggingOut { reason, .. }, Downward::Logout(_)) => Flow::End(reason.clone()),
            (Phase::LoggingOut { .. }, _) => Flow::Stay,
            (Phase::Online(_), Downward::Unread(unread)) => self.unread(&unread, context),
            (Phase::Online(_), Downward::Notice(notice)) => {
                if let Some(queue) = &notice.queue {
                    self.announced(queue, context);
                }
                Flow::Stay
            }
            (Phase::Entering { .. } | Phase::Online(_), frame) => {
                context.out.push(Action::Note(Note::Unexpected { frame: kind(&frame) }));
                Flow::Stay
            }
        }
    }

    fn unread(&mut self, unread: &CommUnreadDl, context: &mut Context<'_>) -> Flow {
        if let Some(timestamp) = unread.timestamp.filter(|timestamp| *timestamp != 0) {
            self.server_clock = Some(ServerClock::new(timestamp, context.now));
            if let Some(clock) = &mut self.clock {
                clock.heard_server_clock(timestamp, context.now);
            }
        }
        // What is past the bound is named again by the next answer.
        for queue in unread.unread.iter().filter_map(|entry| entry.queue.as_ref()).take(Queues::CAPACITY) {
            self.announced(queue, context);
        }
        // Places of pulls that nothing has answered are free again by now.
        let at_once = context.world.config.limits.pulls;
        if let Phase::Online(online) = &mut self.phase {
            while let Some(pull) = online.queues.next_waiting(at_once, context.now.mono) {
                transmit_pull(pull, context);
            }
        }
        self.token_due(context)
    }

    fn announced(&mut self, queue: &Jid, context: &mut Context<'_>) {
        if let Phase::Online(online) = &mut self.phase
            && let Some(pull) = online.queues.announced(queue, context.world.config.limits.pulls, context.now.mono)
        {
            transmit_pull(pull, context);
        }
    }

    fn sync(&mut self, sync: CommSyncDl, context: &mut Context<'_>) -> Flow {
        if sync.meta_id.unwrap_or(0) > 0 {
            self.answered(&sync, context);
            return Flow::Stay;
        }
        self.page(sync, context)
    }

    /// A page of a queue, pulled or pushed: its messages, then the pull that acknowledges it.
    fn page(&mut self, sync: CommSyncDl, context: &mut Context<'_>) -> Flow {
        let status = sync.status.as_ref().and_then(|status| status.error_code).unwrap_or(0);
        if status != 0 {
            context.out.push(Action::Note(Note::PageStatus { status }));
        }
        let limits = &context.world.config.limits;
        if sync.metas.len() > limits.batch {
            let detail = format!("a page of {} messages is over the limit of {}", sync.metas.len(), limits.batch);
            return self.lost(LossCause::Protocol(detail), context);
        }
        let (mut fresh, mut kicked) = (false, None);
        for meta in sync.metas {
            // A kick must be heard whatever its id; everything else once.
            if !inbound::is_statistics(&meta) {
                if !self.recent.insert(meta.id.unwrap_or(0), context.now.mono, &context.world.config.limits) {
                    continue;
                }
                fresh = true;
                if !context.world.wanted.contains(EventMask::MESSAGE) {
                    if !mem::replace(&mut self.unheard, true) {
                        context.out.push(Action::Note(Note::Unheard));
                    }
                    continue;
                }
            }
            match inbound::read(&meta) {
                Inbound::Message(message) => context.emit(EventKind::Message(message)),
                Inbound::Kick(kick) => kicked = kicked.or(Some(kick)),
                Inbound::Statistics => {}
            }
        }
        // The messages beside a kick were taken from the queue for this device, so they are heard before it.
        if let Some(kick) = kicked {
            let kick = match kick {
                Kick::LoggedInElsewhere { ext } => Kick::LoggedInElsewhere { ext: ext.map(|ext| self.shown(ext)) },
                other => other,
            };
            return self.kicked(kick, context);
        }
        let at_once = context.world.config.limits.pulls;
        if let Phase::Online(online) = &mut self.phase
            && let Some(queue) = sync.queue.as_ref()
        {
            let now = context.now.mono;
            let next = online.queues.page(queue, sync.next_key, sync.is_last.unwrap_or(false), fresh, now);
            if let Some(pull) = next.or_else(|| online.queues.next_waiting(at_once, now)) {
                transmit_pull(pull, context);
            }
        }
        Flow::Stay
    }

    /// The answer to a send; one that nobody waits for is ignored (messages spec §1.9).
    fn answered(&mut self, sync: &CommSyncDl, context: &mut Context<'_>) {
        let client_id = sync.meta_id.unwrap_or(0);
        if !self.sends.answered(client_id) {
            return;
        }
        let outcome = match &sync.status {
            Some(status) => answer::classify(status).map_err(|error| match error {
                SendError::Refused { code, status, reason } => {
                    SendError::Refused { code, status, reason: self.shown(reason) }
                }
                other => other,
            }),
            // The web SDK waits for ever here; 604 says that the answer cannot be used.
            None => Err(SendError::Refused {
                code: crate::Code::LOAD_MESSAGE_ERROR,
                status: 0,
                reason: "the answer has no status".to_owned(),
            }),
        };
        let outcome = outcome.map(|()| Sent::new(client_id, sync.server_id.unwrap_or(0), sync.timestamp.unwrap_or(0)));
        context.out.push(Action::Sent { client_id, outcome });
    }

    pub(super) fn send(&mut self, client_id: u64, message: Outgoing, context: &mut Context<'_>) {
        let config = &context.world.config;
        let refused = match &self.phase {
            Phase::Online(_) if self.sends.len() >= config.limits.pending_sends => {
                Some(SendError::Backlog { limit: config.limits.pending_sends })
            }
            Phase::Online(_) if client_id == 0 || self.sends.contains(client_id) => {
                Some(SendError::Invalid(format!("the client id {client_id} is 0 or in use")))
            }
            Phase::Online(_) => None,
            Phase::LoggingOut { .. } => Some(SendError::NotLoggedIn),
            Phase::Entering { purpose: Purpose::Resume, .. } | Phase::Waiting { purpose: Purpose::Resume, .. } => {
                Some(SendError::Reconnecting)
            }
            Phase::Entering { .. } | Phase::Waiting { .. } => Some(SendError::NotLoggedIn),
        };
        if let Some(error) = refused {
            context.out.push(Action::Sent { client_id, outcome: Err(error) });
            return;
        }
        let meta = message.into_meta(client_id, &config.app_key, &self.user);
        let frame = MSync::client_sync(&CommSyncUl::send(meta)).to_bytes();
        let (bytes, limit) = (frame.len(), config.limits.frame.min(config.limits.outbox));
        if bytes > limit {
            context.out.push(Action::Sent { client_id, outcome: Err(SendError::TooLarge { bytes, limit }) });
            return;
        }
        self.sends.push(client_id, context.after(config.send_timeout));
        context.transmit("send", frame);
    }

    /// The heartbeat's or a send's deadline.
    pub(super) fn online_due(&mut self, context: &mut Context<'_>) -> Flow {
        let now = context.now.mono;
        if self.sends.deadline().is_some_and(|due| now >= due) {
            while let Some(client_id) = self.sends.take_due(now) {
                let outcome = Err(SendError::OutcomeUnknown { client_id, cause: LossCause::SendUnanswered });
                context.out.push(Action::Sent { client_id, outcome });
            }
            // The others still had time: they are lost with the link (§8.3: 510, not 512).
            self.fail_sends(&LossCause::ClosedHere, context);
            return self.lost(LossCause::SendUnanswered, context);
        }
        let Phase::Online(online) = &mut self.phase else {
            return Flow::Stay;
        };
        if now < online.heartbeat_due(&context.world.config) {
            return Flow::Stay;
        }
        if online.beat_sent.is_some() {
            let silent_for = now.saturating_sub(online.last_frame);
            return self.lost(LossCause::HeartbeatTimeout { silent_for }, context);
        }
        online.beat(context);
        Flow::Stay
    }
}

fn kind(frame: &Downward) -> &'static str {
    match frame {
        Downward::Sync(_) => "SYNC",
        Downward::Unread(_) => "UNREAD",
        Downward::Notice(_) => "NOTICE",
        Downward::Provision(_) => "PROVISION",
        Downward::Logout(_) => "LOGOUT",
        _ => "a command this release does not know",
    }
}
