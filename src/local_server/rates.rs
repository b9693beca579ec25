//! The rates at which clients do things, second by second.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::ser::SerializeStruct as _;

use super::limits;

const SECOND_US: u64 = 1_000_000;

/// An activity of clients that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// TCP links that reached the server, for REST calls too.
    Links,
    /// WebSocket upgrades requested, refused ones too.
    Dials,
    /// PROVISIONs accepted.
    Logins,
    /// REST calls for a token, failed ones too.
    TokenCalls,
    /// Attempts that an injected fault ended: a link that the [`Door`](crate::local_server::Door) dropped or left silent, a
    /// refused upgrade, a refused or redirected PROVISION, a failed call for a token. What the system refuses for the server
    /// is not seen.
    Probes,
}

impl Activity {
    /// Every activity.
    pub const ALL: &'static [Activity] =
        &[Activity::Links, Activity::Dials, Activity::Logins, Activity::TokenCalls, Activity::Probes];

    /// Returns its name, such as `token_calls`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Activity::Links => "links",
            Activity::Dials => "dials",
            Activity::Logins => "logins",
            Activity::TokenCalls => "token_calls",
            Activity::Probes => "probes",
        }
    }
}

/// The rate of an activity since the server was started, or since
/// [`reset_rates`](crate::local_server::LocalServer::reset_rates).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    total: u64,
    peak: usize,
    per_second: Vec<u32>,
    at_us: Vec<u64>,
}

impl Rate {
    /// Returns how often in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the most in any second, wherever it begins; exact to 65 536.
    #[must_use]
    pub fn peak_per_second(&self) -> usize {
        self.peak
    }

    /// Returns the most in any time of this length, wherever it begins, among the last 65 536.
    #[must_use]
    pub fn most_within(&self, window: Duration) -> usize {
        let window = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        if window == 0 {
            return 0;
        }
        let (mut most, mut first) = (0, self.at_us.iter().peekable());
        let mut inside: usize = 0;
        for last in &self.at_us {
            inside += 1;
            while first.next_if(|first| last - **first >= window).is_some() {
                inside -= 1;
            }
            most = most.max(inside);
        }
        most
    }

    /// Returns how often in each second, the present and unfinished one last; of the last hour.
    #[must_use]
    pub fn per_second(&self) -> &[u32] {
        &self.per_second
    }
}

impl serde::Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Rate", 3)?;
        shown.serialize_field("total", &self.total)?;
        shown.serialize_field("peak_per_second", &self.peak)?;
        shown.serialize_field("per_second", &self.per_second)?;
        shown.end()
    }
}

/// One activity's count, its last times, and its last seconds.
#[derive(Default)]
struct Meter {
    total: u64,
    peak: usize,
    /// Microseconds since the reset, rising.
    at_us: VecDeque<u64>,
    /// The number of the last times that are in the second that ends with the last one.
    inside: usize,
    per_second: VecDeque<u32>,
    /// The second after the last one of `per_second`.
    next_second: u64,
}

impl Meter {
    fn count(&mut self, now_us: u64) {
        self.total += 1;
        if self.at_us.len() >= limits::RATE_TIMES {
            self.at_us.pop_front();
            self.inside = self.inside.min(self.at_us.len());
        }
        self.at_us.push_back(now_us);
        self.inside += 1;
        let first = |meter: &Meter| meter.at_us.get(meter.at_us.len() - meter.inside).copied().unwrap_or(now_us);
        while now_us - first(self) >= SECOND_US {
            self.inside -= 1;
        }
        self.peak = self.peak.max(self.inside);
        self.pass(now_us);
        if let Some(second) = self.per_second.back_mut() {
            *second += 1;
        }
    }

    /// Begins the seconds up to now.
    fn pass(&mut self, now_us: u64) {
        let now = now_us / SECOND_US;
        // Of a longer pause only its last hour is shown.
        self.next_second = self.next_second.max((now + 1).saturating_sub(limits::RATE_SECONDS as u64));
        while self.next_second <= now {
            if self.per_second.len() >= limits::RATE_SECONDS {
                self.per_second.pop_front();
            }
            self.per_second.push_back(0);
            self.next_second += 1;
        }
    }
}

/// Every activity's meter.
pub(crate) struct Rates {
    since: Instant,
    links: Meter,
    dials: Meter,
    logins: Meter,
    token_calls: Meter,
    probes: Meter,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            since: Instant::now(),
            links: Meter::default(),
            dials: Meter::default(),
            logins: Meter::default(),
            token_calls: Meter::default(),
            probes: Meter::default(),
        }
    }
}

impl Rates {
    /// Counts an activity now.
    pub(crate) fn count(&mut self, what: Activity) {
        let now = self.now_us();
        self.meter(what).count(now);
    }

    /// Returns the rate of an activity.
    pub(crate) fn rate(&mut self, what: Activity) -> Rate {
        let now = self.now_us();
        let meter = self.meter(what);
        meter.pass(now);
        Rate {
            total: meter.total,
            peak: meter.peak,
            per_second: meter.per_second.iter().copied().collect(),
            at_us: meter.at_us.iter().copied().collect(),
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn meter(&mut self, what: Activity) -> &mut Meter {
        match what {
            Activity::Links => &mut self.links,
            Activity::Dials => &mut self.dials,
            Activity::Logins => &mut self.logins,
            Activity::TokenCalls => &mut self.token_calls,
            Activity::Probes => &mut self.probes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Meter, Rate};
    use crate::local_server::limits;

    fn rate(meter: &Meter) -> Rate {
        Rate {
            total: meter.total,
            peak: meter.peak,
            per_second: meter.per_second.iter().copied().collect(),
            at_us: meter.at_us.iter().copied().collect(),
        }
    }

    #[test]
    fn the_peak_is_of_any_second_and_not_of_those_of_the_clock() {
        let mut meter = Meter::default();
        for ms in [900, 950, 1050, 1100, 1899, 1900, 2100, 5000] {
            meter.count(ms * 1000);
        }
        let rate = rate(&meter);
        assert_eq!((rate.total(), rate.peak_per_second()), (8, 5));
        assert_eq!(rate.per_second(), [2, 4, 1, 0, 0, 1]);
        assert_eq!(rate.most_within(Duration::from_secs(1)), 5);
        assert_eq!(rate.most_within(Duration::from_millis(100)), 2);
        assert_eq!(rate.most_within(Duration::from_secs(60)), 8);
        assert_eq!(rate.most_within(Duration::ZERO), 0);
    }

    #[test]
    fn the_peak_outlives_its_times_and_everything_is_bounded() {
        let mut meter = Meter::default();
        for us in 0..limits::RATE_TIMES as u64 + 10 {
            meter.count(us);
        }
        for second in 10..100_000 {
            meter.count(second * 1_000_000);
        }
        assert_eq!(meter.peak, limits::RATE_TIMES);
        assert_eq!(rate(&meter).most_within(Duration::from_secs(1)), 1);
        assert_eq!((meter.at_us.len(), meter.per_second.len()), (limits::RATE_TIMES, limits::RATE_SECONDS));
        meter.pass(u64::MAX);
        assert!(meter.per_second.iter().all(|second| *second == 0));
    }
}
