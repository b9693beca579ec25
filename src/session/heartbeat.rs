//! A link that is up: its heartbeat, and the times of inbound traffic.

use std::time::Duration;

use crate::{
    config::Config,
    model::error::LossCause,
    session::{Now, arrivals::Arrivals, context::Cx, handshake, inbox::Inbox},
};

/// A link that the server accepted.
#[derive(Debug)]
pub(super) struct Online {
    session_id: Box<str>,
    since: Duration,
    /// Time of the last bytes, pings and undecodable frames included.
    last_inbound: Duration,
    /// Time of the last frame that decodes.
    last_frame: Duration,
    /// Time of the last heartbeat sent, or of the last queue list.
    last_beat: Duration,
    /// Time of the unanswered heartbeat.
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

    /// Records a frame that decodes: the peer is alive.
    pub(super) fn heard(&mut self, now: Now) {
        self.last_inbound = now.mono;
        self.last_frame = now.mono;
        self.beat_sent = None;
    }

    /// Records other traffic. It may come from a gateway in front of a dead service, so it counts only while frames
    /// come now and then, and does not replace the heartbeat.
    pub(super) fn alive(&mut self, now: Now, config: &Config) {
        self.last_inbound = now.mono;
        if now.mono < self.must_speak(config) {
            self.beat_sent = None;
        }
    }

    /// Records bytes of an unfinished message.
    pub(super) fn arriving(&mut self, now: Now) {
        self.last_inbound = now.mono;
    }

    /// Returns the deadline for the next frame, whatever else comes: 4 idle times.
    fn must_speak(&self, config: &Config) -> Duration {
        self.last_frame.saturating_add(config.heartbeat_idle.saturating_mul(4))
    }

    /// Sends the heartbeat, which also requests the list of non-empty queues.
    pub(super) fn beat(&mut self, inbox: &mut Inbox, cx: &mut Cx<'_>) {
        self.last_beat = cx.now.mono;
        self.beat_sent = Some(cx.now.mono);
        inbox.list_requested();
        cx.transmit("UNREAD", handshake::unread());
    }

    /// Sends a heartbeat now, unless one is unanswered, to learn soon if the peer is alive.
    pub(super) fn probe(&mut self, inbox: &mut Inbox, cx: &mut Cx<'_>) {
        if self.beat_sent.is_none() {
            self.beat(inbox, cx);
        }
    }

    /// Records a queue list: the answer to a heartbeat.
    pub(super) fn list_came(&mut self, now: Now) {
        self.last_beat = now.mono;
    }

    /// Returns the deadline of the next heartbeat or of its answer, ignoring arrivals.
    fn heartbeat(&self, config: &Config) -> Duration {
        match self.beat_sent {
            Some(sent) => sent.saturating_add(config.heartbeat_answer),
            None => self.next_beat(config),
        }
    }

    /// Returns the time of the next heartbeat: an idle time after the last frame or heartbeat, and 2 idle times at
    /// most, because its answer also names queues of missed notices.
    fn next_beat(&self, config: &Config) -> Duration {
        let idle = config.heartbeat_idle;
        let quiet = self.last_frame.max(self.last_beat).saturating_add(idle);
        quiet.min(self.last_beat.saturating_add(idle.saturating_mul(2)))
    }

    /// Returns the deadline of the next heartbeat, or of the answer to the last one.
    pub(super) fn deadline(&self, config: &Config, arrivals: &Arrivals) -> Duration {
        let heartbeat = self.heartbeat(config);
        if self.beat_sent.is_none() { heartbeat } else { arrivals.due(heartbeat, config.heartbeat_answer) }
    }

    /// Sends the heartbeat that is due.
    ///
    /// # Errors
    /// The last heartbeat was not answered: drop the link.
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
