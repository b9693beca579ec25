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

pub use escape::Escaped;
pub(crate) use escape::must_be_escaped;
pub(crate) use guarded::guarded;
