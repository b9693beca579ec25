//! Has pages handled, beside the actor: each in a task of its own, so that no wake of the actor polls them.

use std::sync::Arc;

use actix::{Context, Handler, Message, WeakAddr};
use actix_rt::task::JoinHandle;
use slog::Logger;

use super::actor::ConnectionActor;
use crate::{
    Config, Cursor, UserId,
    delivery::{self, Account, PageTask, Progress, Slot},
    session::{Input, Page, PageId},
};

/// The pages being handled; no more than the engine gives out at once.
pub(super) struct Delivering {
    pub(super) slot: Arc<Slot>,
    /// Made in `started`.
    pub(super) actor: Option<WeakAddr<ConnectionActor>>,
    running: Vec<Running>,
}

struct Running {
    page: PageId,
    progress: Progress,
    task: JoinHandle<()>,
}

impl Delivering {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        Delivering { slot, actor: None, running: Vec::new() }
    }

    pub(super) fn begin(&mut self, page: Page, user: &UserId, config: &Config, log: &Logger) {
        let (id, progress, actor) = (page.id, Progress::default(), self.actor.clone());
        let work = PageTask {
            slot: Arc::clone(&self.slot),
            store: config.cursors.as_ref().map(|cursors| Arc::clone(&cursors.0)),
            account: Account::new(config.app_key.clone(), user.clone()),
            log: log.clone(),
            progress: progress.clone(),
        };
        let task = actix_rt::spawn(async move {
            if work.run(page).await
                && let Some(actor) = actor.and_then(|actor| actor.upgrade())
            {
                // Past the mailbox's bound: one for each page given out, and losing it would stop the queue.
                actor.do_send(PageHandled(id));
            }
        });
        self.running.push(Running { page: id, progress, task });
    }

    pub(super) fn load(&self, load: u64, user: &UserId, config: &Config, log: &Logger) {
        let Some(cursors) = &config.cursors else { return };
        let account = Account::new(config.app_key.clone(), user.clone());
        let (store, log, actor) = (Arc::clone(&cursors.0), log.clone(), self.actor.clone());
        // Bounded by the store's time limit; what comes for a session that is over is ignored.
        drop(actix_rt::spawn(async move {
            let cursors = delivery::load(store, account, log).await;
            if let Some(actor) = actor.and_then(|actor| actor.upgrade()) {
                actor.do_send(CursorsLoaded { load, cursors });
            }
        }));
    }

    /// The session is over: a call under way ends by itself, everything else is dropped.
    pub(super) fn end(&mut self) {
        for Running { progress, task, .. } in self.running.drain(..) {
            if !progress.stop() {
                task.abort();
            }
        }
        self.running.shrink_to_fit();
    }

    fn handled(&mut self, page: PageId) {
        if let Some(at) = self.running.iter().position(|running| running.page == page) {
            self.running.swap_remove(at);
        }
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        self.end();
    }
}

/// A page is handled.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct PageHandled(PageId);

/// The keys of an account's queues are read.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct CursorsLoaded {
    load: u64,
    cursors: Vec<Cursor>,
}

impl Handler<PageHandled> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, PageHandled(page): PageHandled, ctx: &mut Context<Self>) {
        self.delivering.handled(page);
        self.step(Input::Handled { page }, ctx);
        self.wake();
    }
}

impl Handler<CursorsLoaded> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, CursorsLoaded { load, cursors }: CursorsLoaded, ctx: &mut Context<Self>) {
        self.step(Input::Cursors { load, cursors }, ctx);
        self.wake();
    }
}
