//! Tokens: their ends and their renewal.
//!
//! Every token comes by `Action::FetchToken` and `Input::TokenReady`, for a login, a renewal or from the application.

pub(in crate::session) mod clock;
pub(in crate::session) mod fetch;
mod given;
mod renewal;

use std::{sync::Arc, time::Duration};

use crate::{
    config::Config,
    model::{
        account::{Token, UserId},
        auth::{Credentials, Expiry, Provider, Secret, TokenGrant, TokenReason, TokenRequest},
        error::{
            ConnectStep, ConnectionError, DisconnectReason, Kick, LossCause, Operation, ProviderError, Refusal,
            RefusalKind, RequestError, RestError, RestErrorKind, TokenError,
        },
    },
    session::{
        Action, Diagnostic, Now,
        context::Cx,
        phase::Phase,
        retry::LONGEST_RETRY_AFTER,
        tokens::{
            clock::{ServerClock, TokenClock, TokenEnd, expiry_of_auth_token, shown},
            fetch::{Fetch, Fetches, LEAST_APART, TokenFetch, TokenSource},
        },
    },
};

pub(super) use given::GivenTokens;

/// Tokens of a session: the one in use, its end, and the source of the next.
#[derive(Debug)]
pub(super) struct Tokens {
    user: UserId,
    secret: Secret,
    /// Application's source of new tokens, if any.
    provider: Option<Provider>,
    token: Option<Token>,
    /// True if the token is a stored one, which a password or a provider can replace.
    kept: bool,
    /// Stored token that seems to have ended; last resort of a login that can get no other.
    spare: Option<TokenGrant>,
    /// End of the token as its issuer gave it, for servers whose answer to PROVISION lacks it.
    granted_end: Option<TokenEnd>,
    /// True if the token has certainly ended: the next attempt needs a new one.
    ended: bool,
    clock: Option<TokenClock>,
    server_clock: Option<ServerClock>,
    fetches: Fetches,
    given: GivenTokens,
}

/// Consequence for the attempt under way.
#[derive(Debug)]
enum Verdict {
    Stay,
    /// Continue with the awaited token.
    Connect,
    /// Fail for lack of a token.
    Failed(LossCause),
    /// Fail, like all later attempts: the source has failed for good.
    Hopeless(TokenError),
    /// End: the token has ended and no other can be fetched.
    Expired,
}

/// Session phase, as far as it matters to tokens.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// True if the attempt under way waits for a token.
    awaits_token: bool,
    logging_in: bool,
    resuming: bool,
}

impl Stage {
    fn of(phase: &Phase) -> Self {
        Stage {
            awaits_token: phase.is_at(ConnectStep::Token),
            logging_in: phase.is_logging_in(),
            resuming: phase.is_resuming(),
        }
    }
}

impl Tokens {
    pub(super) fn new(credentials: Credentials) -> Self {
        let token = if let Secret::Token(token) = &credentials.secret { Some(token.clone()) } else { None };
        Tokens {
            user: credentials.user().clone(),
            secret: credentials.secret,
            provider: credentials.provider,
            token,
            kept: false,
            spare: None,
            granted_end: None,
            ended: false,
            clock: None,
            server_clock: None,
            fetches: Fetches::default(),
            given: GivenTokens::default(),
        }
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Returns the known end of the token in use, in milliseconds since 1970.
    pub(super) fn expires_at(&self) -> Option<u64> {
        let clock = self.clock.as_ref().and_then(TokenClock::expires_at);
        clock.or(self.granted_end.and_then(TokenEnd::at))
    }

    /// Returns the time of the warning or the end of the token.
    pub(super) fn end_deadline(&self) -> Option<Duration> {
        // Without the server's clock it may be never.
        self.clock.as_ref().map(TokenClock::deadline).filter(|due| *due < Duration::MAX)
    }

    /// Returns the deadline of the session's fetch, or the time of the next one.
    pub(super) fn fetch_deadline(&self) -> Option<Duration> {
        self.fetches.deadline()
    }

    /// Returns the deadline of the session's fetch under way.
    pub(super) fn fetch_under_way_deadline(&self) -> Option<Duration> {
        self.fetches.under_way.map(|fetch| fetch.until)
    }

    /// Returns the deadline of the request for a given token's end.
    pub(super) fn given_deadline(&self) -> Option<Duration> {
        self.given.deadline()
    }

    /// Adopts the stored token if the login has none of its own; one that seems to have ended is a last resort.
    pub(super) fn recalled(&mut self, kept: Option<TokenGrant>, now: Now) {
        let Some(grant) = kept.filter(|_| self.token.is_none()) else { return };
        if grant.ends_at().is_none_or(|end| end > now.wall) {
            self.use_kept(grant);
        } else {
            self.spare = Some(grant);
        }
    }

    fn use_kept(&mut self, grant: TokenGrant) {
        self.granted_end = grant.ends_at().map(TokenEnd::At);
        self.token = Some(grant.token);
        self.kept = true;
    }

    /// Falls back to a stored token that seems to have ended, if any: the clock may be wrong.
    fn use_spare(&mut self) -> bool {
        let spare = self.spare.take();
        let has_one = spare.is_some();
        spare.into_iter().for_each(|spare| self.use_kept(spare));
        has_one
    }

    /// Forgets the token: another is fetched as for a first attempt.
    fn forget(&mut self) {
        self.token = None;
        self.granted_end = None;
    }

    /// Returns whether the token differs from the one that PROVISION was sent with, which may be a stored one.
    pub(super) fn replaces(&mut self, sent: &Token) -> bool {
        let replaces = self.token.as_ref() != Some(sent);
        self.kept &= !replaces;
        replaces
    }

    /// Handles the refusal of a stored token, which is replaced once. `false` for any other.
    pub(super) fn kept_is_refused(&mut self, refusal: &Refusal, cx: &mut Cx<'_>) -> bool {
        if !(self.kept && refusal.is_of_token()) {
            return false;
        }
        self.kept = false;
        cx.out.push(Action::Hangup);
        cx.note(Diagnostic::KeptTokenRefused(refusal.clone()));
        self.forget_stored(cx);
        match self.secret {
            // Tells the provider the reason, so that it does not return the same token from its cache.
            Secret::Provider => self.fetches.refused = Some(refusal.clone()),
            Secret::Password(_) | Secret::Token(_) => self.forget(),
        }
        true
    }

    /// Records the refusal that a new token is to resolve.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.fetches.refused = Some(refusal);
    }

    /// Returns whether a new token may resolve a refused PROVISION at once; tried once.
    pub(super) fn can_retry_with_new_token(&self, refusal: &Refusal) -> bool {
        refusal.is_of_token() && !self.fetches.spent && self.source().is_some()
    }

    /// Returns whether a later token may be accepted after the newest one was refused.
    pub(super) fn may_get_a_better_token(&self, refusal: &Refusal) -> bool {
        matches!(refusal.kind(), RefusalKind::TokenExpired | RefusalKind::InvalidToken) && self.source().is_some()
    }

    /// Records the end of an attempt. After a long pause even a new token may be refused.
    pub(super) fn attempt_over(&mut self, resuming: bool) {
        self.fetches.spent = false;
        if resuming && self.ended {
            // The next attempt fetches a token.
            self.fetches.next = None;
        }
    }

    /// Cancels a password fetch that a login waits for: its network may be gone.
    pub(super) fn network_changed(&mut self, cx: &mut Cx<'_>) {
        if self.fetches.under_way.is_some_and(|fetch| fetch.for_login && fetch.by_password) {
            self.drop_fetch(cx);
        }
    }

    /// Reads the server's clock from its answer to UNREAD.
    pub(super) fn heard_server_clock(&mut self, timestamp: u64, cx: &mut Cx<'_>) {
        let known = self.expires_at();
        self.server_clock = Some(ServerClock::new(timestamp, cx.now));
        if let Some(clock) = &mut self.clock {
            clock.heard_server_clock(timestamp, cx.now);
        }
        if self.expires_at() != known {
            self.store(cx);
        }
    }

    /// Records an accepted PROVISION: the next refusal is new, and the countdown starts. A reconnect does not restart
    /// it (connection spec §10.1).
    pub(super) fn accepted(&mut self, auth_token: Option<&str>, cx: &mut Cx<'_>) {
        self.fetches.spent = false;
        if self.clock.is_none() {
            self.start_countdown(auth_token, cx.now, cx.env.config.heartbeat_answer);
        }
        self.store(cx);
        if self.ended {
            // It ended during the attempt, but the server accepted it.
            self.renew_ahead(cx);
        }
    }

    fn start_countdown(&mut self, auth_token: Option<&str>, now: Now, patience: Duration) {
        let told = auth_token.and_then(expiry_of_auth_token).and_then(|end| TokenEnd::counted_from(end, now));
        let server = self.server_clock;
        if self.ended {
            // Only an end from the server revives an ended token.
            let Some(end) = told.filter(|end| !end.is_over(server, now)) else { return };
            self.ended = false;
            self.clock = TokenClock::start(end, server, now, patience);
            return;
        }
        self.clock = match (told, self.granted_end) {
            // A life needs no wall clock until the server's is known; then the absolute end is more exact.
            (Some(TokenEnd::At(at)), Some(life @ TokenEnd::Counted { .. })) if server.is_none() => {
                TokenClock::start(life, None, now, patience).map(|clock| clock.told(at))
            }
            (told, granted) => told.or(granted).and_then(|end| TokenClock::start(end, server, now, patience)),
        };
    }

    /// Stores the token of an accepted session, if there is a state folder.
    fn store(&self, cx: &mut Cx<'_>) {
        if let Some(token) = self.token.clone().filter(|_| cx.env.config.state_dir.is_some()) {
            cx.out.push(Action::TokenChanged(TokenGrant::of(token, self.expires_at().map(Expiry::At))));
        }
    }

    /// Removes the stored token, if there is a state folder.
    fn forget_stored(&self, cx: &mut Cx<'_>) {
        if cx.env.config.state_dir.is_some() {
            cx.out.push(Action::ForgetToken);
        }
    }

    /// Settles everything at the end of the session; a token that ended with it is removed from the store.
    pub(super) fn end(&mut self, reason: Option<&DisconnectReason>, cx: &mut Cx<'_>) {
        for renewal in self.given.drain() {
            cx.out.push(Action::Renewed { renewal, outcome: Err(RequestError::NotLoggedIn) });
        }
        let is_dead = match reason {
            Some(DisconnectReason::Kicked(kick)) => matches!(kick, Kick::UserRemoved | Kick::PasswordChanged),
            Some(DisconnectReason::Refused(refusal)) => refusal.is_of_token(),
            // A wrong password ends a session only after its token was refused.
            Some(DisconnectReason::TokenExpired | DisconnectReason::Rest(_)) => true,
            _ => false,
        };
        if is_dead {
            self.forget_stored(cx);
        }
    }

    /// Returns the source of the next token; `None` if there is none, or it has failed for good.
    fn source(&self) -> Option<TokenSource> {
        if self.fetches.stopped {
            return None;
        }
        match (&self.provider, &self.secret) {
            (Some(provider), _) => Some(TokenSource::Provider(Arc::clone(&provider.0))),
            (None, Secret::Password(password)) => Some(TokenSource::Password(password.clone())),
            (None, _) => None,
        }
    }

    /// Like [`Tokens::source`], but a login with a password starts with that.
    fn source_for(&self, reason: TokenReason) -> Option<TokenSource> {
        match &self.secret {
            Secret::Password(password) if reason == TokenReason::Login => Some(TokenSource::Password(password.clone())),
            _ => self.source(),
        }
    }

    /// Returns the reason for another token; `None` if the current one can be tried.
    fn needs(&self) -> Option<TokenReason> {
        match (self.fetches.refused.as_ref().map(Refusal::kind), &self.token) {
            (Some(RefusalKind::TokenExpired), _) => Some(TokenReason::Expired),
            (Some(_), _) => Some(TokenReason::Refused),
            (None, Some(_)) if !self.ended => None,
            (None, Some(_)) => Some(TokenReason::Expired),
            (None, None) => Some(TokenReason::Login),
        }
    }

    /// Fetches the next token, when the countdown says so.
    fn renew_ahead(&mut self, cx: &mut Cx<'_>) {
        let least = self.fetches.last.map(|last| last.saturating_add(LEAST_APART));
        match least {
            Some(least) if cx.now.mono < least => self.fetches.next = self.source().map(|_| least),
            _ => self.fetch(TokenReason::Expiring, cx),
        }
    }

    /// Fetches a token, unless a fetch is in flight or there is no source.
    fn fetch(&mut self, reason: TokenReason, cx: &mut Cx<'_>) {
        if self.fetches.under_way.is_some() {
            return;
        }
        self.fetches.next = None;
        let Some(from) = self.source_for(reason) else { return };
        let by_password = matches!(from, TokenSource::Password(_));
        let for_login = reason == TokenReason::Login;
        let limit = if for_login && by_password { rest_limit(&cx.env.config) } else { cx.env.config.token_timeout };
        self.fetches.under_way = Some(Fetch { until: cx.after(limit), by_password, for_login });
        self.fetches.last = Some(cx.now.mono);
        let request = TokenRequest::new(self.user.clone(), reason);
        cx.out.push(Action::FetchToken { fetch: TokenFetch::Session, request, from });
    }

    fn drop_fetch(&mut self, cx: &mut Cx<'_>) {
        if self.fetches.under_way.take().is_some() {
            cx.out.push(Action::DropTokenFetch(TokenFetch::Session));
        }
    }

    /// Handles the result of the session's fetch.
    fn fetched(&mut self, result: Result<TokenGrant, TokenError>, stage: Stage, cx: &mut Cx<'_>) -> Verdict {
        let Some(fetch) = self.fetches.under_way else { return Verdict::Stay };
        let grant = match result {
            Ok(grant) => grant,
            Err(error) => return self.fetch_failed(error, fetch, stage, cx),
        };
        let end = grant.expires_at.and_then(|end| TokenEnd::counted_from(end, cx.now));
        // Until the server's clock is known, a wrong local one must not discard a token.
        let over = end.is_some_and(|end| end.is_over(self.server_clock, cx.now));
        // The service may accept a token after its end, but not one that it refused.
        let lives_on = self.ended && end.is_some() && self.fetches.refused.is_none();
        if over || (self.token.as_ref() == Some(&grant.token) && !lives_on) {
            return self.fetch_failed(TokenError::Stale, fetch, stage, cx);
        }
        if !(fetch.for_login && fetch.by_password) {
            let expires_at = grant.expires_at.map(|end| shown(end, cx.now));
            cx.note(Diagnostic::TokenRenewed { expires_at });
        }
        self.take(grant.token, end, stage, cx)
    }

    /// Switches to a new token.
    fn take(&mut self, token: Token, end: Option<TokenEnd>, stage: Stage, cx: &mut Cx<'_>) -> Verdict {
        let awaited = self.fetches.under_way.is_some() && stage.awaits_token;
        let patience = cx.env.config.heartbeat_answer;
        // The countdown of a login's token starts when the server accepts it.
        let counted = end.filter(|_| !(awaited && stage.logging_in));
        self.clock = counted.and_then(|end| TokenClock::start(end, self.server_clock, cx.now, patience));
        self.granted_end = end;
        self.ended = false;
        self.token = Some(token);
        self.fetches.succeeded();
        if !stage.logging_in {
            self.store(cx);
        }
        if !awaited {
            return Verdict::Stay;
        }
        self.fetches.spent = true;
        Verdict::Connect
    }

    /// Handles a failed fetch: it is repeated after a pause or by the next attempt, unless the source failed for good.
    fn fetch_failed(&mut self, error: TokenError, fetch: Fetch, stage: Stage, cx: &mut Cx<'_>) -> Verdict {
        let error = match error {
            TokenError::Provider(error) => {
                TokenError::Provider(ProviderError::shown_by(error, |text| cx.env.origin.redactor().shown(text)))
            }
            other => other,
        };
        // Final: a wrong password, a deleted user, or the provider says so. Anything else may pass.
        let is_last = match &error {
            TokenError::Rest(error) => fetch.by_password && error.is_final(),
            error => error.is_final(),
        };
        self.fetches.under_way = None;
        self.fetches.stopped |= is_last;
        let asked = match &error {
            TokenError::Rest(error) => error.retry_after().map(|pause| pause.min(LONGEST_RETRY_AFTER)),
            _ => None,
        };
        self.fetches.not_before = asked.map(|pause| cx.after(pause));
        let pause = self.fetches.pause(cx.env.random.f64()).max(asked.unwrap_or_default());
        // On a reconnect with an ended token, each attempt fetches.
        let attempts_ask = stage.awaits_token || (self.ended && stage.resuming);
        let again = Some(pause).filter(|_| !is_last && !attempts_ask);
        self.fetches.next = again.map(|pause| cx.after(pause));
        if !stage.awaits_token || (is_last && stage.resuming) {
            cx.note(Diagnostic::TokenNotRenewed { error: error.clone(), again });
        }
        match (stage.awaits_token, is_last) {
            (true, true) => Verdict::Hopeless(error),
            (true, false) => Verdict::Failed(match error {
                TokenError::Rest(error) if fetch.by_password => LossCause::Rest { step: ConnectStep::Token, error },
                TokenError::Timeout if fetch.by_password && fetch.for_login => LossCause::Timeout(ConnectStep::Token),
                error => LossCause::Token(error),
            }),
            (false, true) if self.ended => Verdict::Expired,
            (false, _) => Verdict::Stay,
        }
    }

    /// Queues a token from the application to request its end.
    pub(super) fn give(&mut self, renewal: u64, token: Token, cx: &mut Cx<'_>) {
        if self.given.push(renewal, token) {
            self.fetch_given(cx);
        } else {
            cx.out.push(Action::Renewed { renewal, outcome: Err(ConnectionError::Busy.into()) });
        }
    }

    /// Drops a given token without a caller: it must not replace one given later.
    pub(super) fn cancel_given(&mut self, renewal: u64, cx: &mut Cx<'_>) {
        if self.given.cancel(renewal) {
            cx.out.push(Action::DropTokenFetch(TokenFetch::Application));
            self.fetch_given(cx);
        }
    }

    fn fetch_given(&mut self, cx: &mut Cx<'_>) {
        if let Some(token) = self.given.begin(cx.after(rest_limit(&cx.env.config))) {
            let request = TokenRequest::new(self.user.clone(), TokenReason::Expiring);
            let from = TokenSource::Given(token);
            cx.out.push(Action::FetchToken { fetch: TokenFetch::Application, request, from });
        }
    }

    /// Handles the end of a given token, which takes precedence over a fetch in flight. Without an end nothing changes.
    fn given_ready(&mut self, result: Result<TokenGrant, TokenError>, stage: Stage, cx: &mut Cx<'_>) -> Verdict {
        let Some(renewal) = self.given.finish() else { return Verdict::Stay };
        let mut verdict = Verdict::Stay;
        let outcome = match result {
            Ok(grant) => {
                let end = grant.expires_at.unwrap_or(Expiry::At(u64::MAX));
                if self.fetches.under_way.is_some() {
                    cx.out.push(Action::DropTokenFetch(TokenFetch::Session));
                }
                verdict = self.take(grant.token, TokenEnd::counted_from(end, cx.now), stage, cx);
                Ok(shown(end, cx.now))
            }
            Err(TokenError::Rest(error)) => Err(error.into()),
            // Only REST is asked.
            Err(_) => {
                let limit = rest_limit(&cx.env.config);
                Err(RestError::local(Operation::TokenExpiry, RestErrorKind::Timeout(limit)).into())
            }
        };
        cx.out.push(Action::Renewed { renewal, outcome });
        self.fetch_given(cx);
        verdict
    }

    /// Cancels an overdue request for a given token's end.
    fn given_due(&mut self, stage: Stage, cx: &mut Cx<'_>) -> Verdict {
        if !self.given.is_fetching() {
            return Verdict::Stay;
        }
        cx.out.push(Action::DropTokenFetch(TokenFetch::Application));
        self.given_ready(Err(TokenError::Timeout), stage, cx)
    }
}

/// Returns the limit of one REST call: every host may use its whole limit.
fn rest_limit(config: &Config) -> Duration {
    config.rest_timeout.saturating_mul(8)
}
