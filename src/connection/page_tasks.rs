//! Runs page tasks outside the actor, so that no wake of the actor polls them.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix::{Context, Handler, Message, WeakAddr};
use actix_rt::task::JoinHandle;
use slog::Logger;

use super::actor::ConnectionActor;
use crate::{
    config::Config,
    delivery::{PageOutcome, PageProgress, PageTask, Retries, Slot},
    model::{
        account::{AccountKey, UserId},
        totals::Totals,
    },
    session::{Input, Page, PageId},
    store::{Cursor, Cursors},
};

pub(super) struct PageTasks {
    pub(super) slot: Arc<Slot>,
    pub(super) actor: Option<WeakAddr<ConnectionActor>>,
    pub(super) cursors: Option<Cursors>,
    /// The counts that the session adds to.
    pub(super) totals: Option<Arc<Totals>>,
    running: Vec<Running>,
    retries: Rc<RefCell<Retries>>,
    /// Waits for another handler than the one of this turn, while queues wait for their next try.
    watch: Option<PageWatch>,
}

struct PageWatch {
    turn: u64,
    task: JoinHandle<()>,
}

struct Running {
    page: PageId,
    progress: PageProgress,
    task: JoinHandle<()>,
}

impl PageTasks {
    pub(super) fn new(slot: Arc<Slot>) -> Self {
        PageTasks {
            slot,
            actor: None,
            cursors: None,
            totals: None,
            running: Vec::new(),
            retries: Rc::default(),
            watch: None,
        }
    }

    pub(super) fn begin(&mut self, page: Page, user: &UserId, resource: &str, config: &Config, log: &Logger) {
        let (id, progress, actor) = (page.id, PageProgress::default(), self.actor.clone());
        let work = PageTask {
            slot: Arc::clone(&self.slot),
            store: self.cursors.as_ref().map(|cursors| Arc::clone(&cursors.0)),
            account: AccountKey::new(config.app_key.clone(), user.clone()),
            resource: resource.into(),
            log: log.clone(),
            totals: self.totals.clone(),
            progress: progress.clone(),
            retries: Rc::clone(&self.retries),
        };
        let task = actix_rt::spawn(async move {
            let outcome = work.run(page).await;
            if outcome != PageOutcome::Stopped
                && let Some(actor) = actor.and_then(|actor| actor.upgrade())
            {
                // Past the mailbox's bound: one for each page given out, and losing it would stop the queue.
                actor.do_send(PageDone(id, outcome));
            }
        });
        self.running.push(Running { page: id, progress, task });
    }

    pub(super) fn load(&self, load: u64, user: &UserId, config: &Config, log: &Logger) {
        let Some(cursors) = &self.cursors else { return };
        let account = AccountKey::new(config.app_key.clone(), user.clone());
        let (store, log, actor) = (Arc::clone(&cursors.0), log.clone(), self.actor.clone());
        // Bounded by the store's time limit; what comes for a session that is over is ignored.
        drop(actix_rt::spawn(async move {
            let cursors = crate::store::load(store, account, log).await;
            if let Some(actor) = actor.and_then(|actor| actor.upgrade()) {
                actor.do_send(CursorsLoaded { load, cursors });
            }
        }));
    }

    /// Ends the session's tasks: a call under way finishes by itself, everything else is dropped.
    pub(super) fn end(&mut self) {
        for Running { progress, task, .. } in self.running.drain(..) {
            if !progress.stop() {
                task.abort();
            }
        }
        self.running.shrink_to_fit();
        // One of another session counts in a table of its own.
        self.retries = Rc::default();
        self.unwatch();
    }

    fn done(&mut self, page: PageId) {
        if let Some(at) = self.running.iter().position(|running| running.page == page) {
            self.running.swap_remove(at);
        }
    }

    /// Retries the waiting queues as soon as another handler is set.
    fn watch(&mut self, turn: u64) {
        // In the place of one for a later turn this one ends at once, and what then fails is watched anew.
        if self.watch.as_ref().is_some_and(|watch| watch.turn == turn) {
            return;
        }
        self.unwatch();
        let (slot, actor) = (Arc::clone(&self.slot), self.actor.clone());
        let task = actix_rt::spawn(async move {
            slot.changed(turn).await;
            if let Some(actor) = actor.and_then(|actor| actor.upgrade()) {
                actor.do_send(HandlerChanged);
            }
        });
        self.watch = Some(PageWatch { turn, task });
    }

    fn unwatch(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.task.abort();
        }
    }
}

impl Drop for PageTasks {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct PageDone(PageId, PageOutcome);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct HandlerChanged;

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct CursorsLoaded {
    load: u64,
    cursors: Vec<Cursor>,
}

impl Handler<PageDone> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, PageDone(page, outcome): PageDone, ctx: &mut Context<Self>) {
        self.page_tasks.done(page);
        match outcome {
            PageOutcome::Handled => self.step(Input::Handled { page }, ctx),
            PageOutcome::Postponed { handled, pause, turn } => {
                self.step(Input::Postponed { page, handled, pause }, ctx);
                self.page_tasks.watch(turn);
            }
            PageOutcome::Stopped => {}
        }
        self.wake();
    }
}

impl Handler<HandlerChanged> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: HandlerChanged, ctx: &mut Context<Self>) {
        self.page_tasks.unwatch();
        self.step(Input::RetryPostponed, ctx);
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
