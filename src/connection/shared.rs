//! What handles read without a round trip.

use std::sync::{Mutex, PoisonError};

use crate::ConnectionState;

/// The connection's state as last seen by its actor.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<ConnectionState>);

impl Shared {
    pub(super) fn state(&self) -> ConnectionState {
        // A copy cannot be left half-written, so a poisoned lock is as good as any.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_state(&self, state: ConnectionState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
