//! An account's folder and its files. Only files of this process's user are used, whoever else may write next to the
//! folder.
//!
//! Folders are held open and files are opened from them, never through a link. The opened file itself is checked, so
//! nobody can replace it between check and use.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use serde::{Serialize, de::DeserializeOwned};
use slog::{Logger, warn};

use super::{
    file::{Versioned, parse},
    file_name, make_private,
    system::{self, Dir},
};
use crate::{
    model::{
        account::{AppKey, UserId},
        error::StateError,
    },
    util::{lock, threads::Serial},
};

/// Age from which a temporary file counts as left by a process that died.
const LEFT_OVER: Duration = Duration::from_secs(60);

const TEMPORARY: &str = "tmp";

/// Path of an account's folder, or of one inside it.
#[derive(Clone, Debug)]
pub(crate) struct FolderPath {
    root: Arc<Path>,
    /// Names of the own folders, from the root on.
    names: Vec<String>,
}

impl FolderPath {
    /// Returns the folder of an account.
    pub(crate) fn of(root: &Arc<Path>, app_key: &AppKey, user: &UserId) -> Self {
        FolderPath { root: Arc::clone(root), names: vec![file_name(app_key.as_str()), file_name(user.as_str())] }
    }

    /// Returns a folder inside it.
    pub(crate) fn within(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// Returns the serial queue of all work on this folder in this process.
    pub(crate) fn line(&self) -> Serial {
        Serial::of(&self.path())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.names.iter().fold(self.root.to_path_buf(), |path, name| path.join(name))
    }

    /// Opens the folder; `None` where it is missing.
    pub(crate) fn open(&self) -> Result<Option<Folder>, StateError> {
        self.walked(Dir::open)
    }

    /// Opens the folder, and creates it where it is missing.
    pub(crate) fn make(&self) -> Result<Folder, StateError> {
        let made = self.walked(|parent, path| {
            if let Some(dir) = Dir::open(parent, path)? {
                return Ok(Some(dir));
            }
            if parent.is_none() {
                // It may have been removed meanwhile.
                make_private(&self.root)?;
            }
            Dir::make(parent, path)?;
            Dir::open(parent, path)
        })?;
        made.ok_or_else(|| StateError::io("make the folder", &self.path())(io::ErrorKind::NotFound.into()))
    }

    fn walked(
        &self,
        step: impl Fn(Option<&Dir>, &Path) -> Result<Option<Dir>, StateError>,
    ) -> Result<Option<Folder>, StateError> {
        let (mut path, mut dir) = (self.root.to_path_buf(), None);
        for name in &self.names {
            path.push(name);
            dir = step(dir.as_ref(), &path)?;
            if dir.is_none() {
                break;
            }
        }
        Ok(dir.map(|dir| Folder { path, dir }))
    }
}

/// An open folder of an account.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    dir: Dir,
}

/// An entry of a folder.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: OsString,
    pub(crate) bytes: u64,
}

impl Folder {
    /// Reads a file as `T` and interprets it; `None` where there is none. A damaged file is set aside.
    pub(crate) fn read<T: DeserializeOwned, U>(
        &self,
        name: &str,
        largest: u64,
        understand: impl FnOnce(T) -> Result<U, &'static str>,
    ) -> Result<Option<U>, StateError> {
        let Some(text) = self.read_bytes(name, largest)? else { return Ok(None) };
        match parse(&text, largest).and_then(|content| understand(content).map_err(str::to_owned)) {
            Ok(understood) => Ok(Some(understood)),
            Err(problem) => Err(self.set_aside(name, problem)),
        }
    }

    /// Reads the bytes of a file, at most `largest` and one more; `None` where there is none.
    pub(crate) fn read_bytes(&self, name: &str, largest: u64) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.path.join(name);
        let Some(file) = self.dir.file(&path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(largest + 1).read_to_end(&mut bytes).map_err(StateError::io("read", &path))?;
        Ok(Some(bytes))
    }

    /// Sets a damaged file aside, in place of an older one.
    pub(crate) fn set_aside(&self, name: &str, problem: String) -> StateError {
        let (path, aside) = (self.path.join(name), self.path.join(format!("{name}.damaged")));
        match self.dir.rename(&path, &aside) {
            Ok(()) => StateError::Damaged { path, aside, problem },
            Err(error) => StateError::io("set aside", &path)(error),
        }
    }

    /// Writes a file in place of the present one; anything but an own file stays, and is an error.
    pub(crate) fn replace(&self, name: &str, content: &impl Serialize) -> Result<(), StateError> {
        self.replace_bytes(name, &self.encoded(name, content)?)
    }

    /// Writes these bytes as [`replace`](Folder::replace) does.
    pub(crate) fn replace_bytes(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        self.dir.has_file(&path)?;
        let temporary = self.write_temporary(&path, content)?;
        if let Err(error) = self.dir.rename(&temporary, &path) {
            let _best_effort = self.dir.remove(&temporary);
            return Err(StateError::io("write", &path)(error));
        }
        self.dir.sync();
        Ok(())
    }

    /// Creates a file; `false` where something is there already, which stays.
    pub(crate) fn create(&self, name: &str, content: &impl Serialize) -> Result<bool, StateError> {
        let path = self.path.join(name);
        let temporary = self.write_temporary(&path, &self.encoded(name, content)?)?;
        let linked = match self.dir.link(&temporary, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // Not every file system has links. Without them the last of two racing processes wins.
            Err(_) => self.dir.rename(&temporary, &path).map(|()| true),
        };
        let _renamed_already = self.dir.remove(&temporary);
        self.dir.sync();
        linked.map_err(StateError::io("write", &path))
    }

    /// Removes a file; `false` where there was none.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, StateError> {
        let path = self.path.join(name);
        match self.dir.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true).map_err(StateError::io("remove", &path)),
        }
    }

    /// Lists the own files.
    pub(crate) fn files(&self) -> Result<Vec<Listed>, StateError> {
        let mut files = Vec::new();
        for name in self.dir.names().map_err(StateError::io("read", &self.path))? {
            // A file that was removed meanwhile or is another user's does not count.
            if let Ok(Some((bytes, _))) = self.dir.has_file(&self.path.join(&name)) {
                files.push(Listed { name, bytes });
            }
        }
        Ok(files)
    }

    /// Removes temporary files of processes that died while writing; they may hold a token.
    pub(crate) fn remove_leftovers(&self) {
        for name in self.dir.names().unwrap_or_default() {
            let path = self.path.join(&name);
            if path.extension() != Some(OsStr::new(TEMPORARY)) {
                continue;
            }
            if let Ok(Some((_, modified))) = self.dir.has_file(&path)
                && SystemTime::now().duration_since(modified).is_ok_and(|age| age > LEFT_OVER)
            {
                let _another_process_was_first = self.dir.remove(&path);
            }
        }
    }

    /// Removes the folder and everything in it.
    pub(crate) fn remove_all(self) -> Result<(), StateError> {
        self.dir.remove_all(&self.path).map_err(StateError::io("remove", &self.path))
    }

    fn encoded(&self, name: &str, content: &impl Serialize) -> Result<Vec<u8>, StateError> {
        let encoded = serde_json::to_vec(&Versioned::new(content));
        encoded.map_err(|error| StateError::io("write", &self.path.join(name))(error.into()))
    }

    fn write_temporary(&self, path: &Path, content: &[u8]) -> Result<PathBuf, StateError> {
        let mut temporary = OsString::from(path);
        temporary.push(format!(".{:016x}.{TEMPORARY}", fastrand::u64(..)));
        let temporary = PathBuf::from(temporary);
        let written = (|| {
            let mut file = self.dir.create(&temporary, 0o600)?;
            file.write_all(content)?;
            file.sync_all()
        })();
        match written {
            Ok(()) => Ok(temporary),
            Err(error) => {
                let _best_effort = self.dir.remove(&temporary);
                Err(StateError::io("write", path)(error))
            }
        }
    }
}

/// Folders for which the warning of exposure was logged.
static TOLD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn told() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    lock(&TOLD)
}

/// Warns once per process and state folder that others may write there. Blocks on the disk.
pub(crate) fn tell_exposed(folder: &Path, log: &Logger) {
    /// Number of folders from which on a warning may be repeated.
    const MANY: usize = 256;

    if told().contains(folder) {
        return;
    }
    let Some(how) = exposed(folder) else { return };
    let is_news = {
        let mut told = told();
        if told.len() >= MANY {
            told.clear();
        }
        told.insert(folder.to_owned())
    };
    if is_news {
        warn!(log, "others may write where the state is kept; only what belongs to this process's user is used";
            "folder" => %folder.display(), "how" => how);
    }
}

/// Warns as [`tell_exposed`] does, on a thread that may block.
pub(crate) fn tell_exposed_soon(folder: &Path, log: &Logger) {
    if told().contains(folder) {
        return;
    }
    let (line, folder, log) = (Serial::of(folder), folder.to_owned(), log.clone());
    // In a serial queue, so that a disk that does not answer holds one thread however often it is asked.
    drop(actix_rt::spawn(async move {
        let _best_effort = line.run(Serial::PATIENCE, move || tell_exposed(&folder, &log)).await;
    }));
}

/// Describes how others could replace a state folder or write into it; `None` where nobody can.
pub(crate) fn exposed(root: &Path) -> Option<String> {
    let root = root.canonicalize().ok()?;
    let mut folders = root.ancestors();
    let in_it = folders.next().and_then(|folder| system::others_write(folder, true));
    let above = || folders.find_map(|folder| system::others_write(folder, false));
    in_it.or_else(above)
}

/// Refuses anything but a regular file.
pub(crate) fn regular(about: &std::fs::Metadata) -> io::Result<()> {
    if about.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

/// Opens a file of the application's own, which may be behind a link, and refuses anything but a regular file. Never
/// waits for the other end of a pipe.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    // Opening a device may do anything, so the path is checked first; the check of the opened file decides.
    regular(&std::fs::metadata(path)?)?;
    let file = system::open_without_waiting(path)?;
    let about = file.metadata()?;
    regular(&about)?;
    Ok((file, about.len()))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
