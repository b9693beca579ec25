use std::{
    collections::HashMap,
    ffi::OsStr,
    fmt,
    path::Path,
    sync::{Arc, Mutex},
};

use super::{
    DeadLetter, DeadLetterError, DeadLetterFuture, DeadLetterStore, Delivery, MessageHandler, Replayed, handler::Failed,
};
use crate::{
    config::count,
    model::{
        account::AccountKey,
        error::{ConfigError, StateError},
    },
    store::{self, FolderPath, make_private},
    util::{
        impls::impl_display,
        lock,
        threads::{Serial, Unfinished},
    },
};

/// Keeps what could not be handled in a folder, which may be that of a [`StateDir`](crate::StateDir) and of
/// [`FileCursors`](crate::store::FileCursors): a file for each letter, in `APP/USER/dead_letters/`. Cheap to clone, and every clone
/// is the same store.
///
/// A file is written whole or not at all, and is on the disk before the message is acknowledged. It holds the message as it
/// came, with what that may hold of secrets: its mode is 0600, and that of the folders 0700 (on Unix). A letter that is
/// there already is not written twice.
///
/// Bounds, for each account: [`LETTERS`](FileDeadLetters::LETTERS) letters and [`BYTES`](FileDeadLetters::BYTES) bytes of
/// files, unless [`bounded`](FileDeadLetters::bounded) says otherwise. **Past them nothing is dropped:** the store is full,
/// and the queue of what could not be handled waits on the server until there is room; the log says so. A file that cannot
/// be read as what it should be is renamed to `….damaged`, and counts until somebody removes it.
///
/// All work is done on threads of the crate's own, one piece at a time for an account and with a limit of 30 s, so a disk
/// that does not answer costs the accounts that are on it, and nobody else. Processes that share a folder lose nothing by
/// it, and each counts what it finds.
///
/// ```no_run
/// use agora_chat::{Connection, account::AccountKey, delivery::FileDeadLetters};
/// # async fn again(connection: Connection, account: AccountKey) -> Result<(), Box<dyn std::error::Error>> {
/// let letters = FileDeadLetters::open("/var/lib/bot")?;
/// if let Some(handler) = connection.message_handler() {
///     let replayed = letters.replay(&account, &handler).await?;
///     println!("{} handled, {} left", replayed.handled, replayed.failed);
/// }
/// for stored in letters.list(&account).await? {
///     if let Some(letter) = letters.read(&account, &stored.id).await? {
///         println!("{}: {letter:?}", stored.id);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FileDeadLetters {
    path: Arc<Path>,
    bounds: Bounds,
    accounts: Arc<Mutex<HashMap<AccountKey, Folder>>>,
}

#[derive(Clone, Copy)]
struct Bounds {
    letters: usize,
    bytes: u64,
}

/// Names a stored letter; a later one is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(Box<str>);

impl_display!(|this: LetterId| "{}", this.0);

/// A letter on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredLetter {
    /// The id by which to [read](FileDeadLetters::read) or [remove](FileDeadLetters::remove) it.
    pub id: LetterId,
    /// The server's id of the message, or another number that tells the event from others; 0 where there is none.
    pub message: u64,
    /// Its file's size.
    pub bytes: u64,
}

#[derive(Clone)]
struct Folder {
    place: FolderPath,
    line: Serial,
}

const LETTER: &str = "letter";
const DAMAGED: &str = "damaged";

#[derive(Default)]
struct Found {
    letters: Vec<(StoredLetter, u64)>,
    files: usize,
    bytes: u64,
    last: u64,
}

impl FileDeadLetters {
    /// The default bound on an account's letters.
    pub const LETTERS: usize = 1000;

    /// The default bound on the bytes of an account's files.
    pub const BYTES: u64 = 64 << 20;

    /// Takes a folder, and makes it where it is missing. The folder of a relative path is that of this moment.
    ///
    /// # Errors
    /// [`StateError::Io`] where it cannot be made or is no folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).map_err(StateError::io("find", path))?;
        make_private(&absolute)?;
        let bounds = Bounds { letters: Self::LETTERS, bytes: Self::BYTES };
        Ok(FileDeadLetters { path: absolute.into(), bounds, accounts: Arc::default() })
    }

    /// Sets the bounds for each account. A file takes 4/3 of its message's bytes and some 300 more.
    ///
    /// # Errors
    /// [`ConfigError::Range`] outside 1 to 100 000 letters or 1 KiB to 1 TiB.
    pub fn bounded(mut self, letters: usize, bytes: u64) -> Result<Self, ConfigError> {
        count("the limit of dead letters", letters, 1..=100_000, "from 1 to 100 000")?;
        let kib = usize::try_from(bytes >> 10).unwrap_or(usize::MAX);
        count("the limit of dead letters' bytes", kib, 1..=1 << 30, "from 1 KiB to 1 TiB")?;
        self.bounds = Bounds { letters, bytes };
        Ok(self)
    }

    /// Returns an account's letters, the oldest first; none is no error.
    ///
    /// # Errors
    /// [`DeadLetterError::File`] where the folder cannot be read, [`DeadLetterError::Timeout`] for a hung disk.
    pub async fn list(&self, account: &AccountKey) -> Result<Vec<StoredLetter>, DeadLetterError> {
        let found = self.folder(account).run(found).await?;
        Ok(found.letters.into_iter().map(|(letter, _)| letter).collect())
    }

    /// Reads a letter; `None` where it is there no more.
    ///
    /// # Errors
    /// As [`list`](FileDeadLetters::list), and [`StateError::Damaged`] for a damaged one, which is set aside by this.
    pub async fn read(&self, account: &AccountKey, id: &LetterId) -> Result<Option<DeadLetter>, DeadLetterError> {
        let name = of(id);
        self.folder(account).run(move |place| place.open()?.map_or(Ok(None), |folder| read(&folder, &name))).await
    }

    /// Removes a letter; `false` where it was there no more.
    ///
    /// # Errors
    /// As [`list`](FileDeadLetters::list).
    pub async fn remove(&self, account: &AccountKey, id: &LetterId) -> Result<bool, DeadLetterError> {
        let name = of(id);
        self.folder(account).run(move |place| Ok(place.open()?.map_or(Ok(false), |folder| folder.remove(&name))?)).await
    }

    /// Offers each of an account's letters to a handler once, the oldest first: `Ok` and it is removed, otherwise it
    /// stays, with its attempts counted on. Letters that come in meanwhile are not offered.
    ///
    /// They are handled on the thread that awaits this, concurrently with the connection's messages.
    ///
    /// # Errors
    /// As [`list`](FileDeadLetters::list); what was handled before is removed.
    ///
    /// # Cancel safety
    /// The letter that was being handled stays when the future is dropped.
    pub async fn replay(&self, account: &AccountKey, handler: &MessageHandler) -> Result<Replayed, DeadLetterError> {
        let (folder, mut replayed) = (self.folder(account), Replayed::default());
        for StoredLetter { id, .. } in self.list(account).await? {
            let mut letter = match self.read(account, &id).await {
                Ok(Some(letter)) => letter,
                Ok(None) => continue,
                Err(DeadLetterError::File(StateError::Damaged { .. })) => {
                    replayed.damaged += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let attempt = letter.attempts.saturating_add(1);
            match handler.offer(Delivery::new(letter.event.clone(), attempt)).await {
                Ok(()) => {
                    self.remove(account, &id).await?;
                    replayed.handled += 1;
                }
                Err(Failed::NobodyThere) => replayed.failed += 1,
                Err(Failed::Attempt(error)) => {
                    letter.failed_again(error, attempt);
                    let content = letter.encode()?;
                    folder.run(move |place| Ok(place.make()?.replace_bytes(&of(&id), &content)?)).await?;
                    replayed.failed += 1;
                }
            }
        }
        Ok(replayed)
    }

    fn folder(&self, account: &AccountKey) -> Folder {
        let mut accounts = lock(&self.accounts);
        if let Some(folder) = accounts.get(account) {
            return folder.clone();
        }
        let whole = FolderPath::of(&self.path, &account.app_key, &account.user);
        let folder = Folder { line: whole.line(), place: whole.within("dead_letters") };
        accounts.insert(account.clone(), folder.clone());
        folder
    }
}

impl fmt::Debug for FileDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileDeadLetters")
            .field("path", &self.path)
            .field("letters", &self.bounds.letters)
            .field("bytes", &self.bounds.bytes)
            .finish_non_exhaustive()
    }
}

impl DeadLetterStore for FileDeadLetters {
    fn folder(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn keep(&self, account: &AccountKey, letter: &DeadLetter) -> DeadLetterFuture<()> {
        let (folder, bounds, letter) = (self.folder(account), self.bounds, letter.clone());
        Box::pin(async move { folder.run(move |place| keep(place, &letter, bounds)).await })
    }
}

impl Folder {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&FolderPath) -> Result<T, DeadLetterError> + Send + 'static,
    ) -> Result<T, DeadLetterError> {
        let place = self.place.clone();
        self.line.run(Serial::PATIENCE, move || work(&place)).await.map_err(|error| match error {
            Unfinished::Stuck(limit) => DeadLetterError::Timeout(limit),
            Unfinished::Undone => DeadLetterError::new(error),
        })?
    }
}

fn of(id: &LetterId) -> String {
    format!("{}.{LETTER}", id.0)
}

/// Parses a letter's file name: its place in the order, its identity, and its id.
fn parse(name: &OsStr) -> Option<(u64, (u64, u64), LetterId)> {
    let id = Path::new(name).file_stem()?.to_str()?;
    let mut parts = id.split('-').map(|part| u64::from_str_radix(part, 16).ok().filter(|_| part.len() == 16));
    let (order, message, digest) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then(|| (order, (message, digest), LetterId(id.into())))
}

fn found(place: &FolderPath) -> Result<Found, DeadLetterError> {
    let mut found = Found::default();
    let Some(folder) = place.open()? else { return Ok(found) };
    for store::Listed { name, bytes } in folder.files()? {
        let extension = Path::new(&name).extension().and_then(OsStr::to_str);
        if !matches!(extension, Some(LETTER | DAMAGED)) {
            continue;
        }
        found.files += 1;
        found.bytes = found.bytes.saturating_add(bytes);
        if extension == Some(LETTER)
            && let Some((order, (message, digest), id)) = parse(&name)
        {
            found.last = found.last.max(order);
            found.letters.push((StoredLetter { id, message, bytes }, digest));
        }
    }
    found.letters.sort_unstable_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    Ok(found)
}

fn keep(place: &FolderPath, letter: &DeadLetter, bounds: Bounds) -> Result<(), DeadLetterError> {
    let (message, digest) = letter.identity().ok_or(DeadLetterError::NotEncodable)?;
    let found = found(place)?;
    if found.letters.iter().any(|(stored, known)| (stored.message, *known) == (message, digest)) {
        // The process ended before it was acknowledged.
        return Ok(());
    }
    let content = letter.encode()?;
    let bytes = found.bytes.saturating_add(content.len() as u64);
    if found.files >= bounds.letters || bytes > bounds.bytes {
        return Err(DeadLetterError::Full { letters: found.files, bytes: found.bytes });
    }
    let folder = place.make()?;
    folder.remove_leftovers();
    let order = found.last.saturating_add(1);
    let id = LetterId(format!("{order:016x}-{message:016x}-{digest:016x}").into());
    Ok(folder.replace_bytes(&of(&id), &content)?)
}

fn read(folder: &store::Folder, name: &str) -> Result<Option<DeadLetter>, DeadLetterError> {
    let Some(content) = folder.read_bytes(name, LARGEST)? else { return Ok(None) };
    match DeadLetter::decode(&content) {
        Ok(letter) => Ok(Some(letter)),
        Err(DeadLetterError::Undecodable(problem)) => Err(folder.set_aside(name, problem.to_owned()).into()),
        Err(error) => Err(error),
    }
}

const LARGEST: u64 = 128 << 20;

#[cfg(test)]
mod tests;
