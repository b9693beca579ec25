//! Who may be loaded, and from which addresses.

use std::net::{IpAddr, Ipv4Addr};

use awc::http::Uri;

/// How many connections to one place one address is used for; the system has about 28 000 ports for it.
const PORTS: usize = 25_000;

/// Whether the traffic to an address stays on this machine.
///
/// # Errors
/// In words, for what is not an address.
pub(crate) fn is_loopback(address: &str) -> Result<bool, String> {
    let uri: Uri = address.parse().map_err(|error| format!("`{address}`: {error}"))?;
    let host = uri.host().ok_or_else(|| format!("`{address}` has no host"))?;
    Ok(match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        // No other name: what it means is up to a resolver.
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    })
}

/// Whether an address is of a scheme over TLS.
pub(crate) fn is_tls(address: &str) -> bool {
    address.parse::<Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("https" | "wss")))
}

/// Why another machine is not loaded.
pub(crate) fn refusal(rest: &str, socket: &str) -> String {
    format!(
        "`{rest}` or `{socket}` is not on this machine. To load somebody's service without leave is an attack on it; \
         if it is yours, say --i-own-this-service and --max-rate LOGINS_PER_SECOND"
    )
}

/// How many source addresses so many accounts need.
pub(crate) fn sources_for(accounts: usize) -> u8 {
    u8::try_from(accounts.div_ceil(PORTS)).unwrap_or(u8::MAX).clamp(1, 250)
}

/// Addresses of this machine to connect from; not the first ones, which servers listen on.
pub(crate) fn sources(how_many: u8) -> impl Iterator<Item = IpAddr> {
    (0..how_many).map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, 1, n + 1)))
}
