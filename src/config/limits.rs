//! Bounds of one connection.

use std::time::Duration;

use super::range::{count, in_range};
use crate::{model::error::ConfigError, net::websocket::link::LinkLimits};

/// The bounds of one connection. Each has a default, and documents what happens past it.
///
/// ```
/// use agora_chat::{Config, Limits};
/// let mut limits = Limits::default();
/// limits.outbox = 256 * 1024;
/// let config = Config::builder("org#app").limits(limits).build()?;
/// # Ok::<(), agora_chat::errors::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message from the server in bytes, fragments joined, from 1 KiB to 64 MiB; a larger one ends the link
    /// before it is read (`LossCause::Protocol`). Default: 4 MiB (connection spec §18).
    pub frame: usize,
    /// The most metas in one page of a queue; a page of more ends the link. Default: 10 000.
    pub page_messages: usize,
    /// Bytes that may wait to be written, from 1 KiB to 1 GiB. Past it sends are refused with `SendError::OutboxFull`, and of
    /// the pings of a flood only the last is answered, once there is capacity. A peer that causes more than a frame beyond it
    /// to wait, by requesting without reading, loses the link. Default: 8 MiB.
    pub outbox: usize,
    /// Bytes of the unfinished incoming message and of those encoded for the socket together, from [`frame`](Self::frame) to
    /// 1 GiB; past it frames wait to be written. Default: 8 MiB.
    pub connection: usize,
    /// Queues pulled or handled at once, from 1 to 4096; the others wait. Default: 16.
    pub pulls: usize,
    /// Message ids in the dedup window, at most 1 000 000. Default: 1024.
    pub remembered_ids: usize,
    /// Age of the dedup window, at most a day. Default: 1 hour.
    pub remembered_for: Duration,
    /// Sends that may wait for their answer at once, from 1 to 1 000 000; another one is refused with `SendError::Backlog`.
    /// Automatic delivery receipts count, and are at most half of them
    /// ([`ConfigBuilder::delivery_receipts`](crate::ConfigBuilder::delivery_receipts)); rooms rejoined on a new link are not
    /// refused past it. Default: 1024.
    pub pending_sends: usize,
    /// Messages buffered while a lost link is being regained, at most 1 000 000, and no more than
    /// [`pending_sends`](Self::pending_sends); another one is refused with `SendError::Backlog`, and one whose bytes would
    /// exceed [`outbox`](Self::outbox) with `SendError::OutboxFull`. 0 buffers nothing: sends then fail with
    /// `SendError::Reconnecting`. Default: 256.
    pub buffered_sends: usize,
    /// Bytes of pages in flight, which the [message handler](crate::MessageHandler) has not finished, from 1 byte to 1 GiB.
    /// They are bytes of memory: a page counts for the [weight](crate::Event::weight) of its events, for some 150 bytes
    /// around each, and for the content a [dead letter](crate::delivery::DeadLetter) would have. Past it no queue is pulled, and a page
    /// that arrives all the same is dropped unacknowledged and comes again. Only a single page may be larger. Default:
    /// 8 MiB.
    pub in_flight_bytes: usize,
}

impl Limits {
    /// Returns the bounds of a link.
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
