//! Finding the service's addresses by `server.json` (connection spec §2).

use awc::http::{Method, uri::Authority};
use serde_json::Value;

use super::{answer::text, client::percent_encoded};
#[cfg(doc)]
use crate::config::ConfigBuilder;
use crate::{
    config::{Addresses, Config, Endpoints},
    model::{
        error::{Operation, RestError, RestErrorKind},
        redactor::Redactor,
    },
    net::{Network, Target},
    rest::http_call::Call,
    util::unix_time,
};

/// The most addresses taken from each list of an answer.
pub(super) const MAX_HOSTS: usize = 16;

/// Returns the addresses of the service: those of the configuration or, where it leaves them to discovery, those that
/// the first bootstrap host with a usable answer names (connection spec §2).
///
/// Each bootstrap host is asked once, in order, for at most [`ConfigBuilder::rest_timeout`] (15 s by default) and its
/// share of [`ConfigBuilder::login_deadline`]. Addresses keep the answer's order and the scheme of the host that named
/// them, so that `https` never leads to `ws`; a plain one of another machine is dropped unless
/// [`ConfigBuilder::allow_plaintext`] was said; at most 16 of each kind are taken.
///
/// # Errors
/// The last host's error, with code 304: [`RestErrorKind::DiscoveryEmpty`] for an answer without usable addresses.
pub async fn discover(config: &Config) -> Result<Addresses, RestError> {
    let redactor = Redactor::default();
    redactor.learn_proxy(config.network.proxy().secrets());
    discover_shown_by(config, &redactor, &redactor.logger(&config.logger)).await
}

/// Discovers addresses, with a redactor for the caller's secrets.
pub(crate) async fn discover_shown_by(
    config: &Config,
    redactor: &Redactor,
    logger: &slog::Logger,
) -> Result<Addresses, RestError> {
    let hosts = match &config.endpoints {
        Endpoints::Fixed(addresses) => return Ok(addresses.clone()),
        Endpoints::Discovery(hosts) => hosts,
    };
    let mut last = RestError::local(Operation::Discovery, RestErrorKind::DiscoveryEmpty("bootstrap"));
    // Each host has its turn within a login's deadline, and what follows discovery as much time as one of them.
    let turns = u32::try_from(hosts.len()).unwrap_or(u32::MAX).saturating_add(1);
    let timeout = config.rest_timeout.min(config.login_deadline / turns);
    for bootstrap in hosts {
        let app_key = percent_encoded(config.app_key.as_str());
        let call = Call {
            operation: Operation::Discovery,
            user: None,
            method: Method::GET,
            path: format!("/easemob/server.json?app_key={app_key}&_v={}", unix_time::now_ms()),
            token: None,
            body: None,
            secrets: redactor.lease([]),
            timeout,
            network: &config.network,
        };
        match call.at(bootstrap, logger, |body| read(bootstrap, body, &config.network)).await {
            Ok(addresses) => return Ok(addresses),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Reads the addresses of an answer that may be called, by its host's scheme: a plain local host leads to no plain
/// remote.
pub(super) fn read(bootstrap: &str, body: &Value, network: &Network) -> Result<Addresses, RestErrorKind> {
    let secure = bootstrap.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    let (http, ws) = if secure { ("https", "wss") } else { ("http", "ws") };
    let list = |name: &'static str, schemes: &[&str], address: &dyn Fn(&str) -> String| {
        let hosts = body.get(name).and_then(|list| list.get("hosts")).and_then(Value::as_array);
        let kept: Vec<String> = hosts
            .into_iter()
            .flatten()
            .filter(|host| text(host, "protocol").is_some_and(|protocol| schemes.contains(&protocol)))
            .filter_map(|host| authority(host, secure))
            .map(|authority| address(&authority))
            .filter(|address| Target::parse(address).is_some_and(|target| network.allows(&target)))
            .take(MAX_HOSTS)
            .collect();
        if kept.is_empty() { Err(RestErrorKind::DiscoveryEmpty(name)) } else { Ok(kept) }
    };
    Ok(Addresses {
        rest: list("rest", &[http], &|authority| format!("{http}://{authority}"))?,
        socket: list("msync-wx", &[http, ws], &|authority| format!("{ws}://{authority}/websocket"))?,
    })
}

/// `host[:port]` of one entry; `None` for one that names no address.
fn authority(entry: &Value, secure: bool) -> Option<String> {
    let name = |member| text(entry, member).filter(|name| !name.is_empty());
    let host = name("domain").or_else(|| name("ip"))?;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let port = match entry.get("port") {
        None | Some(Value::Null) => None,
        Some(Value::String(digits)) if digits.is_empty() => None,
        Some(Value::String(digits)) => Some(digits.parse::<u16>().ok()?),
        Some(number) => Some(u16::try_from(number.as_u64()?).ok()?),
    };
    let authority = match port {
        Some(0) => return None,
        Some(80) if !secure => host,
        Some(443) if secure => host,
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    let parsed = authority.parse::<Authority>().ok()?;
    (!parsed.host().is_empty() && !authority.contains('@')).then_some(authority)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{MAX_HOSTS, authority};
    use crate::{config::Addresses, model::error::RestErrorKind, net::Network};

    fn read(bootstrap: &str, body: &Value) -> Result<Addresses, RestErrorKind> {
        super::read(bootstrap, body, &Network::default().with_plaintext())
    }

    #[test]
    fn a_plain_host_leads_to_no_plain_host_elsewhere_unless_that_is_allowed() {
        let host = |name: &str| json!({"protocol": "http", "domain": name, "port": 1});
        let poisoned = |names: &[&str]| {
            let hosts: Vec<_> = names.iter().map(|name| host(name)).collect();
            json!({"rest": {"hosts": hosts}, "msync-wx": {"hosts": hosts}})
        };
        let read = |names: &[&str]| super::read("http://127.0.0.1", &poisoned(names), &Network::default());
        assert_eq!(
            read(&["10.0.0.1", "evil.example", "localhost.example"]),
            Err(RestErrorKind::DiscoveryEmpty("rest"))
        );
        let kept = read(&["10.0.0.1", "127.0.0.1", "evil.example", "localhost"]).unwrap();
        assert_eq!(kept.socket, ["ws://127.0.0.1:1/websocket", "ws://localhost:1/websocket"]);
    }

    #[test]
    fn entries_are_kept_by_the_scheme_of_the_host_that_named_them() {
        let hosts = |http, https| json!([{"protocol": http, "domain": "a"}, {"protocol": https, "domain": "b"}]);
        let body = json!({"rest": {"hosts": hosts("http", "https")}, "msync-wx": {"hosts": hosts("ws", "wss")}});
        let plain = read("http://boot", &body).unwrap();
        assert_eq!((plain.rest[0].as_str(), plain.socket[0].as_str()), ("http://a", "ws://a/websocket"));
        let secure = read("HTTPS://boot", &body).unwrap();
        assert_eq!((secure.rest[0].as_str(), secure.socket[0].as_str()), ("https://b", "wss://b/websocket"));
        assert_eq!((secure.rest.len(), secure.socket.len()), (1, 1));
    }

    #[test]
    fn an_entry_is_a_host_and_a_port_unless_that_is_the_schemes_own() {
        let rows = [
            (json!({"domain": "d", "ip": "1.2.3.4"}), false, Some("d")),
            (json!({"ip": "1.2.3.4", "port": 8080}), false, Some("1.2.3.4:8080")),
            (json!({"domain": "", "ip": "::1", "port": "8080"}), false, Some("[::1]:8080")),
            (json!({"domain": "d", "port": "80"}), false, Some("d")),
            (json!({"domain": "d", "port": 443}), true, Some("d")),
            (json!({"domain": "d", "port": 80}), true, Some("d:80")),
            (json!({"domain": "d", "port": "443"}), false, Some("d:443")),
            (json!({"domain": "d", "port": "", "priority": "9", "new": {}}), false, Some("d")),
            (json!({"domain": "d", "port": null}), false, Some("d")),
            (json!({"domain": "d", "port": 0}), false, None),
            (json!({"domain": "d", "port": "PORT"}), false, None),
            (json!({"domain": "d", "port": 65536}), false, None),
            (json!({"domain": "d", "port": [1]}), false, None),
            (json!({"domain": "d/x"}), false, None),
            (json!({"domain": "u:p@d"}), false, None),
            (json!({"domain": 7}), false, None),
            (json!({}), false, None),
            (json!("d"), false, None),
        ];
        for (entry, secure, expected) in rows {
            assert_eq!(authority(&entry, secure).as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn a_missing_or_useless_list_is_named_and_a_long_one_is_cut() {
        let one = json!({"hosts": [{"protocol": "http", "domain": "a"}]});
        let many = json!({"hosts": vec![json!({"protocol": "http", "domain": "a"}); 1000]});
        let empty = |list| Err(RestErrorKind::DiscoveryEmpty(list));
        assert_eq!(read("http://b", &json!({"msync-wx": one})), empty("rest"));
        assert_eq!(read("http://b", &json!({"rest": one})), empty("msync-wx"));
        assert_eq!(read("http://b", &json!({"rest": {"hosts": []}, "msync-wx": one})), empty("rest"));
        assert_eq!(read("https://b", &json!({"rest": one, "msync-wx": one})), empty("rest"));
        assert_eq!(read("http://b", &json!({"rest": many, "msync-wx": one})).unwrap().rest.len(), MAX_HOSTS);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            prop::sample::select(vec!["http", "ws", "https", "a.b", "::1", "80"]).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let names = vec!["rest", "msync-wx", "hosts", "protocol", "domain", "ip", "port"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(names), inner), 0..5).prop_map(|members| {
                    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_answer_gives_addresses_that_can_be_called_or_an_error(rest in value(), socket in value()) {
            let body = json!({"rest": {"hosts": [rest]}, "msync-wx": {"hosts": [socket]}});
            if let Ok(addresses) = read("http://b", &body) {
                for address in addresses.rest.iter().chain(&addresses.socket) {
                    prop_assert!(address.parse::<awc::http::Uri>().is_ok(), "{}", address);
                }
            }
        }
    }
}
