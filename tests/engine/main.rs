//! The engine in simulated time: a scripted peer, a clock that jumps, no socket and no waiting.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod abandon;
mod abort;
mod accounts;
mod admission;
mod arrivals;
mod bad_text;
mod broken_links;
mod client_frames;
mod clocks;
mod day;
mod delivery;
mod drain;
mod flapping;
mod forged;
mod given;
mod handling;
mod heartbeat;
mod holding_on;
mod kept;
mod kick_policy;
mod kicks;
mod ledger;
mod login;
mod many_queues;
mod network;
mod odd_frames;
mod outage;
mod peer;
mod postponed;
mod properties;
mod queues;
mod receipts;
mod reconnect;
mod redirect;
mod refusals;
mod renewal;
mod resource;
mod rest_errors;
mod rooms;
mod secrets;
mod sends;
mod server_frames;
mod server_texts;
mod sim;
mod state_folder;
mod states;
mod token;
mod week;
