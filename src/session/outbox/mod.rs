//! Outbound traffic: sends and their acks, sends buffered while the link is down, delivery receipts and chat rooms.

mod answer;
mod buffered;
mod pending;
mod receipts;
mod rejoin;
mod send_ack;

use std::{mem, time::Duration};

use bytes::Bytes;

use crate::{
    model::{
        account::UserId,
        error::{Code, DisconnectReason, LossCause, SendError},
        outgoing::{Outgoing, Sent},
    },
    session::{
        Action,
        arrivals::Arrivals,
        context::Cx,
        outbox::{
            buffered::{BufferedSend, BufferedSends},
            pending::{PendingSends, SendKind},
            receipts::Receipts,
            rejoin::Rooms,
        },
        server_text::redact,
    },
    wire::{CommSyncDl, CommSyncUl, MSync, Meta},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// To the link, at once.
    Up,
    /// Into the buffer, until the link is regained.
    Returning,
    /// None: before the login or after LOGOUT.
    None,
}

/// Outbound state, including what is resumed on the next link.
#[derive(Debug)]
pub(super) struct Outbox {
    user: UserId,
    pending: PendingSends,
    /// Sends for the next link; empty while one is up.
    buffered: BufferedSends,
    /// Earliest next attempt under the flapping floor; buffered sends age from then on.
    ages_from: Duration,
    rooms: Rooms,
    receipts: Receipts,
}

impl Outbox {
    pub(super) fn new(user: UserId) -> Self {
        Outbox {
            user,
            pending: PendingSends::default(),
            buffered: BufferedSends::default(),
            ages_from: Duration::ZERO,
            rooms: Rooms::default(),
            receipts: Receipts::default(),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffered.len()
    }

    /// Sets the time from which sends buffered from now on age: no attempt is made before it.
    pub(super) fn age_from(&mut self, moment: Duration) {
        self.ages_from = moment;
    }

    /// Writes or buffers a message; answers at once if neither is possible.
    pub(super) fn send(&mut self, client_id: u64, message: Outgoing, link: Link, cx: &mut Cx<'_>) {
        if let Err(error) = self.try_send(client_id, message, link, cx) {
            cx.out.push(Action::Sent { client_id, outcome: Err(error) });
        }
    }

    fn try_send(&mut self, client_id: u64, message: Outgoing, link: Link, cx: &mut Cx<'_>) -> Result<(), SendError> {
        let config = &cx.env.config;
        let limits = &config.limits;
        // A buffered send will be pending once it is written.
        let limit = match link {
            Link::Up => limits.pending_sends,
            Link::Returning if limits.buffered_sends == 0 => return Err(SendError::Reconnecting),
            Link::Returning => limits.buffered_sends.min(limits.pending_sends),
            Link::None => return Err(SendError::NotLoggedIn),
        };
        self.check(client_id, limit)?;
        let frame = encoded(message.into_meta(client_id, &config.app_key, &self.user));
        let (bytes, limit) = (frame.len(), limits.frame.min(limits.outbox));
        if bytes > limit {
            return Err(SendError::TooLarge { bytes, limit });
        }
        if link == Link::Up {
            self.write("send", client_id, SendKind::Message, frame, cx);
            return Ok(());
        }
        if self.buffered.bytes().saturating_add(bytes) > limits.outbox {
            return Err(SendError::OutboxFull { limit: limits.outbox });
        }
        let since = cx.now.mono;
        self.buffered.push(BufferedSend { client_id, since, ages_from: since.max(self.ages_from), frame });
        Ok(())
    }

    /// Checks that one more send of this id fits; the id first, so that a duplicate is always reported as such.
    fn check(&self, client_id: u64, limit: usize) -> Result<(), SendError> {
        if client_id == 0 || self.pending.contains(client_id) || self.buffered.contains(client_id) {
            return Err(SendError::in_use(client_id));
        }
        if self.pending.len() + self.buffered.len() >= limit { Err(SendError::Backlog { limit }) } else { Ok(()) }
    }

    /// Writes a frame that gets an ack; it is pending from now on.
    fn write(&mut self, kind: &'static str, client_id: u64, what: SendKind, frame: Bytes, cx: &mut Cx<'_>) {
        self.pending.push(client_id, cx.now.mono, what);
        cx.transmit(kind, frame);
    }

    /// Rejoins the rooms on a new link, then writes the buffered sends in order.
    pub(super) fn link_up(&mut self, cx: &mut Cx<'_>) {
        self.rejoin(cx);
        // The timer may be late, and no expired send may go out.
        self.expire_buffered(cx);
        for BufferedSend { client_id, frame, .. } in mem::take(&mut self.buffered).into_all() {
            self.write("send", client_id, SendKind::Message, frame, cx);
        }
        self.send_receipts(true, cx);
    }

    /// Returns the expiry of the oldest buffered send.
    pub(super) fn buffered_deadline(&self, longest: Duration) -> Option<Duration> {
        self.buffered.deadline(longest)
    }

    /// Fails expired buffered sends.
    pub(super) fn expire_buffered(&mut self, cx: &mut Cx<'_>) {
        let (longest, now) = (cx.env.config.buffer_sends_for, cx.now.mono);
        while let Some(BufferedSend { client_id, since, .. }) = self.buffered.take_old(longest, now) {
            let outcome = Err(SendError::Expired { client_id, waited: now.saturating_sub(since) });
            cx.out.push(Action::Sent { client_id, outcome });
        }
    }

    /// Settles the send of an ack; other acks are ignored (messages spec §1.9).
    pub(super) fn answered(&mut self, sync: &CommSyncDl, link_up: bool, cx: &mut Cx<'_>) {
        let client_id = sync.meta_id.unwrap_or(0);
        let Some(what) = self.pending.answered(client_id) else { return };
        let outcome = match &sync.status {
            Some(status) => {
                answer::classify(status).map_err(|error| error.shown_by(|text| redact(cx.env.origin.redactor(), text)))
            }
            // The web SDK waits for ever here; 604 reports the unusable ack.
            None => Err(SendError::Refused {
                code: Code::LOAD_MESSAGE_ERROR,
                status: 0,
                reason: "the answer has no status".to_owned(),
            }),
        };
        let outcome = outcome.map(|()| {
            let mut sent = Sent::new(client_id, sync.server_id.unwrap_or(0), sync.timestamp.unwrap_or(0));
            if let Some(meta) = sync.metas.first() {
                send_ack::read(meta, &self.user, &mut sent);
            }
            sent
        });
        self.settle(client_id, what, outcome, cx);
        self.send_receipts(link_up, cx);
    }

    /// Reports the outcome of a send to its owner.
    fn settle(&mut self, client_id: u64, what: SendKind, outcome: Result<Sent, SendError>, cx: &mut Cx<'_>) {
        match (what, &outcome) {
            (SendKind::Message, _) => {}
            (SendKind::Receipt, _) => return,
            (SendKind::Room(request), outcome) => self.room_settled(*request, outcome.is_ok(), cx),
            (SendKind::Rejoin(request, _), Err(error @ SendError::Refused { .. })) => {
                self.room_lost(&request, error, cx);
                return;
            }
            // A rejoin in flight when the link was lost is repeated on the next.
            (SendKind::Rejoin(..), _) => return,
        }
        cx.out.push(Action::Sent { client_id, outcome });
    }

    /// Records a page requested at this moment: acks behind it get their limit once more.
    pub(super) fn page_came(&mut self, asked: Duration, now: Duration) {
        self.pending.page_came(asked, now);
    }

    /// Returns the deadline of the oldest pending send.
    pub(super) fn deadline(&self, limit: Duration, arrivals: &Arrivals) -> Option<Duration> {
        self.pending.deadline(limit).map(|due| arrivals.due(due, limit))
    }

    /// Fails sends with an overdue ack.
    ///
    /// # Errors
    /// A send of the application's is overdue: drop the link. The sends that still had time fail with it (connection
    /// spec §8.3: 510, not 512).
    pub(super) fn due(&mut self, cx: &mut Cx<'_>) -> Result<(), LossCause> {
        let (limit, now) = (cx.env.config.send_timeout, cx.now.mono);
        if !self.pending.deadline(limit).is_some_and(|due| cx.env.arrivals.is_late(due, limit, now)) {
            return Ok(());
        }
        let mut first = None;
        while let Some((client_id, what)) = self.pending.take_due(limit, now) {
            let Some(cause) = what.unanswered() else {
                self.unrequested_due(client_id, what, cx);
                continue;
            };
            first.get_or_insert_with(|| cause.clone());
            self.settle(client_id, what, Err(SendError::OutcomeUnknown { client_id, cause }), cx);
        }
        self.report_first_unanswered(cx);
        let Some(cause) = first else {
            self.send_receipts(true, cx);
            return Ok(());
        };
        self.fail_pending(&LossCause::ClosedHere, cx);
        Err(cause)
    }

    /// Handles an overdue ack that nobody awaits. It costs no link: the service may not ack receipts at all (messages
    /// spec §9.3).
    fn unrequested_due(&mut self, client_id: u64, what: SendKind, cx: &mut Cx<'_>) {
        match what {
            SendKind::Receipt => self.receipts.expired(),
            SendKind::Rejoin(request, tried) => self.rejoin_due(client_id, request, tried, cx),
            SendKind::Message | SendKind::Room(_) => {}
        }
    }

    /// Fails all pending sends: they may or may not have arrived.
    pub(super) fn fail_pending(&mut self, cause: &LossCause, cx: &mut Cx<'_>) {
        self.report_receipts(cx);
        for (client_id, what) in mem::take(&mut self.pending).into_all() {
            let outcome = Err(SendError::OutcomeUnknown { client_id, cause: cause.clone() });
            self.settle(client_id, what, outcome, cx);
        }
    }

    /// Settles everything at the end of the session: buffered sends were never written.
    pub(super) fn end(&mut self, reason: &DisconnectReason, cx: &mut Cx<'_>) {
        self.fail_pending(&LossCause::ClosedHere, cx);
        for BufferedSend { client_id, .. } in mem::take(&mut self.buffered).into_all() {
            cx.out.push(Action::Sent { client_id, outcome: Err(SendError::Ended(reason.clone())) });
        }
        self.drop_receipts(cx);
    }
}

fn encoded(meta: Meta) -> Bytes {
    MSync::client_sync(&CommSyncUl::send(meta)).to_bytes()
}
