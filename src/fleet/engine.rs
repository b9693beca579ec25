//! The decisions of a fleet: a value without a clock, socket, thread or random numbers of its own.
//!
//! Commands of the application and reports of the shards go in, [`Action`]s come out. What each account is at is held in
//! its [`Entry`]: what is wanted of it, whether a session of it is open, and what holds it back.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    config::KickPolicy,
    fleet::{
        cause::{Cause, CauseKind},
        drain::Left,
        error::FleetError,
        kicks::{ForeignLogins, LoginText},
        pace::{BreakerState, Lane, LoginPace, Outcome, Pacer, Place, Why},
        spec::{AccountSpec, Added, Pause},
        state::{AccountState, WaitFor},
    },
    model::{account::UserId, auth::Credentials, error::ConnectStep},
    session::Now,
    util::unix_time::millis,
};

mod draining;
mod ended;
mod entry;
mod messages;

use draining::Drain;
use entry::{Entry, Hold, Paused, Session, Want};
pub(super) use messages::{Action, AttemptEnd, CloseHow, Notice, Report, SessionEnd};

/// Index of an account, dense and used again after it was removed.
pub(super) type Index = u32;

/// Settings that do not change.
#[derive(Debug)]
pub(super) struct Settings {
    /// Text of this process's logins.
    pub(super) login: LoginText,
    pub(super) kicks: KickPolicy,
    pub(super) shards: u16,
    pub(super) max_accounts: usize,
}

pub(super) struct Engine {
    settings: Settings,
    accounts: Vec<Option<Entry>>,
    free: Vec<Index>,
    /// Of the last session opened: no two have the same, also where an index is used again.
    generation: u32,
    users: HashMap<UserId, Index>,
    /// Weights of the accounts of each shard.
    loads: Vec<u64>,
    pacer: Pacer,
    breaker: BreakerState,
    hosts: Vec<Arc<str>>,
    timers: BTreeSet<(Duration, Index)>,
    to_close: VecDeque<Index>,
    closing: usize,
    /// Sessions that a shard has.
    sessions: usize,
    drain: Option<Drain>,
    foreign: ForeignLogins,
    random: fastrand::Rng,
}

impl Engine {
    /// First and longest pause before a session is opened again that ended and may do better.
    const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
    /// Drains log out so many at once.
    const CLOSING: usize = 64;
    /// A place that a stale login of the same fleet took is taken back once in this time.
    const RECLAIM: Duration = Duration::from_secs(60);
    /// Hosts with a breaker of their own; what comes past them shares the last one.
    const HOSTS: usize = 64;
    /// What is still open after the drain's deadline is reset, and waited for as long as this.
    const ABANDON: Duration = Duration::from_secs(2);

    pub(super) fn new(settings: Settings, pacer: Pacer, random: fastrand::Rng) -> Self {
        let loads = vec![0; usize::from(settings.shards.max(1))];
        Engine {
            settings,
            accounts: Vec::new(),
            free: Vec::new(),
            generation: 0,
            users: HashMap::new(),
            loads,
            pacer,
            breaker: BreakerState::Closed,
            hosts: Vec::new(),
            timers: BTreeSet::new(),
            to_close: VecDeque::new(),
            closing: 0,
            sessions: 0,
            drain: None,
            foreign: ForeignLogins::default(),
            random,
        }
    }

    /// Takes an account, or other settings of one that is known.
    pub(super) fn add(
        &mut self,
        spec: AccountSpec,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<(Index, Added), FleetError> {
        spec.check()?;
        if self.drain.is_some() {
            return Err(FleetError::Draining);
        }
        if let Some(&index) = self.users.get(spec.user())
            && let Some(entry) = self.entry(index)
        {
            if entry.want == Want::Removed {
                let (shard, before, after) = (entry.shard, entry.spec.weight, spec.weight);
                (entry.want, entry.spec) = (Want::Run, Arc::new(spec));
                self.load(shard, before, after);
                return Ok((index, Added::New));
            }
            let (same_login, same) =
                (entry.spec.logs_in_like(&spec), entry.spec.tag == spec.tag && entry.spec.weight == spec.weight);
            if same_login && same {
                return Ok((index, Added::Same));
            }
            let (shard, before, after) = (entry.shard, entry.spec.weight, spec.weight);
            entry.spec = Arc::new(spec);
            self.load(shard, before, after);
            if !same_login {
                self.restart(index, now, out);
            }
            self.settle(now, out);
            return Ok((index, Added::Changed));
        }
        if self.users.len() >= self.settings.max_accounts {
            return Err(FleetError::Full { limit: self.settings.max_accounts });
        }
        let shard = self.loads.iter().enumerate().min_by_key(|(_, load)| **load).map_or(0, |(shard, _)| shard);
        let shard = u16::try_from(shard).unwrap_or(0);
        self.load(shard, 0, spec.weight);
        let index = self.free.pop().unwrap_or_else(|| {
            self.accounts.push(None);
            Index::try_from(self.accounts.len() - 1).unwrap_or(Index::MAX)
        });
        let user = spec.user().clone();
        self.users.insert(user, index);
        let entry = Entry {
            spec: Arc::new(spec),
            shard,
            generation: 0,
            want: Want::Run,
            session: Session::None,
            hold: Hold::Nothing,
            paced: false,
            endpoint: 0,
            admitted: false,
            was_online: false,
            tries: 0,
            takeovers: Vec::new(),
            reclaimed: None,
            state: AccountState::Added,
            cause: None,
            timer: None,
        };
        if let Some(place) = self.accounts.get_mut(index as usize) {
            *place = Some(entry);
        }
        Ok((index, Added::New))
    }

    /// Starts an account that was [added](Self::add), once its place in the table is made.
    pub(super) fn start(&mut self, index: Index, now: Now, out: &mut Vec<Action>) {
        self.reconcile(index, now, out);
        self.settle(now, out);
    }

    /// Logs the account out and forgets it.
    pub(super) fn remove(&mut self, user: &UserId, now: Now, out: &mut Vec<Action>) -> Result<(), FleetError> {
        self.want(user, Want::Removed, now, out)
    }

    /// Logs the account out until it is resumed or the time is over.
    pub(super) fn pause(
        &mut self,
        user: &UserId,
        pause: Pause,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<(), FleetError> {
        let until = pause.time.map(|time| now.mono.saturating_add(time));
        self.want(user, Want::Paused(Box::new(Paused { why: pause.why, until })), now, out)
    }

    /// Has the account go on, whatever holds it back: a pause, a kick, a refusal or the pause before another try.
    pub(super) fn resume(&mut self, user: &UserId, now: Now, out: &mut Vec<Action>) -> Result<(), FleetError> {
        let index = self.find(user)?;
        if let Some(entry) = self.entry(index) {
            entry.hold = Hold::Nothing;
            entry.takeovers.clear();
        }
        self.want(user, Want::Run, now, out)
    }

    /// Logs the account out and in again.
    pub(super) fn restart_account(&mut self, user: &UserId, now: Now, out: &mut Vec<Action>) -> Result<(), FleetError> {
        let index = self.find(user)?;
        self.resume(user, now, out)?;
        self.restart(index, now, out);
        self.settle(now, out);
        Ok(())
    }

    /// Gives the account other credentials; a token is given to the session as it is, a password by a new login.
    pub(super) fn update(
        &mut self,
        user: &UserId,
        credentials: Credentials,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<(), FleetError> {
        if credentials.user() != user {
            return Err(FleetError::OtherUser { user: user.clone(), other: credentials.user().clone() });
        }
        let index = self.find(user)?;
        let Some(entry) = self.entry(index) else { return Ok(()) };
        entry.spec = Arc::new(entry.spec.with_credentials(credentials.clone()));
        let (shard, in_session) = (entry.shard, entry.session == Session::Open && entry.was_online);
        if in_session && credentials.token_alone().is_some() {
            out.push(Action::RenewToken { index, shard, credentials });
            return Ok(());
        }
        self.restart(index, now, out);
        self.settle(now, out);
        Ok(())
    }

    /// Takes what a shard says of a session; what is said of an earlier one is ignored.
    pub(super) fn report(&mut self, index: Index, generation: u32, report: Report, now: Now, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        if entry.generation != generation || matches!(entry.session, Session::None | Session::Queued) {
            return;
        }
        let closing = entry.session == Session::Closing;
        match report {
            Report::Closed { answered } => self.closed(index, answered, now, out),
            Report::Withdrawn => self.withdraw(index, now),
            Report::AttemptOver(end) => self.attempt_over(index, end, now, out),
            // The answer to its close is on its way; nothing else counts.
            _ if closing => {}
            Report::Asked { reconnect, host } => self.asked(index, reconnect, host, now, out),
            Report::Step(step) => {
                if entry.paced && matches!(entry.state, AccountState::LoggingIn { .. }) {
                    let cause = entry.cause.as_deref().cloned();
                    self.set(index, AccountState::LoggingIn { step }, cause, out);
                }
            }
            Report::Online => {
                (entry.was_online, entry.tries) = (true, 0);
                self.set(index, AccountState::Online, None, out);
            }
            Report::Reconnecting { attempt, delay, cause } => {
                let at_ms = now.wall.saturating_add(millis(delay));
                self.set(index, AccountState::Reconnecting { attempt, at_ms }, Some(cause), out);
            }
            Report::Ended(end) => self.ended(index, end, now, out),
        }
        self.settle(now, out);
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Now, out: &mut Vec<Action>) {
        while let Some(&(due, index)) = self.timers.first()
            && due <= now.mono
        {
            self.timers.pop_first();
            let Some(entry) = self.entry(index) else { continue };
            entry.timer = None;
            match entry.hold {
                Hold::Until(until) | Hold::Parked { until: Some(until) } if until <= now.mono => {
                    entry.hold = Hold::Nothing;
                }
                _ => {}
            }
            if matches!(&entry.want, Want::Paused(pause) if pause.until.is_some_and(|until| until <= now.mono)) {
                entry.want = Want::Run;
            }
            self.reconcile(index, now, out);
        }
        self.settle(now, out);
    }

    /// Returns when [`tick`](Self::tick) has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(due, _)| *due);
        let drain = self.drain.as_ref().map(|drain| match drain.abandoned {
            false => drain.until,
            true => drain.until.saturating_add(Self::ABANDON),
        });
        [timer, drain.filter(|_| !self.is_drained()), self.pacer.deadline()].into_iter().flatten().min()
    }

    pub(super) fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// Changes the pace from the next permit on.
    pub(super) fn set_pace(&mut self, pace: LoginPace, now: Now, out: &mut Vec<Action>) {
        self.pacer.set_pace(pace, now.mono);
        self.settle(now, out);
    }

    /// Returns whether the account's session has been online.
    pub(super) fn was_online(&self, index: Index) -> bool {
        self.accounts.get(index as usize).and_then(Option::as_ref).is_some_and(|entry| entry.was_online)
    }

    fn is_drained(&self) -> bool {
        self.sessions == 0
    }

    fn entry(&mut self, index: Index) -> Option<&mut Entry> {
        self.accounts.get_mut(index as usize)?.as_mut()
    }

    fn find(&self, user: &UserId) -> Result<Index, FleetError> {
        self.users.get(user).copied().ok_or_else(|| FleetError::Unknown { user: user.clone() })
    }

    fn load(&mut self, shard: u16, before: u32, after: u32) {
        if let Some(load) = self.loads.get_mut(usize::from(shard)) {
            *load = (*load + u64::from(after)).saturating_sub(u64::from(before));
        }
    }

    fn want(&mut self, user: &UserId, want: Want, now: Now, out: &mut Vec<Action>) -> Result<(), FleetError> {
        let index = self.find(user)?;
        let draining = self.drain.is_some();
        if let Some(entry) = self.entry(index) {
            if draining && want != Want::Removed {
                return Err(FleetError::Draining);
            }
            if entry.want == Want::Removed {
                return Err(FleetError::Unknown { user: user.clone() });
            }
            entry.want = want;
            self.reconcile(index, now, out);
        }
        self.settle(now, out);
        Ok(())
    }

    /// Has a session that is open end and begin anew, and one that is held back begin.
    fn restart(&mut self, index: Index, now: Now, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        if entry.want != Want::Run {
            return;
        }
        (entry.hold, entry.tries) = (Hold::Nothing, 0);
        if entry.session == Session::Open {
            self.close(index, CloseHow::LogOut, now, out);
            self.set(index, AccountState::Waiting { why: WaitFor::Logout, until_ms: None }, None, out);
        } else {
            self.reconcile(index, now, out);
        }
    }

    /// Brings an account nearer to what is wanted of it.
    fn reconcile(&mut self, index: Index, now: Now, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        match (&entry.want, entry.session) {
            (_, Session::Closing) | (Want::Run, Session::Open | Session::Queued) => {}
            (_, Session::Queued) => {
                entry.session = Session::None;
                self.withdraw(index, now);
                self.reconcile(index, now, out);
            }
            (Want::Drained, Session::Open) => {
                let online = matches!(entry.state, AccountState::Online);
                let cause = entry.cause.as_deref().cloned();
                self.set(index, AccountState::Draining, cause, out);
                if online {
                    self.to_close.push_back(index);
                } else {
                    self.close(index, CloseHow::LogOut, now, out);
                }
            }
            (_, Session::Open) => self.close(index, CloseHow::LogOut, now, out),
            (Want::Run, Session::None) => self.open(index, now, out),
            (Want::Paused(pause), Session::None) => {
                let (why, until) = (Arc::clone(&pause.why), pause.until);
                let until_ms = until.map(|until| wall(until, now));
                self.set_timer(index, until);
                self.set(index, AccountState::Paused { why, until_ms }, Some(Cause::asked("paused")), out);
            }
            (Want::Removed, Session::None) => self.forget(index, out),
            (Want::Drained, Session::None) => {
                let cause = entry.cause.as_deref().cloned();
                self.set_timer(index, None);
                self.set(index, AccountState::Released, cause, out);
            }
        }
    }

    fn open(&mut self, index: Index, now: Now, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        match entry.hold {
            Hold::Nothing => {}
            Hold::Until(until) | Hold::Parked { until: Some(until) } => return self.set_timer(index, Some(until)),
            Hold::Parked { until: None } | Hold::Failed => return,
        }
        (entry.session, entry.paced) = (Session::Queued, true);
        let lane = if entry.was_online { Lane::Reconnect } else { Lane::First };
        let (endpoint, cause) = (entry.endpoint, entry.cause.as_deref().cloned());
        self.set_timer(index, None);
        self.pacer.ask(index, lane, endpoint, now.mono);
        self.set_waiting(index, cause, now, out);
    }

    /// Has the shard log in an account whose turn has come.
    fn begin(&mut self, index: Index, out: &mut Vec<Action>) {
        let next = self.generation.wrapping_add(1);
        let Some(entry) = self.entry(index) else { return };
        entry.generation = next;
        (entry.session, entry.was_online, entry.admitted) = (Session::Open, false, true);
        let (generation, shard, spec) = (entry.generation, entry.shard, Arc::clone(&entry.spec));
        self.generation = next;
        self.sessions += 1;
        out.push(Action::Open { index, generation, shard, spec });
    }

    fn set_waiting(&mut self, index: Index, cause: Option<Cause>, now: Now, out: &mut Vec<Action>) {
        let (why, until) = match self.pacer.place(index, now.mono) {
            Some(Place { why: Why::Breaker(_), eta, .. }) => (WaitFor::Breaker, Some(eta)),
            Some(place) => (WaitFor::Turn, Some(place.eta)),
            None => (WaitFor::Turn, None),
        };
        let until_ms = until.map(|eta| now.wall.saturating_add(millis(eta)));
        self.set(index, AccountState::Waiting { why, until_ms }, cause, out);
    }

    fn close(&mut self, index: Index, how: CloseHow, now: Now, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        entry.session = Session::Closing;
        let (generation, shard) = (entry.generation, entry.shard);
        self.closing += 1;
        self.withdraw(index, now);
        out.push(Action::Close { index, generation, shard, how });
    }

    fn closed(&mut self, index: Index, answered: bool, now: Now, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        if entry.session != Session::Closing {
            return;
        }
        entry.session = Session::None;
        let user = entry.spec.user().clone();
        self.sessions = self.sessions.saturating_sub(1);
        self.closing = self.closing.saturating_sub(1);
        self.withdraw(index, now);
        // What is reset at the deadline is named already.
        if !answered
            && let Some(drain) = &mut self.drain
            && !drain.abandoned
        {
            drain.left.push(Left { user, why: "closed without the server's answer".into() });
        }
        self.reconcile(index, now, out);
    }

    fn forget(&mut self, index: Index, out: &mut Vec<Action>) {
        self.set_timer(index, None);
        let Some(entry) = self.accounts.get_mut(index as usize).and_then(Option::take) else { return };
        self.users.remove(entry.spec.user());
        self.load(entry.shard, entry.spec.weight, 0);
        self.free.push(index);
        out.push(Action::Forget { index, shard: entry.shard, user: entry.spec.user().clone() });
    }

    fn asked(&mut self, index: Index, reconnect: bool, host: Option<Arc<str>>, now: Now, out: &mut Vec<Action>) {
        let endpoint = self.endpoint(host);
        let Some(entry) = self.entry(index) else { return };
        (entry.paced, entry.endpoint) = (true, endpoint);
        let (generation, cause) = (entry.generation, entry.cause.as_deref().cloned());
        if std::mem::take(&mut entry.admitted) {
            out.push(Action::Admit { index, generation });
            return;
        }
        let lane = if reconnect { Lane::Reconnect } else { Lane::First };
        self.pacer.ask(index, lane, endpoint, now.mono);
        self.set_waiting(index, cause, now, out);
    }

    /// Returns the breaker of a host. All that is not known yet shares the first.
    fn endpoint(&mut self, host: Option<Arc<str>>) -> u16 {
        let Some(host) = host else { return 0 };
        let known = self.hosts.iter().position(|known| *known == host).unwrap_or_else(|| {
            if self.hosts.len() < Self::HOSTS {
                self.hosts.push(host);
            }
            self.hosts.len() - 1
        });
        u16::try_from(known).unwrap_or(0)
    }

    fn withdraw(&mut self, index: Index, now: Now) {
        if let Some(entry) = self.entry(index)
            && entry.paced
        {
            (entry.paced, entry.admitted) = (false, false);
            self.pacer.cancel(index, now.mono);
        }
    }

    fn attempt_over(&mut self, index: Index, end: AttemptEnd, now: Now, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        entry.paced = false;
        let (in_session, closing) = (entry.was_online, entry.session == Session::Closing);
        match end {
            AttemptEnd::Online => self.pacer.done(index, Outcome::Online, now.mono),
            AttemptEnd::Cancelled => self.pacer.done(index, Outcome::Cancelled, now.mono),
            AttemptEnd::Failed { cause, shared, retry_after } => {
                let outcome = match shared {
                    Some(cause) => Outcome::SharedFailure { cause, retry_after },
                    None => Outcome::OwnFailure,
                };
                self.pacer.done(index, outcome, now.mono);
                // Of an own failure, and of one on the way back, the next report tells what follows.
                if closing || in_session || is_own(cause.kind) {
                    return;
                }
                self.set(index, AccountState::Waiting { why: WaitFor::Backoff, until_ms: None }, Some(cause), out);
            }
        }
    }

    fn set(&mut self, index: Index, state: AccountState, cause: Option<Cause>, out: &mut Vec<Action>) {
        let Some(entry) = self.entry(index) else { return };
        if entry.state != state || entry.cause.as_deref() != cause.as_ref() {
            entry.state.clone_from(&state);
            entry.cause = cause.clone().map(Box::new);
            out.push(Action::State { index, state, cause });
        }
    }

    fn set_timer(&mut self, index: Index, due: Option<Duration>) {
        let Some(entry) = self.accounts.get_mut(index as usize).and_then(Option::as_mut) else { return };
        if entry.timer == due {
            return;
        }
        if let Some(before) = entry.timer.take() {
            self.timers.remove(&(before, index));
        }
        entry.timer = due;
        if let Some(due) = due {
            self.timers.insert((due, index));
        }
    }

    /// Gives permits, goes on with a drain, and tells of the breaker: after each input.
    fn settle(&mut self, now: Now, out: &mut Vec<Action>) {
        self.go_on_draining(now, out);
        while let Some(index) = self.pacer.next(now.mono) {
            let Some(entry) = self.entry(index) else { continue };
            let (generation, cause) = (entry.generation, entry.cause.as_deref().cloned());
            match entry.session {
                Session::Queued => self.begin(index, out),
                _ => out.push(Action::Admit { index, generation }),
            }
            self.set(index, AccountState::LoggingIn { step: ConnectStep::Admission }, cause, out);
        }
        // Of several endpoints, the one that fares worst.
        let worst = self.pacer.breakers(now.mono).max_by_key(severity).unwrap_or(BreakerState::Closed);
        if severity(&worst) != severity(&self.breaker) {
            self.breaker = worst;
            out.push(Action::Notice(Notice::Breaker(worst)));
        }
    }
}

const fn severity(state: &BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::Recovering { .. } => 1,
        BreakerState::HalfOpen { .. } => 2,
        BreakerState::Open { .. } => 3,
    }
}

/// Returns the wall clock at a time of the monotonic one.
fn wall(at: Duration, now: Now) -> u64 {
    now.wall.saturating_add(millis(at.saturating_sub(now.mono)))
}

/// Returns whether a failed attempt of this kind ends the session, most likely.
fn is_own(kind: CauseKind) -> bool {
    use CauseKind as K;
    matches!(
        kind,
        K::BadCredentials
            | K::UserMissing
            | K::PasswordChanged
            | K::TokenEnded
            | K::DeviceLimit
            | K::Malformed
            | K::KickedElsewhere
            | K::KickedByCall
    )
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
