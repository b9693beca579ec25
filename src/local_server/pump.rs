//! Carrying the bytes of a link, held back and broken off as asked.

use std::{collections::VecDeque, future::pending, io, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    select,
    time::{Instant, sleep_until, timeout},
};

use super::limits;

/// How many bytes one read takes at the most.
const CHUNK: usize = 8 << 10;

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// An orderly end of the TCP stream, without a WebSocket Close before it.
    Fin,
    /// A reset, as after a crash: what was on its way is lost.
    Rst,
}

/// A few bytes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drip {
    /// How many bytes pass at once, at least 1.
    pub bytes: usize,
    /// How long it takes until the next ones do.
    pub every: Duration,
}

/// How one direction holds bytes back at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    pub(super) stalled: bool,
    pub(super) delay: Duration,
    pub(super) drip: Option<Drip>,
}

/// What one direction of a link suffers.
pub(super) trait LinkFaults {
    /// How bytes are held back now.
    fn hold(&mut self) -> Hold;
    /// Resolves when that may have changed; `false` if it never will again, which ends the link.
    async fn changed(&mut self) -> bool;
    /// Sees every chunk, may change it or cut it short, and says whether the link is cut behind it.
    fn pass(&mut self, _chunk: &mut BytesMut) -> Option<Cut> {
        None
    }
}

/// How a link came to its end.
pub(super) enum LinkEnd {
    /// Both sides were done.
    Done,
    /// One side broke.
    Broken,
    /// It is to be cut.
    Cut(Cut),
}

/// Carries bytes between a client and a service until either is done or the link is to be cut.
pub(super) async fn carry(
    public: &mut TcpStream,
    service: &mut (impl AsyncRead + AsyncWrite + Unpin),
    to_service: impl LinkFaults,
    to_client: impl LinkFaults,
    cut_asked: impl Future<Output = Cut>,
) -> LinkEnd {
    let (mut from_public, mut into_public) = public.split();
    let (mut from_service, mut into_service) = tokio::io::split(service);
    let up = pump(&mut from_public, &mut into_service, to_service);
    let down = pump(&mut from_service, &mut into_public, to_client);
    select! {
        biased;
        cut = cut_asked => LinkEnd::Cut(cut),
        end = both(up, down) => end,
    }
}

/// Ends the public side of a link that is cut.
pub(super) async fn finish(mut public: TcpStream, cut: Cut) {
    match cut {
        Cut::Rst => reset(&public),
        Cut::Fin => {
            let _ = public.shutdown().await;
            // Closing with unread bytes would send a reset after the FIN.
            let _ = timeout(limits::FAREWELL, tokio::io::copy(&mut public, &mut tokio::io::sink())).await;
        }
    }
}

/// Has the end of this stream be a reset.
pub(super) fn reset(stream: &TcpStream) {
    // Failing means the peer has gone first, so that there is nobody left to reset.
    let _ = stream.set_zero_linger();
}

/// Runs both directions; a broken one ends the link, and once the service is done the client gets a last moment.
async fn both(
    up: impl Future<Output = io::Result<Option<Cut>>>,
    down: impl Future<Output = io::Result<Option<Cut>>>,
) -> LinkEnd {
    let (mut up, mut down) = (pin!(up), pin!(down));
    let last = select! {
        done = &mut down => match done {
            Ok(None) => timeout(limits::FAREWELL, up).await.unwrap_or(Ok(None)),
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

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut weather: impl LinkFaults,
) -> io::Result<Option<Cut>> {
    let mut waiting: VecDeque<(Instant, Bytes)> = VecDeque::new();
    let mut held = 0;
    let mut open = true;
    let mut cut = None;
    let mut buffer = BytesMut::new();
    // Before then nothing more drips.
    let mut next_drip = Instant::now();
    loop {
        let hold = weather.hold();
        if hold.stalled {
            if !weather.changed().await {
                return Ok(None);
            }
            continue;
        }
        // What was read while a stall began waits for its end.
        if !buffer.is_empty() {
            cut = weather.pass(&mut buffer);
            open = cut.is_none();
            if hold.delay.is_zero() && hold.drip.is_none() && waiting.is_empty() {
                to.write_all(&buffer).await?;
                buffer.clear();
            } else {
                held += buffer.len();
                // A delay that has shrunk overtakes nothing.
                let earliest = waiting.back().map_or_else(Instant::now, |(due, _)| *due);
                waiting.push_back(((Instant::now() + hold.delay).max(earliest), buffer.split().freeze()));
            }
        }
        if !open && waiting.is_empty() {
            if cut.is_none() {
                to.shutdown().await?;
            }
            return Ok(cut);
        }
        let due = waiting.front().map(|(due, _)| if hold.drip.is_some() { (*due).max(next_drip) } else { *due });
        buffer.reserve(CHUNK);
        select! {
            biased;
            () = until(due), if due.is_some() => {
                let Some((due, mut bytes)) = waiting.pop_front() else { continue };
                if let Some(Drip { bytes: most, every }) = hold.drip {
                    let rest = bytes.split_off(bytes.len().min(most.max(1)));
                    if !rest.is_empty() {
                        waiting.push_front((due, rest));
                    }
                    next_drip = Instant::now() + every;
                }
                held -= bytes.len();
                to.write_all(&bytes).await?;
            }
            read = from.read_buf(&mut buffer), if open && held < limits::BACKLOG => {
                open = read? != 0;
            }
            changed = weather.changed() => if !changed { return Ok(None) },
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
