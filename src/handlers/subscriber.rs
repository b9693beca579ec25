//! One subscriber: its sender, and what it is owed.

use actix::{Recipient, dev::SendError};

use crate::{Event, EventKind, EventMask, UserId};

use super::{SubscriberId, SubscriberInfo};

/// What came of one offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It is in the subscriber's mailbox, or will be next.
    Taken,
    /// The mailbox is full; the event is counted as missed.
    Missed,
    /// The mailbox is closed: the subscriber is gone.
    Gone,
}

/// The subscriber's mailbox is closed.
#[derive(Debug)]
pub(super) struct Gone;

/// What a subscriber is owed before it gets another event, in the order it is due.
#[derive(Debug, Default)]
struct Debt {
    /// The event whose place the last notice took: a notice must not itself cost an event, or a subscriber that
    /// frees one place at a time would hear of nothing but its own misses.
    held: Option<Event>,
    /// The episode not yet told.
    episode: Option<Episode>,
}

#[derive(Debug)]
struct Episode {
    count: u64,
    user: UserId,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: SubscriberId,
    pub(super) mask: EventMask,
    // The one sender ever used: a fresh clone of a `Recipient` has a free place of its own, so cloning per event
    // would put any number of events into a full mailbox.
    to: Recipient<Event>,
    debt: Debt,
    delivered: u64,
    missed: u64,
    episodes: u64,
}

impl Subscriber {
    pub(super) fn new(id: SubscriberId, to: Recipient<Event>, mask: EventMask) -> Self {
        Subscriber { id, mask, to, debt: Debt::default(), delivered: 0, missed: 0, episodes: 0 }
    }

    /// Offers an event: what is owed goes first.
    pub(super) fn offer(&mut self, event: &Event) -> Offer {
        let told_before = self.debt.episode.is_some();
        if self.settle().is_err() {
            return Offer::Gone;
        }
        if self.behind() {
            return self.miss(event);
        }
        match self.to.try_send(event.clone()) {
            Ok(()) => {
                self.delivered += 1;
                Offer::Taken
            }
            Err(SendError::Full(event)) if told_before => {
                self.debt.held = Some(event);
                Offer::Taken
            }
            Err(SendError::Full(event)) => self.miss(&event),
            Err(SendError::Closed(_)) => Offer::Gone,
        }
    }

    /// Delivers what is owed as far as there is room.
    pub(super) fn settle(&mut self) -> Result<(), Gone> {
        if let Some(event) = self.debt.held.take() {
            match self.to.try_send(event) {
                Ok(()) => self.delivered += 1,
                Err(SendError::Full(event)) => {
                    self.debt.held = Some(event);
                    return Ok(());
                }
                Err(SendError::Closed(_)) => return Err(Gone),
            }
        }
        if let Some(Episode { count, user }) = &self.debt.episode {
            match self.to.try_send(Event::new(user.clone(), EventKind::Missed { count: *count })) {
                Ok(()) => self.debt.episode = None,
                Err(SendError::Full(_)) => {}
                Err(SendError::Closed(_)) => return Err(Gone),
            }
        }
        Ok(())
    }

    fn miss(&mut self, event: &Event) -> Offer {
        self.missed += 1;
        match &mut self.debt.episode {
            Some(episode) => episode.count += 1,
            None => {
                self.episodes += 1;
                self.debt.episode = Some(Episode { count: 1, user: event.user().clone() });
            }
        }
        Offer::Missed
    }

    /// Whether anything is owed.
    pub(super) fn behind(&self) -> bool {
        self.debt.held.is_some() || self.debt.episode.is_some()
    }

    pub(super) fn connected(&self) -> bool {
        self.to.connected()
    }

    /// How many episodes there were, the present one included.
    pub(super) fn episodes(&self) -> u64 {
        self.episodes
    }

    pub(super) fn info(&self) -> SubscriberInfo {
        SubscriberInfo { id: self.id.clone(), mask: self.mask, delivered: self.delivered, missed: self.missed }
    }
}
