//! The queue of those who want to dial.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    circuit::{BreakerState, Circuit, Dial, SharedCause},
    line::{Line, Slot},
    rate::Rate,
    settings::{Breaker, LoginPace},
};

/// How long a dial under way is counted. One that never ends, because its account hangs, gives its slot back then.
pub(crate) const HOLD: Duration = Duration::from_secs(90);

/// The endpoints that have a breaker of their own. Those with higher numbers share them.
const ENDPOINTS: usize = 64;

/// Why an account dials. The lanes are served 4 : 2 : 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Taken over from another node.
    Move,
    /// Had a link, and lost it.
    Reconnect,
    /// Logs in for the first time, or after a pause.
    First,
}

impl Lane {
    pub(super) const ALL: [Lane; 3] = [Lane::Move, Lane::Reconnect, Lane::First];

    const fn weight(self) -> usize {
        match self {
            Lane::Move => 4,
            Lane::Reconnect => 2,
            Lane::First => 1,
        }
    }
}

/// How a dial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The account is online.
    Online,
    /// Failed for a cause that other accounts share.
    SharedFailure { cause: SharedCause, retry_after: Option<Duration> },
    /// Failed for a cause of its own, such as a wrong password.
    OwnFailure,
    /// Given up by the account or the operator.
    Cancelled,
}

/// What an account that may not dial yet waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// Its turn within the rate, or within the smaller rate of a recovery.
    Rate,
    /// A dial under way to end.
    Concurrency,
    /// The service, which fails for everybody.
    Breaker(SharedCause),
}

/// The place of an account that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Estimate of the accounts that go before it: exact within its lane, by the weights for the other lanes.
    pub(crate) ahead: usize,
    /// Estimate of the time until its turn, if dials go well from now on.
    pub(crate) eta: Duration,
    pub(crate) why: Why,
}

/// One value for each lane.
#[derive(Debug, Default)]
struct PerLane<T> {
    moves: T,
    reconnects: T,
    firsts: T,
}

impl<T> PerLane<T> {
    fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Move => &self.moves,
            Lane::Reconnect => &self.reconnects,
            Lane::First => &self.firsts,
        }
    }

    fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Move => &mut self.moves,
            Lane::Reconnect => &mut self.reconnects,
            Lane::First => &mut self.firsts,
        }
    }
}

#[derive(Debug, Default)]
struct Endpoint {
    circuit: Circuit,
    lines: PerLane<Line>,
}

impl Endpoint {
    fn waiting(&self) -> usize {
        Lane::ALL.iter().map(|lane| self.lines.of(*lane).len()).sum()
    }
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    Waiting { endpoint: usize, lane: Lane, number: u64 },
    UnderWay { endpoint: usize, dial: Dial },
}

/// Who may dial now, and when the next one may.
///
/// Times are of one clock that never goes back, from any origin. Accounts are known by a number.
///
/// ```text
/// ask ──> waiting ── next ──> under way ── done ──> forgotten, until it asks again
///            └────────────── cancel ─────────────────^
/// ```
///
/// Holds something only for those who wait or are under way.
#[derive(Debug)]
pub(crate) struct Pacer {
    pace: LoginPace,
    breaker: Breaker,
    random: fastrand::Rng,
    rate: Rate,
    endpoints: Vec<Endpoint>,
    accounts: HashMap<u32, Standing>,
    /// Dials under way that are counted, by their begin.
    slots: BTreeSet<(Duration, u32)>,
    /// Smooth weighted round robin over the lanes.
    credits: PerLane<isize>,
    last_number: u64,
    latest: Duration,
    /// Moving average of how long a dial takes.
    dial_time: Duration,
}

impl Pacer {
    /// Makes an empty queue; `random` draws pauses and probes.
    pub(crate) fn new(pace: LoginPace, breaker: Breaker, random: fastrand::Rng) -> Self {
        Pacer {
            rate: Rate::new(&pace),
            pace,
            breaker,
            random,
            endpoints: Vec::new(),
            accounts: HashMap::new(),
            slots: BTreeSet::new(),
            credits: PerLane::default(),
            last_number: 0,
            latest: Duration::ZERO,
            dial_time: Duration::ZERO,
        }
    }

    /// Changes the pace from the next dial on.
    pub(crate) fn set_pace(&mut self, pace: LoginPace, now: Duration) {
        let now = self.clock(now);
        self.rate.set(&pace, now);
        self.pace = pace;
    }

    /// Queues an account. One that waits in this lane for this endpoint keeps its place, in another it begins anew.
    /// One that is under way has given up.
    pub(crate) fn ask(&mut self, who: u32, lane: Lane, endpoint: u16, now: Duration) {
        let now = self.clock(now);
        let at = usize::from(endpoint) % ENDPOINTS;
        if let Some(Standing::Waiting { endpoint, lane: known, .. }) = self.accounts.get(&who)
            && (*endpoint, *known) == (at, lane)
        {
            return;
        }
        self.cancel(who, now);
        if self.endpoints.len() <= at {
            self.endpoints.resize_with(at + 1, Endpoint::default);
        }
        if let Some(endpoint) = self.endpoints.get_mut(at) {
            self.last_number += 1;
            let number = self.last_number;
            endpoint.lines.of_mut(lane).push(number, who, now);
            self.accounts.insert(who, Standing::Waiting { endpoint: at, lane, number });
        }
    }

    /// Forgets an account that waits or is under way; any other is none of its concern.
    pub(crate) fn cancel(&mut self, who: u32, now: Duration) {
        self.done(who, Outcome::Cancelled, now);
        if let Some(Standing::Waiting { endpoint, lane, number }) = self.accounts.remove(&who)
            && let Some(endpoint) = self.endpoints.get_mut(endpoint)
        {
            endpoint.lines.of_mut(lane).remove(number);
        }
    }

    /// Ends the dial of an account; one that has none under way is none of its concern.
    pub(crate) fn done(&mut self, who: u32, outcome: Outcome, now: Duration) {
        let now = self.clock(now);
        let Some(Standing::UnderWay { endpoint, dial }) = self.accounts.get(&who).copied() else { return };
        self.accounts.remove(&who);
        // A whole fleet may have waited at once; most of the time few do.
        if self.accounts.capacity() > 1024 && self.accounts.len() < self.accounts.capacity() / 8 {
            self.accounts.shrink_to(self.accounts.len() * 2);
        }
        self.slots.remove(&(dial.since, who));
        if outcome != Outcome::Cancelled {
            self.dial_time = (self.dial_time * 7 + now.saturating_sub(dial.since).min(HOLD)) / 8;
        }
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            let more = endpoint.waiting() > 0;
            endpoint.circuit.ended(&dial, outcome, more, now, &self.breaker, &mut self.random);
        }
    }

    /// Returns an account that may dial now. To be called until it returns none.
    pub(crate) fn next(&mut self, now: Duration) -> Option<u32> {
        let now = self.clock(now);
        if self.deadline()? > now {
            return None;
        }
        while let Some((since, who)) = self.slots.first().copied()
            && since + HOLD <= now
        {
            self.slots.remove(&(since, who));
        }
        let (at, lane, slot) = self.probe(now).or_else(|| self.oldest(now))?;
        let endpoint = self.endpoints.get_mut(at)?;
        endpoint.lines.of_mut(lane).remove(slot.number);
        let dial = endpoint.circuit.dial(slot.who, now, self.pace.rate(), &self.breaker);
        self.accounts.insert(slot.who, Standing::UnderWay { endpoint: at, dial });
        self.slots.insert((now, slot.who));
        self.rate.take(now);
        Some(slot.who)
    }

    /// Draws a probe for an endpoint that wants one. Not the oldest: that may be the one account that always fails.
    fn probe(&mut self, now: Duration) -> Option<(usize, Lane, Slot)> {
        let wants = |endpoint: &Endpoint| {
            endpoint.circuit.probes() && endpoint.circuit.ready(&self.breaker) <= now && endpoint.waiting() > 0
        };
        let (at, endpoint) = self.endpoints.iter().enumerate().find(|(_, endpoint)| wants(endpoint))?;
        let mut drawn = self.random.usize(..endpoint.waiting());
        for lane in Lane::ALL {
            let line = endpoint.lines.of(lane);
            match drawn.checked_sub(line.len()) {
                Some(rest) => drawn = rest,
                None => return Some((at, lane, *line.nth(drawn)?)),
            }
        }
        None
    }

    /// Picks a lane by its weight, and in it the oldest whose endpoint may be dialled.
    fn oldest(&mut self, now: Duration) -> Option<(usize, Lane, Slot)> {
        let (endpoints, breaker) = (&self.endpoints, &self.breaker);
        let ready = || {
            let all = endpoints.iter().enumerate();
            all.filter(|(_, endpoint)| !endpoint.circuit.probes() && endpoint.circuit.ready(breaker) <= now)
        };
        let mut picked: Option<(usize, Lane, Slot)> = None;
        let (mut highest, mut total) = (0, 0);
        for lane in Lane::ALL {
            let heads = ready().filter_map(|(at, endpoint)| Some((at, lane, *endpoint.lines.of(lane).first()?)));
            let credit = self.credits.of_mut(lane);
            match heads.min_by_key(|(.., slot)| slot.number) {
                None => *credit = 0,
                Some(head) => {
                    *credit += lane.weight().cast_signed();
                    total += lane.weight().cast_signed();
                    if picked.is_none() || *credit > highest {
                        (picked, highest) = (Some(head), *credit);
                    }
                }
            }
        }
        let (_, lane, _) = picked?;
        *self.credits.of_mut(lane) -= total;
        picked
    }

    /// Returns when [`next`](Self::next) gives somebody, unless something happens first; none if nobody waits.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let waited_for = self.endpoints.iter().filter(|endpoint| endpoint.waiting() > 0);
        let endpoint = waited_for.map(|endpoint| endpoint.circuit.ready(&self.breaker)).min()?;
        Some(endpoint.max(self.rate.ready()).max(self.slot_free()))
    }

    /// Returns when a slot is free, or has been.
    fn slot_free(&self) -> Duration {
        let over = self.slots.len().checked_sub(self.pace.slots());
        over.and_then(|over| self.slots.iter().nth(over)).map_or(Duration::ZERO, |(since, _)| *since + HOLD)
    }

    /// Returns the place of an account; none if it does not wait.
    pub(crate) fn place(&self, who: u32, now: Duration) -> Option<Place> {
        let Standing::Waiting { endpoint: at, lane, number } = *self.accounts.get(&who)? else { return None };
        let endpoint = self.endpoints.get(at)?;
        let before = self.rivals(at).map(|rival| rival.lines.of(lane).before(number)).sum::<usize>();
        let others = Lane::ALL.into_iter().filter(|other| *other != lane).map(|other| {
            let waiting = self.rivals(at).map(|rival| rival.lines.of(other).len()).sum::<usize>();
            waiting.min((before + 1) * other.weight() / lane.weight())
        });
        let ahead = before + others.sum::<usize>();
        let why = match endpoint.circuit.cause() {
            Some(cause) => Why::Breaker(cause),
            None if self.slot_free() > now => Why::Concurrency,
            None => Why::Rate,
        };
        Some(Place { ahead, eta: self.turn_after(endpoint, ahead, now).saturating_sub(now), why })
    }

    /// Returns the endpoints whose accounts take turns with those of this one.
    fn rivals(&self, at: usize) -> impl Iterator<Item = &Endpoint> {
        let alone = self.endpoints.get(at).is_some_and(|endpoint| endpoint.circuit.probes());
        let all = self.endpoints.iter().enumerate();
        all.filter(move |(other, rival)| *other == at || (!alone && !rival.circuit.probes())).map(|(_, rival)| rival)
    }

    /// Estimates when the turn after `ahead` others comes.
    fn turn_after(&self, endpoint: &Endpoint, ahead: usize, now: Duration) -> Duration {
        let count = u32::try_from(ahead).unwrap_or(u32::MAX);
        let slots = u32::try_from(self.pace.slots()).unwrap_or(u32::MAX);
        let by_slots = now + self.dial_time.saturating_mul(count) / slots;
        let by_breaker = endpoint.circuit.turn_after(ahead, now, self.pace.rate(), &self.breaker);
        self.rate.turn_after(ahead, now).max(by_slots).max(by_breaker)
    }

    /// Returns how many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.endpoints.iter().map(Endpoint::waiting).sum()
    }

    #[cfg(test)]
    /// Returns how many wait in a lane.
    pub(crate) fn waiting_in(&self, lane: Lane) -> usize {
        self.endpoints.iter().map(|endpoint| endpoint.lines.of(lane).len()).sum()
    }

    /// Returns how many dials are under way and counted.
    pub(crate) fn under_way(&self) -> usize {
        self.slots.len()
    }

    /// Returns how long the one who waits longest has waited.
    pub(crate) fn longest_wait(&self, now: Duration) -> Option<Duration> {
        let lines = self.endpoints.iter().flat_map(|endpoint| Lane::ALL.map(|lane| endpoint.lines.of(lane).first()));
        Some(now.saturating_sub(lines.flatten().map(|slot| slot.since).min()?))
    }

    /// Estimates the time until all who wait now have gone, if dials go well from now on.
    pub(crate) fn eta(&self, now: Duration) -> Option<Duration> {
        let each = self.endpoints.iter().enumerate().filter(|(_, endpoint)| endpoint.waiting() > 0);
        let last = each.map(|(at, endpoint)| {
            let all: usize = self.rivals(at).map(Endpoint::waiting).sum();
            self.turn_after(endpoint, all.saturating_sub(1), now)
        });
        Some(last.max()?.saturating_sub(now))
    }

    #[cfg(test)]
    /// Returns the state of an endpoint's breaker.
    pub(crate) fn breaker(&self, endpoint: u16, now: Duration) -> BreakerState {
        let known = self.endpoints.get(usize::from(endpoint) % ENDPOINTS);
        known.map_or(BreakerState::Closed, |endpoint| endpoint.circuit.state(now, &self.breaker))
    }

    /// Returns the states of all endpoints that somebody asked for, by their number.
    pub(crate) fn breakers(&self, now: Duration) -> impl Iterator<Item = BreakerState> {
        self.endpoints.iter().map(move |endpoint| endpoint.circuit.state(now, &self.breaker))
    }

    /// Takes a clock that went back for one that stands still.
    fn clock(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        self.latest
    }
}
