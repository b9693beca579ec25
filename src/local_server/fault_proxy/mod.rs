//! A TCP proxy that makes a network fail in the ways networks do.

mod counts;
mod faults;
mod handle;
mod link;
mod serve;

pub use counts::ProxyCounts;
pub use faults::{Direction, Faults};
pub use handle::FaultProxy;
