use crate::util::Escaped;
use std::fmt;

/// A problem of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It is for another host name.
    WrongName,
    /// It leads to no trusted root certificate.
    UnknownRoot,
    /// Its time is over, or has not begun.
    Expired,
    /// Something else, in words.
    Other(String),
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateProblem::WrongName => f.write_str("it is for another host name; check the address"),
            CertificateProblem::UnknownRoot => f.write_str(
                "it leads to no trusted root; give the root's PEM to `ConfigBuilder::extra_roots` if it is yours",
            ),
            CertificateProblem::Expired => f.write_str(
                "its time is over or has not begun; check the server's certificate and this machine's clock",
            ),
            CertificateProblem::Other(text) => {
                write!(f, "{}; check the certificate that the server shows", Escaped(text))
            }
        }
    }
}
