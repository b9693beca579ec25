//! All timers of a session, in one table.
//!
//! Nothing is armed or disarmed: each deadline follows from its part's state, so none can be forgotten.

use std::time::Duration;

use crate::session::{
    connect::login::Login,
    context::{Cx, Env},
    machine::{Flow, Session, end},
    phase::{Attempt, Phase},
};

/// A timer of a session. Timers due at the same moment fire in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// The oldest buffered send has expired.
    BufferedSend,
    /// The token is about to end, or ends.
    TokenEnd,
    /// The login's deadline, at any stage.
    LoginDeadline,
    /// The token fetch timed out, or is to be repeated.
    TokenFetch,
    /// The request for a given token's end timed out.
    GivenToken,
    /// A stage of the connect timed out.
    Stage,
    /// The pause before the next attempt is over.
    Pause,
    /// A logout waits no longer for the pages in flight.
    Drain,
    /// The answer to LOGOUT is overdue.
    LogOut,
    /// A send ack is overdue.
    PendingSend,
    /// A postponed queue is to be retried.
    Retry,
    /// The answer to a pull is overdue.
    Pull,
    /// A queue that broke links may be pulled.
    Suspect,
    /// The heartbeat, or the answer to it, is due.
    Heartbeat,
}

impl Timer {
    const ALL: [Timer; 14] = [
        Timer::BufferedSend,
        Timer::TokenEnd,
        Timer::LoginDeadline,
        Timer::TokenFetch,
        Timer::GivenToken,
        Timer::Stage,
        Timer::Pause,
        Timer::Drain,
        Timer::LogOut,
        Timer::PendingSend,
        Timer::Retry,
        Timer::Pull,
        Timer::Suspect,
        Timer::Heartbeat,
    ];
}

impl Session {
    /// Returns the earliest deadline of all timers.
    pub(super) fn deadline(&self, env: &Env) -> Option<Duration> {
        Timer::ALL.iter().filter_map(|timer| self.due_at(*timer, env)).min()
    }

    /// Fires all due timers, in the order of the table.
    pub(super) fn tick(&mut self, cx: &mut Cx<'_>) -> Flow {
        for timer in Timer::ALL {
            if self.due_at(timer, cx.env).is_some_and(|due| due <= cx.now.mono) {
                self.on_due(timer, cx)?;
            }
        }
        Flow::Continue(())
    }

    /// Returns a timer's deadline; `None` while it is off.
    fn due_at(&self, timer: Timer, env: &Env) -> Option<Duration> {
        let (config, arrivals) = (&env.config, &env.arrivals);
        match (timer, &self.phase) {
            (Timer::LogOut, Phase::LoggingOut(bye)) => Some(arrivals.due_if_read(bye.until, config.logout_timeout)),
            // No other timer runs then.
            (_, Phase::LoggingOut(_)) => None,
            (Timer::BufferedSend, _) => self.outbox.buffered_deadline(config.buffer_sends_for),
            (Timer::TokenEnd, _) => self.tokens.end_deadline(),
            // The next fetch of a session that may not go out waits for its permit.
            (Timer::TokenFetch, _) if !self.may_call() => self.tokens.fetch_under_way_deadline(),
            (Timer::TokenFetch, _) => self.tokens.fetch_deadline(),
            (Timer::GivenToken, _) => self.tokens.given_deadline(),
            (Timer::LoginDeadline | Timer::Stage, phase) if phase.awaits_admission() => None,
            (Timer::LoginDeadline, Phase::Connecting(connecting)) => match connecting.attempt {
                Attempt::Login(Login { deadline, .. }) => {
                    Some(arrivals.due_if_read(deadline?, connecting.answer_limit(config)))
                }
                Attempt::Resume => None,
            },
            (Timer::Stage, Phase::Connecting(connecting)) => {
                Some(arrivals.due_if_read(connecting.until, connecting.answer_limit(config)))
            }
            (Timer::Pause, Phase::Waiting(waiting)) => Some(waiting.until),
            (Timer::Drain, Phase::Online(_)) => self.drain.as_ref().map(|drain| drain.until),
            (Timer::PendingSend, Phase::Online(_)) => self.outbox.deadline(config.send_timeout, arrivals),
            (Timer::Retry, Phase::Online(_)) => self.inbox.retry_deadline(config),
            (Timer::Pull, Phase::Online(_)) => self.inbox.pull_deadline(arrivals),
            (Timer::Suspect, Phase::Online(_)) => self.inbox.suspect_deadline(),
            (Timer::Heartbeat, Phase::Online(online)) => Some(online.deadline(config, arrivals)),
            _ => None,
        }
    }

    fn on_due(&mut self, timer: Timer, cx: &mut Cx<'_>) -> Flow {
        let now = cx.now.mono;
        match (timer, &mut self.phase) {
            (Timer::BufferedSend, _) => self.outbox.expire_buffered(cx),
            (Timer::TokenEnd, _) => return self.token_due(cx),
            (Timer::TokenFetch, _) => return self.fetch_due(cx),
            (Timer::GivenToken, _) => return self.given_due(cx),
            (Timer::LoginDeadline, _) => return self.login_due(cx),
            (Timer::Stage, _) => return self.stage_due(cx),
            (Timer::Pause, _) => return self.begin(cx),
            (Timer::LogOut, Phase::LoggingOut(bye)) => {
                if cx.env.arrivals.is_late_if_read(bye.until, cx.env.config.logout_timeout, now) {
                    return end(bye.reason.clone());
                }
            }
            (Timer::Drain, _) => return self.drain_over(cx),
            (Timer::PendingSend, _) => {
                if let Err(cause) = self.outbox.due(cx) {
                    return self.lost(cause, cx);
                }
            }
            (Timer::Retry, _) => self.inbox.retry_due(cx),
            (Timer::Pull, _) => {
                if let Err(cause) = self.inbox.pulls_due(cx) {
                    return self.lost(cause, cx);
                }
            }
            (Timer::Suspect, _) => {
                self.inbox.suspects_due(cx);
                self.request_list(cx);
            }
            (Timer::Heartbeat, Phase::Online(online)) => {
                if let Err(cause) = online.heartbeat_due(&mut self.inbox, cx) {
                    return self.lost(cause, cx);
                }
            }
            (Timer::LogOut | Timer::Heartbeat, _) => {}
        }
        Flow::Continue(())
    }
}
