//! The accounts, spread over arbiters: connections by themselves, or those of a fleet.

use std::{
    cell::RefCell,
    error::Error,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix::{Actor as _, Addr, Arbiter};
use actix_rt::{ArbiterHandle, time::sleep_until};
use agora_chat::{Connection, ConnectionError, Credentials, HandlerRegistry, Handlers, Subscription, fleet::Fleet};
use hdrhistogram::Histogram;
use secrecy::ExposeSecret as _;
use tokio::sync::{oneshot, watch};

use crate::{
    fleet,
    listener::{Heard, Listener, Report, histogram},
    options::{Plan, Registries},
    reasons::{Failure, Reasons},
    tally::Tally,
};

/// One arbiter's part.
#[derive(Clone)]
struct Shard {
    arbiter: ArbiterHandle,
    listener: Addr<Listener>,
    /// Absent where each session has its own.
    handlers: Option<Handlers>,
    tally: Arc<Tally>,
}

/// All of them.
pub(crate) struct Sessions {
    plan: Arc<Plan>,
    shards: Vec<Shard>,
    /// Whoever is in here stays logged in.
    connections: Vec<Connection>,
    /// Keeps the accounts in their place, where it is asked for.
    fleet: Option<Fleet>,
    logins: Histogram<u32>,
    failures: Reasons,
    /// Arbiters end with their handles.
    _arbiters: Vec<Arbiter>,
}

/// The counts of all arbiters.
pub(crate) struct Counts(Vec<Arc<Tally>>);

impl Counts {
    pub(crate) fn sum(&self) -> Tally {
        Tally::sum(self.0.iter().map(|tally| &**tally))
    }
}

/// What one arbiter's logins came to.
struct LoggedIn {
    connections: Vec<Connection>,
    logins: Histogram<u32>,
    failures: Reasons,
}

/// How far a login phase may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Not,
    /// No further login begins.
    Begun,
    /// Those under way are given up as well.
    Now,
}

/// What all the workers of a login phase share.
#[derive(Clone)]
struct Work {
    plan: Arc<Plan>,
    next: Arc<AtomicUsize>,
    stop: watch::Receiver<Stop>,
    began: Instant,
}

impl Sessions {
    /// Threads, registries and subscribers; nobody is connected yet.
    pub(crate) fn start(plan: Plan) -> Result<Self, Box<dyn Error>> {
        let plan = Arc::new(plan);
        // With one, everything is on this thread: what is passed between threads costs wakes.
        let arbiters: Vec<_> = if plan.arbiters > 1 && !plan.fleet {
            (0..plan.arbiters).map(|_| Arbiter::new()).collect()
        } else {
            vec![]
        };
        let here = Arbiter::try_current().ok_or(ConnectionError::NoSystem)?;
        let handles = if arbiters.is_empty() { vec![here] } else { arbiters.iter().map(Arbiter::handle).collect() };
        let shards: Vec<_> =
            handles.into_iter().map(|arbiter| Shard::start(arbiter, &plan)).collect::<Result<_, _>>()?;
        let fleet = match shards.first() {
            Some(shard) if plan.fleet => Some(fleet::start(&plan, shard.listener.clone().recipient())?),
            _ => None,
        };
        let connections = Vec::with_capacity(if plan.fleet { 0 } else { plan.accounts });
        Ok(Sessions {
            plan,
            shards,
            connections,
            fleet,
            logins: histogram(1_000_000),
            failures: Reasons::default(),
            _arbiters: arbiters,
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The counts, to be read while something is under way.
    pub(crate) fn counts(&self) -> Counts {
        Counts(self.shards.iter().map(|shard| Arc::clone(&shard.tally)).collect())
    }

    /// The sums so far.
    pub(crate) fn tally(&self) -> Tally {
        Tally::sum(self.shards.iter().map(|shard| &*shard.tally))
    }

    /// How long logins took, in microseconds.
    pub(crate) fn logins(&self) -> &Histogram<u32> {
        &self.logins
    }

    /// Why logins failed, the most frequent reason first.
    pub(crate) fn take_failures(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.failures).into_sorted()
    }

    /// Lets the lags of the phases before count no more.
    pub(crate) fn forget_lags(&self) {
        self.shards.iter().for_each(|shard| shard.tally.lag_us.set(0));
    }

    /// Logs everybody in who is not; ends when all have been tried, or `stop` says so.
    pub(crate) async fn log_in(&mut self, stop: watch::Receiver<Stop>) {
        if let (Some(fleet), Some(shard)) = (&self.fleet, self.shards.first()) {
            let tally = &shard.tally;
            return fleet::log_in(fleet, &self.plan, tally, &mut self.logins, &mut self.failures, stop).await;
        }
        let work = Work { plan: Arc::clone(&self.plan), next: Arc::default(), stop, began: Instant::now() };
        let workers = self.plan.concurrency.div_ceil(self.shards.len());
        let parts: Vec<_> = self
            .shards
            .iter()
            .map(|shard| {
                let (done, part) = oneshot::channel();
                let (shard_, work) = (shard.clone(), work.clone());
                shard.arbiter.spawn_fn(move || {
                    actix_rt::spawn(async move {
                        // Whoever asked may have gone.
                        let _ = done.send(shard_.log_in(work, workers).await);
                    });
                });
                part
            })
            .collect();
        for part in parts {
            if let Ok(part) = part.await {
                self.connections.extend(part.connections);
                // Both have the same bounds.
                let _ = self.logins.add(part.logins);
                self.failures.extend(part.failures);
            }
        }
    }

    /// What the subscribers measured, all together.
    pub(crate) async fn heard(&self) -> Option<Heard> {
        let mut all: Option<Heard> = None;
        for shard in &self.shards {
            let Ok(one) = shard.listener.send(Report).await else { continue };
            all = Some(match all {
                None => one,
                Some(mut all) => {
                    let _ = all.latency.add(one.latency);
                    let _ = all.back.add(one.back);
                    all.first = [all.first, one.first].into_iter().filter(|at| *at > 0).min().unwrap_or(0);
                    all.last = all.last.max(one.last);
                    all
                }
            });
        }
        all
    }
}

impl Shard {
    fn start(arbiter: ArbiterHandle, plan: &Plan) -> Result<Self, Box<dyn Error>> {
        let tally = Arc::<Tally>::default();
        let (listener_tally, prefix, accounts) = (Arc::clone(&tally), plan.prefix.len(), plan.accounts);
        let listener = Listener::start_in_arbiter(&arbiter, move |_| Listener::new(listener_tally, prefix, accounts));
        let handlers = match plan.registries {
            // A fleet has its own.
            _ if plan.fleet => None,
            Registries::Own => None,
            Registries::Shared => {
                let handlers = HandlerRegistry::start_on(&arbiter, &slog::Logger::root(slog::Discard, slog::o!()));
                handlers.subscribe(Subscription::new("load", listener.clone().recipient()).events(Listener::WANTS))?;
                Some(handlers)
            }
        };
        let lagging = Arc::clone(&tally);
        arbiter.spawn_fn(move || {
            actix_rt::spawn(watch_lag(lagging));
        });
        Ok(Shard { arbiter, listener, handlers, tally })
    }

    async fn log_in(self, work: Work, workers: usize) -> LoggedIn {
        let logins = Rc::new(RefCell::new(histogram(1_000_000)));
        let connections = Rc::new(RefCell::new(Vec::new()));
        let failures = Rc::<RefCell<Reasons>>::default();
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                let (shard, mut work, failures) = (self.clone(), work.clone(), Rc::clone(&failures));
                let (logins, connections) = (Rc::clone(&logins), Rc::clone(&connections));
                actix_rt::spawn(async move {
                    while let Some(number) = work.next().await {
                        let began = Instant::now();
                        let plan = Arc::clone(&work.plan);
                        let outcome = tokio::select! {
                            outcome = shard.one(&plan, number) => outcome,
                            () = work.given_up() => return,
                        };
                        match outcome {
                            Ok(connection) => {
                                let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                                logins.borrow_mut().saturating_record(took.max(1));
                                connections.borrow_mut().push(connection);
                                shard.tally.logged_in.add(1);
                            }
                            Err(error) => {
                                shard.tally.failed.add(1);
                                failures.borrow_mut().add(plan.user(number), &*error);
                            }
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            // One that panicked has lost its account, which then is neither logged in nor failed.
            let _ = worker.await;
        }
        LoggedIn { connections: connections.take(), logins: logins.replace(histogram(1)), failures: failures.take() }
    }

    async fn one(&self, plan: &Plan, number: usize) -> Result<Connection, Box<dyn Error>> {
        let config = plan.configs.get(number % plan.configs.len()).ok_or("no configuration")?.clone();
        let credentials = Credentials::password(&plan.user(number), plan.password.expose_secret())?;
        let connection = match &self.handlers {
            Some(handlers) => Connection::start_with(&self.arbiter, config, handlers.clone()),
            None => {
                let connection = Connection::start_on(&self.arbiter, config);
                connection
                    .subscribe(Subscription::new("load", self.listener.clone().recipient()).events(Listener::WANTS))?;
                connection
            }
        };
        connection.open(credentials).await?;
        Ok(connection)
    }
}

impl Work {
    /// Returns once logins under way are not waited for any more.
    async fn given_up(&mut self) {
        if self.stop.wait_for(|stop| *stop == Stop::Now).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The next account, in its turn.
    async fn next(&mut self) -> Option<usize> {
        let number = self.next.fetch_add(1, Relaxed);
        if number >= self.plan.accounts {
            return None;
        }
        if let Some(pace) = self.plan.pace {
            let turn = self.began + pace.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
            tokio::select! { () = sleep_until(turn.into()) => {} () = self.given_up() => {} }
        }
        (*self.stop.borrow() == Stop::Not).then_some(number)
    }
}

/// How late timers fire is how long everything waits on this thread.
async fn watch_lag(tally: Arc<Tally>) {
    const EVERY: Duration = Duration::from_millis(100);
    loop {
        let due = Instant::now() + EVERY;
        sleep_until(due.into()).await;
        tally.lag_us.at_least(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
}
