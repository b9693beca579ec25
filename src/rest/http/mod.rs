//! The HTTP clients of a thread, for the REST calls; the sockets are opened by [`net`](crate::net).
//!
//! awc makes the calls; how the connections below it are opened and what comes over them is read here ([`wire`]), and
//! the bodies it is given stop where the server has answered already ([`Refusable`]).
//!
//! An `awc::Client` cannot leave its thread, so each thread that calls the service has its own; the TLS configuration
//! below it is one for each set of root certificates in the process.

mod head;
mod refusable;
mod request;
mod unpack;

mod wire;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    task::Context,
    time::Duration,
};

use actix_rt::Arbiter;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::{Method, Uri, header::HOST};
use tokio::time::Instant;

use crate::{
    model::error::ConnectStep,
    net::{Activity, ConnectProgress, Network, Target, dial_by},
};
use wire::{LinkState, Wire};

pub(crate) use refusable::Refusable;
pub(crate) use unpack::{Packed, first_coding, unpacked};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("it is not an address of http or https")]
    Address,
}

/// More sockets than a process has: awc's own limit of 100 would delay the next in silence, and 0 overflows on 32 bits.
const SOCKETS: usize = 1 << 24;

/// Longer than any timeout a call may set, so that the call's own one always decides.
const NEVER: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// The most clients of a thread; there is one for each way to the network, usually one or two.
const KEPT: usize = 16;

/// Idle time of a pooled connection. Logins in a row share connections; none is found dead later.
const LINGER: Duration = Duration::from_secs(1);

/// Key of a client: the way to the network, whether it is encrypted, and whether connections are pooled.
type Key = (u64, bool, bool);

thread_local! {
    static CLIENTS: RefCell<HashMap<Key, CachedClients>> = RefCell::default();
    static SWEPT: Cell<bool> = const { Cell::new(false) };
}

struct CachedClients {
    client: awc::Client,
    used: Instant,
}

/// Drops this thread's idle clients, and so their pooled connections, which the pool closes only at its next use.
struct Sweep;

impl Sweep {
    /// Has the clients looked after, if nobody does yet. Nobody can outside an actix system.
    fn begin() {
        if !SWEPT.replace(true) {
            // It ends by itself, and with its arbiter at the latest.
            let begun = Arbiter::try_current().is_some_and(|arbiter| arbiter.spawn(Sweep.run()));
            SWEPT.set(begun);
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

/// Returns whether a call can be made from here: in an actix system, or in a task bound to its thread.
pub(crate) fn is_possible() -> bool {
    tokio::runtime::Handle::try_current().is_ok() && (in_system() || tokio::task::try_id().is_some())
}

pub(crate) fn in_system() -> bool {
    Arbiter::try_current().is_some_and(|arbiter| arbiter.alive())
}

/// Makes a request to an address, by this thread's client for it. `share` keeps the connection for the next one.
///
/// It follows no redirect and sets no time limit at all: wrap each use in `tokio::time::timeout`.
///
/// # Errors
/// [`CallError`] for an address that cannot be called.
pub(crate) fn request(
    method: Method,
    address: &str,
    network: &Network,
    share: bool,
) -> Result<awc::ClientRequest, CallError> {
    let target = Target::parse(address).ok_or(CallError::Address)?;
    // awc makes no TLS: it is given a stream that has it already. Userinfo goes nowhere.
    let url = format!("http://{}{}", target.authority, target.path);
    // What is kept is closed by a task of the arbiter's.
    let share = share && in_system();
    let request = client(target.secure, network, share).request(method, url).insert_header((HOST, target.authority));
    Ok(if share { request } else { request.force_close() })
}

fn client(secure: bool, network: &Network, share: bool) -> awc::Client {
    let key = (network.id(), secure, share);
    let known = CLIENTS.with_borrow_mut(|clients| {
        clients.get_mut(&key).map(|kept| {
            kept.used = Instant::now();
            kept.client.clone()
        })
    });
    if let Some(client) = known {
        return client;
    }
    let dialer = Dialer { network: network.clone(), secure };
    let connector = awc::Connector::new().connector(dialer).limit(SOCKETS).timeout(NEVER).handshake_timeout(NEVER);
    let client = awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
    CLIENTS.with_borrow_mut(|clients| {
        if clients.len() >= KEPT {
            clients.clear();
        }
        clients.insert(key, CachedClients { client: client.clone(), used: Instant::now() });
    });
    Sweep::begin();
    client
}

/// Progress of a call's dial.
#[derive(Clone, Default)]
pub(crate) struct CallProgress {
    progress: ConnectProgress,
    connect: Rc<Cell<Connect>>,
    traffic: Activity,
    /// The connection that the call goes over, once some of it was sent.
    link: Rc<RefCell<Weak<RefCell<LinkState>>>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Connect {
    /// One that was kept from an earlier call, as long as no new one is asked for.
    #[default]
    Kept,
    UnderWay,
    Done,
}

tokio::task_local! {
    static WAY: CallProgress;
}

impl CallProgress {
    pub(crate) async fn of<F: Future>(&self, call: F) -> F::Output {
        WAY.scope(self.clone(), call).await
    }

    /// Returns the step that is under way; `None` once the connection is open.
    pub(crate) fn step(&self) -> Option<ConnectStep> {
        (self.connect.get() == Connect::UnderWay).then(|| self.progress.step())
    }

    pub(crate) fn traffic(&self) -> &Activity {
        &self.traffic
    }

    /// Returns whether the answer makes the unsent rest of the call useless. The task is woken when that changes.
    fn poll_refused(&self, cx: &mut Context<'_>) -> bool {
        let link = self.link.borrow().upgrade();
        link.is_some_and(|link| link.borrow_mut().poll_refused(cx))
    }

    /// Returns whether the call goes over a connection that was there before.
    pub(crate) fn is_kept(&self) -> bool {
        self.connect.get() == Connect::Kept
    }
}

/// Opens awc's connections the way the sockets are opened: through the proxy where there is one, and with TLS.
#[derive(Clone)]
struct Dialer {
    network: Network,
    secure: bool,
}

impl Service<ConnectInfo<Uri>> for Dialer {
    type Response = Connection<Uri, Wire>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let Dialer { network, secure } = self.clone();
        Box::pin(async move {
            let uri = info.request().clone();
            let scheme = if secure { "https" } else { "http" };
            let target = uri.authority().and_then(|host| Target::parse(&format!("{scheme}://{host}/")));
            // awc panics at the error that is meant for this.
            let target = target.ok_or(ConnectError::Unresolved)?;
            let way = WAY.try_with(CallProgress::clone).unwrap_or_default();
            way.connect.set(Connect::UnderWay);
            match dial_by(&target, &network, &way.progress, |tcp| way.traffic.of(tcp)).await {
                Ok(stream) => {
                    way.connect.set(Connect::Done);
                    Ok(Connection::new(uri, Wire::new(stream)))
                }
                Err(error) => Err(ConnectError::Io(std::io::Error::other(error))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CLIENTS, LINGER, SWEPT, client, is_possible};
    use crate::net::Network;

    fn made() -> bool {
        let _client = client(false, &Network::default(), true);
        CLIENTS.with_borrow(|clients| !clients.is_empty())
    }

    #[actix::test]
    async fn a_plain_client_needs_no_root_certificates() {
        assert!(made());
    }

    #[test]
    fn clients_and_what_they_keep_end_with_their_runtime() {
        actix_rt::System::new().block_on(async {
            assert!(made());
            assert!(SWEPT.get() && CLIENTS.with_borrow(|clients| clients.len()) == 1);
        });
        assert!(!SWEPT.get() && CLIENTS.with_borrow(|clients| clients.is_empty()));
        assert!(!is_possible());
    }

    #[actix::test]
    async fn a_client_without_a_call_is_forgotten_after_a_while() {
        tokio::time::pause();
        assert!(made());
        while SWEPT.get() {
            tokio::time::sleep(LINGER).await;
        }
        assert!(CLIENTS.with_borrow(|clients| clients.is_empty()));
    }

    #[tokio::test]
    async fn a_runtime_that_is_no_actix_system_is_told_from_one_but_a_task_bound_to_its_thread_will_do() {
        assert!(!is_possible());
        assert!(made() && !SWEPT.get(), "and nothing panics");
        tokio::task::LocalSet::new()
            .run_until(async {
                assert!(tokio::task::spawn_local(async { is_possible() }).await.unwrap());
            })
            .await;
    }
}
