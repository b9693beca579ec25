//! Folders and files of the operating system.

use crate::model::error::Kind;

#[cfg(not(unix))]
pub(super) use elsewhere::{Dir, open_without_waiting, others_write};
#[cfg(unix)]
pub(super) use unix::{Dir, open_without_waiting, others_write};

#[cfg(unix)]
mod unix {
    use std::{
        ffi::{OsStr, OsString},
        fs::{File, OpenOptions},
        io,
        os::{
            fd::{AsFd as _, BorrowedFd, OwnedFd},
            unix::{
                ffi::OsStringExt as _,
                fs::{MetadataExt as _, OpenOptionsExt as _},
            },
        },
        path::Path,
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    use rustix::{
        fs::{self, AtFlags, CWD, FileType, Mode, OFlags, Stat},
        process::{getegid, geteuid},
    };

    use super::Kind;
    use crate::model::error::StateError;

    /// Deepest nesting of folders that is removed.
    const DEPTH: usize = 16;

    /// A folder of this process's user, held open: operations stay in it, wherever it is moved.
    #[derive(Debug)]
    pub(in crate::store) struct Dir(OwnedFd);

    fn kind(stat: &Stat) -> Kind {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Kind::Device,
            _ => Kind::Unknown,
        }
    }

    /// Refuses anything of another kind or of another user.
    fn ours(stat: &Stat, wanted: Kind, path: &Path) -> Result<(), StateError> {
        let found = kind(stat);
        if found != wanted {
            return Err(StateError::kind(path, found, wanted));
        }
        let user = geteuid().as_raw();
        if stat.st_uid != user {
            return Err(StateError::Owner { path: path.to_owned(), owner: stat.st_uid, user });
        }
        Ok(())
    }

    /// Looks up an entry without following links; `None` where it is missing.
    fn look(at: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<Option<Stat>, StateError> {
        match fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(StateError::io("look at", path)(error.into())),
        }
    }

    fn name(path: &Path) -> &OsStr {
        path.file_name().unwrap_or_default()
    }

    /// Opens an entry of this kind and this user, if there is one.
    fn open(at: BorrowedFd<'_>, of: &OsStr, wanted: Kind, path: &Path) -> Result<Option<OwnedFd>, StateError> {
        // Opening a device may have effects, so the entry is checked before it is opened.
        let Some(stat) = look(at, of, path)? else { return Ok(None) };
        ours(&stat, wanted, path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = match fs::openat(at, of, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            opened => opened.map_err(|error| StateError::io("open", path)(error.into()))?,
        };
        let stat = fs::fstat(&opened).map_err(|error| StateError::io("look at", path)(error.into()))?;
        ours(&stat, wanted, path)?;
        Ok(Some(opened))
    }

    impl Dir {
        /// Opens a folder in another one, or by its whole path; `None` where it is missing.
        pub(in crate::store) fn open(parent: Option<&Dir>, path: &Path) -> Result<Option<Self>, StateError> {
            let (at, of) = parent.map_or((CWD, path.as_os_str()), |parent| (parent.0.as_fd(), name(path)));
            Ok(open(at, of, Kind::Folder, path)?.map(Dir))
        }

        /// Creates a folder whose name outlives a loss of power; an existing one is no error.
        pub(in crate::store) fn make(parent: Option<&Dir>, path: &Path) -> Result<(), StateError> {
            let (at, of) = parent.map_or((CWD, path.as_os_str()), |parent| (parent.0.as_fd(), name(path)));
            match fs::mkdirat(at, of, Mode::RWXU) {
                Ok(()) => {}
                Err(rustix::io::Errno::EXIST) => return Ok(()),
                Err(error) => return Err(StateError::io("make the folder", path)(error.into())),
            }
            match (parent, path.parent()) {
                (Some(parent), _) => parent.sync(),
                (None, Some(parent)) => {
                    let _best_effort = File::open(parent).and_then(|parent| parent.sync_all());
                }
                (None, None) => {}
            }
            Ok(())
        }

        /// Opens a regular file for reading; `None` where it is missing.
        pub(in crate::store) fn file(&self, path: &Path) -> Result<Option<File>, StateError> {
            Ok(open(self.0.as_fd(), name(path), Kind::File, path)?.map(File::from))
        }

        /// Returns the length of a regular file and the time of its last write; `None` where it is missing.
        pub(in crate::store) fn has_file(&self, path: &Path) -> Result<Option<(u64, SystemTime)>, StateError> {
            let Some(stat) = look(self.0.as_fd(), name(path), path)? else { return Ok(None) };
            ours(&stat, Kind::File, path)?;
            let modified = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or_default());
            Ok(Some((u64::try_from(stat.st_size).unwrap_or_default(), UNIX_EPOCH + modified)))
        }

        /// Creates a file, which must not exist.
        pub(in crate::store) fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(File::from(fs::openat(&self.0, name(path), flags, Mode::from_raw_mode(mode as _))?))
        }

        pub(in crate::store) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            Ok(fs::renameat(&self.0, name(from), &self.0, name(to))?)
        }

        pub(in crate::store) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
            Ok(fs::linkat(&self.0, name(from), &self.0, name(to), AtFlags::empty())?)
        }

        pub(in crate::store) fn remove(&self, path: &Path) -> io::Result<()> {
            Ok(fs::unlinkat(&self.0, name(path), AtFlags::empty())?)
        }

        /// Lists all names in it.
        pub(in crate::store) fn names(&self) -> io::Result<Vec<OsString>> {
            names(self.0.as_fd())
        }

        /// Flushes the names in it to the disk, where the system can flush folders.
        pub(in crate::store) fn sync(&self) {
            let _best_effort = self.0.try_clone().and_then(|folder| File::from(folder).sync_all());
        }

        /// Removes everything in it, then itself. Links are removed and not followed.
        pub(in crate::store) fn remove_all(&self, path: &Path) -> io::Result<()> {
            empty(self.0.as_fd(), DEPTH)?;
            let parent =
                fs::openat(&self.0, "..", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            Ok(fs::unlinkat(&parent, name(path), AtFlags::REMOVEDIR)?)
        }
    }

    fn names(folder: BorrowedFd<'_>) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(folder)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    fn empty(folder: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        for name in names(folder)? {
            match fs::unlinkat(folder, &name, AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                // Systems report a folder in different ways.
                Err(error) => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let inner = fs::openat(folder, &name, flags, Mode::empty()).map_err(|_| error)?;
                    let Some(left) = depth.checked_sub(1) else { return Err(error.into()) };
                    empty(inner.as_fd(), left)?;
                    fs::unlinkat(folder, &name, AtFlags::REMOVEDIR)?;
                }
            }
        }
        Ok(())
    }

    /// Describes whether others may write in a folder. With the sticky bit others cannot touch our entries, which is
    /// enough for a folder above the one in question (`itself` is false).
    pub(in crate::store) fn others_write(folder: &Path, itself: bool) -> Option<String> {
        /// User id of the superuser, who may write anywhere.
        const ROOT: u32 = 0;
        const STICKY: u32 = 0o1000;

        let about = std::fs::metadata(folder).ok()?;
        let (mode, shown) = (about.mode(), folder.display());
        if !itself && mode & STICKY != 0 {
            return None;
        }
        if mode & 0o002 != 0 {
            return Some(format!("everybody may write in {shown} (mode {:04o})", mode & 0o7777));
        }
        if mode & 0o020 != 0 && ![ROOT, getegid().as_raw()].contains(&about.gid()) {
            return Some(format!("group {} may write in {shown} (mode {:04o})", about.gid(), mode & 0o7777));
        }
        if itself && ![ROOT, geteuid().as_raw()].contains(&about.uid()) {
            return Some(format!("{shown} belongs to user {}", about.uid()));
        }
        None
    }

    pub(in crate::store) fn open_without_waiting(path: &Path) -> io::Result<File> {
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
        OpenOptions::new().read(true).custom_flags(flags).open(path)
    }
}

/// Variant for systems without owners as on Unix: works by paths, and checks kinds alone.
#[cfg(not(unix))]
mod elsewhere {
    use std::{
        ffi::OsString,
        fs::{self, File, Metadata},
        io,
        path::{Path, PathBuf},
        time::{SystemTime, UNIX_EPOCH},
    };

    use super::Kind;
    use crate::model::error::StateError;

    /// A folder.
    #[derive(Debug)]
    pub(in crate::store) struct Dir(PathBuf);

    fn look(path: &Path, wanted: Kind) -> Result<Option<Metadata>, StateError> {
        let about = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            about => about.map_err(StateError::io("look at", path))?,
        };
        let found = match about.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Unknown,
        };
        if found == wanted { Ok(Some(about)) } else { Err(StateError::kind(path, found, wanted)) }
    }

    impl Dir {
        pub(in crate::store) fn open(_: Option<&Dir>, path: &Path) -> Result<Option<Self>, StateError> {
            Ok(look(path, Kind::Folder)?.map(|_| Dir(path.to_owned())))
        }

        pub(in crate::store) fn make(_: Option<&Dir>, path: &Path) -> Result<(), StateError> {
            match fs::create_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made.map_err(StateError::io("make the folder", path)),
            }
        }

        pub(in crate::store) fn file(&self, path: &Path) -> Result<Option<File>, StateError> {
            match look(path, Kind::File)? {
                None => Ok(None),
                Some(_) => File::open(path).map(Some).map_err(StateError::io("open", path)),
            }
        }

        pub(in crate::store) fn has_file(&self, path: &Path) -> Result<Option<(u64, SystemTime)>, StateError> {
            Ok(look(path, Kind::File)?.map(|about| (about.len(), about.modified().unwrap_or(UNIX_EPOCH))))
        }

        pub(in crate::store) fn create(&self, path: &Path, _: u32) -> io::Result<File> {
            File::options().write(true).create_new(true).open(path)
        }

        pub(in crate::store) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            fs::rename(from, to)
        }

        pub(in crate::store) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
            fs::hard_link(from, to)
        }

        pub(in crate::store) fn remove(&self, path: &Path) -> io::Result<()> {
            fs::remove_file(path)
        }

        pub(in crate::store) fn names(&self) -> io::Result<Vec<OsString>> {
            fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name())).collect()
        }

        pub(in crate::store) fn sync(&self) {}

        pub(in crate::store) fn remove_all(&self, path: &Path) -> io::Result<()> {
            fs::remove_dir_all(path)
        }
    }

    pub(in crate::store) fn others_write(_: &Path, _: bool) -> Option<String> {
        None
    }

    pub(in crate::store) fn open_without_waiting(path: &Path) -> io::Result<File> {
        File::open(path)
    }
}
