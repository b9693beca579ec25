//! The bounded queue between the callers and the thread that writes.
//!
//! slog-async serialises the records; the queue is ours because slog-async's own neither counts what it drops where
//! that can be read, nor can it be flushed without ending it, and takes a dead worker for a full queue.

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
use crate::util::lent;

/// How long dropping the queue waits for what is in it.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// How long a start waits to hear whether the log file can be opened; after that it is opened when it can be.
const OPEN_WAIT: Duration = Duration::from_secs(1);

/// How long `slog::Logger::flush` holds its thread at most.
const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// What a record takes beside its texts, in bytes: its place in the queue, its values' boxes and their links.
const RECORD_BYTES: usize = 256;
const VALUE_BYTES: usize = 64;

struct Entry {
    /// How many records were dropped just before this one.
    lost_before: u64,
    /// The memory that it takes.
    bytes: usize,
    unix_ms: i64,
    record: AsyncRecord,
}

/// The memory that a record takes while it waits; pairs of its logger are shared and cost it nothing.
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
        // Neither can fail: the texts are there, and this only counts them.
        let _ = weight.write_fmt(*record.msg());
        let _ = slog::KV::serialize(&record.kv(), record, &mut weight);
    });
    weight.0
}

/// What the callers and the worker share under one lock.
///
/// Lines are numbered in the order in which they are to be written; a report of dropped records is a line like any
/// other. So "all that was logged before now" is a number, and flushing is waiting for `written` to reach it.
#[derive(Default)]
struct QueueState {
    entries: VecDeque<Entry>,
    /// The memory that the entries take.
    bytes: usize,
    /// Whether the log file is to be opened anew before the next record.
    reopen: bool,
    /// Dropped since the last entry, and not reported yet.
    lost: u64,
    /// Lines owed so far.
    owed: u64,
    /// Takes no more records.
    closed: bool,
    /// The worker sleeps and has not been woken yet. A condition variable costs a system call even when nobody waits,
    /// so it is left alone unless this, or `waiters`, says otherwise.
    idle: bool,
    /// How many threads wait on `Shared::blocked`.
    waiters: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct WriteProgress {
    /// Lines written so far.
    written: u64,
    /// Whether the worker is gone, its outputs closed.
    ended: bool,
}

struct QueueShared {
    capacity: usize,
    /// How many bytes of memory may wait; a record larger than this passes only an empty queue.
    max_bytes: usize,
    state: Mutex<QueueState>,
    /// Wakes the worker.
    work: Condvar,
    /// Wakes those who wait without a runtime; guarded by `state`.
    blocked: Condvar,
    /// Wakes those who wait in async code. Changed by the worker alone, which then locks `state` before it wakes `blocked`.
    progress: watch::Sender<WriteProgress>,
    dropped: AtomicU64,
    write_errors: AtomicU64,
}

// A panic cannot leave the state half changed: nothing that can panic runs while it is locked.
impl RefUnwindSafe for QueueShared {}

/// Until when to wait.
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, record: &Record<'_>, values: &OwnedKVList) {
        let unix_ms = chrono::Utc::now().timestamp_millis();
        // A value of the caller's may fail to serialise, which slog-async takes for impossible.
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
                // The worker may be asleep: nothing else would wake it to report this.
                let wake = std::mem::take(&mut state.idle);
                drop(state);
                // What a record holds is the caller's, and dropped by the caller without the lock.
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

    /// Waits for the worker's next step, the one before being done.
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
        // An error would mean that the sender is gone; it is a field of `self`.
        let _ = self.progress.subscribe().wait_for(|progress| until.reached(progress)).await;
    }

    /// Whether it was reached in time.
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
/// Dropping it closes the queue, and waits up to a second for what is in it.
pub(super) struct Queue {
    shared: Arc<QueueShared>,
    worker: ThreadId,
}

impl Queue {
    /// Starts the thread that writes. At most `capacity` records of `max_bytes` of memory wait, besides the one being
    /// written.
    ///
    /// The files are opened by that thread, since a pipe without a reader or a hung disk may hold it. What is known
    /// within a second decides the start.
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

    /// Waits up to five seconds for what was logged before.
    fn flush(&self) -> Result<(), slog::FlushError> {
        // The thread that writes cannot wait for itself.
        if thread::current().id() != self.worker && self.flush_blocking(FLUSH_WAIT) {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::TimedOut).into())
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // A writer of the application's may own the last handle; it is dropped by the worker, which cannot wait for itself.
        if thread::current().id() != self.worker {
            self.shutdown_blocking(DROP_WAIT);
        }
    }
}

/// Says that the worker is gone, however it went.
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
        // One by one: a second destructor that panics while the first one's panic unwinds would end the process.
        self.outputs.drain(..).for_each(lent::drop_caught);
    }
}

impl Worker<'_> {
    /// Opens the files, and says how it went unless one may block. Returns whether the log starts.
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
            // Nobody listens any more where opening took too long; the first record tries again and counts.
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

    /// Says on the outputs that work what has befallen one of them.
    fn tell(&self, level: Level, what: &str, name: &str, why: &str) {
        for output in self.outputs.iter().filter(|output| !output.is_failing()) {
            // Should this one fail as well, its own next record says so.
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
