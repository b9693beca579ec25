//! What is known of the accounts, to be read on any thread without asking an actor.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::{
    connection::WeakConnection,
    fleet::{
        cause::{Advice, Cause, CauseKind},
        changes::{Changes, FleetChange},
        counts::Counts,
        drain::DrainReport,
        handle::Queue,
        pace::BreakerState,
        state::{AccountChange, AccountState, Packed, StateKind, Transition, WaitFor, as_text},
    },
    model::{account::UserId, totals::Histogram},
};

/// One account, as its handles see it.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) user: UserId,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: AccountState,
    since_ms: u64,
    cause: Option<Box<Cause>>,
    tag: Option<Arc<str>>,
    weight: u32,
    transitions: VecDeque<Packed>,
    connection: Option<WeakConnection>,
    /// Made by the first who watches.
    watchers: Option<broadcast::Sender<FleetChange>>,
}

impl Cell {
    fn new(user: UserId, now_ms: u64) -> Self {
        Cell { user, inner: Mutex::new(Inner { since_ms: now_ms, ..Inner::default() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn describe(&self, tag: Option<Arc<str>>, weight: u32) {
        let mut inner = self.inner();
        (inner.tag, inner.weight) = (tag, weight);
    }

    pub(super) fn connect(&self, connection: WeakConnection) {
        self.inner().connection = Some(connection);
    }

    pub(super) fn connection(&self) -> Option<WeakConnection> {
        self.inner().connection.clone()
    }

    pub(super) fn transitions(&self) -> Vec<Transition> {
        self.inner().transitions.iter().map(|packed| packed.transition()).collect()
    }

    pub(super) fn watch(&self) -> Changes {
        let mut inner = self.inner();
        Changes::new(inner.watchers.get_or_insert_with(|| broadcast::Sender::new(Changes::CAPACITY_OF_ACCOUNT)))
    }
}

/// An account at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountSnapshot {
    /// The account.
    pub user: UserId,
    /// Its state.
    pub state: AccountState,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why, where it is not online and something is known.
    pub cause: Option<Cause>,
    /// What an operator can do about it.
    pub action: Option<Advice>,
    /// The word to find it by.
    pub tag: Option<Arc<str>>,
    /// How much work it is beside others.
    pub weight: u32,
    /// The node that keeps it.
    pub node: Arc<str>,
    /// The epoch of its logins: the time in milliseconds since 1970 at which the fleet began.
    pub epoch: u64,
}

impl Serialize for AccountSnapshot {
    /// Writes the state's own fields beside the others, and the cause as its kind with its words in `message`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            #[serde(serialize_with = "as_text")]
            user: UserId,
            #[serde(flatten)]
            state: &'a AccountState,
            since_ms: u64,
            node: &'a str,
            epoch: u64,
            cause: Option<CauseKind>,
            code: Option<i32>,
            message: Option<&'a str>,
            action: Option<Advice>,
            advice: Option<&'static str>,
            tag: Option<&'a str>,
            weight: u32,
        }
        let cause = self.cause.as_ref();
        Flat {
            user: self.user.clone(),
            state: &self.state,
            since_ms: self.since_ms,
            node: &self.node,
            epoch: self.epoch,
            cause: cause.map(|cause| cause.kind),
            code: cause.and_then(|cause| cause.code),
            message: cause.map(|cause| &*cause.text),
            action: self.action,
            advice: self.action.map(Advice::words),
            tag: self.tag.as_deref(),
            weight: self.weight,
        }
        .serialize(serializer)
    }
}

/// Which accounts a call is for; every condition that is set must hold.
///
/// ```
/// use agora_chat::fleet::{Filter, StateKind};
/// let filter = Filter::all().state(StateKind::Parked).tag("sales");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a filter is given to a call"]
pub struct Filter {
    states: Vec<StateKind>,
    cause: Option<CauseKind>,
    tag: Option<Arc<str>>,
    search: Option<String>,
}

impl Filter {
    /// Takes every account.
    pub fn all() -> Self {
        Filter::default()
    }

    /// Takes accounts in this state, or in one of several where it is called again.
    pub fn state(mut self, state: StateKind) -> Self {
        self.states.push(state);
        self
    }

    /// Takes accounts with a cause of this kind.
    pub fn cause(mut self, cause: CauseKind) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Takes accounts with this tag.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Takes accounts with this text in their user id; letter case does not matter.
    pub fn search(mut self, text: &str) -> Self {
        self.search = Some(text.to_ascii_lowercase()).filter(|text| !text.is_empty());
        self
    }

    fn takes(&self, user: &UserId, inner: &Inner) -> bool {
        (self.states.is_empty() || self.states.contains(&inner.state.kind()))
            && self.cause.is_none_or(|kind| inner.cause.as_ref().is_some_and(|cause| cause.kind == kind))
            && (self.tag.is_none() || self.tag == inner.tag)
            && self.search.as_ref().is_none_or(|text| user.as_str().contains(text.as_str()))
    }
}

/// Which part of a list is wanted: it is in the order of user ids.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The last user of the part before.
    pub after: Option<UserId>,
    /// The most accounts, from 1 to [`Page::MAX`].
    pub limit: usize,
}

impl Page {
    /// The most accounts of a page.
    pub const MAX: usize = 10_000;

    /// Takes the first `limit` accounts.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Page { after: None, limit }
    }

    /// Takes those after a user.
    #[must_use]
    pub fn after(user: UserId, limit: usize) -> Self {
        Page { after: Some(user), limit }
    }
}

impl Default for Page {
    fn default() -> Self {
        Page::first(100)
    }
}

/// A part of the list of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Accounts {
    /// The accounts, in the order of their user ids.
    pub accounts: Vec<AccountSnapshot>,
    /// What to give to [`Page::after`] for the next part; `None` if there is none.
    #[serde(serialize_with = "as_optional_text")]
    pub next: Option<UserId>,
}

fn as_optional_text<S: serde::Serializer>(user: &Option<UserId>, serializer: S) -> Result<S::Ok, S::Error> {
    user.as_ref().map(UserId::as_str).serialize(serializer)
}

/// What concerns the whole fleet.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) breaker: BreakerState,
    pub(super) queue: Queue,
    pub(super) draining: bool,
    pub(super) drained: Option<DrainReport>,
    pub(super) ended: bool,
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) node: Arc<str>,
    pub(super) epoch: u64,
    accounts: RwLock<BTreeMap<UserId, Arc<Cell>>>,
    counts: Mutex<Counts>,
    /// From permit to success, of attempts.
    pub(super) login_time: Histogram,
    /// From question to permit.
    pub(super) queue_time: Histogram,
    whole: Mutex<Whole>,
    /// Made by the first who watches.
    changes: OnceLock<broadcast::Sender<FleetChange>>,
}

impl Table {
    const WAITS: [Duration; 10] = [
        Duration::from_millis(5),
        Duration::from_millis(25),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(10),
        Duration::from_secs(60),
        Duration::from_secs(600),
    ];

    pub(super) fn new(node: Arc<str>, epoch: u64) -> Self {
        let whole = Whole {
            breaker: BreakerState::Closed,
            queue: Queue::default(),
            draining: false,
            drained: None,
            ended: false,
        };
        Table {
            node,
            epoch,
            accounts: RwLock::default(),
            counts: Mutex::default(),
            login_time: Histogram::new(&Self::WAITS),
            queue_time: Histogram::new(&Self::WAITS),
            whole: Mutex::new(whole),
            changes: OnceLock::new(),
        }
    }

    pub(super) fn whole(&self) -> MutexGuard<'_, Whole> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, user: &UserId) -> Option<Arc<Cell>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(user).cloned()
    }

    pub(super) fn insert(&self, user: UserId, now_ms: u64) -> Arc<Cell> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let cell = accounts.entry(user.clone()).or_insert_with(|| {
            self.counts().entered(StateKind::Added);
            Arc::new(Cell::new(user, now_ms))
        });
        Arc::clone(cell)
    }

    pub(super) fn remove(&self, user: &UserId) {
        let removed = self.accounts.write().unwrap_or_else(PoisonError::into_inner).remove(user);
        if let Some(cell) = removed {
            let mut inner = cell.inner();
            self.counts().left(inner.state.kind(), inner.cause.as_deref());
            inner.watchers = None;
        }
    }

    /// Puts an account into a state; a change of its kind is a transition, and told.
    pub(super) fn set(
        &self,
        cell: &Cell,
        state: AccountState,
        cause: Option<Cause>,
        now_ms: u64,
    ) -> Option<AccountChange> {
        let mut inner = cell.inner();
        let (from, to) = (inner.state.kind(), state.kind());
        let mut counts = self.counts();
        counts.left(from, inner.cause.as_deref());
        counts.entered(to);
        counts.caused(cause.as_ref());
        inner.state = state;
        inner.cause = cause.map(Box::new);
        if from == to {
            return None;
        }
        inner.since_ms = now_ms;
        let (kind, code) = (inner.cause.as_ref().map(|cause| cause.kind), inner.cause.as_ref().and_then(|c| c.code));
        counts.moved(from, to, kind);
        drop(counts);
        // At once what it takes, and no more: it is there for every account.
        let more = Transition::KEPT.saturating_sub(inner.transitions.len());
        inner.transitions.reserve_exact(more);
        if inner.transitions.len() >= Transition::KEPT {
            inner.transitions.pop_front();
        }
        inner.transitions.push_back(Packed::new(Transition { at_ms: now_ms, from, to, cause: kind, code }));
        let change = AccountChange {
            at_ms: now_ms,
            user: cell.user.clone(),
            from,
            to: inner.state.clone(),
            cause: inner.cause.as_deref().cloned(),
        };
        if let Some(watchers) = &inner.watchers
            && watchers.send(FleetChange::Account(change.clone())).is_err()
        {
            inner.watchers = None;
        }
        drop(inner);
        self.tell(FleetChange::Account(change.clone()));
        Some(change)
    }

    pub(super) fn tell(&self, change: FleetChange) {
        if let Some(watchers) = self.changes.get() {
            // An error means that nobody watches any more.
            let _ = watchers.send(change);
        }
    }

    pub(super) fn watch(&self) -> Changes {
        Changes::new(self.changes.get_or_init(|| broadcast::Sender::new(Changes::CAPACITY)))
    }

    pub(super) fn snapshot(&self, cell: &Cell) -> AccountSnapshot {
        self.snap(&cell.user, &cell.inner(), &self.whole())
    }

    fn snap(&self, user: &UserId, inner: &Inner, whole: &Whole) -> AccountSnapshot {
        let mut state = inner.state.clone();
        // Of those who wait for their turn when the breaker opens, that is what they wait for.
        if let (
            AccountState::Waiting { why: why @ WaitFor::Turn, until_ms },
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. },
        ) = (&mut state, &whole.breaker)
        {
            (*why, *until_ms) = (WaitFor::Breaker, None);
        }
        AccountSnapshot {
            user: user.clone(),
            action: state.advice(inner.cause.as_deref()),
            state,
            since_ms: inner.since_ms,
            cause: inner.cause.as_deref().cloned(),
            tag: inner.tag.clone(),
            weight: inner.weight,
            node: Arc::clone(&self.node),
            epoch: self.epoch,
        }
    }

    pub(super) fn list(&self, filter: &Filter, page: &Page) -> Accounts {
        let (limit, whole) = (page.limit.clamp(1, Page::MAX), self.whole().clone());
        let after = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let mut rest = accounts.range::<UserId, _>((after, Bound::Unbounded)).filter_map(|(user, cell)| {
            let inner = cell.inner();
            filter.takes(user, &inner).then(|| self.snap(user, &inner, &whole))
        });
        let accounts: Vec<_> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let next = accounts.last().filter(|_| more).map(|last| last.user.clone());
        Accounts { accounts, next }
    }

    /// Returns the users that a filter takes.
    pub(super) fn users(&self, filter: &Filter) -> Vec<UserId> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let taken = accounts.iter().filter(|(user, cell)| filter.takes(user, &cell.inner()));
        taken.map(|(user, _)| user.clone()).collect()
    }
}
