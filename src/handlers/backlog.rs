use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
};

use crate::{
    handlers::capacity::Capacity,
    model::{Event, EventKind, EventMask, account::UserId},
};

use super::{Overflow, subscriber::Bound};

/// Events and notices still to be delivered to a subscriber, in order: a notice stands in each place where events are
/// missing. Every event gets a number when it comes, and what has the lowest number is due next. Ordinary events are
/// bounded by the policy; control events have a place of their own.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    next: u64,
    ordinary: VecDeque<(u64, Event)>,
    bytes: usize,
    control: BTreeMap<u64, Event>,
    /// The newest control event of each kind and account that waits.
    newest: HashMap<(UserId, Control), u64>,
    gaps: VecDeque<Gap>,
    /// Set if the last delivery was a notice. One more event may wait then, or one freed place at a time gets notices
    /// only.
    after_lagged: bool,
    pub(super) capacity: Capacity,
}

#[derive(Debug)]
struct Gap {
    at: u64,
    missed: BTreeMap<UserId, u64>,
}

/// Kinds of control events, coalesced separately.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Control {
    Kind(EventMask),
    SyncStarted,
    RoomLost(Arc<str>),
}

#[derive(Debug)]
pub(super) enum Item {
    Event { at: u64, event: Event },
    Lagged { at: u64, user: UserId, count: u64 },
}

impl Item {
    pub(super) fn is_lagged(&self) -> bool {
        matches!(self, Item::Lagged { .. })
    }

    pub(super) fn is_control(&self) -> bool {
        matches!(self, Item::Event { event, .. } if event.kind().is_control())
    }

    pub(super) fn event(&self) -> Event {
        match self {
            Item::Event { event, .. } => event.clone(),
            Item::Lagged { user, count, .. } => Event::new(user.clone(), EventKind::Missed { count: *count }),
        }
    }
}

#[derive(Debug)]
pub(super) enum Queued {
    All,
    /// An event was missed; `true` where an episode began with it.
    Missed(Event, bool),
    /// A control event went for a newer one of its kind.
    Coalesced,
    /// There is one too many, and the subscriber is to be disconnected for it.
    Overflowed,
}

impl Backlog {
    /// Control events that may wait before newer ones replace older ones of their kind and account.
    pub(super) const CONTROL: usize = 64;

    /// The most gaps; events missed beyond are counted with the last of them.
    const GAPS: usize = 64;

    /// Appends an event; what must go for it, [`keep_within`](Backlog::keep_within) says.
    pub(super) fn push(&mut self, event: Event) {
        let at = self.next;
        self.next += 1;
        if event.kind().is_control() {
            self.control.insert(at, event);
        } else {
            self.bytes = self.bytes.saturating_add(event.weight());
            self.ordinary.push_back((at, event));
        }
    }

    /// Holds the backlog to its bound after one event. Repeat while something is missed: a large event may replace
    /// several.
    pub(super) fn keep_within(&mut self, bound: Bound, in_mailbox: usize, policy: Overflow) -> Queued {
        if self.has_too_many_control()
            && let Some((&at, event)) = self.control.last_key_value()
            && at + 1 == self.next
        {
            let key = (event.user().clone(), Control::of(event.kind()));
            return match self.newest.insert(key, at) {
                Some(older) if older != at && self.control.remove(&older).is_some() => Queued::Coalesced,
                _ => Queued::All,
            };
        }
        // What stands behind a notice is not missed for what comes.
        let held = usize::from(self.after_lagged);
        let newest = self.ordinary.back().map_or(0, |(_, event)| event.weight());
        // The one that reaches the bound may still wait, so that one of any size is heard by who is fast enough.
        let bytes_are_full = bound.is_reached(self.bytes.saturating_sub(newest), in_mailbox);
        let goes = match policy {
            Overflow::DropNewest | Overflow::Disconnect => self.ordinary.len().checked_sub(1),
            // The newest does not go for itself.
            Overflow::DropOldest { .. } => (self.ordinary.len() > held + 1).then_some(held),
        };
        let Some(goes) = goes.filter(|_| bytes_are_full || self.ordinary.len() > bound.events + held) else {
            return Queued::All;
        };
        let Some((at, event)) = self.ordinary.remove(goes) else { return Queued::All };
        self.bytes = self.bytes.saturating_sub(event.weight());
        if policy == Overflow::Disconnect {
            return Queued::Overflowed;
        }
        let before = goes.checked_sub(1).and_then(|before| self.ordinary.get(before)).map(|(at, _)| *at);
        let began = self.miss(at, before, event.user());
        Queued::Missed(event, began)
    }

    fn has_too_many_control(&mut self) -> bool {
        match self.control.len() {
            too_many if too_many > Self::CONTROL => {
                if self.newest.is_empty() {
                    // From here on: those that wait already, in their order, so that the newest of each stays.
                    for (at, event) in &self.control {
                        self.newest.insert((event.user().clone(), Control::of(event.kind())), *at);
                    }
                }
                true
            }
            _ => {
                self.newest.clear();
                false
            }
        }
    }

    /// Counts an event as missed, with what waits just before it; `true` if an episode begins with it.
    fn miss(&mut self, at: u64, before: Option<u64>, user: &UserId) -> bool {
        let room_for_gaps = self.gaps.len() < Self::GAPS;
        // One gap goes on for as long as nothing waits between what it lacks.
        let gap = match self.gaps.back_mut() {
            Some(gap) if !room_for_gaps || before.is_none_or(|before| before < gap.at) => gap,
            _ => {
                self.gaps.push_back(Gap { at, missed: BTreeMap::from([(user.clone(), 1)]) });
                return true;
            }
        };
        // The usual case is one account.
        match gap.missed.get_mut(user) {
            Some(count) => *count += 1,
            None => drop(gap.missed.insert(user.clone(), 1)),
        }
        false
    }

    /// Takes the next item, to be followed by [`delivered`](Backlog::delivered) or [`requeue`](Backlog::requeue).
    pub(super) fn pop(&mut self) -> Option<Item> {
        let ordinary = self.ordinary.front().map_or(u64::MAX, |(at, _)| *at);
        let control = self.control.first_key_value().map_or(u64::MAX, |(at, _)| *at);
        if let Some(gap) = self.gaps.front_mut()
            && gap.at < ordinary.min(control)
        {
            let (at, told) = (gap.at, gap.missed.pop_first());
            if gap.missed.is_empty() {
                self.gaps.pop_front();
            }
            return told.map(|(user, count)| Item::Lagged { at, user, count });
        }
        if control < ordinary {
            return self.control.pop_first().map(|(at, event)| Item::Event { at, event });
        }
        let (at, event) = self.ordinary.pop_front()?;
        self.bytes = self.bytes.saturating_sub(event.weight());
        Some(Item::Event { at, event })
    }

    /// Returns the item's bytes in a mailbox. A notice waits for the event behind it to fit, so that it counts all
    /// misses.
    pub(super) fn bytes_in_mailbox(&self, item: &Item) -> usize {
        match item {
            Item::Event { event, .. } => Self::counted(event),
            Item::Lagged { .. } => self.ordinary.front().map_or(0, |(_, event)| Self::counted(event)),
        }
    }

    /// Nothing for what is small, and for what is never missed.
    fn counted(event: &Event) -> usize {
        let counts = event.weight() > Overflow::SMALL && !event.kind().is_control();
        if counts { event.weight() } else { 0 }
    }

    pub(super) fn delivered(&mut self, lagged: bool) {
        self.after_lagged = lagged;
    }

    pub(super) fn requeue(&mut self, item: Item) {
        match item {
            Item::Event { at, event } if event.kind().is_control() => drop(self.control.insert(at, event)),
            Item::Event { at, event } => {
                self.bytes = self.bytes.saturating_add(event.weight());
                self.ordinary.push_front((at, event));
            }
            Item::Lagged { at, user, count } => {
                if self.gaps.front().is_none_or(|gap| gap.at != at) {
                    self.gaps.push_front(Gap { at, missed: BTreeMap::new() });
                }
                if let Some(gap) = self.gaps.front_mut() {
                    gap.missed.insert(user, count);
                }
            }
        }
    }

    pub(super) fn has_items(&self) -> bool {
        !self.ordinary.is_empty() || !self.control.is_empty() || !self.gaps.is_empty()
    }

    /// Returns whether it is as if there had never been any.
    pub(super) fn is_caught_up(&self) -> bool {
        // While an event is in the mailbox past its capacity, it must be known that there must not be another.
        !self.has_items() && !self.after_lagged && self.capacity == Capacity::Unknown
    }

    pub(super) fn waiting(&self) -> usize {
        self.ordinary.len() + self.control.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.control.values().fold(self.bytes, |sum, event| sum.saturating_add(event.weight()))
    }

    pub(super) fn is_full(&self, bound: Bound, in_mailbox: usize) -> bool {
        self.ordinary.len() >= bound.events || bound.is_reached(self.bytes, in_mailbox)
    }

    /// Returns the number of places where a notice is due.
    #[cfg(test)]
    pub(super) fn gaps(&self) -> usize {
        self.gaps.len()
    }
}

impl Control {
    fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::RoomLost { room, .. } => Control::RoomLost(Arc::clone(room)),
            EventKind::OfflineSyncStarted { .. } => Control::SyncStarted,
            other => Control::Kind(other.mask()),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Misses(HashMap<UserId, u64>);

impl Misses {
    pub(super) fn count(&mut self, user: &UserId) {
        match self.0.entry(user.clone()) {
            Entry::Occupied(mut count) => *count.get_mut() += 1,
            Entry::Vacant(none) => drop(none.insert(1)),
        }
    }

    pub(super) fn of(&self, user: &UserId) -> u64 {
        self.0.get(user).copied().unwrap_or(0)
    }
}
