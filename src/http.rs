//! The HTTP clients of a thread, for the REST calls; the sockets are opened by [`net`](crate::net).
//!
//! An `awc::Client` cannot leave its thread, so each thread that calls the service has its own; the TLS configuration
//! below it is one for each set of root certificates in the process.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use tokio::time::Instant;

use crate::{
    Step,
    net::{Network, Progress, Target, Traffic, Watched, client_config, connect_tcp},
};

/// TLS cannot be set up on this machine; plain `http` and `ws` still work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be set up: {0}; install the system's root certificates (often the package `ca-certificates`)")]
pub(crate) struct TlsSetupError(String);

/// More sockets than a process can have: awc's own limit of 100 would hold the 101st connection back in silence.
/// (Its spelling of "no limit" is beyond what a semaphore can count on 32-bit machines.)
const SOCKETS: usize = 1 << 24;

/// Longer than any timeout a call may set, so that the call's own one always decides.
const NEVER: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// How many clients a thread keeps; there is one for each way to the network, usually one or two.
const KEPT: usize = 16;

/// How long a connection that is kept for the next call waits for one. Logins in a row share connections; after that
/// nothing is left behind, and nothing is found dead.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    static CLIENTS: RefCell<HashMap<(u64, bool, Use), Kept>> = RefCell::default();
    static SWEPT: Cell<bool> = const { Cell::new(false) };
}

/// What a client is for: each use has connections of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Use {
    Calls,
    /// Up- and downloads, whose traffic is watched from the connection's beginning: none of theirs is kept.
    Files,
}

struct Kept {
    client: awc::Client,
    used: Instant,
}

/// Forgets this thread's clients, and so closes the connections they keep, once they have had no call for a while.
///
/// The pool below closes what it keeps only when it is asked for a connection again.
struct Sweep;

impl Sweep {
    /// Has the clients looked after, if nobody does yet.
    fn begin() {
        if !SWEPT.replace(true) {
            // It ends by itself, and with its runtime at the latest.
            drop(actix_rt::spawn(Sweep.run()));
        }
    }

    async fn run(self) {
        loop {
            tokio::time::sleep(LINGER).await;
            let left = CLIENTS.with_borrow_mut(|clients| {
                clients.retain(|_, kept| kept.used.elapsed() < LINGER);
                clients.len()
            });
            if left == 0 {
                break;
            }
        }
    }
}

impl Drop for Sweep {
    /// Also where the runtime ends: its connections are of no use to the thread's next one.
    fn drop(&mut self) {
        // The thread itself may be at its end.
        let clients = CLIENTS.try_with(RefCell::take);
        let _ = SWEPT.try_with(|swept| swept.set(false));
        drop(clients);
    }
}

/// This thread's client for the given address and use. A clone is a reference count.
///
/// It follows no redirect and sets no time limit at all: wrap each use in `tokio::time::timeout`.
///
/// # Errors
/// For `https` only: the machine has no usable root certificates. The next call looks again.
pub(crate) fn client(address: &str, network: &Network, used: Use) -> Result<awc::Client, TlsSetupError> {
    let secure = address.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    let key = (network.id(), secure, used);
    let known = CLIENTS.with_borrow_mut(|clients| {
        clients.get_mut(&key).map(|kept| {
            kept.used = Instant::now();
            kept.client.clone()
        })
    });
    if let Some(client) = known {
        return Ok(client);
    }
    let connector =
        awc::Connector::new().connector(Dialer(network.clone())).limit(SOCKETS).timeout(NEVER).handshake_timeout(NEVER);
    let connector = if secure {
        let config = client_config(network.roots()).map_err(|error| TlsSetupError(error.to_string()))?;
        connector.rustls_0_23(config)
    } else {
        connector
    };
    let client = awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
    CLIENTS.with_borrow_mut(|clients| {
        if clients.len() >= KEPT {
            clients.clear();
        }
        clients.insert(key, Kept { client: client.clone(), used: Instant::now() });
    });
    Sweep::begin();
    Ok(client)
}

/// How far a call has come on its way to the host.
#[derive(Clone, Default)]
pub(crate) struct Way {
    progress: Progress,
    connect: Rc<Cell<Connect>>,
    traffic: Traffic,
}

/// The connection of a call.
#[derive(Clone, Copy, Default, PartialEq)]
enum Connect {
    /// One that was kept from an earlier call, as long as no new one is asked for.
    #[default]
    Kept,
    UnderWay,
    Done,
}

tokio::task_local! {
    static WAY: Way;
}

impl Way {
    /// Runs a call that this way belongs to.
    pub(crate) async fn of<F: Future>(&self, call: F) -> F::Output {
        WAY.scope(self.clone(), call).await
    }

    /// The step that is under way; `None` once the connection is open.
    pub(crate) fn step(&self) -> Option<Step> {
        (self.connect.get() == Connect::UnderWay).then(|| self.progress.step())
    }

    /// What passes over a connection that was opened for the call.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Whether the call goes over a connection that was there before.
    pub(crate) fn is_kept(&self) -> bool {
        self.connect.get() == Connect::Kept
    }
}

/// Opens awc's connections the way the sockets are opened: through the proxy where there is one.
#[derive(Clone)]
struct Dialer(Network);

impl Service<ConnectInfo<Uri>> for Dialer {
    type Response = Connection<Uri, Watched>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let network = self.0.clone();
        Box::pin(async move {
            let uri = info.request().clone();
            let target = Target::parse(&uri.to_string()).ok_or(ConnectError::InvalidInput)?;
            let way = WAY.try_with(Way::clone).unwrap_or_default();
            way.connect.set(Connect::UnderWay);
            match connect_tcp(&target, &network, &way.progress).await {
                Ok(stream) => {
                    way.connect.set(Connect::Done);
                    Ok(Connection::new(uri, way.traffic.of(stream)))
                }
                Err(error) => Err(ConnectError::Io(std::io::Error::other(error))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CLIENTS, LINGER, SWEPT, Use, client};
    use crate::net::Network;

    #[actix::test]
    async fn a_plain_client_needs_no_root_certificates() {
        assert!(client("http://127.0.0.1", &Network::default(), Use::Calls).is_ok());
    }

    #[test]
    fn clients_and_what_they_keep_end_with_their_runtime() {
        actix_rt::System::new().block_on(async {
            assert!(client("http://127.0.0.1", &Network::default(), Use::Calls).is_ok());
            assert!(SWEPT.get() && CLIENTS.with_borrow(|clients| clients.len()) == 1);
        });
        assert!(!SWEPT.get() && CLIENTS.with_borrow(|clients| clients.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_without_a_call_is_forgotten_after_a_while() {
        tokio::task::LocalSet::new()
            .run_until(async {
                assert!(client("http://127.0.0.1", &Network::default(), Use::Calls).is_ok());
                while SWEPT.get() {
                    tokio::time::sleep(LINGER).await;
                }
                assert!(CLIENTS.with_borrow(|clients| clients.is_empty()));
            })
            .await;
    }
}
