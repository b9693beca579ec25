//! Real processes: the examples, signals, log files and terminals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod actix_web_app;
#[cfg(unix)]
mod connect;
mod connect_tells;
mod echo_bot;
#[cfg(unix)]
mod examples;
#[cfg(unix)]
mod fleet;
mod load_harness;
mod logging;
#[cfg(unix)]
mod shutdown;
#[cfg(unix)]
mod unprivileged;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "no binary needs all of it")]
mod support;
