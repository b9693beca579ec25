//! Small tools that know nothing of chat.

pub(crate) mod backoff;
mod escape;
mod guarded;
pub(crate) mod impls;
pub(crate) mod lenient;
pub(crate) mod lent;
pub(crate) mod spawn;
pub(crate) mod threads;
pub(crate) mod unix_time;
pub(crate) mod weight;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use escape::Escaped;
pub(crate) use escape::must_be_escaped;
pub(crate) use guarded::guarded;

/// Locks a mutex, also after a panic elsewhere: nothing is left half changed under it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
