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
    /// The event that did not fit behind a notice. It waits instead of being missed: else a subscriber that frees
    /// one place at a time would hear of nothing but its own misses.
    held: Option<Event>,
    /// The episode not yet told.
    episode: Option<Episode>,
    /// Whether the last thing it got was a notice.
    after_notice: bool,
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
        if self.settle().is_err() {
            return Offer::Gone;
        }
        if self.behind() {
            return self.miss(event);
        }
        match self.to.try_send(event.clone()) {
            Ok(()) => {
                self.delivered();
                Offer::Taken
            }
            Err(SendError::Full(event)) if self.debt.after_notice => {
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
                Ok(()) => self.delivered(),
                Err(SendError::Full(event)) => {
                    self.debt.held = Some(event);
                    return Ok(());
                }
                Err(SendError::Closed(_)) => return Err(Gone),
            }
        }
        if let Some(Episode { count, user }) = &self.debt.episode {
            match self.to.try_send(Event::new(user.clone(), EventKind::Missed { count: *count })) {
                Ok(()) => {
                    self.debt.episode = None;
                    self.debt.after_notice = true;
                }
                Err(SendError::Full(_)) => {}
                Err(SendError::Closed(_)) => return Err(Gone),
            }
        }
        Ok(())
    }

    fn delivered(&mut self) {
        self.delivered += 1;
        self.debt.after_notice = false;
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

    /// How many episodes it has been told of.
    #[cfg(test)]
    fn told(&self) -> u64 {
        self.episodes - u64::from(self.debt.episode.is_some())
    }

    pub(super) fn info(&self) -> SubscriberInfo {
        SubscriberInfo { id: self.id.clone(), mask: self.mask, delivered: self.delivered, missed: self.missed }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handlers::probe::{Probe, hearing, next, numbered};

    #[actix::test]
    async fn a_notice_that_does_not_fit_stays_owed_and_goes_on_counting() {
        let (told, mut heard) = hearing();
        let (to, permits) = Probe::gated(2, &told);
        let mut subscriber = Subscriber::new("slow".into(), to, EventMask::ALL);
        for attempt in 1..=5 {
            subscriber.offer(&numbered(attempt));
        }
        subscriber.settle().unwrap();
        assert_eq!(subscriber.offer(&numbered(6)), Offer::Missed);
        permits.add_permits(10);
        assert_eq!((next(&mut heard).await.as_str(), next(&mut heard).await.as_str()), ("1", "2"));
        subscriber.settle().unwrap();
        subscriber.settle().unwrap();
        assert!(!subscriber.behind());
        assert_eq!(subscriber.offer(&numbered(7)), Offer::Taken);
        assert_eq!((next(&mut heard).await.as_str(), next(&mut heard).await.as_str()), ("missed 4", "7"));
        let info = subscriber.info();
        assert_eq!((info.delivered, info.missed), (3, 4));
    }

    #[actix::test]
    async fn a_notice_takes_no_events_place() {
        let (told, mut heard) = hearing();
        let (to, permits) = Probe::gated(1, &told);
        let mut subscriber = Subscriber::new("slow".into(), to, EventMask::ALL);
        let mut stream = Vec::new();
        for attempt in 1..=9 {
            subscriber.offer(&numbered(attempt));
            if attempt % 2 == 0 {
                permits.add_permits(1);
                stream.push(next(&mut heard).await);
            }
        }
        assert_eq!(stream, ["1", "missed 1", "3", "missed 3"]);
    }

    /// What was published, told from what was heard: every gap in the numbers is announced by a notice just before
    /// the next number, with the exact count.
    fn check_stream(heard: &[String], published: u32) -> Result<(), TestCaseError> {
        let mut accounted = 0;
        let mut notices_in_a_row = 0;
        for line in heard {
            if let Some(count) = line.strip_prefix("missed ") {
                accounted += count.parse::<u32>().unwrap();
                notices_in_a_row += 1;
                prop_assert!(notices_in_a_row == 1, "told twice of one episode: {heard:?}");
            } else {
                accounted += 1;
                notices_in_a_row = 0;
                prop_assert_eq!(line.parse::<u32>().unwrap(), accounted, "in {:?}", heard);
            }
        }
        prop_assert_eq!(accounted, published);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_pace_every_event_is_heard_or_counted_once(
            capacity in 1_usize..5,
            steps in prop::collection::vec(prop_oneof![3 => Just(0), 2 => Just(1), 1 => Just(2)], 1..120),
        ) {
            actix::System::new().block_on(async move {
                let (told, mut hears) = hearing();
                let (to, permits) = Probe::gated(capacity, &told);
                let mut subscriber = Subscriber::new("slow".into(), to, EventMask::ALL);
                let (mut heard, mut published, mut queued) = (Vec::new(), 0, 0_usize);
                for step in steps {
                    let notices_before = subscriber.told();
                    let delivered_before = subscriber.info().delivered;
                    match step {
                        0 => {
                            published += 1;
                            subscriber.offer(&numbered(published));
                        }
                        1 if queued > 0 => {
                            permits.add_permits(1);
                            heard.push(next(&mut hears).await);
                            queued -= 1;
                        }
                        _ => subscriber.settle().unwrap(),
                    }
                    queued += (subscriber.info().delivered - delivered_before) as usize;
                    queued += (subscriber.told() - notices_before) as usize;
                    prop_assert!(queued <= capacity);
                }
                permits.add_permits(1 << 20);
                loop {
                    while queued > 0 {
                        heard.push(next(&mut hears).await);
                        queued -= 1;
                    }
                    if !subscriber.behind() {
                        break;
                    }
                    let (delivered, told) = (subscriber.info().delivered, subscriber.told());
                    subscriber.settle().unwrap();
                    queued += (subscriber.info().delivered - delivered + subscriber.told() - told) as usize;
                    prop_assert!(queued > 0, "an idle subscriber is still owed something");
                }
                let info = subscriber.info();
                prop_assert_eq!(info.delivered + info.missed, u64::from(published));
                check_stream(&heard, published)
            })?;
        }
    }
}
