//! Retry policy: the next attempt after a lost link, a kick, a refusal or a network hint.

mod backoff;
mod flapping;
mod kicks;

use std::time::Duration;

use crate::{
    config::{Config, Flapping},
    model::{
        EventKind,
        error::{DisconnectReason, Kick, LossCause, Refusal},
    },
    session::{
        Action,
        connect::{Connecting, login::Login},
        context::Cx,
        machine::{Flow, Session, end},
        phase::{Attempt, LoggingOut, Phase, Waiting},
        retry::{
            backoff::Backoff,
            flapping::ShortSessions,
            kicks::{AfterKick, Takeovers},
        },
    },
};

/// Longest pause a server can request by `Retry-After`.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Minimum interval between network-change hints; others are ignored.
const HINTS_APART: Duration = Duration::from_secs(5);

/// Retry state: backoff, flapping and takeovers.
#[derive(Debug)]
pub(super) struct Retry {
    /// Attempts that failed since the link was up. Unlike the backoff's count, it decides about giving up.
    failed: u32,
    backoff: Backoff,
    flaps: ShortSessions,
    takeovers: Takeovers,
    /// Time of the last network hint that was followed.
    hinted: Option<Duration>,
}

impl Retry {
    pub(super) fn new(config: &Config) -> Self {
        Retry {
            failed: 0,
            backoff: Backoff::new(&config.reconnect),
            flaps: ShortSessions::default(),
            takeovers: Takeovers::default(),
            hinted: None,
        }
    }

    /// Returns the attempts since the link was last stable.
    pub(super) fn attempts(&self) -> u32 {
        self.backoff.attempts()
    }

    pub(super) fn pause(&mut self, cx: &mut Cx<'_>) -> Duration {
        self.backoff.next(cx.env.random.f64())
    }

    /// Resets the count on a link that is up. Attempts of a login are not held against the link it led to.
    pub(super) fn link_up(&mut self, resumed: bool) {
        self.failed = 0;
        if !resumed {
            self.backoff.restart();
        }
    }

    /// Feeds a link's uptime to backoff and flapping.
    fn link_down(&mut self, since: Duration, cx: &Cx<'_>) {
        let uptime = cx.now.mono.saturating_sub(since);
        self.backoff.ended(uptime);
        let policy = &cx.env.config.reconnect;
        self.flaps.ended(policy.flapping.as_ref(), uptime < policy.stable_after, cx.now.mono);
    }

    /// Returns whether a network hint is to be followed.
    fn follows_hint(&mut self, now: Duration) -> bool {
        let follows = self.hinted.is_none_or(|last| now.saturating_sub(last) >= HINTS_APART);
        if follows {
            self.hinted = Some(now);
        }
        follows
    }
}

impl Session {
    /// Continues after the link or an attempt is lost.
    pub(super) fn lost(&mut self, cause: LossCause, cx: &mut Cx<'_>) -> Flow {
        match &self.phase {
            Phase::Online(_) => {
                self.link_down(&cause, cx);
                if let Some(drain) = self.drain.take() {
                    return end(drain.reason);
                }
                self.try_again(Attempt::Resume, cause, cx)
            }
            Phase::Connecting(connecting) => self.try_again(connecting.attempt, cause, cx),
            Phase::LoggingOut(LoggingOut { reason, .. }) => end(reason.clone()),
            Phase::Waiting(_) => Flow::Continue(()),
        }
    }

    /// Notifies the parts that a live link is gone.
    fn link_down(&mut self, cause: &LossCause, cx: &mut Cx<'_>) {
        self.inbox.link_down(cx);
        if let Phase::Online(online) = &self.phase {
            self.retry.link_down(online.since(), cx);
        }
        self.outbox.fail_pending(cause, cx);
    }

    /// Schedules another attempt after a loss or a failed one, or ends the session.
    pub(super) fn try_again(&mut self, attempt: Attempt, cause: LossCause, cx: &mut Cx<'_>) -> Flow {
        self.try_again_after(cause.retry_after().map(|pause| pause.min(LONGEST_RETRY_AFTER)), attempt, cause, cx)
    }

    /// Like [`Session::try_again`], with a requested pause before the backoff.
    fn try_again_after(
        &mut self,
        asked: Option<Duration>,
        attempt: Attempt,
        cause: LossCause,
        cx: &mut Cx<'_>,
    ) -> Flow {
        self.tokens.attempt_over(matches!(attempt, Attempt::Resume));
        self.attempt_failed(&cause, cx);
        match attempt {
            Attempt::Login(login) => self.log_in_again(asked, login, cause, cx),
            Attempt::Resume => self.resume_after(asked, cause, cx),
        }
    }

    fn resume_after(&mut self, asked: Option<Duration>, cause: LossCause, cx: &mut Cx<'_>) -> Flow {
        let policy = &cx.env.config.reconnect;
        if matches!(self.phase, Phase::Connecting(_)) {
            self.retry.failed = self.retry.failed.saturating_add(1);
        }
        let failed = self.retry.failed;
        if !policy.enabled || policy.max_attempts.is_some_and(|limit| failed >= limit) {
            return end(match cause {
                LossCause::Kicked(kick) => DisconnectReason::Kicked(kick),
                last => DisconnectReason::AttemptsExhausted { attempts: failed, last },
            });
        }
        // The longer of the requested pause and the floor goes below the backoff, whose jitter still spreads clients.
        let floor = self.retry.flaps.floor(policy.flapping.as_ref());
        self.outbox.age_from(cx.after(floor));
        let news = self.retry.flaps.news(policy.flapping.as_ref()).cloned();
        let least = asked.unwrap_or_default().max(floor);
        let delay = self.retry.pause(cx).saturating_add(least);
        self.wait(Attempt::Resume, least, delay, cx);
        if let Some(Flapping { sessions, window, floor }) = news {
            cx.emit(EventKind::Flapping { sessions, window, floor });
        }
        cx.emit(EventKind::Reconnecting { attempt: self.retry.attempts(), delay, cause });
        Flow::Continue(())
    }

    /// Drops what is under way, and pauses.
    pub(super) fn wait(&mut self, attempt: Attempt, least: Duration, delay: Duration, cx: &mut Cx<'_>) {
        cx.out.push(Action::Hangup);
        // A failed attempt has said so before.
        self.attempt_cancelled(cx);
        self.phase = Phase::Waiting(Waiting { attempt, least: cx.after(least), until: cx.after(delay) });
    }

    /// Handles a kick: ends the session, unless the policy is to return.
    pub(super) fn kicked(&mut self, kick: Kick, cx: &mut Cx<'_>) -> Flow {
        let config = &cx.env.config;
        let after = match config.reconnect.enabled && self.phase.is_online() && self.drain.is_none() {
            true => self.retry.takeovers.after(&kick, &config.kick_policy, cx.now.mono),
            false => AfterKick::Park,
        };
        let pause = match after {
            AfterKick::Park => return end(DisconnectReason::Kicked(kick)),
            AfterKick::Return => None,
            AfterKick::ReturnAfter(pause) => Some(pause),
        };
        let cause = LossCause::Kicked(kick);
        self.link_down(&cause, cx);
        self.try_again_after(pause, Attempt::Resume, cause, cx)
    }

    /// Follows a network hint: probes a link that seems up, retries at once while it is down, and resets the backoff.
    /// An attempt under way is dropped, since its network may be gone.
    pub(super) fn network_changed(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !self.retry.follows_hint(cx.now.mono) {
            return Flow::Continue(());
        }
        match &mut self.phase {
            Phase::Online(online) => {
                self.retry.backoff.restart();
                online.probe(&mut self.inbox, cx);
                Flow::Continue(())
            }
            Phase::Waiting(Waiting { attempt: Attempt::Resume, least, until }) if cx.now.mono < *least => {
                self.retry.backoff.restart();
                *until = (*until).min(least.saturating_add(self.retry.pause(cx)));
                Flow::Continue(())
            }
            Phase::Waiting(Waiting { attempt: Attempt::Resume, .. }) => {
                self.retry.backoff.restart_at_first();
                self.begin(cx)
            }
            Phase::Waiting(waiting) if cx.now.mono >= waiting.least => self.begin(cx),
            // Reading the state folder needs no network, and who waits for a permit keeps its place.
            Phase::Connecting(connecting) if connecting.needs_no_network() => Flow::Continue(()),
            Phase::Connecting(Connecting { attempt: Attempt::Resume, .. }) => {
                self.retry.backoff.restart_at_first();
                cx.out.push(Action::Hangup);
                self.attempt_cancelled(cx);
                self.begin(cx)
            }
            Phase::Connecting(Connecting { attempt: Attempt::Login(login), .. }) if !login.is_last_attempt() => {
                login.attempts = login.attempts.saturating_add(1);
                cx.out.push(Action::Hangup);
                self.attempt_cancelled(cx);
                self.tokens.network_changed(cx);
                self.begin(cx)
            }
            Phase::Waiting(_) | Phase::Connecting(_) | Phase::LoggingOut(_) => Flow::Continue(()),
        }
    }

    /// Handles a refused PROVISION. A refused token is replaced if there is a source of tokens. Otherwise a refusal
    /// ends a login, unless it is retried for ever, and a reconnect, unless the reason may pass. A new token refused on
    /// a reconnect is a failed attempt: the next one may be good.
    pub(super) fn refused(&mut self, refusal: Refusal, cx: &mut Cx<'_>) -> Flow {
        let Phase::Connecting(connecting) = &self.phase else { return Flow::Continue(()) };
        let attempt = connecting.attempt;
        let refusal = refusal.shown_by(|text| cx.redact(text));
        if refusal.is_of_token() && connecting.provisioned_with().is_some_and(|token| self.tokens.replaces(token)) {
            // A renewal has replaced the refused token meanwhile.
            cx.out.push(Action::Hangup);
            return self.connect(cx);
        }
        match attempt {
            Attempt::Login(_) if self.tokens.kept_is_refused(&refusal, cx) => self.begin(cx),
            _ if self.tokens.can_retry_with_new_token(&refusal) => {
                cx.out.push(Action::Hangup);
                self.tokens.refused(refusal);
                self.authorize(cx)
            }
            Attempt::Resume if self.tokens.may_get_a_better_token(&refusal) => {
                self.tokens.refused(refusal.clone());
                self.try_again(Attempt::Resume, LossCause::Refused(refusal), cx)
            }
            Attempt::Resume | Attempt::Login(Login { deadline: None, .. }) if !refusal.is_final() => {
                self.try_again(attempt, LossCause::Refused(refusal), cx)
            }
            _ => self.refused_for_good(refusal, cx),
        }
    }
}
