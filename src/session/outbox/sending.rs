//! Sends, from the application's word to their outcome.

use std::mem;

use bytes::Bytes;

use super::answer;
use crate::session::{
    Action,
    context::Cx,
    machine::{Phase, Session},
    outbox::{ack, buffered::BufferedSend, pending::SendKind},
};
use crate::{
    model::{
        error::{Code, DisconnectReason, LossCause, SendError},
        outgoing::{Outgoing, Sent},
    },
    wire::{CommSyncDl, CommSyncUl, MSync, Meta},
};

/// A meta as the frame that sends it.
pub(in crate::session) fn encoded(meta: Meta) -> Bytes {
    MSync::client_sync(&CommSyncUl::send(meta)).to_bytes()
}

impl Session {
    /// Writes a message, or keeps it for the next link; says at once what keeps it from both.
    pub(in crate::session) fn send(&mut self, client_id: u64, message: Outgoing, cx: &mut Cx<'_>) {
        if let Err(error) = self.try_send(client_id, message, cx) {
            cx.out.push(Action::Sent { client_id, outcome: Err(error) });
        }
    }

    fn try_send(&mut self, client_id: u64, message: Outgoing, cx: &mut Cx<'_>) -> Result<(), SendError> {
        let keeps = self.is_resuming();
        if !keeps && !matches!(self.phase, Phase::Online(_)) {
            return Err(SendError::NotLoggedIn);
        }
        let config = &cx.env.config;
        let limits = &config.limits;
        if keeps && limits.buffered_sends == 0 {
            return Err(SendError::Reconnecting);
        }
        // What is kept will be unanswered once it is written.
        let limit = if keeps { limits.buffered_sends.min(limits.pending_sends) } else { limits.pending_sends };
        self.check(client_id, limit)?;
        let frame = encoded(message.into_meta(client_id, &config.app_key, &self.user));
        let (bytes, limit) = (frame.len(), limits.frame.min(limits.outbox));
        if bytes > limit {
            return Err(SendError::TooLarge { bytes, limit });
        }
        if keeps {
            if self.outbox.buffered.bytes().saturating_add(bytes) > limits.outbox {
                return Err(SendError::OutboxFull { limit: limits.outbox });
            }
            let since = cx.now.mono;
            self.outbox.buffered.push(BufferedSend {
                client_id,
                since,
                ages_from: since.max(self.outbox.kept_from),
                frame,
            });
        } else {
            self.write("send", client_id, SendKind::Message, frame, cx);
        }
        Ok(())
    }

    /// Whether one more send of this id fits; the id goes first, so that one in use is told as such in every case.
    pub(in crate::session) fn check(&self, client_id: u64, limit: usize) -> Result<(), SendError> {
        if client_id == 0 || self.outbox.pending.contains(client_id) || self.outbox.buffered.contains(client_id) {
            return Err(SendError::in_use(client_id));
        }
        if self.outbox.pending.len() + self.outbox.buffered.len() >= limit {
            Err(SendError::Backlog { limit })
        } else {
            Ok(())
        }
    }

    /// Writes what is answered like a send; the wait for the answer begins.
    pub(in crate::session) fn write(
        &mut self,
        kind: &'static str,
        client_id: u64,
        what: SendKind,
        frame: Bytes,
        cx: &mut Cx<'_>,
    ) {
        self.outbox.pending.push(client_id, cx.now.mono, what);
        cx.transmit(kind, frame);
    }

    /// Writes what was kept, in the order it was given.
    pub(in crate::session) fn send_kept(&mut self, cx: &mut Cx<'_>) {
        // The timer may be late, and nothing older than promised may go out.
        self.expire_kept(cx);
        for BufferedSend { client_id, frame, .. } in mem::take(&mut self.outbox.buffered).into_all() {
            self.write("send", client_id, SendKind::Message, frame, cx);
        }
        self.send_receipts(cx);
    }

    /// Gives up what was kept for as long as anything is.
    pub(in crate::session) fn expire_kept(&mut self, cx: &mut Cx<'_>) {
        let (longest, now) = (cx.env.config.buffer_sends_for, cx.now.mono);
        while let Some(BufferedSend { client_id, since, .. }) = self.outbox.buffered.take_old(longest, now) {
            let outcome = Err(SendError::Expired { client_id, waited: now.saturating_sub(since) });
            cx.out.push(Action::Sent { client_id, outcome });
        }
    }

    /// The session ends: what was kept was never written.
    pub(in crate::session) fn drop_kept(&mut self, reason: &DisconnectReason, cx: &mut Cx<'_>) {
        for BufferedSend { client_id, .. } in mem::take(&mut self.outbox.buffered).into_all() {
            cx.out.push(Action::Sent { client_id, outcome: Err(SendError::Ended(reason.clone())) });
        }
        self.drop_receipts(cx);
    }

    /// The answer to a send; one that nobody waits for is ignored (messages spec §1.9).
    pub(in crate::session) fn answered(&mut self, sync: &CommSyncDl, cx: &mut Cx<'_>) {
        let client_id = sync.meta_id.unwrap_or(0);
        let Some(what) = self.outbox.pending.answered(client_id) else {
            return;
        };
        let outcome = match &sync.status {
            Some(status) => answer::classify(status).map_err(|error| error.shown_by(|text| self.shown(text))),
            // The web SDK waits for ever here; 604 says that the answer cannot be used.
            None => Err(SendError::Refused {
                code: Code::LOAD_MESSAGE_ERROR,
                status: 0,
                reason: "the answer has no status".to_owned(),
            }),
        };
        let outcome = outcome.map(|()| {
            let mut sent = Sent::new(client_id, sync.server_id.unwrap_or(0), sync.timestamp.unwrap_or(0));
            if let Some(meta) = sync.metas.first() {
                ack::read(meta, &self.user, &mut sent);
            }
            sent
        });
        self.settle(client_id, what, outcome, cx);
        self.send_receipts(cx);
    }

    /// Tells what came of a send to whom it concerns.
    fn settle(&mut self, client_id: u64, what: SendKind, outcome: Result<Sent, SendError>, cx: &mut Cx<'_>) {
        match (what, &outcome) {
            (SendKind::Message, _) => {}
            (SendKind::Receipt, _) => return,
            (SendKind::Room(request), outcome) => self.room_settled(*request, outcome.is_ok(), cx),
            (SendKind::Rejoin(request, _), Err(error @ SendError::Refused { .. })) => {
                self.room_lost(&request, error, cx);
                return;
            }
            // One that was on its way when the link was lost is tried again on the next.
            (SendKind::Rejoin(..), _) => return,
        }
        cx.out.push(Action::Sent { client_id, outcome });
    }

    /// Gives up on the sends whose answer is due; why the link is to be given up for it, if any was.
    pub(in crate::session) fn give_up_due(&mut self, cx: &mut Cx<'_>) -> Option<LossCause> {
        let (limit, now) = (cx.env.config.send_timeout, cx.now.mono);
        if !self.outbox.pending.deadline(limit).is_some_and(|due| cx.env.arrivals.is_late(due, limit, now)) {
            return None;
        }
        let mut first = None;
        while let Some((client_id, what)) = self.outbox.pending.take_due(limit, now) {
            let Some(cause) = what.unanswered() else {
                self.unasked_for_is_due(client_id, what, cx);
                continue;
            };
            first.get_or_insert_with(|| cause.clone());
            self.settle(client_id, what, Err(SendError::OutcomeUnknown { client_id, cause }), cx);
        }
        self.tell_first_unanswered(cx);
        if first.is_none() {
            self.send_receipts(cx);
        }
        first
    }

    /// What nobody asked for costs no link: whether the service answers receipts is not known (messages spec §9.3).
    fn unasked_for_is_due(&mut self, client_id: u64, what: SendKind, cx: &mut Cx<'_>) {
        match what {
            SendKind::Receipt => self.outbox.receipts.expired(),
            SendKind::Rejoin(request, tried) => self.rejoin_due(client_id, request, tried, cx),
            SendKind::Message | SendKind::Room(_) => {}
        }
    }

    /// Unanswered sends may or may not have arrived.
    pub(in crate::session) fn fail_sends(&mut self, cause: &LossCause, cx: &mut Cx<'_>) {
        self.tell_receipts(cx);
        for (client_id, what) in mem::take(&mut self.outbox.pending).into_all() {
            let outcome = Err(SendError::OutcomeUnknown { client_id, cause: cause.clone() });
            self.settle(client_id, what, outcome, cx);
        }
    }
}
