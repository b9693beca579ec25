//! One connection through a fault proxy.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use fastrand::Rng;
use tokio::{
    io::{copy, sink},
    net::TcpStream,
    select,
    sync::watch,
    time::timeout,
};

use super::{
    counts::Counts,
    faults::{Direction, Faults},
};
use crate::local_server::net::{Cut, Door, LinkEnd, LinkFaults, Shaping, finish, relay_both, reset};

/// The limit of connecting to the server behind the proxy.
const UPSTREAM: Duration = Duration::from_secs(10);
/// The longest delay, and the longest jitter.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The settings of every connection at this moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Control {
    pub(super) faults: Faults,
    /// The number of cuts of all connections, and the kind of the last one.
    pub(super) cuts: (u64, Option<Cut>),
}

/// One connection to be served.
pub(super) struct ProxyLink {
    pub(super) door: Door,
    pub(super) upstream: Arc<str>,
    pub(super) control: watch::Receiver<Control>,
    pub(super) counts: Arc<Counts>,
    pub(super) rng: Rng,
    /// The number of cuts of all connections when this one was accepted.
    pub(super) cuts_before: u64,
}

impl ProxyLink {
    /// Serves one connection until it ends.
    pub(super) async fn serve(mut self, mut public: TcpStream) {
        let cut = next_cut(self.control.clone(), self.cuts_before);
        match self.door {
            Door::Dropped(cut) => self.cut(public, cut).await,
            Door::Silent => {
                let mut nowhere = sink();
                let cut = select! {
                    cut = cut => Some(cut),
                    // However it ends, the client has gone.
                    _ = copy(&mut public, &mut nowhere) => None,
                };
                if let Some(cut) = cut {
                    self.cut(public, cut).await;
                }
            }
            Door::Open | Door::Refused | Door::Blackhole => {
                let connecting = timeout(UPSTREAM, TcpStream::connect(&*self.upstream));
                let mut service = match select! { cut = cut => Err(cut), service = connecting => Ok(service) } {
                    Ok(Ok(Ok(service))) => service,
                    Ok(_) => {
                        self.counts.unreachable.fetch_add(1, Ordering::Relaxed);
                        self.counts.changed.notify_waiters();
                        return reset(&public);
                    }
                    Err(cut) => return self.cut(public, cut).await,
                };
                // Failing costs latency only.
                let _ = service.set_nodelay(true);
                let end = self.relay_both(&mut public, &mut service).await;
                if !matches!(end, LinkEnd::Done) {
                    reset(&service);
                }
                drop(service);
                match end {
                    LinkEnd::Done => {}
                    LinkEnd::Broken => reset(&public),
                    LinkEnd::Cut(cut) => self.cut(public, cut).await,
                }
            }
        }
    }

    async fn relay_both(&mut self, public: &mut TcpStream, service: &mut TcpStream) -> LinkEnd {
        let faults = self.control.borrow().faults.clone();
        let by_chance = happens(&mut self.rng, faults.cut_chance).then(|| self.rng.u64(1..=faults.cut_within.max(1)));
        let planned = by_chance.into_iter().chain(faults.cut_after).min();
        let left = Rc::new(Cell::new(planned.unwrap_or(u64::MAX)));
        let up = self.side(|faults| &faults.to_server, |counts| &counts.to_server, &left);
        let down = self.side(|faults| &faults.to_client, |counts| &counts.to_client, &left);
        relay_both(public, service, up, down, next_cut(self.control.clone(), self.cuts_before)).await
    }

    fn side(&mut self, faults: Pick, passed: Count, left: &Rc<Cell<u64>>) -> Side {
        let (control, counts) = (self.control.clone(), Arc::clone(&self.counts));
        Side { control, faults, passed, counts, left: Rc::clone(left), rng: self.rng.fork() }
    }

    async fn cut(&self, public: TcpStream, cut: Cut) {
        self.counts.cuts.fetch_add(1, Ordering::Relaxed);
        self.counts.changed.notify_waiters();
        finish(public, cut).await;
    }
}

/// Waits until all connections are cut once more.
async fn next_cut(mut control: watch::Receiver<Control>, before: u64) -> Cut {
    match control.wait_for(|control| control.cuts.0 != before).await {
        Ok(control) => control.cuts.1.unwrap_or(Cut::Fin),
        Err(_) => std::future::pending().await,
    }
}

type Pick = fn(&Faults) -> &Direction;
type Count = fn(&Counts) -> &AtomicU64;

/// One direction of a connection. It draws chances of its own, so that the other direction's traffic changes none.
struct Side {
    control: watch::Receiver<Control>,
    faults: Pick,
    passed: Count,
    counts: Arc<Counts>,
    /// The bytes left before the connection is cut, both directions together.
    left: Rc<Cell<u64>>,
    rng: Rng,
}

impl LinkFaults for Side {
    fn shaping(&mut self) -> Shaping {
        let direction = *(self.faults)(&self.control.borrow_and_update().faults);
        let jitter = direction.jitter.min(LONGEST);
        let jitter = if jitter.is_zero() { jitter } else { jitter.mul_f64(self.rng.f64()) };
        Shaping { stalled: direction.stalled, delay: direction.delay.min(LONGEST) + jitter, drip: direction.drip }
    }

    async fn changed(&mut self) -> bool {
        self.control.changed().await.is_ok()
    }

    fn pass(&mut self, chunk: &mut BytesMut) -> Option<Cut> {
        let (direction, cut) = {
            let control = self.control.borrow();
            (*(self.faults)(&control.faults), control.faults.cut)
        };
        let mut is_cut = happens(&mut self.rng, direction.cut_chance);
        if is_cut {
            chunk.truncate(self.rng.usize(0..=chunk.len()));
        }
        let left = usize::try_from(self.left.get()).unwrap_or(usize::MAX);
        if chunk.len() >= left {
            chunk.truncate(left);
            is_cut = true;
        }
        let passed = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if self.left.get() != u64::MAX {
            self.left.set(self.left.get().saturating_sub(passed));
        }
        (self.passed)(&self.counts).fetch_add(passed, Ordering::Relaxed);
        self.counts.changed.notify_waiters();
        if direction.corrupt_chance > 0.0 {
            for byte in chunk.iter_mut() {
                if happens(&mut self.rng, direction.corrupt_chance) {
                    *byte ^= 1 << self.rng.u8(0..8);
                    self.counts.corrupted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        is_cut.then(|| cut.unwrap_or_else(|| if self.rng.bool() { Cut::Fin } else { Cut::Rst }))
    }
}

fn happens(rng: &mut Rng, chance: f64) -> bool {
    chance > 0.0 && rng.f64() < chance
}
