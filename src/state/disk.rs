//! Work on an account's files: off the thread, one piece at a time, and with a limit of time for whoever waits for it.

use std::{sync::Arc, time::Duration};

use actix_rt::time::timeout;
use tokio::sync::Semaphore;

use crate::threads;

/// The place for the one piece of work on an account's files that is under way.
///
/// A disk that does not answer holds one thread for each account that has files on it, however often those are tried, and
/// the accounts whose files are elsewhere go on.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Semaphore>);

/// Why a piece of work is not known to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskError {
    /// It, or what came before it, has not ended in this time; it may yet.
    Stuck(Duration),
    /// No thread could be started for it, or it panicked.
    Undone,
}

impl Default for Disk {
    fn default() -> Self {
        Disk(Arc::new(Semaphore::new(1)))
    }
}

impl Disk {
    /// How long work may take, with the wait for what came before it.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// Has work done on one of the threads for files. Once begun it goes on when the answer is waited for no more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, DiskError> {
        let place = Arc::clone(&self.0);
        let done = async {
            let turn = place.acquire_owned().await.map_err(|_| DiskError::Undone)?;
            let worked = threads::FILES.run(move || {
                let done = work();
                // Not before, even if nobody waits any more.
                drop(turn);
                Ok(done)
            });
            worked.await.map_err(|_| DiskError::Undone)
        };
        timeout(Self::PATIENCE, done).await.unwrap_or(Err(DiskError::Stuck(Self::PATIENCE)))
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
        time::Duration,
    };

    use super::{Disk, DiskError};

    #[actix::test]
    async fn a_disk_that_is_stuck_is_waited_for_by_one_piece_of_work_and_costs_no_other_account() {
        let (stuck, other) = (Disk::default(), Disk::default());
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
                stuck.run(work).await
            }
        });
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // A clock that stands still does not go on by itself while a thread is at work.
        tokio::time::pause();
        let second = actix_rt::spawn({
            let (stuck, begun) = (stuck.clone(), Arc::clone(&begun));
            async move { stuck.run(move || begun.fetch_add(1, Ordering::SeqCst)).await }
        });
        tokio::task::yield_now().await;
        tokio::time::advance(Disk::PATIENCE + Duration::from_millis(1)).await;
        assert_eq!(first.await.unwrap(), Err(DiskError::Stuck(Disk::PATIENCE)));
        assert_eq!(second.await.unwrap(), Err(DiskError::Stuck(Disk::PATIENCE)));
        assert_eq!(begun.load(Ordering::SeqCst), 1, "the second one has taken no thread");
        tokio::time::resume();
        assert_eq!(other.run(|| 7).await, Ok(7));
        go.send(()).unwrap();
        assert_eq!(stuck.run(|| 8).await, Ok(8), "the disk is back");
        assert_eq!(begun.load(Ordering::SeqCst), 1, "and nothing is done that nobody waits for");
    }

    #[actix::test]
    async fn work_that_panics_leaves_its_place() {
        let disk = Disk::default();
        assert_eq!(disk.run(|| panic!("on purpose")).await.map(|(): ()| ()), Err(DiskError::Undone));
        assert_eq!(disk.run(|| 1).await, Ok(1));
    }
}
