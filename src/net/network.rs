//! The way to the network, as one configuration has it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Proxy, Roots, Target};

/// Proxy, root certificates, and whether bytes may travel readable. A clone is a reference count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network(Option<Arc<Own>>);

/// What differs from the default, so that the many connections that use the default carry nothing.
#[derive(Clone, Debug)]
struct Own {
    id: u64,
    proxy: Proxy,
    roots: Roots,
    plaintext: bool,
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

    /// Whether a host may be called at this address: encrypted, or on this machine, or the application said so.
    pub(crate) fn allows(&self, target: &Target) -> bool {
        target.secure || target.is_loopback() || self.plaintext()
    }

    fn plaintext(&self) -> bool {
        self.0.as_ref().is_some_and(|own| own.plaintext)
    }

    pub(crate) fn with_proxy(&self, proxy: Proxy) -> Self {
        Self::own(proxy, self.roots().clone(), self.plaintext())
    }

    pub(crate) fn with_roots(&self, roots: Roots) -> Self {
        Self::own(self.proxy().clone(), roots, self.plaintext())
    }

    pub(crate) fn with_plaintext(&self) -> Self {
        Self::own(self.proxy().clone(), self.roots().clone(), true)
    }

    fn own(proxy: Proxy, roots: Roots, plaintext: bool) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Network(Some(Arc::new(Own { id: IDS.fetch_add(1, Ordering::Relaxed), proxy, roots, plaintext })))
    }
}
