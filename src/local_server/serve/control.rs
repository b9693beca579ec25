//! `GET /_control/…`: what the server saw, for tests and tools beside it in other processes. No fault applies to these
//! calls, and they are in no log or count but those of links.

use actix_http::{
    Request, Response, StatusCode,
    body::BoxBody,
    header::{self, HeaderName},
};
use serde_json::json;

use crate::local_server::{data::online_twice, error_body::error_body, rates::Activity, serve::shared::SharedState};

/// Answers a call below `/_control`; `None` for another path.
pub(crate) fn answer(shared: &SharedState, request: &Request) -> Option<Response<BoxBody>> {
    let what = request.path().strip_prefix("/_control/")?;
    let (status, body) = match what {
        _ if !is_local(request) => {
            let why = "only to programs on this machine, by a loopback name, and to no page of another origin";
            (StatusCode::FORBIDDEN, error_body("forbidden", why))
        }
        _ if request.method() != "GET" => (StatusCode::METHOD_NOT_ALLOWED, error_body("method_not_allowed", "use GET")),
        "sessions" => {
            let entries = shared.read(|state| state.sessions.entries());
            let sessions: Vec<_> = entries.iter().map(|entry| entry.logged()).collect();
            (StatusCode::OK, json!({"sessions": sessions}).to_string())
        }
        "online-twice" => {
            let pairs = shared.read(|state| state.sessions.pairs());
            let pairs: Vec<_> = pairs.iter().map(online_twice).collect();
            (StatusCode::OK, json!(pairs).to_string())
        }
        "rates" => {
            let one = |what: &Activity| (what.name().to_owned(), json!(shared.look(|state| state.rates.rate(*what))));
            let rates: serde_json::Map<_, _> = Activity::ALL.iter().map(one).collect();
            (StatusCode::OK, json!(rates).to_string())
        }
        _ => (StatusCode::NOT_FOUND, error_body("not_found", "there are sessions, online-twice and rates")),
    };
    let mut response = Response::new(status).set_body(BoxBody::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    // A body that comes with the call is not read.
    response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    Some(response)
}

/// Returns whether a call comes from this machine and names it, and from no page of another origin: a page may not read
/// what is here, whatever name it has made a browser resolve to this address.
fn is_local(request: &Request) -> bool {
    let text = |name: &HeaderName| {
        let mut values = request.head().headers().get_all(name);
        match (values.next(), values.next()) {
            (None, _) => Some(None),
            (Some(value), None) => value.to_str().ok().map(Some),
            // Of two, another reader may take the other one.
            _ => None,
        }
    };
    let (Some(Some(host)), Some(origin)) = (text(&header::HOST), text(&header::ORIGIN)) else {
        return false;
    };
    request.peer_addr().is_some_and(|peer| peer.ip().is_loopback())
        && is_loopback(host)
        && origin
            .is_none_or(|origin| origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host)))
}

/// Returns whether this `host` or `host:port` names the machine itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) if port.is_empty() || port.starts_with(':') => name,
        Some(_) => return false,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn a_host_is_loopback_by_its_name_or_number_alone() {
        for host in ["localhost", "LOCALHOST:70", "127.0.0.1", "127.1.2.3:7070", "[::1]", "[::1]:7070"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", ":70", "example.com", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1:70", "[::2]"]
        {
            assert!(!is_loopback(host), "{host}");
        }
        for host in ["[::1]x", "[127.0.0.1", "user@localhost", "localhost.", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
