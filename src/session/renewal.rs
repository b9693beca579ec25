//! New tokens while the session goes on: asked for one at a time, with a deadline, again after growing pauses.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Action, FetchedToken, Note,
    entering::{Entering, LONGEST_RETRY_AFTER},
    life::{Flow, Phase, Purpose, Session},
    token::TokenClock,
    world::Context,
};
use crate::{
    DisconnectReason, EventKind, OpenError, Password, ProviderError, Refusal, RefusalKind, Step, Token, TokenError,
    TokenProvider, TokenReason, TokenRequest, credentials::Secret,
};

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
pub(super) struct Renewal {
    /// The deadline of the ask that is under way.
    under_way: Option<Duration>,
    /// When the next ask is due.
    next: Option<Duration>,
    /// When the last ask began.
    last: Option<Duration>,
    /// Asks that failed since the last token.
    failures: u32,
    /// No ask can succeed any more.
    stopped: bool,
    /// The token's end has come, and the first ask's answer is still awaited.
    overdue: bool,
    /// The refusal that the ask under way is to make good.
    pub(super) refused: Option<Refusal>,
    /// The token is as new as it gets, and was not accepted yet: its refusal is final.
    pub(super) spent: bool,
}

impl Renewal {
    /// When [`Session::renewal_due`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.under_way.or(self.next)
    }

    /// Whether an ask is under way.
    pub(super) fn is_asking(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the token may outlive its end a little, because the first ask for the next one has no answer yet.
    pub(super) fn awaits_first_answer(&mut self) -> bool {
        self.overdue = self.failures == 0 && self.deadline().is_some();
        self.overdue
    }

    /// The pause before the next ask: between half the ceiling and all of it.
    fn pause(&mut self, roll: f64) -> Duration {
        let ceiling = BASE.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(CAP);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0))
    }

    /// A token has come.
    fn renewed(&mut self) {
        *self = Renewal { last: self.last, ..Renewal::default() };
    }

    /// The server accepted the token: its next refusal is news.
    pub(super) fn accepted(&mut self) {
        self.spent = false;
    }

    /// A countdown runs again, by the server's word.
    pub(super) fn counted_anew(&mut self) {
        self.overdue = false;
    }
}

impl Session {
    fn token_source(&self) -> Option<TokenSource> {
        if self.renewal.stopped {
            return None;
        }
        match (&self.provider, &self.secret) {
            (Some(provider), _) => Some(TokenSource::Provider(Arc::clone(&provider.0))),
            (None, Secret::Password(password)) => Some(TokenSource::Password(password.clone())),
            (None, _) => None,
        }
    }

    /// The countdown says that it is time.
    pub(super) fn renew_ahead(&mut self, context: &mut Context<'_>) {
        let least = self.renewal.last.map(|last| last.saturating_add(LEAST_APART));
        match least {
            Some(least) if context.now.mono < least => self.renewal.next = self.token_source().map(|_| least),
            _ => self.ask(TokenReason::Expiring, context),
        }
    }

    /// Asks for a token, unless that is under way or of no use.
    fn ask(&mut self, reason: TokenReason, context: &mut Context<'_>) {
        if self.renewal.is_asking() {
            return;
        }
        self.renewal.next = None;
        let Some(from) = self.token_source() else { return };
        self.renewal.under_way = Some(context.after(context.world.config.token_timeout));
        self.renewal.last = Some(context.now.mono);
        context.out.push(Action::RenewToken { request: TokenRequest::new(self.user.clone(), reason), from });
    }

    /// On the way in, and no token to go on with: asks for one and waits.
    pub(super) fn await_token(&mut self, reason: TokenReason, context: &mut Context<'_>) -> Flow {
        self.ask(reason, context);
        let until = self.renewal.under_way.unwrap_or(context.now.mono);
        self.enter(Entering::Token, until.saturating_sub(context.now.mono), context)
    }

    /// Whether a refusal of PROVISION may be made good by a new token; tried once.
    pub(super) fn may_be_made_good(&self, refusal: &Refusal) -> bool {
        matches!(refusal.kind(), RefusalKind::TokenExpired | RefusalKind::InvalidToken)
            && !self.renewal.spent
            && self.token_source().is_some()
    }

    /// The ask's deadline, or the time of the next one.
    pub(super) fn renewal_due(&mut self, context: &mut Context<'_>) -> Flow {
        let now = context.now.mono;
        match self.renewal.deadline() {
            Some(due) if now >= due && !matches!(self.phase, Phase::LoggingOut { .. }) => {}
            _ => return Flow::Stay,
        }
        if self.renewal.is_asking() {
            context.out.push(Action::DropRenewal);
            return self.not_renewed(TokenError::Timeout, context);
        }
        self.ask(TokenReason::Expiring, context);
        Flow::Stay
    }

    /// The answer to [`Action::RenewToken`].
    pub(super) fn token_provided(
        &mut self,
        result: Result<FetchedToken, TokenError>,
        context: &mut Context<'_>,
    ) -> Flow {
        if !self.renewal.is_asking() || matches!(self.phase, Phase::LoggingOut { .. }) {
            return Flow::Stay;
        }
        match result {
            Ok(FetchedToken { token, expires_at }) => {
                let wall = self.server_clock.map_or(context.now.wall, |clock| clock.read(context.now));
                // Before the server's clock is heard, a local one that is wrong must not condemn a token.
                let ended = self.server_clock.is_some() && expires_at.is_some_and(|at| at <= wall);
                if ended || self.token.as_ref() == Some(&token) {
                    return self.not_renewed(TokenError::Stale, context);
                }
                context.out.push(Action::Note(Note::TokenRenewed { expires_at }));
                self.take_token(token, expires_at, context)
            }
            Err(error) => self.not_renewed(error, context),
        }
    }

    /// A token that the application gives unasked; it counts for more than one that is being asked for.
    pub(super) fn token_given(&mut self, token: Token, expires_at: u64, context: &mut Context<'_>) -> Flow {
        if self.renewal.is_asking() {
            context.out.push(Action::DropRenewal);
        }
        self.take_token(token, Some(expires_at), context)
    }

    fn take_token(&mut self, token: Token, expires_at: Option<u64>, context: &mut Context<'_>) -> Flow {
        let awaited = self.renewal.is_asking() && self.is_at(Step::Token);
        let patience = context.world.config.heartbeat_answer;
        // The countdown of a login's token starts when the server accepts it.
        let counted = expires_at.filter(|_| !(awaited && self.is_logging_in()));
        self.clock = counted.and_then(|at| TokenClock::start(at, self.server_clock, context.now, patience));
        self.fetched_expiry = expires_at;
        self.former_token = self.token.replace(token);
        self.renewal.renewed();
        if !awaited {
            return Flow::Stay;
        }
        self.renewal.spent = true;
        self.connect(context)
    }

    fn not_renewed(&mut self, error: TokenError, context: &mut Context<'_>) -> Flow {
        let error = match error {
            TokenError::Provider(error) => {
                TokenError::Provider(ProviderError::shown_by(error, |text| self.without_password(self.shown(text))))
            }
            other => other,
        };
        let awaited = self.is_at(Step::Token);
        self.renewal.under_way = None;
        self.renewal.stopped = error.is_final() && self.provider.is_none();
        let asked = match &error {
            TokenError::Rest(error) => error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER),
            _ => Duration::ZERO,
        };
        let pause = self.renewal.pause(context.world.random.f64()).max(asked);
        let again = !self.renewal.stopped && !awaited && !self.renewal.overdue;
        self.renewal.next = again.then(|| context.after(pause));
        context.out.push(Action::Note(Note::TokenNotRenewed { error: error.clone(), again: again.then_some(pause) }));
        match (awaited, self.renewal.refused.take(), error) {
            (true, None, error) => Flow::Fail(OpenError::Provider { user: self.user.clone(), error }),
            (true, Some(_), TokenError::Rest(error)) if self.renewal.stopped => {
                Flow::End(DisconnectReason::Rest(error))
            }
            (true, Some(refusal), _) => self.refused_for_good(refusal, context),
            (false, ..) if self.renewal.overdue => self.expired(context),
            (false, ..) => Flow::Stay,
        }
    }

    /// The token has ended and there is no other.
    pub(super) fn expired(&mut self, context: &mut Context<'_>) -> Flow {
        self.clock = None;
        context.emit(EventKind::TokenExpired);
        self.log_out("inner:token expired", DisconnectReason::TokenExpired, context)
    }

    /// A provider may know the password, too.
    fn without_password(&self, text: String) -> String {
        match &self.secret {
            Secret::Password(password) => text.replace(password.expose(), "<redacted>"),
            _ => text,
        }
    }

    fn is_logging_in(&self) -> bool {
        matches!(self.phase, Phase::Entering { purpose: Purpose::Login { .. }, .. })
    }

    /// PROVISION was refused and another attempt can do nothing about it.
    pub(super) fn refused_for_good(&mut self, refusal: Refusal, context: &mut Context<'_>) -> Flow {
        if refusal.kind() == RefusalKind::TokenExpired && !self.is_logging_in() {
            context.emit(EventKind::TokenExpired);
            return Flow::End(DisconnectReason::TokenExpired);
        }
        Flow::End(DisconnectReason::Refused(refusal))
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
