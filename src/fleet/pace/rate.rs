//! The rate of dials.

use std::{collections::VecDeque, time::Duration};

use super::settings::LoginPace;

/// A token bucket below a sliding window.
///
/// The bucket alone lets a burst and the rate through in one second. The window alone lets a second's dials go at once,
/// every second. Together: at most the rate in any second, and no more than the burst at once. While the window holds
/// somebody back the bucket does not fill, or the burst would come again each second.
///
/// Holds the turns of one window, at most 10 000.
#[derive(Debug)]
pub(super) struct Rate {
    /// Time in which one turn comes back.
    interval: Duration,
    /// Time in which the burst comes back, but for one turn.
    tolerance: Duration,
    /// When the bucket is full again, and one turn more.
    full: Duration,
    /// The turns of a window, and its length: a second, or more where the rate is no whole number.
    most: usize,
    window: Duration,
    taken: VecDeque<Duration>,
}

impl Rate {
    pub(super) fn new(pace: &LoginPace) -> Self {
        let mut rate = Rate {
            interval: Duration::ZERO,
            tolerance: Duration::ZERO,
            full: Duration::ZERO,
            most: 1,
            window: Duration::ZERO,
            taken: VecDeque::new(),
        };
        rate.set(pace, Duration::ZERO);
        rate
    }

    /// Changes the rate from the next turn on, which counts those that were taken before.
    pub(super) fn set(&mut self, pace: &LoginPace, now: Duration) {
        let most = pace.rate().ceil();
        self.interval = Duration::from_secs_f64(1.0 / pace.rate());
        self.tolerance = self.interval * (pace.at_once() - 1);
        self.full = self.full.min(now + self.interval + self.tolerance);
        // From 1 to 10 000, for it is checked.
        self.most = most as usize;
        self.window = Duration::from_secs_f64(most / pace.rate());
    }

    /// Returns when the window has room for the turn after `ahead` others; none if it has, whatever the time.
    fn window_opens(&self, ahead: usize) -> Option<Duration> {
        let oldest = (self.taken.len() + ahead).checked_sub(self.most)?;
        Some(*self.taken.get(oldest)? + self.window)
    }

    /// Returns when the next turn can be taken, or could have been.
    pub(super) fn ready(&self) -> Duration {
        self.full.saturating_sub(self.tolerance).max(self.window_opens(0).unwrap_or_default())
    }

    /// Takes a turn; only once [`ready`](Self::ready) has come.
    pub(super) fn take(&mut self, now: Duration) {
        let held = self.window_opens(0).map_or(Duration::ZERO, |opens| opens + self.tolerance);
        self.full = self.full.max(held).max(now) + self.interval;
        self.taken.push_back(now);
        while self.taken.len() > self.most {
            self.taken.pop_front();
        }
    }

    /// Estimates when the turn after `ahead` others comes, if each goes as soon as it can.
    pub(super) fn turn_after(&self, ahead: usize, now: Duration) -> Duration {
        let count = |turns: usize| u32::try_from(turns).unwrap_or(u32::MAX);
        let bucket = (self.full + self.interval.saturating_mul(count(ahead))).saturating_sub(self.tolerance);
        let rounds = self.window.saturating_mul(count(ahead / self.most));
        let window = self.window_opens(ahead % self.most).unwrap_or_default().max(now) + rounds;
        window.max(bucket)
    }
}
