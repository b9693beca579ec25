//! One small JSON file: read whole, written whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::StateError;

const VERSION: u32 = 1;

/// More than any file of ours has.
const LARGEST: u64 = 64 * 1024;

/// A temporary file this old belongs to a process that died over it.
const LEFT_OVER: Duration = Duration::from_secs(60);

const TEMPORARY: &str = "tmp";

#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// What the file holds; `None` where there is none. A damaged one is set aside.
pub(super) fn read<T: DeserializeOwned, U>(
    path: &Path,
    understand: impl FnOnce(T) -> Result<U, &'static str>,
) -> Result<Option<U>, StateError> {
    read_up_to(LARGEST, path, understand)
}

/// As [`read`], of a file of at most so many bytes.
pub(crate) fn read_up_to<T: DeserializeOwned, U>(
    largest: u64,
    path: &Path,
    understand: impl FnOnce(T) -> Result<U, &'static str>,
) -> Result<Option<U>, StateError> {
    let Some(text) = read_bytes(largest, path)? else { return Ok(None) };
    match parse(&text, largest).and_then(|content| understand(content).map_err(str::to_owned)) {
        Ok(understood) => Ok(Some(understood)),
        Err(problem) => Err(set_aside(path, problem)),
    }
}

/// The bytes of the file, or one more than so many; `None` where there is none.
pub(crate) fn read_bytes(largest: u64, path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(StateError::io("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes).map_err(StateError::io("read", path))?;
    Ok(Some(bytes))
}

fn parse<T: DeserializeOwned>(text: &[u8], largest: u64) -> Result<T, String> {
    // The parser's own words may repeat what stands in the file.
    let place = |error: serde_json::Error| {
        format!("it is not of the expected form at line {}, column {}", error.line(), error.column())
    };
    if text.len() as u64 > largest {
        return Err(format!("it is larger than {} KiB", largest >> 10));
    }
    match serde_json::from_slice::<Version>(text).map_err(place)?.version {
        VERSION => serde_json::from_slice(text).map_err(place),
        other => Err(format!("its version is {other}, and only {VERSION} is known")),
    }
}

/// One damaged file is kept, the newest.
pub(crate) fn set_aside(path: &Path, problem: String) -> StateError {
    let aside = with_suffix(path, "damaged");
    match fs::rename(path, &aside) {
        Ok(()) => StateError::Damaged { path: path.to_owned(), aside, problem },
        Err(error) => StateError::io("set aside", path)(error),
    }
}

/// Puts the file in the place of what is there.
pub(crate) fn replace(path: &Path, content: &impl Serialize) -> Result<(), StateError> {
    replace_bytes(path, &encode(path, content)?)
}

/// As [`replace`], of these bytes.
pub(crate) fn replace_bytes(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let temporary = write_temporary(path, content)?;
    if let Err(error) = fs::rename(&temporary, path) {
        let _best_effort = fs::remove_file(&temporary);
        return Err(StateError::io("write", path)(error));
    }
    sync_folder(path);
    Ok(())
}

/// Makes the file; `false` where there is one already, which stays.
pub(super) fn create(path: &Path, content: &impl Serialize) -> Result<bool, StateError> {
    let temporary = write_temporary(path, &encode(path, content)?)?;
    let linked = match fs::hard_link(&temporary, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // Not every file system has links. What is left of the race there is won by the last one.
        Err(_) => fs::rename(&temporary, path).map(|()| true),
    };
    let _renamed_already = fs::remove_file(&temporary);
    sync_folder(path);
    linked.map_err(StateError::io("write", path))
}

pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes what processes left that died while they wrote; a token may stand in there.
pub(crate) fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let old = || fs::metadata(&path).ok()?.modified().ok()?.elapsed().ok();
        if path.extension().is_some_and(|extension| extension == TEMPORARY) && old().is_some_and(|age| age > LEFT_OVER)
        {
            let _another_process_was_first = fs::remove_file(&path);
        }
    }
}

fn encode(path: &Path, content: &impl Serialize) -> Result<Vec<u8>, StateError> {
    let encoded = serde_json::to_vec(&Versioned { version: VERSION, content });
    encoded.map_err(|error| StateError::io("write", path)(error.into()))
}

fn write_temporary(path: &Path, content: &[u8]) -> Result<PathBuf, StateError> {
    let temporary = with_suffix(path, &format!("{:016x}.{TEMPORARY}", fastrand::u64(..)));
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()
    })();
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            let _best_effort = fs::remove_file(&temporary);
            Err(StateError::io("write", path)(error))
        }
    }
}

/// Makes a folder for this user alone, whose name and those above it outlive a loss of power.
pub(crate) fn make_private_synced(folder: &Path) -> Result<(), StateError> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
    super::make_private(folder)?;
    missing.into_iter().for_each(sync_folder);
    Ok(())
}

/// The new name outlives a loss of power only when its folder is written too. Where folders cannot be opened or
/// synced, the file is whole all the same.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _best_effort = folder.sync_all();
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(suffix);
    name.into()
}
