//! One open WebSocket: the bytes of a link in both directions.

use std::{
    cell::RefCell,
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_rt::time::{Sleep, sleep};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    frame::{ControlKind, Decoder, FrameError, Incoming, MessageKind, encode_close, encode_control, encode_message},
    write_queue::WriteQueue,
};
use crate::{
    model::error::{ConnectStep, LossCause},
    net::{ConnectProgress, Gate, Network, Stream, Target, Upgraded, dial, upgrade},
};

/// Size of the read buffer in bytes; each thread has one, shared by all its links.
const READ_BUFFER: usize = 16 * 1024;

/// Most encoded bytes that wait to be written; further frames wait until the socket takes more.
const OUTBOX_ROOM: usize = 64 * 1024;

/// Capacity in bytes that an idle link keeps for its next frames.
const OUTBOX_KEEP: usize = 1024;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::default();
    static MASKS: Masks = Masks { keyed: RandomState::new(), count: RefCell::new(0) };
}

/// Generator of masking keys that a peer cannot predict (RFC 6455 §5.3): a keyed hash of a counter.
struct Masks {
    keyed: RandomState,
    count: RefCell<u64>,
}

impl Masks {
    fn next(&self) -> [u8; 8] {
        let mut count = self.count.borrow_mut();
        *count = count.wrapping_add(1);
        self.keyed.hash_one(*count).to_ne_bytes()
    }
}

fn mask() -> [u8; 4] {
    let [a, b, c, d, ..] = MASKS.with(Masks::next);
    [a, b, c, d]
}

/// The bytes that went over a link, framing included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByteCounts {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

/// One open WebSocket.
pub(crate) struct Link<S = Stream> {
    io: S,
    decoder: Decoder,
    /// Bytes that the server sent right behind the upgrade's answer.
    early: BytesMut,
    outbox: BytesMut,
    bytes_limit: usize,
    /// Length of the write buffer, in bytes, up to which pongs are put into it.
    pongs_limit: usize,
    /// The last ping whose pong did not fit.
    unanswered: Option<BytesMut>,
    pub(crate) traffic: ByteCounts,
    /// True while the stream may hold back bytes that it accepted, as TLS does.
    unflushed: bool,
    /// True once the peer announced a message over the limit.
    pub(crate) too_large: bool,
    broken: Option<Broken>,
    /// Nothing is written while it is shut.
    gate: Option<Gate>,
}

/// A link that cannot be written any more; bytes that the server sent before may still be readable.
struct Broken {
    cause: LossCause,
    grace: Pin<Box<Sleep>>,
}

/// Time for which bytes sent before the break are read; usually they are there at once, and then the end.
const GRACE: Duration = Duration::from_millis(100);

/// Bounds of a link's memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkLimits {
    /// Largest message that is received.
    pub(crate) frame: usize,
    /// Bound for an unfinished message and the write buffer together.
    pub(crate) connection: usize,
    /// Bound for the frames that wait to be written.
    pub(crate) outbox: usize,
}

/// Connects and upgrades, without a time limit of its own: the caller drops the future on a timeout, and `progress`
/// names the step.
pub(crate) async fn connect(
    url: &str,
    network: &Network,
    sizes: LinkLimits,
    progress: &ConnectProgress,
    gate: Option<Gate>,
) -> Result<Link, LossCause> {
    // Whoever shut it ends the session with its own reason.
    let is_open = || if gate.as_ref().is_none_or(Gate::is_open) { Ok(()) } else { Err(LossCause::ClosedHere) };
    is_open()?;
    let target = Target::parse(url).ok_or_else(|| LossCause::Failed {
        step: ConnectStep::Connect,
        detail: format!("{url:?} is not an address"),
    })?;
    let stream = dial(&target, network, progress).await?;
    is_open()?;
    progress.at(ConnectStep::Upgrade);
    let nonce = MASKS.with(|masks| [masks.next(), masks.next()].concat());
    let Upgraded { stream, early } = upgrade(stream, &target, &nonce).await?;
    Ok(Link { gate, ..Link::new(stream, early, sizes) })
}

impl Link {
    /// Resets the connection: what the system still holds of it is not sent. Returns the traffic that is not counted
    /// yet.
    pub(crate) fn reset(self) -> ByteCounts {
        // One that is gone already needs none.
        let _ = self.io.below().set_zero_linger();
        self.traffic
    }
}

/// A round of reading: the thread's buffer, and how many reads are left before other work of the thread has its turn.
pub(crate) struct ReadRound {
    buffer: Box<[u8]>,
    /// Bytes that came with the upgrade's answer, while they are decoded.
    early: BytesMut,
    reads_left: usize,
}

impl ReadRound {
    /// Reads of one round.
    const READS: usize = 16;

    /// Borrows the thread's buffer until this is dropped.
    pub(crate) fn begin() -> Self {
        let kept = READ.take();
        let buffer = if kept.is_empty() { vec![0; READ_BUFFER].into() } else { kept };
        ReadRound { buffer, early: BytesMut::new(), reads_left: Self::READS }
    }
}

impl Drop for ReadRound {
    fn drop(&mut self) {
        READ.set(std::mem::take(&mut self.buffer));
    }
}

/// Outcome of a round of reading.
pub(crate) enum ReadOutcome {
    /// Nothing more for now.
    Blocked,
    /// The round's share of reads is used up; there may be more.
    More,
    /// The link has ended.
    Lost(LossCause),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    fn new(io: S, early: BytesMut, sizes: LinkLimits) -> Self {
        Link {
            io,
            decoder: Decoder::new(sizes.frame),
            early,
            outbox: BytesMut::new(),
            bytes_limit: sizes.connection,
            pongs_limit: sizes.outbox.min(sizes.connection / 2).max(1),
            unanswered: None,
            traffic: ByteCounts::default(),
            unflushed: false,
            too_large: false,
            broken: None,
            gate: None,
        }
    }

    /// Reads what is there, once: bytes for [`next`](Self::next), which must take all of them before the next read. The error
    /// says why the round of reading is over.
    pub(crate) fn read<'r>(&mut self, round: &'r mut ReadRound, cx: &mut Context<'_>) -> Result<&'r [u8], ReadOutcome> {
        // The settings ensure that a message of the largest size fits, whatever waits to be written.
        let held = self.decoder.kept();
        if held > self.bytes_limit {
            let limit = self.bytes_limit;
            let detail = format!("the connection holds {held} bytes, over its limit of {limit}");
            return Err(ReadOutcome::Lost(LossCause::Protocol(detail)));
        }
        if !self.early.is_empty() {
            round.early = std::mem::take(&mut self.early);
            return Ok(&round.early);
        }
        if round.reads_left == 0 {
            return Err(ReadOutcome::More);
        }
        round.reads_left -= 1;
        let mut filled = ReadBuf::new(&mut round.buffer);
        let cause = match Pin::new(&mut self.io).poll_read(cx, &mut filled) {
            Poll::Pending => {
                let Some(broken) = &mut self.broken else { return Err(ReadOutcome::Blocked) };
                if broken.grace.as_mut().poll(cx).is_pending() {
                    return Err(ReadOutcome::Blocked);
                }
                broken.cause.clone()
            }
            Poll::Ready(Ok(())) if !filled.filled().is_empty() => {
                let read = filled.filled().len();
                self.traffic.read += read as u64;
                // There is probably more. The receivers of what came run first, or it piles up there.
                if filled.remaining() == 0 {
                    round.reads_left = 0;
                }
                return Ok(round.buffer.get(..read).unwrap_or_default());
            }
            Poll::Ready(Ok(())) => LossCause::Ended,
            Poll::Ready(Err(error)) => LossCause::Io(error.to_string()),
        };
        Err(ReadOutcome::Lost(self.broken.as_ref().map_or(cause, |broken| broken.cause.clone())))
    }

    /// Takes the next whole thing off the front of `input`; `None` once all of `input` is taken. Pings and a Close are
    /// answered.
    ///
    /// # Errors
    /// The peer broke the rules, and the link is lost.
    pub(crate) fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Incoming<'a>>, LossCause> {
        // An incoming message leaves less space for pongs.
        let room = self.pongs_limit.min(self.bytes_limit.saturating_sub(self.decoder.kept())).max(1);
        let incoming = self.decoder.next(input).map_err(|error| {
            encode_close(error.close_code(), "", mask(), &mut self.outbox);
            self.too_large = matches!(error, FrameError::TooLarge { .. });
            LossCause::Protocol(error.to_string())
        })?;
        match &incoming {
            // A peer that does not read has only its last ping answered (RFC 6455 §5.5.3).
            Some(Incoming::Ping(payload)) if self.outbox.len() >= room => {
                self.unanswered = Some(BytesMut::from(*payload));
            }
            Some(Incoming::Ping(payload)) => pong(payload, &mut self.outbox),
            // A Close is answered with a Close of the same code (RFC 6455 §5.5.1).
            Some(Incoming::Close { code: Some(code), .. }) => encode_close(*code, "", mask(), &mut self.outbox),
            // An empty payload is never too long.
            Some(Incoming::Close { code: None, .. }) => {
                drop(encode_control(ControlKind::Close, &[], mask(), &mut self.outbox));
            }
            _ => {}
        }
        Ok(incoming)
    }

    /// Returns whether a binary message has begun to arrive and is not whole.
    pub(crate) fn is_within_a_message(&self) -> bool {
        self.decoder.is_within_a_message()
    }

    /// Writes these frames as binary messages, in order and as far as the socket takes them; the rest stays.
    ///
    /// A broken link is reported by reading, after everything that the server still sent.
    pub(crate) fn write(&mut self, frames: &mut WriteQueue, cx: &mut Context<'_>) {
        let room = self.outbox_room();
        loop {
            self.fill(frames, room);
            self.flush(cx);
            if self.broken.is_some() {
                frames.clear();
            }
            if frames.is_empty() || self.outbox.len() >= room {
                return;
            }
        }
    }

    /// Encodes a message behind those that wait to be written.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn put(&mut self, kind: MessageKind, payload: &[u8]) {
        encode_message(kind, payload, mask(), &mut self.outbox);
    }

    /// Waits for the end of the stream, discarding bytes before it.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut rest = [0; 1024];
            let mut filled = ReadBuf::new(&mut rest);
            match Pin::new(&mut self.io).poll_read(cx, &mut filled) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !filled.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }

    /// Returns the number of encoded bytes that the socket has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Writes encoded bytes, as far as the socket takes them.
    pub(crate) fn flush(&mut self, cx: &mut Context<'_>) {
        if self.broken.is_some() {
            self.outbox = BytesMut::new();
        } else if let Err(cause) = self.try_flush(cx) {
            self.outbox = BytesMut::new();
            self.broken = Some(Broken { cause, grace: Box::pin(sleep(GRACE)) });
            cx.waker().wake_by_ref();
        }
    }

    fn try_flush(&mut self, cx: &mut Context<'_>) -> Result<(), LossCause> {
        if self.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
            // The session ends with a reset, which its driver sees to.
            return Ok(());
        }
        let lost = |error: std::io::Error| Err(LossCause::Io(error.to_string()));
        while !self.outbox.is_empty() || self.unanswered.is_some() {
            if self.outbox.len() < self.pongs_limit
                && let Some(payload) = self.unanswered.take()
            {
                pong(&payload, &mut self.outbox);
            }
            match Pin::new(&mut self.io).poll_write(cx, &self.outbox) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(LossCause::Ended),
                Poll::Ready(Ok(written)) => {
                    self.traffic.written += written as u64;
                    self.outbox.advance(written);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return lost(error),
            }
        }
        if !self.unflushed {
            return Ok(());
        }
        // Written bytes become capacity again only once they are reclaimed.
        if self.outbox.try_reclaim(OUTBOX_KEEP + 1) {
            self.outbox = BytesMut::new();
        }
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                Ok(())
            }
            Poll::Ready(Err(error)) => lost(error),
        }
    }

    /// Closes the link as far as that goes without waiting: a Close frame behind the frames that wait, then the end of
    /// the stream. Dropping the link does the rest. Returns the traffic that is not counted yet.
    pub(crate) fn close(mut self, mut frames: WriteQueue, cx: &mut Context<'_>) -> ByteCounts {
        // An error means that the socket takes nothing any more, and nobody waits for it to.
        let _ = self.say_goodbye(&mut frames, cx);
        self.traffic
    }

    /// Writes what waits and a Close frame. Works also without a runtime, as when a link is dropped with its system.
    fn say_goodbye(&mut self, frames: &mut WriteQueue, cx: &mut Context<'_>) -> Result<(), LossCause> {
        if self.broken.is_some() {
            return Ok(());
        }
        loop {
            self.fill(frames, OUTBOX_ROOM);
            self.try_flush(cx)?;
            if frames.is_empty() || self.outbox.len() >= OUTBOX_ROOM {
                break;
            }
        }
        if frames.is_empty() {
            encode_close(1000, "", mask(), &mut self.outbox);
            self.try_flush(cx)?;
            let _ = Pin::new(&mut self.io).poll_shutdown(cx);
        }
        Ok(())
    }

    /// Returns the bound of the write buffer in bytes: less during an incoming message, but always enough for one
    /// frame.
    fn outbox_room(&self) -> usize {
        OUTBOX_ROOM.min(self.bytes_limit.saturating_sub(self.decoder.kept())).max(1)
    }

    /// Encodes frames as far as they fit.
    fn fill(&mut self, frames: &mut WriteQueue, room: usize) {
        while self.outbox.len() < room
            && let Some(frame) = frames.pop()
        {
            encode_message(MessageKind::Binary, frame.bytes(), mask(), &mut self.outbox);
        }
    }
}

fn pong(payload: &[u8], outbox: &mut BytesMut) {
    // A ping's payload is never too long for a pong.
    let _ = encode_control(ControlKind::Pong, payload, mask(), outbox);
}

#[cfg(test)]
mod tests;
