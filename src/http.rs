//! The one HTTP client of a thread, used by REST calls and by the WebSocket upgrade.
//!
//! An `awc::Client` cannot leave its thread, so each thread that speaks to the service has its own; the TLS
//! configuration below it, which holds the system's root certificates, is one for the whole process.

use std::{
    cell::RefCell,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls_platform_verifier::BuilderVerifierExt;

/// TLS cannot be set up on this machine; plain `http` and `ws` still work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be set up: {0}; install the system's root certificates (often the package `ca-certificates`)")]
pub(crate) struct TlsSetupError(String);

/// More sockets than a process can have: awc's own limit of 100 would hold the 101st connection back in silence.
/// (Its spelling of "no limit" is beyond what a semaphore can count on 32-bit machines.)
const SOCKETS: usize = 1 << 24;

/// Longer than any timeout a call may set, so that the call's own one always decides.
const NEVER: Duration = Duration::from_secs(2 * 24 * 60 * 60);

#[derive(Default)]
struct Clients {
    plain: Option<awc::Client>,
    secure: Option<awc::Client>,
}

thread_local! {
    static CLIENTS: RefCell<Clients> = RefCell::default();
}

/// This thread's client for the given address. A clone is a reference count.
///
/// It follows no redirect and speaks HTTP/1.1 only (an upgrade is impossible over h2). It sets no time limit at all,
/// since awc's upgrade request has none of its own: wrap each use in `tokio::time::timeout`.
///
/// # Errors
/// For `https` and `wss` only: the machine has no usable root certificates. The next call looks again.
pub(crate) fn client(address: &str) -> Result<awc::Client, TlsSetupError> {
    let secure = is_secure(address);
    let known = CLIENTS.with_borrow(|clients| if secure { clients.secure.clone() } else { clients.plain.clone() });
    if let Some(client) = known {
        return Ok(client);
    }
    let connector = awc::Connector::new().limit(SOCKETS).timeout(NEVER).handshake_timeout(NEVER);
    let connector = if secure { connector.rustls_0_23(tls_config()?) } else { connector };
    let client = awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
    CLIENTS.with_borrow_mut(|clients| {
        let place = if secure { &mut clients.secure } else { &mut clients.plain };
        *place = Some(client.clone());
    });
    Ok(client)
}

/// Whether an address wants TLS; schemes have no letter case.
fn is_secure(address: &str) -> bool {
    let scheme = address.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss")
}

/// The process's TLS configuration: the ring provider named here, whatever the process's default is, and the
/// system's roots.
fn tls_config() -> Result<Arc<rustls::ClientConfig>, TlsSetupError> {
    static CONFIG: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();

    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let config = build_tls_config().map_err(|error| TlsSetupError(error.to_string()))?;
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

fn build_tls_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::{build_tls_config, client, is_secure};

    #[test]
    fn only_https_and_wss_want_tls() {
        for secure in ["https://a", "HTTPS://a", "wss://a/websocket", "Wss://a"] {
            assert!(is_secure(secure), "{secure}");
        }
        for plain in ["http://a", "ws://a/websocket", "a", "", "httpsx://a"] {
            assert!(!is_secure(plain), "{plain}");
        }
    }

    #[test]
    fn a_plain_client_needs_no_root_certificates() {
        assert!(client("http://127.0.0.1").is_ok());
    }

    #[test]
    fn tls_offers_http_1_1_only() {
        match build_tls_config() {
            Ok(config) => assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]),
            // A machine without root certificates is told so, and nothing panics.
            Err(error) => assert!(client("https://127.0.0.1").err().unwrap().to_string().contains(&error.to_string())),
        }
    }
}
