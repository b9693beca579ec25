//! The handles of a fleet and of one of its accounts.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use actix::Addr;
use actix_rt::{Arbiter, System};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    config::KickPolicy,
    connection::{Connection, Health},
    fleet::{
        AccountSnapshot, AccountSpec, AccountState, Accounts, Added, CauseKind, Changes, DrainReport, Filter,
        FleetConfig, FleetError, Page, Pause, StateKind, Transition,
        actor::{FleetActor, FleetCall},
        engine::{Engine, Settings},
        kicks::LoginText,
        pace::{BreakerState, LoginPace, Pacer},
        shard::{Beat, ShardActor},
        table::{Cell, Table},
    },
    handlers::{EventHandler, HandlerRegistry, Handlers, SubscriberId, Subscription},
    model::{
        account::UserId,
        auth::Credentials,
        message::Conversation,
        outgoing::{Outgoing, Sent},
        totals::Totals,
    },
    util::{spawn::spawn_bounded, unix_time},
};

/// Many accounts of one application, kept online: cheap to clone, usable from every thread.
///
/// Dropping the last handle drains the fleet with a deadline of 10 s and nobody to wait for it; await
/// [`drain`](Fleet::drain) to know when that is done.
///
/// ```no_run
/// use agora_chat::{Config, Credentials, fleet::{AccountSpec, Fleet, FleetConfig, FleetError}};
///
/// # #[actix::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = FleetConfig::new(Config::builder("org#app").build()?).on_message(|account, delivery| async move {
///     if let Some(message) = delivery.message().filter(|message| message.text() == Some("ping")) {
///         account.send_text(message.conversation(), "pong").await?;
///     }
///     Ok::<(), FleetError>(())
/// });
/// let fleet = Fleet::start(config)?;
/// for number in 0..500 {
///     fleet.add(Credentials::password(&format!("bot-{number}"), "password")?).await?;
/// }
/// println!("{:?}", fleet.summary());
/// println!("{}", fleet.drain(std::time::Duration::from_secs(25)).await);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Fleet(Arc<Last>);

/// Drains when the last handle goes.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.call(|fleet, ctx| fleet.drain(Fleet::LAST_DEADLINE, None, ctx));
    }
}

/// What all handles share.
pub(super) struct Shared {
    pub(super) table: Arc<Table>,
    fleet: Addr<FleetActor>,
    handlers: Vec<Handlers>,
    pub(super) beats: Vec<Arc<Beat>>,
    pub(super) totals: Arc<Totals>,
    pub(super) config: FleetConfig,
    pub(super) started_ms: u64,
}

impl Shared {
    fn call(&self, call: impl FnOnce(&mut FleetActor, &mut actix::Context<FleetActor>) + Send + 'static) {
        self.fleet.do_send(FleetCall(Box::new(call)));
    }

    /// Calls the actor and waits for its answer.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut FleetActor, &mut actix::Context<FleetActor>) -> T + Send + 'static,
    ) -> Result<T, FleetError> {
        let (answer, answered) = oneshot::channel();
        self.call(move |fleet, ctx| {
            // An error means that the caller has gone; what it asked for is done all the same.
            let _ = answer.send(ask(fleet, ctx));
        });
        answered.await.map_err(|_| FleetError::Stopped)
    }
}

/// A fleet at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// The number of accounts.
    pub total: usize,
    /// The number of accounts in each state that has some.
    pub accounts: BTreeMap<StateKind, usize>,
    /// The number of accounts with each kind of cause that has some.
    pub causes: BTreeMap<CauseKind, usize>,
    /// The breaker of logins.
    pub breaker: BreakerState,
    /// Attempts that wait for their turn.
    pub queue: Queue,
    /// Whether the fleet is being drained.
    pub draining: bool,
}

/// The login queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Queue {
    /// Attempts that wait for their turn.
    pub length: usize,
    /// The time in milliseconds until all of them have gone, if logins go well.
    pub eta_ms: u64,
    /// Attempts that have a permit and are under way.
    pub under_way: usize,
    /// How long the one that waits longest has waited, in milliseconds.
    pub longest_wait_ms: u64,
}

impl Summary {
    /// Returns the number of accounts in a state.
    #[must_use]
    pub fn of(&self, state: StateKind) -> usize {
        self.accounts.get(&state).copied().unwrap_or_default()
    }
}

impl Fleet {
    /// Accounts handled in one turn of the actor by [`add_all`](Fleet::add_all).
    const BATCH: usize = 256;

    const LAST_DEADLINE: Duration = Duration::from_secs(10);

    /// An arbiter that has not run for so long is taken for hung.
    pub const HUNG: Duration = Duration::from_secs(30);

    /// Starts a fleet without accounts, on arbiters of its own.
    ///
    /// # Errors
    /// [`FleetError::Config`] for a setting out of range, [`FleetError::NoSystem`] outside an actix system.
    pub fn start(config: FleetConfig) -> Result<Self, FleetError> {
        config.check()?;
        if System::try_current().is_none() {
            return Err(FleetError::NoSystem);
        }
        let started_ms = unix_time::now_ms();
        let mut own = (*config.config).clone();
        let kicks = std::mem::replace(&mut own.kick_policy, KickPolicy::Park);
        own.keep_trying_first_login = true;
        let (own, log) = (Arc::new(own), config.config.logger.clone());
        let login = LoginText {
            fleet: Arc::clone(&config.name),
            node: Arc::clone(&config.node),
            epoch: started_ms,
            pid: std::process::id(),
            text: None,
        };
        let mut random = fastrand::Rng::new();
        let pacer = Pacer::new(config.pace, config.breaker, random.fork());
        let shards = u16::try_from(config.arbiters).unwrap_or(u16::MAX);
        let settings = Settings { login: login.clone(), kicks, shards, max_accounts: config.max_accounts };
        let engine = Engine::new(settings, pacer, random);
        let table = Arc::new(Table::new(Arc::clone(&config.node), started_ms));
        let arbiters: Vec<Arbiter> = (0..config.arbiters).map(|_| Arbiter::new()).collect();
        let handlers: Vec<Handlers> =
            arbiters.iter().map(|arbiter| HandlerRegistry::start_guarded(&arbiter.handle(), log.clone())).collect();
        let beats: Vec<Arc<Beat>> = arbiters.iter().map(|_| Arc::default()).collect();
        let totals = Arc::<Totals>::default();
        let arbiter = Arbiter::new();
        let shared = Arc::new_cyclic(|me: &Weak<Shared>| {
            let shards = arbiters.iter().zip(&handlers).zip(&beats).map(|((arbiter, handlers), beat)| {
                let shard = ShardActor {
                    arbiter: arbiter.handle(),
                    config: Arc::clone(&own),
                    handlers: handlers.clone(),
                    handler: config.handler.clone(),
                    queue: config.queue.clone(),
                    login_text: login.with(None).into(),
                    login: login.clone(),
                    totals: Arc::clone(&totals),
                    shared: Weak::clone(me),
                    beat: Arc::clone(beat),
                    connections: Default::default(),
                    log: log.clone(),
                };
                spawn_bounded(&arbiter.handle(), ShardActor::MAILBOX, move || shard)
            });
            let (shards, for_actor) = (shards.collect(), Arc::clone(&table));
            let make = move || FleetActor::new(engine, for_actor, shards, arbiters, log);
            let fleet = spawn_bounded(&arbiter.handle(), FleetActor::MAILBOX, make);
            Shared { table, fleet, handlers, beats, totals, config, started_ms }
        });
        #[cfg(feature = "metrics")]
        crate::fleet::metrics::emit_every_second(&arbiter.handle(), Arc::downgrade(&shared));
        Ok(Fleet(Arc::new(Last(shared))))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut FleetActor, &mut actix::Context<FleetActor>) -> T + Send + 'static,
    ) -> Result<T, FleetError> {
        self.shared().ask(ask).await
    }

    /// Adds an account and has it logged in when its turn comes; of one that is known, takes what is new.
    ///
    /// It returns once the fleet knows it; [`AccountHandle::watch`] tells what becomes of it.
    ///
    /// # Errors
    /// [`FleetError::Config`] for a malformed account, [`FleetError::Full`], [`FleetError::Draining`],
    /// [`FleetError::Stopped`].
    pub async fn add(&self, account: impl Into<AccountSpec>) -> Result<Added, FleetError> {
        let spec = account.into();
        self.ask(move |fleet, ctx| fleet.add(spec, ctx)).await?
    }

    /// Adds many accounts, as [`add`](Fleet::add) does with each, and returns an answer for each in their order.
    ///
    /// # Errors
    /// [`FleetError::Stopped`]; what is wrong with one account is its own answer.
    pub async fn add_all<I>(&self, accounts: I) -> Result<Vec<Result<Added, FleetError>>, FleetError>
    where
        I: IntoIterator,
        I::Item: Into<AccountSpec>,
    {
        let mut answers = Vec::new();
        let mut accounts = accounts.into_iter().map(Into::into).peekable();
        while accounts.peek().is_some() {
            let batch: Vec<AccountSpec> = accounts.by_ref().take(Self::BATCH).collect();
            let added =
                self.ask(move |fleet, ctx| batch.into_iter().map(|spec| fleet.add(spec, ctx)).collect::<Vec<_>>());
            answers.extend(added.await?);
        }
        Ok(answers)
    }

    /// Logs an account out and forgets it; returns once that has begun.
    ///
    /// # Errors
    /// [`FleetError::Unknown`], [`FleetError::Stopped`].
    pub async fn remove(&self, user: &str) -> Result<(), FleetError> {
        let user: UserId = user.parse()?;
        self.ask(move |fleet, ctx| fleet.command(ctx, |engine, now, out| engine.remove(&user, now, out))).await?
    }

    /// Logs an account out until it is resumed, or for a time.
    ///
    /// # Errors
    /// As [`remove`](Fleet::remove), and [`FleetError::Draining`].
    pub async fn pause(&self, user: &str, pause: Pause) -> Result<(), FleetError> {
        let user: UserId = user.parse()?;
        self.ask(move |fleet, ctx| fleet.command(ctx, |engine, now, out| engine.pause(&user, pause, now, out))).await?
    }

    /// Has an account go on, whatever held it back: a pause, a kick, a refusal, or the pause before another try.
    ///
    /// # Errors
    /// As [`pause`](Fleet::pause).
    pub async fn resume(&self, user: &str) -> Result<(), FleetError> {
        let user: UserId = user.parse()?;
        self.ask(move |fleet, ctx| fleet.command(ctx, |engine, now, out| engine.resume(&user, now, out))).await?
    }

    /// Logs an account out and in again.
    ///
    /// # Errors
    /// As [`pause`](Fleet::pause).
    pub async fn restart(&self, user: &str) -> Result<(), FleetError> {
        let user: UserId = user.parse()?;
        self.ask(move |fleet, ctx| fleet.command(ctx, |engine, now, out| engine.restart_account(&user, now, out)))
            .await?
    }

    /// Gives an account other credentials, and has it go on if it was parked or refused.
    ///
    /// A token is given to an account that is online without losing its link; with a password it is logged in anew.
    ///
    /// # Errors
    /// As [`pause`](Fleet::pause), and [`FleetError::OtherUser`].
    pub async fn update(&self, user: &str, credentials: Credentials) -> Result<(), FleetError> {
        let user: UserId = user.parse()?;
        self.ask(move |fleet, ctx| fleet.command(ctx, |engine, now, out| engine.update(&user, credentials, now, out)))
            .await?
    }

    /// Changes the pace of logins from the next one on.
    ///
    /// # Errors
    /// [`FleetError::Config`] for a pace out of range, [`FleetError::Stopped`].
    pub async fn set_pace(&self, pace: LoginPace) -> Result<(), FleetError> {
        pace.check()?;
        self.ask(move |fleet, ctx| fleet.command(ctx, |engine, now, out| engine.set_pace(pace, now, out))).await
    }

    /// Returns the handle of an account.
    ///
    /// # Errors
    /// [`FleetError::Unknown`].
    pub fn account(&self, user: &str) -> Result<AccountHandle, FleetError> {
        let user: UserId = user.parse()?;
        match self.shared().table.get(&user) {
            Some(cell) => Ok(AccountHandle::new(cell, Arc::clone(self.shared()))),
            None => Err(FleetError::Unknown { user }),
        }
    }

    /// Returns what is known of the accounts that a filter takes, a page at a time; no actor is asked.
    #[must_use]
    pub fn accounts(&self, filter: &Filter, page: &Page) -> Accounts {
        self.shared().table.list(filter, page)
    }

    /// Returns the users of the accounts that a filter takes.
    #[must_use]
    pub fn users(&self, filter: &Filter) -> Vec<UserId> {
        self.shared().table.users(filter)
    }

    /// Returns the fleet's counts; no actor is asked.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let table = &self.shared().table;
        let (accounts, causes) = {
            let counts = table.counts();
            (counts.states(), counts.causes())
        };
        let whole = table.whole();
        Summary {
            total: accounts.values().sum(),
            accounts,
            causes,
            breaker: whole.breaker,
            queue: whole.queue,
            draining: whole.draining,
        }
    }

    /// Returns the epoch of the fleet's logins: the time in milliseconds since 1970 at which it began.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared().started_ms
    }

    /// Returns whether the fleet takes part: it has not ended and is not being drained.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let whole = self.shared().table.whole();
        !whole.draining && !whole.ended
    }

    /// Returns whether all of its arbiters run: `false` when one has not for [`Fleet::HUNG`], so that the process had
    /// better be started again. What the service or the network do changes nothing here.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let (now, hung) = (unix_time::now_ms(), unix_time::millis(Self::HUNG));
        let shared = self.shared();
        shared.table.whole().ended
            || shared.beats.iter().all(|beat| {
                let ran = beat.at_ms.load(Ordering::Relaxed).max(shared.started_ms);
                now.saturating_sub(ran) < hung
            })
    }

    /// Watches the fleet: every change of an account's state, and what concerns the whole fleet, from now on.
    #[must_use]
    pub fn watch(&self) -> Changes {
        self.shared().table.watch()
    }

    /// Subscribes an actor to the events of all accounts, under an id; [`Event::user`](crate::Event::user) says whose each
    /// is. The id's former subscriber is replaced.
    ///
    /// Each arbiter has a registry of its own, so its bounds hold for each of them.
    ///
    /// # Errors
    /// [`FleetError::Connection`], as [`Handlers::subscribe`].
    pub fn subscribe(&self, subscription: Subscription) -> Result<(), FleetError> {
        for handlers in &self.shared().handlers {
            handlers.subscribe(subscription.again())?;
        }
        Ok(())
    }

    /// Subscribes closures to the events of all accounts, under an id.
    ///
    /// # Errors
    /// As [`subscribe`](Fleet::subscribe).
    pub fn add_event_handler(&self, id: impl Into<SubscriberId>, handler: EventHandler) -> Result<(), FleetError> {
        match self.shared().handlers.first() {
            Some(first) => self.subscribe(first.listen(id, handler)),
            None => Ok(()),
        }
    }

    /// Removes a subscriber; an unknown id is no error.
    ///
    /// # Errors
    /// As [`subscribe`](Fleet::subscribe).
    pub fn unsubscribe(&self, id: impl Into<SubscriberId>) -> Result<(), FleetError> {
        let id = id.into();
        for handlers in &self.shared().handlers {
            handlers.remove_subscriber(id.clone())?;
        }
        Ok(())
    }

    /// Logs everybody out in order and ends the fleet: no account is added or logged in any more, each one's message
    /// handler finishes what it has, and LOGOUT is answered. What is not done at the deadline is reset.
    ///
    /// Called again it waits for the same end, by the earlier of the deadlines.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the drain.
    pub async fn drain(&self, deadline: Duration) -> DrainReport {
        let (done, over) = oneshot::channel();
        self.shared().call(move |fleet, ctx| fleet.drain(deadline, Some(done), ctx));
        // An error means that it had ended.
        let _ = over.await;
        self.shared().table.whole().drained.clone().unwrap_or_default()
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("config", &self.shared().config).field("summary", &self.summary()).finish()
    }
}

/// One account of a fleet: cheap to clone, usable from every thread. It keeps neither the account nor the fleet.
#[derive(Clone)]
pub struct AccountHandle {
    cell: Arc<Cell>,
    shared: Arc<Shared>,
}

impl AccountHandle {
    pub(super) fn new(cell: Arc<Cell>, shared: Arc<Shared>) -> Self {
        AccountHandle { cell, shared }
    }

    /// Returns the user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.cell.user
    }

    /// Returns the state; no actor is asked.
    #[must_use]
    pub fn state(&self) -> AccountState {
        self.snapshot().state
    }

    /// Returns all that is known of it at this moment; no actor is asked.
    #[must_use]
    pub fn snapshot(&self) -> AccountSnapshot {
        self.shared.table.snapshot(&self.cell)
    }

    /// Returns the last [`Transition::KEPT`] transitions, the oldest first.
    #[must_use]
    pub fn transitions(&self) -> Vec<Transition> {
        self.cell.transitions()
    }

    /// Watches this account from now on.
    #[must_use]
    pub fn watch(&self) -> Changes {
        self.cell.watch()
    }

    /// Waits until the account is online, and returns `false` if it is refused, parked, paused or removed instead.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn online(&self) -> bool {
        let mut changes = self.watch();
        loop {
            match self.state().kind() {
                StateKind::Online => return true,
                StateKind::Added | StateKind::Waiting | StateKind::LoggingIn | StateKind::Reconnecting => {}
                _ => return false,
            }
            if changes.next().await.is_none() {
                return false;
            }
        }
    }

    /// Returns the account's connection; `None` before its first login and after it was removed.
    ///
    /// One that the application closes by itself is [paused](AccountState::Paused) until it is resumed.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        self.cell.connection()?.upgrade()
    }

    /// Returns the connection's health.
    ///
    /// # Errors
    /// [`FleetError::NotOnline`] without a connection, [`FleetError::Connection`] when that has ended.
    pub async fn health(&self) -> Result<Health, FleetError> {
        let Some(connection) = self.connection() else { return Err(self.not_online()) };
        Ok(connection.health().await?)
    }

    /// Sends a message as this account, as [`Connection::send`]; while a lost link is being regained it is buffered.
    ///
    /// # Errors
    /// [`FleetError::NotOnline`] where the account is neither online nor coming back; [`FleetError::Send`].
    pub async fn send(&self, message: Outgoing) -> Result<Sent, FleetError> {
        let connection = self.connection().ok_or_else(|| self.not_online())?;
        connection.send(message).await.map_err(|error| match error {
            crate::model::error::SendError::NotLoggedIn => self.not_online(),
            error => FleetError::Send { user: self.user().clone(), error },
        })
    }

    /// Sends a text to a conversation, a user by name alone: [`send`](Self::send) of [`Outgoing::text`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_text(&self, to: impl Into<Conversation>, text: &str) -> Result<Sent, FleetError> {
        let message =
            Outgoing::text(to, text).map_err(|error| FleetError::Send { user: self.user().clone(), error })?;
        self.send(message).await
    }

    fn not_online(&self) -> FleetError {
        FleetError::NotOnline { user: self.user().clone(), state: self.state().kind() }
    }
}

impl fmt::Debug for AccountHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountHandle").field("user", self.user()).field("state", &self.state()).finish()
    }
}
