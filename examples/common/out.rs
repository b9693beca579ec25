//! Standard output, written by a thread of its own, so that a reader who stands still holds up nothing else.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

/// How many bytes of lines that nobody waits for may be queued; what comes past it is left out and counted.
pub(crate) const LIMIT: usize = 1 << 20;

/// Standard output; clones write to the same queue, line after line.
#[derive(Clone)]
pub(crate) struct Out(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    /// Whether nobody can read what is written any more.
    gone: watch::Sender<bool>,
    /// Whether so much is queued that nothing should be begun that is answered here.
    behind: watch::Sender<bool>,
    /// The line that says how many others were left out.
    missed: fn(u64) -> String,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Line>,
    /// Of the lines that nobody waits for.
    bytes: usize,
    missed: u64,
    gone: bool,
}

struct Line {
    text: String,
    /// Who waits until it is written; `None` where nobody does.
    waits: Option<oneshot::Sender<()>>,
}

/// Nobody reads standard output any more, or it cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("standard output is gone")
    }
}

impl Out {
    /// Starts the thread that writes, and where the system can tell it one that watches for the reader's end.
    pub(crate) fn start(missed: fn(u64) -> String) -> io::Result<Self> {
        let (queue, more) = (Mutex::default(), Condvar::new());
        let (gone, behind) = (watch::Sender::new(false), watch::Sender::new(false));
        let out = Out(Arc::new(Shared { queue, more, gone, behind, missed }));
        let (writer, mut to) = (Arc::clone(&out.0), stdout()?);
        thread::Builder::new().name("stdout".to_owned()).spawn(move || writer.write(&mut to))?;
        #[cfg(unix)]
        {
            let watcher = Arc::clone(&out.0);
            thread::Builder::new().name("stdout-reader".to_owned()).spawn(move || watcher.watch_reader())?;
        }
        Ok(out)
    }

    /// Queues a line that nobody waits for; past [`LIMIT`] it is counted instead.
    pub(crate) fn tell(&self, text: String) {
        let mut queue = self.0.queue();
        if queue.gone {
            return;
        }
        if queue.bytes > 0 && queue.bytes + text.len() > LIMIT {
            queue.missed += 1;
            return;
        }
        if queue.missed > 0 {
            let missed = std::mem::take(&mut queue.missed);
            queue.push((self.0.missed)(missed), None);
        }
        queue.push(text, None);
        self.0.weigh(&queue);
        self.0.more.notify_one();
    }

    /// Writes a line and returns once that is done; one that is given up before its turn is not written.
    pub(crate) async fn written(&self, text: String) -> Result<(), Gone> {
        let (waits, written) = oneshot::channel();
        {
            let mut queue = self.0.queue();
            if queue.gone {
                return Err(Gone);
            }
            queue.push(text, Some(waits));
        }
        self.0.more.notify_one();
        written.await.map_err(|_| Gone)
    }

    /// Whether so much is queued that nothing should be begun that is answered here.
    pub(crate) fn is_behind(&self) -> bool {
        *self.0.behind.borrow()
    }

    /// Returns once that is not so.
    pub(crate) async fn has_room(&self) {
        let mut behind = self.0.behind.subscribe();
        // The sender lives as long as `self`.
        let _ = behind.wait_for(|behind| !behind).await;
    }

    /// Returns once nobody reads standard output any more.
    pub(crate) async fn gone(&self) {
        let mut gone = self.0.gone.subscribe();
        // The sender lives as long as `self`.
        let _ = gone.wait_for(|gone| *gone).await;
    }

    /// Lets what is queued go out, for at most so long.
    pub(crate) async fn finish(&self, limit: Duration) {
        let _reader_stands_still = timeout(limit, self.written(String::new())).await;
    }
}

impl Queue {
    fn push(&mut self, text: String, waits: Option<oneshot::Sender<()>>) {
        if waits.is_none() {
            self.bytes += text.len();
        }
        self.lines.push_back(Line { text, waits });
    }

    fn pop(&mut self, missed: fn(u64) -> String) -> Option<Line> {
        if self.lines.is_empty() && self.missed > 0 {
            let missed = missed(std::mem::take(&mut self.missed));
            self.push(missed, None);
        }
        let line = self.lines.pop_front()?;
        if line.waits.is_none() {
            self.bytes -= line.text.len();
        }
        Some(line)
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn weigh(&self, queue: &Queue) {
        let behind = queue.bytes > LIMIT / 2;
        self.behind.send_if_modified(|was| std::mem::replace(was, behind) != behind);
    }

    fn next(&self) -> Option<Line> {
        let mut queue = self.queue();
        loop {
            if queue.gone {
                return None;
            }
            if let Some(line) = queue.pop(self.missed) {
                self.weigh(&queue);
                return Some(line);
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&self, to: &mut impl Write) {
        while let Some(Line { mut text, waits }) = self.next() {
            if waits.as_ref().is_some_and(oneshot::Sender::is_closed) {
                continue;
            }
            if !text.is_empty() {
                text.push('\n');
                if write_all(to, text.as_bytes()).is_err() {
                    return self.end();
                }
            }
            if let Some(waits) = waits {
                let _given_up = waits.send(());
            }
        }
    }

    /// Nothing can be written any more: whoever waits hears of it by their dropped places.
    fn end(&self) {
        let mut queue = self.queue();
        queue.gone = true;
        queue.lines.clear();
        queue.bytes = 0;
        self.weigh(&queue);
        drop(queue);
        self.more.notify_all();
        self.gone.send_replace(true);
    }

    /// A pipe tells its writer that nobody reads it, also where nothing is written.
    #[cfg(unix)]
    fn watch_reader(&self) {
        use nix::{
            errno::Errno,
            poll::{PollFd, PollFlags, PollTimeout, poll},
        };
        use std::os::fd::AsFd as _;
        let stdout = io::stdout();
        let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        loop {
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) => return self.end(),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                // It will show when something is written.
                Err(_) => return,
            }
        }
    }
}

/// Without the buffer of [`io::Stdout`], which would be written once more at the end.
#[cfg(unix)]
fn stdout() -> io::Result<impl Write> {
    use std::os::fd::AsFd as _;
    Ok(std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(not(unix))]
fn stdout() -> io::Result<impl Write> {
    Ok(io::stdout())
}

/// Writes also where somebody else has made the output non-blocking.
fn write_all(to: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    /// Until it is tried again.
    const PAUSE: Duration = Duration::from_millis(10);
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    to.flush()
}
