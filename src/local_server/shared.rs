//! What the handle, the port and every link share: the state behind one lock, and word of its changes.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use tokio::sync::{Notify, watch};

use super::state::State;

/// The state of one server. The lock is held for one step at a time, never while waiting.
pub(super) struct SharedState {
    /// The public address.
    pub(super) address: SocketAddr,
    /// How long answers are held back.
    pub(super) delay_ms: AtomicU64,
    /// Woken after every change.
    pub(super) changed: Notify,
    silent: watch::Sender<bool>,
    state: Mutex<State>,
}

impl SharedState {
    pub(super) fn new(address: SocketAddr, state: State) -> Self {
        SharedState {
            address,
            delay_ms: AtomicU64::new(0),
            changed: Notify::new(),
            silent: watch::Sender::new(false),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No step leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(super) fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.lock())
    }

    /// Changes the state and wakes who waits for changes.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    pub(super) fn set_silent(&self, silent: bool) {
        self.change(|state| state.silent = silent);
        self.silent.send_replace(silent);
    }

    pub(super) fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    /// Resolves when the server speaks again.
    pub(super) async fn silence_over(&self) {
        // The sender lives as long as `self`.
        let _ = self.silent.subscribe().wait_for(|silent| !silent).await;
    }
}
