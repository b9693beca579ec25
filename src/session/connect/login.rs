//! A login that has not been accepted yet: how often it is tried, and how it fails.

use std::time::Duration;

use crate::{
    model::{
        EventKind,
        error::{ConnectStep, DisconnectReason, LossCause, OpenError},
    },
    session::{
        Diagnostic, Engine,
        context::Cx,
        machine::{Flow, Session, end, fail_login},
        phase::Attempt,
    },
};

/// How a login stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Login {
    /// When it is given up; `None` for one that is kept trying.
    pub(in crate::session) deadline: Option<Duration>,
    /// Attempts that failed.
    pub(in crate::session) attempts: u32,
    /// Those of them after which the service asked for a pause, of a second at least; only the deadline bounds them.
    pub(in crate::session) waits: u32,
}

impl Login {
    pub(in crate::session) fn new(deadline: Option<Duration>) -> Self {
        Login { deadline, attempts: 0, waits: 0 }
    }

    /// Whether no attempt may follow when the one under way fails.
    pub(in crate::session) fn is_last_attempt(&self) -> bool {
        self.deadline.is_some() && self.attempts.saturating_sub(self.waits) + 1 >= Engine::LOGIN_ATTEMPTS
    }
}

impl Session {
    /// After a failed attempt of a login: a pause and another one, or its end.
    pub(in crate::session) fn log_in_again(
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
        let backoff = self.retry.pause(cx);
        let mut delay = least.saturating_add(backoff);
        if let Some(deadline) = deadline {
            let left = deadline.saturating_sub(cx.now.mono);
            if !least.is_zero() && least < left {
                // The pause asked for leaves time for an attempt, and chance is not to take it away.
                delay = least.saturating_add(backoff.min((left - least) / 2));
            }
            if is_last || delay >= left {
                return self.login_failed(attempts, cause);
            }
        } else if cx.env.config.reconnect.max_attempts.is_some_and(|limit| attempts >= limit) {
            return self.login_failed(attempts, cause);
        }
        let waits = waits.saturating_add(u32::from(!least.is_zero()));
        self.wait(Attempt::Login(Login { deadline, attempts, waits }), least, delay, cx);
        if deadline.is_some() {
            cx.note(Diagnostic::LoginRetry { attempt: attempts.saturating_add(1), delay, cause });
        } else {
            cx.emit(EventKind::Reconnecting { attempt: self.retry.attempts(), delay, cause });
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
}
