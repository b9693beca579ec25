//! What goes over the wire, without sockets: recorded vectors, properties, and what is received and sent through the engine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod fuzz_corpus;
mod receive;
mod send_vectors;
mod wire_properties;
mod wire_vectors;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "no binary needs all of it")]
mod support;
