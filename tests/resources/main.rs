//! Memory, descriptors, allocations and work that connections take. What is counted for a whole process runs in one of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

#[cfg(target_os = "linux")]
mod connections;
#[cfg(target_os = "linux")]
mod slow_handler;
#[cfg(target_os = "linux")]
mod slow_subscribers;
#[cfg(target_os = "linux")]
mod soak_hostile;
mod weights;
mod work_per_byte;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "no binary needs all of it")]
mod support;
