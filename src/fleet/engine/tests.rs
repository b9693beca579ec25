//! A fleet in simulated time, against a service that is a value too.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;

use super::{Action, AttemptEnd, CloseHow, Engine, Index, Notice, Report, SessionEnd, Settings};
use crate::{
    config::{Account, KickPolicy},
    fleet::{
        AccountSpec, AccountState, Added, Advice, Breaker, BreakerState, Cause, CauseKind, DrainReport, FleetError,
        LoginPace, Pause, SharedCause, StateKind, WaitFor, kicks::LoginText, pace::Pacer, state::OtherLogin,
    },
    model::{
        account::{Device, UserId},
        auth::Credentials,
        error::{ConnectStep, Kick, Refusal},
        server_text::ServerText,
    },
    session::Now,
    util::backoff::doubled,
};

const SECOND: Duration = Duration::from_secs(1);

/// What the service does with a login.
#[derive(Clone, Debug)]
enum Service {
    Accepts,
    /// All fail with this, and try again.
    Fails(Cause, Option<SharedCause>),
    /// All are refused for good.
    Refuses(Cause, SharedCause),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Asks(Index, u32),
    LoginEnds(Index, u32),
    Closed(Index, u32),
    Tick,
}

/// The accounts of an engine as a model of their connections, and the service.
pub(super) struct World {
    engine: Engine,
    now: Duration,
    due: BinaryHeap<Reverse<(Duration, u64, Due)>>,
    number: u64,
    service: Service,
    /// Of single accounts, by index.
    own: HashMap<Index, Service>,
    /// Their logins never end.
    hangs: Vec<Index>,
    users: HashMap<Index, UserId>,
    generations: HashMap<Index, u32>,
    online: HashMap<Index, Duration>,
    tries: HashMap<Index, u32>,
    states: HashMap<Index, (AccountState, Option<Cause>)>,
    history: HashMap<Index, Vec<StateKind>>,
    dials: Vec<Duration>,
    notices: Vec<(Duration, Notice)>,
    opened: HashMap<Index, u32>,
    closes: Vec<(Duration, Index, CloseHow)>,
    closing: HashSet<(Index, u32)>,
    forgotten: Vec<UserId>,
    renewed: Vec<Index>,
    report: Option<DrainReport>,
    random: Rng,
    login: Duration,
    /// How long an account takes to log out; none: it never answers.
    logout: Option<Duration>,
}

fn text() -> LoginText {
    LoginText { fleet: "bots".into(), node: "a".into(), epoch: 1_000, pid: 7, text: None }
}

impl World {
    pub(super) fn new(kicks: KickPolicy) -> Self {
        Self::paced(kicks, LoginPace::default())
    }

    fn paced(kicks: KickPolicy, pace: LoginPace) -> Self {
        let settings = Settings { login: text(), kicks, shards: 2, max_accounts: 20_000 };
        let pacer = Pacer::new(pace, Breaker::default(), Rng::with_seed(1));
        World {
            engine: Engine::new(settings, pacer, Rng::with_seed(2)),
            now: SECOND,
            due: BinaryHeap::new(),
            number: 0,
            service: Service::Accepts,
            own: HashMap::new(),
            hangs: Vec::new(),
            users: HashMap::new(),
            generations: HashMap::new(),
            online: HashMap::new(),
            tries: HashMap::new(),
            states: HashMap::new(),
            history: HashMap::new(),
            dials: Vec::new(),
            notices: Vec::new(),
            opened: HashMap::new(),
            closes: Vec::new(),
            closing: HashSet::new(),
            forgotten: Vec::new(),
            renewed: Vec::new(),
            report: None,
            random: Rng::with_seed(3),
            login: Duration::from_millis(60),
            logout: Some(Duration::from_millis(20)),
        }
    }

    fn clock(&self) -> Now {
        Now { mono: self.now, wall: 1_700_000_000_000 + u64::try_from(self.now.as_millis()).unwrap() }
    }

    fn later(&mut self, pause: Duration, what: Due) {
        self.number += 1;
        self.due.push(Reverse((self.now + pause, self.number, what)));
    }

    fn command<T>(&mut self, command: impl FnOnce(&mut Engine, Now, &mut Vec<Action>) -> T) -> T {
        let (mut out, now) = (Vec::new(), self.clock());
        let done = command(&mut self.engine, now, &mut out);
        self.carry_out(out);
        done
    }

    pub(super) fn add(&mut self, spec: AccountSpec) -> Index {
        let user = spec.user().clone();
        let (index, _) = self.command(|engine, now, out| engine.add(spec, now, out)).unwrap();
        self.users.insert(index, user);
        self.command(|engine, now, out| engine.start(index, now, out));
        index
    }

    fn add_many(&mut self, count: usize) -> Vec<Index> {
        (0..count).map(|number| self.add(spec(number))).collect()
    }

    pub(super) fn report(&mut self, index: Index, report: Report) {
        let generation = self.generations.get(&index).copied().unwrap_or_default();
        self.report_of(index, generation, report);
    }

    fn report_of(&mut self, index: Index, generation: u32, report: Report) {
        self.command(|engine, now, out| engine.report(index, generation, report, now, out));
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Open { index, generation, .. } => {
                    assert!(!self.online.contains_key(&index), "opened twice");
                    self.generations.insert(index, generation);
                    *self.opened.entry(index).or_default() += 1;
                    self.tries.insert(index, 0);
                    self.later(Duration::ZERO, Due::Asks(index, generation));
                }
                Action::Admit { index, generation } => {
                    self.dials.push(self.now);
                    if !self.hangs.contains(&index) {
                        self.later(self.login, Due::LoginEnds(index, generation));
                    }
                }
                Action::Close { index, generation, how, .. } => {
                    self.closes.push((self.now, index, how));
                    self.closing.insert((index, generation));
                    self.online.remove(&index);
                    match (how, self.logout) {
                        (CloseHow::Abandon, _) => self.later(Duration::ZERO, Due::Closed(index, generation)),
                        (_, Some(time)) => self.later(time, Due::Closed(index, generation)),
                        (_, None) => {}
                    }
                }
                Action::RenewToken { index, .. } => self.renewed.push(index),
                Action::Forget { index, user, .. } => {
                    self.states.remove(&index);
                    self.forgotten.push(user);
                }
                Action::State { index, state, cause } => {
                    let history = self.history.entry(index).or_default();
                    if history.last() != Some(&state.kind()) {
                        history.push(state.kind());
                    }
                    self.states.insert(index, (state, cause));
                }
                Action::Notice(notice) => self.notices.push((self.now, notice)),
                Action::Drained(report) => {
                    assert!(self.report.is_none(), "drained twice");
                    self.report = Some(report);
                }
            }
        }
    }

    /// Runs until a time.
    fn run(&mut self, until: Duration) {
        let mut at_once = 0;
        loop {
            if let Some(deadline) = self.engine.deadline() {
                self.number += 1;
                self.due.push(Reverse((deadline.max(self.now), self.number, Due::Tick)));
            }
            let Some(Reverse((at, ..))) = self.due.peek() else { break };
            if *at > until {
                break;
            }
            let Some(Reverse((at, _, due))) = self.due.pop() else { break };
            at_once = if at == self.now && due == Due::Tick { at_once + 1 } else { 0 };
            assert!(at_once < 100, "ticks for ever at {at:?}: {:?}", self.engine.timers.first());
            self.now = at;
            self.happen(due);
            // One tick is enough, however often it was asked for.
            while matches!(self.due.peek(), Some(Reverse((_, _, Due::Tick)))) {
                self.due.pop();
            }
        }
        self.now = until;
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        self.run(self.now + time);
    }

    fn current(&self, index: Index, generation: u32) -> bool {
        self.generations.get(&index) == Some(&generation) && !self.closing.contains(&(index, generation))
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Tick => self.command(Engine::tick),
            Due::Asks(index, generation) if self.current(index, generation) => {
                let reconnect = self.engine.was_online(index);
                self.report_of(index, generation, Report::Asked { reconnect, host: None });
            }
            Due::LoginEnds(index, generation) if self.current(index, generation) => {
                let service = self.own.get(&index).unwrap_or(&self.service).clone();
                match service {
                    Service::Accepts => {
                        self.report_of(index, generation, Report::AttemptOver(AttemptEnd::Online));
                        self.online.insert(index, self.now);
                        self.tries.insert(index, 0);
                        self.report_of(index, generation, Report::Online);
                    }
                    Service::Fails(cause, shared) => {
                        let end = AttemptEnd::Failed { cause: cause.clone(), shared, retry_after: None };
                        self.report_of(index, generation, Report::AttemptOver(end));
                        self.back_off(index, generation, cause);
                    }
                    Service::Refuses(cause, shared) => {
                        let end = AttemptEnd::Failed { cause: cause.clone(), shared: Some(shared), retry_after: None };
                        self.report_of(index, generation, Report::AttemptOver(end));
                        self.report_of(index, generation, Report::Ended(SessionEnd::Final(cause)));
                    }
                }
            }
            Due::Closed(index, generation) => self.report_of(index, generation, Report::Closed { answered: true }),
            Due::Asks(..) | Due::LoginEnds(..) => {}
        }
    }

    fn back_off(&mut self, index: Index, generation: u32, cause: Cause) {
        let tries = self.tries.entry(index).or_default();
        let delay = doubled(SECOND, 60 * SECOND, *tries).mul_f64(self.random.f64());
        *tries += 1;
        let attempt = *tries;
        if self.engine.was_online(index) {
            self.report_of(index, generation, Report::Reconnecting { attempt, delay, cause });
        }
        self.later(delay, Due::Asks(index, generation));
    }

    /// Cuts everybody's link and has the service fail.
    fn go_down(&mut self) {
        let lost = Cause::new(CauseKind::LinkLost, None, "the link was lost");
        self.service = unreachable();
        for index in self.online.keys().copied().collect::<Vec<_>>() {
            self.online.remove(&index);
            let generation = self.generations[&index];
            self.back_off(index, generation, lost.clone());
        }
    }

    /// Has its logins never end by themselves.
    pub(super) fn silence(&mut self, index: Index) {
        self.hangs.push(index);
    }

    pub(super) fn told(&self, index: Index) -> (AccountState, Option<Cause>) {
        self.states[&index].clone()
    }

    fn state(&self, index: Index) -> StateKind {
        self.states[&index].0.kind()
    }

    fn cause(&self, index: Index) -> Option<CauseKind> {
        self.states[&index].1.as_ref().map(|cause| cause.kind)
    }

    fn end(&mut self, index: Index, end: SessionEnd) {
        self.online.remove(&index);
        self.report(index, Report::Ended(end));
    }

    fn kick(&mut self, index: Index, ext: Option<&str>) {
        let kick = Kick::LoggedInElsewhere { ext: ext.map(ServerText::from) };
        let cause = Cause::new(CauseKind::KickedElsewhere, Some(kick.code()), &kick);
        self.end(index, SessionEnd::Kicked { kick, cause });
    }

    fn most_dials_a_second(&self, from: usize) -> usize {
        let dials = &self.dials[from..];
        dials
            .iter()
            .enumerate()
            .map(|(first, at)| dials[first..].iter().take_while(|other| **other < *at + SECOND).count())
            .max()
            .unwrap_or_default()
    }
}

fn spec(number: usize) -> AccountSpec {
    AccountSpec::new(Credentials::password(&format!("bot-{number}"), "password").unwrap())
}

fn unreachable() -> Service {
    Service::Fails(
        Cause::new(CauseKind::Unreachable, None, "nobody there"),
        Some(SharedCause::Unreachable(ConnectStep::Connect)),
    )
}

fn refused(kind: CauseKind) -> Cause {
    Cause::new(kind, None, "refused")
}

#[test]
fn ten_thousand_accounts_are_online_as_soon_as_the_pace_allows_and_never_faster() {
    let mut world = World::new(KickPolicy::Park);
    world.add_many(10_000);
    world.run_for(Duration::from_secs(10_000 / 100 + 5));
    assert_eq!(world.online.len(), 10_000);
    assert_eq!(world.dials.len(), 10_000);
    assert!(world.most_dials_a_second(0) <= 100, "{}", world.most_dials_a_second(0));
}

#[test]
fn accounts_that_hang_fail_or_never_log_in_cost_nobody_else_anything() {
    let times = |with: bool| {
        let mut world = World::new(KickPolicy::Park);
        let sick = world.add_many(4);
        if with {
            world.hangs.extend([sick[0], sick[1]]);
            world.own.insert(sick[2], Service::Fails(refused(CauseKind::Provider), None));
            world.own.insert(sick[3], Service::Fails(refused(CauseKind::Disk), None));
        }
        let well: Vec<Index> = (4..1000).map(|number| world.add(spec(number))).collect();
        world.run_for(60 * SECOND);
        well.iter().map(|index| world.online[index]).max().unwrap()
    };
    // The sick ones' own turns, and no more.
    assert!(times(true) <= times(false) + Duration::from_millis(500), "{:?} {:?}", times(true), times(false));
}

#[test]
fn after_an_outage_all_come_back_flat_and_nobody_knocks_meanwhile() {
    let mut world = World::new(KickPolicy::Park);
    world.add_many(10_000);
    world.run_for(110 * SECOND);
    assert_eq!(world.online.len(), 10_000);
    let before = world.dials.len();
    world.go_down();
    world.run_for(600 * SECOND);
    assert!(world.most_dials_a_second(before) <= 100);
    let opened = world
        .notices
        .iter()
        .find_map(|(at, notice)| matches!(notice, Notice::Breaker(BreakerState::Open { .. })).then_some(*at));
    let opened = opened.expect("the breaker opens");
    let probes = world.dials.iter().filter(|at| **at > opened + SECOND).count();
    assert!(probes <= 12 * 10, "{probes} probes in ten minutes");
    assert_eq!(world.online.len(), 0);
    let (after, up) = (world.dials.len(), world.now);
    world.service = Service::Accepts;
    world.run_for(300 * SECOND);
    assert_eq!(world.online.len(), 10_000, "all are back");
    assert!(world.most_dials_a_second(after) <= 100);
    let last = world.online.values().max().copied().unwrap() - up;
    // The longest pause of the breaker, its probes, the ramp over 60 s that lets 3 300 go, and the rest at the full rate.
    assert!(last <= Duration::from_secs(60 + 5 + 60 + 67 + 10), "the last came back after {last:?}");
    assert!(world.states.values().all(|(state, cause)| *state == AccountState::Online && cause.is_none()));
}

#[test]
fn a_limit_of_the_application_opens_the_breaker_within_a_second_and_fails_no_account() {
    for (kind, shared) in
        [(CauseKind::AppLimit, SharedCause::UserLimit), (CauseKind::RateLimited, SharedCause::RateLimited)]
    {
        let mut world = World::new(KickPolicy::Park);
        world.service = Service::Fails(refused(kind), Some(shared));
        let all = world.add_many(500);
        let begun = world.now;
        world.run_for(30 * SECOND);
        let opened =
            world.notices.iter().find(|(_, notice)| matches!(notice, Notice::Breaker(BreakerState::Open { .. })));
        let (at, _) = opened.expect("the breaker opens");
        assert!(*at - begun <= SECOND, "{:?}", *at - begun);
        for index in all {
            assert_eq!(world.state(index), StateKind::Waiting);
            assert!(world.history[&index].iter().all(|state| *state != StateKind::Failed));
        }
    }
}

#[test]
fn what_the_service_refuses_to_the_whole_application_fails_no_account_and_stops_the_logins() {
    for (kind, shared) in [
        (CauseKind::ServingDisabled, SharedCause::ServingDisabled),
        (CauseKind::WrongAddress, SharedCause::Unreachable(ConnectStep::Token)),
    ] {
        let mut world = World::new(KickPolicy::Park);
        world.service = Service::Refuses(refused(kind), shared);
        let all = world.add_many(500);
        world.run_for(600 * SECOND);
        assert!(
            all.iter()
                .all(|index| world.state(*index) == StateKind::Waiting
                    && world.cause(*index).is_none_or(|is| is == kind))
        );
        let (dials, begun) = (world.dials.len(), world.dials[0]);
        let late = world.dials.iter().filter(|at| **at > begun + 2 * SECOND).count();
        assert!(late <= 12 * 10 + 12, "{late} of {dials} dials came after the breaker had opened");
        world.service = Service::Accepts;
        world.run_for(600 * SECOND);
        assert_eq!(world.online.len(), 500);
    }
}

#[test]
fn a_first_login_is_tried_again_like_any_other_and_says_why_it_waits() {
    let mut world = World::new(KickPolicy::Park);
    world.service = unreachable();
    let one = world.add(spec(1));
    world.run_for(10 * SECOND);
    assert_eq!((world.state(one), world.cause(one)), (StateKind::Waiting, Some(CauseKind::Unreachable)));
    assert_eq!(world.opened[&one], 1, "the connection itself tries again");
    world.service = Service::Accepts;
    world.run_for(120 * SECOND);
    assert_eq!((world.state(one), world.cause(one)), (StateKind::Online, None));
}

#[test]
fn a_session_that_ends_and_may_do_better_is_opened_again_after_growing_pauses() {
    let mut world = World::new(KickPolicy::Park);
    let one = world.add(spec(1));
    world.run_for(SECOND);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        world.hangs = vec![one];
        let (before, opened) = (world.now, world.opened[&one]);
        world.end(one, SessionEnd::Passing(refused(CauseKind::Application)));
        assert_eq!(world.state(one), StateKind::Waiting);
        while world.opened[&one] == opened {
            world.run_for(SECOND);
        }
        pauses.push(world.now - before);
    }
    assert!(pauses[0] <= 6 * SECOND, "{pauses:?}");
    assert!(pauses[8] >= 150 * SECOND && pauses[8] <= 301 * SECOND, "{pauses:?}");
    world.hangs.clear();
    world.later(Duration::ZERO, Due::LoginEnds(one, world.generations[&one]));
    world.run_for(SECOND);
    world.end(one, SessionEnd::Passing(refused(CauseKind::Application)));
    world.run_for(6 * SECOND);
    assert_eq!(world.state(one), StateKind::Online, "being online makes the pauses short again");
}

#[test]
fn a_final_refusal_waits_for_an_operator_and_new_credentials_or_a_word_bring_it_back() {
    for by in ["update", "resume", "restart"] {
        let mut world = World::new(KickPolicy::Park);
        let one = world.add(spec(1));
        world.run_for(SECOND);
        world.end(one, SessionEnd::Final(refused(CauseKind::BadCredentials)));
        world.run_for(3600 * SECOND);
        let (state, cause) = world.states[&one].clone();
        assert_eq!(state, AccountState::Failed);
        assert_eq!(state.advice(cause.as_ref()), Some(Advice::GiveCredentials));
        let user = world.users[&one].clone();
        world
            .command(|engine, now, out| match by {
                "update" => engine.update(&user, Credentials::password("bot-1", "new").unwrap(), now, out),
                "resume" => engine.resume(&user, now, out),
                _ => engine.restart_account(&user, now, out),
            })
            .unwrap();
        world.run_for(SECOND);
        assert_eq!(world.state(one), StateKind::Online, "{by}");
    }
}

#[test]
fn a_new_token_goes_to_the_session_as_it_is_and_a_new_password_logs_in_anew() {
    let mut world = World::new(KickPolicy::Park);
    let one = world.add(spec(1));
    world.run_for(SECOND);
    let user = world.users[&one].clone();
    let token = Credentials::token("bot-1", "YWMt-token").unwrap();
    world.command(|engine, now, out| engine.update(&user, token, now, out)).unwrap();
    assert_eq!((world.renewed.as_slice(), world.opened[&one]), ([one].as_slice(), 1));
    let password = Credentials::password("bot-1", "new").unwrap();
    world.command(|engine, now, out| engine.update(&user, password, now, out)).unwrap();
    world.run_for(SECOND);
    assert_eq!((world.opened[&one], world.state(one)), (2, StateKind::Online));
    let other = Credentials::password("bot-2", "new").unwrap();
    let refused = world.command(|engine, now, out| engine.update(&user, other, now, out));
    assert!(matches!(refused, Err(FleetError::OtherUser { .. })), "{refused:?}");
}

#[test]
fn a_pause_logs_out_and_lasts_until_resumed_or_for_its_time() {
    let mut world = World::new(KickPolicy::Park);
    let (one, two) = (world.add(spec(1)), world.add(spec(2)));
    world.run_for(SECOND);
    for (index, pause) in [(one, Pause::until_resumed("maintenance")), (two, Pause::lasting(60 * SECOND, "a minute"))] {
        let user = world.users[&index].clone();
        world.command(|engine, now, out| engine.pause(&user, pause, now, out)).unwrap();
    }
    world.run_for(59 * SECOND);
    for index in [one, two] {
        assert_eq!((world.state(index), world.cause(index)), (StateKind::Paused, Some(CauseKind::Asked)));
        assert!(!world.online.contains_key(&index));
    }
    world.run_for(2 * SECOND);
    assert_eq!((world.state(one), world.state(two)), (StateKind::Paused, StateKind::Online));
    let user = world.users[&one].clone();
    world.command(|engine, now, out| engine.resume(&user, now, out)).unwrap();
    world.run_for(SECOND);
    assert_eq!(world.state(one), StateKind::Online);
}

#[test]
fn what_is_asked_while_an_account_waits_in_the_queue_leaves_the_queue() {
    let mut world = World::paced(KickPolicy::Park, LoginPace::per_second(1).burst(1).concurrent(1));
    let all = world.add_many(50);
    world.run_for(SECOND);
    let queued = world.engine.pacer().waiting();
    for (index, remove) in [(all[40], false), (all[41], true)] {
        let user = world.users[&index].clone();
        world
            .command(|engine, now, out| match remove {
                false => engine.pause(&user, Pause::until_resumed("later"), now, out),
                true => engine.remove(&user, now, out),
            })
            .unwrap();
    }
    assert_eq!(world.engine.pacer().waiting(), queued - 2);
    world.run_for(120 * SECOND);
    assert_eq!(world.online.len(), 48);
    assert_eq!(world.state(all[40]), StateKind::Paused);
    assert_eq!(world.forgotten, [world.users[&all[41]].clone()]);
}

#[test]
fn adding_a_known_account_takes_what_is_new_and_only_that() {
    let mut world = World::new(KickPolicy::Park);
    let one = world.add(spec(1));
    world.run_for(SECOND);
    let add =
        |world: &mut World, spec: AccountSpec| world.command(|engine, now, out| engine.add(spec, now, out)).unwrap();
    assert_eq!(add(&mut world, spec(1)), (one, Added::Same));
    assert_eq!(add(&mut world, spec(1).tag("sales")), (one, Added::Changed));
    assert_eq!(world.opened[&one], 1, "a tag is no reason to log in anew");
    let device = Device::new("desk");
    let account = Account::new(Credentials::password("bot-1", "password").unwrap()).device(device);
    assert_eq!(add(&mut world, AccountSpec::new(account)), (one, Added::Changed));
    world.run_for(SECOND);
    assert_eq!((world.opened[&one], world.state(one)), (2, StateKind::Online));
}

#[test]
fn a_removed_account_is_logged_out_forgotten_and_may_be_added_again_at_any_time() {
    let mut world = World::new(KickPolicy::Park);
    let one = world.add(spec(1));
    world.run_for(SECOND);
    let user = world.users[&one].clone();
    world.command(|engine, now, out| engine.remove(&user, now, out)).unwrap();
    assert_eq!(world.closes.last().map(|(_, index, how)| (*index, *how)), Some((one, CloseHow::LogOut)));
    let again = world.command(|engine, now, out| engine.remove(&user, now, out));
    assert!(matches!(again, Err(FleetError::Unknown { .. })), "{again:?}");
    // Before its logout is answered.
    assert_eq!(world.command(|engine, now, out| engine.add(spec(1), now, out)).unwrap(), (one, Added::New));
    world.run_for(SECOND);
    assert_eq!((world.state(one), world.opened[&one]), (StateKind::Online, 2));
    world.command(|engine, now, out| engine.remove(&user, now, out)).unwrap();
    world.run_for(SECOND);
    assert_eq!(world.forgotten, [user]);
    let two = world.add(spec(2));
    assert_eq!(two, one, "its index is used again");
    world.run_for(SECOND);
    assert_eq!(world.state(two), StateKind::Online);
}

#[test]
fn reports_of_an_earlier_session_change_nothing() {
    let mut world = World::new(KickPolicy::Park);
    let one = world.add(spec(1));
    world.run_for(SECOND);
    let old = world.generations[&one];
    let user = world.users[&one].clone();
    world.command(|engine, now, out| engine.restart_account(&user, now, out)).unwrap();
    world.run_for(SECOND);
    assert_eq!(world.state(one), StateKind::Online);
    for late in [
        Report::Ended(SessionEnd::Final(refused(CauseKind::BadCredentials))),
        Report::Reconnecting { attempt: 1, delay: SECOND, cause: refused(CauseKind::LinkLost) },
        Report::Closed { answered: true },
        Report::Withdrawn,
    ] {
        world.report_of(one, old, late);
        assert_eq!(world.state(one), StateKind::Online);
    }
}

#[test]
fn a_drain_logs_everybody_out_paced_and_reports_who_did_not_make_it() {
    let mut world = World::new(KickPolicy::Park);
    let all = world.add_many(300);
    world.run_for(10 * SECOND);
    let late = world.add(spec(300));
    world.hangs.push(late);
    world.run_for(SECOND);
    world.command(|engine, now, out| engine.drain(25 * SECOND, now, out));
    assert!(all.iter().all(|index| world.state(*index) == StateKind::Draining));
    assert!(world.closes.len() <= 64 + 1, "{} at once", world.closes.len());
    let refused = world.command(|engine, now, out| engine.add(spec(301), now, out));
    assert!(matches!(refused, Err(FleetError::Draining)), "{refused:?}");
    world.run_for(5 * SECOND);
    let report = world.report.clone().expect("it is over");
    assert_eq!((report.accounts, report.left.len()), (301, 0));
    assert!(report.took <= SECOND, "{report:?}");
    assert!(all.iter().all(|index| world.state(*index) == StateKind::Released));
    assert!(world.closes.iter().all(|(_, index, how)| *index == late || matches!(how, CloseHow::Drain(_))));
    assert_eq!(world.engine.deadline(), None, "nothing is left to do");
}

#[test]
fn at_its_deadline_a_drain_resets_what_is_left_and_names_it() {
    let mut world = World::new(KickPolicy::Park);
    world.add_many(100);
    world.run_for(5 * SECOND);
    world.logout = None;
    world.command(|engine, now, out| engine.drain(10 * SECOND, now, out));
    world.run_for(9 * SECOND);
    assert!(world.report.is_none());
    world.run_for(2 * SECOND);
    let report = world.report.clone().expect("it is over");
    assert_eq!((report.accounts, report.left.len()), (100, 100));
    assert!(!report.is_clean());
}

#[test]
fn an_earlier_deadline_of_a_second_drain_counts() {
    let mut world = World::new(KickPolicy::Park);
    world.add_many(10);
    world.run_for(5 * SECOND);
    world.logout = None;
    world.command(|engine, now, out| engine.drain(100 * SECOND, now, out));
    world.run_for(SECOND);
    world.command(|engine, now, out| engine.drain(Duration::ZERO, now, out));
    world.run_for(SECOND);
    assert_eq!(world.report.clone().map(|report| report.left.len()), Some(10));
}

#[test]
fn an_empty_fleet_drains_at_once() {
    let mut world = World::new(KickPolicy::Park);
    world.command(|engine, now, out| engine.drain(10 * SECOND, now, out));
    assert_eq!(world.report.clone().map(|report| report.accounts), Some(0));
}

#[test]
fn a_foreign_login_parks_the_account_and_is_named() {
    let mut world = World::new(KickPolicy::Park);
    let one = world.add(spec(1));
    world.run_for(SECOND);
    world.kick(one, Some("my phone"));
    world.run_for(3600 * SECOND);
    let (state, cause) = world.states[&one].clone();
    let by = OtherLogin { ext: Some("my phone".into()), node: None, pid: None };
    assert_eq!(state, AccountState::Parked { by: Some(Box::new(by)), until_ms: None });
    assert_eq!(state.advice(cause.as_ref()), Some(Advice::FindOtherLogin));
    assert_eq!(cause.and_then(|cause| cause.code), Some(206));
    assert_eq!(world.opened[&one], 1);
}

#[test]
fn a_takeover_ends_after_its_number_and_then_parks() {
    for times in 1..4 {
        let mut world = World::new(KickPolicy::TakeOver { times, window: 600 * SECOND });
        let one = world.add(spec(1));
        let mut kicks = 0;
        for _ in 0..60 {
            world.run_for(SECOND);
            if world.online.contains_key(&one) {
                kicks += 1;
                world.kick(one, None);
            }
        }
        assert_eq!((kicks, world.state(one)), (times + 1, StateKind::Parked));
    }
}

#[test]
fn takeovers_long_ago_do_not_count() {
    let mut world = World::new(KickPolicy::TakeOver { times: 1, window: 60 * SECOND });
    let one = world.add(spec(1));
    for _ in 0..5 {
        world.run_for(61 * SECOND);
        assert_eq!(world.state(one), StateKind::Online);
        world.kick(one, None);
    }
}

#[test]
fn retry_after_a_kick_comes_back_after_its_pause() {
    let mut world = World::new(KickPolicy::RetryAfter(300 * SECOND));
    let one = world.add(spec(1));
    world.run_for(SECOND);
    world.kick(one, Some("my phone"));
    world.run_for(299 * SECOND);
    assert_eq!(world.state(one), StateKind::Parked);
    world.run_for(2 * SECOND);
    assert_eq!(world.state(one), StateKind::Online);
}

#[test]
fn a_newer_process_of_the_fleet_keeps_the_account_and_a_stale_login_loses_it_once_a_minute() {
    let mut world = World::new(KickPolicy::TakeOver { times: 100, window: 600 * SECOND });
    let one = world.add(spec(1));
    world.run_for(SECOND);
    let stale = LoginText { epoch: 999, node: "b".into(), ..text() }.with(None);
    world.kick(one, Some(&stale));
    world.run_for(SECOND);
    assert_eq!(world.state(one), StateKind::Online, "taken back");
    world.kick(one, Some(&stale));
    world.run_for(SECOND);
    assert_eq!(world.state(one), StateKind::Parked, "but not twice in a minute");
    let user = world.users[&one].clone();
    world.command(|engine, now, out| engine.resume(&user, now, out)).unwrap();
    world.run_for(SECOND);
    let newer = LoginText { epoch: 1_001, node: "b".into(), pid: 8, ..text() }.with(Some("my own text"));
    world.kick(one, Some(&newer));
    world.run_for(600 * SECOND);
    let AccountState::Parked { by: Some(by), .. } = &world.states[&one].0 else { panic!("{:?}", world.states[&one]) };
    assert_eq!((by.node.as_deref(), by.pid), (Some("b"), Some(8)));
    assert_eq!(by.to_string(), "process 8 of this fleet's node \"b\"");
}

#[test]
fn a_foreign_program_that_takes_many_raises_an_alarm_once_and_keeps_what_it_takes() {
    let mut world = World::new(KickPolicy::TakeOver { times: 1000, window: 600 * SECOND });
    let all = world.add_many(100);
    world.run_for(10 * SECOND);
    for index in &all[..4] {
        world.kick(*index, Some("other bots"));
    }
    world.run_for(5 * SECOND);
    assert_eq!(world.online.len(), 100, "so far the policy decides");
    for index in &all[4..10] {
        world.kick(*index, Some("other bots"));
    }
    world.run_for(5 * SECOND);
    let alarms: Vec<_> =
        world.notices.iter().filter(|(_, notice)| matches!(notice, Notice::ForeignFleet { .. })).collect();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(all[4..10].iter().all(|index| world.state(*index) == StateKind::Parked));
    world.kick(all[20], Some("my phone"));
    world.run_for(5 * SECOND);
    assert_eq!(world.state(all[20]), StateKind::Online, "another text is another program");
}

#[test]
fn one_account_kicked_again_and_again_is_no_foreign_fleet() {
    let mut world = World::new(KickPolicy::TakeOver { times: 1000, window: 600 * SECOND });
    let all = world.add_many(10);
    world.run_for(5 * SECOND);
    for _ in 0..20 {
        world.kick(all[0], Some("my phone"));
        world.run_for(2 * SECOND);
    }
    assert!(!world.notices.iter().any(|(_, notice)| matches!(notice, Notice::ForeignFleet { .. })));
}

#[test]
fn an_operators_kick_parks_whatever_the_policy_and_the_other_kicks_fail_the_account() {
    let mut world = World::new(KickPolicy::TakeOver { times: 1000, window: 600 * SECOND });
    let all = world.add_many(3);
    world.run_for(SECOND);
    let rows = [
        (Kick::ByOtherDevice, CauseKind::KickedByCall, StateKind::Parked, Advice::AskWhoKicked),
        (Kick::UserRemoved, CauseKind::UserMissing, StateKind::Failed, Advice::RegisterUser),
        (Kick::PasswordChanged, CauseKind::PasswordChanged, StateKind::Failed, Advice::GiveCredentials),
    ];
    for (index, (kick, kind, state, advice)) in all.into_iter().zip(rows) {
        let cause = Cause::new(kind, Some(kick.code()), &kick);
        world.end(index, SessionEnd::Kicked { kick, cause });
        world.run_for(600 * SECOND);
        let (is, cause) = world.states[&index].clone();
        assert_eq!((is.kind(), is.advice(cause.as_ref())), (state, Some(advice)));
    }
}

#[test]
fn accounts_are_spread_over_the_shards_by_weight() {
    let mut world = World::new(KickPolicy::Park);
    world.add(spec(0).weight(10));
    for number in 1..=10 {
        world.add(spec(number));
    }
    assert_eq!(world.engine.loads, [10, 10]);
    world.run_for(SECOND);
    let user = world.users[&0].clone();
    world.command(|engine, now, out| engine.remove(&user, now, out)).unwrap();
    // Added again before its logout is answered, with another weight.
    world.command(|engine, now, out| engine.add(spec(0).weight(3), now, out)).unwrap();
    assert_eq!(world.engine.loads, [3, 10]);
    world.run_for(SECOND);
    world.command(|engine, now, out| engine.remove(&user, now, out)).unwrap();
    world.run_for(SECOND);
    assert_eq!(world.engine.loads, [0, 10]);
}

#[test]
fn a_full_fleet_and_a_malformed_account_are_refused() {
    let mut world = World::new(KickPolicy::Park);
    world.engine.settings.max_accounts = 2;
    world.add_many(2);
    let full = world.command(|engine, now, out| engine.add(spec(3), now, out));
    assert!(matches!(full, Err(FleetError::Full { limit: 2 })), "{full:?}");
    for bad in [spec(1).weight(0), spec(1).tag(""), spec(1).tag("x".repeat(65)), spec(1).weight(1001)] {
        let refused = world.command(|engine, now, out| engine.add(bad, now, out));
        assert!(matches!(refused, Err(FleetError::Config(_))), "{refused:?}");
    }
}

#[test]
fn waiting_accounts_say_whether_for_their_turn_or_for_the_breaker() {
    let mut world = World::paced(KickPolicy::Park, LoginPace::per_second(10).burst(10).concurrent(64));
    let all = world.add_many(100);
    world.run_for(Duration::from_millis(100));
    let AccountState::Waiting { why: WaitFor::Turn, until_ms: Some(until) } = world.states[&all[99]].0 else {
        panic!("{:?}", world.states[&all[99]])
    };
    let eta = until - world.clock().wall;
    assert!((7_000..=12_000).contains(&eta), "{eta} ms");
    world.service = Service::Fails(refused(CauseKind::ServingDisabled), Some(SharedCause::ServingDisabled));
    world.run_for(2 * SECOND);
    let late = world.add(spec(100));
    world.run_for(Duration::from_millis(10));
    assert!(
        matches!(world.states[&late].0, AccountState::Waiting { why: WaitFor::Breaker, .. }),
        "{:?}",
        world.states[&late]
    );
}

/// Any order of commands and reports, against a service that comes and goes: no account is opened twice, and all that are
/// wanted are online once the service stays up.
#[test]
fn whatever_comes_in_whatever_order_the_wanted_accounts_are_online_in_the_end() {
    for seed in 0..300 {
        let mut random = Rng::with_seed(seed);
        let policy = match random.u8(..3) {
            0 => KickPolicy::Park,
            1 => KickPolicy::RetryAfter(10 * SECOND),
            _ => KickPolicy::TakeOver { times: 2, window: 60 * SECOND },
        };
        let mut world = World::new(policy);
        let mut wanted: HashMap<UserId, bool> = HashMap::new();
        for _ in 0..200 {
            let number = random.usize(..12);
            let user: UserId = format!("bot-{number}").parse().unwrap();
            let index = world.users.iter().find(|(_, known)| **known == user).map(|(index, _)| *index);
            match random.u8(..14) {
                0..4 => {
                    if let Ok((index, added)) = world.command(|engine, now, out| engine.add(spec(number), now, out)) {
                        world.users.retain(|_, known| *known != user);
                        world.users.insert(index, user.clone());
                        if added == Added::New {
                            world.command(|engine, now, out| engine.start(index, now, out));
                            wanted.insert(user, true);
                        }
                    }
                }
                4 if world.command(|engine, now, out| engine.remove(&user, now, out)).is_ok() => {
                    wanted.insert(user, false);
                }
                5 => {
                    let pause = Pause::lasting(random.u32(1..60) * SECOND, "a while");
                    let _ = world.command(|engine, now, out| engine.pause(&user, pause, now, out));
                }
                6 => drop(world.command(|engine, now, out| engine.resume(&user, now, out))),
                7 => drop(world.command(|engine, now, out| engine.restart_account(&user, now, out))),
                8 => {
                    let new = Credentials::password(user.as_str(), random.u32(..).to_string()).unwrap();
                    let _ = world.command(|engine, now, out| engine.update(&user, new, now, out));
                }
                9 => world.go_down(),
                10 => world.service = Service::Accepts,
                11 => {
                    if let Some(index) = index.filter(|index| world.online.contains_key(index)) {
                        world.kick(index, random.bool().then_some("x"));
                    }
                }
                12 => {
                    if let Some(index) = index.filter(|index| world.online.contains_key(index)) {
                        world.end(index, SessionEnd::Passing(refused(CauseKind::Other)));
                    }
                }
                _ => {}
            }
            world.run_for(Duration::from_millis(random.u64(..3000)));
        }
        world.service = Service::Accepts;
        let users: Vec<UserId> = wanted.iter().filter(|(_, wanted)| **wanted).map(|(user, _)| user.clone()).collect();
        for user in &users {
            world.command(|engine, now, out| engine.resume(user, now, out)).unwrap();
        }
        world.run_for(300 * SECOND);
        for user in &users {
            let index = world.engine.users[user];
            assert_eq!(world.state(index), StateKind::Online, "seed {seed}, {user}: {:?}", world.states[&index]);
        }
        assert_eq!(world.online.len(), users.len(), "seed {seed}: nobody else is online");
        assert_eq!(world.engine.sessions, users.len(), "seed {seed}: sessions are counted");
        let total: usize = world.engine.accounts.iter().flatten().count();
        assert_eq!(total, users.len(), "seed {seed}: what was removed is forgotten");
    }
}

/// Named so that the table of faults in `tests/fleet` and this one do not drift apart: a refusal's own words reach the state.
#[test]
fn a_cause_has_the_words_of_what_caused_it() {
    let refusal = Refusal::classify(7, Some("the app online count limit".into()));
    let cause = Cause::of_loss(&crate::model::error::LossCause::Refused(refusal));
    assert_eq!((cause.kind, cause.code), (CauseKind::AppLimit, Some(50)));
    assert!(cause.text.contains("online"), "{cause}");
    let long = Cause::new(CauseKind::Other, None, "x".repeat(10_000));
    assert_eq!(long.text.chars().count(), Cause::MAX_CHARS);
    let _shared: Arc<str> = long.text;
}
