//! TLS by rustls with ring: the system's root certificates, plus those of the application. Verification cannot be
//! switched off.

use crate::{
    model::error::CertificateProblem,
    util::{Escaped, impls::impl_debug, lock, threads::Serial},
};
use rustls::{
    CertificateError, ClientConfig,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

/// Root certificates of an application's own, trusted besides the system's.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Roots(Option<Arc<[CertificateDer<'static>]>>);

/// A text holds no usable root certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The PEM text is malformed.
    #[error("the PEM text cannot be read: {}", Escaped(.0))]
    Malformed(String),
    /// The text holds no certificate.
    #[error("the PEM text holds no certificate")]
    Empty,
}

impl Roots {
    /// Reads one or more certificates from PEM; a byte order mark before the text does not hide the first one.
    ///
    /// # Errors
    /// [`RootsError`] for a text without a certificate or with a broken one.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, RootsError> {
        let pem = pem.as_ref();
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem))
            .collect::<Result<_, _>>()
            .map_err(|error| RootsError::Malformed(error.to_string()))?;
        if certificates.is_empty() { Err(RootsError::Empty) } else { Ok(Roots(Some(certificates.into()))) }
    }

    pub(super) const fn none() -> Self {
        Roots(None)
    }

    fn certificates(&self) -> &[CertificateDer<'static>] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl_debug!(|this: Roots| "Roots({} certificates)", this.certificates().len());

/// The TLS configurations of this process, one for each set of roots.
static CONFIGS: LazyLock<Mutex<HashMap<Roots, Arc<ClientConfig>>>> = LazyLock::new(Mutex::default);

/// Serial queue in which the system's root certificates are read. They are files: a disk that does not answer holds one
/// thread.
static READING: LazyLock<Serial> = LazyLock::new(Serial::default);

/// Returns the TLS configuration for these roots. The process makes one for each set of roots, and not on this thread.
///
/// # Errors
/// A text, when the system has no root certificates and none were given, or its files do not answer for 30 s.
pub(crate) async fn client_config(roots: &Roots) -> Result<Arc<ClientConfig>, String> {
    if let Some(config) = known(roots) {
        return Ok(config);
    }
    let roots = roots.clone();
    let made = READING.run(Serial::PATIENCE, move || made(&roots)).await;
    made.unwrap_or_else(|error| Err(format!("the system's root certificates cannot be read: {error}")))
}

fn known(roots: &Roots) -> Option<Arc<ClientConfig>> {
    lock(&CONFIGS).get(roots).cloned()
}

fn made(roots: &Roots) -> Result<Arc<ClientConfig>, String> {
    /// Most sets of roots that are cached; a process has one, a test suite a few.
    const KEPT: usize = 64;

    // Another caller may have waited for the same one.
    if let Some(config) = known(roots) {
        return Ok(config);
    }
    let config = Arc::new(build(roots).map_err(|error| {
        format!(
            "TLS cannot be set up: {error}; install the system's root certificates (often the package `ca-certificates`)"
        )
    })?);
    let mut configs = lock(&CONFIGS);
    if configs.len() >= KEPT {
        configs.clear();
    }
    configs.insert(roots.clone(), Arc::clone(&config));
    Ok(config)
}

fn build(roots: &Roots) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(
        roots.certificates().iter().cloned(),
        Arc::clone(&provider),
    )?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // rustls calls every verifier but its own dangerous; this one is the platform's.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // A WebSocket upgrade is impossible over h2.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns the certificate problem behind an I/O error of a TLS handshake, if there is one.
pub(crate) fn certificate_problem(error: &std::io::Error) -> Option<CertificateProblem> {
    let rustls::Error::InvalidCertificate(problem) = error.get_ref()?.downcast_ref::<rustls::Error>()? else {
        return None;
    };
    Some(match problem {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName
        }
        // A bad signature comes from a root of the same name, such as one that was made anew.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => CertificateProblem::UnknownRoot,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => CertificateProblem::Expired,
        // The usual self-signed certificate of a private installation: rustls accepts no authority as a server.
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => CertificateProblem::Other(
            "it is a certificate authority's own; sign a certificate for the server with it, and trust the authority \
             by `ConfigBuilder::extra_roots`"
                .to_owned(),
        ),
        other => CertificateProblem::Other(other.to_string()),
    })
}
