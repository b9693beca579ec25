//! Which queues are being pulled, and with which key (connection spec §7.2, messages spec §2.2).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    mem,
    time::Duration,
};

use super::suspects::{Standing, Suspects};
use crate::wire::{Jid, JidView};

/// Where a queue stands in the table.
type Slot = usize;

#[derive(Debug, Default)]
struct Queue {
    /// As the server last named it.
    name: Jid,
    hash: u64,
    /// The last key the server gave; the next pull carries it and so acknowledges what came before it.
    key: Option<u64>,
    /// The highest key it gave; only one above it can go on without bringing anything new.
    highest: Option<u64>,
    /// The key the pull under way was made with, and when it was made.
    pulling: Option<Pulling>,
    /// How many of its pages have come and are still to be handled.
    in_flight: u32,
    /// A page of it was dropped, so that the next one to take is one that was asked for.
    gap: bool,
    /// Something was announced while a pull was under way or a page in hand.
    again: bool,
    /// Its place among those that wait for their turn.
    waiting: Option<Turn>,
    /// Its place among those that are not to be pulled before a moment.
    parked: Option<(Duration, u64)>,
    /// What waited in it when the link came up has not all come yet.
    offline: bool,
    /// What waited in it when the link came up has come.
    synced: bool,
    /// It stands in the line of those at rest, or did.
    lined_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pulling {
    since: Duration,
    /// Tells it from all other pulls; later ones have higher numbers.
    number: u64,
    key: Option<u64>,
    /// Nothing answered the one before it.
    repeated: bool,
}

/// A place among the queues that wait: the smaller one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// What was handled is acknowledged before anything else is fetched; the latest one first.
    First(std::cmp::Reverse<u64>),
    /// In the order they were announced.
    Usual(u64),
    /// Those that may break the link: when nothing else waits or is pulled, by their rank.
    Last(u64, u64),
}

/// One pull to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pull<'a> {
    pub(super) queue: &'a Jid,
    pub(super) key: Option<u64>,
}

/// How much may be under way at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    /// Queues that are being pulled or have a page in hand.
    pub(super) queues: usize,
    /// Pulls whose page has not come, as there is room for pages.
    pub(super) pulls: usize,
}

/// What a page says of its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageEnd {
    /// The key of the pull it answers.
    pub(super) pulled_with: Option<u64>,
    pub(super) next_key: Option<u64>,
    pub(super) is_last: bool,
    pub(super) content: PageContent,
}

/// What a page brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageContent {
    Nothing,
    /// Messages that were all seen before.
    Known,
    New,
}

impl PageContent {
    /// Of a page of so many metas, with so many messages not seen before.
    pub(super) fn of(metas: usize, fresh: u64) -> Self {
        match (metas, fresh) {
            (0, _) => PageContent::Nothing,
            (_, 0) => PageContent::Known,
            _ => PageContent::New,
        }
    }
}

/// How a queue goes on after a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next<'a> {
    Pull(Pull<'a>),
    /// A pull is to follow once there is room for a page.
    Waits,
    Rests,
}

/// What becomes of a pull that nothing has answered in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Overdue<'a> {
    /// It is made once more.
    Repeat(Pull<'a>),
    /// It was made once more already: the link is of no use.
    GiveUp,
}

/// What becomes of a queue in a list of those that hold something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// It is one of those that are still to come.
    ToCome,
    /// It was one of them already, or has come.
    Known,
    /// There is no place for it now.
    NoPlace,
}

/// The queues of one link. Keys are not kept across links here, so a page can come twice.
///
/// Bounds: [`CAPACITY`](Self::CAPACITY) queues, each with a name of [`LONGEST_NAME`](Self::LONGEST_NAME) bytes that is
/// kept once. The work for a frame does not grow with the number of queues, but for a logarithm.
#[derive(Debug, Default)]
pub(super) struct Queues {
    known: Vec<Queue>,
    /// Where to find each queue by its name's hash, once there are more than a look along the table takes.
    index: HashMap<u64, Slot>,
    /// How many are not in the index, because another one has their hash.
    unindexed: usize,
    hasher: RandomState,
    /// Where the last one stood that was looked for; pages come in runs.
    last: Slot,
    /// Announced queues whose turn has not come.
    waiting: BTreeMap<Turn, Slot>,
    /// Queues that are not to be pulled before a moment.
    parked: BTreeMap<(Duration, u64), Slot>,
    /// Pulls that nothing has answered.
    pulls: Pulls,
    /// When a page last answered a pull no younger than the oldest of those unanswered: what is asked for in order comes
    /// in order, so the others were waiting for it.
    progress: Duration,
    /// When the pull was made that a page answered last, until that is asked for.
    answered: Option<Duration>,
    /// How many are being pulled or have a page in hand.
    busy: usize,
    /// How many are at rest, and so can make room.
    resting: usize,
    /// Those at rest, the one that came to it first in front, and some that are not any more; each at most once.
    line: VecDeque<Slot>,
    /// There was no place for a queue that holds something; the server has to be asked for it again.
    more: bool,
    /// The last number given to anything.
    counted: u64,
    /// Which queues may break the link.
    pub(super) suspects: Option<Box<Suspects>>,
}

/// Pulls by their numbers, the oldest first; of two, the later one has the later moment too.
///
/// Numbers only rise, so a new one belongs at the end, and few are under way at once ([`Limits::pulls`](crate::Limits)).
#[derive(Debug, Default)]
struct Pulls(VecDeque<(u64, Slot)>);

impl Pulls {
    fn push(&mut self, number: u64, slot: Slot) {
        self.0.push_back((number, slot));
    }

    fn remove(&mut self, number: u64) {
        // Pages come in the order they are asked for.
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
    /// How many queues are looked for one by one.
    const FEW: usize = 8;

    /// How many queues are remembered. For another one, one at rest is forgotten with its key, which costs at most a
    /// page that comes twice; where none is at rest, the server is asked again once there is room.
    pub(super) const CAPACITY: usize = 4096;

    /// How much of the table has to be free before the server is asked again: each time it lists all it has.
    const ROOM: usize = Self::CAPACITY / 4;

    /// The longest name of a queue, in bytes, its four parts together.
    pub(super) const LONGEST_NAME: usize = 4096;

    /// How long a pull may go unanswered; then it is made once more, and after as long again the link is given up
    /// (messages spec §2.2). Pages that answer earlier pulls begin the wait anew.
    pub(super) const PATIENCE: Duration = Duration::from_secs(30);

    /// Whether a queue's name is none that is too long to be kept.
    pub(super) fn takes(queue: JidView<'_>) -> bool {
        let parts = [queue.app_key, queue.name, queue.domain, queue.client_resource];
        parts.into_iter().flatten().map(str::len).sum::<usize>() <= Self::LONGEST_NAME
    }

    /// A queue holds something: pulls it, or remembers to pull it once more when a pull is under way or a page of it in
    /// hand, or once others are done when as many as are `allowed` are.
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

    /// The queues that are being pulled, the oldest pull first.
    pub(super) fn pulled(&self) -> Vec<Jid> {
        self.pulls.slots().filter_map(|slot| self.known.get(slot)).map(|entry| entry.name.clone()).collect()
    }

    /// Those of them that were made once more and have waited too long since, too.
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

    /// Notes that a queue is one of those that held something when the link came up.
    pub(super) fn listed(&mut self, queue: JidView<'_>) -> Listed {
        let Some(slot) = self.slot(queue) else { return Listed::NoPlace };
        let marked = self.change(slot, |entry| {
            let marked = !entry.offline && !entry.synced;
            entry.offline |= marked;
            marked
        });
        if marked == Some(true) { Listed::ToCome } else { Listed::Known }
    }

    /// Whether a queue is one of those listed that are still to come.
    pub(super) fn is_to_come(&mut self, queue: JidView<'_>) -> bool {
        self.find(queue).and_then(|slot| self.known.get(slot)).is_some_and(|entry| entry.offline)
    }

    /// A queue has come to its end; whether it is one of those listed that were still to come.
    pub(super) fn has_come(&mut self, queue: JidView<'_>) -> bool {
        let Some(slot) = self.find(queue) else { return false };
        let came = self.change(slot, |entry| {
            entry.synced |= entry.offline;
            mem::take(&mut entry.offline)
        });
        came == Some(true)
    }

    /// Whether the server is to be asked which queues hold something, because one had no place and now there is room.
    pub(super) fn wants_list(&self) -> bool {
        self.more && Self::CAPACITY - self.known.len().min(Self::CAPACITY) + self.resting >= Self::ROOM
    }

    /// The server is asked which queues hold something.
    pub(super) fn list_asked(&mut self) {
        self.more = false;
    }

    /// The next queue whose turn has come, if a place is free.
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

    /// A page came that is handled already; see [`Queues::handled`].
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

    /// A page came and is in hand until [`Queues::handled`]: its queue keeps its place and is not pulled meanwhile.
    /// The key of the pull that it answers.
    pub(super) fn received(&mut self, queue: JidView<'_>, now: Duration) -> Option<u64> {
        let slot = self.slot_of_page(queue)?;
        let pulled_with = self.answered(slot, now);
        self.change(slot, |entry| entry.in_flight = entry.in_flight.saturating_add(1));
        pulled_with
    }

    /// A page came for which there is no room: its queue is pulled again, before others, from the key it had.
    pub(super) fn dropped(&mut self, queue: JidView<'_>, now: Duration) {
        let Some(slot) = self.slot_of_page(queue) else { return };
        self.answered(slot, now);
        self.change(slot, |entry| entry.gap = true);
        self.wait_first(slot);
    }

    /// The pages of a queue that came are given back: it stands still until it is announced, from the key it had.
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

    /// Whether a page of this queue comes behind a dropped one, unasked: its key would acknowledge that one too.
    pub(super) fn is_behind_a_gap(&mut self, queue: JidView<'_>) -> bool {
        let found = self.find(queue).and_then(|slot| self.known.get(slot));
        found.is_some_and(|entry| entry.gap && entry.pulling.is_none())
    }

    /// A page in hand was handled, and `end` tells how its queue goes on.
    ///
    /// The next pull carries the page's key and so acknowledges it, also where the page says it is the last:
    /// a server that still waits for the key would send the same page for ever. A page that brings nothing
    /// new goes on only while its key rises, so that no server can make us pull in a circle.
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

    /// When the oldest pull will have waited too long, at the earliest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.oldest_pull().map(|(_, pulling)| self.due(pulling))
    }

    /// When the first queue that is not to be pulled before a moment may be.
    pub(super) fn parked_until(&self) -> Option<Duration> {
        self.parked.first_key_value().map(|((until, _), _)| *until)
    }

    /// A pull that has waited too long, if there is one.
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

    /// When the pull was made that a page has just answered.
    pub(super) fn take_answered(&mut self) -> Option<Duration> {
        self.answered.take()
    }

    /// How many queues wait for a page, or have one in hand.
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

    /// Changes an entry, and counts what that makes of it.
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

    /// A page of a queue is taken; the key of the pull that it answers.
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

    /// Those whose moment has come wait for their turn.
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

    /// Where a queue stands; one not known yet is added, if there is a place.
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

    /// Where a queue stands that a page came of. Without a place the page is not acknowledged, so it comes again.
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

    /// The queue that has been at rest for longest, for another to take its place.
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

    /// Nothing would be lost with it but its key.
    fn is_at_rest(&self) -> bool {
        !self.is_busy() && self.waiting.is_none() && self.parked.is_none() && !self.offline
    }

    /// Notes that a page came; the pull that it answers.
    fn take_pull(&mut self) -> Option<Pulling> {
        self.gap = false;
        self.pulling.take()
    }

    /// Takes a page's key; whether the queue is to be pulled with it.
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
            // One that comes again on a new link was not acknowledged on the old one.
            true => changes && (fresh || (rises && end.content == PageContent::Known)),
            false => rises || (changes && fresh),
        };
        // With more pages in hand, the last of them sees to what was announced meanwhile.
        go_on || (self.in_flight == 0 && mem::take(&mut self.again))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Allowed, PageContent, PageEnd, Queues};
    use crate::wire::Jid;

    /// A pull that outlives the table's next change.
    #[derive(Clone, Debug, PartialEq)]
    struct Pull {
        queue: Jid,
        key: Option<u64>,
    }

    #[derive(Debug, PartialEq)]
    enum Next {
        Pull(Pull),
        Waits,
        Rests,
    }

    fn kept(pull: super::Pull<'_>) -> Pull {
        Pull { queue: pull.queue.clone(), key: pull.key }
    }

    /// The table, by addresses as values.
    #[derive(Default)]
    struct Tested(Queues);

    impl Tested {
        fn announced(&mut self, queue: &Jid, allowed: Allowed, now: Duration) -> Option<Pull> {
            self.0.announced(queue.view(), allowed, now).map(kept)
        }

        fn next_waiting(&mut self, allowed: Allowed, now: Duration) -> Option<Pull> {
            self.0.next_waiting(allowed, now).map(kept)
        }

        fn page(
            &mut self,
            queue: &Jid,
            next_key: Option<u64>,
            is_last: bool,
            content: PageContent,
            now: Duration,
        ) -> Option<Pull> {
            self.0.page(queue.view(), next_key, is_last, content, now).map(kept)
        }

        fn received(&mut self, queue: &Jid) -> Option<u64> {
            self.0.received(queue.view(), NOW)
        }

        fn handled(&mut self, queue: &Jid, end: &PageEnd, allowed: Allowed, now: Duration) -> Next {
            match self.0.handled(queue.view(), end, allowed, now) {
                super::Next::Pull(pull) => Next::Pull(kept(pull)),
                super::Next::Waits => Next::Waits,
                super::Next::Rests => Next::Rests,
            }
        }
    }

    const MANY: Allowed = at_once(usize::MAX);
    const NOW: Duration = Duration::from_secs(1);

    const fn at_once(queues: usize) -> Allowed {
        Allowed { queues, pulls: usize::MAX }
    }

    fn jid(name: &str) -> Jid {
        Jid::user("o#a", name)
    }

    fn pull(name: &str, key: Option<u64>) -> Option<Pull> {
        Some(Pull { queue: jid(name), key })
    }

    #[test]
    fn the_recorded_exchange_of_25_messages_is_pulled_key_by_key() {
        let mut queues = Tested::default();
        assert_eq!(queues.announced(&jid("alice"), MANY, NOW), pull("alice", None));
        assert_eq!(queues.page(&jid("alice"), Some(11), false, PageContent::New, NOW), pull("alice", Some(11)));
        assert_eq!(queues.page(&jid("alice"), Some(12), false, PageContent::New, NOW), pull("alice", Some(12)));
        assert_eq!(queues.page(&jid("alice"), Some(13), false, PageContent::New, NOW), pull("alice", Some(13)));
        assert_eq!(queues.page(&jid("alice"), None, true, PageContent::Known, NOW), None);
        assert_eq!(queues.0.under_way(), 0);
    }

    #[test]
    fn a_notice_during_a_pull_causes_one_more_pull_afterwards() {
        let mut queues = Tested::default();
        assert!(queues.announced(&jid("a"), MANY, NOW).is_some());
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.page(&jid("a"), None, true, PageContent::Known, NOW), pull("a", None));
        assert_eq!(queues.page(&jid("a"), None, true, PageContent::Known, NOW), None);
    }

    #[test]
    fn the_last_key_is_sent_with_the_next_pull_after_a_finished_one() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(5), false, PageContent::New, NOW), pull("a", Some(5)));
        assert_eq!(queues.page(&jid("a"), Some(0), true, PageContent::Known, NOW), None);
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), pull("a", Some(5)));
    }

    #[test]
    fn a_user_and_a_group_of_one_name_are_two_queues_and_the_resource_does_not_count() {
        let mut queues = Tested::default();
        let group = Jid::group("o#a", "x");
        let device = jid("x").with_resource("phone");
        assert!(queues.announced(&jid("x"), MANY, NOW).is_some());
        assert!(queues.announced(&group, MANY, NOW).is_some());
        assert_eq!(queues.announced(&device, MANY, NOW), None);
    }

    #[test]
    fn a_last_page_with_messages_and_a_key_is_acknowledged_once() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::New, NOW), pull("a", Some(9)));
        assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::New, NOW), None);
    }

    #[test]
    fn a_page_without_a_key_that_is_not_the_last_does_not_loop() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), None, false, PageContent::New, NOW), None);
    }

    #[test]
    fn a_key_that_goes_backwards_without_anything_new_ends_the_queue() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert!(queues.page(&jid("a"), Some(9), false, PageContent::New, NOW).is_some());
        assert_eq!(queues.page(&jid("a"), Some(4), false, PageContent::Known, NOW), None);
    }

    #[test]
    fn an_unanswered_pull_is_made_once_more_with_its_key_and_then_given_up() {
        let (mut queues, late, later) = (Queues::default(), NOW + Queues::PATIENCE, NOW + 2 * Queues::PATIENCE);
        assert_eq!(queues.deadline(), None);
        queues.announced(jid("a").view(), MANY, NOW);
        queues.page(jid("a").view(), Some(5), false, PageContent::New, NOW);
        assert_eq!(queues.deadline(), Some(late));
        assert_eq!(queues.overdue(late - Duration::from_millis(1)), None);
        // An announcement meanwhile is no answer.
        assert_eq!(queues.announced(jid("a").view(), MANY, late), None);
        assert_eq!(queues.overdue(late), Some(super::Overdue::Repeat(super::Pull { queue: &jid("a"), key: Some(5) })));
        assert_eq!(queues.overdue(late), None);
        assert_eq!(queues.deadline(), Some(later));
        assert_eq!(queues.overdue(later), Some(super::Overdue::GiveUp));
    }

    #[test]
    fn an_answered_pull_is_not_overdue_and_the_next_one_has_its_own_two_turns() {
        let (mut queues, late) = (Queues::default(), NOW + Queues::PATIENCE);
        queues.announced(jid("a").view(), MANY, NOW);
        assert!(queues.overdue(late).is_some());
        queues.page(jid("a").view(), Some(5), false, PageContent::New, late);
        assert!(matches!(queues.overdue(late + Queues::PATIENCE), Some(super::Overdue::Repeat(_))));
        queues.page(jid("a").view(), None, true, PageContent::Nothing, late + Queues::PATIENCE);
        queues.announced(jid("b").view(), MANY, NOW);
        queues.received(jid("b").view(), late);
        assert_eq!(queues.overdue(late + 9 * Queues::PATIENCE), None, "one is answered, the other has a page in hand");
        assert_eq!(queues.deadline(), None);
    }

    fn end(pulled_with: Option<u64>, next_key: u64) -> PageEnd {
        PageEnd { pulled_with, next_key: Some(next_key), is_last: false, content: PageContent::New }
    }

    #[test]
    fn a_queue_with_a_page_in_hand_keeps_its_place_and_is_not_pulled() {
        let mut queues = Tested::default();
        assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
        assert_eq!(queues.received(&jid("a")), None);
        assert_eq!(queues.announced(&jid("a"), at_once(1), NOW), None);
        assert_eq!(queues.announced(&jid("b"), at_once(1), NOW + Queues::PATIENCE), None);
        let next = queues.handled(&jid("a"), &end(None, 5), at_once(1), NOW);
        assert_eq!(next, Next::Pull(Pull { queue: jid("a"), key: Some(5) }));
        assert_eq!(queues.received(&jid("a")), Some(5));
        let over = PageEnd { is_last: true, content: PageContent::Nothing, ..end(Some(5), 5) };
        assert_eq!(queues.handled(&jid("a"), &over, at_once(1), NOW), Next::Rests);
        assert_eq!(queues.next_waiting(at_once(1), NOW), pull("b", None));
    }

    #[test]
    fn what_is_announced_while_pages_are_in_hand_is_pulled_after_the_last_of_them() {
        let mut queues = Tested::default();
        let unknown = PageEnd { next_key: None, ..end(None, 0) };
        queues.received(&jid("a"));
        queues.received(&jid("a"));
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Rests);
        assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Pull(Pull { queue: jid("a"), key: None }));
    }

    #[test]
    fn without_room_for_a_page_a_queue_waits_before_those_that_were_announced() {
        let mut queues = Tested::default();
        let (none, one) = (Allowed { queues: 9, pulls: 0 }, Allowed { queues: 9, pulls: 1 });
        assert_eq!(queues.announced(&jid("b"), none, NOW), None);
        queues.0.dropped(jid("c").view(), NOW);
        queues.received(&jid("a"));
        assert_eq!(queues.handled(&jid("a"), &end(None, 5), none, NOW), Next::Waits);
        let mut order = Vec::new();
        while let Some(pull) = queues.next_waiting(one, NOW) {
            assert_eq!(queues.next_waiting(one, NOW), None);
            assert_eq!(queues.page(&pull.queue, None, true, PageContent::Nothing, NOW), None);
            order.push((pull.queue.name().to_owned(), pull.key));
        }
        assert_eq!(order, [("a".to_owned(), Some(5)), ("c".to_owned(), None), ("b".to_owned(), None)]);
    }

    #[test]
    fn a_last_page_that_comes_again_on_a_new_link_is_acknowledged_there_once() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::Known, NOW), pull("a", Some(9)));
        assert_eq!(queues.page(&jid("a"), Some(9), true, PageContent::Known, NOW), None);
        assert_eq!(queues.page(&jid("b"), Some(9), true, PageContent::Nothing, NOW), None);
    }

    #[test]
    fn no_more_queues_than_allowed_are_pulled_at_once_and_every_one_has_its_turn() {
        let mut queues = Tested::default();
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let mut under_way: Vec<Pull> = Vec::new();
        for name in names.iter().chain(&names) {
            under_way.extend(queues.announced(&jid(name), at_once(3), NOW));
        }
        assert_eq!(under_way.len(), 3);
        let mut pulled = 0;
        while let Some(pull) = under_way.pop() {
            pulled += 1;
            assert!(queues.0.under_way() <= 3);
            under_way.extend(queues.page(&pull.queue, None, true, PageContent::Known, NOW));
            under_way.extend(queues.next_waiting(at_once(3), NOW));
        }
        // The first three were announced once more while they were being pulled.
        assert_eq!(pulled, 13);
    }

    #[test]
    fn a_queue_pulled_before_its_turn_does_not_cost_the_turn_of_the_next() {
        let mut queues = Tested::default();
        let late = NOW + Queues::PATIENCE;
        assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
        assert!(queues.announced(&jid("b"), at_once(1), NOW).is_none());
        assert!(queues.announced(&jid("c"), at_once(1), NOW).is_none());
        // More are allowed by the time `b` is announced once more.
        assert_eq!(queues.announced(&jid("b"), at_once(2), late), pull("b", None));
        assert_eq!(queues.next_waiting(at_once(3), late), pull("c", None));
        assert_eq!(queues.next_waiting(at_once(4), late), None);
    }

    #[test]
    fn queues_keep_their_keys_however_many_there_are() {
        let mut queues = Tested::default();
        let name = |n: u64| jid(&n.to_string());
        for n in 0..100 {
            queues.announced(&name(n), MANY, NOW);
            queues.page(&name(n), Some(n + 1), false, PageContent::New, NOW);
            queues.page(&name(n), None, true, PageContent::Nothing, NOW);
        }
        for n in (0..100).rev() {
            assert_eq!(queues.announced(&name(n), MANY, NOW), pull(&n.to_string(), Some(n + 1)));
        }
    }

    #[test]
    fn making_room_keeps_the_queues_that_wait_or_are_pulled() {
        let mut queues = Tested::default();
        let few = at_once(2);
        let late = NOW + Queues::PATIENCE;
        queues.announced(&jid("pulled"), few, NOW);
        queues.announced(&jid("in hand"), few, NOW);
        queues.received(&jid("in hand"));
        queues.announced(&jid("waits"), few, NOW);
        for n in 0..2 * Queues::CAPACITY {
            queues.page(&jid(&n.to_string()), Some(7), true, PageContent::Nothing, NOW);
        }
        assert_eq!(queues.0.known.len(), Queues::CAPACITY);
        assert_eq!(queues.page(&jid("pulled"), None, true, PageContent::Nothing, NOW), None);
        assert_eq!(queues.next_waiting(few, NOW), pull("waits", None));
        assert_eq!(
            queues.handled(&jid("in hand"), &end(None, 5), MANY, late),
            Next::Pull(Pull { queue: jid("in hand"), key: Some(5) })
        );
    }

    #[test]
    fn the_table_is_bounded_and_says_when_the_server_is_to_be_asked_again() {
        for allowed in [at_once(3), MANY] {
            let mut queues = Tested::default();
            for n in 0..3 * Queues::CAPACITY {
                queues.announced(&jid(&n.to_string()), allowed, NOW);
                assert!(queues.0.known.len() <= Queues::CAPACITY && queues.0.waiting.len() <= queues.0.known.len());
                assert!(queues.0.line.len() <= queues.0.known.len() && queues.0.pulls.len() <= queues.0.known.len());
                assert!(!queues.0.wants_list(), "there is no room");
            }
            // The first ones are still there, and come to their end.
            let (mut done, mut asked) = (0, None);
            for n in 0..Queues::CAPACITY {
                if allowed.queues == usize::MAX {
                    queues.page(&jid(&n.to_string()), None, true, PageContent::Nothing, NOW);
                } else {
                    assert_eq!(queues.page(&jid(&n.to_string()), None, true, PageContent::Nothing, NOW), None);
                    queues.next_waiting(allowed, NOW);
                }
                done += 1;
                if queues.0.wants_list() {
                    asked = asked.or(Some(done));
                    queues.0.list_asked();
                }
            }
            assert_eq!(asked, Some(Queues::ROOM));
            assert_eq!((queues.0.busy, queues.0.resting, queues.0.waiting.len()), (0, Queues::CAPACITY, 0));
        }
    }

    #[test]
    fn a_queue_at_rest_makes_room_and_the_one_at_rest_for_longest_goes_first() {
        let mut queues = Tested::default();
        for n in 0..Queues::CAPACITY {
            queues.page(&jid(&n.to_string()), Some(7), true, PageContent::Nothing, NOW);
        }
        queues.announced(&jid("0"), MANY, NOW);
        queues.announced(&jid("new"), MANY, NOW);
        assert_eq!(queues.announced(&jid("2"), MANY, NOW), pull("2", Some(7)), "it is still known");
        assert_eq!(queues.page(&jid("0"), None, true, PageContent::Nothing, NOW), None, "and so is this");
        assert_eq!(queues.announced(&jid("0"), MANY, NOW), pull("0", Some(7)));
        assert_eq!(queues.announced(&jid("1"), MANY, NOW), pull("1", None), "it made room, and its key is forgotten");
    }

    #[test]
    fn queues_whose_names_have_one_hash_are_still_two() {
        let mut queues = Tested::default();
        for n in 0..100 {
            queues.announced(&jid(&n.to_string()), MANY, NOW);
        }
        // As if all had the first one's.
        let hash = queues.0.known[0].hash;
        queues.0.known.iter_mut().for_each(|entry| entry.hash = hash);
        queues.0.index = std::iter::once((hash, 0)).collect();
        queues.0.unindexed = 99;
        for n in 0..100 {
            assert_eq!(queues.announced(&jid(&n.to_string()), MANY, NOW), None, "{n} is known, and being pulled");
        }
        assert_eq!(queues.0.known.len(), 100);
    }

    #[test]
    fn pages_that_answer_earlier_pulls_begin_the_wait_of_later_ones_anew() {
        let mut queues = Tested::default();
        for n in 0..3 {
            queues.announced(&jid(&n.to_string()), MANY, NOW);
        }
        let mut now = NOW;
        for round in 0..20 {
            for n in 0..3 {
                now += Duration::from_secs(12);
                assert_eq!(queues.0.overdue(now), None, "round {round}");
                assert!(
                    queues.page(&jid(&n.to_string()), Some(round * 3 + n + 1), false, PageContent::New, now).is_some()
                );
            }
        }
        // One that is overtaken by what was asked for later was not waiting for it.
        for step in 1..10 {
            let later = now + Duration::from_secs(5 * step);
            queues.page(&jid("2"), Some(1000 + step), false, PageContent::New, later);
            queues.page(&jid("1"), Some(1000 + step), false, PageContent::New, later);
        }
        assert!(
            matches!(queues.0.overdue(now + Queues::PATIENCE), Some(super::Overdue::Repeat(pull)) if *pull.queue == jid("0"))
        );
    }

    #[test]
    fn no_table_however_full_makes_the_next_frame_cost_more() {
        let few = at_once(1);
        let each = |waiting: usize| {
            let mut queues = Tested::default();
            for n in 0..waiting {
                queues.announced(&jid(&n.to_string()), few, NOW);
            }
            let unknown: Vec<Jid> = (0..500).map(|n| jid(&format!("x{n}"))).collect();
            let round = || {
                let begun = std::time::Instant::now();
                for queue in &unknown {
                    if queues.0.known.len() >= waiting.max(4_000) {
                        queues.announced(queue, few, NOW);
                    }
                    queues.announced(&jid("1"), few, NOW);
                    queues.0.dropped(jid("17").view(), NOW);
                    queues.0.is_behind_a_gap(jid("3").view());
                }
                begun.elapsed() / 500
            };
            std::iter::repeat_with(round).take(9).min().unwrap_or_default()
        };
        let (few, many) = (each(100), each(Queues::CAPACITY));
        assert!(many < 10 * few + Duration::from_micros(5), "{few:?} with 100 queues, {many:?} with a full table");
    }

    proptest! {
        /// Whatever pages without anything new a server answers with, the pulling ends.
        #[test]
        fn pages_without_anything_new_never_make_a_circle(keys in prop::collection::vec(0_u64..6, 1..4)) {
            let mut queues = Tested::default();
            let mut pulling = queues.announced(&jid("a"), MANY, NOW).is_some();
            let mut pulls = 0;
            for key in keys.iter().cycle() {
                if !pulling {
                    break;
                }
                pulls += 1;
                prop_assert!(pulls < 20);
                pulling = queues.page(&jid("a"), Some(*key), false, PageContent::Known, NOW).is_some();
            }
        }
    }
}
