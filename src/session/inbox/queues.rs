//! Table of queues: their pulls and cursors (connection spec §7.2, messages spec §2.2).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    mem,
    time::Duration,
};

use super::suspects::{Standing, Suspects};
use crate::wire::{Jid, JidView};

/// Index of a queue in the table.
type Slot = usize;

#[derive(Debug, Default)]
struct Queue {
    /// Name as last given by the server.
    name: Jid,
    hash: u64,
    /// Last cursor from the server; the next pull carries it and so acknowledges the pages before it.
    key: Option<u64>,
    /// Highest cursor from the server; a page without anything new goes on only above it.
    highest: Option<u64>,
    /// Pull in flight: its cursor and its time.
    pulling: Option<Pulling>,
    /// Number of its pages in flight.
    in_flight: u32,
    /// True if a page was dropped, so that only a requested page may be accepted next.
    gap: bool,
    /// True if it was announced during a pull or while a page is in flight.
    again: bool,
    /// Its turn among the waiting queues.
    waiting: Option<Turn>,
    /// Earliest next pull, if it is parked.
    parked: Option<(Duration, u64)>,
    /// True if its offline messages are still outstanding.
    offline: bool,
    /// True if its offline messages have all come.
    synced: bool,
    /// True if it is in the line of queues at rest, or was.
    lined_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pulling {
    since: Duration,
    /// Unique, ascending number of the pull.
    number: u64,
    key: Option<u64>,
    /// True if it repeats an unanswered pull.
    repeated: bool,
}

/// A turn among the waiting queues: the smaller one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Acks of handled pages, before anything else is fetched; the latest one first.
    First(std::cmp::Reverse<u64>),
    /// In the order of announcement.
    Usual(u64),
    /// Queues that may break the link: when nothing else waits or is pulled, by rank.
    Last(u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pull<'a> {
    pub(super) queue: &'a Jid,
    pub(super) key: Option<u64>,
}

/// Limits for concurrent pulls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    /// Maximum queues with a pull or a page in flight.
    pub(super) queues: usize,
    /// Maximum pulls without their page, by the room for pages.
    pub(super) pulls: usize,
}

/// State of a queue, as a page gives it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageEnd {
    /// Cursor of the pull it answers.
    pub(super) pulled_with: Option<u64>,
    pub(super) next_key: Option<u64>,
    pub(super) is_last: bool,
    pub(super) content: PageContent,
}

/// Novelty of a page's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageContent {
    Nothing,
    /// Messages that were all seen before.
    Known,
    New,
}

impl PageContent {
    /// Classifies a page with this many metas and unseen messages.
    pub(super) fn of(metas: usize, fresh: u64) -> Self {
        match (metas, fresh) {
            (0, _) => PageContent::Nothing,
            (_, 0) => PageContent::Known,
            _ => PageContent::New,
        }
    }
}

/// Next step of a queue after a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next<'a> {
    Pull(Pull<'a>),
    /// A pull follows once there is room for a page.
    Waits,
    Rests,
}

/// Handling of an overdue pull.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Overdue<'a> {
    Repeat(Pull<'a>),
    /// Drop the link: it was repeated already.
    GiveUp,
}

/// Result of recording a queue of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// It is outstanding.
    ToCome,
    /// It was outstanding already, or has come.
    Known,
    /// There is no room for it now.
    NoPlace,
}

/// Queues of one link. Cursors are not kept across links here, so a page can come twice.
///
/// Bounds: [`CAPACITY`](Self::CAPACITY) queues, each with one name of [`LONGEST_NAME`](Self::LONGEST_NAME) bytes. Work
/// per frame is at most logarithmic in the number of queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    known: Vec<Queue>,
    /// Slots by the name's hash, once there are too many for a linear search.
    index: HashMap<u64, Slot>,
    /// Number not in the index because of a hash collision.
    unindexed: usize,
    hasher: RandomState,
    /// Slot of the last lookup; pages come in runs.
    last: Slot,
    /// Announced queues that wait for their turn.
    waiting: BTreeMap<Turn, Slot>,
    /// Queues that are not to be pulled before a moment.
    parked: BTreeMap<(Duration, u64), Slot>,
    pulls: Pulls,
    /// Time a page last answered a pull no younger than the oldest unanswered one: the others waited for it.
    progress: Duration,
    /// Time of the pull that was last answered, until it is read.
    answered: Option<Duration>,
    /// Number with a pull or a page in flight.
    busy: usize,
    /// Number at rest, which can make room.
    resting: usize,
    /// Those at rest, longest first, and some that no longer are; each at most once.
    line: VecDeque<Slot>,
    /// True if a non-empty queue did not fit; the server has to be asked again.
    more: bool,
    /// Last number given to anything.
    counted: u64,
    /// Queues that may break the link.
    pub(super) suspects: Option<Box<Suspects>>,
}

/// Pulls by number, oldest first; a later one also has a later time.
///
/// Numbers only rise, so a new one goes to the end, and few are in flight ([`Limits::pulls`](crate::Limits)).
#[derive(Debug, Default)]
struct Pulls(VecDeque<(u64, Slot)>);

impl Pulls {
    fn push(&mut self, number: u64, slot: Slot) {
        self.0.push_back((number, slot));
    }

    fn remove(&mut self, number: u64) {
        // Pages come in the order of their pulls.
        if self.0.front().is_some_and(|(oldest, _)| *oldest == number) {
            self.0.pop_front();
        } else if let Ok(at) = self.0.binary_search_by_key(&number, |(number, _)| *number) {
            self.0.remove(at);
        }
    }

    fn oldest(&self) -> Option<Slot> {
        self.0.front().map(|(_, slot)| *slot)
    }

    fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().map(|(_, slot)| *slot)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Queues {
    /// Maximum for a linear search.
    const FEW: usize = 8;

    /// Maximum number of queues. Over it, one at rest is forgotten with its cursor, which costs at most a repeated
    /// page; if none is at rest, the server is asked again once there is room.
    pub(super) const CAPACITY: usize = 4096;

    /// Free slots needed before the server is asked again: each time it lists all queues.
    const ROOM: usize = Self::CAPACITY / 4;

    /// Longest name of a queue, in bytes, its 4 parts together.
    pub(super) const LONGEST_NAME: usize = 4096;

    /// Time limit of a pull; then it is repeated, and after the limit again the link is dropped (messages spec §2.2).
    /// Pages that answer earlier pulls restart it.
    pub(super) const PATIENCE: Duration = Duration::from_secs(30);

    /// Returns whether a queue's name is short enough to be stored.
    pub(super) fn takes(queue: JidView<'_>) -> bool {
        let parts = [queue.app_key, queue.name, queue.domain, queue.client_resource];
        parts.into_iter().flatten().map(str::len).sum::<usize>() <= Self::LONGEST_NAME
    }

    /// Pulls an announced queue. It waits if a pull or page of it is in flight, or as many as `allowed` are.
    pub(super) fn announced(&mut self, queue: JidView<'_>, allowed: Allowed, now: Duration) -> Option<Pull<'_>> {
        let Some(slot) = self.slot(queue) else {
            self.more = true;
            return None;
        };
        let full = self.is_full(allowed);
        let entry = self.known.get_mut(slot)?;
        if entry.is_busy() {
            entry.again = true;
            return None;
        }
        if entry.parked.is_some() {
            return None;
        }
        if entry.waiting.is_some() && full {
            return None;
        }
        match self.standing(slot) {
            Standing::Good if !full => return self.pull(slot, now),
            Standing::Good | Standing::Last { .. } => self.wait(slot),
            Standing::Late { after, .. } => self.park(slot, now.saturating_add(after)),
        }
        None
    }

    /// Returns the queues being pulled, the oldest pull first.
    pub(super) fn pulled(&self) -> Vec<Jid> {
        self.pulls.slots().filter_map(|slot| self.known.get(slot)).map(|entry| entry.name.clone()).collect()
    }

    /// Returns those whose repeated pull is overdue as well.
    pub(super) fn unanswered(&self, now: Duration) -> Vec<Jid> {
        let entries = self.pulls.slots().filter_map(|slot| self.known.get(slot));
        let late = |pulling: Pulling| pulling.repeated && now >= pulling.since.saturating_add(Self::PATIENCE);
        entries.filter(|entry| entry.pulling.is_some_and(late)).map(|entry| entry.name.clone()).collect()
    }

    fn standing(&self, slot: Slot) -> Standing {
        match (&self.suspects, self.known.get(slot)) {
            (Some(suspects), Some(entry)) => suspects.standing(entry.name.view()),
            _ => Standing::Good,
        }
    }

    fn park(&mut self, slot: Slot, until: Duration) {
        let place = (until, self.number());
        let waited = self.change(slot, |entry| {
            entry.parked = Some(place);
            entry.waiting.take()
        });
        if let Some(Some(turn)) = waited {
            self.waiting.remove(&turn);
        }
        self.parked.insert(place, slot);
    }

    /// Records a queue that was non-empty when the link came up.
    pub(super) fn listed(&mut self, queue: JidView<'_>) -> Listed {
        let Some(slot) = self.slot(queue) else { return Listed::NoPlace };
        let marked = self.change(slot, |entry| {
            let marked = !entry.offline && !entry.synced;
            entry.offline |= marked;
            marked
        });
        if marked == Some(true) { Listed::ToCome } else { Listed::Known }
    }

    /// Returns whether a listed queue is outstanding.
    pub(super) fn is_to_come(&mut self, queue: JidView<'_>) -> bool {
        self.find(queue).and_then(|slot| self.known.get(slot)).is_some_and(|entry| entry.offline)
    }

    /// Records the end of a queue; returns whether it was outstanding.
    pub(super) fn has_come(&mut self, queue: JidView<'_>) -> bool {
        let Some(slot) = self.find(queue) else { return false };
        let came = self.change(slot, |entry| {
            entry.synced |= entry.offline;
            mem::take(&mut entry.offline)
        });
        came == Some(true)
    }

    /// Returns whether to request the queue list again, because one did not fit and now there is room.
    pub(super) fn wants_list(&self) -> bool {
        self.more && Self::CAPACITY - self.known.len().min(Self::CAPACITY) + self.resting >= Self::ROOM
    }

    /// Records a request for the queue list.
    pub(super) fn list_asked(&mut self) {
        self.more = false;
    }

    /// Returns the next queue whose turn has come, if there is a free slot.
    pub(super) fn next_waiting(&mut self, allowed: Allowed, now: Duration) -> Option<Pull<'_>> {
        self.unpark(now);
        if self.is_full(allowed) {
            return None;
        }
        while let Some((turn, slot)) = self.waiting.pop_first() {
            if matches!(turn, Turn::Last(..)) && !self.pulls.is_empty() {
                self.waiting.insert(turn, slot);
                return None;
            }
            let again = self.change(slot, |entry| {
                entry.waiting = None;
                // One that is being pulled meanwhile has had its turn and must not cost the next one's.
                entry.again |= entry.in_flight > 0;
                entry.is_busy()
            });
            if again == Some(false) {
                return self.pull(slot, now);
            }
        }
        None
    }

    /// Handles a page that is handled already; see [`Queues::handled`].
    pub(super) fn page(
        &mut self,
        queue: JidView<'_>,
        next_key: Option<u64>,
        is_last: bool,
        content: PageContent,
        now: Duration,
    ) -> Option<Pull<'_>> {
        let slot = self.slot_of_page(queue)?;
        let (pulling, goes_on) = self.change(slot, |entry| {
            let pulling = entry.take_pull();
            let end = PageEnd { pulled_with: pulling.and_then(|pulling| pulling.key), next_key, is_last, content };
            (pulling, entry.goes_on(&end))
        })?;
        if let Some(pulling) = pulling {
            self.pull_answered(slot, pulling, now);
        }
        if goes_on { self.pull(slot, now) } else { None }
    }

    /// Puts a page in flight until [`Queues::handled`]: its queue is not pulled. Returns the answered pull's cursor.
    pub(super) fn received(&mut self, queue: JidView<'_>, now: Duration) -> Option<u64> {
        let slot = self.slot_of_page(queue)?;
        let pulled_with = self.answered(slot, now);
        self.change(slot, |entry| entry.in_flight = entry.in_flight.saturating_add(1));
        pulled_with
    }

    /// Drops a page without room: its queue is pulled again, before others, from its old cursor.
    pub(super) fn dropped(&mut self, queue: JidView<'_>, now: Duration) {
        let Some(slot) = self.slot_of_page(queue) else { return };
        self.answered(slot, now);
        self.change(slot, |entry| entry.gap = true);
        self.wait_first(slot);
    }

    /// Gives back a queue's pages: it is not pulled until it is announced, from its old cursor.
    pub(super) fn stand_still(&mut self, queue: JidView<'_>) {
        let Some(slot) = self.slot_of_page(queue) else { return };
        let under_way = self.change(slot, |entry| {
            (entry.in_flight, entry.again, entry.gap) = (0, false, true);
            (entry.pulling.take(), entry.waiting.take(), entry.parked.take())
        });
        let Some((pulling, turn, parked)) = under_way else { return };
        if let Some(pulling) = pulling {
            self.pulls.remove(pulling.number);
        }
        if let Some(turn) = turn {
            self.waiting.remove(&turn);
        }
        if let Some(place) = parked {
            self.parked.remove(&place);
        }
    }

    /// Returns whether a pushed page follows a dropped one: its cursor would acknowledge that one too.
    pub(super) fn is_behind_a_gap(&mut self, queue: JidView<'_>) -> bool {
        let found = self.find(queue).and_then(|slot| self.known.get(slot));
        found.is_some_and(|entry| entry.gap && entry.pulling.is_none())
    }

    /// Completes a page in flight; `end` is the state of its queue.
    ///
    /// The next pull carries the page's cursor and so acknowledges it, even after the last page: a server without the
    /// ack would repeat that page for ever. A page without anything new goes on only while its cursor rises, so that no
    /// server can make us pull in a circle.
    pub(super) fn handled(&mut self, queue: JidView<'_>, end: &PageEnd, allowed: Allowed, now: Duration) -> Next<'_> {
        let full = self.pulls.len() >= allowed.pulls;
        let Some(slot) = self.slot_of_page(queue) else { return Next::Rests };
        let goes_on = self.change(slot, |entry| {
            entry.in_flight = entry.in_flight.saturating_sub(1);
            entry.goes_on(end)
        });
        if goes_on != Some(true) {
            return Next::Rests;
        }
        if full {
            self.wait_first(slot);
            return Next::Waits;
        }
        self.pull(slot, now).map_or(Next::Rests, Next::Pull)
    }

    /// Returns the earliest deadline of the oldest pull.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.oldest_pull().map(|(_, pulling)| self.due(pulling))
    }

    /// Returns the time the first parked queue may be pulled.
    pub(super) fn parked_until(&self) -> Option<Duration> {
        self.parked.first_key_value().map(|((until, _), _)| *until)
    }

    /// Returns an overdue pull, if there is one.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<Overdue<'_>> {
        let (slot, pulling) = self.oldest_pull().filter(|(_, pulling)| now >= self.due(*pulling))?;
        if pulling.repeated {
            return Some(Overdue::GiveUp);
        }
        self.pulls.remove(pulling.number);
        let number = self.number();
        self.pulls.push(number, slot);
        let entry = self.known.get_mut(slot)?;
        entry.pulling = Some(Pulling { since: now, repeated: true, number, ..pulling });
        Some(Overdue::Repeat(Pull { queue: &entry.name, key: pulling.key }))
    }

    /// Returns the time of the pull that a page has just answered.
    pub(super) fn take_answered(&mut self) -> Option<Duration> {
        self.answered.take()
    }

    /// Returns the number of queues with a pull or a page in flight.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.busy
    }

    fn oldest_pull(&self) -> Option<(Slot, Pulling)> {
        let slot = self.pulls.oldest()?;
        Some((slot, self.known.get(slot)?.pulling?))
    }

    fn due(&self, oldest: Pulling) -> Duration {
        oldest.since.max(self.progress).saturating_add(Self::PATIENCE)
    }

    fn is_full(&self, allowed: Allowed) -> bool {
        self.busy >= allowed.queues || self.pulls.len() >= allowed.pulls
    }

    fn number(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    /// Changes an entry and updates the counts.
    fn change<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Queue) -> R) -> Option<R> {
        let entry = self.known.get_mut(slot)?;
        let (was_busy, rested) = (entry.is_busy(), entry.is_at_rest());
        let changed = change(entry);
        self.busy = self.busy + usize::from(entry.is_busy()) - usize::from(was_busy);
        self.resting = self.resting + usize::from(entry.is_at_rest()) - usize::from(rested);
        if entry.is_at_rest() && !mem::replace(&mut entry.lined_up, true) {
            self.line.push_back(slot);
        }
        Some(changed)
    }

    /// Records a received page; returns the cursor of the pull that it answers.
    fn answered(&mut self, slot: Slot, now: Duration) -> Option<u64> {
        let pulling = self.change(slot, Queue::take_pull)??;
        self.pull_answered(slot, pulling, now);
        pulling.key
    }

    fn pull_answered(&mut self, slot: Slot, pulling: Pulling, now: Duration) {
        self.pulls.remove(pulling.number);
        self.answered = Some(pulling.since);
        if let (Some(suspects), Some(entry)) = (&mut self.suspects, self.known.get(slot)) {
            suspects.answered(entry.name.view());
            if suspects.is_empty() {
                self.suspects = None;
            }
        }
        if self.oldest_pull().is_none_or(|(_, oldest)| pulling.since <= oldest.since) {
            self.progress = now;
        }
    }

    fn wait(&mut self, slot: Slot) {
        let number = self.number();
        let turn = match self.standing(slot) {
            Standing::Good => Turn::Usual(number),
            Standing::Last { rank } | Standing::Late { rank, .. } => Turn::Last(rank, number),
        };
        self.line_up(slot, turn);
    }

    fn wait_first(&mut self, slot: Slot) {
        let turn = Turn::First(std::cmp::Reverse(self.number()));
        self.line_up(slot, turn);
    }

    fn line_up(&mut self, slot: Slot, turn: Turn) {
        if let Some(Some(before)) = self.change(slot, |entry| entry.waiting.replace(turn)) {
            self.waiting.remove(&before);
        }
        self.waiting.insert(turn, slot);
    }

    /// Moves due parked queues to the waiting ones.
    fn unpark(&mut self, now: Duration) {
        while let Some(first) = self.parked.first_entry().filter(|first| first.key().0 <= now) {
            let slot = first.remove();
            let free = self.change(slot, |entry| {
                entry.parked = None;
                entry.again |= entry.is_busy();
                !entry.is_busy()
            });
            if free == Some(true) {
                self.wait(slot);
            }
        }
    }

    fn pull(&mut self, slot: Slot, now: Duration) -> Option<Pull<'_>> {
        let number = self.number();
        self.pulls.push(number, slot);
        let waited = self.change(slot, |entry| {
            entry.again = false;
            entry.pulling = Some(Pulling { since: now, number, key: entry.key, repeated: false });
            entry.waiting.take()
        });
        if let Some(Some(turn)) = waited {
            self.waiting.remove(&turn);
        }
        let entry = self.known.get(slot)?;
        Some(Pull { queue: &entry.name, key: entry.key })
    }

    /// Returns a queue's slot; an unknown one is added, if there is room.
    fn slot(&mut self, queue: JidView<'_>) -> Option<Slot> {
        let slot = match self.find(queue) {
            Some(slot) => slot,
            None => self.add(queue)?,
        };
        if let Some(entry) = self.known.get_mut(slot)
            && entry.name.client_resource.as_deref() != queue.client_resource
        {
            entry.name = queue.to_jid();
        }
        Some(slot)
    }

    /// Returns the slot of a page's queue. Without one the page is not acknowledged, so it comes again.
    fn slot_of_page(&mut self, queue: JidView<'_>) -> Option<Slot> {
        let slot = self.slot(queue);
        self.more |= slot.is_none();
        slot
    }

    fn find(&mut self, queue: JidView<'_>) -> Option<Slot> {
        let is = |slot: &Slot| self.known.get(*slot).is_some_and(|entry| queue.same_queue(&entry.name));
        let found = if is(&self.last) {
            Some(self.last)
        } else if self.index.is_empty() {
            self.look_along(queue)
        } else {
            let found = self.index.get(&self.hash(queue)).copied().filter(is);
            found.or_else(|| if self.unindexed > 0 { self.look_along(queue) } else { None })
        }?;
        self.last = found;
        Some(found)
    }

    fn look_along(&self, queue: JidView<'_>) -> Option<Slot> {
        self.known.iter().position(|entry| queue.same_queue(&entry.name))
    }

    fn hash(&self, queue: JidView<'_>) -> u64 {
        let parts = [queue.app_key, queue.name, queue.domain].map(Option::unwrap_or_default);
        self.hasher.hash_one(parts)
    }

    fn add(&mut self, queue: JidView<'_>) -> Option<Slot> {
        let slot = if self.known.len() < Self::CAPACITY {
            self.known.push(Queue::default());
            self.resting += 1;
            self.known.len() - 1
        } else {
            self.longest_at_rest()?
        };
        let hash = self.hash(queue);
        let entry = self.known.get_mut(slot)?;
        let lined_up = mem::replace(&mut entry.lined_up, true);
        let old = mem::replace(entry, Queue { name: queue.to_jid(), hash, lined_up: true, ..Queue::default() });
        if !lined_up {
            self.line.push_back(slot);
        }
        if !self.index.is_empty() {
            match self.index.get(&old.hash) {
                Some(indexed) if *indexed == slot => drop(self.index.remove(&old.hash)),
                _ if self.unindexed > 0 => self.unindexed -= 1,
                _ => {}
            }
            self.enter(slot);
        } else if self.known.len() > Self::FEW {
            (0..self.known.len()).for_each(|slot| self.enter(slot));
        }
        self.last = slot;
        Some(slot)
    }

    fn enter(&mut self, slot: Slot) {
        let Some(entry) = self.known.get(slot) else { return };
        match self.index.entry(entry.hash) {
            std::collections::hash_map::Entry::Vacant(place) => drop(place.insert(slot)),
            std::collections::hash_map::Entry::Occupied(_) => self.unindexed += 1,
        }
    }

    /// Removes the queue longest at rest, to make room.
    fn longest_at_rest(&mut self) -> Option<Slot> {
        while let Some(slot) = self.line.pop_front() {
            let entry = self.known.get_mut(slot)?;
            entry.lined_up = false;
            if entry.is_at_rest() {
                return Some(slot);
            }
        }
        None
    }
}

impl Queue {
    fn is_busy(&self) -> bool {
        self.in_flight > 0 || self.pulling.is_some()
    }

    /// Returns whether only its cursor would be lost.
    fn is_at_rest(&self) -> bool {
        !self.is_busy() && self.waiting.is_none() && self.parked.is_none() && !self.offline
    }

    /// Takes the pull that a received page answers.
    fn take_pull(&mut self) -> Option<Pulling> {
        self.gap = false;
        self.pulling.take()
    }

    /// Records a page's cursor; returns whether to pull the queue with it.
    fn goes_on(&mut self, end: &PageEnd) -> bool {
        let next_key = end.next_key.filter(|key| *key != 0);
        let rises = next_key > self.highest;
        let changes = next_key.is_some() && next_key != end.pulled_with;
        if let Some(key) = next_key {
            self.key = Some(key);
            self.highest = self.highest.max(next_key);
        }
        let fresh = end.content == PageContent::New;
        let go_on = match end.is_last {
            // One repeated on a new link was not acknowledged on the old one.
            true => changes && (fresh || (rises && end.content == PageContent::Known)),
            false => rises || (changes && fresh),
        };
        // With more pages in flight, the last of them handles the announcement.
        go_on || (self.in_flight == 0 && mem::take(&mut self.again))
    }
}

#[cfg(test)]
mod tests;
