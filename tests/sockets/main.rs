//! Connections over real sockets: faults of networks and servers, delivery, subscribers, what is kept, and secrets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod connection;
mod delivery;
mod faults;
mod handlers;
#[cfg(target_os = "linux")]
mod lent_logger;
mod messages;
mod secrets;
mod state;
#[cfg(target_os = "linux")]
mod state_files;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "no binary needs all of it")]
mod support;
