//! The end of a session: `close`, LOGOUT and settling.

use std::time::Duration;

use crate::{
    config::Endpoints,
    model::{
        EventKind,
        error::{DisconnectReason, OpenError},
    },
    session::{
        Action,
        context::Cx,
        handshake::Identity,
        machine::{End, Flow, Session, end},
        phase::{LoggingOut, Phase},
    },
};

/// A logout that waits for the pages in flight.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) until: Duration,
    pub(super) reason: DisconnectReason,
}

impl Session {
    /// Sends LOGOUT if the link is up, otherwise ends at once.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) -> Flow {
        match &self.phase {
            // The first reason stays: an application that closes because its token ended gets that reason.
            Phase::LoggingOut(_) => Flow::Continue(()),
            Phase::Online(_) => {
                let reason = self.drain.take().map_or(DisconnectReason::Closed, |drain| drain.reason);
                self.log_out("inner:logout", reason, cx)
            }
            _ => end(DisconnectReason::Closed),
        }
    }

    /// Logs out once the message handler is done with the pages in flight, at the latest after the limit.
    pub(super) fn close_within(&mut self, limit: Duration, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        let until = cx.after(limit);
        match (&self.phase, &mut self.drain) {
            (Phase::LoggingOut(_), _) => return Flow::Continue(()),
            (Phase::Online(_), Some(drain)) => drain.until = drain.until.min(until),
            (Phase::Online(_), none) => {
                *none = Some(Box::new(Drain { until, reason }));
                self.inbox.drain();
            }
            _ => return end(reason),
        }
        if limit.is_zero() { self.drain_over(cx) } else { self.drained(cx) }
    }

    /// Logs out if the session waits for the pages in flight, and there is none.
    pub(super) fn drained(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.drain.is_some() && self.inbox.is_drained() { self.drain_over(cx) } else { Flow::Continue(()) }
    }

    /// Ends the wait for the pages in flight.
    pub(super) fn drain_over(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.close(cx)
    }

    /// Ends at once, without a word to the server. An end under way keeps its reason.
    pub(super) fn abandon(&mut self, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        cx.out.push(Action::Reset);
        match &self.phase {
            Phase::LoggingOut(LoggingOut { reason, .. }) => end(reason.clone()),
            _ => end(reason),
        }
    }

    /// Ends at once; on a link that is up a LOGOUT is sent, but not awaited.
    pub(super) fn abort(&mut self, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        if let Phase::LoggingOut(LoggingOut { reason, .. }) = &self.phase {
            return end(reason.clone());
        }
        self.log_out("inner:logout", reason.clone(), cx)?;
        end(reason)
    }

    /// Sends LOGOUT if the link is up, otherwise ends at once.
    pub(super) fn log_out(&mut self, text: &str, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        let (Phase::Online(online), Some(token)) = (&self.phase, self.tokens.token()) else {
            return end(reason);
        };
        let config = &cx.env.config;
        let identity = Identity { app_key: &config.app_key, user: &self.user, device: &self.device, token };
        let frame = identity.logout(online.session_id(), text);
        let until = cx.after(config.logout_timeout);
        cx.transmit("LOGOUT", frame);
        self.inbox.close(cx);
        self.phase = Phase::LoggingOut(LoggingOut { until, reason });
        Flow::Continue(())
    }

    /// Finishes in this order: settles sends, drops the link, answers `open`, notifies subscribers, answers `close`.
    pub(super) fn ended(mut self, end: End, cx: &mut Cx<'_>) {
        cx.env.origin.end();
        self.attempt_ended(&end, cx);
        let closed = DisconnectReason::Closed;
        self.outbox.end(if let End::Disconnected(reason) = &end { reason } else { &closed }, cx);
        self.inbox.oddities.report_rest(cx);
        cx.out.push(Action::Hangup);
        self.inbox.end_offline_sync(cx);
        let unreachable = matches!(
            &end,
            End::LoginFailed(OpenError::Unreachable { .. } | OpenError::Deadline { .. })
                | End::Disconnected(DisconnectReason::AttemptsExhausted { .. })
        );
        if unreachable && matches!(cx.env.config.endpoints, Endpoints::Discovery(_)) {
            cx.env.sockets.forget();
        }
        if self.phase.is_logging_in() {
            let user = self.user.clone();
            cx.out.push(Action::Opened(Err(match &end {
                End::LoginFailed(error) => error.clone(),
                End::Disconnected(DisconnectReason::Refused(refusal)) => {
                    OpenError::Refused { user, refusal: refusal.clone() }
                }
                End::Disconnected(reason) => OpenError::Ended { user, reason: reason.clone() },
            })));
        }
        let reason = if let End::Disconnected(reason) = end { Some(reason) } else { None };
        self.tokens.end(reason.as_ref(), cx);
        if let Some(reason) = reason {
            cx.emit(EventKind::Disconnected { reason });
        }
        cx.out.push(Action::Closed);
    }
}
