//! Who may call: the checks before every call, and the headers of every answer.

use std::net::{IpAddr, SocketAddr};

use actix_web::{
    HttpMessage as _, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};

use crate::fleet::admin::{Admin, answer::Refused};

/// What every answer says to a browser: to keep nothing, guess nothing, show it in no other page and load nothing from
/// elsewhere.
const HEADERS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// Lets a request through or answers it.
pub(super) async fn guard(
    admin: &Admin,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut response = match check(admin, &request) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(refused) => request.into_response(refused.error_response()),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}

fn check(admin: &Admin, request: &ServiceRequest) -> Result<(), Refused> {
    let forbidden = |code, message: &str| Err(Refused::new(StatusCode::FORBIDDEN, code, message));
    let settings = &admin.0;
    if settings.token.is_none() && !request.peer_addr().is_none_or(|peer| is_loopback(peer.ip())) {
        return forbidden("token_needed", "other machines may call only where the admin interface has a token");
    }
    let headers = request.headers();
    let Some(host) = only(headers, header::HOST) else {
        return forbidden("foreign_host", "the request does not name exactly one host");
    };
    let host = without_default_port(host).to_ascii_lowercase();
    let local = request.app_config().local_addr();
    if !settings.hosts.contains(&host) && !is_own(&host, local, settings.token.is_some()) {
        return forbidden(
            "foreign_host",
            "this host is not served: call by a loopback name with the server's port, or configure the host",
        );
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = only(headers, header::ORIGIN).and_then(|origin| origin.split_once("://"));
        let own = origin.is_some_and(|(_, origin)| without_default_port(origin).eq_ignore_ascii_case(&host));
        if !own {
            return forbidden("foreign_origin", "a page of another origin may neither read nor act");
        }
    }
    // What browsers say where they say no origin; a link from elsewhere may lead to the page itself.
    let of_site = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = of_site("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
        && !(request.method() == Method::GET && of_site("sec-fetch-mode") == Some("navigate") && is_page(request))
    {
        return forbidden("foreign_origin", "a page of another origin may neither read nor act");
    }
    if let Some(token) = &settings.token
        && !is_open(request)
    {
        let given = only(headers, header::AUTHORIZATION).and_then(|given| {
            let (scheme, token) = given.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let refused = |message: &str| Err(Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        match given {
            None => return refused("this call needs the header `Authorization: Bearer …`"),
            Some(given) if !token.is(given.as_bytes()) => return refused("the token is not the right one"),
            Some(_) => {}
        }
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let has_body = headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length > 0);
    if has_body && !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "a body must be JSON, with `Content-Type: application/json`",
        ));
    }
    Ok(())
}

/// Returns a header that is there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

pub(super) fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(host)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns whether a host leads to this server without any name that somebody else could lead here.
fn is_own(host: &str, local: SocketAddr, any_address: bool) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // An IPv6 address has colons of its own, and stands in brackets.
        Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().ok()),
        _ => (host, Some(80)),
    };
    if port != Some(local.port()) && !(port == Some(80) && local.port() == 443) {
        return false;
    }
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name).parse::<IpAddr>();
    match address {
        Ok(address) => any_address || is_loopback(address) || address.to_canonical() == local.ip().to_canonical(),
        Err(_) => name == "localhost",
    }
}

/// Returns the path below the place where the routes are mounted.
fn within(request: &ServiceRequest) -> &str {
    request.match_info().unprocessed()
}

fn is_page(request: &ServiceRequest) -> bool {
    matches!(within(request), "" | "/")
}

/// Returns whether it is open to all who reach the server: the page's files, which hold nothing, and the probes.
fn is_open(request: &ServiceRequest) -> bool {
    matches!(request.method(), &Method::GET | &Method::HEAD)
        && (is_page(request)
            || matches!(within(request), "/page.css" | "/page.js" | "/page.svg" | "/livez" | "/readyz" | "/startupz"))
}
