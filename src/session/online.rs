//! The link is up: frames, heartbeat, deadlines.

use std::time::Duration;

use bytes::Bytes;

use super::{Action, Diagnostic, Now, arrivals::Arrivals};
use crate::session::{
    context::Cx,
    handshake,
    inbox::{
        offline_sync::OfflineSync,
        pages::transmit_pull,
        queues::{Overdue, Queues},
    },
    machine::{Flow, Phase, Session, end},
};
use crate::{
    config::Config,
    model::error::LossCause,
    wire::{Downward, MSync, PageView},
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
    pub(super) queues: Queues,
    pub(super) offline: OfflineSync,
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
            queues: Queues::default(),
            offline: OfflineSync::default(),
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

    /// More of a message came that is not whole yet.
    pub(super) fn part(&mut self, now: Now) {
        self.last_inbound = now.mono;
    }

    /// When the peer must have sent a frame again, whatever else comes: after four idle times.
    fn must_speak(&self, config: &Config) -> Duration {
        self.last_frame.saturating_add(config.heartbeat_idle.saturating_mul(4))
    }

    /// Sends the heartbeat, which also asks which queues hold something.
    pub(super) fn beat(&mut self, cx: &mut Cx<'_>) {
        self.last_beat = cx.now.mono;
        self.beat_sent = Some(cx.now.mono);
        self.queues.list_asked();
        cx.transmit("UNREAD", handshake::unread());
    }

    /// Sends a heartbeat now, unless one is unanswered: whether the peer is still there must be known soon.
    pub(super) fn probe(&mut self, cx: &mut Cx<'_>) {
        if self.beat_sent.is_none() {
            self.beat(cx);
        }
    }

    /// When the next heartbeat, or the answer to the last one, is due.
    pub(super) fn heartbeat_due(&self, config: &Config) -> Duration {
        match self.beat_sent {
            Some(sent) => sent.saturating_add(config.heartbeat_answer),
            None => self.next_beat(config),
        }
    }

    /// A list of queues came, which is what a heartbeat asks for.
    pub(super) fn list_came(&mut self, now: Now) {
        self.last_beat = now.mono;
    }

    /// When to send the next heartbeat: an idle time after the last frame or heartbeat, and after two idle times at the
    /// latest, whatever comes, because its answer also names the queues whose notice was missed.
    fn next_beat(&self, config: &Config) -> Duration {
        let idle = config.heartbeat_idle;
        let quiet = self.last_frame.max(self.last_beat).saturating_add(idle);
        quiet.min(self.last_beat.saturating_add(idle.saturating_mul(2)))
    }

    /// When a heartbeat, its answer, or that to the oldest pull is due, or a queue may be pulled again.
    pub(super) fn deadline(&self, config: &Config, arrivals: &Arrivals) -> Duration {
        let mut heartbeat = self.heartbeat_due(config);
        if self.beat_sent.is_some() {
            heartbeat = arrivals.due(heartbeat, config.heartbeat_answer);
        }
        let pull = self.queues.deadline().map(|due| arrivals.due(due, Queues::PATIENCE));
        [pull, self.queues.parked_until()].into_iter().flatten().fold(heartbeat, Duration::min)
    }
}

impl Session {
    /// Reads a binary message. What does not decode is dropped and noted; the connection survives (connection spec §16).
    pub(super) fn frame(&mut self, bytes: &[u8], cx: &mut Cx<'_>) -> Flow {
        cx.env.arrivals.whole();
        let limit = cx.env.config.limits.frame;
        if let Phase::Online(online) = &mut self.phase
            && bytes.len() <= limit
            && let Some(page) = PageView::of(bytes)
        {
            online.heard(cx.now);
            return self.page_seen(page, bytes.len(), cx);
        }
        let decoded =
            MSync::decode_frame(Bytes::copy_from_slice(bytes), limit).and_then(|frame| frame.downward_lossy());
        let (mut frame, broken) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                match self.inbox.odd.undecodable.strikes(1, cx.now.mono) {
                    None => {}
                    Some(1) => cx.out.push(Action::Note(Diagnostic::Undecodable { length: bytes.len(), error })),
                    Some(count) => cx.out.push(Action::Note(Diagnostic::MoreUndecodable { count })),
                }
                if let Phase::Online(online) = &mut self.phase {
                    online.alive(cx.now, &cx.env.config);
                }
                return Flow::Continue(());
            }
        };
        if let Phase::Online(online) = &mut self.phase {
            online.heard(cx.now);
        }
        Self::take_texts_in(&mut frame);
        match (&self.phase, frame) {
            (Phase::Waiting { .. }, _) => Flow::Continue(()),
            (Phase::Entering { .. }, Downward::Provision(answer)) => self.provision_answer(*answer, cx),
            (Phase::Online(_) | Phase::LoggingOut { .. }, Downward::Sync(sync)) => {
                self.sync(sync, broken, bytes.len(), cx)
            }
            (Phase::LoggingOut { reason, .. }, Downward::Logout(_)) => {
                cx.env.logout_answered = true;
                end(reason.clone())
            }
            (Phase::LoggingOut { .. }, _) => Flow::Continue(()),
            (Phase::Online(_), Downward::Unread(unread)) => self.unread(&unread, cx),
            (Phase::Online(_), Downward::Notice(notice)) => {
                if let Some(queue) = &notice.queue {
                    self.announced(queue, cx);
                    self.pull_waiting(cx);
                }
                Flow::Continue(())
            }
            (Phase::Entering { .. } | Phase::Online(_), frame) => {
                cx.out.push(Action::Note(Diagnostic::Unexpected { frame: kind(&frame) }));
                Flow::Continue(())
            }
        }
    }

    /// The heartbeat's, a pull's or a send's deadline.
    pub(super) fn online_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        let now = cx.now.mono;
        if let Some(cause) = self.give_up_due(cx) {
            // The others still had time: they are lost with the link (connection spec §8.3: 510, not 512).
            self.fail_sends(&LossCause::ClosedHere, cx);
            return self.lost(cause, cx);
        }
        self.retry_due(cx);
        let Phase::Online(online) = &mut self.phase else {
            return Flow::Continue(());
        };
        let arrivals = &mut cx.env.arrivals;
        let late = online.queues.deadline().is_some_and(|due| arrivals.is_late(due, Queues::PATIENCE, now));
        while late && let Some(overdue) = online.queues.overdue(now) {
            match overdue {
                Overdue::Repeat(pull) => transmit_pull(pull, &mut self.inbox.cursors, cx),
                // Whatever else comes on this link, what waits in that queue does not.
                Overdue::GiveUp => {
                    let cause = self.pull_unanswered(cx);
                    return self.lost(cause, cx);
                }
            }
        }
        if online.queues.parked_until().is_some_and(|until| now >= until) {
            self.pull_waiting(cx);
        }
        let Phase::Online(online) = &mut self.phase else {
            return Flow::Continue(());
        };
        let (due, limit) = (online.heartbeat_due(&cx.env.config), cx.env.config.heartbeat_answer);
        if now < due {
            return Flow::Continue(());
        }
        if online.beat_sent.is_some() {
            if !cx.env.arrivals.is_late(due, limit, now) {
                return Flow::Continue(());
            }
            let silent_for = now.saturating_sub(online.last_frame);
            return self.lost(LossCause::HeartbeatTimeout { silent_for }, cx);
        }
        online.beat(cx);
        Flow::Continue(())
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
