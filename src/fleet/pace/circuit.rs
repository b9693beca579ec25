//! The breaker of one endpoint.

use std::{collections::VecDeque, fmt, time::Duration};

use super::{
    pacer::Outcome,
    settings::{Breaker, DAY},
};
use crate::{model::error::ConnectStep, util::backoff::doubled};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// The probes without success in a minute.
const PROBES: usize = 12;
/// The batch of probes whose success closes the breaker; an earlier one does if nobody else waits.
const LAST_BATCH: usize = 8;
/// How long a batch waits for a probe before another goes in its place. Its outcome counts even later.
const PATIENCE: Duration = Duration::from_secs(30);
/// The share of the rate that a recovery begins with.
const FIRST_SHARE: f64 = 0.1;
/// Recovery makes up for a caller that is late by this much at most.
const SLACK: Duration = Duration::from_millis(100);
/// A `Retry-After` counts within these bounds.
const RETRY_AFTER: [Duration; 2] = [SECOND, Duration::from_secs(3600)];
/// The parts that the window moves by.
const PARTS: u128 = 100;

/// A cause of failed logins that the accounts of an application share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SharedCause {
    /// The host could not be resolved, reached, or agreed with: DNS, TCP, proxy, TLS or the upgrade failed.
    Unreachable(ConnectStep),
    /// A step took too long.
    Timeout(ConnectStep),
    /// The link was lost before the login was answered.
    Lost,
    /// The service answered that it failed: 5xx, or busy.
    ServiceFailed,
    /// Too many requests: 429.
    RateLimited,
    /// The application's limit of online, daily or monthly users is reached.
    UserLimit,
    /// The service is disabled for the application. Opens the breaker at once.
    ServingDisabled,
}

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SharedCause::Unreachable(step) => write!(f, "{step} failed"),
            SharedCause::Timeout(step) => write!(f, "{step} timed out"),
            SharedCause::Lost => f.write_str("the link was lost during the login"),
            SharedCause::ServiceFailed => f.write_str("the service failed"),
            SharedCause::RateLimited => f.write_str("too many requests"),
            SharedCause::UserLimit => f.write_str("the application's limit of users is reached"),
            SharedCause::ServingDisabled => f.write_str("the service is disabled for the application"),
        }
    }
}

/// The state of the breaker of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Accounts log in at the whole rate.
    Closed,
    /// Nobody dials.
    Open {
        /// Cause of the failure that opened it.
        cause: SharedCause,
        /// Time until the first probe.
        remaining: Duration,
    },
    /// Single accounts are tried.
    HalfOpen {
        /// Cause of the failure that opened it.
        cause: SharedCause,
        /// The probes of this batch: 1, 2, 4 or 8.
        batch: usize,
    },
    /// The service is back, and the rate grows.
    Recovering {
        /// Share of the rate, from 0.1 to 1.
        share: f64,
    },
}

/// A dial under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dial {
    pub(super) who: u32,
    pub(super) since: Duration,
    probe: Option<Probe>,
}

/// A probe: the opening of the breaker that it follows, and its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    opening: u64,
    batch: usize,
}

#[derive(Debug)]
enum Gate {
    Closed,
    Open {
        cause: SharedCause,
        until: Duration,
    },
    /// The probes of the batch that may still bring an outcome in time, by their begin.
    HalfOpen {
        cause: SharedCause,
        batch: usize,
        probes: VecDeque<(Duration, u32)>,
    },
    Recovering {
        since: Duration,
        next: Duration,
    },
}

/// The breaker of one endpoint. Holds counts of one window, in parts, and the begins of 12 probes.
#[derive(Debug)]
pub(super) struct Circuit {
    gate: Gate,
    /// Openings in all, and in a row.
    openings: u64,
    row: u32,
    counts: VecDeque<Part>,
    /// Begins of the last minute's probes that had no success.
    probes: VecDeque<Duration>,
}

#[derive(Debug)]
struct Part {
    number: u128,
    dials: u32,
    failed: u32,
}

impl Default for Circuit {
    fn default() -> Self {
        Circuit { gate: Gate::Closed, openings: 0, row: 0, counts: VecDeque::new(), probes: VecDeque::new() }
    }
}

impl Circuit {
    /// Returns when the next dial to the endpoint may go, or could have gone.
    pub(super) fn ready(&self, breaker: &Breaker) -> Duration {
        let probe = || match self.probes.len().checked_sub(PROBES).and_then(|at| self.probes.get(at)) {
            Some(begin) => *begin + MINUTE,
            None => Duration::ZERO,
        };
        match &self.gate {
            Gate::Closed => Duration::ZERO,
            Gate::Open { until, .. } => probe().max(*until),
            Gate::HalfOpen { batch, probes, .. } => match probes.front() {
                Some((oldest, _)) if probes.len() >= *batch => probe().max(*oldest + PATIENCE),
                _ => probe(),
            },
            Gate::Recovering { since, next } => (*next).min(since.saturating_add(breaker.spread)),
        }
    }

    /// Returns true if the next dial is a probe.
    pub(super) fn probes(&self) -> bool {
        matches!(self.gate, Gate::Open { .. } | Gate::HalfOpen { .. })
    }

    /// Begins a dial, once [`ready`](Self::ready) has come.
    pub(super) fn dial(&mut self, who: u32, now: Duration, rate: f64, breaker: &Breaker) -> Dial {
        self.settle(now, breaker);
        if let Gate::Open { cause, .. } = self.gate {
            self.gate = Gate::HalfOpen { cause, batch: 1, probes: VecDeque::new() };
        }
        let mut dial = Dial { who, since: now, probe: None };
        match &mut self.gate {
            Gate::Closed | Gate::Open { .. } => {}
            Gate::HalfOpen { batch, probes, .. } => {
                if probes.len() >= *batch {
                    probes.pop_front();
                }
                probes.push_back((now, who));
                if self.probes.len() >= PROBES {
                    self.probes.pop_front();
                }
                self.probes.push_back(now);
                dial.probe = Some(Probe { opening: self.openings, batch: *batch });
            }
            Gate::Recovering { since, next } => {
                let pause = Duration::from_secs_f64(1.0 / (rate * share(now.saturating_sub(*since), breaker.spread)));
                *next = now.saturating_sub(SLACK).max(*next) + pause;
            }
        }
        dial
    }

    /// Ends a recovery that has lasted long enough.
    fn settle(&mut self, now: Duration, breaker: &Breaker) {
        if let Gate::Recovering { since, .. } = self.gate
            && since.saturating_add(breaker.spread) <= now
        {
            self.gate = Gate::Closed;
            self.row = 0;
        }
    }

    /// Ends a dial; `more` is true if others wait for the endpoint.
    pub(super) fn ended(
        &mut self,
        dial: &Dial,
        outcome: Outcome,
        more: bool,
        now: Duration,
        breaker: &Breaker,
        random: &mut fastrand::Rng,
    ) {
        self.settle(now, breaker);
        if outcome == Outcome::Online
            && dial.probe.is_some()
            && let Some(at) = self.probes.iter().position(|begin| *begin == dial.since)
        {
            self.probes.remove(at);
        }
        let probe = dial.probe.filter(|probe| probe.opening == self.openings);
        match (&mut self.gate, outcome) {
            (Gate::Closed | Gate::Recovering { .. }, Outcome::Online) => self.count(now, false, breaker),
            (Gate::Closed | Gate::Recovering { .. }, Outcome::SharedFailure { cause, retry_after }) => {
                self.count(now, true, breaker);
                if cause == SharedCause::ServingDisabled || self.too_many_failed(now, breaker) {
                    self.open(cause, retry_after, now, breaker, random);
                }
            }
            (Gate::Open { until, .. }, Outcome::SharedFailure { retry_after: Some(pause), .. }) => {
                *until = (*until).max(now + bounded(pause));
            }
            (Gate::HalfOpen { .. }, Outcome::SharedFailure { cause, retry_after }) if probe.is_some() => {
                self.open(cause, retry_after, now, breaker, random);
            }
            (Gate::HalfOpen { batch, probes, .. }, outcome) if probe.is_some_and(|probe| probe.batch == *batch) => {
                if outcome != Outcome::Online {
                    // Says nothing about the service: another goes in its place.
                    probes.retain(|(_, probe)| *probe != dial.who);
                } else if *batch < LAST_BATCH && more {
                    *batch *= 2;
                    probes.clear();
                } else {
                    self.gate = Gate::Recovering { since: now, next: now };
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, now: Duration, failed: bool, breaker: &Breaker) {
        let number = now.as_nanos() / part_of(breaker);
        while self.counts.front().is_some_and(|part| part.number + PARTS <= number) {
            self.counts.pop_front();
        }
        match self.counts.back_mut() {
            Some(part) if part.number == number => {
                part.dials = part.dials.saturating_add(1);
                part.failed = part.failed.saturating_add(u32::from(failed));
            }
            _ => self.counts.push_back(Part { number, dials: 1, failed: u32::from(failed) }),
        }
    }

    /// Looks at the window, and at its last second: a limit that is reached after many good logins shows there first.
    fn too_many_failed(&self, now: Duration, breaker: &Breaker) -> bool {
        let part = part_of(breaker);
        [PARTS, SECOND.as_nanos().div_ceil(part)].into_iter().any(|parts| {
            let counted = self.counts.iter().filter(|counted| counted.number + parts > now.as_nanos() / part);
            let sum = |(dials, failed), part: &Part| (dials + u64::from(part.dials), failed + u64::from(part.failed));
            let (dials, failed) = counted.fold((0, 0), sum);
            dials >= u64::from(breaker.min_dials) && failed as f64 >= dials as f64 * breaker.share
        })
    }

    fn open(
        &mut self,
        cause: SharedCause,
        retry_after: Option<Duration>,
        now: Duration,
        breaker: &Breaker,
        random: &mut fastrand::Rng,
    ) {
        let drawn = || doubled(breaker.pause, breaker.longest_pause.min(DAY), self.row).mul_f64(random.f64());
        let until = now + retry_after.map_or_else(drawn, bounded);
        self.gate = Gate::Open { cause, until };
        self.openings += 1;
        self.row = self.row.saturating_add(1);
        self.counts.clear();
    }

    /// Returns the cause while nobody but probes dials.
    pub(super) fn cause(&self) -> Option<SharedCause> {
        match self.gate {
            Gate::Open { cause, .. } | Gate::HalfOpen { cause, .. } => Some(cause),
            Gate::Closed | Gate::Recovering { .. } => None,
        }
    }

    pub(super) fn state(&self, now: Duration, breaker: &Breaker) -> BreakerState {
        match &self.gate {
            Gate::Closed => BreakerState::Closed,
            Gate::Open { cause, .. } => {
                BreakerState::Open { cause: *cause, remaining: self.ready(breaker).saturating_sub(now) }
            }
            Gate::HalfOpen { cause, batch, .. } => BreakerState::HalfOpen { cause: *cause, batch: *batch },
            Gate::Recovering { since, .. } if since.saturating_add(breaker.spread) <= now => BreakerState::Closed,
            Gate::Recovering { since, .. } => {
                BreakerState::Recovering { share: share(now.saturating_sub(*since), breaker.spread) }
            }
        }
    }

    /// Estimates when the dial after `ahead` others to the endpoint goes, as the breaker has it.
    pub(super) fn turn_after(&self, ahead: usize, now: Duration, rate: f64, breaker: &Breaker) -> Duration {
        let (begin, elapsed) = match &self.gate {
            Gate::Closed => return now,
            Gate::Open { .. } | Gate::HalfOpen { .. } => (self.ready(breaker).max(now), Duration::ZERO),
            Gate::Recovering { since, .. } => (now, now.saturating_sub(*since)),
        };
        begin + Duration::from_secs_f64(ramp_time(ahead as f64, rate, elapsed, breaker.spread))
    }
}

/// Returns the nanoseconds of a part of the window.
fn part_of(breaker: &Breaker) -> u128 {
    (breaker.window.as_nanos() / PARTS).max(1_000_000)
}

fn bounded(retry_after: Duration) -> Duration {
    let [least, most] = RETRY_AFTER;
    retry_after.clamp(least, most)
}

/// Returns the share of the rate so long after the begin of a recovery.
fn share(elapsed: Duration, spread: Duration) -> f64 {
    if elapsed >= spread {
        return 1.0;
    }
    FIRST_SHARE + (1.0 - FIRST_SHARE) * elapsed.as_secs_f64() / spread.as_secs_f64()
}

/// Returns the seconds in which so many dials go, from so long after the begin of a recovery on.
fn ramp_time(dials: f64, rate: f64, elapsed: Duration, spread: Duration) -> f64 {
    let left = spread.saturating_sub(elapsed).as_secs_f64();
    let first = rate * share(elapsed, spread);
    let in_ramp = left * f64::midpoint(first, rate);
    if dials >= in_ramp {
        return left + (dials - in_ramp) / rate;
    }
    // dials = first * t + slope / 2 * t²
    let slope = (rate - first) / left;
    2.0 * dials / (first + (first * first + 2.0 * slope * dials).sqrt())
}
