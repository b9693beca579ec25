//! A login that has not been accepted yet: how often it is tried, and how it fails.

use std::time::Duration;

use super::{Action, Diagnostic, engine::Engine};
use crate::model::{
    EventKind,
    error::{ConnectStep, DisconnectReason, LossCause, OpenError},
};
use crate::session::{
    context::Cx,
    machine::{Attempt, Flow, Phase, Session, end, fail_login},
    tokens::clock::TokenEnd,
};

/// How a login stands.
#[derive(Clone, Debug)]
pub(super) struct Login {
    /// When it is given up; `None` for one that is kept trying.
    pub(super) deadline: Option<Duration>,
    /// Attempts that failed.
    pub(super) attempts: u32,
    /// Those of them after which the service asked for a pause, of a second at least; only the deadline bounds them.
    pub(super) waits: u32,
}

impl Login {
    /// Whether no attempt may follow when the one under way fails.
    pub(super) fn is_last_attempt(&self) -> bool {
        self.deadline.is_some() && self.attempts.saturating_sub(self.waits) + 1 >= Engine::LOGIN_ATTEMPTS
    }
}

impl Session {
    /// After a failed attempt of a login: a pause and another one, or its end.
    pub(super) fn log_in_again(
        &mut self,
        asked: Option<Duration>,
        login: Login,
        cause: LossCause,
        cx: &mut Cx<'_>,
    ) -> Flow {
        let Login { deadline, attempts, waits } = login;
        // A pause of nothing is none: an attempt after it counts.
        let least = asked.unwrap_or_default();
        let is_last = login.is_last_attempt() && least.is_zero();
        let attempts = attempts.saturating_add(1);
        let ladder = self.retry.backoff.next(cx.env.random.f64());
        let mut delay = least.saturating_add(ladder);
        if let Some(deadline) = deadline {
            let left = deadline.saturating_sub(cx.now.mono);
            if !least.is_zero() && least < left {
                // The pause asked for leaves time for an attempt, and chance is not to take it away.
                delay = least.saturating_add(ladder.min((left - least) / 2));
            }
            if is_last || delay >= left {
                return self.login_failed(attempts, cause);
            }
        } else if cx.env.config.reconnect.max_attempts.is_some_and(|limit| attempts >= limit) {
            return self.login_failed(attempts, cause);
        }
        cx.out.push(Action::Hangup);
        let waits = waits.saturating_add(u32::from(!least.is_zero()));
        let (least, until) = (cx.after(least), cx.after(delay));
        self.phase = Phase::Waiting { purpose: Attempt::Login(Login { deadline, attempts, waits }), least, until };
        if deadline.is_some() {
            cx.out.push(Action::Note(Diagnostic::LoginRetry { attempt: attempts.saturating_add(1), delay, cause }));
        } else {
            cx.emit(EventKind::Reconnecting { attempt: self.retry.backoff.attempts(), delay, cause });
        }
        Flow::Continue(())
    }

    /// The login's last attempt has failed.
    fn login_failed(&self, attempts: u32, cause: LossCause) -> Flow {
        let user = self.user.clone();
        fail_login(match cause {
            LossCause::Refused(refusal) => return end(DisconnectReason::Refused(refusal)),
            LossCause::Rest { step: ConnectStep::Discovery, error } => OpenError::Discovery { user, error },
            LossCause::Rest { error, .. } => OpenError::Token { user, error },
            LossCause::Token(error) => OpenError::Provider { user, error },
            cause => OpenError::Unreachable { user, attempts, cause },
        })
    }

    /// No token came for the attempt. A login has one more way where it has a kept token whose end seems to have passed:
    /// the clock that says so may be wrong.
    pub(super) fn no_token(&mut self, cause: LossCause, cx: &mut Cx<'_>) -> Flow {
        if !self.is_logging_in() {
            return self.lost(cause, cx);
        }
        let Some(spare) = self.tokens.spare.take() else {
            return self.lost(cause, cx);
        };
        self.tokens.token = Some(spare.token);
        self.tokens.fetched_expiry = spare.expires_at.map(TokenEnd::At);
        self.tokens.kept = true;
        cx.out.push(Action::Hangup);
        cx.out.push(Action::Note(Diagnostic::KeptTokenTried));
        self.connect(cx)
    }
}
