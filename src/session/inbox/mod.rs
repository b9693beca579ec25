//! Inbound traffic: queues are pulled, their pages reported, handled and acknowledged.
//!
//! # Queues, pages and what is in flight
//!
//! The service keeps messages in queues. A pull requests a page of one, and the page brings a cursor. The only ack is
//! the next pull of the queue, which carries the last page's cursor (messages spec §2.2). Hence:
//!
//! 1. A queue is pulled again only once its last page needs nothing more. A page with events for the message handler or
//!    a cursor for the [cursor store](crate::store::CursorStore) is *in flight* until
//!    [`Input::Handled`](crate::session::Input::Handled). Any other is acknowledged at once. See [`Inbox::page`] and
//!    [`Inbox::finish`], the only place that acknowledges a page in flight.
//! 2. The pages of a queue are handled one at a time in order, even those that need nothing; those of all queues at
//!    most [`Limits::pulls`](crate::Limits) at a time. See [`Inbox::dispatch`].
//! 3. A page is acknowledged only on its own link. On the next one the server sends it again, and the dedup window and
//!    the ids in flight keep its messages from being reported or handled twice. See [`Inbox::seen`].
//! 4. A page that does not fit [`Limits::in_flight_bytes`](crate::Limits) is refused: nothing of it is reported, and
//!    its queue goes first once there is room. Pages pushed behind it are refused too, because their cursor would
//!    acknowledge both. See [`Inbox::admit`].
//! 5. A postponed page takes all of its queue's pages with it: none is acknowledged, and the queue is parked until its
//!    retry, announced or not. See [`Inbox::postponed`].

mod ack;
mod cursors;
mod dedup;
pub(in crate::session) mod in_flight;
pub(in crate::session) mod metas;
mod offline_sync;
mod page;
mod parked;
mod queues;
mod suspects;

use std::{collections::HashSet, sync::Arc, time::Duration};

use crate::{
    config::Config,
    model::{EventKind, EventMask, account::UserId, error::LossCause},
    session::{
        Action, Diagnostic,
        arrivals::Arrivals,
        context::Cx,
        episodes::Oddities,
        inbox::{
            cursors::CursorState,
            dedup::DedupWindow,
            in_flight::{Begin, InFlight, PageId},
            offline_sync::{Listing, OfflineSync},
            queues::{Allowed, Listed, Overdue, Pull, Queues},
            suspects::{BrokenBy, Suspects},
        },
    },
    store::Cursor,
    wire::{CommUnreadDl, Jid, QueueKey, pull_frame},
};

/// Longest name of a queue, in bytes.
pub(super) const LONGEST_NAME: usize = Queues::LONGEST_NAME;

/// Maximum jitter of a postponed queue's pause: many that fail at once come back one by one.
const JITTER: f64 = 0.25;

/// Inbound state: the dedup window, the pages in flight and their acks.
#[derive(Debug)]
pub(super) struct Inbox {
    user: UserId,
    /// State of the link that is up.
    link: Option<Link>,
    /// Pages in flight; allocated with the first of them.
    in_flight: Option<Box<InFlight>>,
    dedup: DedupWindow,
    /// Sender of the last text: the next one is often from the same.
    last_sender: Option<Arc<str>>,
    /// Cursors saved over links, if there is a store.
    cursors: Option<Box<CursorState>>,
    /// Queues that may break a link; while one is up, its table has them.
    suspects: Option<Box<Suspects>>,
    pub(super) oddities: Oddities,
    /// True if the "no subscriber" warning was logged.
    no_subscriber_noted: bool,
    /// True if LOGOUT is sent: nothing new begins.
    closing: bool,
    /// True if a logout waits for the pages in flight: they are handled and acknowledged, and no other is taken.
    draining: bool,
}

/// Queues of one link.
#[derive(Debug, Default)]
struct Link {
    queues: Queues,
    offline: OfflineSync,
}

impl Inbox {
    /// Returns an inbox for a session; `keeps_cursors` if there is a store for them.
    pub(super) fn new(user: UserId, keeps_cursors: bool) -> Self {
        Inbox {
            user,
            link: None,
            in_flight: None,
            dedup: DedupWindow::default(),
            last_sender: None,
            cursors: keeps_cursors.then(Box::default),
            suspects: None,
            oddities: Oddities::default(),
            no_subscriber_noted: false,
            closing: false,
            draining: false,
        }
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |in_flight| in_flight.bytes())
    }

    pub(super) fn waiting_queues(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |in_flight| in_flight.parked.len())
    }

    /// Starts an empty table of queues on a new link.
    pub(super) fn link_up(&mut self) {
        let link = self.link.insert(Link::default());
        link.queues.suspects = self.suspects.take();
    }

    /// Ends the offline sync and forgets the pulls of a lost link. Pages in flight stay, unacknowledged.
    pub(super) fn link_down(&mut self, cx: &mut Cx<'_>) {
        self.end_offline_sync(cx);
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.link += 1;
            in_flight.parked.link_ended(cx.now.mono);
        }
        if let Some(mut link) = self.link.take() {
            self.suspects = link.queues.suspects.take();
        }
    }

    /// Stops pulling and delivering: LOGOUT is sent, and acks behind it are ignored.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        self.end_offline_sync(cx);
        self.link = None;
        self.closing = true;
    }

    /// Takes no more pages; those in flight are handled and acknowledged.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Returns whether no page is in flight.
    pub(super) fn is_drained(&self) -> bool {
        self.in_flight.as_ref().is_none_or(|in_flight| in_flight.is_empty())
    }

    /// Reports the end of an offline sync that the link did not complete.
    pub(super) fn end_offline_sync(&mut self, cx: &mut Cx<'_>) {
        if let Some(link) = &mut self.link
            && let Some(event) = link.offline.end()
        {
            cx.emit(event);
        }
    }

    /// Loads the account's cursors, if there is a store. Nothing is pulled before: a first pull would lack its cursor.
    pub(super) fn load_cursors(&mut self, cx: &mut Cx<'_>) {
        if let Some(cursors) = &mut self.cursors {
            let load = cx.env.new_page_id();
            cursors.load(load);
            cx.out.push(Action::LoadCursors { load, user: self.user.clone() });
        }
    }

    /// Adopts the loaded cursors, and pulls the queues that waited for them.
    pub(super) fn cursors_loaded(&mut self, load: u64, loaded: Vec<Cursor>, cx: &mut Cx<'_>) {
        if self.cursors.as_mut().is_some_and(|cursors| cursors.loaded(load, loaded)) {
            self.pull_waiting(cx);
        }
    }

    /// Handles the answer to UNREAD: pulls the non-empty queues.
    pub(super) fn listed(&mut self, unread: &CommUnreadDl, cx: &mut Cx<'_>) {
        if let Some(event) = self.note_listed(unread) {
            cx.emit(event);
        }
        for queue in unread.unread.iter().filter_map(|entry| entry.queue.as_ref()) {
            self.announced(queue, cx);
        }
        self.pull_waiting(cx);
    }

    /// Records the non-empty queues of a new link for the offline sync.
    fn note_listed(&mut self, unread: &CommUnreadDl) -> Option<EventKind> {
        let link = self.link.as_mut().filter(|link| link.offline.takes_list())?;
        let mut list = Listing::default();
        let mut seen = HashSet::new();
        for entry in &unread.unread {
            let Some(queue) = entry.queue.as_ref().map(Jid::view) else { continue };
            if !Queues::takes(queue) {
                list.lost = true;
            } else if seen.insert([queue.app_key, queue.name, queue.domain].map(Option::unwrap_or_default)) {
                list.queues += 1;
                list.messages = list.messages.saturating_add(u64::from(entry.n.unwrap_or(0)));
                match link.queues.listed(queue) {
                    Listed::ToCome => list.noted += 1,
                    Listed::Known => {}
                    Listed::NoPlace => list.more = true,
                }
            }
        }
        link.offline.listed(list)
    }

    /// Pulls a non-empty queue, or schedules it.
    fn announced(&mut self, queue: &Jid, cx: &mut Cx<'_>) {
        if !Queues::takes(queue.view()) {
            self.oddities.name_too_long(cx);
            return;
        }
        // A parked queue is pulled at its next retry, announced or not.
        if self.in_flight.as_ref().is_some_and(|in_flight| in_flight.is_parked(Some(queue.view()))) {
            return;
        }
        let allowed = self.allowed(cx);
        if let Some(link) = &mut self.link
            && let Some(pull) = link.queues.announced(queue.view(), allowed, cx.now.mono)
        {
            transmit_pull(pull, &mut self.cursors, cx);
        }
    }

    /// Pulls a queue that a notice names.
    pub(super) fn noticed(&mut self, queue: &Jid, cx: &mut Cx<'_>) {
        self.announced(queue, cx);
        self.pull_waiting(cx);
    }

    /// Pulls the queues whose turn has come.
    fn pull_waiting(&mut self, cx: &mut Cx<'_>) {
        let allowed = self.allowed(cx);
        while let Some(link) = &mut self.link
            && let Some(pull) = link.queues.next_waiting(allowed, cx.now.mono)
        {
            transmit_pull(pull, &mut self.cursors, cx);
        }
    }

    /// Returns whether to request the queue list again: some did not fit the table, and now there is room.
    pub(super) fn wants_list(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.queues.wants_list())
    }

    /// Records a request for the queue list.
    pub(super) fn list_requested(&mut self) {
        if let Some(link) = &mut self.link {
            link.queues.list_asked();
        }
    }

    /// Returns the pulls allowed now.
    fn allowed(&self, cx: &Cx<'_>) -> Allowed {
        let limits = &cx.env.config.limits;
        if self.draining || self.cursors.as_ref().is_some_and(|cursors| cursors.is_loading()) {
            return Allowed { queues: 0, pulls: 0 };
        }
        match &self.in_flight {
            Some(in_flight) => in_flight.allowed(limits),
            None if cx.env.handled != EventMask::NONE => InFlight::default().allowed(limits),
            None => Allowed { queues: limits.pulls, pulls: usize::MAX },
        }
    }

    /// Drops all pages in flight of a queue whose first one cannot be handled whole for now; they come again later.
    pub(super) fn postponed(&mut self, page: PageId, handled: usize, pause: Duration, cx: &mut Cx<'_>) {
        let Some(in_flight) = &mut self.in_flight else { return };
        let Some(queue) = in_flight.handled(page) else { return };
        let Some(first) = in_flight.give_back(&queue, handled) else { return };
        let more = pause.mul_f64(cx.env.random.f64() * JITTER);
        in_flight.parked.park(queue.clone(), first.queue.clone(), cx.after(pause).saturating_add(more));
        if let Some(link) = &mut self.link {
            link.queues.stand_still(first.queue.view());
            if link.queues.has_come(first.queue.view())
                && let Some(event) = link.offline.postponed()
            {
                cx.emit(event);
            }
        }
        self.dispatch(queue, cx);
    }

    /// Retries all postponed queues now.
    pub(super) fn retry_postponed(&mut self, cx: &mut Cx<'_>) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.parked.all_due(cx.now.mono);
        }
        self.retry_due(cx);
    }

    /// Returns the time of the next retry of a postponed queue.
    pub(super) fn retry_deadline(&self, config: &Config) -> Option<Duration> {
        self.link.as_ref().filter(|_| !self.draining)?;
        self.in_flight.as_ref()?.parked.deadline(retries_at_once(config))
    }

    /// Pulls the postponed queues whose retry is due.
    pub(super) fn retry_due(&mut self, cx: &mut Cx<'_>) {
        let at_once = retries_at_once(&cx.env.config);
        while !self.draining {
            let allowed = self.allowed(cx);
            let (Some(in_flight), Some(link)) = (&mut self.in_flight, &mut self.link) else { return };
            let Some(queue) = in_flight.parked.next_due(at_once, cx.now.mono) else { return };
            // On a new link, too, only requested pages may be accepted.
            link.queues.stand_still(queue.view());
            if let Some(pull) = link.queues.announced(queue.view(), allowed, cx.now.mono) {
                transmit_pull(pull, &mut self.cursors, cx);
            }
        }
    }

    /// Delivers the next page of a queue, then those of queues that waited for a slot, and pulls if there is room.
    fn dispatch(&mut self, queue: QueueKey, cx: &mut Cx<'_>) {
        if self.closing {
            return;
        }
        let at_once = cx.env.config.limits.pulls;
        let mut next = Some(queue);
        while let Some(queue) = next {
            let Some(in_flight) = &mut self.in_flight else { return };
            match in_flight.begin(&queue, at_once) {
                Begin::Done => {
                    self.finish(&queue, cx);
                    next = Some(queue);
                    continue;
                }
                Begin::Deliver(page) => cx.out.push(Action::Deliver(page)),
                Begin::Nothing => {}
            }
            next = in_flight.next_turn(at_once);
        }
        self.retry_due(cx);
        self.pull_waiting(cx);
    }

    /// Returns the deadline of the oldest pull.
    pub(super) fn pull_deadline(&self, arrivals: &Arrivals) -> Option<Duration> {
        let due = self.link.as_ref()?.queues.deadline()?;
        Some(arrivals.due(due, Queues::PATIENCE))
    }

    /// Repeats overdue pulls.
    ///
    /// # Errors
    /// A pull was unanswered twice: drop the link. Other traffic does not unblock that queue.
    pub(super) fn pulls_due(&mut self, cx: &mut Cx<'_>) -> Result<(), LossCause> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let (due, now) = (link.queues.deadline(), cx.now.mono);
        if !due.is_some_and(|due| cx.env.arrivals.is_late(due, Queues::PATIENCE, now)) {
            return Ok(());
        }
        while let Some(overdue) = link.queues.overdue(now) {
            match overdue {
                Overdue::Repeat(pull) => transmit_pull(pull, &mut self.cursors, cx),
                Overdue::GiveUp => {
                    self.link_broken_by(BrokenBy::Unanswered, None, cx);
                    return Err(LossCause::PullUnanswered);
                }
            }
        }
        Ok(())
    }

    /// Returns the time from which a queue that broke links may be pulled.
    pub(super) fn suspect_deadline(&self) -> Option<Duration> {
        self.link.as_ref()?.queues.parked_until()
    }

    /// Pulls due queues that broke links.
    pub(super) fn suspects_due(&mut self, cx: &mut Cx<'_>) {
        self.pull_waiting(cx);
    }

    /// Records that an oversized message is about to break the link.
    pub(super) fn too_large(&mut self, cx: &mut Cx<'_>) {
        self.link_broken_by(BrokenBy::Pulled, Some("Limits::frame"), cx);
    }

    /// Records the page that is about to break the link. `setting` is the one to raise so that it fits.
    fn link_broken_by(&mut self, page: BrokenBy, setting: Option<&'static str>, cx: &mut Cx<'_>) {
        let Some(link) = &mut self.link else { return };
        let pulled = match &page {
            BrokenBy::Queue(_) => Vec::new(),
            BrokenBy::Unanswered => link.queues.unanswered(cx.now.mono),
            BrokenBy::Pulled => link.queues.pulled(),
        };
        let suspects = link.queues.suspects.get_or_insert_default();
        let known = match page {
            BrokenBy::Queue(queue) => suspects.broken_by(queue),
            BrokenBy::Unanswered | BrokenBy::Pulled => suspects.broken_by_one_of(pulled),
        };
        if let Some(queue) = known {
            let queue = cx.redact(queue.name().to_owned()).into();
            cx.note(Diagnostic::QueueBreaksLinks { queue, setting });
        }
    }
}

/// Returns the maximum of concurrent retries: failing queues must leave room for the others.
fn retries_at_once(config: &Config) -> usize {
    (config.limits.pulls / 2).max(1)
}

fn transmit_pull(pull: Pull<'_>, cursors: &mut Option<Box<CursorState>>, cx: &mut Cx<'_>) {
    let key = pull.key.or_else(|| cursors.as_mut()?.key(pull.queue));
    cx.transmit("pull", pull_frame(pull.queue, key));
}
