//! Dispatch of binary messages to the session's parts.

use bytes::Bytes;

use crate::{
    model::error::{Kick, LossCause},
    session::{
        Diagnostic,
        context::Cx,
        machine::{Flow, Session, end},
        phase::{LoggingOut, Phase},
        server_text::bound_texts,
    },
    wire::{CommSyncDl, CommUnreadDl, Downward, MSync, PageView},
};

impl Session {
    /// Dispatches a binary message. One that does not decode is dropped and logged (connection spec §16).
    pub(super) fn frame(&mut self, bytes: &[u8], cx: &mut Cx<'_>) -> Flow {
        cx.env.arrivals.whole();
        let limit = cx.env.config.limits.frame;
        if let Phase::Online(online) = &mut self.phase
            && bytes.len() <= limit
            && let Some(page) = PageView::of(bytes)
        {
            online.heard(cx.now);
            let came = self.inbox.page_seen(page, bytes.len(), &self.device, &mut self.outbox, cx);
            return self.after_page(came, cx);
        }
        let decoded =
            MSync::decode_frame(Bytes::copy_from_slice(bytes), limit).and_then(|frame| frame.downward_lossy());
        let (mut frame, broken) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                self.inbox.oddities.undecodable(bytes.len(), error, cx);
                if let Phase::Online(online) = &mut self.phase {
                    online.alive(cx.now, &cx.env.config);
                }
                return Flow::Continue(());
            }
        };
        if let Phase::Online(online) = &mut self.phase {
            online.heard(cx.now);
        }
        bound_texts(&mut frame);
        match (&mut self.phase, frame) {
            (Phase::Waiting(_), _) => {}
            (Phase::Connecting(_), Downward::Provision(answer)) => return self.provision_answer(*answer, cx),
            (Phase::Online(_) | Phase::LoggingOut(_), Downward::Sync(sync)) => {
                return self.sync(sync, broken, bytes.len(), cx);
            }
            (Phase::LoggingOut(LoggingOut { reason, .. }), Downward::Logout(_)) => {
                cx.env.logout_answered = true;
                return end(reason.clone());
            }
            (Phase::LoggingOut(_), _) => {}
            (Phase::Online(online), Downward::Unread(unread)) => {
                online.list_came(cx.now);
                return self.unread(&unread, cx);
            }
            (Phase::Online(_), Downward::Notice(notice)) => {
                if let Some(queue) = &notice.queue {
                    self.inbox.noticed(queue, cx);
                    self.request_list(cx);
                }
            }
            (Phase::Connecting(_) | Phase::Online(_), frame) => {
                cx.note(Diagnostic::Unexpected { frame: kind(&frame) });
            }
        }
        Flow::Continue(())
    }

    /// Handles a send ack, or a page.
    fn sync(&mut self, sync: CommSyncDl, broken: Vec<Bytes>, bytes: usize, cx: &mut Cx<'_>) -> Flow {
        if sync.meta_id.unwrap_or(0) > 0 {
            self.inbox.oddities.broken_metas(broken.len(), cx);
            self.outbox.answered(&sync, self.phase.is_online(), cx);
            return Flow::Continue(());
        }
        let came = self.inbox.page_decoded(sync, broken, bytes, &self.device, &mut self.outbox, cx);
        self.after_page(came, cx)
    }

    fn after_page(&mut self, came: Result<Option<Kick>, LossCause>, cx: &mut Cx<'_>) -> Flow {
        match came {
            Ok(None) => {
                self.request_list(cx);
                Flow::Continue(())
            }
            Ok(Some(kick)) => self.kicked(kick, cx),
            Err(cause) => self.lost(cause, cx),
        }
    }

    /// Handles the answer to UNREAD: the server's clock and the list of non-empty queues.
    fn unread(&mut self, unread: &CommUnreadDl, cx: &mut Cx<'_>) -> Flow {
        if let Some(timestamp) = unread.timestamp.filter(|timestamp| *timestamp != 0) {
            self.tokens.heard_server_clock(timestamp, cx);
        }
        self.inbox.listed(unread, cx);
        self.request_list(cx);
        self.token_due(cx)
    }

    /// Requests the queue list again if it overflowed the table and there is room now.
    pub(super) fn request_list(&mut self, cx: &mut Cx<'_>) {
        if self.inbox.wants_list()
            && let Phase::Online(online) = &mut self.phase
        {
            online.beat(&mut self.inbox, cx);
        }
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
