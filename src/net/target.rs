//! Parsed addresses.

use std::net::IpAddr;

/// Target of a connection, from an `http`, `https`, `ws` or `wss` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) secure: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: String,
    /// Host and, where it is not the scheme's own, port: the value of a `Host` header.
    pub(crate) authority: String,
}

impl Target {
    /// Parses an address; `None` for anything but one of the four schemes.
    pub(crate) fn parse(address: &str) -> Option<Self> {
        let uri: awc::http::Uri = address.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        let usual = if secure { 443 } else { 80 };
        let port = match uri.port_u16() {
            Some(port) => port,
            // `Uri` reads a port over 16 bits as an absent one.
            None if uri.authority()?.as_str().ends_with(host) => usual,
            None => return None,
        };
        let authority = if port == usual { host.to_owned() } else { format!("{host}:{port}") };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Target { secure, host, port, path, authority })
    }

    /// Returns whether the host is this machine, so that direct traffic stays here.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Returns whether a host is this machine: a loopback address, or the name that only loopback addresses are used of.
pub(super) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => is_localhost(host),
    }
}

/// Returns whether it is the name of this machine, of which only loopback addresses are used.
pub(super) fn is_localhost(host: &str) -> bool {
    without_final_dot(host).eq_ignore_ascii_case("localhost")
}

/// Strips the final dot of a name, which marks it as absolute.
pub(super) fn without_final_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn an_address_is_taken_apart() {
        let target = Target::parse("wss://[::1]:8443/websocket?x=1").unwrap();
        assert_eq!((target.secure, target.host.as_str(), target.port), (true, "::1", 8443));
        assert_eq!((target.path.as_str(), target.authority.as_str()), ("/websocket?x=1", "[::1]:8443"));
        let target = Target::parse("ws://a.example").unwrap();
        assert_eq!((target.secure, target.port, target.path.as_str()), (false, 80, "/"));
        assert_eq!(target.authority, "a.example");
        assert_eq!(Target::parse("https://a.example:443/").unwrap().authority, "a.example");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for bad in ["", "a.example", "ftp://a", "/path", "ws://", "wss:///x", "ws://a:99999", "ws://a:x"] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_by_address_or_name() {
        for (address, loopback) in [
            ("ws://127.0.0.1:1/", true),
            ("ws://127.9.9.9/", true),
            ("ws://[::1]/", true),
            ("ws://LOCALHOST/", true),
            ("ws://localhost./", true),
            ("ws://[::ffff:127.0.0.1]/", true),
            ("ws://[::ffff:10.0.0.1]/", false),
            ("ws://localhost.example/", false),
            ("ws://10.0.0.1/", false),
            ("ws://[2001:db8::1]/", false),
        ] {
            assert_eq!(Target::parse(address).unwrap().is_loopback(), loopback, "{address}");
        }
    }
}
