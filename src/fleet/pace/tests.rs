//! The pacer in simulated time: whole fleets, single rules, and properties of any sequence of calls.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashSet},
    time::Duration,
};

use proptest::prelude::*;

use super::{Breaker, BreakerState, HOLD, Lane, LoginPace, Outcome, Pacer, SharedCause, Why, settings::DAY};
use crate::{model::error::ConnectStep, util::backoff::doubled};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const REFUSED: Outcome =
    Outcome::SharedFailure { cause: SharedCause::Unreachable(ConnectStep::Connect), retry_after: None };

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pacer(pace: LoginPace) -> Pacer {
    Pacer::new(pace, Breaker::default(), fastrand::Rng::with_seed(7))
}

fn failed(cause: SharedCause, retry_after: Option<Duration>) -> Outcome {
    Outcome::SharedFailure { cause, retry_after }
}

/// Lets all go who may, at once.
fn all(pacer: &mut Pacer, now: Duration) -> Vec<u32> {
    std::iter::from_fn(|| pacer.next(now)).collect()
}

/// Goes on to the deadline, and lets one go.
fn one(pacer: &mut Pacer, now: &mut Duration) -> u32 {
    *now = pacer.deadline().unwrap().max(*now);
    pacer.next(*now).unwrap()
}

/// Asserts that no time of `window`, wherever it begins, holds more than `most` of these.
fn at_most(most: usize, window: Duration, times: &[Duration]) {
    for run in times.windows(most + 1) {
        assert!(run[most] - run[0] >= window, "{} of {most} in {:?} at {:?}", most + 1, run[most] - run[0], run[0]);
    }
}

/// What happens to an account at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Asks(u32),
    Ends(u32),
}

/// The coefficient of variation.
fn cv(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    variance.sqrt() / mean
}

/// A fleet of accounts that ask, dial, and ask again after a pause of their own while they fail.
struct Fleet<S> {
    pacer: Pacer,
    /// How long a dial takes, and how it ends; none: never.
    service: S,
    endpoints: u16,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    outcomes: BTreeMap<u32, Outcome>,
    failures: BTreeMap<u32, u32>,
    random: fastrand::Rng,
    dials: Vec<(Duration, u32)>,
    online: BTreeMap<u32, Duration>,
    lane: Lane,
}

impl<S: FnMut(u32, Duration, &mut fastrand::Rng) -> Option<(Duration, Outcome)>> Fleet<S> {
    fn new(pace: LoginPace, service: S) -> Self {
        Fleet {
            pacer: pacer(pace),
            service,
            endpoints: 1,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            outcomes: BTreeMap::new(),
            failures: BTreeMap::new(),
            random: fastrand::Rng::with_seed(99),
            dials: Vec::new(),
            online: BTreeMap::new(),
            lane: Lane::First,
        }
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.events.push(Reverse((time, event)));
    }

    /// All ask within a time.
    fn ask_all(&mut self, accounts: u32, within: Duration) {
        for who in 0..accounts {
            let at = self.now + within.mul_f64(self.random.f64());
            self.at(at, Event::Asks(who));
        }
    }

    /// Goes on until the time, or until nothing is left to do. A call without a grant at the deadline fails the test.
    fn run(&mut self, until: Duration) {
        loop {
            let event = self.events.peek().map(|Reverse((time, _))| *time);
            let deadline = self.pacer.deadline();
            let Some(next) = [event, deadline].into_iter().flatten().min() else { return };
            if next > until {
                return;
            }
            self.now = self.now.max(next);
            while let Some(Reverse((time, event))) = self.events.peek().copied()
                && time <= self.now
            {
                self.events.pop();
                self.take(event);
            }
            let dialled = all(&mut self.pacer, self.now);
            assert!(!dialled.is_empty() || event == Some(next), "woken for nothing at {:?}", self.now);
            assert!(self.pacer.deadline().is_none_or(|deadline| deadline > self.now));
            for who in dialled {
                self.dials.push((self.now, who));
                if let Some((time, outcome)) = (self.service)(who, self.now, &mut self.random) {
                    self.outcomes.insert(who, outcome);
                    self.at(self.now + time, Event::Ends(who));
                }
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Asks(who) => {
                let endpoint = u16::try_from(who % u32::from(self.endpoints)).unwrap();
                self.pacer.ask(who, self.lane, endpoint, self.now);
            }
            Event::Ends(who) => {
                let outcome = self.outcomes[&who];
                self.pacer.done(who, outcome, self.now);
                if outcome == Outcome::Online {
                    self.failures.remove(&who);
                    self.online.insert(who, self.now);
                } else {
                    let failures = self.failures.entry(who).or_default();
                    let pause = doubled(SECOND, MINUTE, *failures).mul_f64(self.random.f64());
                    *failures += 1;
                    self.at(self.now + pause, Event::Asks(who));
                }
            }
        }
    }

    fn times(&self) -> Vec<Duration> {
        self.dials.iter().map(|(time, _)| *time).collect()
    }

    /// The dials of each second from `from` to `to`.
    fn per_second(&self, from: Duration, to: Duration) -> Vec<f64> {
        let mut counts = vec![0.0; (to - from).as_secs() as usize];
        for (time, _) in &self.dials {
            if let Some(count) = time.checked_sub(from).and_then(|time| counts.get_mut(time.as_secs() as usize)) {
                *count += 1.0;
            }
        }
        counts
    }
}

fn good(_: u32, _: Duration, random: &mut fastrand::Rng) -> Option<(Duration, Outcome)> {
    Some((ms(random.u64(50..400)), Outcome::Online))
}

/// F1.
#[test]
fn ten_thousand_accounts_start_within_the_pace_and_in_time() {
    let mut fleet = Fleet::new(LoginPace::default(), good);
    fleet.ask_all(10_000, Duration::ZERO);
    fleet.run(Duration::MAX);
    at_most(100, SECOND, &fleet.times());
    assert_eq!((fleet.online.len(), fleet.dials.len()), (10_000, 10_000));
    assert!(fleet.now <= secs(105), "{:?}", fleet.now);
    // A burst at the start, and no other: then one by one.
    let steady: Vec<_> = fleet.times().into_iter().filter(|time| *time >= SECOND).collect();
    at_most(10, ms(100), &steady);
    assert_eq!(fleet.times().iter().filter(|time| time.is_zero()).count(), 50);
    let counts = fleet.per_second(SECOND, secs(100));
    assert!(cv(&counts) < 0.01, "{counts:?}");
}

/// F3: an outage of ten minutes in which a dial takes `hang` to fail; all are back after it.
fn outage(pace: LoginPace, rate: f64, hang: Duration) {
    let accounts = 10_000;
    let (begin, end) = (secs(100), secs(700));
    let mut fleet = Fleet::new(pace, |_, now, random: &mut fastrand::Rng| {
        let down = (begin..end).contains(&now);
        Some(if down {
            (hang.mul_f64(0.5 + random.f64() / 2.0), REFUSED)
        } else {
            (ms(random.u64(20..200)), Outcome::Online)
        })
    });
    fleet.now = begin;
    fleet.lane = Lane::Reconnect;
    fleet.ask_all(accounts, SECOND);
    fleet.run(Duration::MAX);
    let times = fleet.times();

    // The budget holds always.
    at_most(rate as usize, SECOND, &times);
    assert_eq!(fleet.online.len(), accounts as usize);

    // While it is open, from when the first failures are known to the first success, 12 probes go in a minute.
    let opened = begin + hang + SECOND;
    let back = *fleet.online.values().min().unwrap();
    let probes: Vec<_> = times.iter().copied().filter(|time| (opened..back).contains(time)).collect();
    at_most(12, MINUTE, &probes);
    assert!((10..=120).contains(&probes.len()), "{} probes", probes.len());
    assert!(back - end <= MINUTE + hang + SECOND, "back after {:?}", back - end);

    // The rate grows from a tenth to the whole in a minute, 0.55 of it on average. Then it is the whole.
    let in_ramp = 0.55 * rate * 60.0;
    let accounts = f64::from(accounts);
    let expected = if accounts <= in_ramp { 60.0 * (accounts / in_ramp) } else { 60.0 + (accounts - in_ramp) / rate };
    let took = (*fleet.online.values().max().unwrap() - back).as_secs_f64();
    assert!((0.9..=1.1).contains(&(took / expected)), "took {took} s, expected {expected} s");

    // Flat means: on that line. Each second of the ramp, by what the line has for it, and each second after it.
    let ramp = fleet.dials.iter().filter(|(time, _)| *time >= back).nth(14).unwrap().0 + ms(200);
    let counts = fleet.per_second(ramp, ramp + secs((took as u64).saturating_sub(2)));
    let line = |at: usize| rate * (0.1 + 0.9 * (at as f64 + 0.5) / 60.0).min(1.0);
    let by_line: Vec<f64> = counts.iter().enumerate().map(|(at, count)| count / line(at)).collect();
    assert!(cv(&by_line) <= 0.1, "{counts:?}");
    if let Some(after) = counts.get(61..).filter(|after| !after.is_empty()) {
        assert!(cv(after) <= 0.1, "{after:?}");
    }
}

#[test]
fn after_an_outage_all_are_back_on_a_ramp_and_then_at_the_pace() {
    outage(LoginPace::default(), 100.0, ms(200));
}

#[test]
fn where_the_pace_allows_it_all_are_back_within_the_spread() {
    outage(LoginPace::per_second(303).concurrent(128), 303.0, ms(200));
}

#[test]
fn an_outage_in_which_every_dial_times_out_costs_no_more_dials() {
    outage(LoginPace::default(), 100.0, secs(20));
    outage(LoginPace::default(), 100.0, secs(45));
}

/// F4: from the start, and after many good logins.
#[test]
fn a_limit_that_everybody_meets_opens_the_breaker_within_a_second() {
    for cause in [SharedCause::RateLimited, SharedCause::UserLimit] {
        for limit_at in [Duration::ZERO, secs(30)] {
            let mut fleet = Fleet::new(LoginPace::default(), |_, now, _: &mut fastrand::Rng| {
                Some((ms(100), if now < limit_at { Outcome::Online } else { failed(cause, None) }))
            });
            fleet.ask_all(10_000, Duration::ZERO);
            fleet.run(limit_at + SECOND);
            let state = fleet.pacer.breaker(0, fleet.now);
            assert!(matches!(state, BreakerState::Open { cause: known, .. } if known == cause), "{state:?}");
            let dials = fleet.dials.iter().filter(|(time, _)| *time >= limit_at).count();
            assert!(dials <= 100, "{dials}");
        }
    }
}

#[test]
fn one_dead_host_of_three_costs_a_third() {
    let mut fleet = Fleet::new(LoginPace::default(), |who, _, random: &mut fastrand::Rng| {
        Some((ms(random.u64(20..200)), if who % 3 == 1 { REFUSED } else { Outcome::Online }))
    });
    fleet.endpoints = 3;
    fleet.ask_all(3_000, Duration::ZERO);
    fleet.run(secs(22));
    assert_eq!(fleet.online.len(), 2_000);
    assert!(fleet.dials.len() < 2_100, "{}", fleet.dials.len());
    assert_eq!(fleet.pacer.breaker(0, fleet.now), BreakerState::Closed);
    assert!(!matches!(fleet.pacer.breaker(1, fleet.now), BreakerState::Closed));
    assert_eq!(fleet.pacer.breakers(fleet.now).count(), 3);
}

#[test]
fn accounts_that_hang_cost_their_slots_and_those_for_90_seconds() {
    let mut fleet = Fleet::new(
        LoginPace::default(),
        |who, now, random: &mut fastrand::Rng| {
            if who < 64 { None } else { good(who, now, random) }
        },
    );
    for who in 0..1_000 {
        fleet.at(ms(u64::from(who)), Event::Asks(who));
    }
    fleet.run(secs(89));
    assert_eq!((fleet.dials.len(), fleet.pacer.under_way()), (64, 64), "all slots are taken");
    assert_eq!(fleet.pacer.place(500, fleet.now).unwrap().why, Why::Concurrency);
    fleet.run(Duration::MAX);
    assert_eq!(fleet.online.len(), 936);
    assert!(fleet.now < HOLD + secs(15), "{:?}", fleet.now);
    // Its end, should it come after all, frees nothing a second time.
    fleet.pacer.done(0, Outcome::Online, fleet.now);
    assert_eq!(fleet.pacer.under_way(), 0);
}

#[test]
fn the_lanes_are_served_four_two_one_and_the_oldest_first() {
    let mut pacer = pacer(LoginPace::per_second(1_000).concurrent(10_000));
    for who in 0..3_000 {
        let lane = [Lane::First, Lane::Reconnect, Lane::Move][who as usize % 3];
        pacer.ask(who, lane, (who / 3 % 2) as u16, Duration::ZERO);
    }
    let mut now = Duration::ZERO;
    let mut lanes: [Vec<u32>; 3] = Default::default();
    for n in 1..=700_usize {
        let who = one(&mut pacer, &mut now);
        lanes[who as usize % 3].push(who);
        assert!(lanes[0].len() >= n / 7, "the last lane waits for no more than six others");
    }
    assert_eq!(lanes.each_ref().map(Vec::len), [100, 200, 400]);
    assert!(lanes.iter().all(|lane| lane.is_sorted()));
    // A lane that was empty has saved nothing.
    (0..100).for_each(|who| pacer.cancel(who * 3 + 2, now));
    assert_eq!(pacer.waiting_in(Lane::First), 900);
}

#[test]
fn an_account_keeps_its_place_unless_it_changes_lane_or_endpoint() {
    let mut pacer = pacer(LoginPace::per_second(1).burst(1));
    for who in 0..4 {
        pacer.ask(who, Lane::First, 0, Duration::ZERO);
    }
    pacer.ask(0, Lane::First, 0, SECOND);
    assert_eq!(pacer.place(0, SECOND).unwrap().ahead, 0);
    assert_eq!(pacer.longest_wait(SECOND), Some(SECOND));
    pacer.ask(0, Lane::First, 1, SECOND);
    assert_eq!(pacer.place(0, SECOND).unwrap().ahead, 3);
    assert_eq!(pacer.next(SECOND), Some(1));
    pacer.ask(1, Lane::First, 0, SECOND);
    assert_eq!((pacer.under_way(), pacer.waiting()), (0, 4), "who asks again has given up");
    assert_eq!(pacer.place(1, SECOND).unwrap().ahead, 3);
}

#[test]
fn the_estimate_of_a_turn_is_right_while_dials_go_well() {
    let mut pacer = pacer(LoginPace::default());
    for who in 0..3_000 {
        pacer.ask(who, [Lane::First, Lane::Reconnect, Lane::Move][who as usize % 3], 0, Duration::ZERO);
    }
    let said: Vec<_> = (0..3_000).map(|who| pacer.place(who, Duration::ZERO).unwrap()).collect();
    let whole = pacer.eta(Duration::ZERO).unwrap();
    let mut now = Duration::ZERO;
    for n in 0..3_000_usize {
        let who = one(&mut pacer, &mut now);
        let said = said[who as usize];
        assert!(said.ahead.abs_diff(n) <= 7, "{n} went before {who}, said {}", said.ahead);
        assert!(said.eta.abs_diff(now) <= ms(600), "{who} went at {now:?}, said {:?}", said.eta);
        assert_eq!(said.why, Why::Rate);
        pacer.done(who, Outcome::Online, now);
    }
    assert!(whole.abs_diff(now) <= ms(600), "{whole:?} {now:?}");
    assert_eq!((pacer.place(0, now), pacer.eta(now), pacer.longest_wait(now)), (None, None, None));
    assert_eq!(pacer.deadline(), None);
}

#[test]
fn the_estimate_of_a_turn_knows_the_breaker_and_the_slots() {
    let mut fleet = Fleet::new(LoginPace::default(), |_, now, random: &mut fastrand::Rng| {
        Some(if now < secs(60) { (ms(100), REFUSED) } else { (ms(random.u64(20..200)), Outcome::Online) })
    });
    fleet.ask_all(5_000, Duration::ZERO);
    fleet.run(secs(30));
    assert!(matches!(fleet.pacer.place(4_321, fleet.now).unwrap().why, Why::Breaker(SharedCause::Unreachable(_))));
    while !matches!(fleet.pacer.breaker(0, fleet.now), BreakerState::Recovering { .. }) {
        fleet.run(fleet.now + ms(100));
        fleet.now += ms(100);
    }
    let (now, said) = (fleet.now, fleet.pacer.eta(fleet.now).unwrap());
    fleet.run(Duration::MAX);
    let took = fleet.dials.last().unwrap().0 - now;
    assert!((0.95..1.05).contains(&(said.as_secs_f64() / took.as_secs_f64())), "said {said:?}, took {took:?}");

    let mut fleet =
        Fleet::new(LoginPace::default().concurrent(4), |_, _, _: &mut fastrand::Rng| Some((ms(200), Outcome::Online)));
    fleet.ask_all(500, Duration::ZERO);
    fleet.run(secs(5));
    let (now, said) = (fleet.now, fleet.pacer.eta(fleet.now).unwrap());
    fleet.run(Duration::MAX);
    let took = fleet.dials.last().unwrap().0 - now;
    assert!((0.9..1.1).contains(&(said.as_secs_f64() / took.as_secs_f64())), "said {said:?}, took {took:?}");
}

/// A pacer whose breaker is open, with accounts from 100 to 999 that wait.
fn opened(seed: u64, retry_after: Option<Duration>) -> (Pacer, Duration) {
    let mut pacer = Pacer::new(LoginPace::default(), Breaker::default(), fastrand::Rng::with_seed(seed));
    (0..1_000).for_each(|who| pacer.ask(who, Lane::Reconnect, 0, Duration::ZERO));
    let dialled = all(&mut pacer, Duration::ZERO);
    for who in &dialled[..20] {
        assert_eq!(pacer.breaker(0, ms(50)), BreakerState::Closed);
        pacer.done(*who, failed(SharedCause::RateLimited, retry_after), ms(50));
    }
    assert!(matches!(pacer.breaker(0, ms(50)), BreakerState::Open { cause: SharedCause::RateLimited, .. }));
    for who in &dialled[20..] {
        pacer.done(*who, failed(SharedCause::RateLimited, None), ms(60));
    }
    (pacer, ms(60))
}

#[test]
fn a_retry_after_takes_the_place_of_the_drawn_pause() {
    let (pacer, _) = opened(7, Some(secs(37)));
    assert_eq!(pacer.deadline(), Some(ms(50) + secs(37)));
    let (pacer, _) = opened(7, Some(Duration::ZERO));
    assert_eq!(pacer.deadline(), Some(ms(50) + SECOND));
    let (pacer, _) = opened(7, Some(DAY));
    assert_eq!(pacer.deadline(), Some(ms(50) + secs(3_600)));
    assert!(opened(7, None).0.deadline().unwrap() <= ms(50) + secs(5));
}

#[test]
fn probes_go_in_batches_of_one_two_four_and_eight() {
    let (mut pacer, mut now) = opened(7, None);
    let mut first = HashSet::new();
    for batch in [1, 2, 4, 8] {
        now = pacer.deadline().unwrap().max(now);
        let mut probes = all(&mut pacer, now);
        while probes.len() < batch {
            now = pacer.deadline().unwrap();
            probes.extend(all(&mut pacer, now));
        }
        assert_eq!(probes.len(), batch);
        assert_eq!(pacer.breaker(0, now), BreakerState::HalfOpen { cause: SharedCause::RateLimited, batch });
        assert!(pacer.deadline().unwrap() >= now + secs(20), "nobody else goes");
        first.extend(probes.iter().copied());
        pacer.done(probes[0], Outcome::Online, now);
    }
    assert_eq!(pacer.breaker(0, now), BreakerState::Recovering { share: 0.1 });
    assert!(!(50..65).all(|who| first.contains(&who)), "they are not the oldest");
    // One failure in a recovery is one of many; when it is over all is as before.
    assert_eq!(pacer.breaker(0, now + MINUTE), BreakerState::Closed);
}

#[test]
fn one_failed_probe_opens_again_and_the_pause_doubles() {
    let mut longest = [Duration::ZERO; 6];
    for seed in 0..200 {
        let (mut pacer, mut now) = opened(seed, None);
        for longest in &mut longest {
            let who = one(&mut pacer, &mut now);
            // A failure of a probe that was overtaken by a success of its batch counts as well.
            pacer.done(who, Outcome::Online, now);
            let (fails, _) = (one(&mut pacer, &mut now), one(&mut pacer, &mut now));
            pacer.done(fails, REFUSED, now);
            let BreakerState::Open { remaining, .. } = pacer.breaker(0, now) else { panic!("it is not open") };
            *longest = remaining.max(*longest);
        }
    }
    for (longest, most) in longest.into_iter().zip([10, 20, 40, 60, 60, 60]) {
        assert!(longest > secs(most).mul_f64(0.9), "{longest:?} of {most} s");
    }
}

#[test]
fn a_probe_without_an_outcome_makes_room_for_another() {
    for outcome in [Some(Outcome::Cancelled), Some(Outcome::OwnFailure), None] {
        let (mut pacer, mut now) = opened(7, None);
        let hung = one(&mut pacer, &mut now);
        let begin = now;
        if let Some(outcome) = outcome {
            pacer.done(hung, outcome, now);
        }
        let next = one(&mut pacer, &mut now);
        assert_eq!(now - begin, if outcome.is_none() { secs(30) } else { Duration::ZERO });
        pacer.done(next, Outcome::Online, now);
        one(&mut pacer, &mut now);
        assert_eq!(pacer.breaker(0, now), BreakerState::HalfOpen { cause: SharedCause::RateLimited, batch: 2 });
        if outcome.is_none() {
            // It failed after all, which says as much as any other failure.
            pacer.done(hung, REFUSED, now);
            assert!(matches!(pacer.breaker(0, now), BreakerState::Open { .. }));
        }
    }
}

#[test]
fn probes_that_all_hang_or_are_cancelled_are_12_in_a_minute_and_wedge_nothing() {
    for hangs in [false, true] {
        let (mut pacer, mut now) = opened(7, None);
        let mut probes = Vec::new();
        for _ in 0..40 {
            let who = one(&mut pacer, &mut now);
            probes.push(now);
            if !hangs {
                pacer.cancel(who, now);
            }
        }
        at_most(12, MINUTE, &probes);
        assert!(now < secs(40 * 31), "{now:?}");
        for _ in 0..4 {
            let who = one(&mut pacer, &mut now);
            pacer.done(who, Outcome::Online, now);
        }
        assert!(matches!(pacer.breaker(0, now), BreakerState::Recovering { .. }));
    }
}

#[test]
fn the_last_one_that_waits_closes_the_breaker() {
    let (mut pacer, mut now) = opened(7, None);
    (0..999).for_each(|who| pacer.cancel(who, now));
    assert_eq!(one(&mut pacer, &mut now), 999);
    pacer.done(999, Outcome::Online, now);
    assert!(matches!(pacer.breaker(0, now), BreakerState::Recovering { .. }));
}

#[test]
fn the_oldest_is_not_the_probe() {
    let first: HashSet<u32> = (0..50)
        .map(|seed| {
            let (mut pacer, mut now) = opened(seed, None);
            one(&mut pacer, &mut now)
        })
        .collect();
    assert!(first.len() > 30, "{first:?}");
}

#[test]
fn failures_of_accounts_never_open_the_breaker() {
    let mut fleet = Fleet::new(LoginPace::default(), |_, _, _: &mut fastrand::Rng| Some((ms(50), Outcome::OwnFailure)));
    fleet.ask_all(500, Duration::ZERO);
    fleet.run(secs(20));
    assert_eq!(fleet.pacer.breaker(0, fleet.now), BreakerState::Closed);
    // Nor do they hide those of the service.
    let mut fleet = Fleet::new(LoginPace::default(), |who, _, _: &mut fastrand::Rng| {
        Some((ms(50), if who % 5 == 0 { REFUSED } else { Outcome::OwnFailure }))
    });
    fleet.ask_all(500, Duration::ZERO);
    fleet.run(secs(2));
    assert!(matches!(fleet.pacer.breaker(0, fleet.now), BreakerState::Open { .. }));
}

#[test]
fn under_half_of_the_dials_or_under_twenty_do_not_open_it() {
    let mut dials = 0;
    let mut fleet = Fleet::new(LoginPace::default(), |_, _, _: &mut fastrand::Rng| {
        dials += 1;
        Some((ms(50), if dials % 9 >= 5 { REFUSED } else { Outcome::Online }))
    });
    for who in 0..1_000 {
        fleet.at(ms(u64::from(who) * 10), Event::Asks(who));
    }
    fleet.run(secs(10));
    assert_eq!(fleet.pacer.breaker(0, fleet.now), BreakerState::Closed);

    // 19 in the window, time and again.
    let mut pacer = pacer(LoginPace::default());
    for who in 0..57 {
        let now = secs(u64::from(who) / 19 * 10);
        pacer.ask(who, Lane::First, 0, now);
        assert_eq!(pacer.next(now), Some(who));
        pacer.done(who, REFUSED, now);
        assert_eq!(pacer.breaker(0, now), BreakerState::Closed);
    }
}

#[test]
fn a_disabled_service_opens_it_at_once() {
    let mut pacer = pacer(LoginPace::default());
    (0..2).for_each(|who| pacer.ask(who, Lane::First, 0, Duration::ZERO));
    let mut now = Duration::ZERO;
    let who = one(&mut pacer, &mut now);
    pacer.done(who, failed(SharedCause::ServingDisabled, None), now);
    assert!(matches!(pacer.breaker(0, now), BreakerState::Open { cause: SharedCause::ServingDisabled, .. }));
    assert_eq!(pacer.next(now), None);
}

#[test]
fn another_pace_holds_from_the_next_dial_on() {
    let mut pacer = pacer(LoginPace::per_second(100).burst(10_000).concurrent(10_000));
    (0..1_000).for_each(|who| pacer.ask(who, Lane::First, 0, Duration::ZERO));
    assert_eq!(all(&mut pacer, Duration::ZERO).len(), 100, "a burst is no more than the rate");
    pacer.set_pace(LoginPace::per_second(20).burst(5).concurrent(10_000), Duration::ZERO);
    let mut now = Duration::ZERO;
    let slow: Vec<_> = (0..60).map(|_| (one(&mut pacer, &mut now), now).1).collect();
    assert_eq!(slow[0], SECOND);
    at_most(20, SECOND, &slow);
    pacer.set_pace(LoginPace::per_second(0.01).concurrent(10_000), now);
    one(&mut pacer, &mut now);
    pacer.set_pace(LoginPace::per_second(200).concurrent(10_000), now);
    let begin = now;
    let fast: Vec<_> = (0..400).map(|_| (one(&mut pacer, &mut now), now).1).collect();
    at_most(200, SECOND, &fast);
    assert!(now - begin <= secs(2), "{:?}", now - begin);
    pacer.set_pace(LoginPace::default().concurrent(2), now);
    assert_eq!(pacer.deadline().unwrap() - HOLD, fast[398], "only when all but one are over");
}

#[test]
fn settings_out_of_range_are_refused_and_harm_nobody() {
    assert!(LoginPace::default().check().is_ok() && Breaker::default().check().is_ok());
    let pace = LoginPace::default();
    for pace in [LoginPace::per_second(0), LoginPace::per_second(f64::NAN), pace.burst(0), pace.concurrent(0)] {
        assert!(pace.check().is_err());
        let mut pacer = pacer(pace);
        pacer.ask(1, Lane::First, u16::MAX, Duration::ZERO);
        assert_eq!(pacer.next(DAY), Some(1));
    }
    let error = pace.burst(0).check().unwrap_err().to_string();
    assert!(error.contains("the burst of logins") && error.contains("from 1 to 10000"), "{error}");
    let breaker = Breaker::default();
    for breaker in [
        Breaker { window: Duration::ZERO, ..breaker },
        Breaker { min_dials: 0, ..breaker },
        Breaker { share: f64::NAN, ..breaker },
        Breaker { share: 0.0, ..breaker },
        Breaker { pause: Duration::ZERO, ..breaker },
        Breaker { pause: Duration::MAX, longest_pause: Duration::MAX, ..breaker },
        Breaker { longest_pause: SECOND, ..breaker },
        Breaker { spread: Duration::MAX, ..breaker },
    ] {
        assert!(breaker.check().is_err(), "{breaker:?}");
        let mut pacer = Pacer::new(LoginPace::default(), breaker, fastrand::Rng::with_seed(1));
        let mut now = Duration::ZERO;
        for who in 0..100 {
            pacer.ask(who, Lane::First, 0, now);
            let who = one(&mut pacer, &mut now);
            pacer.done(who, if who % 30 < 25 { REFUSED } else { Outcome::Online }, now);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u32, Lane, u16),
    Cancel(u32),
    Done(prop::sample::Index, Outcome),
    Wait(u64),
    /// To the deadline.
    Jump,
    Pace(u32, u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let lane = prop::sample::select(Lane::ALL.as_slice());
    let outcome = prop_oneof![
        6 => Just(Outcome::Online),
        4 => Just(REFUSED),
        1 => Just(Outcome::OwnFailure),
        1 => Just(Outcome::Cancelled),
        1 => (0_u64..20).prop_map(|pause| failed(SharedCause::RateLimited, Some(secs(pause)))),
        1 => Just(failed(SharedCause::ServingDisabled, None)),
    ];
    prop_oneof![
        10 => (0_u32..60, lane, 0_u16..3).prop_map(|(who, lane, endpoint)| Step::Ask(who, lane, endpoint)),
        2 => (0_u32..60).prop_map(Step::Cancel),
        8 => (any::<prop::sample::Index>(), outcome).prop_map(|(at, outcome)| Step::Done(at, outcome)),
        4 => (0_u64..2_000).prop_map(Step::Wait),
        6 => Just(Step::Jump),
        1 => (1_u32..40, 1_u32..20, 1_u32..20).prop_map(|(rate, burst, slots)| Step::Pace(rate, burst, slots)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What holds after any calls: rate, burst, slots, nobody without asking, and a deadline that is exact.
    #[test]
    fn the_bounds_hold_whatever_is_called(
        seed in any::<u64>(), rate in 1_u32..40, burst in 1_u32..20, slots in 1_u32..20,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let (mut rate, mut burst, mut slots) = (rate, burst, slots);
        let pace = |rate: u32, burst, slots| LoginPace::per_second(rate).burst(burst).concurrent(slots);
        let breaker = Breaker { min_dials: 5, spread: secs(10), ..Breaker::default() };
        let mut pacer = Pacer::new(pace(rate, burst, slots), breaker, fastrand::Rng::with_seed(seed));
        let mut now = secs(seed % 3);
        let (mut waiting, mut under_way): (HashSet<u32>, BTreeMap<u32, Duration>) = Default::default();
        let mut grants: Vec<Duration> = Vec::new();
        for step in steps {
            match step {
                Step::Ask(who, lane, endpoint) => {
                    pacer.ask(who, lane, endpoint, now);
                    under_way.remove(&who);
                    waiting.insert(who);
                }
                Step::Cancel(who) => {
                    pacer.cancel(who, now);
                    under_way.remove(&who);
                    waiting.remove(&who);
                }
                Step::Done(at, outcome) => {
                    if let Some(who) = under_way.keys().nth(at.index(under_way.len().max(1))).copied() {
                        pacer.done(who, outcome, now);
                        under_way.remove(&who);
                    }
                }
                Step::Wait(time) => now += ms(time),
                Step::Jump => {
                    if let Some(deadline) = pacer.deadline() {
                        prop_assert!(deadline > now, "all who may have gone");
                        let before = deadline - Duration::from_nanos(1);
                        prop_assert_eq!(pacer.next(before), None);
                        prop_assert_eq!(pacer.deadline(), Some(deadline));
                        now = deadline;
                        let who = pacer.next(now);
                        prop_assert!(who.is_some_and(|who| waiting.remove(&who)));
                        under_way.insert(who.unwrap(), now);
                        grants.push(now);
                    } else {
                        prop_assert!(waiting.is_empty());
                    }
                }
                Step::Pace(new_rate, new_burst, new_slots) => {
                    // What was taken at another pace is not judged by this one.
                    (rate, burst, slots) = (new_rate, new_burst, new_slots);
                    pacer.set_pace(pace(rate, burst, slots), now);
                    grants.clear();
                }
            }
            let counted = |under_way: &BTreeMap<u32, Duration>, now| under_way.values().filter(|since| **since + HOLD > now).count();
            let free = (slots as usize).saturating_sub(counted(&under_way, now));
            let dialled = all(&mut pacer, now);
            prop_assert!(dialled.len() <= free, "{} in {free} slots", dialled.len());
            for who in dialled {
                prop_assert!(waiting.remove(&who), "{who} did not ask");
                prop_assert!(under_way.insert(who, now).is_none());
                grants.push(now);
            }
            prop_assert!(pacer.deadline().is_none_or(|deadline| deadline > now), "a busy loop");
            prop_assert_eq!(pacer.waiting(), waiting.len());
            prop_assert!(waiting.iter().all(|who| pacer.place(*who, now).is_some_and(|place| place.ahead < waiting.len())));
            prop_assert_eq!(pacer.deadline().is_some(), !waiting.is_empty());
        }
        for run in grants.windows(rate as usize + 1) {
            prop_assert!(run[rate as usize] - run[0] >= SECOND);
        }
        let interval = Duration::from_secs_f64(1.0 / f64::from(rate));
        for first in 0..grants.len() {
            for (extra, later) in (0_u32..).zip(grants.iter().skip(first + burst as usize)) {
                prop_assert!(*later - grants[first] >= interval * (extra + 1), "a burst above {burst}");
            }
        }
    }

    /// Nobody starves: whatever went before, once dials go well all who wait go, in bounded time.
    #[test]
    fn everybody_goes_in_the_end(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..200)) {
        let breaker = Breaker { min_dials: 5, spread: secs(10), ..Breaker::default() };
        let mut pacer = Pacer::new(LoginPace::per_second(20).concurrent(8), breaker, fastrand::Rng::with_seed(seed));
        let (mut now, mut under_way) = (Duration::ZERO, Vec::new());
        for step in steps {
            match step {
                Step::Ask(who, lane, endpoint) => pacer.ask(who, lane, endpoint, now),
                Step::Cancel(who) => pacer.cancel(who, now),
                Step::Done(at, outcome) if !under_way.is_empty() => {
                    let who = under_way.swap_remove(at.index(under_way.len()));
                    // Bounded by what the service asks for.
                    pacer.done(who, outcome, now);
                }
                Step::Wait(time) => now += ms(time),
                _ => {}
            }
            under_way.extend(all(&mut pacer, now));
        }
        let begin = now;
        // Those that are under way now hang for ever.
        while pacer.waiting() > 0 {
            let who = one(&mut pacer, &mut now);
            pacer.done(who, Outcome::Online, now);
        }
        // Slots, the longest pause, probes of the last minute at three endpoints, a ramp.
        prop_assert!(now - begin <= HOLD + secs(60 + 60 + 10 + 10), "{:?}", now - begin);
    }
}
