use std::{
    any::Any,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{model::redactor::Redactor, util::impls::impl_debug};

/// Origin of a session's events, shared by all of them: its secrets, its epoch, and a weak reference to its connection.
#[derive(Clone, Default)]
pub(crate) struct Origin(Arc<Shared>);

#[derive(Default)]
struct Shared {
    redactor: Redactor,
    /// The handle, of a type that is known above this floor. Weak, for events must not keep a connection logged in.
    connection: OnceLock<Weak<dyn Any + Send + Sync>>,
    epoch: Option<u64>,
    /// The session's gate, if it has one.
    gate: Option<Arc<dyn Openness>>,
    ended: AtomicBool,
}

/// A gate that is known above this floor.
pub(crate) trait Openness: Send + Sync + 'static {
    fn is_open(&self) -> bool;
}

impl Origin {
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    pub(crate) fn set_connection(&self, connection: Weak<dyn Any + Send + Sync>) {
        let _ = self.0.connection.set(connection);
    }

    /// Returns the connection's handle, while somebody holds one and if it is of this type.
    pub(crate) fn connection<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.connection.get()?.upgrade()?.downcast().ok()
    }

    /// Returns the origin of another session of the same connection.
    pub(crate) fn next_session(&self, epoch: Option<u64>, gate: Option<Arc<dyn Openness>>) -> Self {
        let Shared { redactor, connection, .. } = &*self.0;
        let (redactor, connection) = (redactor.clone(), connection.clone());
        Origin(Arc::new(Shared { redactor, connection, epoch, gate, ended: AtomicBool::new(false) }))
    }

    /// Records the end of the session.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        self.0.epoch
    }

    /// Returns whether the session lives and its gate, if any, is open.
    pub(crate) fn is_live(&self) -> bool {
        !self.0.ended.load(Ordering::Acquire) && self.0.gate.as_ref().is_none_or(|gate| gate.is_open())
    }
}

impl_debug!(|_: Origin| "Origin");
