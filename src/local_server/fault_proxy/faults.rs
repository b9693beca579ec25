//! Faults of a proxy.

use std::time::Duration;

use crate::local_server::net::{Cut, Drip};

/// The faults of the connections a fault proxy passes on. Default: none.
///
/// A chance is from 0, never, to 1, always.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// From the client to the server.
    pub to_server: Direction,
    /// From the server to the client.
    pub to_client: Direction,
    /// The kind of cuts by chance and by count. Default: `None`, drawn each time.
    pub cut: Option<Cut>,
    /// Cuts each new connection after this number of bytes, both directions together, to the byte. Default: `None`.
    pub cut_after: Option<u64>,
    /// The chance that a new connection is cut, after 1 to [`cut_within`](Self::cut_within) bytes drawn evenly.
    pub cut_chance: f64,
    /// See [`cut_chance`](Self::cut_chance). Default: 0, which counts as 1.
    pub cut_within: u64,
}

/// The faults of one direction. Default: none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Direction {
    /// Reads nothing from the sender, which blocks once the buffers on the way are full (64 KiB here, besides the
    /// system's). Buffered bytes arrive when this ends.
    pub stalled: bool,
    /// Delays every chunk, in order; at most an hour.
    pub delay: Duration,
    /// The longest further delay of a chunk, drawn evenly; at most an hour.
    pub jitter: Duration,
    /// Lets only a few bytes pass at a time.
    pub drip: Option<Drip>,
    /// The chance that the connection is cut at a chunk of up to 8 KiB, at any byte of it.
    pub cut_chance: f64,
    /// The chance that a bit of a byte is flipped.
    pub corrupt_chance: f64,
}

impl Faults {
    /// Returns the same faults for both directions.
    #[must_use]
    pub fn both(direction: Direction) -> Self {
        Faults { to_server: direction, to_client: direction, ..Faults::default() }
    }

    /// Returns a stall of both directions: no byte moves, and TCP stays up.
    #[must_use]
    pub fn stalled() -> Self {
        Faults::both(Direction { stalled: true, ..Direction::default() })
    }

    /// Returns a drip of both directions.
    #[must_use]
    pub fn dripping(bytes: usize, every: Duration) -> Self {
        Faults::both(Direction { drip: Some(Drip { bytes, every }), ..Direction::default() })
    }
}
