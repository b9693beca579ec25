//! Guards for code that the application lends: its panics are caught.

use std::{
    io::{self, Write as _},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use slog::{Drain, FlushError, Level, Logger, Never, OwnedKVList, Record};

/// Calls lent code; `None` where it panicked.
///
/// State that the closure left half-done is the application's own, or is not used again.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // The payload may panic in its own destructor. A second payload, if any, is leaked.
            if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                mem::forget(thrown);
            }
            None
        }
    }
}

/// Drops a value of the application's, whose destructor may panic.
pub(crate) fn drop_caught<T>(lent: T) {
    let _ = caught(|| drop(lent));
}

/// A lent value whose panics are caught.
pub(crate) struct Lent<T>(Option<T>);

impl<T> Lent<T> {
    pub(crate) fn new(lent: T) -> Self {
        Lent(Some(lent))
    }

    /// Uses the value. `None` where it panics: the value is dropped then, and later uses return `None` too.
    pub(crate) fn with<R>(&mut self, used: impl FnOnce(&mut T) -> R) -> Option<R> {
        let lent = self.0.as_mut()?;
        let done = caught(|| used(lent));
        if done.is_none() {
            drop_caught(self.0.take());
        }
        done
    }

    /// Returns the value itself, for a use that is guarded elsewhere.
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        drop_caught(self.0.take());
    }
}

/// Count of records that a lent logger lost by its panics; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LostRecords(Arc<AtomicU64>);

impl LostRecords {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more; returns `true` for the first.
    fn add(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) == 0
    }
}

/// Wraps the application's logger in a guard: a panic of its drain loses the record and nothing else.
pub(crate) fn guarded(logger: &Logger) -> (Logger, LostRecords) {
    let lost = LostRecords::default();
    let guard = Guard { inner: Some(logger.clone()), lost: lost.clone(), failing: Failing::default() };
    (Logger::root(guard, slog::o!()), lost)
}

struct Guard {
    /// `None` only within the destructor.
    inner: Option<Logger>,
    lost: LostRecords,
    failing: Failing,
}

/// A row of panics. A drain behind a poisoned lock panics at every record, and each panic runs the process's panic
/// hook. So a failing drain is tried only now and then.
struct Failing {
    since: Instant,
    row: AtomicU32,
    /// Time of the next try, in milliseconds from `since`.
    again: AtomicU64,
}

impl Default for Failing {
    fn default() -> Self {
        Failing { since: Instant::now(), row: AtomicU32::new(0), again: AtomicU64::new(0) }
    }
}

impl Failing {
    /// Panics in a row after which the drain gets pauses.
    const ROW: u32 = 8;
    const PAUSE: Duration = Duration::from_secs(1);

    fn pauses(&self) -> bool {
        self.row.load(Ordering::Relaxed) >= Self::ROW && self.now() < self.again.load(Ordering::Relaxed)
    }

    fn panicked(&self) {
        let _ = self.row.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |row| row.checked_add(1));
        let pause = u64::try_from(Self::PAUSE.as_millis()).unwrap_or(u64::MAX);
        self.again.store(self.now().saturating_add(pause), Ordering::Relaxed);
    }

    fn worked(&self) {
        // Usually nothing is written here, and the cache line stays shared between threads.
        if self.row.load(Ordering::Relaxed) != 0 {
            self.row.store(0, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Guard {
    fn lose(&self) {
        if self.lost.add() {
            // Reported without the logger; a failure of this does not matter.
            let _ = caught(|| {
                writeln!(
                    io::stderr(),
                    "agora-chat: the application's logger panicked, so a log record is lost; connections go on, and \
                     lost records are counted"
                )
            });
        }
    }
}

impl Drain for Guard {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let Some(inner) = &self.inner else { return Ok(()) };
        if self.failing.pauses() {
            self.lose();
            return Ok(());
        }
        // Asked first: a logger as a drain allocates for every record, enabled or not.
        let logged = caught(|| {
            if inner.is_enabled(record.level()) {
                let _ = Drain::log(inner, record, values);
                self.failing.worked();
            }
        });
        if logged.is_none() {
            self.failing.panicked();
            self.lose();
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.inner.as_ref().is_some_and(|inner| caught(|| inner.is_enabled(level)).unwrap_or(true))
    }

    fn flush(&self) -> Result<(), FlushError> {
        let flushed = self.inner.as_ref().and_then(|inner| caught(|| Drain::flush(inner)));
        flushed.unwrap_or_else(|| Err(io::Error::other("the application's logger panicked").into()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop_caught(self.inner.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use slog::{info, o};

    use super::*;

    /// Notes messages, and panics at those that ask for it.
    #[derive(Clone, Default)]
    struct Touchy(Arc<Mutex<Vec<String>>>);

    impl Drain for Touchy {
        type Ok = ();
        type Err = Never;

        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            let text = record.msg().to_string();
            assert!(!text.contains("panic"), "the drain panics, as the test asked");
            self.0.lock().unwrap().push(text);
            Ok(())
        }
    }

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload panics when it is dropped, as the test asked");
        }
    }

    #[test]
    fn a_record_that_panics_is_counted_and_the_next_is_written() {
        let touchy = Touchy::default();
        let (log, lost) = guarded(&Logger::root(touchy.clone(), o!()));
        info!(log, "one");
        info!(log, "panic");
        info!(log.new(o!("user" => "alice")), "two");
        assert_eq!(*touchy.0.lock().unwrap(), ["one", "two"]);
        assert_eq!(lost.get(), 1);
    }

    #[test]
    fn a_logger_that_panics_at_every_record_is_called_a_few_times_and_not_for_each() {
        struct Always(Arc<AtomicU64>);
        impl Drain for Always {
            type Ok = ();
            type Err = Never;

            fn log(&self, _: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
                self.0.fetch_add(1, Ordering::Relaxed);
                std::panic::panic_any(Bomb);
            }
        }
        let called = Arc::new(AtomicU64::new(0));
        let (log, lost) = guarded(&Logger::root(Always(Arc::clone(&called)), o!()));
        for _ in 0..1000 {
            info!(log, "lost");
        }
        assert_eq!(lost.get(), 1000);
        // One more for each second that this took.
        assert!((8..40).contains(&called.load(Ordering::Relaxed)));
    }

    #[test]
    fn a_panic_while_the_thread_unwinds_and_one_of_the_drains_destructor_are_caught() {
        struct LogsWhenDropped(Logger);
        impl Drop for LogsWhenDropped {
            fn drop(&mut self) {
                info!(self.0, "panic");
            }
        }
        struct Dropped(Touchy, #[allow(dead_code, reason = "dropped with the drain")] Bomb);
        impl Drain for Dropped {
            type Ok = ();
            type Err = Never;

            fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
                self.0.log(record, values)
            }
        }
        let (log, lost) = guarded(&Logger::root(Dropped(Touchy::default(), Bomb), o!()));
        assert!(
            caught(|| -> () {
                let _logs = LogsWhenDropped(log);
                panic!("the first panic, as the test asked");
            })
            .is_none()
        );
        assert_eq!(lost.get(), 1);
    }

    #[test]
    fn what_is_lent_may_panic_when_it_is_used_and_when_it_is_dropped() {
        drop(Lent::new(Bomb));
        let mut lent = Lent::new(Bomb);
        assert_eq!(lent.with(|_| 1), Some(1));
        assert_eq!(lent.with(|_| panic!("as the test asked")), None::<()>);
        assert_eq!(lent.with(|_| 2), None, "it is not used again");
    }
}
