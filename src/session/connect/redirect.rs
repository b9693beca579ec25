//! Redirects: answers to PROVISION with another address (connection spec §6.4).

use std::sync::Arc;

use crate::{model::error::ConnectStep, wire::RedirectInfo};

/// Maximum redirects of one attempt.
pub(super) const MAX_REDIRECTS: usize = 5;

/// Redirects of an attempt.
#[derive(Debug)]
pub(in crate::session) struct Route {
    pub(super) url: Arc<str>,
    pub(super) step: ConnectStep,
    /// Addresses that redirected this attempt, the first one included.
    pub(super) behind: Vec<Arc<str>>,
}

/// Returns the address of a redirect: scheme and path stay.
pub(super) fn redirect_url(from: &str, target: &RedirectInfo) -> Option<Arc<str>> {
    // No host has a longer name.
    let host = target.host.as_deref().filter(|host| (1..=255).contains(&host.len()))?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if !host.chars().all(fits) {
        return None;
    }
    let (scheme, rest) = from.split_once("://")?;
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
    let port = match target.port {
        None | Some(0) => String::new(),
        Some(port) => format!(":{}", u16::try_from(port).ok()?),
    };
    let url = format!("{scheme}://{host}{port}{path}");
    url.parse::<awc::http::Uri>().ok()?;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::redirect_url;
    use crate::wire::RedirectInfo;

    fn target(host: &str, port: u32) -> RedirectInfo {
        RedirectInfo { host: Some(host.to_owned()), port: Some(port) }
    }

    #[test]
    fn a_redirect_keeps_scheme_and_path() {
        let to = |host, port| redirect_url("wss://a.example:8443/websocket", &target(host, port));
        assert_eq!(to("b.example", 9000).as_deref(), Some("wss://b.example:9000/websocket"));
        assert_eq!(to("b.example", 0).as_deref(), Some("wss://b.example/websocket"));
        assert_eq!(to("[::1]", 1).as_deref(), Some("wss://[::1]:1/websocket"));
    }

    #[test]
    fn a_redirect_to_nonsense_leads_nowhere() {
        for (host, port) in [("", 1), ("a b", 1), ("a/b", 1), ("user@host", 1), ("host", 65_536), ("[", 1)] {
            assert_eq!(redirect_url("ws://a/websocket", &target(host, port)), None, "{host}:{port}");
        }
        assert_eq!(redirect_url("ws://a/websocket", &RedirectInfo::default()), None);
    }
}
