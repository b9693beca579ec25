//! Cursors, and the stores that keep them.

use crate::{
    model::{account::AccountKey, error::StateError},
    store,
    util::{Escaped, guarded, impls::impl_debug, lent::caught},
};
use serde::{Deserialize, Serialize};
use slog::{Logger, warn};
use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc, time::Duration};

/// Position up to which a queue has been handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cursor {
    /// The queue's name: domain, app key and name, separated by slashes.
    pub queue: String,
    /// The key that the queue's next pull carries.
    pub key: u64,
}

impl Cursor {
    /// Makes the cursor of a queue.
    #[must_use]
    pub fn new(queue: impl Into<String>, key: u64) -> Self {
        Cursor { queue: queue.into(), key }
    }
}

/// Future of a [`CursorStore`]'s answer.
pub type CursorFuture<T> = Pin<Box<dyn Future<Output = Result<T, CursorError>> + Send>>;

/// Store that keeps the cursors of an account's queues over restarts; given to
/// [`Account::cursor_store`](crate::Account::cursor_store).
///
/// [`FileCursors`](crate::store::FileCursors) keeps them in files. The futures are polled on the connection's thread, so they
/// must not block.
///
/// Saves for different queues may overlap, those for one queue do not. A store may forget queues that were not saved
/// for long; that costs at most a page that comes twice.
pub trait CursorStore: Send + Sync + 'static {
    /// Reads all cursors of an account; having none is no error.
    fn load(&self, account: &AccountKey) -> CursorFuture<Vec<Cursor>>;

    /// Saves a queue's cursor in place of the one before. The future completes when the cursor would outlive the
    /// process.
    fn save(&self, account: &AccountKey, cursor: &Cursor) -> CursorFuture<()>;

    /// Returns the folder it writes to, whose permissions are checked.
    #[doc(hidden)]
    fn folder(&self) -> Option<&Path> {
        None
    }
}

/// Reason that a [`CursorStore`] could not load or save.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] StateError),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The error of an application's own store. It goes to the log, so it must not hold a secret.
    #[error("{}", Escaped(.0))]
    Other(String),
}

impl CursorError {
    /// Makes an error of this text.
    pub fn new(reason: impl fmt::Display) -> Self {
        CursorError::Other(reason.to_string())
    }
}

/// The store of a configuration.
#[derive(Clone)]
pub(crate) struct Cursors(pub(crate) Arc<dyn CursorStore>);

impl_debug!(|_: Cursors| "CursorStore");

/// Time limit of a store.
const PATIENCE: Duration = Duration::from_secs(30);

/// Loads the cursors of an account; a failure is logged and counts as none.
pub(crate) async fn load(store: Arc<dyn CursorStore>, account: AccountKey, log: Logger) -> Vec<Cursor> {
    if let Some(Some(folder)) = caught(|| store.folder()) {
        store::tell_exposed_soon(folder, &log);
    }
    within(|| store.load(&account)).await.unwrap_or_else(|error| {
        warn!(log, "the keys of the queues cannot be read, so messages may come again"; "error" => %error);
        Vec::new()
    })
}

/// Saves a cursor; a failure is logged and costs no message.
pub(crate) async fn save(store: &dyn CursorStore, account: &AccountKey, cursor: Cursor, log: &Logger) {
    if let Err(error) = within(|| store.save(account, &cursor)).await {
        warn!(log, "the key of a queue is not kept over a restart"; "error" => %error);
    }
}

async fn within<T>(begin: impl FnOnce() -> CursorFuture<T>) -> Result<T, CursorError> {
    match actix_rt::time::timeout(PATIENCE, guarded(begin)).await {
        Ok(answer) => answer.unwrap_or_else(|| Err(CursorError::new("the store panicked"))),
        Err(_) => Err(CursorError::Timeout(PATIENCE)),
    }
}
