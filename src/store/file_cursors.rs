//! Cursors kept in files.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};

use tokio::sync::oneshot;

use super::{Cursor, CursorError, CursorFuture, CursorStore, CursorTable};
use crate::{
    model::{account::AccountKey, error::StateError},
    store::{FolderPath, make_private},
    util::{
        lock,
        threads::{self, Single, Threads},
    },
};

/// Store that keeps cursors in a folder, which may be that of a [`StateDir`](crate::StateDir): `APP/USER/cursors.json`.
///
/// A file is JSON with a version, and written whole or not at all, so a process that dies meanwhile leaves the former
/// one. Saves that come while a file is being written are written together. A file holds at most 4096 queues of an
/// account; the least recently used are dropped, and so are queues whose name is longer than 512 bytes. A damaged file
/// is renamed to `….damaged`, and the account begins without cursors: unacknowledged messages come again.
///
/// Anything but a regular file, and folders and files of another user than the process's, are neither used nor
/// replaced, as in a [`StateDir`](crate::StateDir): the account begins without cursors, and saves fail until that is
/// mended.
///
/// Reads and writes happen on threads of the crate's own, one at a time for each account: a disk that hangs costs one
/// thread and no other account's saves. Two processes at once with one account need two folders, or the last write
/// wins.
///
/// ```no_run
/// use std::sync::Arc;
/// use agora_chat::{Account, Credentials, store::FileCursors};
/// let alice = Account::new(Credentials::password("alice", "s3cret")?);
/// let alice = alice.cursor_store(Arc::new(FileCursors::open("/var/lib/bot")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileCursors {
    path: Arc<Path>,
    accounts: Arc<Mutex<HashMap<AccountKey, Arc<File>>>>,
    threads: &'static Threads,
}

const CURSORS: &str = "cursors.json";

/// Size limit in bytes, above that of the largest table.
const LARGEST: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
struct FileContent {
    cursors: Vec<Cursor>,
}

impl FileCursors {
    /// Opens a folder, and creates it where it is missing. A relative path is resolved now.
    ///
    /// # Errors
    /// [`StateError::Io`] where it cannot be created or is no folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).map_err(StateError::io("find", path))?;
        make_private(&absolute)?;
        Ok(FileCursors { path: absolute.into(), accounts: Arc::default(), threads: &threads::FILES })
    }

    fn file(&self, account: &AccountKey) -> Arc<File> {
        let mut accounts = lock(&self.accounts);
        if let Some(file) = accounts.get(account) {
            return Arc::clone(file);
        }
        let place = FolderPath::of(&self.path, &account.app_key, &account.user);
        let file = Arc::new(File {
            state: Mutex::default(),
            work: Single::on(place.line()),
            place,
            #[cfg(test)]
            disk: Arc::default(),
        });
        accounts.insert(account.clone(), Arc::clone(&file));
        file
    }
}

impl CursorStore for FileCursors {
    fn folder(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn load(&self, account: &AccountKey) -> CursorFuture<Vec<Cursor>> {
        let (answer, loaded) = oneshot::channel();
        let file = self.file(account);
        // The table is newer than the file.
        let known = lock(&file.state).table.as_ref().map(CursorTable::to_cursors);
        if let Some(cursors) = known {
            return Box::pin(std::future::ready(Ok(cursors)));
        }
        file.ask(self.threads, |state| state.loads.push(answer));
        answered(loaded)
    }

    fn save(&self, account: &AccountKey, cursor: &Cursor) -> CursorFuture<()> {
        let (answer, saved) = oneshot::channel();
        let file = self.file(account);
        file.ask(self.threads, |state| {
            state.changes += 1;
            // The file is not read yet, but this is newer.
            state.table.as_mut().unwrap_or(&mut state.unread).set(&cursor.queue, cursor.key);
            state.saves.push((state.changes, answer));
        });
        answered(saved)
    }
}

fn answered<T: Send + 'static>(answer: oneshot::Receiver<Result<T, StateError>>) -> CursorFuture<T> {
    Box::pin(async move {
        let none = |_| CursorError::new("no thread could be started for it");
        Ok(answer.await.map_err(none)??)
    })
}

/// One account's file.
#[derive(Debug)]
struct File {
    place: FolderPath,
    state: Mutex<FileState>,
    work: Single,
    /// Simulates a hanging disk while this is locked.
    #[cfg(test)]
    disk: Arc<Mutex<()>>,
}

type Answer<T> = oneshot::Sender<Result<T, StateError>>;

#[derive(Debug, Default)]
struct FileState {
    /// Content that the file has or will have; `None` before it was read.
    table: Option<CursorTable>,
    /// Cursors saved before the file was read.
    unread: CursorTable,
    changes: u64,
    /// Number of the last change that the file holds.
    written: u64,
    loads: Vec<Answer<Vec<Cursor>>>,
    /// Callers that wait for a change, by its number.
    saves: Vec<(u64, Answer<()>)>,
}

impl File {
    /// Registers a request, and schedules the read or write it needs. A caller that gives up leaves nothing behind but
    /// its change.
    fn ask(self: &Arc<Self>, threads: &'static Threads, ask: impl FnOnce(&mut FileState)) {
        {
            let mut state = lock(&self.state);
            state.loads.retain(|answer| !answer.is_closed());
            state.saves.retain(|(_, answer)| !answer.is_closed());
            ask(&mut state);
        }
        let file = Arc::clone(self);
        self.work.run(threads, move || file.serve());
    }

    /// Answers all waiting callers, after at most one read and one write.
    fn serve(&self) {
        if let Err(error) = self.read() {
            let mut state = lock(&self.state);
            let (loads, saves) = (std::mem::take(&mut state.loads), std::mem::take(&mut state.saves));
            drop(state);
            answer(loads, || Err(error.again()));
            // The content of a damaged file is lost, and the new one is written in its place.
            if !matches!(error, StateError::Damaged { .. }) {
                return answer(saves.into_iter().map(|(_, answer)| answer), || Err(error.again()));
            }
            lock(&self.state).saves.extend(saves);
        }
        let (cursors, changes, dirty, loads) = {
            let mut state = lock(&self.state);
            let cursors = state.table.as_ref().map(CursorTable::to_cursors).unwrap_or_default();
            (cursors, state.changes, state.changes > state.written, std::mem::take(&mut state.loads))
        };
        answer(loads, || Ok(cursors.clone()));
        let written = if dirty { self.write(cursors) } else { Ok(()) };
        let mut state = lock(&self.state);
        if written.is_ok() {
            state.written = changes;
        }
        // A change that came meanwhile has a job of its own.
        let (done, later) = std::mem::take(&mut state.saves).into_iter().partition(|(change, _)| *change <= changes);
        state.saves = later;
        drop(state);
        let done: Vec<(u64, Answer<()>)> = done;
        answer(done.into_iter().map(|(_, answer)| answer), || match &written {
            Ok(()) => Ok(()),
            Err(error) => Err(error.again()),
        });
    }

    /// Reads the file, once.
    fn read(&self) -> Result<(), StateError> {
        if lock(&self.state).table.is_some() {
            return Ok(());
        }
        let understood = |content: FileContent| Ok(content.cursors);
        let content = self.place.open()?.map_or(Ok(None), |folder| folder.read(CURSORS, LARGEST, understood));
        let (cursors, damaged) = match content {
            Ok(cursors) => (cursors.unwrap_or_default(), None),
            // A damaged file is set aside. After any other failure the file is unchanged.
            Err(damaged @ StateError::Damaged { .. }) => (Vec::new(), Some(damaged)),
            Err(error) => return Err(error),
        };
        let mut table = CursorTable::default();
        let mut state = lock(&self.state);
        for Cursor { queue, key } in cursors.into_iter().chain(std::mem::take(&mut state.unread).to_cursors()) {
            table.set(&queue, key);
        }
        state.table = Some(table);
        damaged.map_or(Ok(()), Err)
    }

    fn write(&self, cursors: Vec<Cursor>) -> Result<(), StateError> {
        #[cfg(test)]
        drop(lock(&self.disk));
        let folder = self.place.make()?;
        if lock(&self.state).written == 0 {
            folder.remove_leftovers();
        }
        folder.replace(CURSORS, &FileContent { cursors })
    }
}

fn answer<T>(waiting: impl IntoIterator<Item = Answer<T>>, answer: impl Fn() -> Result<T, StateError>) {
    for waiting in waiting {
        // The receiver may be gone.
        let _ = waiting.send(answer());
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Context, time::Duration};

    use tokio::time::timeout;

    use super::{AccountKey, Arc, Cursor, CursorStore as _, FileCursors, Threads, lock};

    const LONG: Duration = Duration::from_secs(10);

    fn account(user: &str) -> AccountKey {
        AccountKey::new("org#app".parse().unwrap(), user.parse().unwrap())
    }

    #[tokio::test]
    #[allow(clippy::await_holding_lock, reason = "it holds up the threads below, never this one")]
    async fn however_often_a_disk_that_hangs_is_tried_it_keeps_one_thread_and_no_other_account() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FileCursors::open(folder.path()).unwrap();
        // Nothing ever counts as standing still here, so that no more than one may.
        store.threads = Box::leak(Box::new(Threads::new("test", 2, Duration::MAX)));
        let (alice, bob) = (account("alice"), account("bob"));
        let disk = Arc::clone(&store.file(&alice).disk);
        let hangs = lock(&disk);
        for key in 1..=1000 {
            let mut save = store.save(&alice, &Cursor::new("queue", key));
            let mut task = Context::from_waker(std::task::Waker::noop());
            assert!(save.as_mut().poll(&mut task).is_pending());
        }
        let saved = store.save(&bob, &Cursor::new("queue", 1));
        timeout(LONG, saved).await.unwrap().unwrap();
        assert!(store.threads.count() <= 3, "{} threads", store.threads.count());
        assert!(lock(&store.file(&alice).state).saves.len() <= 1, "who gave up is forgotten");
        let known = timeout(LONG, store.load(&alice)).await.unwrap().unwrap();
        assert_eq!(known, [Cursor::new("queue", 1000)], "what is known needs no disk");
        drop(hangs);
        timeout(LONG, store.save(&alice, &Cursor::new("other", 1))).await.unwrap().unwrap();
        let again = FileCursors::open(folder.path()).unwrap();
        assert_eq!(again.load(&alice).await.unwrap(), [Cursor::new("queue", 1000), Cursor::new("other", 1)]);
    }

    #[tokio::test]
    async fn what_is_saved_before_the_file_was_read_is_newer_than_it_and_loses_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileCursors::open(folder.path()).unwrap();
        for (queue, key) in [("a", 1), ("b", 2)] {
            store.save(&account("alice"), &Cursor::new(queue, key)).await.unwrap();
        }
        let again = FileCursors::open(folder.path()).unwrap();
        // Nobody waits for it.
        drop(again.save(&account("alice"), &Cursor::new("a", 7)));
        let mut loaded = again.load(&account("alice")).await.unwrap();
        loaded.sort_by(|one, other| one.queue.cmp(&other.queue));
        assert_eq!(loaded, [Cursor::new("a", 7), Cursor::new("b", 2)]);
    }
}
