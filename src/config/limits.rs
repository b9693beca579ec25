//! How much one connection may hold.

use std::time::Duration;

use super::range::{count, in_range};
use crate::{model::error::ConfigError, net::websocket::link::LinkLimits};

/// How much one connection may hold. Every bound has a default; what happens past it stands beside it.
///
/// ```
/// use agora_chat::{Config, Limits};
/// let mut limits = Limits::default();
/// limits.outbox = 256 * 1024;
/// let config = Config::builder("org#app").limits(limits).build()?;
/// # Ok::<(), agora_chat::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message taken from the server in bytes, fragments joined, from 1 KiB to 64 MiB; a larger one ends
    /// the link before it is read (`LossCause::Protocol`). Default: 4 MiB (connection spec §18).
    pub frame: usize,
    /// The most metas in one page of a queue; a page of more ends the link. Default: 10 000.
    pub page_messages: usize,
    /// How many bytes may wait to be written, from 1 KiB; past it sends are refused with `SendError::OutboxFull`, and of
    /// the pings of a flood only the last is answered, once there is room. A peer
    /// that makes more than a frame beyond it wait, by asking without reading, loses the link. Default: 8 MiB.
    pub outbox: usize,
    /// What the unfinished incoming message and the bytes made ready for the socket may hold together, from
    /// [`frame`](Self::frame) to 1 GiB; past it frames wait to be written. Default: 8 MiB.
    pub connection: usize,
    /// How many queues are pulled or handled at once, at least 1; the others wait for their turn. Default: 16.
    pub pulls: usize,
    /// How many message ids are remembered to drop repetitions. Default: 1024.
    pub remembered_ids: usize,
    /// For how long. Default: 1 hour.
    pub remembered_for: Duration,
    /// How many sends may wait for their answer at once, from 1 to 1 000 000; another one is refused with
    /// `SendError::Backlog`. Automatic delivery receipts count, and are at most half of them
    /// ([`ConfigBuilder::delivery_receipts`](crate::ConfigBuilder::delivery_receipts)); rooms joined again on a new link are not refused
    /// past it. Default: 1024.
    pub pending_sends: usize,
    /// How many messages sent while a lost link is being regained are kept for the next one, at most 1 000 000, and no
    /// more than [`pending_sends`](Self::pending_sends); another one is refused with `SendError::Backlog`, and one whose
    /// bytes would bring them over [`outbox`](Self::outbox) with `SendError::OutboxFull`. 0 keeps nothing: sends then fail
    /// with `SendError::Reconnecting`. Default: 256.
    pub buffered_sends: usize,
    /// How many bytes of pages may be in the [message handler](crate::MessageHandler)'s hand, from 1 byte to 1 GiB. They
    /// are bytes of memory: a page counts for the [weight](crate::Event::weight) of its events, for some 150 bytes around
    /// each, and for what a [dead letter](crate::DeadLetter) would keep of it. Past it no queue is pulled, and a page that
    /// comes all the same is dropped unacknowledged and comes again. Only a single page may be larger. Default: 8 MiB.
    pub in_flight_bytes: usize,
}

impl Limits {
    /// Returns what a link may hold.
    pub(crate) fn sizes(&self) -> LinkLimits {
        LinkLimits { frame: self.frame, connection: self.connection, outbox: self.outbox }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        const GIB: usize = 1 << 30;
        count("the frame limit", self.frame, 1 << 10..=64 << 20, "from 1 KiB to 64 MiB")?;
        count("the limit of messages in a page", self.page_messages, 1..=1_000_000, "from 1 to 1 000 000")?;
        count("the outbox limit", self.outbox, 1 << 10..=GIB, "from 1 KiB to 1 GiB")?;
        let allowed = "from the frame limit (`Limits::frame`) to 1 GiB";
        count("the limit of a connection's bytes", self.connection, self.frame..=GIB, allowed)?;
        count("the limit of pulls at once", self.pulls, 1..=4096, "from 1 to 4096")?;
        count("the limit of remembered ids", self.remembered_ids, 0..=1_000_000, "at most 1 000 000")?;
        count("the limit of unanswered messages", self.pending_sends, 1..=1_000_000, "from 1 to 1 000 000")?;
        count("the limit of buffered messages", self.buffered_sends, 0..=1_000_000, "at most 1 000 000")?;
        count("the limit of bytes in flight", self.in_flight_bytes, 1..=GIB, "from 1 to 1 GiB")?;
        in_range("the time ids are remembered for", self.remembered_for, Duration::ZERO, "at most a day")?;
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame: 4 << 20,
            page_messages: 10_000,
            outbox: 8 << 20,
            connection: 8 << 20,
            pulls: 16,
            remembered_ids: 1024,
            remembered_for: Duration::from_secs(3600),
            pending_sends: 1024,
            buffered_sends: 256,
            in_flight_bytes: 8 << 20,
        }
    }
}
