use std::fmt;

use super::health::Health;
use crate::{
    model::{
        EventKind,
        account::UserId,
        error::{Code, DisconnectReason, LossCause, OpenError},
        totals::Totals,
    },
    net::websocket::link::ByteCounts,
    session::{Diagnostic, Engine, Now},
};

#[derive(Default)]
pub(super) struct Stats {
    reconnects: u64,
    last: Option<(String, Option<Code>)>,
    traffic: ByteCounts,
    /// True while the link is up, as far as it is counted.
    online: bool,
}

impl Stats {
    pub(super) fn on_traffic(&mut self, traffic: ByteCounts) {
        self.traffic.read += traffic.read;
        self.traffic.written += traffic.written;
    }

    pub(super) fn on_event(&mut self, kind: &EventKind, totals: Option<&Totals>) {
        if let Some(totals) = totals {
            self.count(kind, totals);
        }
        match kind {
            EventKind::Connected { resumed } => self.reconnects += u64::from(*resumed),
            EventKind::Reconnecting { cause, .. } => self.failed(cause, Some(cause.code())),
            EventKind::Disconnected { reason } if !reason.is_asked() => {
                self.failed(reason, reason.code());
            }
            _ => {}
        }
    }

    /// Counts the loss of a link that was up, and a kick.
    fn count(&mut self, kind: &EventKind, totals: &Totals) {
        let kicked;
        let cause = match kind {
            EventKind::Connected { .. } => {
                self.online = true;
                return;
            }
            EventKind::Reconnecting { cause, .. }
            | EventKind::Disconnected { reason: DisconnectReason::AttemptsExhausted { last: cause, .. } } => cause,
            EventKind::Disconnected { reason: DisconnectReason::Kicked(kick) } => {
                kicked = LossCause::Kicked(kick.clone());
                &kicked
            }
            EventKind::Disconnected { .. } => {
                self.online = false;
                return;
            }
            _ => return,
        };
        if std::mem::take(&mut self.online) {
            totals.link_lost(cause);
        }
    }

    pub(super) fn on_diagnostic(&mut self, diagnostic: &Diagnostic) {
        if let Diagnostic::LoginRetry { cause, .. } = diagnostic {
            self.failed(cause, Some(cause.code()));
        }
    }

    pub(super) fn on_opened(&mut self, result: &Result<(), OpenError>) {
        match result {
            // Its `Disconnected` is counted.
            Ok(()) | Err(OpenError::Ended { .. }) => {}
            Err(error) => self.failed(error, Some(error.code())),
        }
    }

    fn failed(&mut self, cause: &dyn fmt::Display, code: Option<Code>) {
        self.last = Some((cause.to_string(), code));
    }

    pub(super) fn health(&self, user: Option<&UserId>, engine: &Engine, now: Now, lost_records: u64) -> Health {
        let since = |moment: Option<std::time::Duration>| {
            moment.map(|moment| u64::try_from(now.mono.saturating_sub(moment).as_millis()).unwrap_or(u64::MAX))
        };
        Health {
            user: user.map(ToString::to_string),
            state: engine.state(),
            attempts: engine.attempts_at(now),
            reconnects: self.reconnects,
            last_cause: self.last.as_ref().map(|(cause, _)| cause.clone()),
            last_code: self.last.as_ref().and_then(|(_, code)| code.map(Code::number)),
            uptime_ms: since(engine.online_since()),
            last_inbound_ms: since(engine.last_inbound()),
            bytes_in: self.traffic.read,
            bytes_out: self.traffic.written,
            pending_sends: engine.pending_sends(),
            buffered_sends: engine.buffered_sends(),
            waiting_queues: engine.waiting_queues(),
            missed_events: 0,
            lost_records,
            handler_panics: 0,
        }
    }
}
