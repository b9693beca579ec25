//! What several test binaries need.

pub(crate) mod own_process;
pub(crate) mod receiver;
pub(crate) mod scripted;
pub(crate) mod tls_front;

#[cfg(unix)]
pub(crate) mod program;
#[cfg(unix)]
pub(crate) mod unprivileged;
