//! The state behind one lock, shared by the handle, the port and every link, and a signal of its changes.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use tokio::sync::{Notify, watch};

use crate::local_server::state::State;

/// The state of one server. The lock is held for one step at a time, never while waiting.
pub(crate) struct SharedState {
    /// The public address.
    pub(crate) address: SocketAddr,
    /// The delay of everything the server sends.
    pub(crate) delay_ms: AtomicU64,
    /// Woken after every change.
    pub(crate) changed: Notify,
    silent: watch::Sender<bool>,
    state: Mutex<State>,
}

impl SharedState {
    pub(crate) fn new(address: SocketAddr, state: State) -> Self {
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

    /// Reads the state.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&self.lock())
    }

    /// Reads what has to be brought up to date for it; nobody is woken.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.lock())
    }

    /// Changes the state and wakes everyone who waits for changes.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    pub(crate) fn set_silent(&self, silent: bool) {
        self.change(|state| state.faults.silent = silent);
        self.silent.send_replace(silent);
    }

    pub(crate) fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    /// Waits until the server is no longer silent.
    pub(crate) async fn silence_over(&self) {
        // The sender lives as long as `self`.
        let _ = self.silent.subscribe().wait_for(|silent| !silent).await;
    }
}
