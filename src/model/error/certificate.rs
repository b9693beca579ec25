use crate::util::Escaped;

/// A problem of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It is for another host name.
    #[error("it is for another host name; check the address")]
    WrongName,
    /// It leads to no trusted root certificate.
    #[error("it leads to no trusted root; give the root's PEM to `ConfigBuilder::extra_roots` if it is yours")]
    UnknownRoot,
    /// Its time is over, or has not begun.
    #[error("its time is over or has not begun; check the server's certificate and this machine's clock")]
    Expired,
    /// Something else, in words.
    #[error("{}; check the certificate that the server shows", Escaped(.0))]
    Other(String),
}
