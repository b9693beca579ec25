//! The actor: turns messages, frames and time into inputs of the engine, and carries its actions out.
//!
//! It works in turns. A turn is one message, one round of reading, or one of the other things the driver waits for: the
//! engine takes its inputs in (`core.rs`), and then, once, what it decided is carried out (`effects.rs`). Nothing that
//! is carried out feeds the engine again within the turn.

use std::{
    any::Any,
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::Waker,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context};
use actix_rt::time::Sleep;
use slog::Logger;
use tokio::sync::oneshot;

use super::{
    admitting::Admitting,
    closed::Closed,
    core::Core,
    driver::Driver,
    lazy_rest::LazyRest,
    log::SessionLog,
    page_tasks::PageTasks,
    stats::Stats,
    token_cache::{Loaded, TokenCache},
    watch::StatePublisher,
};
use crate::{
    config::{Addresses, Config},
    delivery::Slot,
    handlers::Handlers,
    model::{
        ConnectionState, Event, EventKind,
        account::UserId,
        auth::TokenGrant,
        error::{
            ActorEnd, ConnectStep, DisconnectReason, LossCause, OpenError, RequestError, RestError, SendError,
            TokenError,
        },
        outgoing::Sent,
        totals::Totals,
    },
    net::{
        ConnectProgress, Gate,
        websocket::{link::Link, write_queue::WriteQueue},
    },
    rest::RestClient,
    session::{Action, Engine, Input, TokenFetch},
    util::{lent, threads::Unfinished},
};

pub(super) const SCRATCH: usize = 16;

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
    pub(super) core: Core,
    pub(super) config: Arc<Config>,
    pub(super) logger: Logger,
    pub(super) log: SessionLog,
    pub(super) user: Option<UserId>,
    /// Events of a turn, published together: a round of reading costs the registry one wake. Empty between turns.
    pub(super) events: Vec<Event>,
    pub(super) behind: Option<Pin<Box<Sleep>>>,
    pub(super) queued: WriteQueue,
    pub(super) link: Option<Link>,
    pub(super) dialing: Option<Dialing>,
    /// The counts that the session adds to.
    pub(super) totals: Option<Arc<Totals>>,
    /// The gate of the session's account.
    pub(super) gate: Option<Gate>,
    pub(super) call: Option<Doing<CallDone>>,
    /// `None` for an account without an admission.
    pub(super) admitting: Option<Box<Admitting>>,
    /// The fetches of tokens under way, which outlive links; at most one on each behalf.
    pub(super) token_fetches: Vec<(TokenFetch, Doing<Result<TokenGrant, TokenError>>)>,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
    /// When the timer fires, which may be before the engine's deadline but never after it.
    pub(super) armed: Option<Duration>,
    /// Up to when all that had come was there to be read when it was read last.
    pub(super) looked: Duration,
    pub(super) waker: Option<Waker>,
    pub(super) rest: LazyRest,
    pub(super) asking: Option<oneshot::Sender<Result<(), OpenError>>>,
    pub(super) opening: Option<oneshot::Sender<Result<(), OpenError>>>,
    pub(super) closing: Vec<oneshot::Sender<Closed>>,
    /// Ends that wait for what was begun to be written.
    pub(super) ends: Vec<Ending>,
    pub(super) sends: HashMap<u64, oneshot::Sender<Result<Sent, SendError>>>,
    pub(super) renewals: Vec<(u64, oneshot::Sender<Result<u64, RequestError>>)>,
    pub(super) last_renewal: u64,
    pub(super) stats: Stats,
    pub(super) page_tasks: PageTasks,
    /// Keeps the account over restarts, where there is a state folder.
    pub(super) token_cache: Option<TokenCache>,
    pub(super) stopping: bool,
    /// Set while the actor is being dropped with its session.
    pub(super) dying: bool,
}

pub(super) struct Dialing {
    pub(super) connect: Doing<Result<Link, LossCause>>,
    /// The current step, and the one last reported to the engine.
    pub(super) progress: ConnectProgress,
    pub(super) told: Option<ConnectStep>,
}

pub(super) struct Ending {
    pub(super) closed: Closed,
    pub(super) asked: Vec<oneshot::Sender<Closed>>,
    pub(super) written: Doing<()>,
}

impl Ending {
    pub(super) fn tell(self) {
        for asked in self.asked {
            // An error here means that nobody waits any more.
            let _ = asked.send(self.closed);
        }
    }
}

pub(super) enum CallDone {
    Recalled(Result<Loaded, Unfinished>),
    Discovered(Result<Addresses, RestError>),
}

impl ConnectionActor {
    /// The mailbox's capacity.
    pub const MAILBOX: usize = 1024;

    /// The most `renew_token` calls under way at once; one more is refused with
    /// [`ConnectionError::Busy`](crate::ConnectionError::Busy).
    pub const RENEWALS: usize = 16;

    pub(super) fn new(
        config: Arc<Config>,
        handlers: Handlers,
        slot: Arc<Slot>,
        publisher: StatePublisher,
        handle: Weak<dyn Any + Send + Sync>,
    ) -> Self {
        let engine = Engine::new(Arc::clone(&config), fastrand::u64(..));
        engine.origin().set_connection(handle);
        engine.redactor().learn_proxy(config.network.proxy().secrets());
        let logger = engine.redactor().logger(&config.logger);
        let rest = LazyRest::new(Arc::clone(&config), engine.redactor().clone(), logger.clone());
        ConnectionActor {
            core: Core::new(engine, handlers, Arc::clone(&slot), publisher),
            log: SessionLog::new(logger.clone()),
            logger,
            user: None,
            events: Vec::new(),
            behind: None,
            queued: WriteQueue::default(),
            link: None,
            dialing: None,
            totals: None,
            gate: None,
            call: None,
            admitting: None,
            token_fetches: Vec::new(),
            timer: None,
            armed: None,
            looked: Duration::ZERO,
            waker: None,
            rest,
            asking: None,
            opening: None,
            closing: Vec::new(),
            ends: Vec::new(),
            sends: HashMap::new(),
            renewals: Vec::new(),
            last_renewal: 0,
            stats: Stats::default(),
            page_tasks: PageTasks::new(slot),
            token_cache: None,
            stopping: false,
            dying: false,
            config,
        }
    }

    pub(super) fn step(&mut self, input: Input<'_>, ctx: &mut Context<Self>) {
        let now = self.core.now();
        let _ = self.core.step(input, now);
        self.finish_turn(ctx);
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    pub(super) fn rest(&self) -> impl Future<Output = Result<RestClient, RestError>> + use<> {
        self.rest.clone().client()
    }

    /// Ends the session while the actor is dropped with a goodbye if the socket takes it; sends fail.
    fn abort(&mut self, end: ActorEnd) {
        let now = self.core.now();
        let _ = self.core.step(Input::Abort(end), now);
        self.carry_out_all();
    }

    /// Ends the session where the engine itself panicked: reports what can be reported without it.
    fn abort_without_engine(&mut self, end: ActorEnd) {
        self.core.engine.origin().end();
        let reason = DisconnectReason::ActorEnded(end);
        let is_end = |kind: &EventKind| matches!(kind, EventKind::Disconnected { .. });
        let told = self.events.iter().any(|event| is_end(event.kind()))
            || self.core.actions.iter().any(|action| matches!(action, Action::Emit(kind) if is_end(kind)));
        // What the turn had come to before it.
        let _ = lent::caught(|| self.carry_out_all());
        for (client_id, asked) in self.sends.drain() {
            let _ = asked.send(Err(SendError::OutcomeUnknown { client_id, cause: LossCause::ClosedHere }));
        }
        let Some(user) = self.user.clone() else { return };
        if let Some(asked) = self.opening.take().or_else(|| self.asking.take()) {
            let _ = asked.send(Err(OpenError::Ended { user: user.clone(), reason: reason.clone() }));
        }
        if !told {
            self.events.push(Event::of_session(user, EventKind::Disconnected { reason }, self.core.engine.origin()));
        }
        self.publish_events();
    }
}

impl Actor for ConnectionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.page_tasks.actor = Some(ctx.address().downgrade());
        ctx.spawn(Driver);
    }
}

impl Drop for ConnectionActor {
    /// Reports the end, also with the arbiter or by a panic.
    fn drop(&mut self) {
        let end = if std::thread::panicking() { ActorEnd::Panicked } else { ActorEnd::Stopped };
        let cut = self.core.engine.state() != ConnectionState::LoggedOut;
        // First, so that the state is right when the events arrive.
        self.core.publisher.end(end, cut);
        self.dying = true;
        let closing = std::mem::take(&mut self.closing);
        if cut && lent::caught(|| self.abort(end)).is_none() {
            let _ = lent::caught(|| self.abort_without_engine(end));
        }
        let closed = if cut { Closed::ActorGone } else { Closed::NotLoggedIn };
        for asked in closing {
            let _ = asked.send(closed);
        }
        self.ends.drain(..).for_each(Ending::tell);
        // They may hold what the application lent, and another panic would end the process.
        lent::drop_caught((self.call.take(), self.admitting.take(), std::mem::take(&mut self.token_fetches)));
        lent::drop_caught(std::mem::replace(&mut self.page_tasks, PageTasks::new(Arc::default())));
    }
}
