//! Network settings of one configuration.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Proxy, Roots, Target, proxy::Server, target::is_loopback};

/// Proxy, root certificates, local address and permission for plaintext. A clone is a reference count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network(Option<Arc<Overrides>>);

/// Settings that differ from the default. Connections with default settings carry none.
#[derive(Clone, Debug, Default)]
struct Overrides {
    id: u64,
    proxy: Proxy,
    roots: Roots,
    plaintext: bool,
    local: Option<IpAddr>,
}

static DEFAULT_PROXY: Proxy = Proxy::environment();

impl Network {
    /// Returns an id that tells settings apart; that of the default is 0.
    pub(crate) fn id(&self) -> u64 {
        self.0.as_ref().map_or(0, |own| own.id)
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        self.0.as_ref().map_or(&DEFAULT_PROXY, |own| &own.proxy)
    }

    pub(crate) fn roots(&self) -> &Roots {
        static NONE: Roots = Roots::none();
        self.0.as_ref().map_or(&NONE, |own| &own.roots)
    }

    /// Returns whether a host may be called at this address, through the proxy that applies to it now.
    pub(crate) fn allows(&self, target: &Target) -> bool {
        // An unusable proxy is reported when it is to be used.
        let proxy = self.proxy().of(target).ok().flatten();
        self.allows_through(target, proxy.as_deref())
    }

    /// Returns whether bytes may go to a host, through this proxy if any: they are encrypted, or do not leave this
    /// machine, or the application allows plaintext.
    pub(super) fn allows_through(&self, target: &Target, proxy: Option<&Server>) -> bool {
        let stays = target.is_loopback() && proxy.is_none_or(|proxy| is_loopback(&proxy.host));
        target.secure || stays || self.plaintext()
    }

    fn plaintext(&self) -> bool {
        self.0.as_ref().is_some_and(|own| own.plaintext)
    }

    /// Returns the local address to connect from, if one was chosen.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        self.0.as_ref().and_then(|own| own.local)
    }

    pub(crate) fn with_proxy(&self, proxy: Proxy) -> Self {
        self.with(|own| own.proxy = proxy)
    }

    pub(crate) fn with_roots(&self, roots: Roots) -> Self {
        self.with(|own| own.roots = roots)
    }

    pub(crate) fn with_plaintext(&self) -> Self {
        self.with(|own| own.plaintext = true)
    }

    pub(crate) fn with_local(&self, address: IpAddr) -> Self {
        self.with(|own| own.local = Some(address))
    }

    fn with(&self, change: impl FnOnce(&mut Overrides)) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let mut own = self
            .0
            .as_deref()
            .cloned()
            .unwrap_or_else(|| Overrides { proxy: DEFAULT_PROXY.clone(), ..Overrides::default() });
        own.id = IDS.fetch_add(1, Ordering::Relaxed);
        change(&mut own);
        Network(Some(Arc::new(own)))
    }
}
