//! The connections of one arbiter.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use actix_rt::ArbiterHandle;
use slog::{Logger, warn};
use tokio::sync::oneshot;

use crate::{
    config::Config,
    connection::{Closed, Connection},
    fleet::{
        actor::{Do, FleetActor, FleetCall, Link},
        cause::Cause,
        config::HandlerOf,
        engine::{CloseHow, Index, Report, SessionEnd},
        handle::{AccountHandle, Shared},
        kicks::LoginText,
        spec::AccountSpec,
        table::Cell,
    },
    handlers::Handlers,
    model::{
        ConnectionState, EventKind, Observed, Observer,
        admission::{Admission, Attempt, AttemptKind, Permit, Ticket},
        auth::Credentials,
        error::{DisconnectReason, OpenError},
        totals::Totals,
    },
    util::{lent::caught, unix_time},
};

/// What an arbiter says of itself once a second.
#[derive(Debug, Default)]
pub(super) struct Beat {
    /// When it ran last, in milliseconds since 1970; 0 before it has.
    pub(super) at_ms: AtomicU64,
    /// How late it was then, in milliseconds.
    pub(super) late_ms: AtomicU64,
}

/// Keeps the connections of one arbiter, which share a registry of subscribers.
pub(super) struct ShardActor {
    pub(super) arbiter: ArbiterHandle,
    pub(super) config: Arc<Config>,
    pub(super) handlers: Handlers,
    pub(super) handler: Option<HandlerOf>,
    pub(super) queue: Option<Arc<dyn Admission>>,
    pub(super) login: LoginText,
    /// Its text for accounts that have none of their own, shared by them.
    pub(super) login_text: Arc<str>,
    pub(super) totals: Arc<Totals>,
    pub(super) shared: Weak<Shared>,
    pub(super) beat: Arc<Beat>,
    pub(super) connections: HashMap<Index, Connection>,
    pub(super) log: Logger,
}

/// A call of the fleet's actor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ShardCall(pub(super) Do<ShardActor>);

impl ShardActor {
    pub(super) const MAILBOX: usize = 4096;
    /// An arbiter says this often that it runs.
    pub(super) const BEAT: Duration = Duration::from_secs(1);

    /// Logs an account in.
    pub(super) fn open(&mut self, link: Link, spec: &AccountSpec, cell: &Arc<Cell>) {
        let known = self.connections.get(&link.index).filter(|known| known.ended().is_none()).cloned();
        let connection = match known {
            Some(connection) => connection,
            None => match self.start(&link, cell) {
                Some(connection) => connection,
                None => {
                    let cause = Cause::new(
                        crate::fleet::CauseKind::Application,
                        None,
                        "the function that makes the account's message handler panicked",
                    );
                    return link.report(Report::Ended(SessionEnd::Passing(cause)));
                }
            },
        };
        let hooks = Arc::new(Hooks { link: link.clone(), queue: self.queue.clone() });
        let ext = match spec.account.login_text() {
            None => Arc::clone(&self.login_text),
            text => self.login.with(text).into(),
        };
        let account = spec.account.clone().login_ext(ext).epoch(self.login.epoch);
        let account = account
            .admission(Arc::clone(&hooks) as Arc<dyn Admission>)
            .observer(hooks)
            .totals(Arc::clone(&self.totals));
        // A task of its own: an actor's context polls all that it has spawned whenever one of them wakes it.
        actix_rt::spawn(async move {
            // What becomes of it the observer tells, unless there is nobody to tell it.
            if let Err(error @ OpenError::Connection(_)) = connection.open(account).await {
                link.report(Report::Ended(end_of_open(&error)));
            }
        });
    }

    fn start(&mut self, link: &Link, cell: &Arc<Cell>) -> Option<Connection> {
        let connection = Connection::start_with(&self.arbiter, Arc::clone(&self.config), self.handlers.clone());
        cell.connect(connection.downgrade());
        if let (Some(handler), Some(shared)) = (&self.handler, self.shared.upgrade()) {
            let account = AccountHandle::new(Arc::clone(cell), shared);
            let handler = caught(|| handler(&account))?;
            connection.set_message_handler(handler);
        }
        self.connections.insert(link.index, connection.clone());
        Some(connection)
    }

    pub(super) fn close(&mut self, link: Link, how: CloseHow) {
        let Some(connection) = self.connections.get(&link.index).cloned() else {
            return link.report(Report::Closed { answered: true });
        };
        actix_rt::spawn(async move {
            let closed = match how {
                CloseHow::LogOut => connection.close().await,
                CloseHow::Drain(limit) => connection.close_within(limit).await,
                CloseHow::Abandon => {
                    connection.abandon(DisconnectReason::Moved);
                    connection.close().await;
                    Closed::Cut
                }
            };
            link.report(Report::Closed { answered: closed.is_clean() });
        });
    }

    pub(super) fn renew_token(&mut self, index: Index, credentials: Credentials, fleet: Addr<FleetActor>) {
        let (Some(connection), Some(token)) =
            (self.connections.get(&index).cloned(), credentials.token_alone().cloned())
        else {
            return;
        };
        let log = self.log.clone();
        actix_rt::spawn(async move {
            if let Err(error) = connection.renew_token(token.expose()).await {
                let user = credentials.user().clone();
                warn!(log, "the session does not take its new token, it is logged in anew"; "user" => %user,
                    "error" => %error);
                fleet.do_send(FleetCall(Box::new(move |fleet, ctx| {
                    // An error means that it was removed meanwhile.
                    let _ = fleet.command(ctx, |engine, now, out| engine.restart_account(&user, now, out));
                })));
            }
        });
    }

    pub(super) fn forget(&mut self, index: Index) {
        self.connections.remove(&index);
    }
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let mut due = std::time::Instant::now();
        let beat = Arc::clone(&self.beat);
        ctx.run_interval(Self::BEAT, move |_, _| {
            due += Self::BEAT;
            let now = std::time::Instant::now();
            let late = now.saturating_duration_since(due);
            beat.late_ms.store(unix_time::millis(late), Ordering::Relaxed);
            beat.at_ms.store(unix_time::now_ms(), Ordering::Relaxed);
            if late > Self::BEAT {
                due = now;
            }
        });
    }
}

impl Handler<ShardCall> for ShardActor {
    type Result = ();

    fn handle(&mut self, ShardCall(call): ShardCall, ctx: &mut Self::Context) {
        call(self, ctx);
    }
}

/// What a session calls: it tells the fleet what becomes of it, and asks for the fleet's permit and then for that of the
/// application's own queue.
struct Hooks {
    link: Link,
    queue: Option<Arc<dyn Admission>>,
}

impl Observer for Hooks {
    fn observe(&self, what: Observed<'_>) {
        self.link.report(match what {
            Observed::State(ConnectionState::LoggingIn { step }) => Report::Step(step),
            Observed::State(ConnectionState::Online) => Report::Online,
            Observed::Event(EventKind::Reconnecting { attempt, delay, cause }) => {
                Report::Reconnecting { attempt: *attempt, delay: *delay, cause: Cause::of_loss(cause) }
            }
            Observed::Event(EventKind::Disconnected { reason }) => Report::Ended(end_of(reason)),
            Observed::Opened(Err(error)) => Report::Ended(end_of_open(error)),
            _ => return,
        });
    }
}

pub(super) fn end_of(reason: &DisconnectReason) -> SessionEnd {
    let cause = Cause::of_end(reason);
    match reason {
        DisconnectReason::Closed => SessionEnd::ClosedByApplication,
        DisconnectReason::Kicked(kick) => SessionEnd::Kicked { kick: kick.clone(), cause },
        reason if reason.is_final() => SessionEnd::Final(cause),
        _ => SessionEnd::Passing(cause),
    }
}

pub(super) fn end_of_open(error: &OpenError) -> SessionEnd {
    match error {
        OpenError::Ended { reason, .. } => end_of(reason),
        // The connection was used by somebody else meanwhile, or it is gone; another try finds out.
        OpenError::AlreadyOpen { .. } | OpenError::Connection(_) => SessionEnd::Passing(Cause::of_open(error)),
        error if error.is_final() => SessionEnd::Final(Cause::of_open(error)),
        error => SessionEnd::Passing(Cause::of_open(error)),
    }
}

impl Admission for Hooks {
    fn ask(&self, attempt: Attempt) -> Ticket {
        let (give, given) = oneshot::channel();
        let report = Report::Asked {
            reconnect: attempt.kind == AttemptKind::Reconnect,
            host: attempt.host.as_ref().map(|host| host.shown().into()),
        };
        self.link.tell(report, Some(give));
        let waiting = Waiting(Some(self.link.clone()));
        let queue = self.queue.clone();
        Box::pin(async move {
            let mut waiting = waiting;
            let permit = given.await;
            waiting.0 = None;
            // Without a fleet nobody dials.
            let Ok(permit) = permit else { return std::future::pending().await };
            let Some(queue) = queue else { return permit };
            let other = queue.ask(attempt).await;
            Permit::new(move |outcome| {
                permit.end(outcome.clone());
                other.end(outcome);
            })
        })
    }
}

/// Tells the fleet that a permit is not wanted any more.
struct Waiting(Option<Link>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.report(Report::Withdrawn);
        }
    }
}
