//! A log file that stays within a number of files of a size.
//!
//! Written here because the crate looked at for it (file-rotate 0.8) cuts a record in two or goes over the limit, turns
//! a file that cannot be opened into silence, and panics when somebody removes a rotated file meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Appends to `path`; a record that would take the file over `limit` bytes goes into a new one.
///
/// The files are `path` (current), `path.1` (the one before), … `path.(count - 1)` (oldest). Each `write` takes one
/// whole record, which is never split; one longer than `limit` gets a file to itself.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    limit: u64,
    count: u32,
    /// The current file and its length; `None` after an error, until the next record opens it anew.
    current: Option<(File, u64)>,
}

impl RotatingFile {
    pub(super) fn open(path: PathBuf, limit: u64, count: u32) -> io::Result<Self> {
        let current = Some(append_to(&path)?);
        Ok(RotatingFile { path, limit, count, current })
    }

    /// The path of the `n`th file before the current one.
    fn rotated(&self, n: u32) -> PathBuf {
        if n == 0 {
            return self.path.clone();
        }
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{n}"));
        path.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Closed first: an open file cannot be renamed everywhere.
        self.current = None;
        // More than one only where an earlier run kept more files.
        let mut surplus = self.count.saturating_sub(1);
        while unless_missing(fs::remove_file(self.rotated(surplus)))? {
            surplus = surplus.saturating_add(1);
        }
        for n in (1..self.count).rev() {
            unless_missing(fs::rename(self.rotated(n - 1), self.rotated(n)))?;
        }
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let more = u64::try_from(record.len()).unwrap_or(u64::MAX);
        let (file, len) = match self.current.take() {
            Some(current) => current,
            None => append_to(&self.path)?,
        };
        let (mut file, len) = if len > 0 && len.saturating_add(more) > self.limit {
            drop(file);
            self.rotate()?;
            append_to(&self.path)?
        } else {
            (file, len)
        };
        file.write_all(record)?;
        self.current = Some((file, len.saturating_add(more)));
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.append(record).map(|()| record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// Whether there was a file to act on; one that is gone already is no error.
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

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn read(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    fn write_all(file: &mut RotatingFile, range: std::ops::Range<u32>) {
        for n in range {
            file.write_all(format!("{n:04}\n").as_bytes()).unwrap();
        }
    }

    #[test]
    fn the_stated_number_of_files_of_the_stated_size_is_kept_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(dir.path().join("log"), 10, 3).unwrap();
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
        let mut file = RotatingFile::open(dir.path().join("log"), 10, 1).unwrap();
        write_all(&mut file, 0..3);
        assert_eq!(names(dir.path()), ["log"]);
        assert_eq!(read(dir.path(), "log"), "0002\n");
    }

    #[test]
    fn a_record_is_never_split_and_one_over_the_limit_has_a_file_to_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(dir.path().join("log"), 10, 3).unwrap();
        for record in ["a\n", "a record over the limit\n", "b\n"] {
            file.write_all(record.as_bytes()).unwrap();
        }
        assert_eq!(read(dir.path(), "log.2"), "a\n");
        assert_eq!(read(dir.path(), "log.1"), "a record over the limit\n");
        assert_eq!(read(dir.path(), "log"), "b\n");
    }

    #[test]
    fn a_new_run_goes_on_in_the_old_file_and_counts_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        write_all(&mut RotatingFile::open(path.clone(), 10, 3).unwrap(), 0..1);
        write_all(&mut RotatingFile::open(path, 10, 3).unwrap(), 1..3);
        assert_eq!(read(dir.path(), "log.1"), "0000\n0001\n");
        assert_eq!(read(dir.path(), "log"), "0002\n");
    }

    #[test]
    fn a_run_with_fewer_files_removes_the_surplus_of_the_run_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        write_all(&mut RotatingFile::open(path.clone(), 5, 5).unwrap(), 0..5);
        assert_eq!(names(dir.path()).len(), 5);
        write_all(&mut RotatingFile::open(path, 5, 2).unwrap(), 5..6);
        assert_eq!(names(dir.path()), ["log", "log.1"]);
        assert_eq!(read(dir.path(), "log.1"), "0004\n");
    }

    #[test]
    fn files_removed_by_somebody_else_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(dir.path().join("log"), 5, 3).unwrap();
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
    fn a_rotation_that_fails_is_an_error_and_works_again_once_the_obstacle_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(dir.path().join("log"), 5, 2).unwrap();
        write_all(&mut file, 0..1);
        fs::create_dir_all(dir.path().join("log.1/in the way")).unwrap();
        assert!(file.write_all(b"lost\n").is_err());
        assert_eq!(read(dir.path(), "log"), "0000\n");
        fs::remove_dir_all(dir.path().join("log.1")).unwrap();
        write_all(&mut file, 1..2);
        assert_eq!(read(dir.path(), "log.1"), "0000\n");
        assert_eq!(read(dir.path(), "log"), "0001\n");
    }
}
