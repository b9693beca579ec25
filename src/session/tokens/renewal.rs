//! Consequences for the session when its token ends, is renewed or cannot be.

use std::{mem, time::Duration};

use crate::{
    model::{
        EventKind,
        auth::{TokenGrant, TokenReason},
        error::{DisconnectReason, LossCause, OpenError, Refusal, RefusalKind, TokenError},
    },
    session::{
        Action, Diagnostic,
        connect::Stage as ConnectStage,
        context::Cx,
        machine::{Flow, Session, end, fail_login},
        phase::{Attempt, Phase},
        tokens::{
            Stage, Verdict,
            clock::{Countdown, TokenEnd},
            fetch::TokenFetch,
        },
    },
};

impl Session {
    fn follow(&mut self, verdict: Verdict, cx: &mut Cx<'_>) -> Flow {
        match verdict {
            Verdict::Stay => Flow::Continue(()),
            Verdict::Connect => self.connect(cx),
            Verdict::Failed(cause) => self.no_token(cause, cx),
            Verdict::Hopeless(error) => self.no_token_for_good(error, cx),
            Verdict::Expired => self.expired(cx),
        }
    }

    /// Handles the answer to [`Action::FetchToken`].
    pub(in crate::session) fn token_ready(
        &mut self,
        fetch: TokenFetch,
        result: Result<TokenGrant, TokenError>,
        cx: &mut Cx<'_>,
    ) -> Flow {
        let stage = Stage::of(&self.phase);
        let verdict = match fetch {
            TokenFetch::Session if matches!(self.phase, Phase::LoggingOut(_)) => Verdict::Stay,
            TokenFetch::Session => self.tokens.fetched(result, stage, cx),
            TokenFetch::Application => self.tokens.given_ready(result, stage, cx),
        };
        self.follow(verdict, cx)
    }

    /// Handles the deadline of the fetch in flight, or starts the next one.
    pub(in crate::session) fn fetch_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Some(fetch) = self.tokens.fetches.under_way else {
            self.tokens.fetch(TokenReason::Expiring, cx);
            return Flow::Continue(());
        };
        cx.out.push(Action::DropTokenFetch(TokenFetch::Session));
        let verdict = self.tokens.fetch_failed(TokenError::Timeout, fetch, Stage::of(&self.phase), cx);
        self.follow(verdict, cx)
    }

    /// Handles the deadline of the request for a given token's end.
    pub(in crate::session) fn given_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        let verdict = self.tokens.given_due(Stage::of(&self.phase), cx);
        self.follow(verdict, cx)
    }

    /// Warns of the token's end and handles it, in every phase, also while the link is down.
    pub(in crate::session) fn token_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        if matches!(self.phase, Phase::LoggingOut(_)) {
            return Flow::Continue(());
        }
        while let Some(clock) = &mut self.tokens.clock {
            match clock.check(cx.now) {
                Countdown::Quiet => break,
                Countdown::WillExpire { at, expires_in } => {
                    cx.emit(EventKind::TokenWillExpire { at, expires_in });
                    self.renew_ahead(cx);
                }
                Countdown::Expired { .. } if self.tokens.source().is_none() => return self.expired(cx),
                Countdown::Expired { certain } => {
                    self.tokens.clock = None;
                    self.outlived(certain, cx);
                }
            }
        }
        Flow::Continue(())
    }

    /// Fetches the next token; one that may not be fetched now is as soon as the attempt has its permit.
    fn renew_ahead(&mut self, cx: &mut Cx<'_>) {
        if self.may_call() {
            self.tokens.renew_ahead(cx);
        } else if self.tokens.fetches.under_way.is_none() && self.tokens.source().is_some() {
            self.tokens.fetches.next = Some(cx.now.mono);
        }
    }

    /// Continues past the token's end, as there is a source of others. Online the server decides how long it accepts
    /// the old one; on a reconnect the next attempt first fetches a new one.
    fn outlived(&mut self, certain: bool, cx: &mut Cx<'_>) {
        self.tokens.ended |= certain;
        if !self.phase.is_online() {
            if certain {
                self.tokens.fetches.next = None;
            }
        } else if self.tokens.fetches.deadline().is_none() {
            self.tokens.renew_ahead(cx);
        }
    }

    /// Authorises an attempt: fetches a token if there is none, or the current one has ended or was refused.
    pub(in crate::session) fn authorize(&mut self, cx: &mut Cx<'_>) -> Flow {
        let (server, now) = (self.tokens.server_clock, cx.now);
        if self.phase.is_logging_in() && self.tokens.granted_end.is_some_and(|end| TokenEnd::is_over(end, server, now))
        {
            // It was fetched too long ago, for an earlier attempt.
            self.tokens.forget();
        }
        match self.tokens.needs() {
            None => self.connect(cx),
            Some(reason) => self.await_token(reason, cx),
        }
    }

    /// Fetches a token for an attempt and waits for it, at first as long as the service asked.
    fn await_token(&mut self, reason: TokenReason, cx: &mut Cx<'_>) -> Flow {
        if self.tokens.source_for(reason).is_none() {
            return match self.tokens.fetches.refused.take() {
                Some(refusal) => self.refused_for_good(refusal, cx),
                None => self.expired(cx),
            };
        }
        if let Some(pause) = self.pause_before_fetch(cx.now.mono) {
            self.wait(Attempt::Resume, pause, pause, cx);
            return Flow::Continue(());
        }
        self.tokens.fetch(reason, cx);
        let until = self.tokens.fetches.under_way.map_or(cx.now.mono, |fetch| fetch.until);
        self.enter(ConnectStage::Token, until.saturating_sub(cx.now.mono), cx)
    }

    /// Returns for how long the service asked not to be asked for a token, as far as a reconnect waits for that.
    fn pause_before_fetch(&self, now: Duration) -> Option<Duration> {
        let least = self.tokens.fetches.not_before.filter(|least| now < *least)?;
        let waits = self.tokens.fetches.under_way.is_none() && self.phase.is_resuming();
        waits.then(|| least.saturating_sub(now))
    }

    /// Returns the pause of a reconnect that has to fetch a token, before it asks for its permit.
    pub(in crate::session) fn token_pause(&self, now: Duration) -> Option<Duration> {
        let reason = self.tokens.needs()?;
        self.tokens.source_for(reason)?;
        self.pause_before_fetch(now)
    }

    /// Handles an attempt without a token. A login may fall back to a stored token that seems to have ended.
    fn no_token(&mut self, cause: LossCause, cx: &mut Cx<'_>) -> Flow {
        if !self.phase.is_logging_in() || !self.tokens.use_spare() {
            return self.lost(cause, cx);
        }
        cx.out.push(Action::Hangup);
        cx.note(Diagnostic::KeptTokenTried);
        self.connect(cx)
    }

    /// Ends a session whose attempt needs a token that its source has refused for good.
    fn no_token_for_good(&mut self, error: TokenError, cx: &mut Cx<'_>) -> Flow {
        let user = self.user.clone();
        match (mem::take(&mut self.tokens.fetches.refused), error, self.phase.is_logging_in()) {
            (_, TokenError::Rest(error), true) => fail_login(OpenError::Token { user, error }),
            (_, TokenError::Rest(error), false) => end(DisconnectReason::Rest(error)),
            (Some(refusal), ..) => self.refused_for_good(refusal, cx),
            (None, error, true) => fail_login(OpenError::Provider { user, error }),
            (None, _, false) => self.expired(cx),
        }
    }

    /// Ends a session whose token has ended without a source of others.
    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.tokens.clock = None;
        cx.emit(EventKind::TokenExpired);
        self.log_out("inner:token expired", DisconnectReason::TokenExpired, cx)
    }

    /// Ends a session whose PROVISION was refused for good.
    pub(in crate::session) fn refused_for_good(&mut self, refusal: Refusal, cx: &mut Cx<'_>) -> Flow {
        self.attempt_failed(&LossCause::Refused(refusal.clone()), cx);
        if refusal.kind() == RefusalKind::TokenExpired && !self.phase.is_logging_in() {
            cx.emit(EventKind::TokenExpired);
            return end(DisconnectReason::TokenExpired);
        }
        end(DisconnectReason::Refused(refusal))
    }
}
