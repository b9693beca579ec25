//! One page on its way through the handler.

use std::{cell::Cell, rc::Rc, sync::Arc};

use slog::{Logger, debug, warn};

use super::{Account, Cursor, CursorStore, DeadLetter, Delivery, Slot, cursor};
use crate::session::{Page, PageEvent};

/// How far a page is, for whoever may want to end it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Rc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    calling: Cell<bool>,
    stopped: Cell<bool>,
}

impl Progress {
    /// Lets nothing more begin; whether a call is under way, which ends by itself.
    pub(crate) fn stop(&self) -> bool {
        self.0.stopped.set(true);
        self.0.calling.get()
    }
}

/// How many messages are handled before other work of the thread has its turn.
const AT_A_STRETCH: usize = 32;

/// What handling a page takes.
pub(crate) struct PageTask {
    pub(crate) slot: Arc<Slot>,
    pub(crate) store: Option<Arc<dyn CursorStore>>,
    pub(crate) account: Account,
    pub(crate) log: Logger,
    pub(crate) progress: Progress,
}

impl PageTask {
    /// Has every event of a page handled, then keeps its key; `false` where it was stopped before the end.
    pub(crate) async fn run(&self, page: Page) -> bool {
        for (n, event) in page.events.into_iter().enumerate() {
            if !self.handle(event).await {
                return false;
            }
            // A handler that never waits must not hold the thread for a whole page.
            if n % AT_A_STRETCH == AT_A_STRETCH - 1 {
                tokio::task::yield_now().await;
            }
        }
        if let (Some(store), Some(key)) = (&self.store, page.key) {
            cursor::save(&**store, &self.account, Cursor::new(page.queue, key), &self.log).await;
        }
        !self.progress.0.stopped.get()
    }

    async fn handle(&self, PageEvent { event, bytes }: PageEvent) -> bool {
        let flags = &self.progress.0;
        // A handler that is replaced keeps what it has begun.
        let handler = self.slot.get().filter(|handler| handler.wanted().contains(event.kind().mask()));
        let Some(handler) = handler else { return !flags.stopped.get() };
        let mut attempt = 1;
        loop {
            if flags.stopped.get() {
                return false;
            }
            flags.calling.set(true);
            let answer = handler.offer(Delivery::new(event.clone(), attempt)).await;
            flags.calling.set(false);
            let Err(error) = answer else { return true };
            if flags.stopped.get() {
                return false;
            }
            if attempt >= handler.limit() {
                warn!(self.log, "a message could not be handled"; "attempts" => attempt, "error" => %error,
                    "kept" => handler.letters().is_some());
                if let Some(letters) = handler.letters() {
                    letters.push(DeadLetter::new(event, error, attempt, bytes));
                }
                return true;
            }
            let pause = handler.pause_after(attempt);
            debug!(self.log, "a message could not be handled, trying again"; "attempt" => attempt,
                "pause" => ?pause, "error" => %error);
            actix_rt::time::sleep(pause).await;
            attempt += 1;
        }
    }
}
