//! Dialing: name, TCP, proxy, TLS.

use std::{
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use actix_rt::time::{Instant, sleep};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

use super::{
    ConnectProgress, Network, Stream, Target, certificate_problem, client_config, names, target::is_localhost,
};
use crate::model::error::CertificateProblem;
use crate::model::error::{ConnectStep, LossCause};
use crate::util::Escaped;

/// Delay before the next address of a host is tried as well.
const STAGGER: Duration = Duration::from_millis(250);

/// Most addresses of a host that are tried.
const ADDRESSES: usize = 16;

/// Reason that a dial failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{step} failed: {}", Escaped(.detail))]
    Failed { step: ConnectStep, detail: String },
    #[error("the server's certificate was refused: {0}")]
    Certificate(CertificateProblem),
    /// Plaintext is not allowed. Nothing was sent, and the host's name was not looked up.
    #[error("`{}` is not encrypted and not on this machine; say `ConfigBuilder::allow_plaintext` if that is meant", Escaped(.0))]
    Plaintext(String),
    /// The host is this machine by its name, but traffic would leave it through a proxy. Nothing was sent.
    #[error(
        "`{}` is not encrypted and would be reached through {}, which is not on this machine; name the host in \
         `Proxy::except`, or say `ConfigBuilder::allow_plaintext` if that is meant",
        Escaped(.host), Escaped(.proxy)
    )]
    PlaintextProxy { host: String, proxy: String },
}

impl From<DialError> for LossCause {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Failed { step, detail } => LossCause::Failed { step, detail },
            DialError::Certificate(problem) => LossCause::Certificate(problem),
            DialError::Plaintext(_) | DialError::PlaintextProxy { .. } => {
                LossCause::Failed { step: ConnectStep::Connect, detail: error.to_string() }
            }
        }
    }
}

fn failed(step: ConnectStep) -> impl Fn(io::Error) -> DialError {
    move |error| DialError::Failed { step, detail: error.to_string() }
}

/// Opens a stream to a target, without a time limit of its own.
pub(crate) async fn dial(target: &Target, network: &Network, progress: &ConnectProgress) -> Result<Stream, DialError> {
    dial_by(target, network, progress, |tcp| tcp).await
}

/// Dials as [`dial`] does, over a stream that `make` wraps around the socket.
pub(crate) async fn dial_by<S: AsyncRead + AsyncWrite + Unpin>(
    target: &Target,
    network: &Network,
    progress: &ConnectProgress,
    over: impl FnOnce(TcpStream) -> S,
) -> Result<Stream<S>, DialError> {
    let tcp = over(connect_tcp(target, network, progress).await?);
    if !target.secure {
        return Ok(Stream::Plain(tcp));
    }
    progress.at(ConnectStep::Tls);
    let setup = |detail: String| DialError::Failed { step: ConnectStep::Tls, detail };
    let config = client_config(network.roots()).await.map_err(setup)?;
    let name = ServerName::try_from(target.host.clone()).map_err(|error| setup(error.to_string()))?;
    match TlsConnector::from(config).connect(name, tcp).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        Err(error) => Err(match certificate_problem(&error) {
            Some(problem) => DialError::Certificate(problem),
            None => setup(error.to_string()),
        }),
    }
}

/// Opens TCP to a target, through a proxy's tunnel where there is one.
///
/// Every connection to the service passes here, whoever named the address: the configuration, discovery or a redirect.
async fn connect_tcp(target: &Target, network: &Network, progress: &ConnectProgress) -> Result<TcpStream, DialError> {
    let proxy = network
        .proxy()
        .of(target)
        .map_err(|error| DialError::Failed { step: ConnectStep::Proxy, detail: error.to_string() })?;
    if !network.allows_through(target, proxy.as_deref()) {
        let host = target.authority.clone();
        return Err(match proxy {
            Some(proxy) if target.is_loopback() => DialError::PlaintextProxy { host, proxy: format!("{proxy:?}") },
            _ => DialError::Plaintext(host),
        });
    }
    let Some(proxy) = proxy else {
        return connect_host(&target.host, target.port, network.local(), progress).await;
    };
    // Until the tunnel is open every error is about the proxy, so that nobody looks for the fault at the service.
    progress.at(ConnectStep::Proxy);
    let failed = |detail| DialError::Failed { step: ConnectStep::Proxy, detail };
    let mut tcp = connect_host(&proxy.host, proxy.port, network.local(), &ConnectProgress::new())
        .await
        .map_err(|error| failed(format!("{proxy:?} is not reached: {error}")))?;
    proxy.tunnel(&mut tcp, target).await.map_err(failed)?;
    Ok(tcp)
}

async fn connect_host(
    host: &str,
    port: u16,
    local: Option<IpAddr>,
    progress: &ConnectProgress,
) -> Result<TcpStream, DialError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        progress.at(ConnectStep::Connect);
        let to = SocketAddr::new(address, port);
        return connect_from(local, to).await.map(quick).map_err(failed(ConnectStep::Connect));
    }
    progress.at(ConnectStep::Resolve);
    let addresses = names::addresses(host).await.and_then(|addresses| usable(host, addresses));
    let addresses = addresses.map_err(failed(ConnectStep::Resolve))?;
    progress.at(ConnectStep::Connect);
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    connect_first(interleaved(addresses), local).await.map(quick).map_err(failed(ConnectStep::Connect))
}

/// Filters the addresses of a name: for this machine's own name only loopback addresses count.
fn usable(host: &str, mut addresses: Vec<IpAddr>) -> io::Result<Vec<IpAddr>> {
    if is_localhost(host) && !addresses.is_empty() {
        addresses.retain(IpAddr::is_loopback);
        if addresses.is_empty() {
            let elsewhere = format!("`{host}` is looked up as an address of another machine; see the hosts file");
            return Err(io::Error::new(io::ErrorKind::NotFound, elsewhere));
        }
    }
    Ok(addresses)
}

/// Sets `TCP_NODELAY`, as frames are small and answers are waited for. A socket that refuses the option still works.
fn quick(stream: TcpStream) -> TcpStream {
    let _ = stream.set_nodelay(true);
    stream
}

/// Orders the addresses to try: both families in turn, in the resolver's order within each (RFC 8305 §4).
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|to| to.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] || order.len() >= ADDRESSES {
            return order;
        }
        order.extend(turn.into_iter().flatten());
    }
}

/// Connects, from a chosen address of this machine if there is one.
async fn connect_from(local: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let Some(local) = local else {
        return TcpStream::connect(to).await;
    };
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(local, 0))?;
    socket.connect(to).await
}

/// Connects to the address that answers first. Each attempt begins [`STAGGER`] after the one before it, or once that
/// has failed, so that dead addresses cost little (RFC 8305 §5). Late connections are dropped.
async fn connect_first(addresses: Vec<SocketAddr>, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut under_way: Vec<Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>> = Vec::new();
    let mut stagger = Box::pin(sleep(Duration::ZERO));
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    poll_fn(|cx| {
        loop {
            let (mut failed, mut at) = (false, 0);
            while let Some(connecting) = under_way.get_mut(at) {
                match connecting.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        (failed, last) = (true, error);
                        drop(under_way.swap_remove(at));
                    }
                    Poll::Pending => at += 1,
                }
            }
            if !failed && stagger.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match waiting.next() {
                Some(address) => {
                    under_way.push(Box::pin(connect_from(local, address)));
                    stagger.as_mut().reset(Instant::now() + STAGGER);
                }
                None if under_way.is_empty() => {
                    return Poll::Ready(Err(std::mem::replace(&mut last, io::ErrorKind::NotFound.into())));
                }
                // No attempt is left to begin: only those under way can wake this.
                None if !failed => return Poll::Pending,
                None => {}
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr, SocketAddr},
        time::Duration,
    };

    use tokio::{net::TcpListener, time::timeout};

    use super::{ConnectProgress, DialError, Network, Target, connect_first, connect_from, dial, interleaved, usable};
    use crate::{
        config::{Config, Reconnect},
        connection::Connection,
        model::{
            auth::Credentials,
            error::{ConnectStep, LossCause, OpenError},
        },
        net::{Proxy, names::tests::SILENT},
    };

    const SHORT: Duration = Duration::from_millis(100);

    /// Takes connections by the system alone, and never says a word.
    async fn silent() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn stuck_at(address: &str, network: &Network) -> ConnectStep {
        let progress = ConnectProgress::new();
        let target = Target::parse(address).unwrap();
        let dialed = timeout(SHORT, dial(&target, network, &progress)).await;
        assert!(dialed.is_err(), "it was to take too long");
        progress.step()
    }

    async fn failed_at(address: &str, network: &Network) -> ConnectStep {
        match dial(&Target::parse(address).unwrap(), network, &ConnectProgress::new()).await {
            Err(DialError::Failed { step, .. }) => step,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it was to fail"),
        }
    }

    #[actix::test]
    async fn a_silent_resolver_is_the_step_under_way_and_holds_no_other_name_up() {
        let silent = format!("wss://{SILENT}:1/");
        assert_eq!(stuck_at(&silent, &Network::default()).await, ConnectStep::Resolve);
        assert_eq!(failed_at("ws://localhost:1/", &Network::default()).await, ConnectStep::Connect);
    }

    #[actix::test]
    async fn a_login_that_waits_for_a_silent_resolver_is_given_up_and_says_so() {
        let config = Config::builder("org#app").connect_timeouts(SHORT, SHORT);
        let config = config.addresses(format!("https://{SILENT}"), format!("wss://{SILENT}/websocket"));
        let pause = Duration::from_millis(1);
        let quick = Reconnect { base: pause, cap: pause, ..Reconnect::default() };
        let config = config.reconnect(quick).build().unwrap();
        let connection = Connection::start(config).unwrap();
        let refused = connection.open(Credentials::token("alice", "YWMt-token").unwrap()).await.unwrap_err();
        let OpenError::Unreachable { cause, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(cause, &LossCause::Timeout(ConnectStep::Resolve));
    }

    #[test]
    fn the_own_name_of_this_machine_stands_for_loopback_addresses_only() {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mixed = || list(&["10.0.0.1", "::1", "2001:db8::1", "127.0.0.1"]);
        for name in ["localhost", "LocalHost."] {
            assert_eq!(usable(name, mixed()).unwrap(), list(&["::1", "127.0.0.1"]));
            let elsewhere = usable(name, list(&["10.0.0.1"])).unwrap_err();
            assert!(elsewhere.to_string().contains("another machine"), "{elsewhere}");
        }
        assert_eq!(usable("a.example", mixed()).unwrap(), mixed());
    }

    #[actix::test]
    async fn what_is_plain_goes_to_this_machine_through_no_proxy_elsewhere() {
        let network = |proxy: &str| Network::default().with_proxy(Proxy::http(proxy).unwrap());
        let (_listener, here) = silent().await;
        let elsewhere = "http://user:CANARY@192.0.2.1:3128";
        for address in ["ws://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "ws://LOCALHOST./"] {
            let target = Target::parse(address).unwrap();
            assert!(!network(elsewhere).allows(&target), "{address}");
            assert!(network(elsewhere).with_plaintext().allows(&target));
            assert!(network(&format!("http://{here}")).allows(&target), "what stays here may be plain");
            let direct = Network::default().with_proxy(Proxy::http(elsewhere).unwrap().except("*"));
            assert!(direct.allows(&target));
            let Err(refused) = dial(&target, &network(elsewhere), &ConnectProgress::new()).await else {
                panic!("{address}")
            };
            assert!(matches!(refused, DialError::PlaintextProxy { .. }), "{refused:?}");
            let said = refused.to_string();
            assert!(said.contains("192.0.2.1:3128") && said.contains("allow_plaintext"), "{said}");
            assert!(!said.contains("CANARY"), "{said}");
        }
        let secure = Target::parse("wss://127.0.0.1:1/").unwrap();
        assert!(network(elsewhere).allows(&secure), "the proxy sees nothing of what is encrypted");
    }

    #[cfg(all(target_os = "linux", feature = "local-server"))]
    #[actix::test]
    async fn a_host_that_does_not_answer_a_connect_is_the_step_under_way() {
        use crate::local_server::{Door, FaultProxy};

        let hole = FaultProxy::start("127.0.0.1:1").await.unwrap();
        hole.door(Door::Blackhole).await.unwrap();
        assert_eq!(stuck_at(&format!("ws://{}/", hole.address()), &Network::default()).await, ConnectStep::Connect);
    }

    #[actix::test]
    async fn a_silent_proxy_is_the_step_under_way_and_so_is_one_that_is_never_reached() {
        let (_listener, address) = silent().await;
        let network = Network::default().with_proxy(Proxy::http(&address.to_string()).unwrap());
        assert_eq!(stuck_at("wss://a.example/", &network).await, ConnectStep::Proxy);
    }

    #[actix::test]
    async fn a_silent_tls_handshake_is_the_step_under_way() {
        let (_listener, address) = silent().await;
        assert_eq!(stuck_at(&format!("wss://{address}/"), &Network::default()).await, ConnectStep::Tls);
    }

    #[actix::test]
    async fn a_failure_has_its_step() {
        let (listener, address) = silent().await;
        drop(listener);
        assert_eq!(failed_at(&format!("ws://{address}/"), &Network::default()).await, ConnectStep::Connect);
        let proxied = Network::default().with_proxy(Proxy::http(&address.to_string()).unwrap());
        assert_eq!(failed_at("wss://a.example/", &proxied).await, ConnectStep::Proxy);
        // A label longer than any name may have, so that nobody on the network is asked.
        let nowhere = format!("wss://{}.invalid/", "x".repeat(64));
        assert_eq!(failed_at(&nowhere, &Network::default()).await, ConnectStep::Resolve);
    }

    #[actix::test]
    async fn a_plain_address_elsewhere_is_refused_before_anything_is_asked() {
        let target = Target::parse("ws://10.0.0.1/").unwrap();
        let progress = ConnectProgress::new();
        let refused = dial(&target, &Network::default(), &progress).await;
        assert!(matches!(refused, Err(DialError::Plaintext(_))));
        // Whatever way the configuration was built: the permission stays.
        let allowed =
            Network::default().with_plaintext().with_proxy(Proxy::none()).with_roots(crate::net::Roots::default());
        assert!(allowed.allows(&target));
        assert!(!Network::default().with_proxy(Proxy::none()).allows(&target));
    }

    #[test]
    fn the_two_families_of_addresses_take_turns() {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let order = interleaved(list(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"]));
        assert_eq!(order, list(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "[::3]:1"]));
        assert!(interleaved(Vec::new()).is_empty());
    }

    #[actix::test]
    async fn a_live_address_behind_dead_ones_is_found() {
        let (live, at) = silent().await;
        let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let stream = connect_first(vec![closed, closed, closed, closed, closed, at], None);
        let stream = timeout(Duration::from_secs(5), stream);
        assert_eq!(stream.await.unwrap().unwrap().peer_addr().unwrap(), at);
        drop(live);
    }

    #[cfg(target_os = "linux")]
    #[actix::test]
    async fn a_chosen_address_of_this_machine_is_connected_from() {
        let (listener, at) = silent().await;
        let from = IpAddr::from([127, 0, 0, 9]);
        let network = Network::default().with_local(from).with_proxy(Proxy::none());
        let connected = dial(&Target::parse(&format!("ws://{at}/")).unwrap(), &network, &ConnectProgress::new()).await;
        assert_eq!(listener.accept().await.unwrap().1.ip(), from);
        drop(connected);
        let of_another_family = connect_from(Some(IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1])), at);
        assert!(of_another_family.await.is_err(), "an address is not connected from one of the other family");
    }

    #[actix::test]
    async fn where_every_address_fails_the_last_failure_is_told() {
        let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let error = connect_first(vec![closed, closed], None).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(connect_first(Vec::new(), None).await.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
