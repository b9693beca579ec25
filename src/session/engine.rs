//! The machine: one session at a time, from `open` to its end.

use std::{sync::Arc, time::Duration};

use super::{
    Action, ConnectionState, Frame, Input, Now, backoff::Backoff, entering::Entering, frames::Identity, online::Online,
    recent::Recent, sends::Sends, token::Countdown, token::ServerClock, token::TokenClock,
};
use crate::{
    Addresses, Config, Credentials, DisconnectReason, Endpoints, EventKind, EventMask, LossCause, OpenError, Refusal,
    SendError, Step, Token, UserId, credentials::Secret,
};

/// The pure machine of one connection.
///
/// Bounds: unanswered sends by `Config::max_pending_sends`, remembered message ids 256, known queues 4096,
/// redirects in a row 5, connections tried by one `open` 3.
#[derive(Debug)]
pub struct Engine {
    pub(super) world: World,
    session: Option<Box<Session>>,
    client_ids: u64,
}

/// What outlives a session.
#[derive(Debug)]
pub(super) struct World {
    pub(super) config: Arc<Config>,
    pub(super) random: fastrand::Rng,
    pub(super) sockets: Sockets,
    pub(super) wanted: EventMask,
    last_session: u64,
}

impl World {
    /// A session id, new for every attempt: the wall clock, unless that stands still or steps back.
    pub(super) fn new_session_id(&mut self, now: Now) -> Box<str> {
        self.last_session = now.wall.max(self.last_session.saturating_add(1));
        format!("{}:", self.last_session).into()
    }
}

/// The WebSocket addresses; each attempt takes the next one.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    list: Vec<Arc<str>>,
    next: usize,
}

impl Sockets {
    /// Takes new addresses; those known before stay where there are none.
    pub(super) fn set(&mut self, addresses: &Addresses) {
        if addresses.socket.is_empty() {
            return;
        }
        self.list = addresses.socket.iter().map(|url| Arc::from(url.as_str())).collect();
        self.next = 0;
    }

    /// Nothing could be reached by them: the service may have moved.
    fn forget(&mut self) {
        *self = Sockets::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn take(&mut self) -> Option<Arc<str>> {
        let url = self.list.get(self.next % self.list.len().max(1)).cloned();
        self.next = self.next.wrapping_add(1) % self.list.len().max(1);
        url
    }
}

/// What is true from `open` until the end.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    pub(super) secret: Secret,
    pub(super) token: Option<Token>,
    /// The end of a token fetched by REST, for servers whose PROVISION answer does not tell it.
    pub(super) fetched_expiry: Option<u64>,
    pub(super) clock: Option<TokenClock>,
    pub(super) server_clock: Option<ServerClock>,
    pub(super) backoff: Backoff,
    pub(super) recent: Recent,
    pub(super) sends: Sends,
    pub(super) phase: Phase,
}

/// Where the session stands; each phase holds what is true in it alone.
#[derive(Debug)]
pub(super) enum Phase {
    /// On the way in, at a step with a deadline.
    Entering { at: Entering, purpose: Purpose, until: Duration },
    /// A pause before the next attempt.
    Waiting { purpose: Purpose, until: Duration },
    /// The link is up.
    Online(Box<Online>),
    /// LOGOUT is sent; its answer, the end of the link or the deadline ends the session.
    LoggingOut { until: Duration, reason: DisconnectReason },
}

/// What an attempt is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// The login asked for by `open`.
    Login { deadline: Duration, attempts: u32 },
    /// The way back after a lost link.
    Resume,
}

/// Whether the session goes on.
#[derive(Debug)]
pub(super) enum Flow {
    Stay,
    /// It is over, and subscribers hear why.
    End(DisconnectReason),
    /// The login failed before the server had its say; only the caller of `open` hears why.
    Fail(OpenError),
}

/// What a step works with.
pub(super) struct Context<'a> {
    pub(super) world: &'a mut World,
    pub(super) now: Now,
    pub(super) out: &'a mut Vec<Action>,
}

impl Context<'_> {
    pub(super) fn transmit(&mut self, kind: &'static str, bytes: bytes::Bytes) {
        self.out.push(Action::Transmit(Frame::new(kind, bytes)));
    }

    pub(super) fn after(&self, pause: Duration) -> Duration {
        self.now.mono.saturating_add(pause)
    }

    pub(super) fn emit(&mut self, event: EventKind) {
        self.out.push(Action::Emit(event));
    }
}

impl Engine {
    /// How many connections one `open` tries before it gives up (connection spec §4).
    pub const LOGIN_ATTEMPTS: u32 = 3;

    /// A logged-out engine. The seed decides the jitter and the client ids.
    #[must_use]
    pub fn new(config: Arc<Config>, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // 32 random bits above a count: unique among the unanswered sends of all of a user's devices, never 0.
        let client_ids = (u64::from(random.u32(1..)) << 31) + 1;
        let mut sockets = Sockets::default();
        if let Endpoints::Fixed(addresses) = &config.endpoints {
            sockets.set(addresses);
        }
        let world = World { config, random, sockets, wanted: EventMask::ALL, last_session: 0 };
        Engine { world, session: None, client_ids }
    }

    /// Which events are asked for: without [`EventMask::MESSAGE`] no message is built. Default: all.
    pub fn set_wanted(&mut self, wanted: EventMask) {
        self.world.wanted = wanted;
    }

    /// A fresh id for a message to send.
    pub fn next_client_id(&mut self) -> u64 {
        let id = self.client_ids;
        self.client_ids = id.wrapping_add(1).max(1);
        id
    }

    /// Who is logged in, or being logged in or out.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.session.as_ref().map(|session| &session.user)
    }

    /// The token in use.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.session.as_ref().and_then(|session| session.token.as_ref())
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        let Some(session) = &self.session else {
            return ConnectionState::LoggedOut;
        };
        let resuming = ConnectionState::Reconnecting { attempt: session.backoff.attempts() };
        match &session.phase {
            Phase::Online(_) => ConnectionState::Online,
            Phase::LoggingOut { .. } => ConnectionState::LoggingOut,
            Phase::Entering { purpose: Purpose::Resume, .. } | Phase::Waiting { purpose: Purpose::Resume, .. } => {
                resuming
            }
            Phase::Entering { at, .. } => ConnectionState::LoggingIn { step: at.step() },
            Phase::Waiting { .. } => ConnectionState::LoggingIn { step: Step::Connect },
        }
    }

    /// When [`Input::Tick`] is due next; `None` while nothing is timed.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let session = self.session.as_ref()?;
        let phase = match &session.phase {
            Phase::Entering { purpose: Purpose::Login { deadline, .. }, until, .. } => (*until).min(*deadline),
            Phase::Entering { until, .. } | Phase::Waiting { until, .. } | Phase::LoggingOut { until, .. } => *until,
            Phase::Online(online) => {
                let heartbeat = online.heartbeat_due(&self.world.config);
                session.sends.deadline().map_or(heartbeat, |due| due.min(heartbeat))
            }
        };
        Some(match (&session.clock, &session.phase) {
            (Some(clock), phase_now) if !matches!(phase_now, Phase::LoggingOut { .. }) => phase.min(clock.deadline()),
            _ => phase,
        })
    }

    /// Takes what happened and appends what is to be done, in order.
    pub fn step(&mut self, input: Input<'_>, now: Now, out: &mut Vec<Action>) {
        let mut context = Context { world: &mut self.world, now, out };
        let flow = match (&mut self.session, input) {
            (Some(session), Input::Open(_)) => {
                context.out.push(Action::Rejected(session.already_open()));
                Flow::Stay
            }
            (none, Input::Open(credentials)) => {
                none.insert(Box::new(Session::new(credentials, &context))).begin(&mut context)
            }
            (Some(session), input) => session.step(input, &mut context),
            (None, Input::Close) => {
                context.out.push(Action::Closed);
                Flow::Stay
            }
            (None, Input::Send { client_id, .. }) => {
                context.out.push(Action::Sent { client_id, outcome: Err(SendError::NotLoggedIn) });
                Flow::Stay
            }
            (None, _) => Flow::Stay,
        };
        let (failed, reason) = match flow {
            Flow::Stay => return,
            Flow::End(reason) => (None, Some(reason)),
            Flow::Fail(error) => (Some(error), None),
        };
        if let Some(session) = self.session.take() {
            let mut context = Context { world: &mut self.world, now, out };
            session.ended(failed, reason, &mut context);
        }
    }
}

impl Session {
    fn new(credentials: Credentials, context: &Context<'_>) -> Self {
        let user = credentials.user().clone();
        let token = match &credentials.secret {
            Secret::Token(token) => Some(token.clone()),
            Secret::Password(_) => None,
        };
        let deadline = context.after(context.world.config.login_deadline);
        Session {
            user,
            secret: credentials.secret,
            token,
            fetched_expiry: None,
            clock: None,
            server_clock: None,
            backoff: Backoff::new(&context.world.config.reconnect),
            recent: Recent::default(),
            sends: Sends::default(),
            // `begin` moves on at once; until it does, a pause that is over describes the state truly.
            phase: Phase::Waiting { purpose: Purpose::Login { deadline, attempts: 0 }, until: context.now.mono },
        }
    }

    fn already_open(&self) -> OpenError {
        let user = self.user.clone();
        match &self.phase {
            Phase::Entering { purpose: Purpose::Login { .. }, .. }
            | Phase::Waiting { purpose: Purpose::Login { .. }, .. } => OpenError::InProgress { user },
            _ => OpenError::AlreadyOpen { user },
        }
    }

    fn step(&mut self, input: Input<'_>, context: &mut Context<'_>) -> Flow {
        match input {
            Input::Open(_) => Flow::Stay,
            Input::Close => self.close(context),
            Input::Discovered(result) => self.discovered(result, context),
            Input::TokenFetched(result) => self.token_fetched(result, context),
            Input::Connected => self.connected(context),
            Input::Frame(bytes) => self.frame(bytes, context),
            Input::Alive => {
                if let Phase::Online(online) = &mut self.phase {
                    online.heard(context.now);
                }
                Flow::Stay
            }
            // Late word of a link that is given up already.
            Input::Lost(_) if self.is_at(Step::Discovery) || self.is_at(Step::Token) => Flow::Stay,
            Input::Lost(cause) => self.lost(cause, context),
            Input::Send { client_id, message } => {
                self.send(client_id, message, context);
                Flow::Stay
            }
            Input::Renewed { token, expires_at } => {
                let patience = context.world.config.heartbeat_answer;
                self.clock = TokenClock::start(expires_at, self.server_clock, context.now, patience);
                self.fetched_expiry = Some(expires_at);
                self.token = Some(token);
                Flow::Stay
            }
            Input::Tick => match self.token_due(context) {
                Flow::Stay => self.phase_due(context),
                flow => flow,
            },
        }
    }

    /// Says goodbye where the link is up, ends at once where it is not.
    fn close(&mut self, context: &mut Context<'_>) -> Flow {
        match &mut self.phase {
            Phase::LoggingOut { reason, .. } => {
                *reason = DisconnectReason::Closed;
                Flow::Stay
            }
            Phase::Online(_) => self.log_out("inner:logout", DisconnectReason::Closed, context),
            _ => Flow::End(DisconnectReason::Closed),
        }
    }

    fn log_out(&mut self, text: &str, reason: DisconnectReason, context: &mut Context<'_>) -> Flow {
        let (Phase::Online(online), Some(token)) = (&self.phase, &self.token) else {
            return Flow::End(reason);
        };
        let config = &context.world.config;
        let identity = Identity { app_key: &config.app_key, user: &self.user, device: &config.device, token };
        let frame = identity.logout(online.session_id(), text);
        let until = context.after(config.logout_timeout);
        context.transmit("LOGOUT", frame);
        self.phase = Phase::LoggingOut { until, reason };
        Flow::Stay
    }

    /// The token's countdown runs in every phase, also while the link is down.
    pub(super) fn token_due(&mut self, context: &mut Context<'_>) -> Flow {
        if matches!(self.phase, Phase::LoggingOut { .. }) {
            return Flow::Stay;
        }
        loop {
            let Some(clock) = &mut self.clock else {
                return Flow::Stay;
            };
            match clock.check(context.now) {
                Countdown::Quiet => return Flow::Stay,
                Countdown::WillExpire { at, expires_in } => {
                    context.emit(EventKind::TokenWillExpire { at, expires_in });
                }
                Countdown::Expired => {
                    self.clock = None;
                    context.emit(EventKind::TokenExpired);
                    return self.log_out("inner:token expired", DisconnectReason::TokenExpired, context);
                }
            }
        }
    }

    fn phase_due(&mut self, context: &mut Context<'_>) -> Flow {
        let now = context.now.mono;
        match &self.phase {
            Phase::Entering { .. } => self.entering_due(context),
            Phase::Waiting { until, .. } if now >= *until => self.begin(context),
            Phase::LoggingOut { until, reason } if now >= *until => Flow::End(reason.clone()),
            Phase::Online(_) => self.online_due(context),
            _ => Flow::Stay,
        }
    }

    /// The link or an attempt is gone.
    pub(super) fn lost(&mut self, cause: LossCause, context: &mut Context<'_>) -> Flow {
        match &self.phase {
            Phase::Online(online) => {
                self.backoff.ended(context.now.mono.saturating_sub(online.since()));
                self.fail_sends(&cause, context);
                self.try_again(Purpose::Resume, cause, context)
            }
            Phase::Entering { purpose, .. } => self.try_again(purpose.clone(), cause, context),
            Phase::LoggingOut { reason, .. } => Flow::End(reason.clone()),
            Phase::Waiting { .. } => Flow::Stay,
        }
    }

    /// Unanswered sends may or may not have arrived.
    pub(super) fn fail_sends(&mut self, cause: &LossCause, context: &mut Context<'_>) {
        for client_id in self.sends.drain() {
            let outcome = Err(SendError::OutcomeUnknown { client_id, cause: cause.clone() });
            context.out.push(Action::Sent { client_id, outcome });
        }
    }

    /// The last things a session does, in this order: sends settled, link dropped, `open` answered, subscribers
    /// told, `close` answered.
    fn ended(mut self, failed: Option<OpenError>, reason: Option<DisconnectReason>, context: &mut Context<'_>) {
        self.fail_sends(&LossCause::ClosedHere, context);
        context.out.push(Action::Hangup);
        let unreachable = matches!(&failed, Some(OpenError::Unreachable { .. } | OpenError::Deadline { .. }))
            || matches!(&reason, Some(DisconnectReason::AttemptsExhausted { .. }));
        if unreachable && matches!(context.world.config.endpoints, Endpoints::Discovery(_)) {
            context.world.sockets.forget();
        }
        let logging_in = matches!(
            &self.phase,
            Phase::Entering { purpose: Purpose::Login { .. }, .. }
                | Phase::Waiting { purpose: Purpose::Login { .. }, .. }
        );
        if logging_in {
            let user = self.user.clone();
            let error = failed.unwrap_or_else(|| match &reason {
                Some(DisconnectReason::Refused(refusal)) => OpenError::Refused { user, refusal: refusal.clone() },
                Some(reason) => OpenError::Ended { user, reason: reason.clone() },
                None => OpenError::Ended { user, reason: DisconnectReason::Closed },
            });
            context.out.push(Action::Opened(Err(error)));
        }
        if let Some(reason) = reason {
            context.emit(EventKind::Disconnected { reason });
        }
        context.out.push(Action::Closed);
    }

    /// PROVISION was refused: final for a login, and on the way back unless the reason may pass.
    pub(super) fn refused(&mut self, refusal: Refusal, context: &mut Context<'_>) -> Flow {
        let Phase::Entering { purpose, .. } = &self.phase else {
            return Flow::Stay;
        };
        match purpose {
            Purpose::Login { .. } => Flow::End(DisconnectReason::Refused(refusal)),
            Purpose::Resume if refusal.kind() == crate::RefusalKind::TokenExpired => {
                context.emit(EventKind::TokenExpired);
                Flow::End(DisconnectReason::TokenExpired)
            }
            Purpose::Resume if refusal.is_final() => Flow::End(DisconnectReason::Refused(refusal)),
            Purpose::Resume => self.try_again(Purpose::Resume, LossCause::Refused(refusal), context),
        }
    }
}
