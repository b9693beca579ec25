//! The state folder, which one process has for itself.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
    process,
};

use agora_chat::StateDir;

/// The file that is locked; it holds the process's id for people.
const LOCK: &str = "fleet.lock";

/// The state folder, locked until this is dropped.
pub(crate) struct Folder {
    pub(crate) state: StateDir,
    _lock: File,
}

impl Folder {
    /// Opens the folder, makes it where it is missing, and locks it.
    ///
    /// # Errors
    /// In words: another process has it, or the disk fails.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let state = StateDir::open(path).map_err(|error| error.to_string())?;
        let place = state.path().join(LOCK);
        let failed = |what: &str, error: std::io::Error| format!("{} cannot be {what}: {error}", place.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut lock = options.open(&place).map_err(|error| failed("opened", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Only for the message.
                let _ = (&lock).take(20).read_to_string(&mut owner);
                let owner = owner.trim().parse::<u32>().map_or_else(|_| String::new(), |id| format!(" {id}"));
                return Err(format!(
                    "the state folder {} is in use by process{owner}; give each process a state_dir of its own",
                    path.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed("locked", error)),
        }
        let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", process::id()));
        written.map_err(|error| failed("written", error))?;
        Ok(Folder { state, _lock: lock })
    }
}
