//! The socket: the bytes of a link in both directions.

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{
    ControlKind, Decoder, FrameError, Incoming, MessageKind, encode_close, encode_control, encode_message,
};
use crate::{
    LossCause, Step,
    net::{Network, Progress, Stream, Target, Upgraded, dial, upgrade},
};

/// How much one read takes at the most; the buffer is one per thread, shared by all its links.
const READ_BUFFER: usize = 16 * 1024;

/// How many bytes may wait to be written; past it the peer is taken for one that has stopped reading.
pub(super) const OUTBOX_LIMIT: usize = 1 << 20;

/// How much room an idle link keeps for its next frames.
const OUTBOX_KEEP: usize = 1024;

thread_local! {
    static READ: RefCell<Option<Box<[u8; READ_BUFFER]>>> = const { RefCell::new(None) };
    static MASKS: Masks = Masks { keyed: RandomState::new(), count: RefCell::new(0) };
}

/// Masking keys that a peer cannot foresee (RFC 6455 §5.3): a keyed hash of a count.
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

/// One open WebSocket.
pub(super) struct Link<S = Stream> {
    io: S,
    decoder: Decoder,
    /// What the server sent right behind the upgrade's answer.
    early: BytesMut,
    outbox: BytesMut,
    /// Whether the io may hold back some of what it took, as TLS does.
    unflushed: bool,
}

/// Connects and upgrades. It has no limit of its own: whoever awaits it gives it up when its time has come, and
/// `progress` tells at which step.
pub(super) async fn connect(
    url: &str,
    network: &Network,
    max_frame: usize,
    progress: &Progress,
) -> Result<Link, LossCause> {
    let target = Target::parse(url)
        .ok_or_else(|| LossCause::Failed { step: Step::Connect, detail: format!("{url:?} is not an address") })?;
    let stream = dial(&target, network, progress).await?;
    progress.at(Step::Upgrade);
    let nonce = MASKS.with(|masks| [masks.next(), masks.next()].concat());
    let Upgraded { stream, early } = upgrade(stream, &target, &nonce).await?;
    Ok(Link::new(stream, early, max_frame))
}

/// What a round of reading came to.
pub(super) enum Read {
    /// Nothing more for now.
    Blocked,
    /// The round's share is used up; there may be more.
    More,
    /// The link has ended.
    Lost(LossCause),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// How many reads one round makes before other work of the thread gets its turn.
    const READS: usize = 16;

    fn new(io: S, early: BytesMut, max_frame: usize) -> Self {
        Link { io, decoder: Decoder::new(max_frame), early, outbox: BytesMut::new(), unflushed: false }
    }

    /// Reads what is there and hands out what is whole. `sink` answers whether to go on.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, mut sink: impl FnMut(Incoming<'_>) -> bool) -> Read {
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            if let Some(read) = self.feed(&early, &mut sink) {
                return read;
            }
        }
        let mut buffer = READ.take().unwrap_or_else(|| Box::new([0; READ_BUFFER]));
        let read = self.read_into(&mut buffer[..], cx, &mut sink);
        READ.set(Some(buffer));
        read
    }

    fn read_into(
        &mut self,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
        sink: &mut impl FnMut(Incoming<'_>) -> bool,
    ) -> Read {
        for _ in 0..Self::READS {
            let mut filled = ReadBuf::new(buffer);
            match Pin::new(&mut self.io).poll_read(cx, &mut filled) {
                Poll::Pending => return Read::Blocked,
                Poll::Ready(Err(error)) => return Read::Lost(LossCause::Io(error.to_string())),
                Poll::Ready(Ok(())) if filled.filled().is_empty() => return Read::Lost(LossCause::Ended),
                Poll::Ready(Ok(())) => {
                    if let Some(read) = self.feed(filled.filled(), sink) {
                        return read;
                    }
                }
            }
        }
        Read::More
    }

    /// `Some` when the link is over, or nobody wants to go on.
    fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Incoming<'_>) -> bool) -> Option<Read> {
        let (mut go_on, mut closed, mut pong) = (true, None, None);
        let fed = self.decoder.feed(bytes, |incoming| {
            match &incoming {
                // Only the last ping needs its answer (RFC 6455 §5.5.3), so a flood of them costs one pong a read.
                Incoming::Ping(payload) => pong = Some(BytesMut::from(*payload)),
                Incoming::Close { code, reason } => closed = Some((*code, (*reason).to_owned())),
                _ => {}
            }
            go_on = go_on && sink(incoming);
        });
        if let Some(payload) = pong.filter(|_| self.outbox.len() < OUTBOX_LIMIT) {
            // A ping's payload is never too long for a pong.
            let _ = encode_control(ControlKind::Pong, &payload, mask(), &mut self.outbox);
        }
        if !go_on {
            return Some(Read::Blocked);
        }
        if let Some((code, reason)) = closed {
            self.answer_close(code);
            return Some(Read::Lost(LossCause::ClosedByPeer { code, reason }));
        }
        fed.err().map(|error| {
            encode_close(error.close_code(), "", mask(), &mut self.outbox);
            Read::Lost(broken(&error))
        })
    }

    /// A Close is answered with a Close of the same code (RFC 6455 §5.5.1).
    fn answer_close(&mut self, code: Option<u16>) {
        match code {
            Some(code) => encode_close(code, "", mask(), &mut self.outbox),
            // No payload is never too long.
            None => drop(encode_control(ControlKind::Close, &[], mask(), &mut self.outbox)),
        }
    }

    /// Queues a binary message; [`Link::flush`] writes it.
    ///
    /// # Errors
    /// The link is to be given up when [`OUTBOX_LIMIT`] bytes are waiting already.
    pub(super) fn queue(&mut self, message: &[u8]) -> Result<(), LossCause> {
        if self.outbox.len() >= OUTBOX_LIMIT {
            return Err(LossCause::Io(format!("the peer has stopped reading: {OUTBOX_LIMIT} bytes are waiting")));
        }
        encode_message(MessageKind::Binary, message, mask(), &mut self.outbox);
        Ok(())
    }

    /// Writes what is queued, as far as the socket takes it.
    ///
    /// # Errors
    /// The link is lost.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), LossCause> {
        let lost = |error: std::io::Error| Err(LossCause::Io(error.to_string()));
        while !self.outbox.is_empty() {
            match Pin::new(&mut self.io).poll_write(cx, &self.outbox) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(LossCause::Ended),
                Poll::Ready(Ok(written)) => {
                    self.outbox.advance(written);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return lost(error),
            }
        }
        if !self.unflushed {
            return Ok(());
        }
        // What was written counts as room again only once it is reclaimed.
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

    /// Says goodbye as far as that goes without waiting: a Close frame behind what is queued, then the end of the
    /// stream. Dropping the link does the rest.
    pub(super) fn part(mut self, cx: &mut Context<'_>) {
        encode_close(1000, "", mask(), &mut self.outbox);
        if self.flush(cx).is_ok() {
            let _ = Pin::new(&mut self.io).poll_shutdown(cx);
        }
    }
}

fn broken(error: &FrameError) -> LossCause {
    LossCause::Protocol(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        sync::{Arc, Mutex},
        task::{Context, Poll, Waker},
    };

    use bytes::BytesMut;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::{Link, OUTBOX_KEEP, OUTBOX_LIMIT};

    /// Takes everything at once like TLS, and passes it on when it is flushed and may.
    #[derive(Clone, Default)]
    struct Holding(Arc<Mutex<Held>>);

    #[derive(Default)]
    struct Held {
        open: bool,
        taken: usize,
        passed_on: usize,
    }

    impl AsyncRead for Holding {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Holding {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().taken += bytes.len();
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let mut held = self.0.lock().unwrap();
            if !held.open {
                return Poll::Pending;
            }
            held.passed_on = held.taken;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn link() -> (Link<Holding>, Holding) {
        let io = Holding::default();
        (Link::new(io.clone(), BytesMut::new(), 1024), io)
    }

    #[test]
    fn what_the_io_holds_back_is_flushed_later_though_nothing_new_is_written() {
        let (mut link, io) = link();
        let mut cx = Context::from_waker(Waker::noop());
        link.queue(b"hello").unwrap();
        link.flush(&mut cx).unwrap();
        assert_eq!(io.0.lock().unwrap().passed_on, 0);
        io.0.lock().unwrap().open = true;
        link.flush(&mut cx).unwrap();
        assert_eq!(io.0.lock().unwrap().passed_on, 2 + 4 + 5);
    }

    #[test]
    fn a_large_message_leaves_no_large_buffer_behind() {
        let (mut link, _io) = link();
        let mut cx = Context::from_waker(Waker::noop());
        for size in [1, 100, 5_000, OUTBOX_LIMIT] {
            link.queue(&vec![0; size]).unwrap();
            link.flush(&mut cx).unwrap();
            assert!(!link.outbox.try_reclaim(OUTBOX_KEEP + 1), "after {size} bytes");
        }
    }

    #[test]
    fn a_peer_that_has_stopped_reading_is_given_up_at_the_limit() {
        let (mut link, _io) = link();
        link.queue(&vec![0; OUTBOX_LIMIT - 100]).unwrap();
        link.queue(&[0; 200]).unwrap();
        assert!(link.queue(b"").is_err());
    }
}
