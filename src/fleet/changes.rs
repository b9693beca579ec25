//! What changes in a fleet, as a stream.

use serde::Serialize;
#[cfg(feature = "fleet-admin")]
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::fleet::{
    drain::DrainReport,
    pace::BreakerState,
    state::{AccountChange, OtherLogin},
};

/// A change in a fleet, from [`Fleet::watch`](super::Fleet::watch) and [`AccountHandle::watch`](super::AccountHandle::watch).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FleetChange {
    /// An account came to another state.
    Account(AccountChange),
    /// The breaker of logins opened, closed, or lets some try.
    Breaker {
        /// Its state.
        state: BreakerState,
    },
    /// One and the same foreign login has taken the places of many accounts within 10 minutes: 5 % of them, and 3 at
    /// least. Whatever the [`KickPolicy`](crate::KickPolicy), accounts that it takes stay parked from now on.
    ForeignFleet {
        /// The other side.
        by: OtherLogin,
        /// The accounts it has taken so far.
        accounts: usize,
    },
    /// The fleet is being drained.
    Draining,
    /// The drain is over, and with it the fleet.
    Drained(DrainReport),
    /// The watcher did not look for so long that this many changes are lost to it.
    Missed {
        /// Their number.
        count: u64,
    },
}

impl BreakerState {
    /// Returns the name that JSON and metrics use: `closed`, `open`, `half_open` or `recovering`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen { .. } => "half_open",
            BreakerState::Recovering { .. } => "recovering",
        }
    }
}

impl Serialize for BreakerState {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Sees the changes of a fleet or of one account, in order.
///
/// What waits for a watcher that does not look is bounded: past it the oldest changes are lost, and the watcher gets their
/// number as [`FleetChange::Missed`].
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<FleetChange>);

impl Changes {
    /// Changes of a fleet that wait for each watcher.
    pub const CAPACITY: usize = 4096;

    /// Changes of one account that wait for each watcher.
    pub const CAPACITY_OF_ACCOUNT: usize = 32;

    pub(super) fn new(sender: &broadcast::Sender<FleetChange>) -> Self {
        Changes(sender.subscribe())
    }

    /// Returns the next change; `None` once the fleet has ended, or the account was removed.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<FleetChange> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(count)) => Some(FleetChange::Missed { count }),
            Err(RecvError::Closed) => None,
        }
    }

    /// Returns the next change if it is there already.
    #[cfg(feature = "fleet-admin")]
    pub(super) fn ready(&mut self) -> Option<FleetChange> {
        match self.0.try_recv() {
            Ok(change) => Some(change),
            Err(TryRecvError::Lagged(count)) => Some(FleetChange::Missed { count }),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
