//! A certificate authority of the test's own, and TLS in front of a server that has none.

use std::{net::SocketAddr, sync::Arc};

use agora_chat::{ConfigBuilder, local_server::LocalServer, network::Roots};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// When a certificate holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Valid {
    Now,
    NoMore,
    NotYet,
}

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

pub(crate) struct Certified {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("test authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate, for another process.
    #[allow(dead_code, reason = "for the bench that shares this file")]
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// What a client needs to trust this authority.
    pub(crate) fn roots(&self) -> Roots {
        Roots::from_pem(&self.pem).unwrap()
    }

    pub(crate) fn certificate(&self, name: &str, valid: Valid) -> Certified {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = match valid {
            Valid::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2200, 1, 1)),
            Valid::NoMore => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
            Valid::NotYet => (date_time_ymd(2199, 1, 1), date_time_ymd(2200, 1, 1)),
        };
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certified { chain: vec![certificate.der().clone()], key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
    }
}

/// Takes TLS and passes plain bytes on.
pub(crate) struct TlsFront {
    pub(crate) address: SocketAddr,
}

impl TlsFront {
    pub(crate) async fn start(upstream: SocketAddr, certified: Certified) -> Self {
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certified.chain, certified.key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                actix_rt::spawn(async move {
                    // A client that refuses the certificate ends the handshake.
                    let Ok(mut public) = acceptor.accept(stream).await else { return };
                    let mut service = TcpStream::connect(upstream).await.unwrap();
                    let _ = copy_bidirectional(&mut public, &mut service).await;
                });
            }
        });
        TlsFront { address }
    }

    /// The server's configuration with its addresses at this front, under the given host name.
    pub(crate) fn config(&self, server: &LocalServer, host: &str, roots: Roots) -> ConfigBuilder {
        let at = format!("{host}:{}", self.address.port());
        let config = server.config().extra_roots(roots);
        config.addresses(format!("https://{at}"), format!("wss://{at}/websocket"))
    }
}
