//! One client's TCP link: bytes carried between the public socket and the service behind it, with faults on request.

use std::{
    collections::VecDeque,
    future::pending,
    io,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream},
    net::TcpStream,
    select,
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::limits;

const CHUNK: usize = 8 << 10;

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// An orderly end of the TCP stream, without a WebSocket Close before it.
    Fin,
    /// A reset, as after a crash: what was on its way is lost.
    Rst,
}

/// What is asked of one link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    pub(super) stalled: bool,
    pub(super) cut: Option<Cut>,
}

/// Carries bytes until either side is done or the link is cut. `delay_ms` holds back what the server sends.
pub(super) async fn relay(
    mut public: TcpStream,
    service: DuplexStream,
    flow: watch::Receiver<Flow>,
    delay_ms: &AtomicU64,
) {
    let cut = {
        let (mut from_client, mut to_client) = public.split();
        let (mut from_service, mut to_service) = tokio::io::split(service);
        let up = pump(&mut from_client, &mut to_service, flow.clone(), None);
        let down = pump(&mut from_service, &mut to_client, flow.clone(), Some(delay_ms));
        select! {
            biased;
            cut = cut_asked(flow.clone()) => Some(cut),
            () = both(up, down) => None,
        }
    };
    match cut {
        Some(Cut::Rst) => {
            // Failing means the peer has gone first, so that there is nobody left to reset.
            let _ = public.set_zero_linger();
        }
        Some(Cut::Fin) => {
            let _ = public.shutdown().await;
            // Closing with unread bytes would send a reset after the FIN.
            let _ = timeout(limits::FAREWELL, tokio::io::copy(&mut public, &mut tokio::io::sink())).await;
        }
        None => {}
    }
}

async fn cut_asked(mut flow: watch::Receiver<Flow>) -> Cut {
    match flow.wait_for(|flow| flow.cut.is_some()).await {
        Ok(flow) => flow.cut.unwrap_or(Cut::Fin),
        Err(_) => pending().await,
    }
}

/// Runs both directions; a broken one ends the link, and once the service is done the client gets a last moment.
async fn both(up: impl Future<Output = io::Result<()>>, down: impl Future<Output = io::Result<()>>) {
    let (mut up, mut down) = (pin!(up), pin!(down));
    select! {
        done = &mut down => if done.is_ok() { let _ = timeout(limits::FAREWELL, up).await; },
        done = &mut up => if done.is_ok() { let _ = down.await; },
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut flow: watch::Receiver<Flow>,
    delay_ms: Option<&AtomicU64>,
) -> io::Result<()> {
    let mut waiting: VecDeque<(Instant, Bytes)> = VecDeque::new();
    let mut held = 0;
    let mut open = true;
    let mut buffer = BytesMut::new();
    loop {
        if flow.wait_for(|flow| !flow.stalled).await.is_err() {
            return Ok(());
        }
        if !open && waiting.is_empty() {
            return to.shutdown().await;
        }
        let due = waiting.front().map(|(due, _)| *due);
        buffer.reserve(CHUNK);
        select! {
            biased;
            () = until(due), if due.is_some() => {
                if let Some((_, bytes)) = waiting.pop_front() {
                    held -= bytes.len();
                    to.write_all(&bytes).await?;
                }
            }
            read = from.read_buf(&mut buffer), if open && held < limits::BACKLOG => {
                if read? == 0 {
                    open = false;
                    continue;
                }
                let delay = delay_ms.map_or(0, |ms| ms.load(Ordering::Relaxed));
                if delay == 0 && waiting.is_empty() {
                    to.write_all(&buffer).await?;
                    buffer.clear();
                } else {
                    held += buffer.len();
                    waiting.push_back((Instant::now() + Duration::from_millis(delay), buffer.split().freeze()));
                }
            }
            changed = flow.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
