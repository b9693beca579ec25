//! What comes in: queues are pulled, their pages reported, handled and acknowledged.
//!
//! # How queues, pages and what is in flight go together
//!
//! The service keeps messages in queues. A pull asks for a page of one, and the page brings a key. There is no other
//! acknowledgement than the next pull of the queue, which carries the key of the last page (messages spec §2.2). Hence:
//!
//! 1. A queue is pulled again only once its last page needs nothing any more. A page needs something if it brings events
//!    for the message handler or a key for the [cursor store](crate::store::CursorStore): then it is *in flight* until
//!    [`Input::Handled`](crate::session::Input::Handled). Otherwise it is acknowledged at once. See [`Inbox::page`] and
//!    [`Inbox::finish`], which is the only place where a page in flight is acknowledged.
//! 2. The pages of a queue are handled one at a time in the order they came, also where some of them need nothing; those
//!    of all queues at most [`Limits::pulls`](crate::Limits) at a time. See [`Inbox::dispatch`].
//! 3. A page is acknowledged only on the link it came on. On the next one the server sends it again, and the ids of what is
//!    in flight and of what was seen lately keep its messages from being reported or handled twice. See [`Inbox::seen`].
//! 4. A page for which [`Limits::in_flight_bytes`](crate::Limits) has no room is not taken: nothing of it is reported, its
//!    queue goes first once there is room, and what is pushed behind it is not taken either, because its key would
//!    acknowledge both. See [`Inbox::admit`].
//! 5. A postponed page takes all of its queue's pages with it: none of them is acknowledged, and the queue is left alone
//!    until its next try, announced or not. See [`Inbox::postponed`].

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

/// The longest name of a queue, in bytes.
pub(super) const LONGEST_NAME: usize = Queues::LONGEST_NAME;

/// A queue is left alone for up to this share more than asked for: many that fail at once come back one by one.
const JITTER: f64 = 0.25;

/// What comes in: what was seen, what is in flight, and how far it is acknowledged.
#[derive(Debug)]
pub(super) struct Inbox {
    user: UserId,
    /// What is true of the link that is up.
    link: Option<Link>,
    /// Pages that are being handled; made with the first of them.
    in_flight: Option<Box<InFlight>>,
    dedup: DedupWindow,
    /// The sender of the last text: the next one is often from the same.
    last_sender: Option<Arc<str>>,
    /// The cursors that are kept over links, where there is a store.
    cursors: Option<Box<CursorState>>,
    /// Queues that may break a link; while one is up, its table has them.
    suspects: Option<Box<Suspects>>,
    pub(super) oddities: Oddities,
    /// Whether the "no subscriber" warning was logged.
    no_subscriber_noted: bool,
    /// Whether the goodbye is said: nothing new begins.
    closing: bool,
}

/// The queues of one link.
#[derive(Debug, Default)]
struct Link {
    queues: Queues,
    offline: OfflineSync,
}

impl Inbox {
    /// An inbox for a session; `keeps_cursors` where there is a store for them.
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
        }
    }

    /// Encoded bytes of pages in flight.
    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |in_flight| in_flight.bytes())
    }

    /// Number of queues that wait for another try.
    pub(super) fn waiting_queues(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |in_flight| in_flight.parked.len())
    }

    /// Begins with an empty table of queues on a new link.
    pub(super) fn link_up(&mut self) {
        let link = self.link.insert(Link::default());
        link.queues.suspects = self.suspects.take();
    }

    /// Ends the offline sync and forgets the pulls of a link that is gone. Pages in flight stay, and are not acknowledged.
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

    /// Stops pulling and giving out pages: LOGOUT is sent, and nothing behind it is heard.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        self.end_offline_sync(cx);
        self.link = None;
        self.closing = true;
    }

    /// Reports the end of an offline sync that the link does not live to see.
    pub(super) fn end_offline_sync(&mut self, cx: &mut Cx<'_>) {
        if let Some(link) = &mut self.link
            && let Some(event) = link.offline.end()
        {
            cx.emit(event);
        }
    }

    /// Has the cursors of the account read, where there is a store. Nothing is pulled before: a first pull would lack its
    /// key.
    pub(super) fn load_cursors(&mut self, cx: &mut Cx<'_>) {
        if let Some(cursors) = &mut self.cursors {
            let load = cx.env.new_page_id();
            cursors.load(load);
            cx.out.push(Action::LoadCursors { load, user: self.user.clone() });
        }
    }

    /// Takes the cursors that were read, and pulls what has waited for them.
    pub(super) fn cursors_loaded(&mut self, load: u64, loaded: Vec<Cursor>, cx: &mut Cx<'_>) {
        if self.cursors.as_mut().is_some_and(|cursors| cursors.loaded(load, loaded)) {
            self.pull_waiting(cx);
        }
    }

    /// Takes the answer to UNREAD: pulls the queues that hold something.
    pub(super) fn listed(&mut self, unread: &CommUnreadDl, cx: &mut Cx<'_>) {
        if let Some(event) = self.note_listed(unread) {
            cx.emit(event);
        }
        for queue in unread.unread.iter().filter_map(|entry| entry.queue.as_ref()) {
            self.announced(queue, cx);
        }
        self.pull_waiting(cx);
    }

    /// Notes for the offline sync which queues hold something now that a link is up.
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

    /// Pulls a queue that holds something, or remembers to.
    fn announced(&mut self, queue: &Jid, cx: &mut Cx<'_>) {
        if !Queues::takes(queue.view()) {
            self.oddities.name_too_long(cx);
            return;
        }
        // A parked one is pulled once its next try is due, announced or not.
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

    /// Whether the server is to be asked once more which queues hold something: some had no place, and now there is room.
    pub(super) fn wants_list(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.queues.wants_list())
    }

    /// Notes that the server is asked which queues hold something.
    pub(super) fn list_requested(&mut self) {
        if let Some(link) = &mut self.link {
            link.queues.list_asked();
        }
    }

    /// How much may be pulled now.
    fn allowed(&self, cx: &Cx<'_>) -> Allowed {
        let limits = &cx.env.config.limits;
        if self.cursors.as_ref().is_some_and(|cursors| cursors.is_loading()) {
            return Allowed { queues: 0, pulls: 0 };
        }
        match &self.in_flight {
            Some(in_flight) => in_flight.allowed(limits),
            None if cx.env.handled != EventMask::NONE => InFlight::default().allowed(limits),
            None => Allowed { queues: limits.pulls, pulls: usize::MAX },
        }
    }

    /// Gives up all pages in flight of a queue whose first one cannot be handled whole for now; they come again later.
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

    /// Tries all postponed queues now.
    pub(super) fn retry_postponed(&mut self, cx: &mut Cx<'_>) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.parked.all_due(cx.now.mono);
        }
        self.retry_due(cx);
    }

    /// When the next try of a postponed queue is due.
    pub(super) fn retry_deadline(&self, config: &Config) -> Option<Duration> {
        self.link.as_ref()?;
        self.in_flight.as_ref()?.parked.deadline(retries_at_once(config))
    }

    /// Pulls the postponed queues whose next try is due.
    pub(super) fn retry_due(&mut self, cx: &mut Cx<'_>) {
        let at_once = retries_at_once(&cx.env.config);
        loop {
            let allowed = self.allowed(cx);
            let (Some(in_flight), Some(link)) = (&mut self.in_flight, &mut self.link) else { return };
            let Some(queue) = in_flight.parked.next_due(at_once, cx.now.mono) else { return };
            // On a new link, too, only what is asked for may be taken.
            link.queues.stand_still(queue.view());
            if let Some(pull) = link.queues.announced(queue.view(), allowed, cx.now.mono) {
                transmit_pull(pull, &mut self.cursors, cx);
            }
        }
    }

    /// Gives out the next page of a queue, then those of queues that waited for a place, and pulls as there is room.
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

    /// When the answer to the oldest pull is overdue.
    pub(super) fn pull_deadline(&self, arrivals: &Arrivals) -> Option<Duration> {
        let due = self.link.as_ref()?.queues.deadline()?;
        Some(arrivals.due(due, Queues::PATIENCE))
    }

    /// Makes overdue pulls once more.
    ///
    /// # Errors
    /// The link is to be given up: a pull was left unanswered twice. Whatever else comes on it, what waits in that queue does
    /// not.
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

    /// When a queue that broke links may be pulled.
    pub(super) fn suspect_deadline(&self) -> Option<Duration> {
        self.link.as_ref()?.queues.parked_until()
    }

    /// Pulls queues that broke links, as their time has come.
    pub(super) fn suspects_due(&mut self, cx: &mut Cx<'_>) {
        self.pull_waiting(cx);
    }

    /// Notes that a message over the limit of a frame is about to come, and the link to end by it.
    pub(super) fn too_large(&mut self, cx: &mut Cx<'_>) {
        self.link_broken_by(BrokenBy::Pulled, Some("Limits::frame"), cx);
    }

    /// Notes which page the link is about to end by. `setting` is what to raise for it to be taken.
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

/// How many postponed queues are tried again at a time: what fails must leave room for what does not.
fn retries_at_once(config: &Config) -> usize {
    (config.limits.pulls / 2).max(1)
}

fn transmit_pull(pull: Pull<'_>, cursors: &mut Option<Box<CursorState>>, cx: &mut Cx<'_>) {
    let key = pull.key.or_else(|| cursors.as_mut()?.key(pull.queue));
    cx.transmit("pull", pull_frame(pull.queue, key));
}
