//! Addresses of the service.

use std::fmt;

use crate::{
    model::{error::ConfigError, message::Bare},
    net::{Network, Target},
    util::impls::impl_debug,
};

/// The endpoints of the service.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoints {
    /// Requests `server.json` from these bootstrap hosts (`https://host[:port]`), each once and in order (connection spec §2).
    ///
    /// Discovery runs at the first login, and again after every 5 failed attempts to reconnect in a row.
    Discovery(Vec<String>),
    /// Uses these addresses.
    Fixed(Addresses),
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoints::Discovery(hosts) => f.debug_tuple("Discovery").field(&bare(hosts)).finish(),
            Endpoints::Fixed(addresses) => f.debug_tuple("Fixed").field(addresses).finish(),
        }
    }
}

/// Addresses of the service. Each attempt uses the next address of a list, in rotation.
///
/// `Debug` shows no userinfo and no query: either may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// REST bases, `http://host[:port]` or `https://host[:port]`.
    pub rest: Vec<String>,
    /// WebSocket addresses, `ws://host[:port]/websocket` or `wss://…`.
    pub socket: Vec<String>,
}

impl_debug! { Addresses { rest = bare(rest), socket = bare(socket) } }

fn bare(addresses: &[String]) -> Vec<Bare<'_>> {
    addresses.iter().map(|address| Bare(address)).collect()
}

/// The vendor's bootstrap hosts (connection spec §2): the web SDK's first, its sibling's after it.
const BOOTSTRAP: [&str; 3] = ["https://ars.chat.agora.io", "https://rs.chat.agora.io", "https://rs.easemob.com"];

impl Default for Endpoints {
    fn default() -> Self {
        Endpoints::Discovery(BOOTSTRAP.map(str::to_owned).to_vec())
    }
}

impl Endpoints {
    pub(super) fn check(&self, network: &Network) -> Result<(), ConfigError> {
        let lists: &[(&'static str, &Vec<String>, &[&str])] = match self {
            Endpoints::Discovery(hosts) => &[("discovery", hosts, &["http", "https"])],
            Endpoints::Fixed(fixed) => {
                &[("REST", &fixed.rest, &["http", "https"]), ("WebSocket", &fixed.socket, &["ws", "wss"])]
            }
        };
        for (what, list, schemes) in lists {
            if list.is_empty() {
                return Err(ConfigError::NoAddress(what));
            }
            for address in *list {
                check_address(what, address, schemes, network)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn check_address(
    what: &'static str,
    address: &str,
    schemes: &[&str],
    network: &Network,
) -> Result<(), ConfigError> {
    // The part before an `@` may hold a password, and the part behind the path a secret.
    let (bare, behind) = address.split_once(['?', '#', ';']).map_or((address, ""), |(bare, _)| (bare, "…"));
    let shown = bare.rsplit_once('@').map_or(bare.to_owned(), |(_, host)| format!("<redacted>@{host}")) + behind;
    let refuse = |problem| Err(ConfigError::Address { what, address: shown.clone(), problem });
    let Ok(uri) = address.parse::<awc::http::Uri>() else {
        return refuse("is not an address");
    };
    match uri.scheme_str() {
        None => return refuse("has no scheme"),
        Some(scheme) if !schemes.contains(&scheme) => return refuse("has a scheme that cannot be used here"),
        Some(_) => {}
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => refuse("must not hold credentials"),
        Some(authority) if !authority.host().is_empty() => match Target::parse(address) {
            Some(target) if network.allows(&target) => Ok(()),
            Some(_) => refuse(
                "is not encrypted, and not reached on this machine alone; use https or wss, or allow plaintext (`ConfigBuilder::allow_plaintext`)",
            ),
            None => refuse("is not an address"),
        },
        _ => refuse("has no host"),
    }
}
