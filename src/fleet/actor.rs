//! The actor of a fleet: a thin shell over its engine.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, SpawnHandle};
use actix_rt::{Arbiter, time::Instant};
use slog::{Logger, info, warn};
use tokio::sync::oneshot;

use crate::{
    fleet::{
        changes::FleetChange,
        engine::{Action, AttemptEnd, Engine, Index, Notice, Report},
        error::FleetError,
        handle::Queue,
        pace::BreakerState,
        shard::{ShardActor, ShardCall},
        state::AccountState,
        table::{Cell, Table},
    },
    model::{
        admission::{AttemptOutcome, Permit},
        error::Kick,
    },
    session::Now,
    util::unix_time::{self, millis},
};

/// Decides for all accounts, on an arbiter of its own, so that no bot's work delays it.
pub(super) struct FleetActor {
    engine: Engine,
    table: Arc<Table>,
    shards: Vec<Addr<ShardActor>>,
    arbiters: Vec<Arbiter>,
    /// By their index, which is dense.
    cells: Vec<Option<Arc<Cell>>>,
    /// Who waits for a permit, since when.
    asking: HashMap<Index, (u32, oneshot::Sender<Permit>, Duration)>,
    /// When permits were given, and for what kind of login.
    admitted: HashMap<Index, (Duration, &'static str)>,
    begun: Instant,
    timer: Option<(SpawnHandle, Duration)>,
    actions: Vec<Action>,
    waiting: Vec<oneshot::Sender<()>>,
    log: Logger,
}

/// Where reports go: the actor, and which session they are of.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) fleet: Addr<FleetActor>,
    pub(super) index: Index,
    pub(super) generation: u32,
}

impl Link {
    pub(super) fn report(&self, report: Report) {
        self.tell(report, None);
    }

    pub(super) fn tell(&self, report: Report, permit: Option<oneshot::Sender<Permit>>) {
        // Past the mailbox's bound: an account has few reports under way, each after a permit or a pause.
        self.fleet.do_send(Reported { index: self.index, generation: self.generation, report, permit });
    }
}

/// A report of a session.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Reported {
    index: Index,
    generation: u32,
    report: Report,
    permit: Option<oneshot::Sender<Permit>>,
}

/// A call of a handle.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct FleetCall(pub(super) Do<FleetActor>);

/// What is to be done by an actor, on its thread.
pub(super) type Do<A> = Box<dyn FnOnce(&mut A, &mut Context<A>) + Send>;

impl FleetActor {
    pub(super) const MAILBOX: usize = 4096;

    pub(super) fn new(
        engine: Engine,
        table: Arc<Table>,
        shards: Vec<Addr<ShardActor>>,
        arbiters: Vec<Arbiter>,
        log: Logger,
    ) -> Self {
        FleetActor {
            engine,
            table,
            shards,
            arbiters,
            cells: Vec::new(),
            asking: HashMap::new(),
            admitted: HashMap::new(),
            begun: Instant::now(),
            timer: None,
            actions: Vec::new(),
            waiting: Vec::new(),
            log,
        }
    }

    /// Runs a command of the engine, and what follows from it.
    pub(super) fn command<T>(
        &mut self,
        ctx: &mut Context<Self>,
        command: impl FnOnce(&mut Engine, Now, &mut Vec<Action>) -> T,
    ) -> T {
        let now = self.now();
        let mut actions = std::mem::take(&mut self.actions);
        let done = command(&mut self.engine, now, &mut actions);
        self.carry_out(&mut actions, now, ctx);
        self.actions = actions;
        done
    }

    pub(super) fn add(
        &mut self,
        spec: crate::fleet::AccountSpec,
        ctx: &mut Context<Self>,
    ) -> Result<crate::fleet::Added, FleetError> {
        let user = spec.user().clone();
        let (tag, weight) = (spec.tag.clone(), spec.weight);
        let (index, added) = self.command(ctx, |engine, now, out| engine.add(spec, now, out))?;
        let cell = self.table.insert(user, unix_time::now_ms());
        cell.describe(tag, weight);
        let place = index as usize;
        if self.cells.len() <= place {
            self.cells.resize(place + 1, None);
        }
        if let Some(known) = self.cells.get_mut(place) {
            *known = Some(cell);
        }
        self.command(ctx, |engine, now, out| engine.start(index, now, out));
        Ok(added)
    }

    /// Drains, and tells whoever waits for it.
    pub(super) fn drain(&mut self, deadline: Duration, done: Option<oneshot::Sender<()>>, ctx: &mut Context<Self>) {
        self.waiting.extend(done);
        self.command(ctx, |engine, now, out| engine.drain(deadline, now, out));
    }

    fn now(&self) -> Now {
        Now { mono: self.begun.elapsed(), wall: unix_time::now_ms() }
    }

    fn carry_out(&mut self, actions: &mut Vec<Action>, now: Now, ctx: &mut Context<Self>) {
        for action in actions.drain(..) {
            match action {
                Action::Open { index, generation, shard, spec } => {
                    let Some(cell) = self.cells.get(index as usize).cloned().flatten() else { continue };
                    let link = Link { fleet: ctx.address(), index, generation };
                    self.on_shard(shard, move |shard, _| shard.open(link, &spec, &cell));
                }
                Action::Admit { index, generation } => self.admit(index, generation, now, ctx),
                Action::Close { index, generation, shard, how } => {
                    let link = Link { fleet: ctx.address(), index, generation };
                    self.on_shard(shard, move |shard, _| shard.close(link, how));
                }
                Action::RenewToken { index, shard, credentials } => {
                    let fleet = ctx.address();
                    self.on_shard(shard, move |shard, _| shard.renew_token(index, credentials, fleet));
                }
                Action::Forget { index, shard, user } => {
                    if let Some(place) = self.cells.get_mut(index as usize) {
                        *place = None;
                    }
                    self.asking.remove(&index);
                    self.admitted.remove(&index);
                    self.table.remove(&user);
                    self.on_shard(shard, move |shard, _| shard.forget(index));
                }
                Action::State { index, state, cause } => self.set(index, state, cause, now),
                Action::Notice(notice) => self.notice(notice),
                Action::Drained(report) => {
                    info!(self.log, "fleet drained"; "report" => %report);
                    self.table.tell(FleetChange::Drained(report.clone()));
                    {
                        let mut whole = self.table.whole();
                        (whole.drained, whole.ended) = (Some(report), true);
                    }
                    for waiting in self.waiting.drain(..) {
                        // An error means that the caller has gone.
                        let _ = waiting.send(());
                    }
                    ctx.stop();
                }
            }
        }
        self.publish_queue(now);
        self.arm(ctx);
    }

    fn set(&mut self, index: Index, state: AccountState, cause: Option<crate::fleet::Cause>, now: Now) {
        let Some(Some(cell)) = self.cells.get(index as usize) else { return };
        let Some(change) = self.table.set(cell, state, cause, now.wall) else { return };
        let (from, to) = (change.from.name(), change.to.kind().name());
        match &change.cause {
            Some(cause) => {
                let code = cause.code;
                info!(self.log, "account {} -> {}", from, to; "user" => %change.user, "cause" => cause.kind.name(),
                    "code" => code, "why" => %cause);
            }
            None => info!(self.log, "account {} -> {}", from, to; "user" => %change.user),
        }
    }

    fn notice(&mut self, notice: Notice) {
        let change = match notice {
            Notice::Breaker(state) => {
                if let BreakerState::Open { cause, .. } = &state {
                    self.table.counts().breaker_opened += 1;
                    warn!(self.log, "logins stopped, they fail for a cause that all accounts share"; "cause" => %cause);
                } else {
                    info!(self.log, "breaker of logins"; "state" => ?state);
                }
                self.table.whole().breaker = state;
                FleetChange::Breaker { state }
            }
            Notice::ForeignFleet { by, accounts } => {
                warn!(self.log, "another program takes this fleet's accounts; they stay parked until resumed";
                    "by" => %by, "accounts" => accounts);
                FleetChange::ForeignFleet { by, accounts }
            }
            Notice::Draining => {
                self.table.whole().draining = true;
                FleetChange::Draining
            }
        };
        self.table.tell(change);
    }

    fn admit(&mut self, index: Index, generation: u32, now: Now, ctx: &mut Context<Self>) {
        let Some((asked, permit, since)) = self.asking.remove(&index) else { return };
        if asked != generation {
            return;
        }
        self.table.queue_time.add(now.mono.saturating_sub(since));
        // As it is now: that it is online is told before how its attempt ended.
        let kind = if self.engine.was_online(index) { "reconnect" } else { "first" };
        self.admitted.insert(index, (now.mono, kind));
        let link = Link { fleet: ctx.address(), index, generation };
        // Where its account does not want it any more it is dropped, and reports so.
        let _ = permit.send(Permit::new(move |outcome| {
            link.report(Report::AttemptOver(match outcome {
                AttemptOutcome::Online => AttemptEnd::Online,
                AttemptOutcome::Failed(failure) => AttemptEnd::failed(&failure),
                AttemptOutcome::Cancelled => AttemptEnd::Cancelled,
            }));
        }));
    }

    fn publish_queue(&self, now: Now) {
        let pacer = self.engine.pacer();
        self.table.whole().queue = Queue {
            length: pacer.waiting(),
            eta_ms: millis(pacer.eta(now.mono).unwrap_or_default()),
            under_way: pacer.under_way(),
            longest_wait_ms: millis(pacer.longest_wait(now.mono).unwrap_or_default()),
        };
    }

    fn on_shard(&self, shard: u16, call: impl FnOnce(&mut ShardActor, &mut Context<ShardActor>) + Send + 'static) {
        if let Some(shard) = self.shards.get(usize::from(shard)) {
            shard.do_send(ShardCall(Box::new(call)));
        }
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let due = self.engine.deadline();
        if self.timer.map(|(_, due)| due) == due {
            return;
        }
        if let Some((timer, _)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(due) = due {
            let wait = due.saturating_sub(self.begun.elapsed());
            let timer = ctx.run_later(wait, |actor, ctx| {
                actor.timer = None;
                actor.command(ctx, Engine::tick);
            });
            self.timer = Some((timer, due));
        }
    }

    fn count(&mut self, index: Index, report: &Report, now: Now) {
        let mut counts = self.table.counts();
        match report {
            Report::AttemptOver(end) => {
                // One that was given up before its turn is none.
                let Some((since, kind)) = self.admitted.remove(&index) else { return };
                let outcome = match end {
                    AttemptEnd::Online => "online",
                    AttemptEnd::Failed { cause, .. } => cause.kind.name(),
                    AttemptEnd::Cancelled => "cancelled",
                };
                if matches!(end, AttemptEnd::Online) {
                    self.table.login_time.add(now.mono.saturating_sub(since));
                }
                *counts.logins.entry((kind, outcome)).or_default() += 1;
            }
            Report::Ended(crate::fleet::engine::SessionEnd::Kicked { kick, .. }) => {
                let by = match kick {
                    Kick::LoggedInElsewhere { ext: Some(_) } => "login_with_text",
                    Kick::LoggedInElsewhere { ext: None } => "login",
                    _ => "service",
                };
                *counts.kicks.entry((kick.code().number(), by)).or_default() += 1;
            }
            _ => {}
        }
    }
}

impl Actor for FleetActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
        }
        // Its own as well, which it has for itself.
        if let Some(own) = Arbiter::try_current() {
            own.stop();
        }
    }
}

impl Drop for FleetActor {
    /// Tells the handles, also where its arbiter ended with it.
    fn drop(&mut self) {
        self.table.whole().ended = true;
    }
}

impl Handler<Reported> for FleetActor {
    type Result = ();

    fn handle(&mut self, reported: Reported, ctx: &mut Self::Context) {
        let Reported { index, generation, report, permit } = reported;
        let now = self.now();
        if let Some(permit) = permit {
            self.asking.insert(index, (generation, permit, now.mono));
        }
        let gone = report == Report::Withdrawn;
        if gone && self.asking.get(&index).is_some_and(|(asked, ..)| *asked == generation) {
            self.asking.remove(&index);
        }
        self.count(index, &report, now);
        self.command(ctx, |engine, now, out| engine.report(index, generation, report, now, out));
    }
}

impl Handler<FleetCall> for FleetActor {
    type Result = ();

    fn handle(&mut self, FleetCall(call): FleetCall, ctx: &mut Self::Context) {
        call(self, ctx);
    }
}
