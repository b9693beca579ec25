//! The handle: starting, faults, counts.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    counts::{Counts, ProxyCounts},
    faults::Faults,
    link::Control,
    serve::{Command, ProxyServer},
};
use crate::{
    config::ConfigBuilder,
    local_server::{
        error::LocalServerError,
        handle::LocalServer,
        limits,
        net::{Cut, Door, Port},
    },
    net::Target,
};

/// A running fault proxy: a TCP proxy on a loopback port that fails on request, by count or by chance.
///
/// It passes any bytes, TLS too. It runs in a thread of its own and ends with all its connections when the last handle is
/// dropped. Its faults can be changed at any time, and apply to open connections at once.
///
/// ```
/// use std::time::Duration;
/// use agora_chat::local_server::{Cut, FaultProxy, LocalServer, LocalServerError};
/// # #[actix_web::main]
/// # async fn main() -> Result<(), LocalServerError> {
/// let server = LocalServer::start().await?;
/// let proxy = FaultProxy::seeded(server.address(), 7).await?;
/// let config = proxy.config_through(&server)?; // for Connection::start
///
/// proxy.change(|faults| {
///     faults.to_client.delay = Duration::from_millis(80);
///     faults.to_client.cut_chance = 0.01;
/// });
/// // ... the client lives with it ...
/// proxy.change(|faults| faults.to_server.stalled = true); // the server reads nothing more
/// // ... the client notices ...
/// proxy.clear();
/// proxy.cut_all(Cut::Rst);
/// assert_eq!(proxy.counts().connections, 0); // nobody came in this example
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
///
/// # Chance
/// Every chance is drawn from the seed: the n-th connection draws the same whatever the others do, and each direction
/// draws for itself. Cuts of a whole connection and corrupted bytes depend on the bytes alone; what is drawn for each
/// chunk depends on how TCP divides them.
///
/// # Bounds
/// It holds at most 20 000 connections, one more is closed at once, and of each direction of each at most 64 KiB and
/// one chunk of 8 KiB, besides the system's buffers.
#[derive(Clone)]
pub struct FaultProxy {
    address: SocketAddr,
    upstream: Arc<str>,
    seed: u64,
    control: Arc<watch::Sender<Control>>,
    counts: Arc<Counts>,
    commands: mpsc::Sender<Command>,
    /// Closed when the proxy's thread has ended.
    running: watch::Receiver<()>,
}

impl FaultProxy {
    /// Starts a proxy without faults in front of an address, `host:port` or the URL of something there, with a seed
    /// drawn anew.
    ///
    /// # Errors
    /// [`LocalServerError::Upstream`] for what is no address, [`LocalServerError::Io`] when the system gives no port or
    /// thread.
    pub async fn start(upstream: impl fmt::Display) -> Result<Self, LocalServerError> {
        Self::seeded(upstream, fastrand::u64(..)).await
    }

    /// Starts a proxy whose chances are drawn from a seed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn seeded(upstream: impl fmt::Display, seed: u64) -> Result<Self, LocalServerError> {
        let failed = |what| move |error| LocalServerError::Io { what, error: Arc::new(error) };
        let upstream = upstream.to_string();
        let upstream: Arc<str> = authority(&upstream).ok_or(LocalServerError::Upstream(upstream))?.into();
        let control = Arc::new(watch::Sender::new(Control::default()));
        let counts = Arc::new(Counts::default());
        let (commands, received) = mpsc::channel(8);
        let (alive, running) = watch::channel(());
        let (ready, started) = oneshot::channel();
        let (serving_upstream, serving_counts, watching) =
            (Arc::clone(&upstream), Arc::clone(&counts), control.subscribe());
        std::thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || {
                let up = |(runtime, port): (actix_rt::Runtime, Port)| {
                    let address = port.address();
                    let serving = ProxyServer {
                        port,
                        upstream: serving_upstream,
                        control: watching,
                        counts: serving_counts,
                        seed,
                    };
                    (runtime, serving, address)
                };
                match start().map(up) {
                    Ok((runtime, serving, address)) => {
                        if ready.send(Ok(address)).is_ok() {
                            runtime.block_on(serving.run(received));
                        }
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
                drop(alive);
            })
            .map_err(failed("start the proxy's thread"))?;
        let address = started.await.map_err(|_| LocalServerError::Stopped)?.map_err(failed("take the proxy's port"))?;
        Ok(FaultProxy { address, upstream, seed, control, counts, commands, running })
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the seed of its chances, to repeat a run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a URL that leads to the same place through this proxy.
    ///
    /// # Errors
    /// [`LocalServerError::Upstream`] for what is no URL of `http`, `https`, `ws` or `wss`.
    pub fn through(&self, url: &str) -> Result<String, LocalServerError> {
        let target = Target::parse(url).ok_or_else(|| LocalServerError::Upstream(url.to_owned()))?;
        let (scheme, _) = url.split_once("://").unwrap_or_default();
        Ok(format!("{scheme}://{}{}", self.address, target.path.trim_end_matches('/')))
    }

    /// Begins a client configuration for a server, with socket and REST calls leading through this proxy.
    ///
    /// # Errors
    /// [`LocalServerError::Upstream`], which a running server gives no reason for.
    pub fn config_through(&self, server: &LocalServer) -> Result<ConfigBuilder, LocalServerError> {
        let (rest, socket) = (self.through(&server.rest_url())?, self.through(&server.socket_url())?);
        Ok(server.config().addresses(rest, socket))
    }

    /// The faults that hold now.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.control.borrow().faults.clone()
    }

    /// Sets the faults, for open connections too. Only cuts of a connection after a number of bytes are decided when it is
    /// accepted.
    pub fn set(&self, faults: Faults) {
        self.control.send_modify(|control| control.faults = faults);
    }

    /// Changes some of the faults.
    pub fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.control.send_modify(|control| change(&mut control.faults));
    }

    /// Ends every fault. A [`Door`] stays as it is.
    pub fn clear(&self) {
        self.set(Faults::default());
    }

    /// Cuts every open connection; returns how many there were.
    pub fn cut_all(&self, cut: Cut) -> usize {
        let open = self.counts.open.load(Ordering::Relaxed);
        self.control.send_modify(|control| control.cuts = (control.cuts.0.wrapping_add(1), Some(cut)));
        open
    }

    /// Sets the treatment of new connections; those accepted before stay as they are.
    ///
    /// # Errors
    /// [`LocalServerError::Io`] when the port was lost to another program, or does not become a [`Door::Blackhole`];
    /// [`LocalServerError::Stopped`].
    pub async fn door(&self, door: Door) -> Result<(), LocalServerError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Door(door, answer)).await.map_err(|_| LocalServerError::Stopped)?;
        let done = answered.await.map_err(|_| LocalServerError::Stopped)?;
        done.map_err(|error| LocalServerError::Io { what: "change the proxy's door", error: Arc::new(error) })
    }

    /// Returns every count at once.
    #[must_use]
    pub fn counts(&self) -> ProxyCounts {
        self.counts.read()
    }

    /// Waits until a condition holds for the counts, checking it again after every change of them.
    ///
    /// # Errors
    /// [`LocalServerError::TimedOut`] if it does not hold within `limit`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        mut holds: impl FnMut(ProxyCounts) -> bool,
    ) -> Result<(), LocalServerError> {
        let waited = timeout(limit, async {
            loop {
                let mut changed = std::pin::pin!(self.counts.changed.notified());
                // From here on no change is missed.
                changed.as_mut().enable();
                if holds(self.counts()) {
                    return;
                }
                changed.await;
            }
        });
        waited.await.map_err(|_| LocalServerError::TimedOut(limit))
    }

    /// Stops the proxy: when this returns, the port is closed, every connection and the thread ended.
    pub async fn stop(&self) {
        // A closed queue: it has stopped already.
        let _ = self.commands.send(Command::Stop).await;
        // Nothing is ever sent: this resolves when the thread drops its end.
        while self.running.clone().changed().await.is_ok() {}
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy")
            .field("address", &self.address)
            .field("upstream", &self.upstream)
            .field("seed", &self.seed)
            .field("faults", &self.faults())
            .field("counts", &self.counts())
            .finish()
    }
}

fn start() -> io::Result<(actix_rt::Runtime, Port)> {
    let runtime = actix_rt::Runtime::new()?;
    // A socket is registered with the runtime it is made in.
    let port = runtime.block_on(async { Port::any(u32::try_from(limits::BACKLOG).unwrap_or(u32::MAX)) })?;
    Ok((runtime, port))
}

/// Returns `host:port` of an address.
fn authority(address: &str) -> Option<String> {
    if address.contains("://") {
        let Target { host, port, .. } = Target::parse(address)?;
        return Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") });
    }
    let (host, port) = address.rsplit_once(':')?;
    (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| address.to_owned())
}
