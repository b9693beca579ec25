//! The REST a bot needs, against scripted servers: files, history, presence, attributes, conversations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod bad_text;
mod calls;
mod charged;
mod connection;
mod downloads;
mod echoes;
mod errors;
mod given_up;
#[path = "../support/scripted.rs"]
mod scripted;
mod secrets;
mod support;
mod uploads;
