//! The proxy's thread: its port, and a task for each connection.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use fastrand::Rng;
use tokio::{
    net::TcpStream,
    select,
    sync::{mpsc, oneshot, watch},
};

use super::{
    counts::Counts,
    link::{Control, ProxyLink},
};
use crate::local_server::{
    limits,
    net::{Door, Port},
};

/// Commands of the handle to the port.
pub(super) enum Command {
    Door(Door, oneshot::Sender<io::Result<()>>),
    Stop,
}

/// The proxy as its thread runs it.
pub(super) struct ProxyServer {
    pub(super) port: Port,
    pub(super) upstream: Arc<str>,
    pub(super) control: watch::Receiver<Control>,
    pub(super) counts: Arc<Counts>,
    pub(super) seed: u64,
}

impl ProxyServer {
    /// Serves until [`Command::Stop`] or until the last handle is gone.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut door = Door::Open;
        loop {
            select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Door(wanted, answer)) => {
                        let done = self.port.set(wanted).await;
                        if done.is_ok() {
                            door = wanted;
                        }
                        // An error here means that nobody waits any more.
                        let _ = answer.send(done);
                    }
                    Some(Command::Stop) | None => return,
                },
                accepted = self.port.accept() => match accepted {
                    Ok((public, _)) => self.accept(public, door),
                    // Out of descriptors, most likely: an immediate retry would only spin.
                    Err(_) => actix_rt::time::sleep(Duration::from_millis(20)).await,
                },
            }
        }
    }

    fn accept(&self, public: TcpStream, door: Door) {
        let nth = self.counts.connections.fetch_add(1, Ordering::Relaxed);
        if self.counts.open.load(Ordering::Relaxed) >= limits::LINKS {
            return;
        }
        // Read before the connection is counted: a cut after that applies to it.
        let cuts_before = self.control.borrow().cuts.0;
        self.counts.open.fetch_add(1, Ordering::SeqCst);
        self.counts.changed.notify_waiters();
        // Failing costs latency only.
        let _ = public.set_nodelay(true);
        let counts = Arc::clone(&self.counts);
        let link = ProxyLink {
            door,
            upstream: Arc::clone(&self.upstream),
            control: self.control.clone(),
            counts: Arc::clone(&counts),
            cuts_before,
            // Neighbouring seeds would give neighbouring first draws.
            rng: Rng::with_seed(self.seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15)).fork(),
        };
        actix_rt::spawn(async move {
            link.serve(public).await;
            counts.open.fetch_sub(1, Ordering::Relaxed);
            counts.changed.notify_waiters();
        });
    }
}
