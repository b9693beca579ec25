//! Own threads for work that may block for ever: name look-ups and files.
//!
//! The runtime's blocking threads are the application's too: there are 512 of them, and a process waits for them at its
//! end. Work that hangs here holds up neither.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

use crate::util::{impls::impl_debug, lock};

/// Time that an idle thread waits for more work before it ends.
const LINGER: Duration = Duration::from_secs(2);

/// Error text for an answer that does not come.
const UNDONE: &str = "no thread could be started for it, or it panicked";

/// The stack of a thread, in bytes: for the system's resolver and the modules it loads.
const STACK: usize = 512 * 1024;

/// Threads for files of accounts, uploads and downloads: 16 that make progress, and one more for each job that has hung
/// for over a second. An account or transfer has at most one job here.
pub(crate) static FILES: Threads = Threads::new("agora-files", 16, Duration::from_secs(1));

/// A pool of threads that grows with its work and ends after it.
#[derive(Debug)]
pub(crate) struct Threads {
    name: &'static str,
    /// Most jobs at once, not counting those that hang.
    most: usize,
    /// Time after which a job counts as hanging.
    patience: Duration,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Job>,
    /// Start times of the jobs under way.
    busy: BTreeMap<u64, Instant>,
    begun: u64,
    /// Number of threads that wait for work.
    idle: usize,
}

/// One job.
pub(crate) struct Job {
    /// Returns whether somebody still waits for it.
    pub(crate) wanted: Box<dyn Fn() -> bool + Send>,
    pub(crate) work: Box<dyn FnOnce() + Send>,
}

impl Job {
    /// Makes a job whose answer is waited for; it is skipped once nobody waits.
    fn answered<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Self, oneshot::Receiver<T>) {
        let (sender, answer) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let wanted = {
            let sender = Arc::clone(&sender);
            move || lock(&sender).as_ref().is_some_and(|sender| !sender.is_closed())
        };
        let work = move || {
            let done = work();
            if let Some(sender) = lock(&sender).take() {
                // The receiver may be gone.
                let _ = sender.send(done);
            }
        };
        (Job { wanted: Box::new(wanted), work: Box::new(work) }, answer)
    }

    /// Makes a job that runs in any case.
    pub(crate) fn always(work: impl FnOnce() + Send + 'static) -> Self {
        Job { wanted: Box::new(|| true), work: Box::new(work) }
    }

    /// Runs it, unless nobody waits for it any more. A panic is reported by the owner of the job; the thread goes on.
    fn done(self) {
        let _ = catch_unwind(AssertUnwindSafe(move || {
            if (self.wanted)() {
                (self.work)();
            }
        }));
    }
}

impl_debug!(|_: Job| "Job");

impl Threads {
    pub(crate) const fn new(name: &'static str, most: usize, patience: Duration) -> Self {
        let state = State { waiting: VecDeque::new(), busy: BTreeMap::new(), begun: 0, idle: 0 };
        Threads { name, most, patience, state: Mutex::new(state), news: Condvar::new() }
    }

    /// Runs this on one of the threads, unless the future is dropped before it has begun.
    ///
    /// If the future is dropped later, the work goes on, and its answer is dropped on the thread.
    pub(crate) fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + Send + 'static {
        let (job, answer) = Job::answered(work);
        self.submit(job);
        async move { answer.await.unwrap_or_else(|_| Err(io::Error::other(UNDONE))) }
    }

    /// Queues a job. It is dropped where nobody waits for it any more, or no thread can be started.
    pub(crate) fn submit(&'static self, job: Job) {
        let mut state = self.lock();
        // Abandoned jobs are dropped when the queue is long, so that they do not pile up.
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

    /// Ensures that a thread serves the queue; where none can be started at all, returns the queued jobs.
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

    /// Runs jobs until none has come for [`LINGER`].
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
                job.done();
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
                // Until the next one counts as hanging.
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

    /// Returns the number of threads.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        let state = self.lock();
        state.idle + state.busy.len()
    }
}

/// A serial queue, such as for one account's files: one job at a time, in order.
///
/// So a disk that does not answer holds one thread for each account with files on it, however often those are tried.
/// Accounts with files elsewhere go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Serial(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    busy: bool,
    waiting: VecDeque<Job>,
}

/// Reason that a job is not known to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfinished {
    /// It, or a job before it, has not ended in this time; it still may.
    #[error("the disk has not answered within {0:?}")]
    Stuck(Duration),
    /// No thread could be started for it, or it panicked.
    #[error("{UNDONE}")]
    Undone,
}

/// The serial queues in use, by folder.
static LINES: Mutex<BTreeMap<PathBuf, Weak<Mutex<Line>>>> = Mutex::new(BTreeMap::new());

impl Serial {
    /// Time limit for work that is not urgent, including the wait for the jobs before it.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// Returns the serial queue of this folder, the same for the whole process.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut lines = lock(&LINES);
        if let Some(line) = lines.get(folder).and_then(Weak::upgrade) {
            return Serial(line);
        }
        // Otherwise the table would grow with every account that ever was.
        if lines.len().is_power_of_two() {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let new = Serial::default();
        lines.insert(folder.to_owned(), Arc::downgrade(&new.0));
        new
    }

    /// Returns whether a job waits or is under way.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.0).busy
    }

    /// Runs a job within the time limit. Once begun, it goes on after the limit and keeps its place.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        let (job, answer) = Job::answered(work);
        self.submit(&FILES, job);
        match timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|_| Unfinished::Undone),
            Err(_) => Err(Unfinished::Stuck(limit)),
        }
    }

    /// Queues a job behind those that wait. It is dropped where nobody waits for it any more, or no thread can be
    /// started.
    pub(crate) fn submit(&self, threads: &'static Threads, job: Job) {
        /// Length from which the queue is searched for abandoned jobs.
        const MANY: usize = 16;

        let mut line = lock(&self.0);
        let mut unwanted = VecDeque::new();
        if line.waiting.len() >= MANY {
            (line.waiting, unwanted) = std::mem::take(&mut line.waiting).into_iter().partition(|job| (job.wanted)());
        }
        line.waiting.push_back(job);
        let is_served = std::mem::replace(&mut line.busy, true);
        drop(line);
        drop(unwanted);
        if !is_served {
            let piece = Piece { line: Arc::clone(&self.0), over: false };
            threads.submit(Job::always(move || piece.work()));
        }
    }
}

/// The job that serves a serial queue until it is empty. Where it is never begun, the waiting jobs are dropped.
struct Piece {
    line: Arc<Mutex<Line>>,
    over: bool,
}

impl Piece {
    fn work(mut self) {
        while let Some(job) = self.next() {
            job.done();
        }
    }

    fn next(&mut self) -> Option<Job> {
        let mut line = lock(&self.line);
        let next = line.waiting.pop_front();
        line.busy = next.is_some();
        self.over = next.is_none();
        next
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // After its end another one may be serving.
        if !self.over {
            let left = std::mem::take(&mut *lock(&self.line));
            drop(left);
        }
    }
}

/// Work that is always the same and finds out itself what is to be done. However often it is requested, at most one run
/// is under way and one waits.
#[derive(Clone, Debug)]
pub(crate) struct Single {
    line: Serial,
    /// True while a run waits, which will see everything that is to be done by now.
    asked: Arc<AtomicBool>,
}

impl Single {
    /// Makes work that takes its turn in a serial queue.
    pub(crate) fn on(line: Serial) -> Self {
        Single { line, asked: Arc::default() }
    }

    /// Requests a run on one of the threads. `work` must always be the same.
    pub(crate) fn run(&self, threads: &'static Threads, work: impl FnOnce() + Send + 'static) {
        /// Marks a run as waiting, until it is begun or dropped.
        struct Asked(Arc<AtomicBool>);

        impl Drop for Asked {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }

        if self.asked.swap(true, Ordering::SeqCst) {
            return;
        }
        let asked = Asked(Arc::clone(&self.asked));
        let work = move || {
            drop(asked);
            work();
        };
        self.line.submit(threads, Job::always(work));
    }
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

    use super::{LINGER, Serial, Single, Threads, Unfinished};

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
        let (threads, single) = (threads(4), Single::on(Serial::default()));
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

    #[actix::test]
    async fn a_disk_that_is_stuck_is_waited_for_by_one_piece_of_work_and_costs_no_other_account() {
        let (stuck, other) = (Serial::default(), Serial::default());
        let begun = Arc::new(AtomicUsize::new(0));
        let (go, gone) = mpsc::channel::<()>();
        let counted = Arc::clone(&begun);
        let first = actix_rt::spawn({
            let stuck = stuck.clone();
            async move {
                let work = move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    gone.recv().is_ok()
                };
                stuck.run(Serial::PATIENCE, work).await
            }
        });
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // A paused clock does not advance by itself while a thread works.
        tokio::time::pause();
        let later: Vec<_> = (0..100)
            .map(|_| {
                let (stuck, begun) = (stuck.clone(), Arc::clone(&begun));
                actix_rt::spawn(async move {
                    stuck.run(Serial::PATIENCE, move || begun.fetch_add(1, Ordering::SeqCst)).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        tokio::time::advance(Serial::PATIENCE + Duration::from_millis(1)).await;
        assert_eq!(first.await.unwrap(), Err(Unfinished::Stuck(Serial::PATIENCE)));
        for later in later {
            assert_eq!(later.await.unwrap(), Err(Unfinished::Stuck(Serial::PATIENCE)));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1, "the others have taken no thread");
        tokio::time::resume();
        assert_eq!(other.run(Serial::PATIENCE, || 7).await, Ok(7));
        go.send(()).unwrap();
        assert_eq!(stuck.run(Serial::PATIENCE, || 8).await, Ok(8), "the disk is back");
        assert_eq!(begun.load(Ordering::SeqCst), 1, "and nothing is done that nobody waits for");
    }

    #[actix::test]
    async fn work_that_panics_leaves_its_place() {
        let line = Serial::default();
        let panicked = line.run(Serial::PATIENCE, || panic!("on purpose")).await;
        assert_eq!(panicked.map(|(): ()| ()), Err(Unfinished::Undone));
        assert_eq!(line.run(Serial::PATIENCE, || 1).await, Ok(1));
    }

    #[actix::test]
    async fn all_that_work_on_one_folder_share_one_line_and_what_nobody_has_is_forgotten() {
        let folder = std::path::Path::new("/nowhere/that/is/there");
        let (one, other) = (Serial::of(folder), Serial::of(folder));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        assert!(!Arc::ptr_eq(&one.0, &Serial::of(std::path::Path::new("/elsewhere")).0));
        for n in 0..10_000 {
            drop(Serial::of(&folder.join(n.to_string())));
        }
        let left = super::lock(&super::LINES).len();
        assert!(left < 100, "{left} lines are left");
        assert!(Arc::ptr_eq(&one.0, &Serial::of(folder).0));
    }
}
