//! Addresses that servers name: what is shown of one, and where a redirect leads.

use awc::http::Uri;

/// Host and port of an address, for logs and errors; never its userinfo, which may be a secret.
pub(super) fn host(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    Some(match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    })
}

/// Resolves a reference within the answer from an address (RFC 3986 §5.2), without fragment; `None` unless http(s).
pub(super) fn referred(from: &str, to: &str) -> Option<String> {
    let base: Uri = from.parse().ok()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let to = to.split('#').next().unwrap_or_default().trim();
    let absolute = if has_scheme(to) {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else {
        let (path, query) = to.split_at(to.find('?').unwrap_or(to.len()));
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match path {
            "" if query.is_empty() => return None,
            "" => base.path().to_owned(),
            _ if path.starts_with('/') => without_dots(path),
            _ => without_dots(&format!("{folder}/{path}")),
        };
        format!("{scheme}://{authority}{path}{query}")
    };
    let uri: Uri = absolute.parse().ok()?;
    let known = matches!(uri.scheme_str()?, "http" | "https");
    (known && !uri.host()?.is_empty()).then_some(absolute)
}

/// Returns the target of a redirect that may be followed: never from https to http.
pub(super) fn resolved(from: &str, to: &str) -> Option<String> {
    let to = referred(from, to)?;
    let scheme = |url: &str| url.parse::<Uri>().ok().and_then(|uri| uri.scheme_str().map(str::to_owned));
    (scheme(from)?.as_str() != "https" || scheme(&to)?.as_str() == "https").then_some(to)
}

fn has_scheme(to: &str) -> bool {
    let scheme = to.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Returns a path without `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut steps = path.split('/').skip(1).peekable();
    while let Some(step) = steps.next() {
        let last = steps.peek().is_none();
        match step {
            "." | ".." => {
                if step == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(step),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{host, referred, resolved};

    #[test]
    fn of_an_address_host_and_port_are_shown_and_no_userinfo() {
        for (url, shown) in [
            ("http://a.example/x", Some("a.example")),
            ("https://key:SECRET@a.example:8443/x?y=SECRET", Some("a.example:8443")),
            ("https://SECRET@[::1]:1/", Some("[::1]:1")),
            ("http://a@b@c/", Some("c")),
            ("/x", None),
            ("", None),
        ] {
            assert_eq!(host(url).as_deref(), shown, "{url}");
        }
    }

    #[test]
    fn a_reference_is_resolved_as_the_standard_has_it() {
        let to = |to| referred("https://a:1/x/y/z?q", to);
        for (reference, wanted) in [
            ("/z?q", "https://a:1/z?q"),
            ("//b/z", "https://b/z"),
            ("https://b/z#part", "https://b/z"),
            ("HTTP://b", "HTTP://b"),
            ("z", "https://a:1/x/y/z"),
            ("./z?a=b:c", "https://a:1/x/y/z?a=b:c"),
            ("../z/", "https://a:1/x/z/"),
            ("../../../..", "https://a:1/"),
            ("?p", "https://a:1/x/y/z?p"),
            ("/a/./b/../c", "https://a:1/a/c"),
        ] {
            assert_eq!(to(reference).as_deref(), Some(wanted), "{reference}");
        }
        for bad in ["ftp://b/z", "mailto:x", "", "#x", "https://", "https:///x", "a b", "http:"] {
            assert_eq!(to(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_redirect_never_leads_from_https_to_http() {
        assert_eq!(resolved("https://a/x", "http://b/z"), None);
        assert_eq!(resolved("https://a/x", "HTTP://b/z"), None);
        assert_eq!(resolved("https://a/x", "HTTPS://b/z").as_deref(), Some("HTTPS://b/z"));
        assert_eq!(resolved("http://a/x", "http://b/z").as_deref(), Some("http://b/z"));
    }
}
