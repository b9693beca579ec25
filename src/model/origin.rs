use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock, Weak},
};

use crate::model::redactor::Redactor;

/// Origin of a connection's events, shared by all of them: its secrets, and a weak reference to it.
#[derive(Clone, Default)]
pub(crate) struct Origin(Arc<Shared>);

#[derive(Default)]
struct Shared {
    redactor: Redactor,
    /// The handle, of a type that is known above this floor. Weak, for events must not keep a connection logged in.
    connection: OnceLock<Weak<dyn Any + Send + Sync>>,
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
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}
