//! Fleets over real sockets: many accounts against the local server, with faults.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod bad_day;
mod calls;
mod drain;
mod kicks;
mod support;
mod ten_thousand;
