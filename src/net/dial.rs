//! Name, TCP, proxy, TLS.

use std::{io, time::Duration};

use actix_rt::time::timeout;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::{CertificateProblem, Network, Progress, Stream, Target, certificate_problem, client_config};
use crate::{LossCause, Step};

/// How long one of several addresses of a host is tried before the next one is.
const PER_ADDRESS: Duration = Duration::from_secs(3);

/// What went wrong on the way to a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{step} failed: {detail}")]
    Failed { step: Step, detail: String },
    #[error("the server's certificate was refused: {0}")]
    Certificate(CertificateProblem),
    /// Nothing was sent, and the host's name was not even asked for.
    #[error("`{0}` is not encrypted and not on this machine; say `Config::allow_plaintext` if that is meant")]
    Plaintext(String),
}

impl From<DialError> for LossCause {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Failed { step, detail } => LossCause::Failed { step, detail },
            DialError::Certificate(problem) => LossCause::Certificate(problem),
            DialError::Plaintext(_) => LossCause::Failed { step: Step::Connect, detail: error.to_string() },
        }
    }
}

fn failed(step: Step) -> impl Fn(io::Error) -> DialError {
    move |error| DialError::Failed { step, detail: error.to_string() }
}

/// Opens a stream to a target. It has no time limit of its own but one for each of several addresses.
pub(crate) async fn dial(target: &Target, network: &Network, progress: &Progress) -> Result<Stream, DialError> {
    let tcp = connect_tcp(target, network, progress).await?;
    if !target.secure {
        return Ok(Stream::Plain(tcp));
    }
    progress.at(Step::Tls);
    let setup = |detail: String| DialError::Failed { step: Step::Tls, detail };
    let config = client_config(network.roots()).map_err(|error| setup(error.to_string()))?;
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
/// Every way to the service comes through here, whoever named the address: the configuration, discovery or a redirect.
pub(crate) async fn connect_tcp(
    target: &Target,
    network: &Network,
    progress: &Progress,
) -> Result<TcpStream, DialError> {
    if !network.allows(target) {
        return Err(DialError::Plaintext(target.authority.clone()));
    }
    let proxy = network
        .proxy()
        .of(target)
        .map_err(|error| DialError::Failed { step: Step::Proxy, detail: error.to_string() })?;
    let Some(proxy) = proxy else {
        return connect_host(&target.host, target.port, progress).await;
    };
    // Until the tunnel stands everything is about the proxy: a person must not look for the fault at the service.
    progress.at(Step::Proxy);
    let failed = |detail| DialError::Failed { step: Step::Proxy, detail };
    let mut tcp = connect_host(&proxy.host, proxy.port, &Progress::new())
        .await
        .map_err(|error| failed(format!("{proxy:?} is not reached: {error}")))?;
    proxy.tunnel(&mut tcp, target).await.map_err(failed)?;
    Ok(tcp)
}

async fn connect_host(host: &str, port: u16, progress: &Progress) -> Result<TcpStream, DialError> {
    progress.at(Step::Resolve);
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(failed(Step::Resolve))?.collect();
    progress.at(Step::Connect);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let connecting = TcpStream::connect(address);
        // The last address may use up what is left of the whole way's limit.
        let connected = if tried + 1 < addresses.len() {
            timeout(PER_ADDRESS, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        } else {
            connecting.await
        };
        match connected {
            Ok(stream) => {
                // Frames are small and answers are waited for. A socket that refuses the option still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(Step::Connect)(last))
}
