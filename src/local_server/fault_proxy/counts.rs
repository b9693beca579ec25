//! Counts of a proxy.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts of a fault proxy since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyCounts {
    /// Connections accepted, including those dropped at once.
    pub connections: u64,
    /// Connections open at this moment.
    pub open: usize,
    /// Connections cut: on request, by count, by chance, or at the door.
    pub cuts: u64,
    /// Bytes received from clients to be passed on.
    pub to_server: u64,
    /// Bytes received from the server to be passed on.
    pub to_client: u64,
    /// Bytes in which a bit was flipped.
    pub corrupted: u64,
    /// Connections reset because the server behind the proxy could not be reached.
    pub unreachable: u64,
}

/// The live counts.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) connections: AtomicU64,
    pub(super) open: AtomicUsize,
    pub(super) cuts: AtomicU64,
    pub(super) to_server: AtomicU64,
    pub(super) to_client: AtomicU64,
    pub(super) corrupted: AtomicU64,
    pub(super) unreachable: AtomicU64,
    /// Woken after every change.
    pub(super) changed: Notify,
}

impl Counts {
    /// Returns every count at once.
    pub(super) fn read(&self) -> ProxyCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ProxyCounts {
            connections: of(&self.connections),
            open: self.open.load(Ordering::Relaxed),
            cuts: of(&self.cuts),
            to_server: of(&self.to_server),
            to_client: of(&self.to_client),
            corrupted: of(&self.corrupted),
            unreachable: of(&self.unreachable),
        }
    }
}
