//! What follows the end of a session that the fleet did not close.

use std::time::Duration;

use super::{
    Action, Engine, Index, Notice, SessionEnd,
    entry::{Hold, Paused, Session, Want},
    wall,
};
use crate::{
    config::KickPolicy,
    fleet::{
        cause::Cause,
        kicks::{LoginText, Verdict},
        state::{AccountState, OtherLogin, WaitFor},
    },
    model::error::Kick,
    session::Now,
    util::backoff::doubled,
};

impl Engine {
    pub(super) fn ended(&mut self, index: Index, end: SessionEnd, now: Now, out: &mut Vec<Action>) {
        self.withdraw(index, now);
        let total = self.users.len();
        let Some(entry) = self.entry(index) else { return };
        entry.session = Session::None;
        let wanted = entry.want == Want::Run;
        self.sessions = self.sessions.saturating_sub(1);
        if !wanted {
            return self.reconcile(index, now, out);
        }
        let Some(entry) = self.entry(index) else { return };
        match end {
            SessionEnd::ClosedByApplication => {
                let why = "the application closed its connection".into();
                entry.want = Want::Paused(Box::new(Paused { why, until: None }));
                self.reconcile(index, now, out);
            }
            // What the service refuses to the whole application is no account's fault: it waits like the others, and the
            // breaker sees to it that hardly anybody asks.
            SessionEnd::Final(cause) if cause.kind.is_shared() => self.retry(index, cause, now, out),
            SessionEnd::Final(cause) => {
                entry.hold = Hold::Failed;
                self.set(index, AccountState::Failed, Some(cause), out);
            }
            SessionEnd::Passing(cause) => self.retry(index, cause, now, out),
            SessionEnd::Kicked { kick: Kick::LoggedInElsewhere { ext }, cause } => {
                let other = LoginText::read(ext.as_ref(), &self.settings.login);
                let verdict = self.foreign.judge(index, &other, &self.settings.login, total, now.mono);
                if let Verdict::Alarm { by, accounts } = &verdict {
                    out.push(Action::Notice(Notice::ForeignFleet { by: by.clone(), accounts: *accounts }));
                }
                self.kicked(index, other.by, verdict, cause, now, out);
            }
            SessionEnd::Kicked { kick: Kick::ByOtherDevice, cause } => self.park(index, None, None, cause, now, out),
            SessionEnd::Kicked { cause, .. } => {
                entry.hold = Hold::Failed;
                self.set(index, AccountState::Failed, Some(cause), out);
            }
        }
    }

    fn retry(&mut self, index: Index, cause: Cause, now: Now, out: &mut Vec<Action>) {
        let random = self.random.f64();
        let Some(entry) = self.entry(index) else { return };
        let longest = doubled(Self::RETRY.0, Self::RETRY.1, entry.tries);
        entry.tries = entry.tries.saturating_add(1);
        let until = now.mono.saturating_add(longest.mul_f64(0.5 + random / 2.0));
        entry.hold = Hold::Until(until);
        self.set_timer(index, Some(until));
        let until_ms = Some(wall(until, now));
        self.set(index, AccountState::Waiting { why: WaitFor::Backoff, until_ms }, Some(cause), out);
    }

    /// Follows a kick by another login.
    fn kicked(
        &mut self,
        index: Index,
        by: OtherLogin,
        verdict: Verdict,
        cause: Cause,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let policy = self.settings.kicks.clone();
        let Some(entry) = self.entry(index) else { return };
        match verdict {
            Verdict::Newer | Verdict::Alarm { .. } | Verdict::Known => {
                self.park(index, Some(by), None, cause, now, out)
            }
            Verdict::Stale => {
                if entry.reclaimed.is_some_and(|at| now.mono.saturating_sub(at) < Self::RECLAIM) {
                    return self.park(index, Some(by), None, cause, now, out);
                }
                entry.reclaimed = Some(now.mono);
                entry.cause = Some(Box::new(cause));
                self.reconcile(index, now, out);
            }
            Verdict::Foreign => match policy {
                KickPolicy::Park => self.park(index, Some(by), None, cause, now, out),
                KickPolicy::RetryAfter(pause) => self.park(index, Some(by), Some(pause), cause, now, out),
                KickPolicy::TakeOver { times, window } => {
                    entry.takeovers.retain(|at| now.mono.saturating_sub(*at) < window);
                    if entry.takeovers.len() >= times as usize {
                        return self.park(index, Some(by), None, cause, now, out);
                    }
                    entry.takeovers.push(now.mono);
                    entry.cause = Some(Box::new(cause));
                    self.reconcile(index, now, out);
                }
            },
        }
    }

    fn park(
        &mut self,
        index: Index,
        by: Option<OtherLogin>,
        pause: Option<Duration>,
        cause: Cause,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let until = pause.map(|pause| now.mono.saturating_add(pause));
        let Some(entry) = self.entry(index) else { return };
        entry.hold = Hold::Parked { until };
        self.set_timer(index, until);
        let until_ms = until.map(|until| wall(until, now));
        self.set(index, AccountState::Parked { by: by.map(Box::new), until_ms }, Some(cause), out);
    }
}
