//! How a connection behaves in trouble: limits of memory, flapping, kicks.

use crate::net::websocket::socket::LinkLimits;
use std::time::Duration;

/// What counts as flapping: sessions that end soon after they began, again and again.
///
/// A session is short when it held for less than [`Reconnect::stable_after`](crate::Reconnect::stable_after).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flapping {
    /// How many short sessions it takes, from 2 to 1000. Default: 5.
    pub sessions: u32,
    /// Within what time. Default: 10 minutes.
    pub window: Duration,
    /// What every pause is at least while it lasts; the ladder's pause comes on top. Default: 60 s.
    pub floor: Duration,
}

impl Default for Flapping {
    fn default() -> Self {
        Flapping { sessions: 5, window: Duration::from_secs(600), floor: Duration::from_secs(60) }
    }
}

/// What to do when another device pushes this one out (206), or it is forced off by a call (217).
///
/// A removed user (207) and a changed password (216) end the session under every policy, and every kick does where
/// reconnecting is switched off or its attempts are used up. So does a return that the server refuses for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KickPolicy {
    /// The session ends; `open` logs in again. Two clients of one account then stop at the first kick. The default.
    #[default]
    Park,
    /// Log in again after this pause, from 1 s to a day, and the ladder's; however often, so two clients with this
    /// policy take the place from each other for ever, from the fifth time on as slowly as [`Flapping`] has it.
    RetryAfter(Duration),
    /// Take the place back after the ladder's pause, so many times in any window of this length, and park at the next
    /// kick.
    TakeOver {
        /// How often, from 1 to 1000.
        times: u32,
        /// In what time.
        window: Duration,
    },
}

/// How much one connection may hold. Every bound has a default; what happens past it stands beside it.
///
/// ```
/// use agora_chat::{Config, Limits};
/// let mut limits = Limits::default();
/// limits.outbox = 256 * 1024;
/// let config = Config::new("org#app")?.limits(limits)?;
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
    /// [`frame`](Self::frame) to 1 GiB; past it frames wait to be written. [`Config::max_frame`](crate::Config::max_frame)
    /// raises it with the frame. Default: 8 MiB.
    pub connection: usize,
    /// How many queues are pulled or handled at once, at least 1; the others wait for their turn. Default: 16.
    pub pulls: usize,
    /// How many message ids are remembered to drop repetitions. Default: 1024.
    pub remembered_ids: usize,
    /// For how long. Default: 1 hour.
    pub remembered_for: Duration,
    /// How many sends may wait for their answer at once, from 1 to 1 000 000; another one is refused with
    /// `SendError::Backlog`. Automatic delivery receipts count, and are at most half of them
    /// ([`Config::delivery_receipts`](crate::Config::delivery_receipts)); rooms joined again on a new link are not refused
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
