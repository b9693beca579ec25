//! From an address to an open stream, step by step: name, TCP, proxy, TLS, WebSocket upgrade.
//!
//! awc's own WebSocket connect hides its current step, the headers of a refusal and the proxy, and keeps two buffers of
//! 8 KiB for each socket. So the socket is opened here, and awc makes the REST calls.

mod dial;
mod gate;
mod head;
mod names;
mod network;
mod proxy;
mod retry_after;
mod stream;
mod target;
mod tls;
mod traffic;
mod upgrade;
pub(crate) mod websocket;

use std::{cell::Cell, rc::Rc};

use crate::model::error::ConnectStep;

pub(crate) use dial::{DialError, dial, dial_by};
pub use gate::Gate;
pub(crate) use network::Network;
pub use proxy::{Proxy, ProxyError};
pub(crate) use retry_after::{MAX_PAUSE, answered_at, parse_retry_after};
pub(crate) use stream::Stream;
pub(crate) use target::Target;
pub use tls::{Roots, RootsError};
pub(crate) use tls::{certificate_problem, client_config};
pub(crate) use traffic::{Activity, WatchedStream, unacknowledged_bytes};
pub(crate) use upgrade::{Upgraded, upgrade};

/// The current step of a dial, readable while it is under way.
#[derive(Clone, Debug)]
pub(crate) struct ConnectProgress(Rc<Cell<ConnectStep>>);

impl Default for ConnectProgress {
    fn default() -> Self {
        ConnectProgress::new()
    }
}

impl ConnectProgress {
    pub(crate) fn new() -> Self {
        ConnectProgress(Rc::new(Cell::new(ConnectStep::Resolve)))
    }

    pub(crate) fn at(&self, step: ConnectStep) {
        self.0.set(step);
    }

    pub(crate) fn step(&self) -> ConnectStep {
        self.0.get()
    }
}
