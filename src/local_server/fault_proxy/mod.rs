//! A TCP proxy that makes a network fail in the ways networks do.

mod faults;
mod handle;
mod link;
mod serve;

pub use faults::{Direction, Door, Faults};
pub use handle::{FaultProxy, ProxyCounts};
