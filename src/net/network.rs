//! The way to the network, as one configuration has it.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Proxy, Roots, Target, proxy::Server, target::is_loopback};

/// Proxy, root certificates, own address, and whether bytes may travel readable. A clone is a reference count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network(Option<Arc<Overrides>>);

/// What differs from the default, so that the many connections that use the default carry nothing.
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
    /// Tells one way from another; the default's is 0.
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

    /// Whether a host may be called at this address, by the way that is taken to it now.
    pub(crate) fn allows(&self, target: &Target) -> bool {
        // A proxy that cannot be used is told when it is to be.
        let proxy = self.proxy().of(target).ok().flatten();
        self.allows_through(target, proxy.as_deref())
    }

    /// Whether bytes may go to a host, through this proxy if any: encrypted, or without leaving this machine, or the
    /// application said so.
    pub(super) fn allows_through(&self, target: &Target, proxy: Option<&Server>) -> bool {
        let stays = target.is_loopback() && proxy.is_none_or(|proxy| is_loopback(&proxy.host));
        target.secure || stays || self.plaintext()
    }

    fn plaintext(&self) -> bool {
        self.0.as_ref().is_some_and(|own| own.plaintext)
    }

    /// The address of this machine to connect from, if one was chosen.
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
