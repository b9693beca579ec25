//! What this process costs: CPU time and memory, as the kernel counts them.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

/// A reading of clock and CPU time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    at: Instant,
    user: Duration,
    system: Duration,
}

/// What a phase took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl Spent {
    pub(crate) fn cpu(&self) -> Duration {
        self.user + self.system
    }

    /// CPU time in microseconds for each of so many; `None` for each of none.
    pub(crate) fn cpu_us_each(&self, of: u64) -> Option<f64> {
        (of > 0).then(|| self.cpu().as_secs_f64() * 1e6 / of as f64)
    }

    /// How many cores were busy, on average.
    pub(crate) fn cores(&self) -> f64 {
        self.cpu().as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }
}

impl Reading {
    pub(crate) fn now() -> Self {
        let time = |time: TimeVal| {
            let (s, us) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
            Duration::from_secs(s.unwrap_or_default()) + Duration::from_micros(us.unwrap_or_default())
        };
        // It cannot fail for the process itself.
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        Reading {
            at: Instant::now(),
            user: usage.as_ref().map(|usage| time(usage.user_time())).unwrap_or_default(),
            system: usage.as_ref().map(|usage| time(usage.system_time())).unwrap_or_default(),
        }
    }

    pub(crate) fn spent(&self) -> Spent {
        let now = Reading::now();
        Spent {
            wall: now.at - self.at,
            user: now.user.saturating_sub(self.user),
            system: now.system.saturating_sub(self.system),
        }
    }
}

/// Memory in KiB, from `/proc/self/smaps_rollup`; all zero where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    pub(crate) pss: u64,
    pub(crate) anonymous: u64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let mut memory = Memory::default();
        for line in fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            let place = match words.next() {
                Some("Rss:") => &mut memory.rss,
                Some("Pss:") => &mut memory.pss,
                Some("Anonymous:") => &mut memory.anonymous,
                _ => continue,
            };
            *place = words.next().and_then(|number| number.parse().ok()).unwrap_or_default();
        }
        memory
    }
}
