//! What a subscriber is owed before it gets another event.

use std::collections::VecDeque;

use crate::{Event, EventKind, UserId};

use super::room::Room;

/// What a subscriber is owed, in the order it is due: the held event, the notice, the ring.
///
/// Of the ring only the oldest is ever dropped, and at most one notice is due: so it stands where the events are
/// missing.
#[derive(Debug, Default)]
pub(super) struct Debt {
    /// The event that did not fit behind a notice. It waits instead of being missed: else a subscriber that frees
    /// one place at a time would hear of nothing but its own misses.
    held: Option<Event>,
    /// The episode not yet told.
    pub(super) episode: Option<Episode>,
    /// Events that wait for room. With a policy that lets none wait, it holds the one just offered.
    pub(super) ring: VecDeque<Event>,
    /// Whether the last thing it got was a notice.
    after_notice: bool,
    pub(super) room: Room,
}

#[derive(Debug)]
pub(super) struct Episode {
    count: u64,
    user: UserId,
}

/// The next thing to give.
#[derive(Debug)]
pub(super) enum Due {
    Event(Event),
    Notice(Event),
}

impl Due {
    pub(super) fn into_event(self) -> Event {
        match self {
            Due::Event(event) | Due::Notice(event) => event,
        }
    }
}

impl Debt {
    /// Takes what is due next; what it comes to is to be said by [`given`](Debt::given) or
    /// [`put_back`](Debt::put_back).
    pub(super) fn take_due(&mut self) -> Option<Due> {
        if let Some(held) = self.held.take() {
            return Some(Due::Event(held));
        }
        if let Some(Episode { count, user }) = &self.episode {
            return Some(Due::Notice(Event::new(user.clone(), EventKind::Missed { count: *count })));
        }
        self.ring.pop_front().map(Due::Event)
    }

    pub(super) fn given(&mut self, notice: bool) {
        self.after_notice = notice;
        if notice {
            self.episode = None;
        }
    }

    pub(super) fn put_back(&mut self, notice: bool, event: Event) {
        if notice {
            // It is made anew, with the count it has by then.
        } else if self.after_notice {
            self.held = Some(event);
        } else {
            self.ring.push_front(event);
        }
    }

    /// Counts an event as missed; `true` if an episode begins with it.
    pub(super) fn miss(&mut self, event: &Event) -> bool {
        if let Some(episode) = &mut self.episode {
            episode.count += 1;
            return false;
        }
        self.episode = Some(Episode { count: 1, user: event.user().clone() });
        true
    }

    /// Whether anything is still to be given.
    pub(super) fn owes(&self) -> bool {
        self.held.is_some() || self.episode.is_some() || !self.ring.is_empty()
    }

    /// Whether it is as if there had never been any.
    pub(super) fn is_over(&self) -> bool {
        // While an event is in the mailbox past its capacity, it must be known that there must not be another.
        !self.owes() && !self.after_notice && self.room == Room::Unknown
    }

    /// How many events wait.
    pub(super) fn waiting(&self) -> usize {
        self.ring.len() + usize::from(self.held.is_some())
    }
}
