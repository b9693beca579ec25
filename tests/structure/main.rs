//! What holds for the source and the documents: who may know whom, and that links and citations lead somewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod arrows;
mod citations;
mod docs;
