//! What the fuzz targets run: each function makes something of any bytes and panics where a promise is broken.
//!
//! No part of the public interface: behind the feature `fuzzing`, and free to change. `fuzz/README.md` says what is
//! checked and how to run it; `tests/protocol/fuzz_corpus.rs` runs the same functions on every change.

#![allow(clippy::expect_used, reason = "a harness fails loudly")]

mod echo;
mod engine;
mod frame_decoder;
pub(crate) mod page_view;
mod server;
mod weights;

/// A link's bytes in arbitrary cuts, through the framing and the decoding of each message.
///
/// # Panics
/// Where a promise is broken.
pub fn frame_decoder(data: &[u8]) {
    // Bytes that end too early are no input.
    let _ = frame_decoder::run(data);
}

/// A frame, or the payload of one, as a page seen in place and as the full decoder reads it.
///
/// # Panics
/// Where a promise is broken.
pub fn page_view(data: &[u8]) {
    page_view::run(data);
}

/// Reads a link's bytes as they come, in reads of 16 KiB, and decodes nothing; how many messages and control frames they were.
///
/// It is not fuzzed: what it costs is measured (`benches/costliest.rs`).
#[must_use]
pub fn framing(data: &[u8], largest: usize) -> usize {
    let (mut decoder, mut count) = (crate::net::websocket::frame::Decoder::new(largest), 0);
    for mut read in data.chunks(16 << 10) {
        while let Ok(Some(_)) = decoder.next(&mut read) {
            count += 1;
        }
    }
    count
}

/// Opens a WebSocket over this crate's own upgrade and framing and sends every message back until the link ends: what
/// ended it, and the first KiB of each message. `largest` is the limit for one message, in bytes.
///
/// It is not fuzzed; a conformance suite talks to it (`tests/conformance.rs`).
pub async fn echo(url: &str, largest: usize) -> (crate::model::error::LossCause, Vec<Vec<u8>>) {
    let limits = crate::config::Limits::default();
    let limits = crate::config::Limits {
        frame: largest,
        outbox: limits.outbox.max(2 * largest),
        connection: limits.connection.max(4 * largest),
        ..limits
    };
    echo::echo(url, &limits).await
}

/// A sequence of inputs, frames and times for the session's engine.
///
/// # Panics
/// Where a promise is broken.
pub fn engine(data: &[u8]) {
    let _ = engine::run(data);
}

/// An HTTP answer: its status, `Retry-After` and body, read as an error, a grant, users, and as `server.json`.
///
/// # Panics
/// Where a promise is broken.
pub fn rest_errors(data: &[u8]) {
    let _ = crate::rest::fuzzing::run(data);
}

/// A token in any of its forms, as text and as the content of a `007…` one.
///
/// # Panics
/// Where a promise is broken.
pub fn tokens(data: &[u8]) {
    crate::model::auth::agora_token::fuzzing::run(data);
}

/// The payload of a meta, and a meta, as the event it leads to: that counts for no more than was promised.
///
/// # Panics
/// Where a promise is broken.
pub fn weights(data: &[u8]) {
    weights::run(data);
}

/// The event that an encoded meta of a page leads to, as `alice` hears it on her `phone`; its weight is held against
/// what was really allocated.
#[must_use]
pub fn event(meta: &[u8]) -> Option<crate::model::Event> {
    weights::event(meta)
}

/// Any bytes as text and as JSON, whatever is broken in them.
///
/// # Panics
/// Where a promise is broken.
pub fn lenient(data: &[u8]) {
    let _ = crate::util::lenient::fuzzing::run(data);
}

/// Any texts before any secrets: what is shown of them, and how they are cut.
///
/// # Panics
/// Where a promise is broken.
pub fn redactor(data: &[u8]) {
    let _ = crate::model::redactor::fuzzing::run(data);
}
