//! HTTP proxies that tunnel by CONNECT.

use std::{env, fmt, net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Target, head::Heads, target::without_final_dot};

/// Proxy through which the service is reached. Its credentials are never shown.
///
/// ```
/// use agora_chat::network::Proxy;
/// let proxy = Proxy::http("http://user:secret@proxy.example:3128")?.except("intranet.example, .local");
/// assert!(!format!("{proxy:?}").contains("secret"));
/// # Ok::<(), agora_chat::network::ProxyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Proxy(Kind);

#[derive(Clone, Debug)]
enum Kind {
    None,
    Environment,
    Http { server: Arc<Server>, except: NoProxy },
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    authorization: Option<SecretString>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.authorization.is_some() { "<redacted>@" } else { "" };
        write!(f, "http://{credentials}{}:{}", self.host, self.port)
    }
}

/// A text is not a proxy's address. The error does not quote it, since it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{of} must have the form http://[user:password@]host[:port]{advice}", advice = self.advice())]
pub struct ProxyError {
    /// Source of the address: "the proxy's address", or the environment's variable.
    of: &'static str,
}

impl ProxyError {
    const GIVEN: &'static str = "the proxy's address";

    fn advice(&self) -> &'static str {
        if self.of == Self::GIVEN {
            ""
        } else {
            "; to do without it, name the host in NO_PROXY or configure `Proxy::none()`"
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy::environment()
    }
}

impl Proxy {
    /// Uses no proxy, whatever the environment says.
    #[must_use]
    pub fn none() -> Self {
        Proxy(Kind::None)
    }

    /// Uses the environment's proxy, read anew for every connection. This is the default.
    ///
    /// `HTTPS_PROXY` is for `https` and `wss`, `HTTP_PROXY` for `http` and `ws`, and `ALL_PROXY` for both where those
    /// are absent. None is used for loopback addresses and hosts in `NO_PROXY`. Lower-case names go first; an empty
    /// variable counts as absent. Under CGI (`REQUEST_METHOD` is set) `HTTP_PROXY` is ignored, since a request's
    /// `Proxy` header sets it there.
    #[must_use]
    pub const fn environment() -> Self {
        Proxy(Kind::Environment)
    }

    /// Uses this proxy for every host that [`except`](Proxy::except) does not name, loopback included. A loopback
    /// address without encryption is then refused, unless the proxy is on this machine too or
    /// [`ConfigBuilder::allow_plaintext`](crate::ConfigBuilder::allow_plaintext) is set.
    ///
    /// User and password end at the last `@`. Any byte of them may be written as `%` and two hexadecimal digits, and
    /// `%` must be.
    ///
    /// # Errors
    /// [`ProxyError`] unless it has the form `http://[user:password@]host[:port]`; the port is 80 where absent.
    pub fn http(address: &str) -> Result<Self, ProxyError> {
        let server = Arc::new(Server::parse(address).ok_or(ProxyError { of: ProxyError::GIVEN })?);
        Ok(Proxy(Kind::Http { server, except: NoProxy::default() }))
    }

    /// Names hosts to reach directly, in the form of `NO_PROXY`: a list separated by commas or white space. An entry is
    /// a name (with all below it; `.name` and `*.name` mean the same) or an address, either with `:port`, a network
    /// such as `10.0.0.0/8`, or `*`. A final dot makes no difference. Entries of other forms are ignored.
    #[must_use]
    pub fn except(mut self, hosts: &str) -> Self {
        if let Kind::Http { except, .. } = &mut self.0 {
            *except = NoProxy::parse(hosts);
        }
        self
    }

    /// Returns the secrets of all proxies in question: password, user and password, and both as they are sent.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        match &self.0 {
            Kind::None => Vec::new(),
            Kind::Http { server, .. } => server.secrets(),
            Kind::Environment => {
                let names = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"];
                let set = names.iter().filter_map(|name| env::var(name).ok());
                set.filter_map(|address| Server::parse(address.trim())).flat_map(|server| server.secrets()).collect()
            }
        }
    }

    /// Returns the proxy for a target, if it is to be reached through one.
    pub(super) fn of(&self, target: &Target) -> Result<Option<Arc<Server>>, ProxyError> {
        // A variable that is not UTF-8 is not absent; it fails as a host later.
        self.with_environment(target, |name| Some(env::var_os(name)?.to_string_lossy().into_owned()))
    }

    fn with_environment(
        &self,
        target: &Target,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Arc<Server>>, ProxyError> {
        match &self.0 {
            Kind::None => Ok(None),
            Kind::Http { except, .. } if except.holds(target) => Ok(None),
            Kind::Http { server, .. } => Ok(Some(Arc::clone(server))),
            Kind::Environment if target.is_loopback() => Ok(None),
            Kind::Environment => {
                let set = |name: &str| read(name).filter(|value| !value.trim().is_empty());
                let cgi = read("REQUEST_METHOD").is_some();
                let read = |name: &str| {
                    let lower = name.to_ascii_lowercase();
                    // Where names of variables ignore case, the lower-case one comes from the request as well.
                    let forged = |of: &str| cgi && name == "HTTP_PROXY" && (of == name || cfg!(windows));
                    [lower.as_str(), name].into_iter().filter(|of| !forged(of)).find_map(set)
                };
                let scheme = if target.secure { "HTTPS_PROXY" } else { "HTTP_PROXY" };
                let set = [scheme, "ALL_PROXY"].into_iter().find_map(|name| Some((name, read(name)?)));
                let Some((of, address)) = set else {
                    return Ok(None);
                };
                if read("NO_PROXY").is_some_and(|hosts| NoProxy::parse(&hosts).holds(target)) {
                    return Ok(None);
                }
                Server::parse(address.trim()).map(|server| Some(Arc::new(server))).ok_or(ProxyError { of })
            }
        }
    }
}

impl Server {
    fn parse(address: &str) -> Option<Self> {
        // The usual variables may leave the scheme out.
        let rest = match address.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return None,
            None => address,
        };
        // A password may hold, unescaped, any character that would end the host.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let host = rest.split(['/', '?', '#']).next()?;
        let target = Target::parse(&format!("http://{host}/"))?;
        let authorization = match credentials {
            Some(credentials) => {
                let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
                let mut plain = percent_decoded(user)?;
                plain.push(b':');
                plain.extend(percent_decoded(password)?);
                Some(format!("Basic {}", STANDARD.encode(plain)).into())
            }
            None => None,
        };
        Some(Server { host: target.host, port: target.port, authorization })
    }

    fn secrets(&self) -> Vec<SecretString> {
        let Some(authorization) = &self.authorization else { return Vec::new() };
        let sent = authorization.expose_secret().trim_start_matches("Basic ");
        let plain = STANDARD.decode(sent).ok().and_then(|plain| String::from_utf8(plain).ok());
        let password = plain.as_ref().and_then(|plain| plain.split_once(':')).map(|(_, password)| password.to_owned());
        [Some(sent.to_owned()), password, plain].into_iter().flatten().map(SecretString::from).collect()
    }

    /// Asks for a tunnel to the target.
    pub(super) async fn tunnel(&self, stream: &mut TcpStream, target: &Target) -> Result<(), String> {
        let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
        let authority = format!("{host}:{}", target.port);
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {}\r\n", authorization.expose_secret()));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let (mut heads, mut answer) = (Heads::default(), BytesMut::new());
        loop {
            // Byte by byte, so that nothing behind the answer is taken from the tunnel; the answer is short.
            let byte = stream.read_u8().await.map_err(|error| format!("the proxy went away: {error}"))?;
            answer.extend_from_slice(&[byte]);
            // A proxy that switches protocols has opened no tunnel.
            let head = heads.read(&mut answer, |status| status == 101);
            match head.map_err(|error| format!("the proxy's answer {error}"))?.map(|head| head.status) {
                None => {}
                Some(200..=299) => return Ok(()),
                Some(407) => return Err("the proxy wants other credentials (407)".to_owned()),
                Some(status) => return Err(format!("the proxy answered with status {status}")),
            }
        }
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits =
                std::str::from_utf8(&digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// Hosts that are reached directly.
#[derive(Clone, Debug, Default)]
struct NoProxy(Vec<Direct>);

/// One look-up under way.
#[derive(Clone, Debug)]
enum Direct {
    Every,
    /// A host and all below it, in lower case, at one port or every one.
    Name(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    /// A network, by the length of its prefix.
    Network(IpAddr, u8),
}

impl NoProxy {
    fn parse(hosts: &str) -> Self {
        let separate = |c: char| c == ',' || c.is_whitespace();
        NoProxy(hosts.split(separate).filter(|entry| !entry.is_empty()).filter_map(Direct::parse).collect())
    }

    fn holds(&self, target: &Target) -> bool {
        self.0.iter().any(|entry| entry.holds(target))
    }
}

impl Direct {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Direct::Every);
        }
        if let Some((network, length)) = entry.split_once('/') {
            let (network, length): (IpAddr, u8) = (network.parse().ok()?, length.parse().ok()?);
            return Some(Direct::Network(network, length));
        }
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if let Ok(address) = bare(entry).parse() {
            return Some(Direct::Address(address, None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        Some(match bare(host).parse() {
            Ok(address) => Direct::Address(address, port),
            Err(_) => {
                let name = bare(host);
                let name = name.trim_start_matches("*.").trim_start_matches('.');
                Direct::Name(without_final_dot(name).to_owned(), port)
            }
        })
    }

    fn holds(&self, target: &Target) -> bool {
        let at = |port: &Option<u16>| port.is_none_or(|port| port == target.port);
        let address = target.host.parse::<IpAddr>().ok();
        match self {
            Direct::Every => true,
            Direct::Address(direct, port) => address == Some(*direct) && at(port),
            Direct::Network(network, length) => address.is_some_and(|address| within(address, *network, *length)),
            Direct::Name(name, port) => {
                let host = without_final_dot(&target.host).to_ascii_lowercase();
                let below = || host.strip_suffix(name.as_str()).is_some_and(|front| front.ends_with('.'));
                address.is_none() && !name.is_empty() && (host == *name || below()) && at(port)
            }
        }
    }
}

fn within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let (address, network, bits) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (u128::from(address.to_bits()), u128::from(network.to_bits()), 32_u32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let Some(rest) = bits.checked_sub(u32::from(length)) else { return false };
    address.checked_shr(rest).unwrap_or(0) == network.checked_shr(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use secrecy::ExposeSecret as _;

    use super::{NoProxy, Proxy, Server};
    use crate::net::Target;

    fn target(address: &str) -> Target {
        Target::parse(address).unwrap()
    }

    fn through(proxy: &Proxy, address: &str, environment: &[(&str, &str)]) -> Option<String> {
        let read = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        proxy.with_environment(&target(address), read).unwrap().map(|server| format!("{}:{}", server.host, server.port))
    }

    #[test]
    fn the_environment_decides_by_scheme_and_no_proxy() {
        let environment = [
            ("HTTPS_PROXY", "http://secure.example:1"),
            ("http_proxy", "plain.example:2"),
            ("HTTP_PROXY", "http://ignored.example:9"),
            ("NO_PROXY", "inner.example,10.0.0.1"),
        ];
        let proxy = Proxy::environment();
        let through = |address| through(&proxy, address, &environment);
        assert_eq!(through("wss://a.example/").as_deref(), Some("secure.example:1"));
        assert_eq!(through("https://a.example/").as_deref(), Some("secure.example:1"));
        assert_eq!(through("ws://a.example/").as_deref(), Some("plain.example:2"));
        assert_eq!(through("wss://inner.example/"), None);
        assert_eq!(through("wss://x.inner.example/"), None);
        assert_eq!(through("wss://notinner.example/").as_deref(), Some("secure.example:1"));
        assert_eq!(through("wss://10.0.0.1/"), None);
        assert_eq!(through("ws://127.0.0.1:80/"), None, "loopback never goes through the environment's proxy");
    }

    #[test]
    fn all_proxy_stands_in_for_both_schemes() {
        let environment = [("ALL_PROXY", "http://all.example")];
        assert_eq!(through(&Proxy::default(), "ws://a.example/", &environment).as_deref(), Some("all.example:80"));
        assert_eq!(through(&Proxy::default(), "wss://a.example/", &environment).as_deref(), Some("all.example:80"));
        assert_eq!(through(&Proxy::none(), "wss://a.example/", &environment), None);
    }

    #[test]
    fn a_given_proxy_serves_loopback_too_and_keeps_its_exceptions() {
        let proxy = Proxy::http("http://127.0.0.1:3128").unwrap().except("*.x, b.example");
        assert_eq!(through(&proxy, "ws://a.x/", &[]), None);
        assert_eq!(through(&proxy, "ws://127.0.0.1:80/", &[]).as_deref(), Some("127.0.0.1:3128"));
        assert_eq!(through(&proxy, "ws://b.example/", &[]), None);
    }

    #[test]
    fn credentials_are_decoded_for_the_proxy_and_hidden_from_everybody_else() {
        let server = Server::parse("http://us%40er:CANARY@p.example:1/").unwrap();
        assert!(server.authorization.is_some());
        assert_eq!(format!("{server:?}"), "http://<redacted>@p.example:1");
        let shown = format!("{:?}", Proxy::http("http://u:CANARY@p.example").unwrap());
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    #[test]
    fn whatever_stands_before_the_last_at_sign_is_user_and_password() {
        for (address, plain) in [
            ("http://bob:2024#secret@p.example:1", "bob:2024#secret"),
            ("http://bob:20/24?x#y@p.example:1/path", "bob:20/24?x#y"),
            ("bob:a@b:c@p.example:1", "bob:a@b:c"),
            ("http://b%6Fb:%23%40%2f%25@p.example:1", "bob:#@/%"),
            ("http://bob@p.example:1", "bob:"),
        ] {
            let server = Server::parse(address).unwrap();
            assert_eq!((server.host.as_str(), server.port), ("p.example", 1), "{address}");
            let basic = format!("Basic {}", STANDARD.encode(plain));
            assert_eq!(server.authorization.as_ref().unwrap().expose_secret(), basic, "{address}");
            assert_eq!(format!("{server:?}"), "http://<redacted>@p.example:1");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_absent() {
        let through = |environment: &[(&str, &str)]| through(&Proxy::environment(), "https://a.example/", environment);
        let upper = ("HTTPS_PROXY", "http://upper.example:1");
        assert_eq!(through(&[("https_proxy", ""), upper]).as_deref(), Some("upper.example:1"));
        assert_eq!(through(&[("no_proxy", " "), ("NO_PROXY", "a.example"), upper]), None);
        let all = ("all_proxy", "http://all.example:2");
        assert_eq!(through(&[("https_proxy", " "), ("HTTPS_PROXY", ""), all]).as_deref(), Some("all.example:2"));
        assert_eq!(through(&[("HTTPS_PROXY", ""), ("ALL_PROXY", "")]), None);
    }

    #[test]
    fn under_cgi_the_proxy_that_a_request_names_is_not_taken() {
        let forged = [("HTTP_PROXY", "http://evil.example:1"), ("REQUEST_METHOD", "")];
        assert_eq!(through(&Proxy::environment(), "http://a.example/", &forged), None);
        let own = [forged[0], forged[1], ("http_proxy", "http://own.example:2")];
        if !cfg!(windows) {
            assert_eq!(through(&Proxy::environment(), "http://a.example/", &own).as_deref(), Some("own.example:2"));
        }
        let secure = [forged[1], ("HTTPS_PROXY", "http://own.example:2")];
        let through = through(&Proxy::environment(), "https://a.example/", &secure);
        assert_eq!(through.as_deref(), Some("own.example:2"), "no header is of this name");
    }

    #[test]
    fn what_is_not_an_http_proxy_is_refused_without_being_quoted() {
        for bad in [
            "",
            "https://p",
            "socks5://p",
            "http://",
            "http://u:%zz@p",
            "http://u:%+1@p",
            "http://p:99999",
            "http://u:s#@",
        ] {
            let error = Proxy::http(bad).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("%zz") && !said.contains("s#"), "{said}");
        }
    }

    #[test]
    fn the_usual_forms_of_no_proxy_are_understood() {
        let direct = |hosts: &str, address: &str| NoProxy::parse(hosts).holds(&target(address));
        for (hosts, address, expected) in [
            ("*", "wss://anything/", true),
            ("a.example", "wss://a.example/", true),
            ("A.Example", "wss://b.a.example/", true),
            (".a.example", "wss://a.example/", true),
            ("*.a.example", "wss://b.a.example/", true),
            ("a.example", "wss://ba.example/", false),
            ("x y.example,z", "wss://y.example/", true),
            ("a.example:443", "wss://a.example/", true),
            ("a.example:444", "wss://a.example/", false),
            ("10.0.0.0/8", "wss://10.9.8.7/", true),
            ("10.0.0.0/8", "wss://11.0.0.1/", false),
            ("10.1.2.3", "wss://10.1.2.3:8443/", true),
            ("10.1.2.3:8443", "wss://10.1.2.3:8443/", true),
            ("10.1.2.3:1", "wss://10.1.2.3:8443/", false),
            ("::1", "ws://[::1]:80/", true),
            ("[::1]:80", "ws://[::1]:80/", true),
            ("fd00::/8", "wss://[fd12::1]/", true),
            ("0.0.0.0/0", "wss://1.2.3.4/", true),
            ("::/0", "wss://1.2.3.4/", false),
            ("10.0.0.0/99", "wss://10.0.0.1/", false),
            (". , :x ,", "wss://a.example/", false),
        ] {
            assert_eq!(direct(hosts, address), expected, "{hosts} {address}");
        }
    }

    #[test]
    fn a_final_dot_of_a_host_makes_no_difference_to_no_proxy() {
        for (hosts, address, expected) in [
            ("a.example", "wss://a.example./", true),
            ("a.example", "wss://b.a.example./", true),
            ("a.example.", "wss://a.example/", true),
            (".a.example.", "wss://b.a.example/", true),
            ("*.a.example.", "wss://b.a.example/", true),
            ("a.example.", "wss://a.example./", true),
            ("a.example.:443", "wss://b.a.example./", true),
            ("a.example.:444", "wss://a.example./", false),
            ("a.example.", "wss://ba.example./", false),
        ] {
            let environment = [("HTTPS_PROXY", "http://p.example:1"), ("NO_PROXY", hosts)];
            let through = through(&Proxy::environment(), address, &environment);
            assert_eq!(through.is_none(), expected, "{hosts} {address}");
        }
    }
}
