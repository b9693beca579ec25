//! Growing pauses.

use std::time::Duration;

/// Returns `first`, doubled this many times, and never more than `longest`.
pub(crate) fn doubled(first: Duration, longest: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}
