use std::{
    io,
    path::{Path, PathBuf},
};

use crate::util::{Escaped, impls::names};

/// Trouble with a state folder; it tells nothing of a file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file system refused something.
    #[error("cannot {doing} {}: {source}", Escaped(&.path.to_string_lossy()))]
    Io {
        /// The operation tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is not what it should be; it was set aside, and what it held is made or fetched anew.
    #[error("{} cannot be used ({}); it is now {}", Escaped(&.path.to_string_lossy()), Escaped(.problem), Escaped(&.aside.to_string_lossy()))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its new path.
        aside: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The path is no file or folder of its own, but a pipe, a device or a link, left as it is: remove it.
    #[error("{path} is not used, for it is {found} and not {wanted}; remove it", path = Escaped(&.path.to_string_lossy()))]
    Kind {
        /// The path.
        path: PathBuf,
        /// The kind found.
        found: String,
        /// The kind expected.
        wanted: &'static str,
    },
    /// It belongs to another user than the one this process runs as, so somebody else may have put it there. It is left
    /// as it is: remove it, or `chown` it if its content is to be trusted.
    #[error("{path} is not used, for it belongs to user {owner} and this process runs as user {user}; remove it, or \
             chown it if it is yours", path = Escaped(&.path.to_string_lossy()))]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// The id of the user whose it is.
        owner: u32,
        /// The id of the user that this process runs as.
        user: u32,
    },
}

impl StateError {
    /// Returns the same error, for somebody else who waits for the same file.
    pub(crate) fn again(&self) -> Self {
        match self {
            StateError::Io { doing, path, source } => {
                let same = || io::Error::new(source.kind(), source.to_string());
                let source = source.raw_os_error().map_or_else(same, io::Error::from_raw_os_error);
                StateError::Io { doing, path: path.clone(), source }
            }
            StateError::Damaged { path, aside, problem } => {
                StateError::Damaged { path: path.clone(), aside: aside.clone(), problem: problem.clone() }
            }
            StateError::Kind { path, found, wanted } => {
                StateError::Kind { path: path.clone(), found: found.clone(), wanted }
            }
            StateError::Owner { path, owner, user } => {
                StateError::Owner { path: path.clone(), owner: *owner, user: *user }
            }
        }
    }

    pub(crate) fn kind(path: &Path, found: Kind, wanted: Kind) -> Self {
        let wanted = if wanted == Kind::Folder { "a folder" } else { "a regular file" };
        StateError::Kind { path: path.to_owned(), found: found.to_string(), wanted }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| StateError::Io { doing, path, source }
    }
}

names! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[cfg_attr(not(unix), allow(dead_code, reason = "not every system tells them apart"))]
    pub(crate) enum Kind {
        File = "a regular file",
        Folder = "a folder",
        Link = "a symbolic link",
        Pipe = "a pipe",
        Socket = "a socket",
        Device = "a device",
        Unknown = "something else",
    }
}
