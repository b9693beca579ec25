//! A login that is not accepted yet: its retries and its failure.

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

/// Progress of a login.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Login {
    /// Deadline; `None` for a login that is retried for ever.
    pub(in crate::session) deadline: Option<Duration>,
    /// Failed attempts.
    pub(in crate::session) attempts: u32,
    /// Those after which the service asked for a pause of at least 1 s; only the deadline bounds them.
    pub(in crate::session) waits: u32,
}

impl Login {
    pub(in crate::session) fn new(deadline: Option<Duration>) -> Self {
        Login { deadline, attempts: 0, waits: 0 }
    }

    /// Returns whether no attempt may follow when the one under way fails.
    pub(in crate::session) fn is_last_attempt(&self) -> bool {
        self.deadline.is_some() && self.attempts.saturating_sub(self.waits) + 1 >= Engine::LOGIN_ATTEMPTS
    }
}

impl Session {
    /// Retries a login after a pause, or ends it.
    pub(in crate::session) fn log_in_again(
        &mut self,
        asked: Option<Duration>,
        login: Login,
        cause: LossCause,
        cx: &mut Cx<'_>,
    ) -> Flow {
        let Login { deadline, attempts, waits } = login;
        // A pause of 0 is none: an attempt after it counts.
        let least = asked.unwrap_or_default();
        let is_last = login.is_last_attempt() && least.is_zero();
        let attempts = attempts.saturating_add(1);
        let backoff = self.retry.pause(cx);
        let mut delay = least.saturating_add(backoff);
        if let Some(deadline) = deadline {
            let left = deadline.saturating_sub(cx.now.mono);
            if !least.is_zero() && least < left {
                // The requested pause leaves time for an attempt; jitter must not take it away.
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

    /// Fails a login after its last attempt.
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
