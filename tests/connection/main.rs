//! Connections over real sockets: against the local server, and against peers played by hand where the local server
//! cannot play them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod backlog;
mod close;
mod ended;
mod handle;
mod holding_on;
mod kept;
mod kick_wars;
mod large;
mod log_levels;
mod losses;
mod main_job;
mod named_devices;
mod odd_peers;
mod raw;
mod refused;
mod renewal;
mod rooms;
mod stalls;
mod subscribers;
mod support;
mod token;
mod upgrades;
mod watching;
