//! A link that is up: its heartbeat, and when the server was heard.

use std::time::Duration;

use crate::{
    config::Config,
    model::error::LossCause,
    session::{Now, arrivals::Arrivals, context::Cx, handshake, inbox::Inbox},
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
    /// When the last heartbeat was sent, or the last list of queues came.
    last_beat: Duration,
    /// When the heartbeat that nothing has answered yet was sent.
    beat_sent: Option<Duration>,
}

impl Online {
    pub(super) fn new(session_id: Box<str>, now: Now) -> Self {
        Online {
            session_id,
            since: now.mono,
            last_inbound: now.mono,
            last_frame: now.mono,
            last_beat: now.mono,
            beat_sent: None,
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
    /// long as frames come now and then, and it does not take the heartbeat's place.
    pub(super) fn alive(&mut self, now: Now, config: &Config) {
        self.last_inbound = now.mono;
        if now.mono < self.must_speak(config) {
            self.beat_sent = None;
        }
    }

    /// Notes that more of a message came that is not whole yet.
    pub(super) fn arriving(&mut self, now: Now) {
        self.last_inbound = now.mono;
    }

    /// When the peer must have sent a frame again, whatever else comes: after four idle times.
    fn must_speak(&self, config: &Config) -> Duration {
        self.last_frame.saturating_add(config.heartbeat_idle.saturating_mul(4))
    }

    /// Sends the heartbeat, which also asks which queues hold something.
    pub(super) fn beat(&mut self, inbox: &mut Inbox, cx: &mut Cx<'_>) {
        self.last_beat = cx.now.mono;
        self.beat_sent = Some(cx.now.mono);
        inbox.list_requested();
        cx.transmit("UNREAD", handshake::unread());
    }

    /// Sends a heartbeat now, unless one is unanswered: whether the peer is still there must be known soon.
    pub(super) fn probe(&mut self, inbox: &mut Inbox, cx: &mut Cx<'_>) {
        if self.beat_sent.is_none() {
            self.beat(inbox, cx);
        }
    }

    /// Notes that a list of queues came, which is what a heartbeat asks for.
    pub(super) fn list_came(&mut self, now: Now) {
        self.last_beat = now.mono;
    }

    /// When the next heartbeat, or the answer to the last one, is due, whatever may be on its way.
    fn heartbeat(&self, config: &Config) -> Duration {
        match self.beat_sent {
            Some(sent) => sent.saturating_add(config.heartbeat_answer),
            None => self.next_beat(config),
        }
    }

    /// When to send the next heartbeat: an idle time after the last frame or heartbeat, and after two idle times at the
    /// latest, whatever comes, because its answer also names the queues whose notice was missed.
    fn next_beat(&self, config: &Config) -> Duration {
        let idle = config.heartbeat_idle;
        let quiet = self.last_frame.max(self.last_beat).saturating_add(idle);
        quiet.min(self.last_beat.saturating_add(idle.saturating_mul(2)))
    }

    /// When the next heartbeat is due, or the answer to the last one overdue.
    pub(super) fn deadline(&self, config: &Config, arrivals: &Arrivals) -> Duration {
        let heartbeat = self.heartbeat(config);
        if self.beat_sent.is_none() { heartbeat } else { arrivals.due(heartbeat, config.heartbeat_answer) }
    }

    /// Sends the heartbeat that is due.
    ///
    /// # Errors
    /// The last one was not answered: the link is to be given up.
    pub(super) fn heartbeat_due(&mut self, inbox: &mut Inbox, cx: &mut Cx<'_>) -> Result<(), LossCause> {
        let (due, limit, now) = (self.heartbeat(&cx.env.config), cx.env.config.heartbeat_answer, cx.now.mono);
        if now < due {
            return Ok(());
        }
        if self.beat_sent.is_none() {
            self.beat(inbox, cx);
            return Ok(());
        }
        if cx.env.arrivals.is_late(due, limit, now) {
            return Err(LossCause::HeartbeatTimeout { silent_for: now.saturating_sub(self.last_frame) });
        }
        Ok(())
    }
}
