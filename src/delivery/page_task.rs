//! One page on its way through the handler.

use std::{cell::Cell, future::Future, rc::Rc, sync::Arc, time::Duration};

use slog::{Logger, debug, warn};

use super::{Account, Cursor, CursorStore, DeadLetter, Delivery, MessageHandler, Slot, cursor, handler::Failed};
use crate::{
    Event,
    session::{Page, PageEvent},
};

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

/// How long at least until a letter that was not kept is given again.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

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
        // What was stopped must not write over what the next session has saved meanwhile.
        if let (Some(store), Some(key), false) = (&self.store, page.key, self.is_stopped()) {
            cursor::save(&**store, &self.account, Cursor::new(page.queue, key), &self.log).await;
        }
        !self.is_stopped()
    }

    async fn handle(&self, PageEvent { event, bytes }: PageEvent) -> bool {
        loop {
            // A handler that is replaced keeps what it has begun.
            let handler = self.slot.with_turn().filter(|(handler, _)| event.kind().is_offered_to(handler.wanted()));
            let Some((handler, turn)) = handler else { return !self.is_stopped() };
            match self.try_all(&handler, turn, &event, bytes).await {
                End::Handled => return true,
                End::Stopped => return false,
                End::Anew => {}
            }
        }
    }

    /// Has one handler try it as often as it may.
    async fn try_all(&self, handler: &MessageHandler, turn: u64, event: &Event, bytes: usize) -> End {
        let mut attempt = 1;
        loop {
            if self.is_stopped() {
                return End::Stopped;
            }
            let error = match self.call(handler.offer(Delivery::new(event.clone(), attempt))).await {
                Ok(()) => return End::Handled,
                Err(_) if self.is_stopped() => return End::Stopped,
                Err(Failed::Attempt(error)) => error,
                Err(Failed::NobodyThere) => {
                    if self.slot.is_news(turn) {
                        warn!(
                            self.log,
                            "the actor that handles messages has ended; \
                            they wait unacknowledged until another handler is set"
                        );
                    }
                    self.slot.changed(turn).await;
                    return End::Anew;
                }
            };
            if attempt >= handler.limit() {
                warn!(self.log, "a message could not be handled"; "attempts" => attempt, "error" => %error);
                return self.bury(handler, turn, &DeadLetter::new(event.clone(), error, attempt, bytes)).await;
            }
            let pause = handler.pause_after(attempt);
            debug!(self.log, "a message could not be handled, trying again"; "attempt" => attempt,
                "pause" => ?pause, "error" => %error);
            actix_rt::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Has a letter kept, however long that takes.
    async fn bury(&self, handler: &MessageHandler, turn: u64, letter: &DeadLetter) -> End {
        let mut tries = 1_u32;
        loop {
            let Err(error) = self.call(handler.keep(letter)).await else { return End::Handled };
            if self.is_stopped() {
                return End::Stopped;
            }
            let pause = handler.pause_after(tries).max(LEAST_PAUSE);
            if tries == 1 {
                warn!(self.log, "a dead letter is not kept, trying again"; "pause" => ?pause, "error" => %error);
            } else {
                debug!(self.log, "a dead letter is not kept, trying again"; "pause" => ?pause, "error" => %error);
            }
            if actix_rt::time::timeout(pause, self.slot.changed(turn)).await.is_ok() {
                return End::Anew;
            }
            tries = tries.saturating_add(1);
        }
    }

    /// A call of the application's code, which is left to end by itself.
    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.progress.0.calling.set(true);
        let answer = call.await;
        self.progress.0.calling.set(false);
        answer
    }

    fn is_stopped(&self) -> bool {
        self.progress.0.stopped.get()
    }
}

/// What becomes of an event that a handler has begun with.
enum End {
    Handled,
    Stopped,
    /// Another handler has its turn.
    Anew,
}
