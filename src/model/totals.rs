//! Counts of many accounts together, for metrics.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::model::error::LossCause;

/// Counts shared by the accounts of one program; from their first use on, they only grow.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Messages and notices that came, whoever wants them: each once, as far as the dedup window reaches.
    pub(crate) received: Count,
    /// Messages and chat room requests that the server has taken.
    pub(crate) sent: Count,
    pub(crate) sends_failed: Count,
    /// Runs of message handlers, one for each attempt.
    pub(crate) handler_runs: Histogram,
    /// Messages that became dead letters.
    pub(crate) dead_letters: Count,
    /// Links lost that had been up, by the class of their cause.
    links_lost: [Count; LossClass::ALL.len()],
}

impl Default for Totals {
    fn default() -> Self {
        Totals {
            received: Count::default(),
            sent: Count::default(),
            sends_failed: Count::default(),
            handler_runs: Histogram::new(&Histogram::RUNS),
            dead_letters: Count::default(),
            links_lost: Default::default(),
        }
    }
}

/// A count.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Durations by bucket.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bounds of the buckets but the last, which has none.
    bounds: &'static [Duration],
    /// Each with the durations up to its bound and above the one before; the last has all longer ones.
    buckets: Box<[Count]>,
    /// All durations together, in nanoseconds.
    sum: Count,
}

impl Histogram {
    /// Bounds for runs of message handlers.
    pub(crate) const RUNS: [Duration; 9] = [
        Duration::from_micros(100),
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(25),
        Duration::from_millis(100),
        Duration::from_millis(500),
        Duration::from_millis(2_500),
        Duration::from_secs(10),
        Duration::from_secs(60),
    ];

    pub(crate) fn new(bounds: &'static [Duration]) -> Self {
        Histogram { bounds, buckets: (0..=bounds.len()).map(|_| Count::default()).collect(), sum: Count::default() }
    }

    pub(crate) fn add(&self, took: Duration) {
        let at = self.bounds.iter().position(|bound| took <= *bound).unwrap_or(self.bounds.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.add(1);
        }
        self.sum.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Returns the upper bounds in seconds.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = f64> {
        self.bounds.iter().map(Duration::as_secs_f64)
    }

    /// Returns the counts of the buckets, each for itself, in the order of the bounds and the last.
    pub(crate) fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Count::get)
    }

    pub(crate) fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum.get())
    }
}

/// Class of a [`LossCause`]: what a series of a metric is named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossClass {
    ClosedByPeer,
    Ended,
    Io,
    Protocol,
    HeartbeatTimeout,
    Kicked,
    Unanswered,
    Other,
}

impl LossClass {
    pub(crate) const ALL: [LossClass; 8] = [
        LossClass::ClosedByPeer,
        LossClass::Ended,
        LossClass::Io,
        LossClass::Protocol,
        LossClass::HeartbeatTimeout,
        LossClass::Kicked,
        LossClass::Unanswered,
        LossClass::Other,
    ];

    /// Returns the name of the class, in lower case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            LossClass::ClosedByPeer => "closed_by_peer",
            LossClass::Ended => "ended",
            LossClass::Io => "io",
            LossClass::Protocol => "protocol",
            LossClass::HeartbeatTimeout => "heartbeat_timeout",
            LossClass::Kicked => "kicked",
            LossClass::Unanswered => "unanswered",
            LossClass::Other => "other",
        }
    }

    fn of(cause: &LossCause) -> Self {
        match cause {
            LossCause::ClosedByPeer { .. } => LossClass::ClosedByPeer,
            LossCause::Ended => LossClass::Ended,
            LossCause::Io(_) => LossClass::Io,
            LossCause::Protocol(_) => LossClass::Protocol,
            LossCause::HeartbeatTimeout { .. } => LossClass::HeartbeatTimeout,
            LossCause::Kicked(_) => LossClass::Kicked,
            LossCause::SendUnanswered | LossCause::RoomUnanswered | LossCause::PullUnanswered => LossClass::Unanswered,
            _ => LossClass::Other,
        }
    }
}

impl Totals {
    pub(crate) fn link_lost(&self, cause: &LossCause) {
        if let Some(count) = self.links_lost.get(LossClass::of(cause) as usize) {
            count.add(1);
        }
    }

    /// Returns the links lost by class.
    pub(crate) fn links_lost(&self) -> impl Iterator<Item = (LossClass, u64)> {
        LossClass::ALL.into_iter().zip(self.links_lost.iter().map(Count::get))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Histogram, LossClass, Totals};
    use crate::model::error::LossCause;

    #[test]
    fn each_duration_is_in_one_bucket_and_in_the_sum() {
        let runs = Histogram::new(&Histogram::RUNS);
        for took in [Duration::ZERO, Histogram::RUNS[0], Duration::from_micros(101), Duration::from_secs(61)] {
            runs.add(took);
        }
        assert_eq!(runs.counts().collect::<Vec<_>>(), [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(runs.sum(), Duration::from_secs(61) + Duration::from_micros(201));
    }

    #[test]
    fn losses_are_counted_by_class() {
        let totals = Totals::default();
        totals.link_lost(&LossCause::Ended);
        totals.link_lost(&LossCause::PullUnanswered);
        totals.link_lost(&LossCause::ClosedHere);
        let lost: Vec<_> = totals.links_lost().filter(|(_, count)| *count > 0).collect();
        assert_eq!(lost, [(LossClass::Ended, 1), (LossClass::Unanswered, 1), (LossClass::Other, 1)]);
        for (at, class) in LossClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at, "{}", class.name());
        }
    }
}
