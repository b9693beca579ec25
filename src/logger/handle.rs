//! The logger as a handle: the actor's operations, callable from anywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use slog::{Drain, Logger};

use crate::util::lent::{self, LostRecords};

use super::queue::Queue;
use super::{LevelFilter, LevelSwitch, LogConfig, LogError, LogLevel, LoggerActor};

/// Handle to a running logger; all clones are the same one.
///
/// Every call works on any thread, inside an actix system or not, and takes effect at once: the level is an atomic that
/// the callers of the log read themselves. The [`LoggerActor`] takes the same calls as messages.
///
/// The log ends when the last handle *and* the last `slog::Logger` made from it are gone; see the
/// [module's page](super#at-the-end).
#[derive(Clone)]
pub struct LogHandle {
    switch: LevelSwitch,
    logger: Logger,
    /// The queue; `None` where the application's own logger writes.
    queue: Option<Arc<Queue>>,
    /// Count of records that the application's own logger lost by a panic.
    lost: LostRecords,
    addr: Option<Addr<LoggerActor>>,
}

impl LogHandle {
    /// Starts a logger without an actor; no actix system is needed.
    ///
    /// # Errors
    /// [`LogError::File`] when the file turns out within a second to be one that cannot be opened, [`LogError::Range`]
    /// for a setting out of its range, [`LogError::Thread`] when the system starts no thread.
    pub fn start(config: LogConfig) -> Result<Self, LogError> {
        let switch = LevelSwitch::new(config.level);
        let queue = Arc::new(config.start()?);
        let drain = LevelFilter::new(Arc::clone(&queue), switch.clone()).ignore_res();
        let logger = Logger::root(drain, slog::o!());
        Ok(LogHandle { switch, logger, queue: Some(queue), lost: LostRecords::default(), addr: None })
    }

    /// Logs into the application's own `logger`, with `level` on top of its own filters.
    ///
    /// Its key-value pairs are kept. It does its own queueing and flushing: `dropped` stays 0, `write_errors` counts
    /// its panics (each costs one record), and flushing returns at once. A `logger` that blocks holds up the
    /// connection.
    ///
    /// ```
    /// use agora_chat::logger::{LogHandle, LogLevel};
    ///
    /// let mine = slog::Logger::root(slog::Discard, slog::o!("app" => "bot"));
    /// let log = LogHandle::from_logger(mine, LogLevel::Debug);
    /// slog::info!(log.slog(), "goes to the application's drain");
    /// ```
    #[must_use]
    pub fn from_logger(logger: Logger, level: LogLevel) -> Self {
        let switch = LevelSwitch::new(level);
        let (guarded, lost) = lent::guarded(&logger);
        let drain = LevelFilter::new(guarded, switch.clone()).ignore_res();
        LogHandle { switch, logger: Logger::root(drain, slog::o!()), queue: None, lost, addr: None }
    }

    /// Makes a logger that writes nothing, at any level.
    #[must_use]
    pub fn discard() -> Self {
        LogHandle::from_logger(Logger::root(slog::Discard, slog::o!()), LogLevel::Silent)
    }

    /// Starts a [`LoggerActor`] for this logger on the current arbiter.
    ///
    /// # Errors
    /// [`LogError::NoSystem`] when this thread has no arbiter.
    pub fn with_actor(self) -> Result<Self, LogError> {
        Ok(self.with_actor_on(&current_arbiter()?))
    }

    pub(super) fn with_actor_on(self, arbiter: &ArbiterHandle) -> Self {
        // With its own address the actor would never end.
        let log = LogHandle { addr: None, ..self.clone() };
        // Not `start`, which panics where the arbiter's loop is not running yet.
        let addr = LoggerActor::start_in_arbiter(arbiter, move |_| LoggerActor { log });
        LogHandle { addr: Some(addr), ..self }
    }

    /// Returns the actor's address, if one was started with this handle.
    #[must_use]
    pub fn addr(&self) -> Option<&Addr<LoggerActor>> {
        self.addr.as_ref()
    }

    /// Returns the `slog::Logger` to log with; its clones and children (`logger.new(o!(…))`) follow the same level.
    pub fn slog(&self) -> Logger {
        self.logger.clone()
    }

    /// Sets level TRACE, so that everything is written.
    pub fn enable_all(&self) {
        self.set_level(LogLevel::Trace);
    }

    /// Sets level SILENT, so that nothing is written. Records queued before still are.
    pub fn disable_all(&self) {
        self.set_level(LogLevel::Silent);
    }

    /// Sets the level, for all threads from their next record on.
    pub fn set_level(&self, level: LogLevel) {
        self.switch.set(level);
    }

    /// Returns the current level.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.switch.get()
    }

    /// Returns the number of records dropped since the start, because the queue was full or the log was shut down.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.dropped())
    }

    /// Returns the number of records that outputs failed to write since the start; each output counts by itself.
    ///
    /// The first failure in a row is reported on the other outputs. When the output takes records again, a line on it
    /// says how many it lost.
    #[must_use]
    pub fn write_errors(&self) -> u64 {
        self.queue.as_ref().map_or_else(|| self.lost.get(), |queue| queue.write_errors())
    }

    /// Closes the log file and opens its path anew before the next record, for a logrotate that sends a signal.
    ///
    /// Returns at once. A moved or removed log file is noticed without this; call it for a file that was replaced in
    /// another way, such as by a link that leads elsewhere now.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.reopen();
        }
    }

    /// Waits until every record logged before is written; the log goes on.
    ///
    /// It waits as long as the outputs take; use a timeout where one of them may hang. Dropping the future does no
    /// harm.
    pub async fn flush(&self) {
        if let Some(queue) = &self.queue {
            queue.written().await;
        }
    }

    /// Flushes as [`flush`](Self::flush) does, but blocks the thread for at most `limit`. Not for an arbiter's thread.
    ///
    /// # Errors
    /// [`LogError::Stalled`] when the outputs took longer.
    pub fn flush_blocking(&self, limit: Duration) -> Result<(), LogError> {
        let done = self.queue.as_ref().is_none_or(|queue| queue.flush_blocking(limit));
        done.then_some(()).ok_or(LogError::Stalled { limit })
    }

    /// Ends the log: writes all queued records, closes the outputs, and waits for that without blocking the thread.
    ///
    /// Later records are dropped and counted. It waits as long as the outputs take; use a timeout where one of them may
    /// hang. Dropping the future does no harm. Calling it again does nothing.
    pub async fn shutdown(&self) {
        if let Some(queue) = &self.queue {
            queue.shutdown().await;
        }
    }

    /// Ends the log as [`shutdown`](Self::shutdown) does, but blocks the thread for at most `limit`. Not for an
    /// arbiter's thread.
    ///
    /// # Errors
    /// [`LogError::Stalled`] when the outputs took longer.
    pub fn shutdown_blocking(&self, limit: Duration) -> Result<(), LogError> {
        let done = self.queue.as_ref().is_none_or(|queue| queue.shutdown_blocking(limit));
        done.then_some(()).ok_or(LogError::Stalled { limit })
    }
}

pub(super) fn current_arbiter() -> Result<ArbiterHandle, LogError> {
    Arbiter::try_current().ok_or(LogError::NoSystem)
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogHandle")
            .field("level", &self.level())
            .field("queue", &self.queue.as_ref().map(|queue| queue.capacity()))
            .field("dropped", &self.dropped())
            .field("write_errors", &self.write_errors())
            .field("actor", &self.addr.is_some())
            .finish()
    }
}
