//! The stream below awc's connections: reads answers as HTTP has them and hands them up in one form.
//!
//! awc takes an interim answer for the final one, the end of a connection for the end of any body, and a body without a
//! length for none; and it uses the connection again after each of these. So each answer is read here first. Its head
//! goes up in one form that leaves no doubt, its body as it comes, and a body that is cut as an error. Awc asks whether
//! a connection can be used again by reading from it: here it can after one whole answer to one whole request, with not
//! a byte behind it.

use std::{
    cell::RefCell,
    future::{Future as _, poll_fn},
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use actix_rt::net::{ActixStream, Ready};
use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::unconstrained,
};

use super::{
    WAY,
    head::{self, Framing, Head, LONGEST},
    request::Request,
};
use crate::{
    net::{Stream, WatchedStream},
    util::impls::impl_debug,
};

const INTERIM: usize = 32;

const LONGEST_LINE: usize = 4 * 1024;

const TRAILER: usize = 16 * 1024;

/// Bytes read at once where it is not known what they are.
const READ: usize = 4 * 1024;

const PASSED: usize = 16 * 1024;

pub(super) struct Wire(pub(super) Rc<RefCell<LinkState>>);

impl_debug!(|_: Wire| "Wire");

/// State of a connection; the sender of a body looks at it too.
pub(super) struct LinkState {
    stream: Stream<WatchedStream>,
    read: BytesMut,
    /// Bytes of that known not to hold the end of a head.
    searched: usize,
    out: BytesMut,
    request: Request,
    answer: ResponseState,
    /// The bytes and number of the heads of this answer.
    heads: usize,
    interim: usize,
    keeps: bool,
    is_kept: bool,
    /// Set if what is still written of the request goes nowhere: it is answered, or nobody takes it.
    refused: bool,
    /// The error of writing the rest of the request.
    unsent: Option<io::Error>,
    failed: Option<io::Error>,
}

#[derive(Clone, Copy)]
enum ResponseState {
    None,
    Head,
    Length {
        left: u64,
        all: u64,
    },
    Chunks {
        at: Chunk,
        got: u64,
    },
    UntilEnd {
        got: u64,
    },
    /// There is no more of it, and never another one.
    Over,
}

#[derive(Clone, Copy)]
enum Chunk {
    Size,
    Data(u64),
    End,
    Trailer(usize),
}

impl Wire {
    pub(super) fn new(stream: Stream<WatchedStream>) -> Self {
        Wire(Rc::new(RefCell::new(LinkState {
            stream,
            read: BytesMut::new(),
            searched: 0,
            out: BytesMut::new(),
            request: Request::default(),
            answer: ResponseState::None,
            heads: 0,
            interim: 0,
            keeps: true,
            is_kept: false,
            refused: false,
            unsent: None,
            failed: None,
        })))
    }
}

impl LinkState {
    /// Returns whether the request was answered before all of it was sent, in a way that makes the rest useless.
    pub(super) fn poll_refused(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.refused
            && matches!(self.answer, ResponseState::Head)
            && self.request.has_begun()
            && !self.request.is_whole()
        {
            match self.poll_head(cx) {
                // Something is answered, or nothing more will be; the rest may still be wanted after a success.
                Poll::Pending | Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(status))) => self.refused = status >= 300,
                Poll::Ready(Err(error)) => (self.refused, self.failed) = (true, Some(error)),
            }
        }
        self.refused
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_kept && !self.is_quiet(cx) {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the kept connection is of no more use"));
        }
        (self.request, self.answer) = (Request::default(), ResponseState::Head);
        (self.heads, self.interim, self.keeps, self.refused) = (0, 0, true, false);
        Ok(())
    }

    /// Returns whether the server has neither said a word nor hung up since the last answer.
    fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let stream = &mut self.stream;
        // A task whose turn is over would be told that there is nothing.
        let read = unconstrained(poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut [0]))));
        let read = pin!(read).poll(cx);
        // What the runtime has not heard of yet is there all the same. An error is a socket without a byte.
        let waiting = SockRef::from(self.stream.below().socket()).peek(&mut [MaybeUninit::uninit()]);
        let none = matches!(&waiting, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        let quiet = self.keeps && self.read.is_empty() && read.is_pending() && none;
        self.keeps &= quiet;
        quiet
    }

    /// Reads up to the final answer's head and gives its status; `None` where the connection ended before a byte of it.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u16>>> {
        loop {
            let blank = head::blank(&self.read);
            self.read.advance(blank);
            self.searched = self.searched.saturating_sub(blank);
            self.heads += blank;
            if let Some(length) = head::length(&self.read, self.searched) {
                self.searched = 0;
                let text = self.read.split_to(length);
                if let Some(status) = self.take_head(&text)? {
                    return Poll::Ready(Ok(Some(status)));
                }
                continue;
            }
            if !head::is_plausible(&self.read) {
                return Poll::Ready(Err(malformed("it is not HTTP")));
            }
            self.searched = self.read.len();
            if self.heads + self.searched >= LONGEST {
                return Poll::Ready(Err(malformed("its head is too long")));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) if self.interim == 0 && self.read.is_empty() => return Poll::Ready(Ok(None)),
                Ok(0) => return Poll::Ready(Err(cut("cut off within the head of the answer"))),
                Ok(_) => {}
                // A kept connection that was closed just now: the request was not seen.
                Err(_) if self.is_kept && self.interim == 0 && self.read.is_empty() => return Poll::Ready(Ok(None)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Takes a head that was read; `None` where another one follows.
    fn take_head(&mut self, text: &[u8]) -> io::Result<Option<u16>> {
        self.heads += text.len();
        let head = Head::parse(text, self.request.is_head()).map_err(|error| malformed(&error.0))?;
        if head.is_interim() {
            self.interim += 1;
            return if self.interim > INTERIM { Err(malformed("it has too many interim heads")) } else { Ok(None) };
        }
        // A server that answers before it has the request may take the rest of it for the next one.
        self.keeps = head.keeps && self.request.is_whole();
        self.out.extend_from_slice(&head.canonical(self.keeps));
        self.answer = match head.framing {
            _ if head.status == 101 => ResponseState::Over,
            Framing::Length(all) => ResponseState::Length { left: all, all },
            Framing::Chunked => ResponseState::Chunks { at: Chunk::Size, got: 0 },
            Framing::UntilEnd => ResponseState::UntilEnd { got: 0 },
        };
        if matches!(self.answer, ResponseState::Length { all: 0, .. }) {
            self.finish();
        }
        Ok(Some(head.status))
    }

    fn finish(&mut self) {
        self.keeps &= self.read.is_empty() && self.request.is_whole();
        self.answer = if self.keeps { ResponseState::None } else { ResponseState::Over };
        self.is_kept = true;
        // What waits for another request holds no memory.
        self.read = BytesMut::new();
    }

    /// Reads what may be a head, or what stands between chunks.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0; READ];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.read.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Passes on bytes of a body, up to a bound; returns their number.
    fn poll_pass(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>, most: u64) -> Poll<io::Result<usize>> {
        let most = usize::try_from(most).unwrap_or(PASSED).min(PASSED).min(to.remaining());
        if !self.read.is_empty() {
            let length = most.min(self.read.len());
            to.put_slice(self.read.get(..length).unwrap_or_default());
            self.read.advance(length);
            return Poll::Ready(Ok(length));
        }
        let mut place = ReadBuf::new(to.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut place))?;
        let length = place.filled().len();
        to.advance(length);
        Poll::Ready(Ok(length))
    }

    /// Reads a line, without its end; `None` where the connection ended before it.
    fn poll_line(&mut self, cx: &mut Context<'_>, longest: usize) -> Poll<io::Result<Option<BytesMut>>> {
        loop {
            if let Some(end) = self.read.iter().take(longest).position(|byte| *byte == b'\n') {
                let mut line = self.read.split_to(end + 1);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.truncate(end - 1);
                }
                return Poll::Ready(Ok(Some(line)));
            }
            if self.read.len() >= longest {
                return Poll::Ready(Err(malformed("its chunks are malformed")));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.out.is_empty() {
                let length = self.out.len().min(to.remaining());
                to.put_slice(self.out.get(..length).unwrap_or_default());
                self.out.advance(length);
                return Poll::Ready(Ok(()));
            }
            if let Some(failed) = self.failed.take() {
                return Poll::Ready(Err(failed));
            }
            let answer = self.answer;
            match answer {
                ResponseState::None if self.is_quiet(cx) => return Poll::Pending,
                ResponseState::None | ResponseState::Over => return Poll::Ready(Ok(())),
                ResponseState::Head => {
                    if ready!(self.poll_head(cx))?.is_none() {
                        let unsent = self.unsent.take().filter(|_| !self.is_kept);
                        self.answer = ResponseState::Over;
                        return Poll::Ready(unsent.map_or(Ok(()), Err));
                    }
                }
                ResponseState::Length { left, all } => {
                    let passed = ready!(self.poll_pass(cx, to, left));
                    let passed = whole(passed, || format!("after {} of {all} bytes", all - left))? as u64;
                    self.answer = ResponseState::Length { left: left - passed, all };
                    if left == passed {
                        self.finish();
                    }
                    return Poll::Ready(Ok(()));
                }
                ResponseState::UntilEnd { got } => match ready!(self.poll_pass(cx, to, u64::MAX)) {
                    Ok(0) => self.answer = ResponseState::Over,
                    passed => {
                        let passed = whole(passed, || format!("after {got} bytes"))? as u64;
                        self.answer = ResponseState::UntilEnd { got: got + passed };
                        return Poll::Ready(Ok(()));
                    }
                },
                ResponseState::Chunks { at, got } => {
                    let short = || format!("after {got} bytes, within the chunks");
                    match at {
                        Chunk::Size => {
                            let line = whole_line(ready!(self.poll_line(cx, LONGEST_LINE)), short)?;
                            let size = chunk_size(&line).ok_or_else(|| malformed("its chunks are malformed"))?;
                            let at = if size == 0 { Chunk::Trailer(0) } else { Chunk::Data(size) };
                            if size > 0 {
                                self.out.extend_from_slice(format!("{size:X}\r\n").as_bytes());
                            }
                            self.answer = ResponseState::Chunks { at, got };
                        }
                        Chunk::Data(left) => {
                            let passed = whole(ready!(self.poll_pass(cx, to, left)), short)? as u64;
                            let at = if left == passed { Chunk::End } else { Chunk::Data(left - passed) };
                            self.answer = ResponseState::Chunks { at, got: got + passed };
                            return Poll::Ready(Ok(()));
                        }
                        Chunk::End => {
                            let line = whole_line(ready!(self.poll_line(cx, 2)), short)?;
                            if !line.is_empty() {
                                return Poll::Ready(Err(malformed("its chunks are malformed")));
                            }
                            self.out.extend_from_slice(b"\r\n");
                            self.answer = ResponseState::Chunks { at: Chunk::Size, got };
                        }
                        Chunk::Trailer(length) => {
                            let line = ready!(self.poll_line(cx, LONGEST_LINE));
                            match line {
                                Ok(Some(line)) if !line.is_empty() => {
                                    let length = length + line.len();
                                    if length > TRAILER {
                                        return Poll::Ready(Err(malformed("its trailer is too long")));
                                    }
                                    self.answer = ResponseState::Chunks { at: Chunk::Trailer(length), got };
                                    continue;
                                }
                                Ok(Some(_)) => {}
                                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                                    return Poll::Ready(Err(error));
                                }
                                // The last chunk has come, and so all of the body (RFC 9112 §8).
                                Ok(None) | Err(_) => self.keeps = false,
                            }
                            self.out.extend_from_slice(b"0\r\n\r\n");
                            self.finish();
                        }
                    }
                }
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if matches!(self.answer, ResponseState::None) {
            self.begin(cx)?;
        }
        if self.poll_refused(cx) {
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.request.is_whole() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match ready!(Pin::new(&mut self.stream).poll_write(cx, bytes)) {
            Ok(sent) => {
                self.request.sent(bytes.get(..sent).unwrap_or_default());
                Poll::Ready(Ok(sent))
            }
            Err(error) => {
                self.unsendable(error);
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }

    /// Notes that nothing more can be sent; what the server has said may still be read.
    fn unsendable(&mut self, error: io::Error) {
        (self.refused, self.keeps) = (true, false);
        self.unsent.get_or_insert(error);
    }
}

impl Drop for LinkState {
    /// Tells a server under TLS that this is the end, as far as that can be done without waiting.
    fn drop(&mut self) {
        if matches!(self.stream, Stream::Tls(_)) {
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut link = self.0.borrow_mut();
        let read = link.poll_answer(cx, buffer);
        if matches!(read, Poll::Ready(Err(_))) {
            (link.keeps, link.answer) = (false, ResponseState::Over);
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Whoever makes the call may watch for an answer that comes before all of it is sent.
        let _ = WAY.try_with(|way| {
            let mut link = way.link.borrow_mut();
            if link.upgrade().is_none_or(|known| !Rc::ptr_eq(&known, &self.0)) {
                *link = Rc::downgrade(&self.0);
            }
        });
        self.0.borrow_mut().poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut link = self.0.borrow_mut();
        if link.poll_refused(cx) {
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(&mut link.stream).poll_flush(cx)) {
            Ok(()) => {}
            Err(error) => link.unsendable(error),
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }
}

impl ActixStream for Wire {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.0.borrow().stream.below().poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.0.borrow().stream.below().poll_write_ready(cx)
    }
}

/// Returns the number of bytes that came, which are none only where a body is cut.
fn whole(passed: io::Result<usize>, short: impl FnOnce() -> String) -> io::Result<usize> {
    match passed {
        Ok(0) => Err(cut(&format!("cut off {}", short()))),
        Ok(passed) => Ok(passed),
        Err(error) => Err(cut(&format!("cut off {} ({error})", short()))),
    }
}

fn whole_line(line: io::Result<Option<BytesMut>>, short: impl FnOnce() -> String) -> io::Result<BytesMut> {
    match line {
        Ok(Some(line)) => Ok(line),
        Ok(None) => Err(cut(&format!("cut off {}", short()))),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(error),
        Err(error) => Err(cut(&format!("cut off {} ({error})", short()))),
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.split(|byte| *byte == b';').next()?).ok()?.trim();
    let digits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { u64::from_str_radix(text, 16).ok() } else { None }
}

fn cut(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
