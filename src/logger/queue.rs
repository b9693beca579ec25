//! The bounded queue between the callers and the thread that writes.
//!
//! slog-async serialises the records. The queue is an own one because slog-async's does not let its count of dropped
//! records be read, cannot be flushed without ending it, and takes a dead worker for a full queue.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use slog::{Drain, Level, Never, OwnedKVList, Record};
use slog_async::AsyncRecord;
use tokio::sync::watch;

use super::LogError;
use super::file::LogFile;
use super::line::{Clock, Output, WriteOutcome};
use crate::util::{lent, lock};

/// Longest wait for queued records when the queue is dropped.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// Longest wait of a start for the opening of the log file; after that it is opened when it can be.
const OPEN_WAIT: Duration = Duration::from_secs(1);

/// Longest time that `slog::Logger::flush` blocks its thread.
const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// Bytes that a record takes besides its texts: its place in the queue, its values' boxes and their links.
const RECORD_BYTES: usize = 256;
const VALUE_BYTES: usize = 64;

struct Entry {
    /// Number of records dropped just before this one.
    lost_before: u64,
    /// Its memory in bytes.
    bytes: usize,
    unix_ms: i64,
    record: AsyncRecord,
}

/// Returns the memory that a record takes while it waits; its logger's pairs are shared and do not count.
fn weigh(record: &AsyncRecord) -> usize {
    struct Weight(usize);

    impl fmt::Write for Weight {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.saturating_add(text.len());
            Ok(())
        }
    }

    impl slog::Serializer for Weight {
        fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
            self.0 = self.0.saturating_add(VALUE_BYTES + key.len());
            self.write_fmt(*value).map_err(|_| slog::Error::Other)
        }

        fn emit_str(&mut self, key: slog::Key, value: &str) -> slog::Result {
            self.0 = self.0.saturating_add(VALUE_BYTES + key.len()).saturating_add(value.len());
            Ok(())
        }
    }

    let mut weight = Weight(RECORD_BYTES);
    record.as_record_values(|record, _| {
        // Neither can fail: this only counts the texts.
        let _ = weight.write_fmt(*record.msg());
        let _ = slog::KV::serialize(&record.kv(), record, &mut weight);
    });
    weight.0
}

/// State that the callers and the worker share under one lock.
///
/// Lines are numbered in the order of writing; a report of dropped records is a line like any other. So "every record
/// logged before now" is a number, and flushing waits for `written` to reach it.
#[derive(Default)]
struct QueueState {
    entries: VecDeque<Entry>,
    /// Memory of the entries in bytes.
    bytes: usize,
    /// True where the log file is to be reopened before the next record.
    reopen: bool,
    /// Records dropped since the last entry, and not reported yet.
    lost: u64,
    /// Lines to be written so far.
    owed: u64,
    /// True once no more records are accepted.
    closed: bool,
    /// True while the worker sleeps and has not been woken. Notifying a condition variable costs a system call even
    /// without waiters, so it is done only where this or `waiters` asks for it.
    idle: bool,
    /// Number of threads that wait on `Shared::blocked`.
    waiters: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct WriteProgress {
    /// Lines written so far.
    written: u64,
    /// True once the worker is gone and its outputs are closed.
    ended: bool,
}

struct QueueShared {
    capacity: usize,
    /// Most bytes of memory that may wait; a larger record passes only an empty queue.
    max_bytes: usize,
    state: Mutex<QueueState>,
    /// Wakes the worker.
    work: Condvar,
    /// Wakes waiters without a runtime; guarded by `state`.
    blocked: Condvar,
    /// Wakes waiters in async code. Changed by the worker alone, which then locks `state` before it wakes `blocked`.
    progress: watch::Sender<WriteProgress>,
    dropped: AtomicU64,
    write_errors: AtomicU64,
}

// A panic cannot leave the state half changed: nothing that can panic runs while it is locked.
impl RefUnwindSafe for QueueShared {}

/// Condition to wait for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    /// The line of this number is written, or never will be.
    Written(u64),
    /// The worker is gone.
    Ended,
}

impl Until {
    fn reached(self, progress: &WriteProgress) -> bool {
        progress.ended || matches!(self, Until::Written(line) if progress.written >= line)
    }
}

enum Step {
    Reopen,
    Write(Entry),
    Report(u64),
    End,
}

impl QueueShared {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        lock(&self.state)
    }

    fn offer(&self, record: &Record<'_>, values: &OwnedKVList) {
        let unix_ms = chrono::Utc::now().timestamp_millis();
        // A value of the caller's may panic when serialised, which slog-async does not expect.
        let record = lent::caught(|| {
            let record = AsyncRecord::from(record, values);
            let bytes = weigh(&record);
            (record, bytes)
        });
        let mut state = self.lock();
        if state.closed {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (record, bytes) = match record {
            Some((record, bytes)) if self.has_room_for(bytes, &state) => (record, bytes),
            refused => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                if state.lost == 0 {
                    state.owed += 1;
                }
                state.lost += 1;
                // The worker may be asleep, and nothing else would wake it to report this.
                let wake = std::mem::take(&mut state.idle);
                drop(state);
                // A record's values are the caller's, and are dropped by the caller outside the lock.
                drop(refused);
                if wake {
                    self.work.notify_one();
                }
                return;
            }
        };
        let lost_before = std::mem::take(&mut state.lost);
        state.owed += 1;
        state.bytes = state.bytes.saturating_add(bytes);
        state.entries.push_back(Entry { lost_before, bytes, unix_ms, record });
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    fn has_room_for(&self, bytes: usize, state: &QueueState) -> bool {
        let fits = state.bytes.saturating_add(bytes) <= self.max_bytes || state.entries.is_empty();
        fits && state.entries.len() < self.capacity
    }

    fn reopen(&self) {
        let mut state = self.lock();
        state.reopen = true;
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    /// Waits for the worker's next step; the one before is done.
    fn next(&self) -> Step {
        let mut state = self.lock();
        if state.waiters > 0 {
            self.blocked.notify_all();
        }
        loop {
            state.idle = false;
            if std::mem::take(&mut state.reopen) {
                return Step::Reopen;
            }
            if let Some(entry) = state.entries.pop_front() {
                state.bytes = state.bytes.saturating_sub(entry.bytes);
                return Step::Write(entry);
            }
            match std::mem::take(&mut state.lost) {
                0 if state.closed => return Step::End,
                0 => {
                    state.idle = true;
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                lost => return Step::Report(lost),
            }
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    fn everything_so_far(&self) -> Until {
        Until::Written(self.lock().owed)
    }

    async fn wait(&self, until: Until) {
        // The sender is a field of `self`, so this cannot fail.
        let _ = self.progress.subscribe().wait_for(|progress| until.reached(progress)).await;
    }

    /// Waits on this thread; returns whether the condition was reached in time.
    fn wait_blocking(&self, until: Until, limit: Duration) -> bool {
        let pending = |_: &mut QueueState| !until.reached(&self.progress.borrow());
        let mut state = self.lock();
        state.waiters += 1;
        let waited = self.blocked.wait_timeout_while(state, limit, pending);
        let (mut state, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiters -= 1;
        !outcome.timed_out()
    }
}

/// The callers' end: a drain that never blocks and never fails.
///
/// Dropping it closes the queue, and waits up to a second for queued records.
pub(super) struct Queue {
    shared: Arc<QueueShared>,
    worker: ThreadId,
}

impl Queue {
    /// Starts the writing thread. At most `capacity` records of `max_bytes` of memory wait, besides the one being
    /// written.
    ///
    /// That thread opens the files, since a pipe without a reader or a hung disk may block it. A failure within the
    /// first second fails the start.
    pub(super) fn start(
        capacity: usize,
        max_bytes: usize,
        outputs: Vec<Output>,
        clock: Clock,
    ) -> Result<Self, LogError> {
        let shared = Arc::new(QueueShared {
            capacity,
            max_bytes,
            state: Mutex::default(),
            work: Condvar::new(),
            blocked: Condvar::new(),
            progress: watch::Sender::new(WriteProgress::default()),
            dropped: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
        });
        let end = End(Arc::clone(&shared));
        let (opened, is_open) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("agora-chat-log".to_owned()).spawn(move || {
            // Declared before the worker, and so dropped after it and its outputs.
            let end = end;
            let worker = Worker { shared: &end.0, outputs, clock };
            if worker.open_files(opened) {
                worker.run();
            }
        });
        let thread = thread.map_err(LogError::Thread)?;
        match is_open.recv_timeout(OPEN_WAIT) {
            Ok(opened) => opened?,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        Ok(Queue { shared, worker: thread.thread().id() })
    }

    pub(super) fn capacity(&self) -> usize {
        self.shared.capacity
    }

    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn write_errors(&self) -> u64 {
        self.shared.write_errors.load(Ordering::Relaxed)
    }

    pub(super) async fn written(&self) {
        self.shared.wait(self.shared.everything_so_far()).await;
    }

    pub(super) fn reopen(&self) {
        self.shared.reopen();
    }

    pub(super) fn flush_blocking(&self, limit: Duration) -> bool {
        self.shared.wait_blocking(self.shared.everything_so_far(), limit)
    }

    pub(super) async fn shutdown(&self) {
        self.shared.close();
        self.shared.wait(Until::Ended).await;
    }

    pub(super) fn shutdown_blocking(&self, limit: Duration) -> bool {
        self.shared.close();
        self.shared.wait_blocking(Until::Ended, limit)
    }
}

impl Drain for Queue {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        self.shared.offer(record, values);
        Ok(())
    }

    /// Waits up to 5 seconds for the records logged before.
    fn flush(&self) -> Result<(), slog::FlushError> {
        // The writing thread cannot wait for itself.
        if thread::current().id() != self.worker && self.flush_blocking(FLUSH_WAIT) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::TimedOut).into())
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // A writer of the application's may own the last handle. The worker then drops it, and cannot wait for itself.
        if thread::current().id() != self.worker {
            self.shutdown_blocking(DROP_WAIT);
        }
    }
}

/// Marks the worker as gone when dropped, whatever ended it.
struct End(Arc<QueueShared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| progress.ended = true);
        self.0.lock().closed = true;
        self.0.blocked.notify_all();
    }
}

struct Worker<'a> {
    shared: &'a QueueShared,
    outputs: Vec<Output>,
    clock: Clock,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // One by one: a destructor that panics during another one's panic would abort the process.
        self.outputs.drain(..).for_each(lent::drop_caught);
    }
}

impl Worker<'_> {
    /// Opens the files, and reports the outcome unless one may block. Returns whether the log starts.
    fn open_files(&self, opened: SyncSender<Result<(), LogError>>) -> bool {
        let files = || self.outputs.iter();
        if files().any(|output| output.with_file(|file| file.may_block()).unwrap_or_default()) {
            let _ = opened.send(Ok(()));
        }
        for output in files() {
            let failure = output.with_file(|file| {
                let failed = file.open().err();
                failed.map(|source| LogError::File { path: file.path().to_owned(), source })
            });
            // The receiver is gone where opening took too long; the first record tries again, and its failure counts.
            if let Some(Some(failure)) = failure
                && opened.try_send(Err(failure)).is_ok()
            {
                return false;
            }
        }
        let _ = opened.try_send(Ok(()));
        true
    }

    fn run(mut self) {
        loop {
            let lines = match self.shared.next() {
                Step::Reopen => {
                    for output in &self.outputs {
                        output.with_file(LogFile::reopen);
                    }
                    0
                }
                Step::Write(Entry { lost_before, unix_ms, record, .. }) => {
                    self.clock.set(unix_ms);
                    if lost_before > 0 {
                        self.report(lost_before);
                    }
                    record.as_record_values(|record, values| self.write(record, values));
                    1 + u64::from(lost_before > 0)
                }
                Step::Report(lost) => {
                    self.clock.set(chrono::Utc::now().timestamp_millis());
                    self.report(lost);
                    1
                }
                Step::End => return,
            };
            self.shared.progress.send_modify(|progress| progress.written += lines);
        }
    }

    fn report(&mut self, lost: u64) {
        let capacity = self.shared.capacity;
        self.write(
            &slog::record!(
                Level::Warning,
                "",
                &format_args!("{lost} log records were dropped here, the queue was full"),
                slog::b!("dropped" => lost, "queue" => capacity)
            ),
            &slog::o!().into(),
        );
    }

    fn write(&mut self, record: &Record<'_>, values: &OwnedKVList) {
        let mut failures = Vec::new();
        let mut notices = Vec::new();
        for output in &mut self.outputs {
            match output.write(record, values) {
                WriteOutcome::Whole => {}
                WriteOutcome::FailsStill => {
                    self.shared.write_errors.fetch_add(1, Ordering::Relaxed);
                }
                WriteOutcome::FailsNow(failure) => {
                    self.shared.write_errors.fetch_add(1, Ordering::Relaxed);
                    failures.push((output.name().to_owned(), failure));
                }
            }
            let notice = output.with_file(LogFile::notice).flatten();
            notices.extend(notice.map(|notice| (output.name().to_owned(), notice)));
        }
        for (name, failure) in failures {
            self.tell(Level::Error, "the log cannot be written", &name, &failure);
        }
        for (name, notice) in notices {
            self.tell(Level::Warning, "the log file is not what it should be", &name, &notice);
        }
    }

    /// Reports the failure of one output on the others.
    fn tell(&self, level: Level, what: &str, name: &str, why: &str) {
        for output in self.outputs.iter().filter(|output| !output.is_failing()) {
            // If this one fails as well, its own next record reports it.
            let values = slog::o!().into();
            let message = format_args!("{what}");
            let _ = match level {
                Level::Error => output
                    .put(&slog::record!(Level::Error, "", &message, slog::b!("to" => name, "error" => why)), &values),
                _ => output
                    .put(&slog::record!(Level::Warning, "", &message, slog::b!("to" => name, "why" => why)), &values),
            };
        }
    }
}
