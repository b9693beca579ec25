//! New tokens while the session goes on: asked for one at a time, with a deadline, again after growing pauses.

use std::{fmt, sync::Arc, time::Duration};

use crate::model::{
    EventKind,
    account::{Password, Token},
    auth::{Secret, TokenProvider, TokenReason, TokenRequest},
    error::{ConnectStep, DisconnectReason, LossCause, OpenError, ProviderError, Refusal, RefusalKind, TokenError},
};
use crate::session::{
    Action, Diagnostic, FetchedToken,
    connect::Stage,
    context::Cx,
    machine::{Flow, Session, end, fail_login},
    phase::{Attempt, Phase, Waiting},
    retry::LONGEST_RETRY_AFTER,
    tokens::{
        Tokens,
        clock::{Countdown, TokenClock, TokenEnd},
    },
};
use crate::util::backoff::doubled;

/// Where [`Action::RenewToken`] gets the token from. Prints no secret.
#[derive(Clone)]
#[non_exhaustive]
pub enum TokenSource {
    /// The application's provider.
    Provider(Arc<dyn TokenProvider>),
    /// A REST call with the password (connection spec §3.2).
    Password(Password),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenSource::Provider(_) => "Provider",
            TokenSource::Password(_) => "Password(<redacted>)",
        })
    }
}

/// The longest pause before the first repetition, and before any.
const BASE: Duration = Duration::from_secs(5);
const CAP: Duration = Duration::from_secs(60);

/// Tokens that live for next to nothing are not asked for faster than this.
const LEAST_APART: Duration = Duration::from_secs(1);

/// How the renewal of a session's token stands.
#[derive(Debug, Default)]
pub(in crate::session) struct Renewal {
    /// The deadline of the ask that is under way.
    under_way: Option<Duration>,
    /// When the next ask is due.
    next: Option<Duration>,
    /// Before this moment the service asked not to be asked again.
    not_before: Option<Duration>,
    /// When the last ask began.
    last: Option<Duration>,
    /// Asks that failed since the last token.
    failures: u32,
    /// No ask can succeed any more.
    stopped: bool,
    /// The refusal that the ask under way is to make good.
    pub(in crate::session) refused: Option<Refusal>,
    /// The token is as new as it gets, and was not accepted yet: another one at once is of no use.
    pub(in crate::session) spent: bool,
}

impl Renewal {
    /// When [`Session::renewal_due`] has something to do.
    pub(in crate::session) fn deadline(&self) -> Option<Duration> {
        self.under_way.or(self.next)
    }

    /// Whether an ask is under way.
    pub(in crate::session) fn is_asking(&self) -> bool {
        self.under_way.is_some()
    }

    /// The next ask is somebody else's matter.
    pub(in crate::session) fn forget_next(&mut self) {
        self.next = None;
    }

    /// The pause before the next ask: between half the ceiling and all of it.
    fn pause(&mut self, roll: f64) -> Duration {
        let ceiling = doubled(BASE, CAP, self.failures);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0))
    }

    /// A token has come.
    fn renewed(&mut self) {
        *self = Renewal { last: self.last, ..Renewal::default() };
    }

    /// The server accepted the token: its next refusal is news.
    pub(in crate::session) fn accepted(&mut self) {
        self.spent = false;
    }
}

impl Tokens {
    /// Who gives the next token; `None` where nobody does, or whoever did has given the last word.
    pub(in crate::session) fn source(&self) -> Option<TokenSource> {
        if self.renewal.stopped {
            return None;
        }
        match (&self.provider, &self.secret) {
            (Some(provider), _) => Some(TokenSource::Provider(Arc::clone(&provider.0))),
            (None, Secret::Password(password)) => Some(TokenSource::Password(password.clone())),
            (None, _) => None,
        }
    }

    /// Whether a refusal of PROVISION may be made good by a new token at once; tried once.
    pub(in crate::session) fn can_retry_with_new_token(&self, refusal: &Refusal) -> bool {
        refusal.is_of_token() && !self.renewal.spent && self.source().is_some()
    }

    /// Whether a later token may be accepted where the newest one was not.
    pub(in crate::session) fn may_get_a_better_token(&self, refusal: &Refusal) -> bool {
        matches!(refusal.kind(), RefusalKind::TokenExpired | RefusalKind::InvalidToken) && self.source().is_some()
    }
}

impl Session {
    /// The token's countdown runs in every phase, also while the link is down.
    pub(in crate::session) fn token_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        if matches!(self.phase, Phase::LoggingOut(_)) {
            return Flow::Continue(());
        }
        loop {
            let Some(clock) = &mut self.tokens.clock else {
                return Flow::Continue(());
            };
            match clock.check(cx.now) {
                Countdown::Quiet => return Flow::Continue(()),
                Countdown::WillExpire { at, expires_in } => {
                    cx.emit(EventKind::TokenWillExpire { at, expires_in });
                    self.renew_ahead(cx);
                }
                Countdown::Expired { .. } if self.tokens.source().is_none() => return self.expired(cx),
                Countdown::Expired { certain } => {
                    self.tokens.clock = None;
                    self.outlived(certain, cx);
                    return Flow::Continue(());
                }
            }
        }
    }

    /// The countdown says that it is time.
    pub(in crate::session) fn renew_ahead(&mut self, cx: &mut Cx<'_>) {
        let least = self.tokens.renewal.last.map(|last| last.saturating_add(LEAST_APART));
        match least {
            Some(least) if cx.now.mono < least => self.tokens.renewal.next = self.tokens.source().map(|_| least),
            _ => self.ask(TokenReason::Expiring, cx),
        }
    }

    /// Asks for a token, unless that is under way or of no use.
    fn ask(&mut self, reason: TokenReason, cx: &mut Cx<'_>) {
        if self.tokens.renewal.is_asking() {
            return;
        }
        self.tokens.renewal.next = None;
        let Some(from) = self.tokens.source() else { return };
        self.tokens.renewal.under_way = Some(cx.after(cx.env.config.token_timeout));
        self.tokens.renewal.last = Some(cx.now.mono);
        cx.out.push(Action::RenewToken { request: TokenRequest::new(self.user.clone(), reason), from });
    }

    /// The token has reached its end, and there is a source of others: the session goes on. Online the server decides how
    /// long it bears with the old one; on the way back the next attempt asks for a new one first.
    pub(in crate::session) fn outlived(&mut self, certain: bool, cx: &mut Cx<'_>) {
        self.tokens.ended |= certain;
        if !matches!(self.phase, Phase::Online(_)) {
            if certain {
                self.tokens.renewal.forget_next();
            }
        } else if self.tokens.renewal.deadline().is_none() {
            self.renew_ahead(cx);
        }
    }

    /// On the way in, and no token to go on with: asks for one and waits, at first as long as the service asked to.
    pub(in crate::session) fn await_token(&mut self, reason: TokenReason, cx: &mut Cx<'_>) -> Flow {
        if self.tokens.source().is_none() {
            return match self.tokens.renewal.refused.take() {
                Some(refusal) => self.refused_for_good(refusal, cx),
                None => self.expired(cx),
            };
        }
        if let Some(least) = self.tokens.renewal.not_before.filter(|least| cx.now.mono < *least)
            && !self.tokens.renewal.is_asking()
            && self.phase.is_resuming()
        {
            cx.out.push(Action::Hangup);
            self.phase = Phase::Waiting(Waiting { attempt: Attempt::Resume, least, until: least });
            return Flow::Continue(());
        }
        self.ask(reason, cx);
        let until = self.tokens.renewal.under_way.unwrap_or(cx.now.mono);
        self.enter(Stage::Token, until.saturating_sub(cx.now.mono), cx)
    }

    /// The ask's deadline, or the time of the next one.
    pub(in crate::session) fn renewal_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        let now = cx.now.mono;
        match self.tokens.renewal.deadline() {
            Some(due) if now >= due && !matches!(self.phase, Phase::LoggingOut(_)) => {}
            _ => return Flow::Continue(()),
        }
        if self.tokens.renewal.is_asking() {
            cx.out.push(Action::DropRenewal);
            return self.not_renewed(TokenError::Timeout, cx);
        }
        self.ask(TokenReason::Expiring, cx);
        Flow::Continue(())
    }

    /// The answer to [`Action::RenewToken`].
    pub(in crate::session) fn token_provided(
        &mut self,
        result: Result<FetchedToken, TokenError>,
        cx: &mut Cx<'_>,
    ) -> Flow {
        if !self.tokens.renewal.is_asking() || matches!(self.phase, Phase::LoggingOut(_)) {
            return Flow::Continue(());
        }
        match result {
            Ok(FetchedToken { token, expires_at }) => {
                let end = expires_at.and_then(|end| end.counted_from(cx.now));
                // Before the server's clock is heard, a local one that is wrong must not condemn a token.
                let over = end.is_some_and(|end| end.is_over(self.tokens.server_clock, cx.now));
                // The service may let a token live on that has ended; one that was refused is of no use all the same.
                let lives_on = self.tokens.ended && end.is_some() && self.tokens.renewal.refused.is_none();
                if over || (self.tokens.token.as_ref() == Some(&token) && !lives_on) {
                    return self.not_renewed(TokenError::Stale, cx);
                }
                let expires_at = expires_at.map(|end| end.shown(cx.now));
                cx.note(Diagnostic::TokenRenewed { expires_at });
                self.take_token(token, end, cx)
            }
            Err(error) => self.not_renewed(error, cx),
        }
    }

    /// A token that the application gives unasked; it counts for more than one that is being asked for.
    pub(in crate::session) fn token_given(&mut self, token: Token, expires_at: u64, cx: &mut Cx<'_>) -> Flow {
        if self.tokens.renewal.is_asking() {
            cx.out.push(Action::DropRenewal);
        }
        self.take_token(token, Some(TokenEnd::At(expires_at)), cx)
    }

    fn take_token(&mut self, token: Token, end: Option<TokenEnd>, cx: &mut Cx<'_>) -> Flow {
        let awaited = self.tokens.renewal.is_asking() && self.phase.is_at(ConnectStep::Token);
        let patience = cx.env.config.heartbeat_answer;
        // The countdown of a login's token starts when the server accepts it.
        let counted = end.filter(|_| !(awaited && self.phase.is_logging_in()));
        self.tokens.clock = counted.and_then(|end| TokenClock::start(end, self.tokens.server_clock, cx.now, patience));
        self.tokens.fetched_expiry = end;
        self.tokens.ended = false;
        self.tokens.token = Some(token);
        self.tokens.renewal.renewed();
        if !awaited {
            return Flow::Continue(());
        }
        self.tokens.renewal.spent = true;
        self.connect(cx)
    }

    fn not_renewed(&mut self, error: TokenError, cx: &mut Cx<'_>) -> Flow {
        let error = match error {
            TokenError::Provider(error) => {
                TokenError::Provider(ProviderError::shown_by(error, |text| cx.env.origin.redactor().shown(text)))
            }
            other => other,
        };
        let awaited = self.phase.is_at(ConnectStep::Token);
        let is_last = self.is_last(&error);
        self.tokens.renewal.under_way = None;
        self.tokens.renewal.stopped |= is_last;
        let asked = match &error {
            TokenError::Rest(error) => error.retry_after().map(|pause| pause.min(LONGEST_RETRY_AFTER)),
            _ => None,
        };
        self.tokens.renewal.not_before = asked.map(|pause| cx.after(pause));
        let pause = self.tokens.renewal.pause(cx.env.random.f64()).max(asked.unwrap_or_default());
        // On the way back, with a token that has ended, each attempt asks.
        let attempts_ask = awaited || (self.tokens.ended && self.phase.is_resuming());
        let again = !is_last && !attempts_ask;
        self.tokens.renewal.next = again.then(|| cx.after(pause));
        if !awaited || (is_last && self.phase.is_resuming()) {
            let again = again.then_some(pause);
            cx.note(Diagnostic::TokenNotRenewed { error: error.clone(), again });
        }
        match (awaited, is_last) {
            (true, true) => self.no_token_for_good(error, cx),
            (true, false) => {
                let cause = match error {
                    TokenError::Rest(error) if self.tokens.provider.is_none() => {
                        LossCause::Rest { step: ConnectStep::Token, error }
                    }
                    error => LossCause::Token(error),
                };
                self.no_token(cause, cx)
            }
            (false, true) if self.tokens.ended => self.expired(cx),
            (false, _) => Flow::Continue(()),
        }
    }

    /// Whether the source of tokens has given its last word: a password that is wrong, a user that is gone, a provider
    /// that says so. What else fails may pass, also where the service refuses what a provider gave.
    fn is_last(&self, error: &TokenError) -> bool {
        match error {
            TokenError::Rest(error) => self.tokens.provider.is_none() && error.is_final(),
            error => error.is_final(),
        }
    }

    /// The attempt needs a token, and its source has given the last word.
    fn no_token_for_good(&mut self, error: TokenError, cx: &mut Cx<'_>) -> Flow {
        let user = self.user.clone();
        match (self.tokens.renewal.refused.take(), error, self.phase.is_logging_in()) {
            (_, TokenError::Rest(error), true) => fail_login(OpenError::Token { user, error }),
            (_, TokenError::Rest(error), false) => end(DisconnectReason::Rest(error)),
            (Some(refusal), ..) => self.refused_for_good(refusal, cx),
            (None, error, true) => fail_login(OpenError::Provider { user, error }),
            (None, _, false) => self.expired(cx),
        }
    }

    /// The token has ended and there is no source of others.
    pub(in crate::session) fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.tokens.clock = None;
        cx.emit(EventKind::TokenExpired);
        self.log_out("inner:token expired", DisconnectReason::TokenExpired, cx)
    }

    /// PROVISION was refused and another attempt can do nothing about it.
    pub(in crate::session) fn refused_for_good(&mut self, refusal: Refusal, cx: &mut Cx<'_>) -> Flow {
        if refusal.kind() == RefusalKind::TokenExpired && !self.phase.is_logging_in() {
            cx.emit(EventKind::TokenExpired);
            return end(DisconnectReason::TokenExpired);
        }
        end(DisconnectReason::Refused(refusal))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Renewal;

    #[test]
    fn the_pauses_double_from_5_to_60_s_and_half_of_each_is_chance() {
        let (mut most, mut least) = (Renewal::default(), Renewal::default());
        let longest: Vec<u64> = (0..6).map(|_| most.pause(1.0).as_secs()).collect();
        assert_eq!(longest, [5, 10, 20, 40, 60, 60]);
        let shortest: Vec<Duration> = (0..3).map(|_| least.pause(0.0)).collect();
        assert_eq!(shortest, [2_500, 5_000, 10_000].map(Duration::from_millis));
    }

    #[test]
    fn no_pause_is_over_the_cap_however_many_asks_have_failed() {
        for failures in [31, 32, u32::MAX] {
            let mut renewal = Renewal { failures, ..Renewal::default() };
            assert_eq!(renewal.pause(f64::MAX), Duration::from_secs(60));
        }
    }
}
