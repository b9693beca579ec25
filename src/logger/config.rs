//! Configuration of a logger, and errors of starting one.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::LogLevel;
use super::file::LogFile;
use super::line::{Clock, Output, Sink};
use super::queue::Queue;
use crate::util::{
    Escaped,
    impls::{impl_debug, setters},
};

/// Reason that a logger did not start, or did not flush.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The log file cannot be opened or created.
    #[error("the log file {} cannot be opened: {source}", Escaped(&.path.to_string_lossy()))]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A setting is out of its range.
    #[error("{what} is {value}; it must be {allowed}")]
    Range {
        /// The setting.
        what: &'static str,
        /// The value as given.
        value: u64,
        /// The allowed range.
        allowed: &'static str,
    },
    /// The writing thread cannot be started.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[source] io::Error),
    /// This thread has no actix system to start the actor in.
    #[error("no actix system runs on this thread; call this from inside one, or use LogHandle::start")]
    NoSystem,
    /// The outputs took too long; queued records will still be written if they recover.
    #[error("the log was not written out within {limit:?}")]
    Stalled {
        /// The time waited.
        limit: Duration,
    },
}

/// Terminal stream of the log.
///
/// Levels are coloured when the stream is a terminal and the environment's `NO_COLOR` is unset or empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terminal {
    /// Standard error.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// Neither.
    Off,
}

/// Configuration of a logger: outputs, level and bounds.
///
/// Every record goes to all outputs, to each in one call.
///
/// ```
/// use agora_chat::logger::{LogConfig, LogLevel};
///
/// // The terminal (standard error), and chat.log, chat.log.1, … chat.log.4 of 1 MiB each.
/// let config = LogConfig::new().level(LogLevel::Debug).file("chat.log").file_size(1024 * 1024).file_count(5);
/// ```
#[must_use]
pub struct LogConfig {
    pub(super) level: LogLevel,
    terminal: Terminal,
    writers: Vec<Box<dyn Write + Send>>,
    file: Option<PathBuf>,
    file_size: u64,
    file_count: u32,
    file_mode: u32,
    queue: usize,
    queue_bytes: usize,
}

impl LogConfig {
    /// The default of [`file_size`](Self::file_size), in bytes: 5 MiB.
    pub const FILE_SIZE: u64 = 5 * 1024 * 1024;
    /// The default of [`file_count`](Self::file_count).
    pub const FILE_COUNT: u32 = 3;
    /// The largest [`file_count`](Self::file_count).
    pub const MAX_FILE_COUNT: u32 = 1000;
    /// The default of [`file_mode`](Self::file_mode): the owner may write, the group may read.
    pub const FILE_MODE: u32 = 0o640;
    /// The default of [`queue_bytes`](Self::queue_bytes), in bytes: 8 MiB.
    pub const QUEUE_BYTES: usize = 8 * 1024 * 1024;
    /// The default of [`queue`](Self::queue), in records.
    pub const QUEUE: usize = 4096;
    /// The largest [`queue`](Self::queue), in records.
    pub const MAX_QUEUE: usize = 1 << 20;

    /// Makes the default configuration: the terminal (standard error) alone, from INFO on.
    pub fn new() -> Self {
        LogConfig {
            level: LogLevel::Info,
            terminal: Terminal::default(),
            writers: Vec::new(),
            file: None,
            file_size: Self::FILE_SIZE,
            file_count: Self::FILE_COUNT,
            file_mode: Self::FILE_MODE,
            queue: Self::QUEUE,
            queue_bytes: Self::QUEUE_BYTES,
        }
    }

    setters! {
        /// Sets the initial level. Default: INFO.
        level(level: LogLevel) |this| this.level = level;

        /// Sets the terminal stream. Default: standard error.
        terminal(terminal: Terminal) |this| this.terminal = terminal;

        /// Adds an output without colours; each `write_all` is one whole line. Default: none.
        ///
        /// The writer is called in the log's own thread. While it blocks, the queue fills up. When it fails or panics,
        /// the record is lost on this output only, and counted in [`write_errors`](super::LogHandle::write_errors).
        writer(writer: impl Write + Send + 'static) |this| this.writers.push(Box::new(writer));

        /// Sets the log file, in a directory that exists; an old file is continued. Default: none.
        ///
        /// When a line would take it over [`file_size`](Self::file_size), it becomes `PATH.1`, the former `PATH.1`
        /// becomes `PATH.2`, and so on; the oldest beyond [`file_count`](Self::file_count) is removed. So by default
        /// there are at most `PATH`, `PATH.1` and `PATH.2`, 15 MiB in all. Only one logger may write to a path.
        ///
        /// - Only a regular file is rotated. A pipe, a device or a link to a descriptor of a process is written as it is,
        ///   and may hold the log's own thread while nobody reads it. A link is resolved when the file is opened.
        /// - A file that may not be renamed, or whose folder may not be written, is not rotated: it grows, which is logged
        ///   once, and rotating is tried again when it has grown by another [`file_size`](Self::file_size).
        /// - A file that was moved or removed, as logrotate does it, is followed by a new one with the next record;
        ///   [`LogHandle::reopen`](super::LogHandle::reopen) does so at once. `copytruncate` works as well.
        /// - Half a record, as a full disk leaves it, is removed. When the file takes records again, a line says how many
        ///   were lost.
        ///
        /// Lines are passed to the system one by one, but not forced onto the disk.
        file(path: impl Into<PathBuf>) |this| this.file = Some(path.into());

        /// Sets the largest size of each file in bytes, at least 1. Default: 5 MiB.
        ///
        /// A line is never split between two files: one longer than this (64 KiB at most) has a file to itself.
        file_size(bytes: u64) |this| this.file_size = bytes;

        /// Sets the number of files, including the current one, 1 to 1 000. Default: 3.
        file_count(files: u32) |this| this.file_count = files;

        /// Sets the permissions of a new log file, less the process's umask. Default: `0o640`.
        ///
        /// Only for systems with such permissions, as Unix. Bits beyond `0o777` are ignored.
        file_mode(mode: u32) |this| this.file_mode = mode & 0o777;

        /// Sets the number of records that may wait to be written, 1 to 1 048 576. Default: 4 096.
        ///
        /// When that many wait, the caller goes on and the new record is dropped, counted and reported.
        queue(records: usize) |this| this.queue = records;

        /// Sets the memory that waiting records may take, in bytes, at least 1. Default: 8 MiB.
        ///
        /// A record takes its message and values as text, 64 bytes for each value and 256 for itself. One that does not
        /// fit is dropped, counted and reported as with [`queue`](Self::queue); a record larger than the bound is
        /// accepted only while no other waits.
        queue_bytes(bytes: usize) |this| this.queue_bytes = bytes;
    }

    fn check(&self) -> Result<(), LogError> {
        let range = |what, value: u64, most: u64, allowed| {
            if (1..=most).contains(&value) { Ok(()) } else { Err(LogError::Range { what, value, allowed }) }
        };
        let queue = u64::try_from(self.queue).unwrap_or(u64::MAX);
        range("the log's queue size", queue, Self::MAX_QUEUE as u64, "1 to 1048576 records")?;
        let queue_bytes = u64::try_from(self.queue_bytes).unwrap_or(u64::MAX);
        range("the log's queue size in memory", queue_bytes, u64::MAX, "at least 1 byte")?;
        range("the log file's size", self.file_size, u64::MAX, "at least 1 byte")?;
        range("the number of log files", self.file_count.into(), Self::MAX_FILE_COUNT.into(), "1 to 1000")
    }

    pub(super) fn start(self) -> Result<Queue, LogError> {
        self.check()?;
        let clock = Clock::default();
        let mut outputs = Vec::new();
        let colour = |is_terminal: bool| is_terminal && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        match self.terminal {
            Terminal::Stderr => {
                let stderr = io::stderr();
                outputs.push(Output::new(
                    "standard error",
                    colour(stderr.is_terminal()),
                    Sink::Writer(Box::new(stderr)),
                    &clock,
                ));
            }
            Terminal::Stdout => {
                let stdout = io::stdout();
                outputs.push(Output::new(
                    "standard output",
                    colour(stdout.is_terminal()),
                    Sink::Writer(Box::new(stdout)),
                    &clock,
                ));
            }
            Terminal::Off => {}
        }
        for writer in self.writers {
            outputs.push(Output::new("the application's writer", false, Sink::Writer(writer), &clock));
        }
        if let Some(path) = self.file {
            let name = path.display().to_string();
            let file = LogFile::new(path, self.file_size, self.file_count, self.file_mode);
            outputs.push(Output::new(name, false, Sink::File(file), &clock));
        }
        Queue::start(self.queue, self.queue_bytes, outputs, clock)
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig::new()
    }
}

impl_debug! {
    LogConfig {
        level, terminal, writers = writers.len(), file, file_size, file_count, file_mode = format_args!("{:#o}",
        file_mode), queue, queue_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_with_the_range() {
        for (config, what) in [
            (LogConfig::new().queue(0), "queue"),
            (LogConfig::new().queue(LogConfig::MAX_QUEUE + 1), "queue"),
            (LogConfig::new().queue_bytes(0), "memory"),
            (LogConfig::new().file_size(0), "size"),
            (LogConfig::new().file_count(0), "number"),
            (LogConfig::new().file_count(1001), "number"),
        ] {
            let error = config.check().unwrap_err();
            assert!(matches!(error, LogError::Range { .. }) && error.to_string().contains(what), "{error}");
        }
        let most = LogConfig::new().queue(LogConfig::MAX_QUEUE).file_size(u64::MAX).file_count(1000);
        assert!(most.check().is_ok());
    }

    #[test]
    fn the_defaults_are_info_on_standard_error_and_three_files_of_five_mebibytes() {
        let config = LogConfig::default();
        assert_eq!((config.level, config.terminal), (LogLevel::Info, Terminal::Stderr));
        assert_eq!((config.file_size, config.file_count, config.queue), (5_242_880, 3, 4096));
        assert!(config.file.is_none() && config.writers.is_empty());
    }
}
