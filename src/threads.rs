//! Threads of our own for what may block for ever: look-ups of names, and files.
//!
//! The runtime's threads for blocking work are the application's too, there are 512 of them, and a process waits for them
//! at its end. What stands still here holds up none of that.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// How long a thread waits for more work before it ends.
const LINGER: Duration = Duration::from_secs(2);

/// The stack of a thread, in bytes: for the system's resolver and the modules it loads.
const STACK: usize = 512 * 1024;

/// Files of accounts and of up- and downloads: 16 that move, and one for each that stands still for over a second. An
/// account or transfer has at most one piece of work here.
pub(crate) static FILES: Threads = Threads::new("agora-files", 16, Duration::from_secs(1));

/// A set of threads that is made as there is work, and ends after it.
#[derive(Debug)]
pub(crate) struct Threads {
    name: &'static str,
    /// How many pieces of work may be under way, without those that stand still.
    most: usize,
    /// How long a piece of work may take before it counts as one that stands still.
    patience: Duration,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Job>,
    /// When each piece of work under way began.
    busy: BTreeMap<u64, Instant>,
    begun: u64,
    /// Threads that wait for work.
    idle: usize,
}

/// A piece of work.
pub(crate) struct Job {
    /// Whether somebody still waits for it.
    pub(crate) wanted: Box<dyn Fn() -> bool + Send>,
    pub(crate) work: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Threads {
    pub(crate) const fn new(name: &'static str, most: usize, patience: Duration) -> Self {
        let state = State { waiting: VecDeque::new(), busy: BTreeMap::new(), begun: 0, idle: 0 };
        Threads { name, most, patience, state: Mutex::new(state), news: Condvar::new() }
    }

    /// Does this on one of the threads, unless the future is dropped before it has begun.
    ///
    /// Where the future is dropped later the work goes on, and its answer is dropped on the thread.
    pub(crate) fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + Send + 'static {
        let (sender, answer) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let wanted = {
            let sender = Arc::clone(&sender);
            move || lock(&sender).as_ref().is_some_and(|sender| !sender.is_closed())
        };
        let work = move || {
            let done = work();
            if let Some(sender) = lock(&sender).take() {
                // Nobody may wait any more.
                let _ = sender.send(done);
            }
        };
        self.submit(Job { wanted: Box::new(wanted), work: Box::new(work) });
        async move {
            answer.await.unwrap_or_else(|_| Err(io::Error::other("no thread could be started for it, or it panicked")))
        }
    }

    /// Has a piece of work done, or drops it: where nobody wants it any more, or no thread can be made.
    pub(crate) fn submit(&'static self, job: Job) {
        let mut state = self.lock();
        // Work that nobody wants goes when there is more to come, so that what is given up does not pile up.
        let unwanted: Vec<_> = if state.waiting.len() < self.most {
            Vec::new()
        } else {
            let (wanted, unwanted) = std::mem::take(&mut state.waiting).into_iter().partition(|job| (job.wanted)());
            state.waiting = wanted;
            Vec::from(unwanted)
        };
        state.waiting.push_back(job);
        let stranded = self.attended(&mut state);
        drop(state);
        drop((unwanted, stranded));
    }

    /// Sees to it that a thread waits while work does; where there is none at all, gives the work back.
    fn attended(&'static self, state: &mut State) -> VecDeque<Job> {
        if state.waiting.is_empty() {
            return VecDeque::new();
        }
        if state.idle > 0 {
            self.news.notify_one();
            return VecDeque::new();
        }
        let started =
            thread::Builder::new().name(self.name.to_owned()).stack_size(STACK).spawn(move || self.attend()).is_ok();
        if started {
            state.idle += 1;
        } else if state.busy.is_empty() {
            return std::mem::take(&mut state.waiting);
        }
        VecDeque::new()
    }

    /// Works for as long as there is something to do, and a moment longer.
    fn attend(&'static self) {
        let mut state = self.lock();
        let mut waited = Duration::ZERO;
        loop {
            let now = Instant::now();
            let moving = || state.busy.values().map(|begun| now.saturating_duration_since(*begun));
            let moving: Vec<_> = moving().filter(|age| *age < self.patience).collect();
            if moving.len() < self.most
                && let Some(job) = state.waiting.pop_front()
            {
                state.idle -= 1;
                let number = state.begun;
                state.begun += 1;
                state.busy.insert(number, now);
                let stranded = self.attended(&mut state);
                drop(state);
                drop(stranded);
                // What is lent is told by whoever lent it; the thread goes on.
                let _ = catch_unwind(AssertUnwindSafe(move || {
                    if (job.wanted)() {
                        (job.work)();
                    }
                }));
                waited = Duration::ZERO;
                state = self.lock();
                state.busy.remove(&number);
                state.idle += 1;
                continue;
            }
            let pause = if state.waiting.is_empty() {
                if waited >= LINGER {
                    state.idle -= 1;
                    return;
                }
                LINGER
            } else {
                // Until the next one counts as one that stands still.
                let oldest = moving.into_iter().max().unwrap_or_default();
                self.patience.saturating_sub(oldest).max(Duration::from_millis(1))
            };
            let waiting = Instant::now();
            state = self.news.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
            waited += waiting.elapsed();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// How many threads there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        let state = self.lock();
        state.idle + state.busy.len()
    }
}

/// Work of one account or the like, of which one piece at most is under way: what is asked for meanwhile is done by one
/// more piece after it, so that a disk that stands still keeps one thread, however often it is tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Single(Arc<Mutex<Standing>>);

#[derive(Debug, Default)]
struct Standing {
    busy: bool,
    /// Whether there is something to do that the piece under way may not have seen.
    asked: bool,
}

impl Single {
    /// Does this on one of the threads. It must always be the same work: what exactly is to be done, it looks up.
    pub(crate) fn run(&self, threads: &'static Threads, mut work: impl FnMut() + Send + 'static) {
        {
            let mut standing = lock(&self.0);
            standing.asked = true;
            if std::mem::replace(&mut standing.busy, true) {
                return;
            }
        }
        let mut piece = Piece { standing: Arc::clone(&self.0), over: false };
        let work = move || {
            while piece.goes_on() {
                work();
            }
        };
        threads.submit(Job { wanted: Box::new(|| true), work: Box::new(work) });
    }
}

/// Work under way; it is over at its end, also where it panics or is never begun.
struct Piece {
    standing: Arc<Mutex<Standing>>,
    over: bool,
}

impl Piece {
    fn goes_on(&mut self) -> bool {
        let mut standing = lock(&self.standing);
        standing.busy = std::mem::take(&mut standing.asked);
        self.over = !standing.busy;
        standing.busy
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // After its end another piece may be under way.
        if !self.over {
            *lock(&self.standing) = Standing::default();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::{Duration, Instant},
    };

    use super::{LINGER, Single, Threads};

    const PATIENCE: Duration = Duration::from_millis(100);

    fn threads(most: usize) -> &'static Threads {
        Box::leak(Box::new(Threads::new("test", most, PATIENCE)))
    }

    fn blocked(threads: &'static Threads, count: usize) -> Vec<(mpsc::Sender<()>, tokio::task::JoinHandle<()>)> {
        let begin = |_| {
            let (let_go, held) = mpsc::channel::<()>();
            let running = threads.run(move || {
                let _ = held.recv();
                Ok(())
            });
            (let_go, tokio::spawn(async move { running.await.unwrap() }))
        };
        (0..count).map(begin).collect()
    }

    #[tokio::test]
    async fn work_that_stands_still_holds_nobody_up_for_longer_than_the_patience_with_it() {
        let threads = threads(3);
        let stuck = blocked(threads, 20);
        let begun = Instant::now();
        assert_eq!(threads.run(|| Ok(7)).await.unwrap(), 7);
        // Twenty, three at a time.
        assert!(begun.elapsed() < 7 * 3 * PATIENCE, "{:?}", begun.elapsed());
        assert!(threads.count() <= 22, "{} threads", threads.count());
        for (let_go, done) in stuck {
            drop(let_go);
            done.await.unwrap();
        }
    }

    #[tokio::test]
    async fn so_many_work_at_once_and_they_end_when_there_is_nothing_to_do() {
        let threads = threads(3);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work: Vec<_> = (0..30)
            .map(|_| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                threads.run(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
            })
            .collect();
        for done in work {
            done.await.unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= 3);
        assert!(threads.count() <= 4, "{} threads", threads.count());
        let begun = Instant::now();
        while threads.count() > 0 {
            assert!(begun.elapsed() < 5 * LINGER, "{} threads are left", threads.count());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn work_given_up_before_it_began_is_never_done_and_does_not_pile_up() {
        let threads: &'static Threads = Box::leak(Box::new(Threads::new("test", 1, Duration::MAX)));
        let stuck = blocked(threads, 1);
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            drop(threads.run(move || {
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }));
            assert!(threads.lock().waiting.len() <= 2);
        }
        let last = threads.run(|| Ok(()));
        drop(stuck);
        last.await.unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn of_single_work_one_piece_is_under_way_and_nothing_asked_for_is_left_undone() {
        let (threads, single) = (threads(4), Single::default());
        let (asked, seen, running) = (Arc::new(AtomicUsize::new(0)), Arc::default(), Arc::new(AtomicUsize::new(0)));
        let work = |seen: &Arc<AtomicUsize>| {
            let (asked, seen, running) = (Arc::clone(&asked), Arc::clone(seen), Arc::clone(&running));
            move || {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one piece at once");
                seen.store(asked.load(Ordering::SeqCst), Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
            }
        };
        for n in 1..=10_000 {
            asked.store(n, Ordering::SeqCst);
            single.run(threads, work(&seen));
        }
        // Work that panics is over as well.
        single.run(threads, || panic!("on purpose"));
        let begun = Instant::now();
        while seen.load(Ordering::SeqCst) < 10_001 {
            assert!(begun.elapsed() < 100 * PATIENCE);
            asked.store(10_001, Ordering::SeqCst);
            single.run(threads, work(&seen));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(threads.count() <= 5);
    }

    #[tokio::test]
    async fn work_that_panics_fails_and_its_thread_goes_on() {
        let threads = threads(1);
        assert!(threads.run::<()>(|| panic!("on purpose")).await.is_err());
        assert_eq!(threads.run(|| Ok(1)).await.unwrap(), 1);
        assert!(threads.count() <= 2);
    }
}
