use std::{fmt, sync::Arc};

/// The id a subscriber is registered under; adding under the same id again replaces it (connection spec §13).
///
/// Any text will do, also an empty one. Cloning costs a reference count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(Arc<str>);

impl SubscriberId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SubscriberId {
    fn from(id: &str) -> Self {
        SubscriberId(id.into())
    }
}

impl From<String> for SubscriberId {
    fn from(id: String) -> Self {
        SubscriberId(id.into())
    }
}

impl From<Arc<str>> for SubscriberId {
    fn from(id: Arc<str>) -> Self {
        SubscriberId(id)
    }
}

impl From<&SubscriberId> for SubscriberId {
    fn from(id: &SubscriberId) -> Self {
        id.clone()
    }
}

impl fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
