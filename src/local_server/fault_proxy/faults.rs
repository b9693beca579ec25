//! What a fault proxy can be told to do.

use std::time::Duration;

use crate::local_server::{Cut, Drip};

/// How a fault proxy meets new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Door {
    /// They are passed on.
    #[default]
    Open,
    /// They are refused: nothing listens, the port stays reserved.
    Refused,
    /// They are taken and cut at once.
    Dropped(Cut),
    /// They are taken, whatever they send is thrown away, and nothing ever answers.
    Silent,
    /// They hang: the port gives no answer at all, not even a refusal. On Linux; elsewhere the backlog may not fill.
    Blackhole,
}

/// What a fault proxy does with the connections it passes on. The default is nothing.
///
/// A chance is from 0, never, to 1, always.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// From the client to the server.
    pub to_server: Direction,
    /// From the server to the client.
    pub to_client: Direction,
    /// How cuts by chance and by count are made. Default: `None`, one way or the other, drawn each time.
    pub cut: Option<Cut>,
    /// Cuts each new connection after so many bytes, both directions together, to the byte. Default: `None`.
    pub cut_after: Option<u64>,
    /// The chance that a new connection is cut, after 1 to [`cut_within`](Self::cut_within) bytes drawn evenly.
    pub cut_chance: f64,
    /// See [`cut_chance`](Self::cut_chance). Default: 0, which counts as 1.
    pub cut_within: u64,
}

/// What happens to the bytes of one direction. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Direction {
    /// Takes nothing from the sender, so that it gets stuck once the buffers on the way are full (64 KiB here, beside
    /// the system's). What was held back arrives when this ends.
    pub stalled: bool,
    /// Holds every chunk back for so long, order kept; at most an hour.
    pub delay: Duration,
    /// Holds every chunk back for up to so much longer, drawn evenly; at most an hour.
    pub jitter: Duration,
    /// Lets only a few bytes pass at a time.
    pub drip: Option<Drip>,
    /// The chance that the connection is cut at a chunk of up to 8 KiB, at any byte of it.
    pub cut_chance: f64,
    /// The chance that a bit of a byte is flipped.
    pub corrupt_chance: f64,
}

impl Faults {
    /// Both directions do the same.
    #[must_use]
    pub fn both(direction: Direction) -> Self {
        Faults { to_server: direction, to_client: direction, ..Faults::default() }
    }

    /// No byte moves in either direction, and TCP stays up.
    #[must_use]
    pub fn stalled() -> Self {
        Faults::both(Direction { stalled: true, ..Direction::default() })
    }

    /// Everything drips, in both directions.
    #[must_use]
    pub fn dripping(bytes: usize, every: Duration) -> Self {
        Faults::both(Direction { drip: Some(Drip { bytes, every }), ..Direction::default() })
    }
}
