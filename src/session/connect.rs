//! The way in: discovery, token, socket, PROVISION, redirects, and what follows a failure.

use std::{mem, sync::Arc, time::Duration};

use super::{Action, Diagnostic, FetchedToken, Now, login::Login, online::Online};
use crate::session::{
    context::Cx,
    handshake::Identity,
    machine::{Attempt, Flow, Phase, Session, end, fail_login},
    tokens::clock::{TokenClock, TokenEnd, expiry_of_auth_token},
};
use crate::{
    config::{Addresses, Config, Endpoints, Flapping},
    model::{
        EventKind,
        account::{Device, Token},
        auth::{KeptToken, Secret, TokenReason},
        error::{ConnectStep, DisconnectReason, LossCause, OpenError, Refusal, RefusalKind, RestError, TokenError},
        server_text::ServerText,
    },
    wire::{Provision, RedirectInfo, status::ErrorCode},
};

/// A step on the way in, with what it has to remember.
#[derive(Debug)]
pub(super) enum Connecting {
    State,
    Discovery,
    Token,
    Connect(Route),
    Provision {
        route: Route,
        session_id: Box<str>,
        /// The token it was sent with; the session may have a newer one by the time of the answer.
        token: Token,
    },
}

/// Where an attempt leads, redirect by redirect.
#[derive(Debug)]
pub(super) struct Route {
    url: Arc<str>,
    /// How far the connect has got.
    step: ConnectStep,
    /// The addresses that redirected this attempt, the first one included.
    behind: Vec<Arc<str>>,
}

impl Connecting {
    pub(super) fn step(&self) -> ConnectStep {
        match self {
            Connecting::State => ConnectStep::State,
            Connecting::Discovery => ConnectStep::Discovery,
            Connecting::Token => ConnectStep::Token,
            Connecting::Connect(route) => route.step,
            Connecting::Provision { .. } => ConnectStep::Provision,
        }
    }
}

/// How many redirects one attempt follows (connection spec §6.4).
const MAX_REDIRECTS: usize = 5;

/// After how many failed attempts in a row the addresses are asked for again (connection spec §2).
const REDISCOVER_EVERY: u32 = 5;

/// The longest pause a server can ask for by `Retry-After`.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long the state folder is waited for; half the login's own time where that is less.
const RECALL: Duration = Duration::from_secs(5);

fn recall_limit(config: &Config) -> Duration {
    if config.keep_trying_first_login { RECALL } else { RECALL.min(config.login_deadline / 2) }
}

impl Session {
    /// Begins a login, with what is kept of the account where there is a state folder.
    pub(super) fn recall(&mut self, cx: &mut Cx<'_>) -> Flow {
        if cx.env.config.state_dir.is_none() {
            return self.begin(cx);
        }
        cx.out.push(Action::Recall { user: self.user.clone(), device: Arc::clone(&self.device) });
        self.enter(Connecting::State, recall_limit(&cx.env.config), cx)
    }

    /// A kept token is tried where the login has none of its own; one whose end seems to have passed is its last resort.
    pub(super) fn recalled(
        &mut self,
        device: Option<Device>,
        token: Option<Token>,
        expires_at: Option<u64>,
        cx: &mut Cx<'_>,
    ) -> Flow {
        if !self.is_at(ConnectStep::State) {
            return Flow::Continue(());
        }
        if let Some(device) = device {
            self.device = cx.env.known_as(Arc::new(device));
        }
        if let Some(token) = token.filter(|_| self.tokens.token.is_none()) {
            if expires_at.is_none_or(|end| end > cx.now.wall) {
                self.tokens.token = Some(token);
                self.tokens.fetched_expiry = expires_at.map(TokenEnd::At);
                self.tokens.kept = true;
            } else {
                self.tokens.spare = Some(KeptToken { token, expires_at });
            }
        }
        self.begin(cx)
    }

    /// Starts an attempt: whatever is still missing for a connection comes first.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>) -> Flow {
        let env = &mut *cx.env;
        let rest_limit = env.config.rest_timeout;
        if let Endpoints::Discovery(hosts) = &env.config.endpoints {
            let attempts = self.retry.backoff.attempts();
            let stale = attempts > 1 && (attempts - 1).is_multiple_of(REDISCOVER_EVERY);
            if env.sockets.is_empty() || stale {
                // Each host may use up its own limit; one more keeps this from running out first.
                let limits = u32::try_from(hosts.len()).unwrap_or(u32::MAX).saturating_add(1);
                cx.out.push(Action::Discover);
                return self.enter(Connecting::Discovery, rest_limit.saturating_mul(limits), cx);
            }
        }
        self.authorize(cx)
    }

    /// Gets a token where there is none, or the one there is has ended or was refused.
    pub(super) fn authorize(&mut self, cx: &mut Cx<'_>) -> Flow {
        let (server, now) = (self.tokens.server_clock, cx.now);
        if self.is_logging_in() && self.tokens.fetched_expiry.is_some_and(|end| end.is_over(server, now)) {
            // It was fetched for an earlier attempt, too long ago.
            self.forget_token();
        }
        let reason = match (self.tokens.renewal.refused.as_ref().map(Refusal::kind), &self.tokens.token) {
            (Some(RefusalKind::TokenExpired), _) => TokenReason::Expired,
            (Some(_), _) => TokenReason::Refused,
            (None, Some(_)) if !self.tokens.ended => return self.connect(cx),
            (None, Some(_)) => TokenReason::Expired,
            (None, None) => TokenReason::Login,
        };
        if reason == TokenReason::Login
            && let Secret::Password(password) = &self.tokens.secret
        {
            cx.out.push(Action::FetchToken { user: self.user.clone(), password: password.clone() });
            // Every REST host may use up its own limit.
            let limit = cx.env.config.rest_timeout.saturating_mul(8);
            return self.enter(Connecting::Token, limit, cx);
        }
        self.await_token(reason, cx)
    }

    pub(super) fn connect(&mut self, cx: &mut Cx<'_>) -> Flow {
        match cx.env.sockets.take() {
            Some(url) => self.dial(url, Vec::new(), cx),
            None => {
                let detail = "no WebSocket address is known".to_owned();
                self.lost(LossCause::Failed { step: ConnectStep::Discovery, detail }, cx)
            }
        }
    }

    fn dial(&mut self, url: Arc<str>, behind: Vec<Arc<str>>, cx: &mut Cx<'_>) -> Flow {
        cx.out.push(Action::Connect { url: self.address(&url) });
        let limit = cx.env.config.connect_timeout;
        self.enter(Connecting::Connect(Route { url, step: ConnectStep::Connect, behind }), limit, cx)
    }

    /// An address that the server may have named: whole for whoever goes there.
    fn address(&self, url: &str) -> ServerText {
        ServerText::new(url.to_owned(), &self.redactor)
    }

    /// The connect under way has come to another of its steps; no other step can be one of a connect.
    pub(super) fn connect_is_at(&mut self, step: ConnectStep) {
        if !matches!(
            step,
            ConnectStep::Resolve | ConnectStep::Connect | ConnectStep::Proxy | ConnectStep::Tls | ConnectStep::Upgrade
        ) {
            return;
        }
        if let Phase::Entering { at: Connecting::Connect(route), .. } = &mut self.phase {
            route.step = step;
        }
    }

    pub(super) fn enter(&mut self, at: Connecting, limit: Duration, cx: &Cx<'_>) -> Flow {
        let (Phase::Entering { purpose, .. } | Phase::Waiting { purpose, .. }) = &self.phase else {
            return Flow::Continue(());
        };
        self.phase = Phase::Entering { at, purpose: purpose.clone(), until: cx.after(limit) };
        Flow::Continue(())
    }

    pub(super) fn is_resuming(&self) -> bool {
        matches!(
            &self.phase,
            Phase::Entering { purpose: Attempt::Resume, .. } | Phase::Waiting { purpose: Attempt::Resume, .. }
        )
    }

    pub(super) fn is_at(&self, step: ConnectStep) -> bool {
        matches!(&self.phase, Phase::Entering { at, .. } if at.step() == step)
    }

    pub(super) fn discovered(&mut self, result: Result<Addresses, RestError>, cx: &mut Cx<'_>) -> Flow {
        if !self.is_at(ConnectStep::Discovery) {
            return Flow::Continue(());
        }
        match result {
            Ok(addresses) => {
                cx.env.sockets.set(&addresses);
                self.authorize(cx)
            }
            Err(error) if !cx.env.sockets.is_empty() => {
                cx.out.push(Action::Note(Diagnostic::DiscoveryFailed(error)));
                self.authorize(cx)
            }
            Err(error) if self.is_logging_in() && error.is_final() => {
                fail_login(OpenError::Discovery { user: self.user.clone(), error })
            }
            Err(error) => self.lost(LossCause::Rest { step: ConnectStep::Discovery, error }, cx),
        }
    }

    pub(super) fn token_fetched(&mut self, result: Result<FetchedToken, RestError>, cx: &mut Cx<'_>) -> Flow {
        // Only a login fetches its token so; what else waits at this step waits for another answer.
        if !self.is_at(ConnectStep::Token) || self.tokens.renewal.is_asking() {
            return Flow::Continue(());
        }
        match result {
            Ok(fetched) => {
                self.tokens.token = Some(fetched.token);
                self.tokens.fetched_expiry = fetched.expires_at.and_then(|end| end.counted_from(cx.now));
                self.tokens.renewal.spent = true;
                self.connect(cx)
            }
            Err(error) if error.is_final() => fail_login(OpenError::Token { user: self.user.clone(), error }),
            Err(error) => self.no_token(LossCause::Rest { step: ConnectStep::Token, error }, cx),
        }
    }

    /// The socket is open: PROVISION goes first (connection spec §4).
    pub(super) fn connected(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Some(token) = &self.tokens.token else {
            return Flow::Continue(());
        };
        let Phase::Entering { at: at @ Connecting::Connect(_), until, .. } = &mut self.phase else {
            return Flow::Continue(());
        };
        let Connecting::Connect(route) = mem::replace(at, Connecting::Token) else {
            return Flow::Continue(());
        };
        let session_id = cx.env.new_session_id(cx.now);
        let config = &cx.env.config;
        let identity = Identity { app_key: &config.app_key, user: &self.user, device: &self.device, token };
        let frame = identity.provision(&session_id, self.login_ext.as_deref());
        *until = cx.now.mono.saturating_add(config.provision_timeout);
        *at = Connecting::Provision { route, session_id, token: token.clone() };
        cx.transmit("PROVISION", frame);
        Flow::Continue(())
    }

    /// The answer to PROVISION (connection spec §6.2, §6.3, §6.4).
    pub(super) fn provision_answer(&mut self, answer: Provision, cx: &mut Cx<'_>) -> Flow {
        if !self.is_at(ConnectStep::Provision) {
            return Flow::Continue(());
        }
        let Some(status) = answer.status else {
            let detail = "the answer has no status".to_owned();
            return self.lost(LossCause::Failed { step: ConnectStep::Provision, detail }, cx);
        };
        match status.error_code.unwrap_or(0) {
            code if code == ErrorCode::Ok as i32 => {
                self.take_resource(answer.resource, cx);
                self.accepted(answer.auth_token.as_deref(), cx)
            }
            code if code == ErrorCode::Redirect as i32 => self.redirected(&status.redirect_info, status.reason, cx),
            code => self.refused(Refusal::classify(code, status.reason), cx),
        }
    }

    /// Goes by the name that the service gives this device, from this login on, as every official client does (connection
    /// spec §6.2). One that no device can have is ignored, and so is an empty one.
    fn take_resource(&mut self, named: Option<String>, cx: &mut Cx<'_>) {
        let device = &self.device;
        let Some(resource) = named.filter(|named| !named.is_empty() && *named != device.resource) else { return };
        let bytes = resource.len();
        let mut renamed = Device::clone(device);
        renamed.resource = resource;
        if renamed.check().is_err() {
            if let Some(count) = self.inbox.odd.resources.strikes(1, cx.now.mono) {
                cx.out.push(Action::Note(Diagnostic::ResourceIgnored { bytes, count }));
            }
            return;
        }
        let shown = |name: &str| self.redactor.shown(name.to_owned()).into_boxed_str();
        let (from, to) = (shown(&device.resource), shown(&renamed.resource));
        cx.out.push(Action::Note(Diagnostic::ResourceTaken { from, to }));
        let renamed = Arc::new(renamed);
        cx.env.rename(Arc::clone(&self.device), Arc::clone(&renamed));
        self.device = renamed;
    }

    fn accepted(&mut self, auth_token: Option<&str>, cx: &mut Cx<'_>) -> Flow {
        let Phase::Entering { at: Connecting::Provision { session_id, .. }, purpose, .. } = &mut self.phase else {
            return Flow::Continue(());
        };
        let resumed = matches!(purpose, Attempt::Resume);
        self.retry.failed = 0;
        self.tokens.renewal.accepted();
        let session_id = mem::take(session_id);
        cx.env.arrivals.restart();
        let mut online = Box::new(Online::new(session_id, cx.now));
        online.queues.suspects = self.inbox.suspects.take();
        self.phase = Phase::Online(online);
        if !resumed {
            // Attempts of the login are not held against the link it led to.
            self.retry.backoff.restart();
        }
        self.arm(auth_token, cx.now, cx.env.config.heartbeat_answer);
        if self.tokens.ended {
            // It ended during the attempt, and the server took it all the same.
            self.renew_ahead(cx);
        }
        cx.emit(EventKind::Connected { resumed });
        self.rejoin(cx);
        self.send_kept(cx);
        if let Phase::Online(online) = &mut self.phase {
            online.beat(cx);
        }
        if !resumed {
            cx.out.push(Action::Opened(Ok(())));
        }
        self.token_due(cx)
    }

    /// Starts the countdown with the first accepted PROVISION; a reconnect does not start it anew (connection spec
    /// §10.1).
    fn arm(&mut self, auth_token: Option<&str>, now: Now, patience: Duration) {
        if self.tokens.clock.is_some() {
            return;
        }
        let told = auth_token.and_then(expiry_of_auth_token).and_then(|end| end.counted_from(now));
        if self.tokens.ended {
            // Only the server's word is news about it.
            let Some(end) = told.filter(|end| !end.is_over(self.tokens.server_clock, now)) else { return };
            self.tokens.ended = false;
            self.tokens.clock = TokenClock::start(end, self.tokens.server_clock, now, patience);
            return;
        }
        self.tokens.clock = match (told, self.tokens.fetched_expiry) {
            // A life needs no wall clock until the server's is heard; by that one the moment is the better word.
            (Some(TokenEnd::At(at)), Some(life @ TokenEnd::Counted { .. })) if self.tokens.server_clock.is_none() => {
                TokenClock::start(life, None, now, patience).map(|clock| clock.told(at))
            }
            (told, fetched) => {
                told.or(fetched).and_then(|end| TokenClock::start(end, self.tokens.server_clock, now, patience))
            }
        };
    }

    fn redirected(&mut self, targets: &[RedirectInfo], reason: Option<String>, cx: &mut Cx<'_>) -> Flow {
        let Phase::Entering { at: Connecting::Provision { route, .. }, .. } = &mut self.phase else {
            return Flow::Continue(());
        };
        let (url, mut behind) = (Arc::clone(&route.url), mem::take(&mut route.behind));
        let next = targets.first().and_then(|target| redirect_url(&url, target));
        behind.push(url);
        let hop = behind.len();
        let Some(next) = next else {
            return self.refused(Refusal::redirect(RefusalKind::RedirectWithoutAddress, reason), cx);
        };
        if behind.contains(&next) {
            return self.refused(Refusal::redirect(RefusalKind::RedirectLoop, Some(next.to_string())), cx);
        }
        if hop > MAX_REDIRECTS {
            return self.refused(Refusal::redirect(RefusalKind::TooManyRedirects, Some(next.to_string())), cx);
        }
        cx.out.push(Action::Hangup);
        cx.out.push(Action::Note(Diagnostic::Redirected { url: self.address(&next), hop }));
        self.dial(next, behind, cx)
    }

    /// A step's deadline, or the login's.
    pub(super) fn entering_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Phase::Entering { at, purpose, until } = &self.phase else {
            return Flow::Continue(());
        };
        let (now, step, limit) = (cx.now.mono, at.step(), answer_limit(at, &cx.env.config));
        let arrivals = &mut cx.env.arrivals;
        if let Attempt::Login(Login { deadline: Some(deadline), .. }) = purpose
            && arrivals.is_late_if_read(*deadline, limit, now)
        {
            return fail_login(OpenError::Deadline { user: self.user.clone(), step });
        }
        match step {
            ConnectStep::State if now < *until => Flow::Continue(()),
            ConnectStep::State => {
                let limit = recall_limit(&cx.env.config);
                cx.out.push(Action::Hangup);
                cx.out.push(Action::Note(Diagnostic::StateUnread { limit }));
                self.begin(cx)
            }
            _ if !arrivals.is_late_if_read(*until, limit, now) => Flow::Continue(()),
            ConnectStep::Token => self.no_token(LossCause::Timeout(step), cx),
            _ => self.lost(LossCause::Timeout(step), cx),
        }
    }

    /// After a loss or a failed attempt: a pause and another attempt, or the end.
    pub(super) fn try_again(&mut self, purpose: Attempt, cause: LossCause, cx: &mut Cx<'_>) -> Flow {
        let asked = match &cause {
            LossCause::UpgradeRefused { retry_after, .. } => *retry_after,
            LossCause::Rest { error, .. } | LossCause::Token(TokenError::Rest(error)) => error.retry_after(),
            _ => None,
        };
        self.try_again_after(asked.map(|pause| pause.min(LONGEST_RETRY_AFTER)), purpose, cause, cx)
    }

    /// Like [`Session::try_again`], with a pause that somebody asked for before the ladder's.
    pub(super) fn try_again_after(
        &mut self,
        asked: Option<Duration>,
        purpose: Attempt,
        cause: LossCause,
        cx: &mut Cx<'_>,
    ) -> Flow {
        // The pause may be long: what was new before it may be refused after it.
        self.tokens.renewal.spent = false;
        let policy = &cx.env.config.reconnect;
        match purpose {
            Attempt::Login(login) => return self.log_in_again(asked, login, cause, cx),
            Attempt::Resume => {
                if self.tokens.ended {
                    // The next attempt asks for a token.
                    self.tokens.renewal.forget_next();
                }
                if matches!(self.phase, Phase::Entering { .. }) {
                    self.retry.failed = self.retry.failed.saturating_add(1);
                }
                let failed = self.retry.failed;
                if !policy.enabled || policy.max_attempts.is_some_and(|limit| failed >= limit) {
                    return end(match cause {
                        LossCause::Kicked(kick) => DisconnectReason::Kicked(kick),
                        last => DisconnectReason::AttemptsExhausted { attempts: failed, last },
                    });
                }
                // The longer of what is asked for and the floor comes under the ladder's pause, whose jitter then
                // still keeps many clients from coming back in one moment.
                let floor = self.retry.flaps.floor(policy.flapping.as_ref());
                self.outbox.kept_from = cx.after(floor);
                let least = asked.unwrap_or_default().max(floor);
                let delay = self.retry.backoff.next(cx.env.random.f64()).saturating_add(least);
                cx.out.push(Action::Hangup);
                let (least, until) = (cx.after(least), cx.after(delay));
                self.phase = Phase::Waiting { purpose: Attempt::Resume, least, until };
                if let Some(rule) = self.retry.flaps.news(policy.flapping.as_ref()) {
                    let Flapping { sessions, window, floor } = *rule;
                    cx.out.push(Action::Emit(EventKind::Flapping { sessions, window, floor }));
                }
                cx.emit(EventKind::Reconnecting { attempt: self.retry.backoff.attempts(), delay, cause });
            }
        }
        Flow::Continue(())
    }
}

/// How long the answer that a step waits for may be put off, should it lie unread; nothing where none comes by the link.
pub(super) fn answer_limit(at: &Connecting, config: &Config) -> Duration {
    if matches!(at, Connecting::Provision { .. }) { config.provision_timeout } else { Duration::ZERO }
}

/// The address a redirect leads to: scheme and path stay as they are.
fn redirect_url(from: &str, target: &RedirectInfo) -> Option<Arc<str>> {
    // No host has a longer name.
    let host = target.host.as_deref().filter(|host| (1..=255).contains(&host.len()))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if !host.chars().all(fits) {
        return None;
    }
    let (scheme, rest) = from.split_once("://")?;
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    let port = match target.port {
        None | Some(0) => String::new(),
        Some(port) => format!(":{}", u16::try_from(port).ok()?),
    };
    let url = format!("{scheme}://{host}{port}{path}");
    url.parse::<awc::http::Uri>().ok()?;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::redirect_url;
    use crate::wire::RedirectInfo;

    fn target(host: &str, port: u32) -> RedirectInfo {
        RedirectInfo { host: Some(host.to_owned()), port: Some(port) }
    }

    #[test]
    fn a_redirect_keeps_scheme_and_path() {
        let to = |host, port| redirect_url("wss://a.example:8443/websocket", &target(host, port));
        assert_eq!(to("b.example", 9000).as_deref(), Some("wss://b.example:9000/websocket"));
        assert_eq!(to("b.example", 0).as_deref(), Some("wss://b.example/websocket"));
        assert_eq!(to("[::1]", 1).as_deref(), Some("wss://[::1]:1/websocket"));
    }

    #[test]
    fn a_redirect_to_nonsense_leads_nowhere() {
        for (host, port) in [("", 1), ("a b", 1), ("a/b", 1), ("user@host", 1), ("host", 65_536), ("[", 1)] {
            assert_eq!(redirect_url("ws://a/websocket", &target(host, port)), None, "{host}:{port}");
        }
        assert_eq!(redirect_url("ws://a/websocket", &RedirectInfo::default()), None);
    }
}
