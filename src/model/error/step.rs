use crate::util::impls::names;

names! {
    /// A step of connecting; named by timeouts and failures.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum ConnectStep {
        /// Reading what the [state folder](crate::StateDir) keeps.
        State = "reading the state folder",
        /// Waiting for the permit of the account's [`Admission`](crate::admission::Admission).
        Admission = "the wait for admission",
        /// Fetching `server.json`.
        Discovery = "service discovery",
        /// Fetching a token by REST.
        Token = "the token request",
        /// Resolving the host name.
        Resolve = "resolving the host name",
        /// Connecting.
        Connect = "connecting",
        /// Reaching the proxy, and asking it for a tunnel.
        Proxy = "the proxy's tunnel",
        /// The TLS handshake.
        Tls = "the TLS handshake",
        /// The WebSocket upgrade.
        Upgrade = "the WebSocket upgrade",
        /// PROVISION and its answer.
        Provision = "PROVISION",
    }
}

impl ConnectStep {
    /// Returns advice for when the step fails or takes too long.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            ConnectStep::State => "check the disk that the state folder is on",
            ConnectStep::Admission => "look at the account's `Admission`, which gives the permit",
            ConnectStep::Discovery => "check the network and the discovery address, or give the service's addresses",
            ConnectStep::Token => "check the network and the REST address",
            ConnectStep::Resolve => "check the host's name and this machine's DNS",
            ConnectStep::Connect => "check the address, the network, and that the server runs",
            ConnectStep::Proxy => "check the proxy's address and credentials, and that it lets this host through",
            ConnectStep::Tls => "check that the address speaks TLS, and that nothing on the way cuts it",
            ConnectStep::Upgrade => "check that the address is the service's WebSocket address",
            ConnectStep::Provision => "the server may be overloaded; try again later",
        }
    }
}

/// Returns advice on an HTTP status that came instead of a WebSocket.
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
