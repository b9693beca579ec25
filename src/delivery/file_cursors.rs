//! Keys kept in files.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{Account, Cursor, CursorError, CursorFuture, CursorStore, CursorTable};
use crate::{
    StateError,
    state::{file, file_name, make_private},
};

/// Keeps keys of queues in a folder, which may be that of a [`StateDir`](crate::StateDir): `APP/USER/cursors.json`.
///
/// A file is JSON with a version, and written whole or not at all, so a process that dies over it leaves the former one.
/// Saves that come while a file is being written are written together. It holds at most 4096 queues of an account; the
/// ones longest not used are forgotten, and so are queues whose name is longer than 512 bytes. A file that cannot be
/// read as what it should be is renamed to `….damaged`, and the account begins without keys: what was not acknowledged
/// comes again.
///
/// Reads and writes happen on the runtime's threads for blocking work. Two processes at once with one account need two
/// folders, or the last write wins.
///
/// ```no_run
/// use std::sync::Arc;
/// use agora_chat::{Config, FileCursors};
/// let config = Config::new("org#app")?.cursor_store(Arc::new(FileCursors::open("/var/lib/bot")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileCursors {
    path: Arc<Path>,
    accounts: Arc<Mutex<HashMap<Account, Arc<File>>>>,
}

const CURSORS: &str = "cursors.json";

/// More than the largest table needs.
const LARGEST: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Content {
    cursors: Vec<Cursor>,
}

impl FileCursors {
    /// Takes a folder, and makes it where it is missing. The folder of a relative path is that of this moment.
    ///
    /// # Errors
    /// [`StateError::Io`] where it cannot be made or is no folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).map_err(StateError::io("find", path))?;
        make_private(&absolute)?;
        Ok(FileCursors { path: absolute.into(), accounts: Arc::default() })
    }

    fn file(&self, account: &Account) -> Arc<File> {
        let mut accounts = lock(&self.accounts);
        if let Some(file) = accounts.get(account) {
            return Arc::clone(file);
        }
        let folder = self.path.join(file_name(account.app_key.as_str())).join(file_name(account.user.as_str()));
        let file = Arc::new(File { path: folder.join(CURSORS), state: Mutex::default(), written: Mutex::default() });
        accounts.insert(account.clone(), Arc::clone(&file));
        file
    }
}

impl CursorStore for FileCursors {
    fn load(&self, account: &Account) -> CursorFuture<Vec<Cursor>> {
        let file = self.file(account);
        blocking(move || file.load())
    }

    fn save(&self, account: &Account, cursor: &Cursor) -> CursorFuture<()> {
        let (file, cursor) = (self.file(account), cursor.clone());
        blocking(move || file.save(&cursor))
    }
}

fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StateError> + Send + 'static) -> CursorFuture<T> {
    Box::pin(async move {
        let done = actix_rt::task::spawn_blocking(work).await;
        Ok(done.map_err(|_| CursorError::new("the runtime has ended"))??)
    })
}

/// One account's file.
#[derive(Debug)]
struct File {
    path: PathBuf,
    state: Mutex<State>,
    /// Which change the file holds; locked while it is written.
    written: Mutex<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// What the file holds, or will; `None` before it was read.
    table: Option<CursorTable>,
    changes: u64,
}

impl File {
    fn load(&self) -> Result<Vec<Cursor>, StateError> {
        let mut state = lock(&self.state);
        // What was saved here is newer than what the file may hold yet.
        if state.table.is_none() {
            let read = self.read();
            if let Err(StateError::Damaged { .. }) = &read {
                // It is set aside, and what it held is lost. After any other failure the file is still what it was.
                state.table = Some(CursorTable::default());
            }
            state.table = Some(read?);
        }
        Ok(state.table.as_ref().map(CursorTable::to_cursors).unwrap_or_default())
    }

    fn read(&self) -> Result<CursorTable, StateError> {
        let content = file::read_up_to(LARGEST, &self.path, |content: Content| Ok(content.cursors))?;
        let mut table = CursorTable::default();
        for Cursor { queue, key } in content.unwrap_or_default() {
            table.set(&queue, key);
        }
        Ok(table)
    }

    fn save(&self, cursor: &Cursor) -> Result<(), StateError> {
        let change = {
            let mut state = lock(&self.state);
            if state.table.is_none() {
                state.table = Some(match self.read() {
                    // It is set aside, and what it held is lost.
                    Err(StateError::Damaged { .. }) => CursorTable::default(),
                    read => read?,
                });
            }
            state.changes += 1;
            if let Some(table) = &mut state.table {
                table.set(&cursor.queue, cursor.key);
            }
            state.changes
        };
        let mut written = lock(&self.written);
        if *written >= change {
            // Somebody else has written it together with another one.
            return Ok(());
        }
        let (cursors, newest) = {
            let state = lock(&self.state);
            (state.table.as_ref().map(CursorTable::to_cursors).unwrap_or_default(), state.changes)
        };
        if let Some(folder) = self.path.parent() {
            make_private(folder)?;
            if *written == 0 {
                file::remove_leftovers(folder);
            }
        }
        file::replace(&self.path, &Content { cursors })?;
        *written = newest;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
