//! Copying the bytes of a link, delayed, stalled and cut on request.

use std::{collections::VecDeque, future::pending, io, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    select,
    time::{Instant, sleep_until, timeout},
};

use crate::local_server::limits;

/// Bytes of one read at most.
const CHUNK: usize = 8 << 10;

/// The kind of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// An orderly end of the TCP stream, without a WebSocket Close before it.
    Fin,
    /// A reset, as after a crash: what was on its way is lost.
    Rst,
}

/// A rate limit: a few bytes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drip {
    /// Bytes that pass at once, at least 1.
    pub bytes: usize,
    /// Time until the next ones pass.
    pub every: Duration,
}

/// The delays of one direction at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shaping {
    pub(crate) stalled: bool,
    pub(crate) delay: Duration,
    pub(crate) drip: Option<Drip>,
}

/// The faults of one direction of a link.
pub(crate) trait LinkFaults {
    /// Returns the delays of this moment.
    fn shaping(&mut self) -> Shaping;
    /// Waits until the delays may have changed; `false` if they never will again, which ends the link.
    async fn changed(&mut self) -> bool;
    /// Changes or truncates a chunk; returns the cut that follows it.
    fn pass(&mut self, _chunk: &mut BytesMut) -> Option<Cut> {
        None
    }
}

/// The end of a link.
pub(crate) enum LinkEnd {
    /// Both sides were done.
    Done,
    /// One side broke.
    Broken,
    /// It is to be cut.
    Cut(Cut),
}

/// Carries bytes between a client and a service until either is done or the link is to be cut.
pub(crate) async fn relay_both(
    public: &mut TcpStream,
    service: &mut (impl AsyncRead + AsyncWrite + Unpin),
    to_service: impl LinkFaults,
    to_client: impl LinkFaults,
    cut_requested: impl Future<Output = Cut>,
) -> LinkEnd {
    let (mut from_public, mut into_public) = public.split();
    let (mut from_service, mut into_service) = tokio::io::split(service);
    let up = copy(&mut from_public, &mut into_service, to_service);
    let down = copy(&mut from_service, &mut into_public, to_client);
    select! {
        biased;
        cut = cut_requested => LinkEnd::Cut(cut),
        end = both(up, down) => end,
    }
}

/// Ends the public side of a link that is cut.
pub(crate) async fn finish(mut public: TcpStream, cut: Cut) {
    match cut {
        Cut::Rst => reset(&public),
        Cut::Fin => {
            let _ = public.shutdown().await;
            // Closing with unread bytes would send a reset after the FIN.
            let _ = timeout(limits::CLOSE_TIMEOUT, tokio::io::copy(&mut public, &mut tokio::io::sink())).await;
        }
    }
}

/// Makes the end of a stream a reset.
pub(crate) fn reset(stream: &TcpStream) {
    // Failing means the peer has gone first, so that there is nobody left to reset.
    let _ = stream.set_zero_linger();
}

/// Runs both directions. A broken one ends the link; once the service is done the client has [`limits::CLOSE_TIMEOUT`] to
/// finish.
async fn both(
    up: impl Future<Output = io::Result<Option<Cut>>>,
    down: impl Future<Output = io::Result<Option<Cut>>>,
) -> LinkEnd {
    let (mut up, mut down) = (pin!(up), pin!(down));
    let last = select! {
        done = &mut down => match done {
            Ok(None) => timeout(limits::CLOSE_TIMEOUT, up).await.unwrap_or(Ok(None)),
            other => other,
        },
        done = &mut up => match done {
            Ok(None) => down.await,
            other => other,
        },
    };
    match last {
        Ok(None) => LinkEnd::Done,
        Ok(Some(cut)) => LinkEnd::Cut(cut),
        Err(_) => LinkEnd::Broken,
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut faults: impl LinkFaults,
) -> io::Result<Option<Cut>> {
    let mut queue: VecDeque<(Instant, Bytes)> = VecDeque::new();
    let mut buffered = 0;
    let mut open = true;
    let mut cut = None;
    let mut buffer = BytesMut::new();
    // No bytes pass before then.
    let mut next_drip = Instant::now();
    loop {
        let shaping = faults.shaping();
        if shaping.stalled {
            if !faults.changed().await {
                return Ok(None);
            }
            continue;
        }
        // Bytes read while a stall began wait for its end.
        if !buffer.is_empty() {
            cut = faults.pass(&mut buffer);
            open = cut.is_none();
            if shaping.delay.is_zero() && shaping.drip.is_none() && queue.is_empty() {
                to.write_all(&buffer).await?;
                buffer.clear();
            } else {
                buffered += buffer.len();
                // A delay that has shrunk overtakes nothing.
                let earliest = queue.back().map_or_else(Instant::now, |(due, _)| *due);
                queue.push_back(((Instant::now() + shaping.delay).max(earliest), buffer.split().freeze()));
            }
        }
        if !open && queue.is_empty() {
            if cut.is_none() {
                to.shutdown().await?;
            }
            return Ok(cut);
        }
        let due = queue.front().map(|(due, _)| if shaping.drip.is_some() { (*due).max(next_drip) } else { *due });
        buffer.reserve(CHUNK);
        select! {
            biased;
            () = until(due), if due.is_some() => {
                let Some((due, mut bytes)) = queue.pop_front() else { continue };
                if let Some(Drip { bytes: most, every }) = shaping.drip {
                    let rest = bytes.split_off(bytes.len().min(most.max(1)));
                    if !rest.is_empty() {
                        queue.push_front((due, rest));
                    }
                    next_drip = Instant::now() + every;
                }
                buffered -= bytes.len();
                to.write_all(&bytes).await?;
            }
            read = from.read_buf(&mut buffer), if open && buffered < limits::BACKLOG => {
                open = read? != 0;
            }
            changed = faults.changed() => if !changed { return Ok(None) },
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
