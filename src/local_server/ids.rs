//! Fresh ids.

use crate::util::unix_time::now_ms;

/// Returns a random UUID.
pub(crate) fn uuid() -> String {
    let (a, b) = (fastrand::u64(..), fastrand::u64(..));
    let (high, low) = (b >> 48, b & 0xffff_ffff_ffff);
    format!("{:08x}-{:04x}-4{:03x}-{:04x}-{low:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff, 0x8000 | high & 0x3fff)
}

/// The ids of one server; each is larger than every one before.
#[derive(Default)]
pub(crate) struct Ids {
    last: u64,
    last_muc: u64,
}

impl Ids {
    /// Returns a fresh message id: 64 bits, above 2^53.
    pub(crate) fn next(&mut self) -> u64 {
        self.next_run(1)
    }

    /// Reserves `count` consecutive message ids and returns the first.
    pub(crate) fn next_run(&mut self, count: u64) -> u64 {
        let first = (now_ms() << 20).max(self.last + 1);
        self.last = first.saturating_add(count.saturating_sub(1));
        first
    }

    /// Returns a fresh id of a group or room: 15 digits, as the service's are.
    pub(crate) fn next_muc(&mut self) -> String {
        self.last_muc = (now_ms() << 7).max(self.last_muc + 1);
        self.last_muc.to_string()
    }
}
