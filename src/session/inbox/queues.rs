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
mod tests;
