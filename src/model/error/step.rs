//! The steps of a way in.

use std::fmt;

/// A step on the way in; named by timeouts and failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Reading what the [state folder](crate::StateDir) keeps.
    State,
    /// Fetching `server.json`.
    Discovery,
    /// Fetching a token by REST.
    Token,
    /// Resolving the host name.
    Resolve,
    /// Connecting.
    Connect,
    /// Reaching the proxy, and asking it for a tunnel.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
    /// PROVISION and its answer.
    Provision,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::State => "reading the state folder",
            Step::Discovery => "service discovery",
            Step::Token => "the token request",
            Step::Resolve => "resolving the host name",
            Step::Connect => "connecting",
            Step::Proxy => "the proxy's tunnel",
            Step::Tls => "the TLS handshake",
            Step::Upgrade => "the WebSocket upgrade",
            Step::Provision => "PROVISION",
        })
    }
}

impl Step {
    /// What to look at when the step fails or takes too long.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Step::State => "check the disk that the state folder is on",
            Step::Discovery => "check the network and the discovery address, or give the service's addresses",
            Step::Token => "check the network and the REST address",
            Step::Resolve => "check the host's name and this machine's DNS",
            Step::Connect => "check the address, the network, and that the server runs",
            Step::Proxy => "check the proxy's address and credentials, and that it lets this host through",
            Step::Tls => "check that the address speaks TLS, and that nothing on the way cuts it",
            Step::Upgrade => "check that the address is the service's WebSocket address",
            Step::Provision => "the server may be overloaded; try again later",
        }
    }
}

/// What an HTTP status instead of a WebSocket asks of a person.
pub(super) const fn advice_on_status(status: u16) -> &'static str {
    match status {
        407 => "check the proxy and its credentials",
        401 | 403 => "check the address, and whether a gateway on the way wants something of its own",
        404 => "check that the address is the service's WebSocket address",
        429 => "too many connections are being opened; open fewer at once",
        500..=599 => "the service is overloaded or down",
        _ => "check that the address is the service's WebSocket address",
    }
}
