//! The local server as a client sees it that was written by hand: frames and HTTP are put together here, not by the
//! crate's own client, so that a misunderstanding in one is not mirrored in the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod accounts;
mod changes;
mod control;
mod fleet_faults;
mod forged;
mod groups;
mod intake;
mod links;
mod login;
mod messages;
mod peer;
mod recorded;
mod rest;
mod rooms;
mod said;
mod sessions;
mod stored;
mod users;
