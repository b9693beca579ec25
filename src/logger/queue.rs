//! The bounded queue between the callers and the thread that writes.
//!
//! slog-async serialises the records; the queue is ours because slog-async's own neither counts what it drops where
//! that can be read, nor can it be flushed without ending it, and takes a dead worker for a full queue.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use slog::{Drain, Level, Never, OwnedKVList, Record};
use slog_async::AsyncRecord;
use tokio::sync::watch;

use super::line::{Clock, Output};

/// How long dropping the queue waits for what is in it.
const DROP_WAIT: Duration = Duration::from_secs(1);

struct Entry {
    /// How many records were dropped just before this one.
    lost_before: u64,
    unix_ms: i64,
    record: AsyncRecord,
}

/// What the callers and the worker share under one lock.
///
/// Lines are numbered in the order in which they are to be written; a report of dropped records is a line like any
/// other. So "all that was logged before now" is a number, and flushing is waiting for `written` to reach it.
#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
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
struct Progress {
    /// Lines written so far.
    written: u64,
    /// Whether the worker is gone, its outputs closed.
    ended: bool,
}

struct Shared {
    capacity: usize,
    state: Mutex<State>,
    /// Wakes the worker.
    work: Condvar,
    /// Wakes those who wait without a runtime; guarded by `state`.
    blocked: Condvar,
    /// Wakes those who wait in async code. Changed by the worker alone, which then locks `state` before it wakes `blocked`.
    progress: watch::Sender<Progress>,
    dropped: AtomicU64,
    write_errors: AtomicU64,
}

// A panic cannot leave the state half changed: nothing that can panic runs while it is locked.
impl RefUnwindSafe for Shared {}

/// Until when to wait.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    /// The line of this number is written, or never will be.
    Written(u64),
    /// The worker is gone.
    Ended,
}

impl Until {
    fn reached(self, progress: &Progress) -> bool {
        progress.ended || matches!(self, Until::Written(line) if progress.written >= line)
    }
}

enum Step {
    Write(Entry),
    Report(u64),
    End,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, record: &Record<'_>, values: &OwnedKVList) {
        let unix_ms = chrono::Utc::now().timestamp_millis();
        let record = AsyncRecord::from(record, values);
        let mut state = self.lock();
        if state.closed {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if state.entries.len() >= self.capacity {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            if state.lost == 0 {
                state.owed += 1;
            }
            state.lost += 1;
            return;
        }
        let lost_before = std::mem::take(&mut state.lost);
        state.owed += 1;
        state.entries.push_back(Entry { lost_before, unix_ms, record });
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
            if let Some(entry) = state.entries.pop_front() {
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
        let pending = |_: &mut State| !until.reached(&self.progress.borrow());
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
    shared: Arc<Shared>,
    worker: ThreadId,
}

impl Queue {
    /// Starts the thread that writes. `capacity` is a number of records, besides the one being written.
    pub(super) fn start(capacity: usize, outputs: Vec<Output>, clock: Clock) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            capacity,
            state: Mutex::default(),
            work: Condvar::new(),
            blocked: Condvar::new(),
            progress: watch::Sender::new(Progress::default()),
            dropped: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
        });
        let end = End(Arc::clone(&shared));
        let thread = thread::Builder::new().name("agora-chat-log".to_owned()).spawn(move || {
            // Declared before the worker, and so dropped after it and its outputs.
            let end = end;
            Worker { shared: &end.0, outputs, clock }.run();
        })?;
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
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| progress.ended = true);
        self.0.lock().closed = true;
        self.0.blocked.notify_all();
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    outputs: Vec<Output>,
    clock: Clock,
}

impl Worker<'_> {
    fn run(mut self) {
        loop {
            let lines = match self.shared.next() {
                Step::Write(Entry { lost_before, unix_ms, record }) => {
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
        for output in &mut self.outputs {
            let failure = match catch_unwind(AssertUnwindSafe(|| output.write(record, values))) {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the writer panicked".to_owned()),
            };
            if failure.is_some() {
                self.shared.write_errors.fetch_add(1, Ordering::Relaxed);
            }
            let was_failing = std::mem::replace(&mut output.failing, failure.is_some());
            failures.extend(failure.filter(|_| !was_failing).map(|failure| (output.name().to_owned(), failure)));
        }
        for (name, failure) in failures {
            self.tell_others(&name, &failure);
        }
    }

    /// Says on the outputs that work that another one began to fail.
    fn tell_others(&self, name: &str, failure: &str) {
        for output in self.outputs.iter().filter(|output| !output.failing) {
            // Should this one fail as well, its own next record says so.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                output.write(
                    &slog::record!(
                        Level::Error,
                        "",
                        &format_args!("the log cannot be written"),
                        slog::b!("to" => name, "error" => failure)
                    ),
                    &slog::o!().into(),
                )
            }));
        }
    }
}
