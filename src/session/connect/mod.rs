//! Connecting: discovery, token, socket, PROVISION and redirects.

pub(in crate::session) mod addresses;
pub(in crate::session) mod login;
mod redirect;

use std::{mem, sync::Arc, time::Duration};

use crate::{
    config::{Addresses, Config, Endpoints},
    model::{
        EventKind,
        account::{Device, Token},
        admission::AttemptOutcome,
        auth::TokenGrant,
        error::{ConnectStep, LossCause, OpenError, Refusal, RefusalKind, RestError},
        server_text::ServerText,
    },
    session::{
        Action, Diagnostic,
        connect::{
            login::Login,
            redirect::{MAX_REDIRECTS, Route, redirect_url},
        },
        context::Cx,
        handshake::Identity,
        heartbeat::Online,
        machine::{Flow, Session, fail_login},
        phase::{Attempt, Phase},
    },
    wire::{Provision, RedirectInfo, status::ErrorCode},
};

#[derive(Debug)]
pub(super) struct Connecting {
    stage: Stage,
    pub(super) attempt: Attempt,
    pub(super) until: Duration,
}

/// A stage of an attempt, with its state.
#[derive(Debug)]
pub(super) enum Stage {
    State,
    /// Waiting for a permit, since then.
    Admission(Duration),
    Discovery,
    Token,
    Dial(Route),
    /// Waiting for the answer to PROVISION.
    Provision {
        route: Route,
        session_id: Box<str>,
        /// Token it was sent with; the session may have a newer one when the answer comes.
        token: Token,
    },
}

/// Consecutive failed attempts before a rediscovery (connection spec §2).
const REDISCOVER_EVERY: u32 = 5;

/// Time limit for reading the state folder; half the login's limit if that is less.
const RECALL: Duration = Duration::from_secs(5);

fn recall_limit(config: &Config) -> Duration {
    if config.keep_trying_first_login { RECALL } else { RECALL.min(config.login_deadline / 2) }
}

impl Connecting {
    pub(super) fn step(&self) -> ConnectStep {
        match &self.stage {
            Stage::State => ConnectStep::State,
            Stage::Admission(_) => ConnectStep::Admission,
            Stage::Discovery => ConnectStep::Discovery,
            Stage::Token => ConnectStep::Token,
            Stage::Dial(route) => route.step,
            Stage::Provision { .. } => ConnectStep::Provision,
        }
    }

    /// Records the dial's progress; ignores steps that are not part of dialing.
    pub(super) fn progress(&mut self, step: ConnectStep) {
        use ConnectStep::{Connect, Proxy, Resolve, Tls, Upgrade};
        if let (Stage::Dial(route), Resolve | Connect | Proxy | Tls | Upgrade) = (&mut self.stage, step) {
            route.step = step;
        }
    }

    /// Returns the extra time for an answer that may lie unread; 0 if the stage awaits none from the link.
    pub(super) fn answer_limit(&self, config: &Config) -> Duration {
        if matches!(self.stage, Stage::Provision { .. }) { config.provision_timeout } else { Duration::ZERO }
    }

    pub(super) fn needs_no_network(&self) -> bool {
        matches!(self.stage, Stage::State | Stage::Admission(_))
    }

    /// Returns when the attempt began to wait for its permit; `None` unless it does.
    pub(super) fn waits_since(&self) -> Option<Duration> {
        if let Stage::Admission(since) = self.stage { Some(since) } else { None }
    }

    /// Returns the address that is dialled; `None` before.
    pub(super) fn url(&self) -> Option<&str> {
        match &self.stage {
            Stage::Dial(route) | Stage::Provision { route, .. } => Some(&route.url),
            _ => None,
        }
    }

    /// Returns whether a lost link concerns this stage.
    pub(super) fn has_link(&self) -> bool {
        matches!(self.stage, Stage::Dial(_) | Stage::Provision { .. })
    }

    /// Returns the token that PROVISION was sent with.
    pub(super) fn provisioned_with(&self) -> Option<&Token> {
        if let Stage::Provision { token, .. } = &self.stage { Some(token) } else { None }
    }
}

impl Session {
    /// Begins a login; first reads the state folder, if there is one.
    pub(super) fn recall(&mut self, cx: &mut Cx<'_>) -> Flow {
        if cx.env.config.state_dir.is_none() {
            return self.begin(cx);
        }
        cx.out.push(Action::Recall { user: self.user.clone(), device: Arc::clone(&self.device) });
        self.enter(Stage::State, recall_limit(&cx.env.config), cx)
    }

    /// Continues a login with the state folder's entry.
    pub(super) fn recalled(&mut self, device: Option<Device>, kept: Option<TokenGrant>, cx: &mut Cx<'_>) -> Flow {
        if !self.phase.is_at(ConnectStep::State) {
            return Flow::Continue(());
        }
        if let Some(device) = device {
            self.device = cx.env.known_as(Arc::new(device));
        }
        self.tokens.recalled(kept, cx.now);
        self.begin(cx)
    }

    /// Starts an attempt with the first missing prerequisite, of which a permit is the first.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.permits.are_needed() {
            return self.ask_admission(cx);
        }
        self.prepare(cx)
    }

    /// Goes on with an attempt that may go out.
    pub(super) fn prepare(&mut self, cx: &mut Cx<'_>) -> Flow {
        let env = &mut *cx.env;
        let rest_limit = env.config.rest_timeout;
        if let Endpoints::Discovery(hosts) = &env.config.endpoints {
            let attempts = self.retry.attempts();
            let stale = attempts > 1 && (attempts - 1).is_multiple_of(REDISCOVER_EVERY);
            if env.sockets.is_empty() || stale {
                // Each host may use its whole limit; one more keeps this from firing first.
                let limits = u32::try_from(hosts.len()).unwrap_or(u32::MAX).saturating_add(1);
                cx.out.push(Action::Discover);
                return self.enter(Stage::Discovery, rest_limit.saturating_mul(limits), cx);
            }
        }
        self.authorize(cx)
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
        cx.out.push(Action::Connect { url: server_address(&url, cx) });
        let limit = cx.env.config.connect_timeout;
        self.enter(Stage::Dial(Route { url, step: ConnectStep::Connect, behind }), limit, cx)
    }

    pub(super) fn enter(&mut self, stage: Stage, limit: Duration, cx: &Cx<'_>) -> Flow {
        if let Some(attempt) = self.phase.attempt() {
            self.phase = Phase::Connecting(Connecting { stage, attempt, until: cx.after(limit) });
        }
        Flow::Continue(())
    }

    pub(super) fn discovered(&mut self, result: Result<Addresses, RestError>, cx: &mut Cx<'_>) -> Flow {
        if !self.phase.is_at(ConnectStep::Discovery) {
            return Flow::Continue(());
        }
        match result {
            Ok(addresses) => {
                cx.env.sockets.set(&addresses);
                self.authorize(cx)
            }
            Err(error) if !cx.env.sockets.is_empty() => {
                cx.note(Diagnostic::DiscoveryFailed(error));
                self.authorize(cx)
            }
            Err(error) if self.phase.is_logging_in() && error.is_final() => {
                fail_login(OpenError::Discovery { user: self.user.clone(), error })
            }
            Err(error) => self.lost(LossCause::Rest { step: ConnectStep::Discovery, error }, cx),
        }
    }

    /// Sends PROVISION on the open socket (connection spec §4).
    pub(super) fn connected(&mut self, cx: &mut Cx<'_>) {
        let (Some(token), Phase::Connecting(connecting)) = (self.tokens.token(), &mut self.phase) else { return };
        if !matches!(connecting.stage, Stage::Dial(_)) {
            return;
        }
        let Stage::Dial(route) = mem::replace(&mut connecting.stage, Stage::Token) else { return };
        let session_id = cx.env.new_session_id(cx.now);
        let config = &cx.env.config;
        let identity = Identity { app_key: &config.app_key, user: &self.user, device: &self.device, token };
        let frame = identity.provision(&session_id, self.login_ext.as_deref());
        connecting.until = cx.after(config.provision_timeout);
        connecting.stage = Stage::Provision { route, session_id, token: token.clone() };
        cx.transmit("PROVISION", frame);
    }

    /// Handles the answer to PROVISION (connection spec §6.2, §6.3, §6.4).
    pub(super) fn provision_answer(&mut self, answer: Provision, cx: &mut Cx<'_>) -> Flow {
        if !self.phase.is_at(ConnectStep::Provision) {
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

    /// Adopts the name that the service gives this device, as every official client does (connection spec §6.2). An
    /// empty or invalid one is ignored.
    fn take_resource(&mut self, named: Option<String>, cx: &mut Cx<'_>) {
        let device = &self.device;
        let Some(resource) = named.filter(|named| !named.is_empty() && *named != device.resource) else { return };
        let bytes = resource.len();
        let mut renamed = Device::clone(device);
        renamed.resource = resource;
        if renamed.check().is_err() {
            self.inbox.oddities.resource_ignored(bytes, cx);
            return;
        }
        let shown = |name: &str| cx.env.origin.redactor().shown(name.to_owned()).into_boxed_str();
        let (from, to) = (shown(&device.resource), shown(&renamed.resource));
        cx.note(Diagnostic::ResourceTaken { from, to });
        let renamed = Arc::new(renamed);
        cx.env.rename(Arc::clone(&self.device), Arc::clone(&renamed));
        self.device = renamed;
    }

    fn accepted(&mut self, auth_token: Option<&str>, cx: &mut Cx<'_>) -> Flow {
        let Phase::Connecting(Connecting { stage: Stage::Provision { session_id, .. }, attempt, .. }) = &mut self.phase
        else {
            return Flow::Continue(());
        };
        let resumed = matches!(attempt, Attempt::Resume);
        let session_id = mem::take(session_id);
        self.attempt_over(AttemptOutcome::Online, cx);
        self.retry.link_up(resumed);
        cx.env.arrivals.restart();
        self.phase = Phase::Online(Box::new(Online::new(session_id, cx.now)));
        self.inbox.link_up();
        self.tokens.accepted(auth_token, cx);
        cx.emit(EventKind::Connected { resumed });
        self.outbox.link_up(cx);
        if let Phase::Online(online) = &mut self.phase {
            online.beat(&mut self.inbox, cx);
        }
        if !resumed {
            cx.out.push(Action::Opened(Ok(())));
        }
        self.token_due(cx)
    }

    fn redirected(&mut self, targets: &[RedirectInfo], reason: Option<String>, cx: &mut Cx<'_>) -> Flow {
        let Phase::Connecting(Connecting { stage: Stage::Provision { route, .. }, .. }) = &mut self.phase else {
            return Flow::Continue(());
        };
        let url = Arc::clone(&route.url);
        let mut behind = mem::take(&mut route.behind);
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
        cx.note(Diagnostic::Redirected { url: server_address(&next, cx), hop });
        self.dial(next, behind, cx)
    }

    /// Fails a login whose deadline has passed.
    pub(super) fn login_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Phase::Connecting(connecting) = &self.phase
            && let Attempt::Login(Login { deadline: Some(deadline), .. }) = connecting.attempt
            && cx.env.arrivals.is_late_if_read(deadline, connecting.answer_limit(&cx.env.config), cx.now.mono)
        {
            return fail_login(OpenError::Deadline { user: self.user.clone(), step: connecting.step() });
        }
        Flow::Continue(())
    }

    /// Handles a stage that timed out.
    pub(super) fn stage_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Phase::Connecting(connecting) = &self.phase else { return Flow::Continue(()) };
        let (step, limit) = (connecting.step(), connecting.answer_limit(&cx.env.config));
        if !cx.env.arrivals.is_late_if_read(connecting.until, limit, cx.now.mono) {
            return Flow::Continue(());
        }
        match step {
            ConnectStep::State => {
                cx.out.push(Action::Hangup);
                cx.note(Diagnostic::StateUnread { limit: recall_limit(&cx.env.config) });
                self.begin(cx)
            }
            // The fetch has a deadline of its own.
            ConnectStep::Token => Flow::Continue(()),
            _ => self.lost(LossCause::Timeout(step), cx),
        }
    }
}

/// Returns an address that the server may have named: whole for the dial, redacted when shown.
fn server_address(url: &str, cx: &Cx<'_>) -> ServerText {
    ServerText::new(url.to_owned(), cx.env.origin.redactor())
}
