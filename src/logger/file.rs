//! Log file: opened on the log's thread, which may wait for it, and rotated where it is a regular file.
//!
//! An own implementation because file-rotate 0.8 cuts a record in two or exceeds the limit, says nothing about a file
//! that cannot be opened, and panics when somebody removes a rotated file meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Links to links that are followed before the file is opened as it was named.
const MAX_LINKS: usize = 40;

/// A file that rotates: a record that would take it over `limit` bytes goes into a new one.
///
/// The files are `path` (current), `path.1` (the one before), … `path.(count - 1)` (oldest). A record is never split
/// between files; one longer than `limit` gets a file to itself. Where the path is a pipe, a device or a descriptor
/// of this process, it is written and never renamed, cut or removed. A link is resolved when the file is opened.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    limit: u64,
    count: u32,
    mode: u32,
    /// `None` before the first record and after [`LogFile::reopen`].
    open: Option<Open>,
    /// Set while the log goes on in a file over the limit, until a rotation succeeds.
    unrotated: Option<Unrotated>,
    /// True where the file was found missing and no new one could be created.
    stranded: bool,
    notice: Option<String>,
}

#[derive(Debug)]
struct Open {
    file: File,
    regular: Option<Regular>,
}

/// A regular file, under its name on the disk.
#[derive(Debug)]
struct Regular {
    path: PathBuf,
    id: FileId,
    len: u64,
}

/// State of a failed rotation, which is tried again once the file has grown by another limit.
#[derive(Clone, Copy, Debug)]
struct Unrotated {
    retry_at: u64,
}

/// Identity of a file, to tell it from another under the same name.
type FileId = (u64, u64);

/// A failed write, and the number of bytes of the record that stay behind.
#[derive(Debug)]
pub(super) struct Torn {
    pub(super) error: io::Error,
    pub(super) left: usize,
}

impl From<io::Error> for Torn {
    fn from(error: io::Error) -> Self {
        Torn { error, left: 0 }
    }
}

impl LogFile {
    pub(super) fn new(path: PathBuf, limit: u64, count: u32, mode: u32) -> Self {
        LogFile { path, limit, count, mode, open: None, unrotated: None, stranded: false, notice: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether opening may block, as for a pipe without a reader.
    pub(super) fn may_block(&self) -> bool {
        // `open` reports a path that cannot be examined.
        fs::metadata(&self.path).is_ok_and(|data| !data.is_file() && !data.is_dir())
    }

    /// Opens the file if it is not open; it may block for a pipe.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(Open::at(&self.path, self.mode)?);
        }
        Ok(())
    }

    /// Closes the file; the next record opens the path anew.
    pub(super) fn reopen(&mut self) {
        self.open = None;
        self.unrotated = None;
        self.stranded = false;
    }

    /// Takes the notice for the operator, which is not a write error.
    pub(super) fn notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// Appends one whole record.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<(), Torn> {
        self.open()?;
        self.follow();
        self.make_room(u64::try_from(record.len()).unwrap_or(u64::MAX));
        let Some(open) = &mut self.open else {
            return Err(io::Error::from(ErrorKind::NotFound).into());
        };
        open.append(record)
    }

    /// Reopens the path where the file was moved, removed or replaced, as logrotate does.
    fn follow(&mut self) {
        let Some(Open { regular: Some(regular), .. }) = &mut self.open else { return };
        match fs::metadata(&regular.path) {
            Ok(data) if file_id(&data) == regular.id => {
                // It may have been truncated as well.
                regular.len = data.len();
                return;
            }
            // The name cannot be examined now; the open file still takes records.
            Err(error) if error.kind() != ErrorKind::NotFound => return,
            _ => {}
        }
        match Open::at(&self.path, self.mode) {
            Ok(open) => {
                self.open = Some(open);
                self.unrotated = None;
                self.stranded = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.stranded, true) {
                    self.notice = Some(format!(
                        "the log file was moved or removed and no new one can be made ({error}); the log goes on in the old one"
                    ));
                }
            }
        }
    }

    /// Rotates where `more` bytes would take the file over its limit. A log that cannot rotate goes on, and reports it.
    fn make_room(&mut self, more: u64) {
        let Some(Open { file, regular: Some(regular) }) = &mut self.open else { return };
        let full = regular.len > 0 && regular.len.saturating_add(more) > self.limit;
        let waits = self.unrotated.is_some_and(|unrotated| regular.len < unrotated.retry_at);
        if !full || waits || self.stranded {
            return;
        }
        let rotated = if self.count == 1 {
            file.set_len(0).map(|()| regular.len = 0)
        } else {
            rotate(&regular.path, self.count).and_then(|()| {
                // Under the old name, so that a link that changed meanwhile is not followed half way.
                self.open = Some(Open::at(&self.path, self.mode)?);
                Ok(())
            })
        };
        match rotated {
            Ok(()) => self.unrotated = None,
            Err(error) => {
                let len = self.open.as_ref().and_then(|open| open.regular.as_ref()).map_or(0, |regular| regular.len);
                let retry_at = len.saturating_add(self.limit);
                if self.unrotated.replace(Unrotated { retry_at }).is_none() {
                    self.notice = Some(format!(
                        "the log file cannot be rotated ({error}); it grows past its size of {} bytes until it can",
                        self.limit
                    ));
                }
            }
        }
    }
}

impl Open {
    fn at(path: &Path, mode: u32) -> io::Result<Self> {
        let Resolved { path, is_descriptor } = resolve(path)?;
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let file = options.open(&path)?;
        let data = file.metadata()?;
        let rotates = data.is_file() && !is_descriptor;
        let regular = rotates.then(|| Regular { path, id: file_id(&data), len: data.len() });
        Ok(Open { file, regular })
    }

    fn append(&mut self, record: &[u8]) -> Result<(), Torn> {
        let written = write_counted(&mut self.file, record);
        let Some(regular) = &mut self.regular else { return written };
        match written {
            Ok(()) => {
                regular.len = regular.len.saturating_add(u64::try_from(record.len()).unwrap_or(u64::MAX));
                Ok(())
            }
            // Half a record would join the next one: it is removed where nobody has written behind it.
            Err(Torn { error, left }) if left > 0 => {
                let end = regular.len.saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
                let ours = self.file.metadata().is_ok_and(|data| data.len() == end);
                let left = if ours && self.file.set_len(regular.len).is_ok() { 0 } else { left };
                Err(Torn { error, left })
            }
            Err(torn) => Err(torn),
        }
    }
}

/// Writes all of a record, counting the bytes written before an error.
pub(super) fn write_counted(to: &mut (impl Write + ?Sized), record: &[u8]) -> Result<(), Torn> {
    let mut left = 0;
    while let Some(rest) = record.get(left..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return Err(Torn { error: ErrorKind::WriteZero.into(), left }),
            Ok(written) => left = left.saturating_add(written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Torn { error, left }),
        }
    }
    Ok(())
}

struct Resolved {
    path: PathBuf,
    /// True where the path leads to a descriptor of a process, such as `/proc/self/fd/1`, whose file must not be
    /// renamed.
    is_descriptor: bool,
}

/// Follows links to the name of the file itself, which need not exist yet.
fn resolve(path: &Path) -> io::Result<Resolved> {
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        let name = at.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        let parent = match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.canonicalize()?,
            _ => Path::new(".").canonicalize()?,
        };
        if cfg!(unix) && parent.starts_with("/proc") {
            return Ok(Resolved { path: path.to_owned(), is_descriptor: true });
        }
        at = parent.join(name);
        match fs::read_link(&at) {
            Ok(target) => at = parent.join(target),
            Err(_) => return Ok(Resolved { path: at, is_descriptor: false }),
        }
    }
    Ok(Resolved { path: path.to_owned(), is_descriptor: false })
}

#[cfg(unix)]
fn file_id(data: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (data.dev(), data.ino())
}

/// Returns a constant: without inodes an open file is taken to keep its name.
#[cfg(not(unix))]
fn file_id(_: &fs::Metadata) -> FileId {
    (0, 0)
}

/// Returns the path of the `n`th file before the current one.
fn rotated(path: &Path, n: u32) -> PathBuf {
    with_suffix(path, &n.to_string())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(".");
    path.push(suffix);
    path.into()
}

/// Renames the current file and the older ones; the oldest is removed.
///
/// The current file is renamed first: where that is not allowed, none of the older ones is touched.
fn rotate(path: &Path, count: u32) -> io::Result<()> {
    let aside = with_suffix(path, "rotating");
    // Left by an interrupted rotation.
    if aside.symlink_metadata().is_ok_and(|data| data.is_file()) {
        shift(path, count, &aside)?;
    }
    fs::rename(path, &aside)?;
    shift(path, count, &aside).inspect_err(|_| {
        // Its descriptor is still open: the log goes on in it under any name.
        let _ = fs::rename(&aside, path);
    })
}

fn shift(path: &Path, count: u32, newest: &Path) -> io::Result<()> {
    // More than one only where an earlier run was set to more files.
    let mut surplus = count.saturating_sub(1);
    while unless_missing(fs::remove_file(rotated(path, surplus)))? {
        surplus = surplus.saturating_add(1);
    }
    for n in (2..count).rev() {
        unless_missing(fs::rename(rotated(path, n - 1), rotated(path, n)))?;
    }
    fs::rename(newest, rotated(path, 1))
}

/// Returns whether there was a file to act on; a missing one is no error.
fn unless_missing(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_file(path: PathBuf, limit: u64, count: u32) -> LogFile {
        LogFile::new(path, limit, count, 0o640)
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn read(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    fn write_all(file: &mut LogFile, range: std::ops::Range<u32>) {
        for n in range {
            file.append(format!("{n:04}\n").as_bytes()).unwrap();
        }
    }

    #[test]
    fn the_stated_number_of_files_of_the_stated_size_is_kept_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = log_file(dir.path().join("log"), 10, 3);
        write_all(&mut file, 0..6);
        assert_eq!(names(dir.path()), ["log", "log.1", "log.2"]);
        assert_eq!(read(dir.path(), "log.2"), "0000\n0001\n");
        assert_eq!(read(dir.path(), "log.1"), "0002\n0003\n");
        assert_eq!(read(dir.path(), "log"), "0004\n0005\n");
        write_all(&mut file, 6..7);
        assert_eq!(names(dir.path()), ["log", "log.1", "log.2"]);
        assert_eq!(read(dir.path(), "log.2"), "0002\n0003\n");
        assert_eq!(read(dir.path(), "log"), "0006\n");
    }

    #[test]
    fn a_single_file_starts_anew_when_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = log_file(dir.path().join("log"), 10, 1);
        write_all(&mut file, 0..3);
        assert_eq!(names(dir.path()), ["log"]);
        assert_eq!(read(dir.path(), "log"), "0002\n");
    }

    #[test]
    fn a_record_is_never_split_and_one_over_the_limit_has_a_file_to_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = log_file(dir.path().join("log"), 10, 3);
        for record in ["a\n", "a record over the limit\n", "b\n"] {
            file.append(record.as_bytes()).unwrap();
        }
        assert_eq!(read(dir.path(), "log.2"), "a\n");
        assert_eq!(read(dir.path(), "log.1"), "a record over the limit\n");
        assert_eq!(read(dir.path(), "log"), "b\n");
    }

    #[test]
    fn a_new_run_goes_on_in_the_old_file_and_counts_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        write_all(&mut log_file(path.clone(), 10, 3), 0..1);
        write_all(&mut log_file(path, 10, 3), 1..3);
        assert_eq!(read(dir.path(), "log.1"), "0000\n0001\n");
        assert_eq!(read(dir.path(), "log"), "0002\n");
    }

    #[test]
    fn a_run_with_fewer_files_removes_the_surplus_of_the_run_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        write_all(&mut log_file(path.clone(), 5, 5), 0..5);
        assert_eq!(names(dir.path()).len(), 5);
        write_all(&mut log_file(path, 5, 2), 5..6);
        assert_eq!(names(dir.path()), ["log", "log.1"]);
        assert_eq!(read(dir.path(), "log.1"), "0004\n");
    }

    #[test]
    fn files_removed_by_somebody_else_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = log_file(dir.path().join("log"), 5, 3);
        write_all(&mut file, 0..3);
        fs::remove_file(dir.path().join("log.1")).unwrap();
        write_all(&mut file, 3..4);
        assert_eq!(read(dir.path(), "log"), "0003\n");
        assert_eq!(read(dir.path(), "log.1"), "0002\n");
        fs::remove_file(dir.path().join("log")).unwrap();
        write_all(&mut file, 4..5);
        assert_eq!(read(dir.path(), "log"), "0004\n");
    }

    #[test]
    fn a_log_that_cannot_rotate_goes_on_says_so_once_and_rotates_again_once_the_obstacle_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = log_file(dir.path().join("log"), 5, 2);
        write_all(&mut file, 0..1);
        fs::create_dir_all(dir.path().join("log.1/in the way")).unwrap();
        write_all(&mut file, 1..2);
        let notice = file.notice().unwrap();
        assert!(notice.contains("cannot be rotated") && notice.contains("5 bytes"), "{notice}");
        write_all(&mut file, 2..4);
        assert_eq!(file.notice(), None);
        assert_eq!(read(dir.path(), "log"), "0000\n0001\n0002\n0003\n");
        assert_eq!(names(dir.path()), ["log", "log.1"]);
        fs::remove_dir_all(dir.path().join("log.1")).unwrap();
        write_all(&mut file, 4..6);
        assert_eq!(names(dir.path()), ["log", "log.1"]);
        assert_eq!(read(dir.path(), "log"), "0005\n");
    }

    #[test]
    fn older_files_stay_where_the_current_one_may_not_be_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for (name, text) in [("log", "now\n"), ("log.1", "older\n"), ("log.2", "oldest\n")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        // A folder of that name is as much in the way as a folder that may not be written.
        fs::create_dir_all(dir.path().join("log.rotating/in the way")).unwrap();
        let mut file = log_file(path, 5, 3);
        write_all(&mut file, 0..3);
        assert_eq!(read(dir.path(), "log.1"), "older\n");
        assert_eq!(read(dir.path(), "log.2"), "oldest\n");
        assert_eq!(read(dir.path(), "log"), "now\n0000\n0001\n0002\n");
    }

    #[test]
    fn a_rotation_cut_short_is_made_up_for_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("log.rotating"), "before\n").unwrap();
        let mut file = log_file(dir.path().join("log"), 5, 3);
        write_all(&mut file, 0..2);
        assert_eq!(names(dir.path()), ["log", "log.1", "log.2"]);
        assert_eq!(read(dir.path(), "log.2"), "before\n");
        assert_eq!(read(dir.path(), "log.1"), "0000\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_moved_away_is_followed_by_a_new_one_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = log_file(dir.path().join("log"), 1000, 3);
        write_all(&mut file, 0..1);
        fs::rename(dir.path().join("log"), dir.path().join("archive")).unwrap();
        write_all(&mut file, 1..2);
        fs::remove_file(dir.path().join("log")).unwrap();
        write_all(&mut file, 2..3);
        fs::write(dir.path().join("new"), "").unwrap();
        fs::rename(dir.path().join("new"), dir.path().join("log")).unwrap();
        write_all(&mut file, 3..4);
        assert_eq!(read(dir.path(), "archive"), "0000\n");
        assert_eq!(read(dir.path(), "log"), "0003\n");
        assert_eq!(file.notice(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_log_whose_folder_is_gone_goes_on_in_the_old_file_and_says_so_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        fs::create_dir(&folder).unwrap();
        let mut file = log_file(folder.join("log"), 5, 3);
        write_all(&mut file, 0..1);
        fs::rename(&folder, dir.path().join("moved")).unwrap();
        write_all(&mut file, 1..3);
        assert!(file.notice().unwrap().contains("no new one can be made"));
        assert_eq!(read(&dir.path().join("moved"), "log"), "0000\n0001\n0002\n");
        fs::create_dir(&folder).unwrap();
        write_all(&mut file, 3..4);
        assert_eq!(read(&folder, "log"), "0003\n");
        assert_eq!(file.notice(), None);
    }

    #[test]
    fn a_file_cut_by_somebody_else_is_counted_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = log_file(dir.path().join("log"), 10, 3);
        write_all(&mut file, 0..2);
        fs::write(dir.path().join("log"), "").unwrap();
        write_all(&mut file, 2..4);
        assert_eq!(names(dir.path()), ["log"]);
        assert_eq!(read(dir.path(), "log"), "0002\n0003\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_resolved_and_its_target_rotated_in_its_own_folder() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        fs::create_dir(&disk).unwrap();
        std::os::unix::fs::symlink("disk/real", dir.path().join("log")).unwrap();
        let mut file = log_file(dir.path().join("log"), 5, 3);
        write_all(&mut file, 0..2);
        assert_eq!(names(dir.path()), ["disk", "log"]);
        assert_eq!(names(&disk), ["real", "real.1"]);
        assert!(dir.path().join("log").symlink_metadata().unwrap().is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_and_never_renamed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join("log")).unwrap();
        let mut file = log_file(dir.path().join("log"), 5, 3);
        write_all(&mut file, 0..10);
        assert_eq!(names(dir.path()), ["log"]);
        assert_eq!(fs::read_link(dir.path().join("log")).unwrap(), Path::new("/dev/null"));
        assert!(Path::new("/dev/null").exists());
        assert!(file.notice().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_to_a_descriptor_of_the_process_is_written_and_what_is_behind_it_is_not_renamed() {
        use std::os::fd::AsRawFd;
        let dir = tempfile::tempdir().unwrap();
        let behind = File::create(dir.path().join("stdout")).unwrap();
        let link = dir.path().join("log");
        std::os::unix::fs::symlink(format!("/proc/self/fd/{}", behind.as_raw_fd()), &link).unwrap();
        let mut file = log_file(link, 5, 3);
        write_all(&mut file, 0..3);
        assert_eq!(names(dir.path()), ["log", "stdout"]);
        assert_eq!(read(dir.path(), "stdout"), "0000\n0001\n0002\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_stated_mode_and_an_old_one_keeps_its_own() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(dir.path().join("old"), "").unwrap();
        fs::set_permissions(dir.path().join("old"), fs::Permissions::from_mode(0o600)).unwrap();
        write_all(&mut log_file(path.clone(), 5, 3), 0..1);
        write_all(&mut log_file(dir.path().join("old"), 5, 3), 0..1);
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        // The umask may take rights away, never add any.
        assert_eq!(mode("log") & !0o640, 0);
        assert_eq!(mode("old"), 0o600);
    }

    /// Takes a number of bytes and then fails.
    struct Full(usize, Vec<u8>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.0 -= taken;
            self.1.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_write_that_fails_says_how_much_of_the_record_is_left_behind() {
        let mut full = Full(3, Vec::new());
        let torn = write_counted(&mut full, b"record").unwrap_err();
        assert_eq!((torn.left, torn.error.kind()), (3, ErrorKind::StorageFull));
        assert_eq!(full.1, b"rec");
        assert_eq!(write_counted(&mut full, b"x").unwrap_err().left, 0);
    }
}
