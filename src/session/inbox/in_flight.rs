//! Pages in flight: delivered in order per queue, and remembered over links.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt, mem,
    time::Duration,
};

use super::{
    parked::Parked,
    queues::{Allowed, PageEnd},
};
use crate::session::inbox::dedup::DedupWindow;
use bytes::Bytes;

use crate::{
    config::Limits,
    model::Event,
    util::weight::Weigh,
    wire::{Jid, JidView, QueueKey},
};

/// Id of a page in [`Action::Deliver`](crate::session::Action::Deliver); unique within one engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageId(pub(super) u64);

/// A page of a queue for the message handler.
#[non_exhaustive]
pub struct Page {
    /// Id to answer with.
    pub id: PageId,
    /// Queue, as given to a [`CursorStore`](crate::store::CursorStore).
    pub queue: Box<str>,
    /// Cursor to save once its events are handled; `None` if cursors are not saved or it has none.
    pub key: Option<u64>,
    /// Weight against [`Limits::in_flight_bytes`].
    pub bytes: usize,
    /// Events to handle, in order; may be empty if only the cursor is to be saved.
    pub events: Vec<PageEvent>,
    /// True if it can be [postponed](crate::session::Input::Postponed): without a queue it cannot be pulled again.
    pub comes_again: bool,
}

/// An event of a page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PageEvent {
    /// Event, shared with the subscribers.
    pub event: Event,
    /// Payload bytes it was read from.
    pub bytes: usize,
    /// Dedup key; 0 for none.
    pub(crate) key: u64,
    /// Its encoded meta, if a [dead letter](crate::delivery::DeadLetter) may have to hold it.
    pub(crate) encoded: Option<Bytes>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The server named the queue. A page without events has no redactor.
        let queue = match self.events.first().and_then(|event| event.event.redactor()) {
            Some(redactor) => redactor.shown(self.queue.to_string()),
            None => format!("{} bytes", self.queue.len()),
        };
        let mut shown = f.debug_struct("Page");
        shown.field("id", &self.id).field("queue", &queue).field("key", &self.key).field("bytes", &self.bytes);
        shown.field("events", &self.events).field("comes_again", &self.comes_again).finish()
    }
}

#[cfg(test)]
impl PageEvent {
    pub(crate) fn new(event: Event, bytes: usize, key: u64) -> Self {
        PageEvent { event, bytes, key, encoded: None }
    }
}

#[cfg(test)]
impl Page {
    pub(crate) fn new(id: PageId, queue: &str, key: Option<u64>, bytes: usize, events: Vec<PageEvent>) -> Self {
        Page { id, queue: queue.into(), key, bytes, events, comes_again: true }
    }
}

#[derive(Debug)]
pub(super) struct InFlightPage {
    pub(super) id: PageId,
    pub(super) queue: Jid,
    pub(super) ids: Vec<u64>,
    pub(super) bytes: usize,
    /// Events; empty once delivered.
    pub(super) events: Vec<PageEvent>,
    /// Dedup keys of its events, in order, once they are delivered.
    pub(super) keys: Vec<u64>,
    pub(super) key: Option<u64>,
    /// True if its queue waits for a turn because of it.
    pub(super) waits: bool,
    /// Its link and the state of its queue; `None` for a page of no queue.
    pub(super) end: Option<(u64, PageEnd)>,
}

impl InFlightPage {
    /// Returns whether there is nothing to deliver and no cursor to save.
    fn is_done(&self) -> bool {
        self.events.is_empty() && self.key.is_none()
    }
}

/// Ids of a handled page, until the server is known to have its ack.
#[derive(Debug)]
struct Unconfirmed {
    queue: QueueKey,
    key: u64,
    ids: Vec<u64>,
}

/// All pages in flight of a session.
///
/// Bounds: [`Limits::in_flight_bytes`] for their bytes, and so for their ids. Unconfirmed ids of handled pages:
/// [`Limits::page_messages`] in all and 2 pages for each of [`Limits::pulls`]; beyond that the oldest are only in the
/// dedup window.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Pages by queue, never empty; the first page of those in `begun` is delivered.
    lanes: HashMap<QueueKey, VecDeque<InFlightPage>>,
    /// Queue of each delivered page.
    begun: HashMap<PageId, QueueKey>,
    /// Queues whose first page waits for a free slot.
    turns: VecDeque<QueueKey>,
    /// Ids of all pages in flight, and of handled ones that are unconfirmed.
    ids: HashSet<u64>,
    unconfirmed: VecDeque<Unconfirmed>,
    unconfirmed_ids: usize,
    bytes: usize,
    /// Estimated size of the next page: a decaying maximum of recent sizes.
    expected: usize,
    /// Counter of links, to tell pages of earlier ones.
    pub(super) link: u64,
    /// Queues that wait for a retry; none of their pages is in flight.
    pub(super) parked: Parked,
}

/// Id capacity that is retained while there are none.
const SCRATCH: usize = 1024;

/// Minimum weight of a page in flight, for the overhead around its bytes.
pub(super) const LEAST: usize = 256;

/// Overhead of an event: its slot in the page, which may have as many spare ones, and its id in tables.
const EACH: usize = 2 * size_of::<PageEvent>() + 6 * size_of::<u64>();

/// Returns the usual minimum weight of a page with this many encoded bytes and events.
pub(super) fn at_least(bytes: usize, events: usize) -> usize {
    bytes.max(LEAST).saturating_add(events.saturating_mul(EACH + Event::SIZE))
}

/// Returns the maximum weight of a page with this many encoded bytes and events.
pub(super) fn at_most(bytes: usize, events: usize) -> usize {
    let around = events.saturating_mul(EACH + Event::MOST_AROUND);
    LEAST.saturating_add(bytes.saturating_mul(Event::MOST_PER_BYTE)).saturating_add(around)
}

/// Returns the weight of an event in a page that also holds its encoded meta.
pub(super) fn weight_of_one(event: usize, encoded: Option<&Bytes>) -> usize {
    EACH.saturating_add(event).saturating_add(encoded.map_or(0, Weigh::heap))
}

/// Returns the weight of a page with these events: the one place that weighs what waits for the handler.
pub(super) fn weight_of(events: &[PageEvent]) -> usize {
    let each = events.iter().map(|event| weight_of_one(event.event.weight(), event.encoded.as_ref()));
    each.fold(LEAST, usize::saturating_add)
}

/// Estimated page size before the first page.
const FIRST_GUESS: usize = 4096;

impl InFlight {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Returns whether a message is in flight, or was handled and its ack is unconfirmed.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.ids.contains(&id) || self.parked.was_handled(id)
    }

    /// Adds an id of a received page; `false` if it was known.
    pub(super) fn insert(&mut self, id: u64) -> bool {
        id == 0 || self.ids.insert(id)
    }

    pub(super) fn has_pages_of(&self, queue: &QueueKey) -> bool {
        self.lanes.contains_key(queue)
    }

    pub(super) fn is_parked(&self, queue: Option<JidView<'_>>) -> bool {
        self.parked.len() > 0 && queue.is_some_and(|queue| self.parked.waits(&queue.to_jid().queue_key()))
    }

    /// Returns whether a page of this weight fits.
    pub(super) fn has_room(&self, bytes: usize, limits: &Limits) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= limits.in_flight_bytes
    }

    /// Records the size of a received page.
    pub(super) fn came(&mut self, bytes: usize) {
        self.expected = bytes.max(self.expected - self.expected / 64);
    }

    /// Returns the pulls allowed by the room for pages.
    pub(super) fn allowed(&self, limits: &Limits) -> Allowed {
        let free = limits.in_flight_bytes.saturating_sub(self.bytes)
            / self.expected.max(FIRST_GUESS.min(limits.in_flight_bytes)).max(1);
        Allowed { queues: limits.pulls, pulls: if self.bytes == 0 { free.max(1) } else { free } }
    }

    /// Confirms the acks of a queue's pages up to this cursor.
    pub(super) fn confirmed(
        &mut self,
        queue: &QueueKey,
        pulled_with: Option<u64>,
        recent: &mut DedupWindow,
        limits: &Limits,
        now: Duration,
    ) {
        let heard = |held: &Unconfirmed| held.queue == *queue && pulled_with.is_some_and(|key| key >= held.key);
        while let Some(at) = self.unconfirmed.iter().position(heard) {
            if let Some(held) = self.unconfirmed.remove(at) {
                self.release(held.ids, recent, limits, now);
            }
        }
    }

    fn release(&mut self, ids: Vec<u64>, recent: &mut DedupWindow, limits: &Limits, now: Duration) {
        self.unconfirmed_ids = self.unconfirmed_ids.saturating_sub(ids.len());
        for id in ids {
            self.ids.remove(&id);
            recent.insert(id, now, limits);
        }
        if self.ids.is_empty() {
            self.ids.shrink_to(SCRATCH);
        }
    }

    pub(super) fn push(&mut self, queue: QueueKey, page: InFlightPage) {
        self.bytes = self.bytes.saturating_add(page.bytes);
        self.lanes.entry(queue).or_default().push_back(page);
    }

    /// Returns the next page of a queue without a delivered one: a page to deliver, or one that needs no handling.
    pub(super) fn begin(&mut self, queue: &QueueKey, at_once: usize) -> Begin {
        let Some(page) = self.lanes.get_mut(queue).and_then(VecDeque::front_mut) else {
            return Begin::Nothing;
        };
        if self.begun.contains_key(&page.id) {
            return Begin::Nothing;
        }
        if page.is_done() {
            return Begin::Done;
        }
        if self.begun.len() >= at_once {
            if !mem::replace(&mut page.waits, true) {
                self.turns.push_back(queue.clone());
            }
            return Begin::Nothing;
        }
        page.waits = false;
        page.keys = page.events.iter().map(|event| event.key).collect();
        self.begun.insert(page.id, queue.clone());
        Begin::Deliver(Page {
            id: page.id,
            queue: crate::wire::queue_name(&page.queue).into(),
            key: page.key,
            bytes: page.bytes,
            events: mem::take(&mut page.events),
            comes_again: page.end.is_some(),
        })
    }

    /// Returns the queue of a delivered page, which is handled now.
    pub(super) fn handled(&mut self, page: PageId) -> Option<QueueKey> {
        self.begun.remove(&page)
    }

    /// Drops all pages of a queue whose first one was delivered and handled up to this event; the rest comes again.
    pub(super) fn give_back(&mut self, queue: &QueueKey, handled: usize) -> Option<InFlightPage> {
        let lane = self.lanes.remove(queue)?;
        let mut first = None;
        for page in lane {
            self.bytes = self.bytes.saturating_sub(page.bytes);
            let left: HashSet<u64> = match &first {
                None => page.keys.iter().skip(handled).copied().collect(),
                Some(_) => page.events.iter().map(|event| event.key).collect(),
            };
            for id in &page.ids {
                self.ids.remove(id);
                self.parked.give_back(*id, !left.contains(id));
            }
            first.get_or_insert(page);
        }
        if self.ids.is_empty() {
            self.ids.shrink_to(SCRATCH);
        }
        first
    }

    /// Returns the next queue whose turn has come, if there is a free slot.
    pub(super) fn next_turn(&mut self, at_once: usize) -> Option<QueueKey> {
        if self.begun.len() < at_once { self.turns.pop_front() } else { None }
    }

    /// Removes the first page of a queue, its events handled.
    pub(super) fn finish(
        &mut self,
        queue: &QueueKey,
        recent: &mut DedupWindow,
        limits: &Limits,
        now: Duration,
    ) -> Option<InFlightPage> {
        let lane = self.lanes.get_mut(queue)?;
        let mut page = lane.pop_front()?;
        if lane.is_empty() {
            self.lanes.remove(queue);
        }
        self.bytes = self.bytes.saturating_sub(page.bytes);
        let ids = mem::take(&mut page.ids);
        self.unconfirmed_ids += ids.len();
        match page.end.as_ref().and_then(|(_, end)| end.next_key) {
            Some(key) if !ids.is_empty() => self.unconfirmed.push_back(Unconfirmed { queue: queue.clone(), key, ids }),
            _ => self.release(ids, recent, limits, now),
        }
        while (self.unconfirmed_ids > limits.page_messages || self.unconfirmed.len() > limits.pulls.saturating_mul(2))
            && let Some(oldest) = self.unconfirmed.pop_front()
        {
            self.release(oldest.ids, recent, limits, now);
        }
        Some(page)
    }
}

#[cfg(test)]
mod size {
    use super::{EACH, LEAST, PageEvent, at_least, at_most, weight_of};
    use crate::model::{Event, EventKind};

    #[test]
    fn a_page_counts_for_what_its_events_take() {
        assert!((100..250).contains(&EACH), "{EACH}");
        let text = Event::new("alice".parse().unwrap(), EventKind::TokenExpired);
        let event = |encoded| PageEvent { encoded, ..PageEvent::new(text.clone(), 0, 1) };
        assert_eq!(weight_of(&[]), LEAST);
        assert_eq!(weight_of(&[event(None), event(None)]), LEAST + 2 * (EACH + Event::SIZE));
        let held = weight_of(&[event(Some(vec![0; 1000].into()))]) - weight_of(&[event(None)]);
        assert!((1000..1100).contains(&held), "{held}");
        assert_eq!(at_least(12, 0), LEAST);
        assert_eq!((at_least(usize::MAX, usize::MAX), at_most(usize::MAX, 1)), (usize::MAX, usize::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Begin, InFlight, InFlightPage, PageId};
    use crate::{
        config::Limits,
        session::inbox::{
            dedup::DedupWindow,
            queues::{PageContent, PageEnd},
        },
        wire::Jid,
    };

    #[test]
    fn a_page_is_in_flight_until_it_is_handled_and_its_ids_until_the_server_heard_of_them() {
        let (mut pages, mut window) = (InFlight::default(), DedupWindow::default());
        let (limits, now) = (Limits::default(), Duration::from_secs(1));
        let from = |name: &str| Jid { name: Some(name.to_owned()), ..Jid::default() };
        let (bob, carol) = (from("bob").queue_key(), from("carol").queue_key());
        let end = PageEnd { pulled_with: None, next_key: Some(9), is_last: true, content: PageContent::New };
        assert!(pages.is_empty() && pages.insert(7) && pages.knows(7) && !pages.knows(8));
        assert!(!pages.insert(7) && pages.insert(0) && pages.insert(0), "0 is no id");
        pages.push(
            bob.clone(),
            InFlightPage {
                id: PageId(1),
                queue: from("bob"),
                ids: vec![7],
                bytes: 300,
                events: Vec::new(),
                keys: Vec::new(),
                key: Some(9),
                waits: false,
                end: Some((0, end)),
            },
        );
        assert!(!pages.is_empty() && pages.has_pages_of(&bob) && !pages.has_pages_of(&carol));
        assert_eq!(pages.bytes(), 300);
        let Begin::Deliver(page) = pages.begin(&bob, 1) else { panic!("a key to keep") };
        assert!(page.comes_again && page.key == Some(9) && page.bytes == 300);
        assert_eq!(pages.handled(page.id), Some(bob.clone()));
        assert!(pages.finish(&bob, &mut window, &limits, now).is_some());
        assert!(pages.is_empty() && !pages.has_pages_of(&bob) && pages.bytes() == 0);
        assert!(pages.knows(7), "the server may not know");
        pages.confirmed(&carol, Some(9), &mut window, &limits, now);
        pages.confirmed(&bob, Some(8), &mut window, &limits, now);
        assert!(pages.knows(7));
        pages.confirmed(&bob, Some(9), &mut window, &limits, now);
        assert!(!pages.knows(7), "the window of the login remembers it from now on");
    }
}

/// Next step for a queue's first page.
#[derive(Debug)]
pub(super) enum Begin {
    Nothing,
    Deliver(Page),
    Done,
}
