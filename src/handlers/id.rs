use std::sync::Arc;

use crate::util::impls::{impl_display, impl_from};

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

impl_from! { SubscriberId {
    |id: &str| SubscriberId(id.into());
    |id: String| SubscriberId(id.into());
    |id: Arc<str>| SubscriberId(id);
    |id: &SubscriberId| id.clone();
} }

impl_display!(|this: SubscriberId| "{}", this.0);
