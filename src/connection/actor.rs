//! The actor: turns messages, frames and time into inputs of the engine, and carries its actions out.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, MessageResult, ResponseFuture};
use actix_rt::time::{Instant, Sleep};
use slog::{Logger, debug, info, o, trace, warn};
use tokio::sync::oneshot;

use super::{
    health::Health,
    messages::{
        Call, ChangeRoom, Close, GetHealth, NetworkChanged, Open, RegisterUser, RenewToken, SendMessage, State, Stop,
    },
    transient_failures::TransientFailures,
};
use crate::{
    config::{Account, Addresses, Config, Endpoints},
    connection::Closed,
    delivery::Slot,
    handlers::Handlers,
    model::{
        Event, EventKind,
        account::{Device, Token, UserId},
        auth::Secret,
        error::{
            ActorEnd, ConnectStep, ConnectionError, DisconnectReason, LossCause, OpenError, RequestError, RestError,
            SendError, TokenError,
        },
        outgoing::{Outgoing, RoomInfo, RoomRequest, Sent},
    },
    net::ConnectProgress,
    rest::{self, RegisteredUser, RestClient},
    session::{Action, ConnectionState, Diagnostic, Engine, FetchedToken, Input, Now},
    util::{lent, threads::Unfinished},
};
use crate::{
    connection::{
        driver::Driver,
        page_tasks::PageTasks,
        token_cache::{Loaded, TokenCache},
        token_fetch,
        unwritten::unwritten,
        watch::StatePublisher,
    },
    net::websocket::{
        link::{ByteCounts, Link, connect},
        write_queue::WriteQueue,
    },
};

/// Something under way that the pump polls.
type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

/// Owns one account's socket, its timer and its reconnect backoff.
///
/// It decides nothing: [`Engine`] does. It ends when the last [`Connection`](super::Connection) handle is dropped,
/// after logging out, or with its actix system.
///
/// Bounds: its mailbox takes [`MAILBOX`](ConnectionActor::MAILBOX) messages by `try_send`, and an awaited call brings a
/// place of its own; what waits to be written is bounded by [`Limits::outbox`](crate::Limits), past which the link
/// counts as lost; after a read that fills its 16 KiB, or 16 smaller ones, other work
/// of the thread has its turn; nothing is read while the registry is behind by [`Handlers::BACKLOG`] events.
pub struct ConnectionActor {
    pub(super) engine: Engine,
    pub(super) config: Arc<Config>,
    /// The configuration's logger behind the session's redactor.
    logger: Logger,
    /// The same, with the account's name.
    pub(super) log: Logger,
    pub(super) handlers: Handlers,
    publisher: StatePublisher,
    pub(super) begun: Instant,
    user: Option<UserId>,
    /// Scratch for a step's actions, so that a step allocates nothing for them.
    actions: Vec<Action>,
    /// Events that are still to be published together: what one round of reading brings costs the registry one wake.
    emitted: Vec<Event>,
    /// Whether the engine has let go of the link, which is still to be dropped.
    pub(super) hung_up: bool,
    /// How the session ended, while those who asked for the end are still to be told.
    closed: Option<Closed>,
    /// Whether the link is being read just now, and so is not in its place.
    pub(super) reading: bool,
    /// When the round of reading under way began; its frames share one look at the clocks.
    pub(super) read_at: Option<Now>,
    /// A pause in reading, for the subscribers' registry to catch up.
    pub(super) behind: Option<Pin<Box<Sleep>>>,
    /// Frames to send that the link has no room for yet.
    pub(super) queued: WriteQueue,
    pub(super) link: Option<Link>,
    pub(super) dialing: Option<Dialing>,
    pub(super) call: Option<Doing<CallDone>>,
    /// The ask for the session's next token, which outlives links.
    pub(super) asked_token: Option<Doing<Result<FetchedToken, TokenError>>>,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
    /// When the timer fires, which may be before the engine's deadline but never after it.
    pub(super) armed: Option<Duration>,
    /// Up to when all that had come was there to be read when it was read last.
    pub(super) looked: Duration,
    pub(super) waker: Option<Waker>,
    /// The REST client, once its addresses are known; shared with calls under way.
    rest: Rc<RefCell<Option<RestClient>>>,
    asking: Option<oneshot::Sender<Result<(), OpenError>>>,
    opening: Option<oneshot::Sender<Result<(), OpenError>>>,
    closing: Vec<oneshot::Sender<Closed>>,
    /// Ends that wait for what was begun to be written.
    pub(super) ends: Vec<Ending>,
    sends: HashMap<u64, oneshot::Sender<Result<Sent, SendError>>>,
    pub(super) renewals: Vec<Renewal>,
    pub(super) fared: Stats,
    /// What the message handler is at.
    pub(super) delivering: PageTasks,
    /// Keeps the account over restarts, where there is a state folder.
    token_cache: Option<TokenCache>,
    /// Being offline, or not getting in.
    outage: TransientFailures,
    /// Getting no next token.
    unrenewed: TransientFailures,
    stopping: bool,
    /// Whether the actor is being dropped with its session.
    dying: bool,
}

/// Warns where it is time to, and says it at INFO otherwise.
macro_rules! warn_or_info {
    ($warns:expr, $($record:tt)*) => {
        if $warns { warn!($($record)*) } else { info!($($record)*) }
    };
}

/// How the connection has fared, for [`Health`].
#[derive(Default)]
pub(super) struct Stats {
    reconnects: u64,
    /// What went wrong last, in words and by the vendor's number.
    last: Option<(String, Option<i32>)>,
    traffic: ByteCounts,
}

impl Stats {
    pub(super) fn count(&mut self, traffic: ByteCounts) {
        self.traffic.read += traffic.read;
        self.traffic.written += traffic.written;
    }

    fn failed(&mut self, cause: &dyn std::fmt::Display, code: Option<crate::model::error::Code>) {
        self.last = Some((cause.to_string(), code.map(crate::model::error::Code::number)));
    }
}

/// A new token whose end the service is being asked for; it ends with its session.
pub(super) struct Renewal {
    pub(super) token: Token,
    pub(super) call: Doing<Result<u64, RestError>>,
    pub(super) asked: oneshot::Sender<Result<u64, RequestError>>,
}

/// A connect under way.
pub(super) struct Dialing {
    pub(super) connect: Doing<Result<Link, LossCause>>,
    /// The step it is at, and the one the engine was told last.
    pub(super) progress: ConnectProgress,
    pub(super) told: Option<ConnectStep>,
}

/// The end of a session, for those who are to hear of it once the account's files are as they stay.
pub(super) struct Ending {
    closed: Closed,
    asked: Vec<oneshot::Sender<Closed>>,
    pub(super) written: Doing<()>,
}

impl Ending {
    fn tell(self) {
        for asked in self.asked {
            // An error here means that nobody waits any more.
            let _ = asked.send(self.closed);
        }
    }
}

/// What a call of the way in came to.
pub(super) enum CallDone {
    Recalled(Result<Loaded, Unfinished>),
    Discovered(Result<Addresses, RestError>),
    Token(Result<FetchedToken, RestError>),
}

impl ConnectionActor {
    /// The mailbox's capacity.
    pub const MAILBOX: usize = 1024;

    /// How many `renew_token` calls may be under way at once; one more is refused with [`ConnectionError::Busy`].
    pub const RENEWALS: usize = 16;

    pub(super) fn new(config: Arc<Config>, handlers: Handlers, slot: Arc<Slot>, told: StatePublisher) -> Self {
        let engine = Engine::new(Arc::clone(&config), fastrand::u64(..));
        engine.redactor().learn_proxy(config.network.proxy().secrets());
        let logger = engine.redactor().logger(&config.logger);
        let rest = match &config.endpoints {
            Endpoints::Fixed(addresses) => {
                Some(RestClient::of_session(&config, addresses.rest.clone(), engine.redactor(), &logger))
            }
            Endpoints::Discovery(_) => None,
        };
        ConnectionActor {
            engine,
            log: logger.clone(),
            logger,
            handlers,
            publisher: told,
            begun: Instant::now(),
            user: None,
            actions: Vec::new(),
            emitted: Vec::new(),
            hung_up: false,
            closed: None,
            reading: false,
            read_at: None,
            behind: None,
            queued: WriteQueue::default(),
            link: None,
            dialing: None,
            call: None,
            asked_token: None,
            timer: None,
            armed: None,
            looked: Duration::ZERO,
            waker: None,
            rest: Rc::new(RefCell::new(rest)),
            asking: None,
            opening: None,
            closing: Vec::new(),
            ends: Vec::new(),
            sends: HashMap::new(),
            renewals: Vec::new(),
            fared: Stats::default(),
            delivering: PageTasks::new(slot),
            token_cache: None,
            outage: TransientFailures::default(),
            unrenewed: TransientFailures::default(),
            stopping: false,
            dying: false,
            config,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.begun.elapsed(), wall: wall_clock() }
    }

    pub(super) fn instant(&self, mono: Duration) -> Option<Instant> {
        self.begun.checked_add(mono)
    }

    /// Feeds the engine and carries out what it decides.
    pub(super) fn step(&mut self, input: Input<'_>, ctx: &mut Context<Self>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.engine.set_wanted(self.handlers.wanted());
        self.engine.set_handled(self.delivering.slot.wanted());
        self.engine.set_keeps_encoded(self.delivering.slot.keeps_encoded());
        let now = self.read_at.unwrap_or_else(|| self.now());
        self.engine.step(input, now, &mut actions);
        self.publisher.set(self.engine.state());
        for action in actions.drain(..) {
            self.carry_out(action);
        }
        if !self.reading {
            self.publish_emitted();
        }
        if let Some(keeper) = &mut self.token_cache {
            keeper.follow(&self.engine);
        }
        // One page can hold many messages; room for the usual few is enough while idle.
        actions.shrink_to(SCRATCH);
        self.actions = actions;
        if !self.reading {
            self.settle(ctx);
        }
    }

    /// Drops the link the engine has let go of, and only then tells those who asked for the end, after what was begun of the
    /// account's files is written.
    pub(super) fn settle(&mut self, ctx: &mut Context<Self>) {
        self.let_go();
        let Some(closed) = self.closed.take() else { return };
        let asked = std::mem::take(&mut self.closing);
        if asked.is_empty() && !self.stopping {
            return;
        }
        let user = self.user.as_ref();
        match user.and_then(|user| {
            unwritten(&self.config, self.delivering.cursors.as_ref(), &self.delivering.slot, user, &self.log)
        }) {
            // Whoever reopens the account, in another process too, must find what was written.
            Some(written) => {
                self.ends.push(Ending { closed, asked, written: Box::pin(written) });
                self.wake();
            }
            None => {
                Ending { closed, asked, written: Box::pin(std::future::ready(())) }.tell();
                self.stop_if_asked(ctx);
            }
        }
    }

    /// Tells of an end whose account's files are as they stay.
    pub(super) fn ended(&mut self, end: Ending, ctx: &mut Context<Self>) {
        end.tell();
        self.stop_if_asked(ctx);
    }

    fn stop_if_asked(&self, ctx: &mut Context<Self>) {
        if self.stopping && self.ends.is_empty() {
            ctx.stop();
        }
    }

    /// Gives the engine something to send; `asked` is told its outcome.
    fn send(
        &mut self,
        client_id: u64,
        input: Input<'_>,
        asked: oneshot::Sender<Result<Sent, SendError>>,
        ctx: &mut Context<Self>,
    ) {
        let limit = self.config.limits.outbox;
        // An error of `asked` means, here and elsewhere, that nobody waits any more.
        if self.queued.bytes() + self.link.as_ref().map_or(0, Link::waiting) >= limit {
            let _ = asked.send(Err(SendError::OutboxFull { limit }));
            return;
        }
        match self.sends.entry(client_id) {
            Entry::Vacant(place) => drop(place.insert(asked)),
            // The one that has the id keeps its place.
            Entry::Occupied(_) => {
                let _ = asked.send(Err(SendError::in_use(client_id)));
                return;
            }
        }
        self.step(input, ctx);
    }

    fn send_message(
        &mut self,
        message: Outgoing,
        asked: oneshot::Sender<Result<Sent, SendError>>,
        ctx: &mut Context<Self>,
    ) {
        let client_id = message.client_id().unwrap_or_else(|| self.engine.next_client_id());
        self.send(client_id, Input::Send { client_id, message }, asked, ctx);
    }

    fn change_room(
        &mut self,
        request: RoomRequest,
        asked: oneshot::Sender<Result<Sent, SendError>>,
        ctx: &mut Context<Self>,
    ) {
        let client_id = self.engine.next_client_id();
        self.send(client_id, Input::Room { client_id, request }, asked, ctx);
    }

    fn open(&mut self, account: Account, asked: oneshot::Sender<Result<(), OpenError>>, ctx: &mut Context<Self>) {
        if let Err(error) = account.check() {
            let _ = asked.send(Err(OpenError::Account(error)));
            return;
        }
        if self.engine.state() == ConnectionState::LoggedOut {
            self.user = Some(account.user().clone());
            self.log = self.logger.new(o!("user" => account.user().to_string()));
            self.delivering.cursors = account.cursors.clone();
            if let Secret::Token(token) = &account.credentials.secret {
                self.look_at(token, account.user());
            }
        }
        self.asking = Some(asked);
        self.step(Input::Open(account), ctx);
        if let Some(asked) = self.asking.take() {
            self.opening = Some(asked);
        }
    }

    fn close(&mut self, asked: oneshot::Sender<Closed>, ctx: &mut Context<Self>) {
        if self.engine.state() == ConnectionState::LoggedOut && self.closed.is_none() {
            self.closed = Some(Closed::NotLoggedIn);
        }
        self.closing.push(asked);
        self.step(Input::Close, ctx);
    }

    /// Ends the session while the actor is being dropped: the goodbye goes out as far as the socket takes it, sends come to
    /// their outcome, subscribers hear why.
    fn abort(&mut self, end: ActorEnd) {
        let mut actions = Vec::new();
        let now = self.now();
        self.engine.step(Input::Abort(end), now, &mut actions);
        actions.into_iter().for_each(|action| self.carry_out(action));
        self.publish_emitted();
        self.let_go();
    }

    /// The same where the engine itself is what panicked: everybody is told what can be told without it.
    fn abort_without_engine(&mut self, end: ActorEnd) {
        let reason = DisconnectReason::ActorEnded(end);
        for (client_id, asked) in self.sends.drain() {
            let _ = asked.send(Err(SendError::OutcomeUnknown { client_id, cause: LossCause::ClosedHere }));
        }
        let Some(user) = self.user.clone() else { return };
        if let Some(asked) = self.opening.take().or_else(|| self.asking.take()) {
            let _ = asked.send(Err(OpenError::Ended { user: user.clone(), reason: reason.clone() }));
        }
        let told = self.emitted.iter().any(|event| matches!(event.kind(), EventKind::Disconnected { .. }));
        if !told {
            self.emitted.push(Event::of_session(user, EventKind::Disconnected { reason }, self.engine.redactor()));
        }
        self.publish_emitted();
    }

    fn carry_out(&mut self, action: Action) {
        // What others are told must not come to them before the events it follows from.
        if !matches!(action, Action::Emit(_) | Action::Publish(_) | Action::Transmit(_)) {
            self.publish_emitted();
        }
        match action {
            Action::Transmit(frame) => {
                trace!(self.log, "frame out"; "kind" => frame.kind(), "bytes" => frame.bytes().len());
                self.queued.push(frame);
            }
            Action::Emit(kind) => self.emit(kind),
            Action::Publish(event) => self.publish(event),
            Action::Deliver(page) => {
                if let Some(user) = &self.user {
                    self.delivering.begin(page, user, self.engine.resource(), &self.config, &self.log);
                }
            }
            Action::LoadCursors { load, user } => self.delivering.load(load, &user, &self.config, &self.log),
            Action::Connect { url } => {
                debug!(self.log, "connecting"; "url" => %url);
                let (config, progress) = (Arc::clone(&self.config), ConnectProgress::new());
                let at = progress.clone();
                let connect = Box::pin(async move { connect(&url, &config.network, config.limits.sizes(), &at).await });
                self.dialing = Some(Dialing { connect, progress, told: None });
                self.wake();
            }
            Action::Recall { user, device } => self.recall(&user, &device),
            Action::Discover => {
                let (config, rest) = (Arc::clone(&self.config), Rc::clone(&self.rest));
                let (redactor, logger) = (self.engine.redactor().clone(), self.logger.clone());
                self.call = Some(Box::pin(async move {
                    let found = rest::discover_shown_by(&config, &redactor, &logger).await;
                    if let Ok(addresses) = &found {
                        let client = RestClient::of_session(&config, addresses.rest.clone(), &redactor, &logger);
                        rest.replace(Some(client));
                    }
                    CallDone::Discovered(found)
                }));
                self.wake();
            }
            Action::FetchToken { user, password } => {
                let rest = self.rest();
                self.call = Some(Box::pin(async move {
                    let fetched = async { rest.await?.password_token(&user, &password).await }.await;
                    CallDone::Token(fetched.map(token_fetch::fetched))
                }));
                self.wake();
            }
            Action::RenewToken { request, from } => {
                debug!(self.log, "asking for a new token"; "reason" => ?request.reason);
                self.asked_token = Some(Box::pin(token_fetch::fetch(request, from, self.rest())));
                self.wake();
            }
            Action::DropRenewal => self.asked_token = None,
            Action::Hangup => {
                self.hung_up = true;
                self.dialing = None;
                self.call = None;
                self.wake();
            }
            Action::Opened(result) => {
                if let Err(error) = &result
                    && !matches!(error, OpenError::Ended { .. })
                {
                    self.fared.failed(error, Some(error.code()));
                }
                if let Err(error) = &result {
                    self.login_failed(error);
                }
                if let Some(asked) = self.opening.take().or_else(|| self.asking.take()) {
                    let _ = asked.send(result);
                }
            }
            Action::Rejected(error) => {
                self.login_failed(&error);
                if let Some(asked) = self.asking.take() {
                    let _ = asked.send(Err(error));
                }
            }
            Action::Sent { client_id, outcome } => {
                if let Err(error) = &outcome {
                    debug!(self.log, "a message was not taken"; "client_id" => client_id, "error" => %error);
                }
                if let Some(asked) = self.sends.remove(&client_id) {
                    let _ = asked.send(outcome);
                }
                if self.sends.is_empty() {
                    self.sends.shrink_to(SCRATCH);
                }
            }
            Action::Closed => {
                let ended = if self.engine.logout_answered() { Closed::LoggedOut } else { Closed::Cut };
                self.closed.get_or_insert(ended);
                self.renewals.clear();
                self.asked_token = None;
                self.delivering.end();
            }
            Action::Note(note) => self.note(&note),
        }
    }

    /// Drops what the engine has let go of. Frames queued before that still go out as far as the socket takes them.
    fn let_go(&mut self) {
        if !std::mem::take(&mut self.hung_up) {
            return;
        }
        let queued = std::mem::take(&mut self.queued);
        if let (Some(link), Some(waker)) = (self.link.take(), self.waker.clone()) {
            let traffic = link.part(queued, &mut std::task::Context::from_waker(&waker));
            self.fared.count(traffic);
        }
    }

    /// Has the pump polled, where a message handler gave it something new to do.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Says that a login failed, where nothing else does.
    fn login_failed(&self, error: &OpenError) {
        match error {
            // `disconnected` says it.
            OpenError::Ended { .. } | OpenError::Refused { .. } => {}
            // The session goes on.
            OpenError::AlreadyOpen { .. } | OpenError::InProgress { .. } => {
                info!(self.log, "a second login was refused"; "code" => error.code().number(), "error" => %error);
            }
            _ => warn!(self.log, "login failed"; "code" => error.code().number(), "error" => %error),
        }
    }

    fn emit(&mut self, kind: EventKind) {
        let now = self.now().mono;
        match &kind {
            EventKind::Connected { resumed } => {
                self.fared.reconnects += u64::from(*resumed);
                let outage = self.outage.over(now);
                info!(self.log, "connected"; "resumed" => resumed, "outage" => outage.map(|lasted| format!("{lasted:.1?}")));
            }
            EventKind::Reconnecting { attempt, delay, cause } => {
                self.fared.failed(cause, Some(cause.code()));
                // Somebody else wants the account's place.
                let kicked = matches!(cause, LossCause::Kicked(_));
                let warns = self.outage.failed(now, *delay);
                let text = match self.engine.state() {
                    ConnectionState::LoggingIn { .. } => "login attempt failed, trying again",
                    _ => "the link is lost, trying again",
                };
                warn_or_info!(warns || kicked, self.log, "{text}"; "attempt" => attempt,
                    "delay" => ?delay, "code" => cause.code().number(), "cause" => %cause);
            }
            EventKind::Disconnected { reason } => {
                // The end of the actor is none of the token.
                if let Some(keeper) = &mut self.token_cache
                    && !self.dying
                {
                    keeper.ended(reason);
                }
                if *reason != DisconnectReason::Closed {
                    self.fared.failed(reason, reason.code());
                }
                (self.outage, self.unrenewed) = (TransientFailures::default(), TransientFailures::default());
                // Nothing is tried after it, so unless it was asked for it is the last chance to say so.
                let code = reason.code().map(crate::model::error::Code::number);
                warn_or_info!(*reason != DisconnectReason::Closed, self.log, "disconnected"; "code" => code,
                    "reason" => %reason);
            }
            EventKind::Flapping { sessions, window, floor } => {
                warn!(self.log, "the link comes and goes; does another program use this account and resource?";
                    "short_sessions" => sessions, "within" => ?window, "least_pause" => ?floor);
            }
            EventKind::TokenWillExpire { expires_in, .. } => {
                info!(self.log, "the token will expire"; "in" => ?expires_in);
            }
            EventKind::TokenExpired => warn!(self.log, "the token has expired"),
            EventKind::Message(message) => trace!(self.log, "message in"; "id" => message.id),
            EventKind::OfflineSyncStarted { queues, messages } => {
                debug!(self.log, "what waited begins to come"; "queues" => queues, "messages" => messages);
            }
            EventKind::OfflineSyncFinished { queues, messages, complete } => {
                debug!(self.log, "what waited has come"; "queues" => queues, "messages" => messages,
                    "complete" => complete);
            }
            EventKind::Missed { .. } => {}
            EventKind::Unknown(notice) => {
                debug!(self.log, "a notice of a kind this release does not know";
                    "id" => notice.id, "namespace" => notice.namespace, "bytes" => notice.payload.len());
            }
            notice => trace!(self.log, "notice in"; "kind" => ?notice.mask()),
        }
        if let Some(user) = &self.user
            && self.handlers.wanted().contains(kind.mask())
        {
            self.emitted.push(Event::of_session(user.clone(), kind, self.engine.redactor()));
        }
    }

    pub(super) fn publish_emitted(&mut self) {
        if self.dying {
            self.handlers.publish_last(std::mem::take(&mut self.emitted));
            return;
        }
        match self.emitted.len() {
            0 => {}
            // The list stays for the next one.
            1 => self.emitted.drain(..).for_each(|event| self.handlers.publish(event)),
            _ => self.handlers.publish_all(std::mem::take(&mut self.emitted)),
        }
    }

    /// Tells what the message handler gets as well.
    fn publish(&mut self, event: Event) {
        if let EventKind::Message(message) = event.kind() {
            trace!(self.log, "message in"; "id" => message.id);
        }
        self.emitted.push(event);
    }

    fn note(&mut self, note: &Diagnostic) {
        let now = self.now().mono;
        match note {
            Diagnostic::KeptTokenRefused(refusal) => {
                info!(self.log, "the kept token is refused, the password fetches another"; "refusal" => %refusal);
                if let Some(keeper) = &mut self.token_cache {
                    keeper.forget();
                }
            }
            Diagnostic::StateUnread { limit } => {
                warn!(self.log, "the state folder does not answer; the login goes on as a new device, without a kept token";
                    "within" => ?limit);
            }
            Diagnostic::KeptTokenTried => {
                info!(self.log, "no new token, trying the kept one though its end seems to have passed");
            }
            Diagnostic::Undecodable { length, error } => {
                warn!(self.log, "dropped what does not decode"; "bytes" => length, "error" => %error);
            }
            Diagnostic::MoreUndecodable { count } => {
                warn!(self.log, "dropped more of what does not decode"; "count" => count);
            }
            Diagnostic::QueueNameTooLong { count, limit } => {
                warn!(self.log, "ignored queues whose names are too long"; "count" => count, "limit" => limit);
            }
            Diagnostic::ResourceTaken { from, to } => {
                info!(self.log, "the service names this device otherwise"; "from" => &**from, "to" => &**to);
            }
            Diagnostic::ResourceIgnored { bytes, count } => {
                warn!(self.log, "the service gives this device a name that none can have; it keeps its own";
                    "bytes" => bytes, "count" => count);
            }
            Diagnostic::FalseClaims { count, from, claims } => {
                warn!(self.log, "somebody pretends to be another sender or in another conversation; the service's word counts";
                    "count" => count, "from" => &**from, "claims_from" => claims.from.as_deref(),
                    "claims_to" => claims.to.as_deref(), "claims_kind" => claims.chat.map(|chat| format!("{chat:?}")));
            }
            Diagnostic::QueueBreaksLinks { queue, setting } => {
                let advice = setting.map(|setting| format!("raise `{setting}`"));
                warn!(self.log, "a conversation's page breaks the link; it is fetched after all others from now on";
                    "conversation" => &**queue, "advice" => advice);
            }
            Diagnostic::Unexpected { frame } => debug!(self.log, "dropped an unexpected frame"; "frame" => frame),
            Diagnostic::Redirected { url, hop } => info!(self.log, "redirected"; "url" => %url, "hop" => hop),
            Diagnostic::LoginRetry { attempt, delay, cause } => {
                self.fared.failed(cause, Some(cause.code()));
                let warns = self.outage.failed(now, *delay);
                warn_or_info!(warns, self.log, "login attempt failed, trying again"; "attempt" => attempt,
                    "delay" => ?delay, "cause" => %cause);
            }
            Diagnostic::DiscoveryFailed(error) => {
                info!(self.log, "discovery failed, using the addresses known before"; "error" => %error);
            }
            Diagnostic::TokenRenewed { expires_at } => {
                self.unrenewed = TransientFailures::default();
                info!(self.log, "the token is renewed"; "expires_at_ms" => expires_at);
            }
            Diagnostic::TokenNotRenewed { error, again } => {
                // One that is not asked for again never mends; of a login that fails with it, that says so.
                let is_login = again.is_none() && (self.opening.is_some() || self.asking.is_some());
                let warns = !is_login && self.unrenewed.failed(now, again.unwrap_or(Duration::MAX));
                warn_or_info!(warns, self.log, "no new token"; "again_in" => ?again, "error" => %error);
            }
            Diagnostic::RoomNotRejoined { room, error } => {
                warn!(self.log, "a chat room was not joined again; join it anew"; "room" => &**room, "error" => %error);
            }
            Diagnostic::RoomNotKept { room, limit } => {
                warn!(self.log, "too many chat rooms: this one will not be joined again after a lost link";
                    "room" => &**room, "limit" => limit);
            }
            Diagnostic::ReceiptsLeftOut { count } => {
                warn!(self.log, "delivery receipts were left out, too many sends are unanswered"; "count" => count);
            }
            Diagnostic::ReceiptsUnanswered { count } => {
                warn!(self.log, "delivery receipts are not answered; the service may not know them"; "count" => count);
            }
            Diagnostic::Unheard => {
                warn!(self.log, "messages come that no subscriber wants; add subscribers before open")
            }
            Diagnostic::BrokenMetas { count } => {
                warn!(self.log, "messages do not decode; they go on as unknown"; "count" => count)
            }
            Diagnostic::PageDropped { bytes } => {
                debug!(self.log, "no room for a page, so it is to come again"; "bytes" => bytes);
            }
            Diagnostic::PageStatus { status } => warn!(self.log, "a page came with a status"; "status" => status),
        }
    }

    /// Says beforehand why the service will probably refuse a token.
    pub(super) fn look_at(&self, token: &Token, user: &UserId) {
        for problem in token.inspect().problems(wall_clock(), Some(user), None) {
            warn!(self.log, "the token will probably be refused"; "why" => %problem);
        }
    }

    /// Has what is kept of the account read.
    fn recall(&mut self, user: &UserId, device: &Device) {
        let Some(state) = &self.config.state_dir else { return };
        let same = self.token_cache.take().filter(|keeper| keeper.is_of(user));
        let keeper = same.unwrap_or_else(|| TokenCache::new(&self.config, state, user, &self.log));
        let recalled = keeper.recall(device);
        self.token_cache = Some(keeper);
        self.call = Some(Box::pin(async move { CallDone::Recalled(recalled.await) }));
        self.wake();
    }

    /// Goes on with what is kept of the account: as its device, and with its token.
    pub(super) fn recalled(&mut self, recalled: Result<Loaded, Unfinished>, ctx: &mut Context<Self>) {
        let (device, token) = match recalled {
            Ok(Loaded { device, token }) => {
                if let Some(keeper) = &mut self.token_cache {
                    keeper.holds(token.clone());
                }
                (Some(device), token)
            }
            Err(error) => {
                warn!(self.log, "the state folder cannot be read; the login goes on as a new device, without a kept token";
                    "error" => %error);
                (None, None)
            }
        };
        let (token, expires_at) = token.map_or((None, None), |kept| (Some(kept.token), kept.expires_at));
        self.step(Input::Recalled { device, token, expires_at }, ctx);
    }

    /// The REST client, found by discovery first where no address is known yet.
    pub(super) fn rest(&self) -> impl Future<Output = Result<RestClient, RestError>> + use<> {
        let (config, rest) = (Arc::clone(&self.config), Rc::clone(&self.rest));
        let (redactor, logger) = (self.engine.redactor().clone(), self.logger.clone());
        async move {
            let known = rest.borrow().clone();
            match known {
                Some(client) => Ok(client),
                None => {
                    let found = rest::discover_shown_by(&config, &redactor, &logger).await?;
                    let client = RestClient::of_session(&config, found.rest, &redactor, &logger);
                    rest.replace(Some(client.clone()));
                    Ok(client)
                }
            }
        }
    }
}

/// How many places lists keep while nothing is under way.
pub(super) const SCRATCH: usize = 16;

pub(super) fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Actor for ConnectionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.delivering.actor = Some(ctx.address().downgrade());
        ctx.spawn(Driver);
    }
}

impl Drop for ConnectionActor {
    /// However it ends, also with its arbiter or by a panic: whoever waits is told.
    fn drop(&mut self) {
        let end = if std::thread::panicking() { ActorEnd::Panicked } else { ActorEnd::Stopped };
        let cut = self.engine.state() != ConnectionState::LoggedOut;
        // First, so that the state is right when the events are heard.
        self.publisher.end(end, cut);
        self.dying = true;
        if cut && lent::caught(|| self.abort(end)).is_none() {
            let _ = lent::caught(|| self.abort_without_engine(end));
        }
        let closed = if cut { Closed::ActorGone } else { Closed::NotLoggedIn };
        for asked in self.closing.drain(..) {
            let _ = asked.send(closed);
        }
        self.ends.drain(..).for_each(Ending::tell);
        // They may hold what the application lent, and another panic would end the process.
        lent::drop_caught((self.call.take(), self.asked_token.take(), std::mem::take(&mut self.renewals)));
        lent::drop_caught(std::mem::replace(&mut self.delivering, PageTasks::new(Arc::default())));
    }
}

impl Handler<Open> for ConnectionActor {
    type Result = ResponseFuture<Result<(), OpenError>>;

    fn handle(&mut self, Open(credentials): Open, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.open(credentials, asked, ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(ConnectionError::Stopped.into())) })
    }
}

impl Handler<Call<Open, Result<(), OpenError>>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<Open, Result<(), OpenError>>, ctx: &mut Self::Context) {
        self.open(asked.message.0, asked.answer, ctx);
    }
}

impl Handler<Close> for ConnectionActor {
    type Result = ResponseFuture<Closed>;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.close(asked, ctx);
        Box::pin(async move { answer.await.unwrap_or(Closed::ActorGone) })
    }
}

impl Handler<Call<Close, Closed>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<Close, Closed>, ctx: &mut Self::Context) {
        self.close(asked.answer, ctx);
    }
}

impl Handler<SendMessage> for ConnectionActor {
    type Result = ResponseFuture<Result<Sent, SendError>>;

    fn handle(&mut self, SendMessage(message): SendMessage, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.send_message(message, asked, ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(ConnectionError::Stopped.into())) })
    }
}

impl Handler<Call<SendMessage, Result<Sent, SendError>>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<SendMessage, Result<Sent, SendError>>, ctx: &mut Self::Context) {
        self.send_message(asked.message.0, asked.answer, ctx);
    }
}

impl Handler<ChangeRoom> for ConnectionActor {
    type Result = ResponseFuture<Result<RoomInfo, SendError>>;

    fn handle(&mut self, ChangeRoom(request): ChangeRoom, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.change_room(request, asked, ctx);
        Box::pin(async move {
            let sent = answer.await.unwrap_or(Err(ConnectionError::Stopped.into()))?;
            Ok(sent.room.map(|room| *room).unwrap_or_default())
        })
    }
}

impl Handler<Call<ChangeRoom, Result<Sent, SendError>>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<ChangeRoom, Result<Sent, SendError>>, ctx: &mut Self::Context) {
        self.change_room(asked.message.0, asked.answer, ctx);
    }
}

impl Handler<RegisterUser> for ConnectionActor {
    type Result = ResponseFuture<Result<RegisteredUser, RequestError>>;

    fn handle(&mut self, new: RegisterUser, _: &mut Self::Context) -> Self::Result {
        let rest = self.rest();
        Box::pin(async move { Ok(rest.await?.register_user(&new.user, &new.password, new.nickname.as_ref()).await?) })
    }
}

impl Handler<RenewToken> for ConnectionActor {
    type Result = ResponseFuture<Result<u64, RequestError>>;

    fn handle(&mut self, RenewToken(token): RenewToken, _: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.renewals.retain(|renewal| !renewal.asked.is_closed());
        if self.renewals.len() >= Self::RENEWALS {
            return Box::pin(std::future::ready(Err(ConnectionError::Busy.into())));
        }
        if let Some(user) = self.engine.user().cloned() {
            self.look_at(&token, &user);
            let (rest, new) = (self.rest(), token.clone());
            let call = Box::pin(async move { rest.await?.token_expiry(&user, &new).await });
            self.renewals.push(Renewal { token, call, asked });
            self.wake();
        }
        // Without a session, or when it ends meanwhile, nobody answers.
        Box::pin(async move { answer.await.unwrap_or(Err(RequestError::NotLoggedIn)) })
    }
}

impl Handler<State> for ConnectionActor {
    type Result = MessageResult<State>;

    fn handle(&mut self, _: State, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.engine.state())
    }
}

impl Handler<NetworkChanged> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: NetworkChanged, ctx: &mut Self::Context) {
        self.step(Input::NetworkChanged, ctx);
        self.wake();
    }
}

impl Handler<GetHealth> for ConnectionActor {
    type Result = MessageResult<GetHealth>;

    fn handle(&mut self, _: GetHealth, _: &mut Self::Context) -> Self::Result {
        let now = self.now();
        let since = |moment: Option<Duration>| {
            moment.map(|moment| u64::try_from(now.mono.saturating_sub(moment).as_millis()).unwrap_or(u64::MAX))
        };
        let uptime = self.engine.online_since().map(|since| now.mono.saturating_sub(since));
        // The engine takes note of it only when the link ends.
        let stable = uptime.is_some_and(|uptime| uptime >= self.config.reconnect.stable_after);
        MessageResult(Health {
            user: self.user.as_ref().map(ToString::to_string),
            state: self.engine.state(),
            attempts: if stable { 0 } else { self.engine.attempts() },
            reconnects: self.fared.reconnects,
            last_cause: self.fared.last.as_ref().map(|(cause, _)| cause.clone()),
            last_code: self.fared.last.as_ref().and_then(|(_, code)| *code),
            uptime_ms: since(self.engine.online_since()),
            last_inbound_ms: since(self.engine.last_inbound()),
            bytes_in: self.fared.traffic.read,
            bytes_out: self.fared.traffic.written,
            pending_sends: self.engine.pending_sends(),
            kept_sends: self.engine.kept_sends(),
            waiting_queues: self.engine.waiting_queues(),
            missed_events: 0,
            lost_records: self.config.lost_records.get(),
            handler_panics: 0,
        })
    }
}

impl Handler<Stop> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stopping = true;
        self.step(Input::Close, ctx);
    }
}
