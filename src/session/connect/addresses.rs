//! WebSocket addresses of the service.

use std::sync::Arc;

use crate::config::Addresses;

/// WebSocket addresses; each attempt uses the next one.
#[derive(Debug, Default)]
pub(in crate::session) struct AddressRotation {
    list: Vec<Arc<str>>,
    next: usize,
}

impl AddressRotation {
    /// Replaces the addresses; an empty list keeps the old ones.
    pub(in crate::session) fn set(&mut self, addresses: &Addresses) {
        if addresses.socket.is_empty() {
            return;
        }
        self.list = addresses.socket.iter().map(|url| Arc::from(url.as_str())).collect();
        self.next = 0;
    }

    /// Forgets all addresses: none was reachable, so the service may have moved.
    pub(in crate::session) fn forget(&mut self) {
        *self = AddressRotation::default();
    }

    pub(in crate::session) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the address that the next attempt uses.
    pub(in crate::session) fn peek(&self) -> Option<&Arc<str>> {
        self.list.get(self.next % self.list.len().max(1))
    }

    pub(in crate::session) fn take(&mut self) -> Option<Arc<str>> {
        let url = self.list.get(self.next % self.list.len().max(1)).cloned();
        self.next = self.next.wrapping_add(1) % self.list.len().max(1);
        url
    }
}
