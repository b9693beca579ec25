//! What can be wrong with kept state.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Trouble with a state folder; it tells nothing of a file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file system refused something.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what it should be; it was set aside, and what it held is made or fetched anew.
    #[error("{path} cannot be used ({problem}); it is now {aside}", path = path.display(), aside = aside.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it is now.
        aside: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl StateError {
    /// The same error, for somebody else who waits for the same file.
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
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| StateError::Io { doing, path, source }
    }
}
