use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_rt::time::Instant;
use slog::{Logger, debug, info, warn};

use super::{
    DeadLetter, DeadLetterError, Delivery, MessageHandler, Slot,
    dead_letter::Named,
    handler::{Failed, HandlerError},
    retries::Retries,
};
use crate::{
    model::{account::AccountKey, totals::Totals},
    session::{Page, PageEvent},
    store::{self, Cursor, CursorStore},
};

/// Progress of a page, for the one that may want to end it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageProgress(Rc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    calling: Cell<bool>,
    stopped: Cell<bool>,
}

impl PageProgress {
    /// Stops the page; returns whether a call is still under way, which ends by itself.
    pub(crate) fn stop(&self) -> bool {
        self.0.stopped.set(true);
        self.0.calling.get()
    }
}

/// Messages handled before other work of the thread has its turn.
const AT_A_STRETCH: usize = 32;

/// The shortest pause after the last of the attempts.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct PageTask {
    pub(crate) slot: Arc<Slot>,
    pub(crate) store: Option<Arc<dyn CursorStore>>,
    pub(crate) account: AccountKey,
    pub(crate) resource: Box<str>,
    pub(crate) log: Logger,
    pub(crate) totals: Option<Arc<Totals>>,
    pub(crate) progress: PageProgress,
    pub(crate) retries: Rc<RefCell<Retries>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageOutcome {
    /// Every event was handled, and the cursor is saved.
    Handled,
    /// This number of events was handled; the next is retried after a pause, or by a handler with another turn.
    Postponed { handled: usize, pause: Duration, turn: u64 },
    /// The session ended first.
    Stopped,
}

impl PageTask {
    /// Handles every event of a page, then saves its cursor.
    pub(crate) async fn run(&self, page: Page) -> PageOutcome {
        for (n, event) in page.events.iter().enumerate() {
            match self.handle(&page, event).await {
                EventOutcome::Handled => {}
                EventOutcome::Later { pause, turn } => return PageOutcome::Postponed { handled: n, pause, turn },
                EventOutcome::Stopped => return PageOutcome::Stopped,
            }
            // A handler that never waits must not hold the thread for a whole page.
            if n % AT_A_STRETCH == AT_A_STRETCH - 1 {
                tokio::task::yield_now().await;
            }
        }
        // What was stopped must not write over what the next session has saved meanwhile.
        if let (Some(store), Some(key), false) = (&self.store, page.key, self.is_stopped()) {
            crate::store::save(&**store, &self.account, Cursor::new(page.queue, key), &self.log).await;
        }
        if self.is_stopped() { PageOutcome::Stopped } else { PageOutcome::Handled }
    }

    async fn handle(&self, page: &Page, event: &PageEvent) -> EventOutcome {
        loop {
            if self.is_stopped() {
                return EventOutcome::Stopped;
            }
            let wanted = |handler: &MessageHandler| event.event.kind().is_offered_to(handler.wanted());
            let Some((handler, turn)) = self.slot.with_turn().filter(|(handler, _)| wanted(handler)) else {
                self.retries.borrow_mut().over(&page.queue);
                return EventOutcome::Handled;
            };
            let attempts = self.retries.borrow().attempts(&page.queue, event.key, turn);
            let attempt = attempts.saturating_add(1);
            let begun = self.totals.as_ref().map(|totals| (totals, Instant::now()));
            let answer = self.call(handler.offer(Delivery::new(event.event.clone(), attempt))).await;
            if let Some((totals, begun)) = begun {
                totals.handler_runs.add(begun.elapsed());
            }
            let error = match answer {
                Ok(()) => {
                    self.goes_on(page, attempt);
                    return EventOutcome::Handled;
                }
                Err(_) if self.is_stopped() => return EventOutcome::Stopped,
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
                    continue;
                }
            };
            self.retries.borrow_mut().failed(&page.queue, event.key, turn, attempt);
            let mut pause = handler.pause_after(attempt);
            let mut not_kept = None;
            if attempt >= handler.limit() {
                match self.dead_letter(page, &handler, event, &error, attempt).await {
                    Ok(()) => return EventOutcome::Handled,
                    Err(_) if self.is_stopped() => return EventOutcome::Stopped,
                    Err(error) => not_kept = error,
                }
                pause = pause.max(LEAST_PAUSE);
            }
            self.failed(page, &handler, event, &Failure { error, attempt, pause, not_kept });
            if pause.is_zero() {
                continue;
            }
            if page.comes_again {
                return EventOutcome::Later { pause, turn };
            }
            // It could not be fetched again.
            let _changed = actix_rt::time::timeout(pause, self.slot.changed(turn)).await;
        }
    }

    /// Stores a letter; an error where that is not possible for now, or there is no place.
    async fn dead_letter(
        &self,
        page: &Page,
        handler: &MessageHandler,
        event: &PageEvent,
        error: &HandlerError,
        attempts: u32,
    ) -> Result<(), Option<DeadLetterError>> {
        if !handler.has_place() {
            return Err(None);
        }
        let letter = DeadLetter::of(event, &self.resource, error.clone(), attempts);
        if let Some(folder) = handler.letters_folder() {
            store::tell_exposed_soon(folder, &self.log);
        }
        let dropped = self.call(handler.keep(&self.account, &letter)).await.map_err(Some)?;
        warn!(self.log, "a message could not be handled and is a dead letter now"; "queue" => &*page.queue,
            Named(&letter.event), "attempts" => attempts, "error" => %error);
        if let Some(totals) = &self.totals {
            totals.dead_letters.add(1);
        }
        for letter in dropped {
            warn!(self.log, "a dead letter was dropped for a newer one"; Named(&letter.event), "error" => %letter.error);
        }
        self.retries.borrow_mut().over(&page.queue);
        Ok(())
    }

    fn goes_on(&self, page: &Page, attempts: u32) {
        if let Some(recovered) = self.retries.borrow_mut().over(&page.queue) {
            info!(self.log, "a queue that waited goes on"; "queue" => &*page.queue, "attempts" => attempts.max(recovered.attempts),
                "waited" => ?recovered.since.elapsed());
        }
    }

    /// Logs a failed attempt: once per queue, when its attempts are used up.
    fn failed(&self, page: &Page, handler: &MessageHandler, event: &PageEvent, failure: &Failure) {
        let Failure { error, attempt, pause, not_kept } = failure;
        let named = Named(&event.event);
        if *attempt < handler.limit() || !self.retries.borrow_mut().is_news(&page.queue) {
            debug!(self.log, "a message could not be handled, trying again"; "queue" => &*page.queue, named,
                "attempt" => attempt, "pause" => ?pause, "error" => %error);
            return;
        }
        match not_kept {
            Some(not_kept) => warn!(self.log, "a message could not be handled, nor kept as a dead letter: \
                its queue waits on the server, and is tried again until one of them succeeds";
                "queue" => &*page.queue, named, "attempts" => attempt, "pause" => ?pause, "error" => %error,
                "not_kept" => %not_kept),
            None => {
                warn!(self.log, "a message could not be handled: its queue waits on the server, and is tried again \
                until it succeeds"; "queue" => &*page.queue, named, "attempts" => attempt, "pause" => ?pause,
                "error" => %error)
            }
        }
    }

    /// Runs the application's code, which is left to end by itself.
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

struct Failure {
    error: HandlerError,
    attempt: u32,
    pause: Duration,
    not_kept: Option<DeadLetterError>,
}

enum EventOutcome {
    Handled,
    /// It is retried after a pause.
    Later {
        pause: Duration,
        turn: u64,
    },
    Stopped,
}
