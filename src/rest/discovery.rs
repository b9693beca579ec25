//! Finding the service's addresses by `server.json` (connection spec §2).

use awc::http::{Method, uri::Authority};
use serde_json::Value;

use super::{
    answer::text,
    client::{percent_encoded, unix_milliseconds},
    error::{Operation, RestError, RestErrorKind},
    exchange::Call,
};
use crate::{Addresses, Config, Endpoints};

/// The most addresses taken from each list of an answer.
const MAX_HOSTS: usize = 16;

/// The addresses of the service: those of the configuration or, where it leaves them to discovery, those that the
/// first bootstrap host with a usable answer names (connection spec §2).
///
/// Each bootstrap host is asked once, in order, for at most [`Config::rest_timeout`] (15 s by default). Addresses
/// keep the answer's order and the scheme of the host that named them, so that `https` never leads to `ws`; at most
/// 16 of each kind are taken.
///
/// # Errors
/// The last host's error, with code 304: [`RestErrorKind::DiscoveryEmpty`] for an answer without usable addresses.
pub async fn discover(config: &Config) -> Result<Addresses, RestError> {
    let hosts = match &config.endpoints {
        Endpoints::Fixed(addresses) => return Ok(addresses.clone()),
        Endpoints::Discovery(hosts) => hosts,
    };
    let mut last = RestError::local(Operation::Discovery, RestErrorKind::DiscoveryEmpty("bootstrap"));
    for bootstrap in hosts {
        let app_key = percent_encoded(config.app_key.as_str());
        let call = Call {
            operation: Operation::Discovery,
            user: None,
            method: Method::GET,
            path: format!("/easemob/server.json?app_key={app_key}&_v={}", unix_milliseconds()),
            token: None,
            body: None,
            secrets: Vec::new(),
            timeout: config.rest_timeout,
        };
        match call.at(bootstrap, &config.logger, |body| read(bootstrap, body)).await {
            Ok(addresses) => return Ok(addresses),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The addresses an answer names, kept by the scheme of the host that gave it.
fn read(bootstrap: &str, body: &Value) -> Result<Addresses, RestErrorKind> {
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
