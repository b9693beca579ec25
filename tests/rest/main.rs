//! REST calls against scripted servers and the local server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod bot;
mod calls;
mod http;
mod token_url;
mod users;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "no binary needs all of it")]
mod support;
