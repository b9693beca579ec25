//! A deadline up to which connections may write.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{model::origin::Openness, util::unix_time::millis};

/// A deadline shared by connections, past which none of them dials or writes; given by
/// [`Account::gate`](crate::Account::gate). Clones are the same gate.
///
/// It is for an account that another process takes over once this one has been silent for so long: who holds a lease
/// opens the gate up to the lease's end, each time it is renewed. Every dial and every write to a socket looks at the
/// gate first, so a thread that was late or frozen writes nothing by accident. A connection that finds its gate shut
/// resets its socket and ends its session with [`DisconnectReason::LeaseLost`](crate::DisconnectReason::LeaseLost); one
/// that is idle finds that out with its next heartbeat, so whoever shuts a gate also calls
/// [`Connection::abandon`](crate::Connection::abandon).
///
/// The clock is one that no setting of the time moves and that, on Linux, runs on while the machine is suspended.
///
/// ```
/// use std::time::Duration;
/// use agora_chat::network::Gate;
///
/// let gate = Gate::new();
/// assert!(!gate.is_open());
/// // The lease was renewed by a request sent now.
/// gate.open_until(Gate::now() + Duration::from_secs(10));
/// assert!(gate.is_open() && gate.left() > Duration::from_secs(9));
/// gate.shut();
/// assert!(!gate.is_open());
/// ```
#[derive(Clone, Default)]
pub struct Gate(Arc<Deadline>);

/// Milliseconds of the clock; 0 for shut.
#[derive(Default)]
struct Deadline(AtomicU64);

impl Gate {
    /// Makes a gate that is shut.
    #[must_use]
    pub fn new() -> Self {
        Gate::default()
    }

    /// Returns the time of the gate's clock.
    #[must_use]
    pub fn now() -> Duration {
        clock()
    }

    /// Opens the gate up to a time of [`Gate::now`], whatever it was before.
    pub fn open_until(&self, deadline: Duration) {
        self.0.0.store(millis(deadline), Ordering::Release);
    }

    /// Shuts the gate.
    pub fn shut(&self) {
        self.0.0.store(0, Ordering::Release);
    }

    /// Returns whether connections may dial and write.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Returns the time until it shuts by itself; zero where it is shut.
    #[must_use]
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.0.0.load(Ordering::Acquire)).saturating_sub(clock())
    }

    /// Returns whether the gate is open, for events that outlive their session.
    pub(crate) fn openness(&self) -> Arc<dyn Openness> {
        Arc::clone(&self.0) as Arc<dyn Openness>
    }
}

impl Openness for Deadline {
    fn is_open(&self) -> bool {
        let deadline = self.0.load(Ordering::Acquire);
        deadline != 0 && millis(clock()) < deadline
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("left", &self.left()).finish()
    }
}

#[cfg(unix)]
fn clock() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(CLOCK);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(not(unix))]
fn clock() -> Duration {
    use std::{sync::OnceLock, time::Instant};

    static BEGUN: OnceLock<Instant> = OnceLock::new();
    // Not 0, which is a shut gate's deadline.
    BEGUN.get_or_init(Instant::now).elapsed() + Duration::from_secs(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Gate;

    #[test]
    fn a_gate_is_open_up_to_its_deadline_and_shut_from_the_first() {
        let gate = Gate::new();
        assert!(!gate.is_open() && gate.left().is_zero());
        let minute = Duration::from_secs(60);
        gate.open_until(Gate::now() + minute);
        let same = gate.clone();
        assert!(same.is_open() && same.left() <= minute);
        gate.open_until(Gate::now());
        assert!(!same.is_open() && same.left().is_zero());
        same.open_until(Duration::MAX);
        assert!(gate.is_open());
        gate.shut();
        assert!(!same.is_open());
    }
}
