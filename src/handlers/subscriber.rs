use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix::{Recipient, WeakRecipient, dev::SendError};

use crate::{
    handlers::capacity::{self, Capacity, Drained},
    model::{Event, EventMask, account::UserId},
};

use super::{
    Overflow, SubscriberId, SubscriberInfo, Subscription,
    backlog::{Backlog, Item, Misses, Queued},
    in_mailbox::InMailbox,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// It is in the subscriber's mailbox, or will be once what waits before it is.
    Taken,
    /// There was no room; an event is counted as missed.
    Missed,
    /// There was no room, and the subscriber is to be disconnected for it.
    Overflowed,
    Gone,
}

#[derive(Debug)]
pub(super) struct Gone;

/// Subscriber. Fields that every delivery reads come first and are small, for the cache.
#[derive(Debug)]
pub(super) struct Subscriber {
    // The one sender that events are offered to: a fresh clone of a `Recipient` has a free place of its own, so
    // cloning per event would put any number of events into a full mailbox.
    to: Recipient<Event>,
    delivered: u64,
    pub(super) mask: EventMask,
    lagging: bool,
    /// Set if it is to be forgotten at the end of this round.
    pub(super) leaves: bool,
    rest: Box<Rest>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) events: usize,
    bytes: usize,
}

impl Bound {
    /// Returns how many of the bytes may be in the mailbox.
    fn in_mailbox(self) -> usize {
        if self.events == 0 { self.bytes } else { self.bytes / 2 }
    }

    /// Returns whether no more may wait, with these bytes before and in the mailbox, whose own share is bounded.
    pub(super) fn is_reached(self, before: usize, in_mailbox: usize) -> bool {
        let rest = self.bytes - in_mailbox.min(self.bytes / 2);
        before >= rest
    }
}

#[derive(Debug)]
struct Rest {
    id: SubscriberId,
    /// Tells it from others of the same id, before and after.
    serial: u64,
    overflow: Overflow,
    bound: Bound,
    in_mailbox: InMailbox,
    /// Bytes delivered while it lagged.
    given: u64,
    missed: u64,
    misses: Misses,
    coalesced: u64,
    episodes: u64,
    panics: Option<Arc<AtomicU64>>,
    /// Present only while the subscriber lags, or was just notified of misses.
    backlog: Option<Box<Backlog>>,
    pace: Pace,
}

/// Set if a subscriber whose backlog is full is fast enough to be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    #[default]
    Unknown,
    /// Being sampled: samples so far, and the events and bytes delivered before them.
    Sampled { samples: u32, from: u64, given: u64 },
    /// It is not: it is waited for again once it has caught up.
    Slow,
}

impl Pace {
    const SAMPLES: u32 = 5;
    /// Events that a subscriber must handle within the samples.
    const EVENTS: u64 = 50;
    const BYTES: u64 = 1 << 20;
}

impl Subscriber {
    pub(super) fn new(serial: u64, subscription: Subscription) -> Self {
        let Subscription { id, to, mask, overflow, backlog, backlog_bytes, panics } = subscription;
        let rest = Box::new(Rest {
            id,
            serial,
            overflow,
            bound: Bound { events: overflow.ring(backlog), bytes: backlog_bytes },
            in_mailbox: InMailbox::default(),
            given: 0,
            missed: 0,
            misses: Misses::default(),
            coalesced: 0,
            episodes: 0,
            panics,
            backlog: None,
            pace: Pace::default(),
        });
        Subscriber { to, delivered: 0, mask, lagging: false, leaves: false, rest }
    }

    /// Puts a small event into a mailbox without backlog; on `false` it must be [offered](Subscriber::offer).
    #[inline]
    pub(super) fn try_deliver(&mut self, event: &Event) -> bool {
        let passed = !self.lagging && event.weight() <= Overflow::SMALL && self.to.try_send(event.clone()).is_ok();
        self.delivered += u64::from(passed);
        passed
    }

    pub(super) fn offer(&mut self, event: &Event, tell: Option<&WeakRecipient<Drained>>) -> Offer {
        self.rest.backlog.get_or_insert_default().push(event.clone());
        self.lagging = true;
        if self.flush(tell).is_err() {
            return Offer::Gone;
        }
        let rest = &mut *self.rest;
        let Some(backlog) = &mut rest.backlog else { return Offer::Taken };
        let mut outcome = Offer::Taken;
        loop {
            match backlog.keep_within(rest.bound, rest.in_mailbox.bytes(), rest.overflow) {
                Queued::All => return outcome,
                Queued::Coalesced => {
                    rest.coalesced += 1;
                    return outcome;
                }
                Queued::Missed(missed, began) => {
                    rest.missed += 1;
                    rest.misses.count(missed.user());
                    rest.episodes += u64::from(began);
                    outcome = Offer::Missed;
                }
                Queued::Overflowed => {
                    rest.missed += 1;
                    rest.misses.count(event.user());
                    return Offer::Overflowed;
                }
            }
        }
    }

    /// Delivers the backlog as far as there is room; `tell` is notified when there is more.
    pub(super) fn flush(&mut self, tell: Option<&WeakRecipient<Drained>>) -> Result<(), Gone> {
        let Rest { backlog: owed, bound, in_mailbox, given, serial, pace, .. } = &mut *self.rest;
        in_mailbox.collect_released();
        let Some(backlog) = owed else { return Ok(()) };
        while let Some(item) = backlog.pop() {
            let (lagged, bytes, event) = (item.is_lagged(), backlog.bytes_in_mailbox(&item), item.event());
            let weight = event.weight();
            let fits = in_mailbox.has_room(bytes, bound.in_mailbox(), *serial, tell);
            let sent = if fits {
                let event = if bytes > 0 && !lagged { event.handed(in_mailbox.ticket(bytes)) } else { event };
                self.to.try_send(event)
            } else {
                Err(SendError::Full(event))
            };
            match sent {
                Ok(()) => {}
                Err(SendError::Full(event)) => match tell {
                    Some(tell)
                        if (bound.events > 0 || item.is_control() || !fits)
                            && backlog.capacity == Capacity::Unknown =>
                    {
                        // It tells by itself, without a ticket.
                        drop(event);
                        in_mailbox.collect_released();
                        backlog.capacity = capacity::send_past_capacity(&self.to, item.event(), *serial, tell)?;
                        if backlog.capacity == Capacity::Awaited {
                            in_mailbox.mark(if lagged { 0 } else { bytes });
                        }
                    }
                    _ => {
                        // With its ticket.
                        drop(event);
                        in_mailbox.collect_released();
                        backlog.requeue(item);
                        return Ok(());
                    }
                },
                Err(SendError::Closed(_)) => return Err(Gone),
            }
            self.delivered += u64::from(!lagged);
            *given = given.saturating_add(weight as u64);
            backlog.delivered(lagged);
        }
        *pace = Pace::Unknown;
        if backlog.is_caught_up() {
            *owed = None;
            self.lagging = false;
        }
        Ok(())
    }

    /// Puts the whole backlog into the mailbox, past its capacity: there will be no later.
    pub(super) fn flush_past_capacity(&mut self) {
        let Some(mut backlog) = self.rest.backlog.take() else { return };
        self.lagging = false;
        while let Some(item) = backlog.pop() {
            self.delivered += u64::from(matches!(item, Item::Event { .. }));
            self.to.do_send(item.event());
        }
    }

    /// Records that the event past its mailbox's capacity has been handled.
    pub(super) fn drained(&mut self) {
        if let Some(backlog) = &mut self.rest.backlog {
            backlog.capacity = Capacity::Unknown;
        }
        self.rest.in_mailbox.mark_handled();
    }

    pub(super) fn behind(&self) -> bool {
        self.rest.backlog.as_ref().is_some_and(|backlog| backlog.has_items())
    }

    /// Returns whether the next event would cost this subscriber one that it may have the speed to take.
    pub(super) fn exerts_backpressure(&self) -> bool {
        let Rest { backlog: Some(backlog), bound, in_mailbox, pace, .. } = &*self.rest else { return false };
        bound.events > 0 && *pace != Pace::Slow && backlog.is_full(*bound, in_mailbox.bytes())
    }

    /// Takes note of how fast it is, while others wait for it; at the end of the looks it is known to be slow or not.
    pub(super) fn sample_pace(&mut self) {
        let (delivered, total) = (self.delivered, self.rest.given);
        self.rest.pace = match self.rest.pace {
            Pace::Unknown => Pace::Sampled { samples: 0, from: delivered, given: total },
            Pace::Sampled { samples, from, given } if samples + 1 < Pace::SAMPLES => {
                Pace::Sampled { samples: samples + 1, from, given }
            }
            Pace::Sampled { from, given, .. }
                if delivered.saturating_sub(from) < Pace::EVENTS && total.saturating_sub(given) < Pace::BYTES =>
            {
                Pace::Slow
            }
            Pace::Sampled { .. } => Pace::Sampled { samples: 0, from: delivered, given: total },
            Pace::Slow => Pace::Slow,
        };
    }

    pub(super) fn connected(&self) -> bool {
        self.to.connected()
    }

    pub(super) fn id(&self) -> &SubscriberId {
        &self.rest.id
    }

    pub(super) fn serial(&self) -> u64 {
        self.rest.serial
    }

    pub(super) fn episodes(&self) -> u64 {
        self.rest.episodes
    }

    pub(super) fn missed_of(&self, user: &UserId) -> u64 {
        self.rest.misses.of(user)
    }

    #[cfg(test)]
    fn told(&self) -> u64 {
        self.rest.episodes - self.rest.backlog.as_ref().map_or(0, |backlog| backlog.gaps() as u64)
    }

    pub(super) fn info(&self) -> SubscriberInfo {
        let Rest { id, overflow, missed, coalesced, panics, backlog, in_mailbox, .. } = &*self.rest;
        SubscriberInfo {
            id: id.clone(),
            mask: self.mask,
            overflow: *overflow,
            delivered: self.delivered,
            missed: *missed,
            coalesced: *coalesced,
            queued: backlog.as_ref().map_or(0, |backlog| backlog.waiting()),
            queued_bytes: backlog.as_ref().map_or(0, |backlog| backlog.bytes()).saturating_add(in_mailbox.bytes_now()),
            panics: panics.as_ref().map_or(0, |panics| panics.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handlers::probe::{Probe, hearing, next, numbered, sized};

    fn subscriber(to: Recipient<Event>, overflow: Overflow) -> Subscriber {
        Subscriber::new(0, Subscription::new("slow", to).overflow(overflow).backlog(0))
    }

    impl Subscriber {
        fn take(&mut self, event: &Event) -> Offer {
            if self.try_deliver(event) { Offer::Taken } else { self.offer(event, None) }
        }
    }

    #[actix::test]
    async fn a_notice_that_does_not_fit_stays_owed_and_goes_on_counting() {
        let (told, mut heard) = hearing();
        let (to, permits) = Probe::gated(2, &told);
        let mut subscriber = subscriber(to, Overflow::DropNewest);
        for attempt in 1..=5 {
            subscriber.take(&numbered(attempt));
        }
        subscriber.flush(None).unwrap();
        assert_eq!(subscriber.take(&numbered(6)), Offer::Missed);
        permits.add_permits(10);
        assert_eq!((next(&mut heard).await.as_str(), next(&mut heard).await.as_str()), ("1", "2"));
        subscriber.flush(None).unwrap();
        subscriber.flush(None).unwrap();
        assert!(!subscriber.behind());
        assert_eq!(subscriber.take(&numbered(7)), Offer::Taken);
        assert_eq!((next(&mut heard).await.as_str(), next(&mut heard).await.as_str()), ("missed 4", "7"));
        let info = subscriber.info();
        assert_eq!((info.delivered, info.missed), (3, 4));
    }

    #[actix::test]
    async fn a_notice_takes_no_events_place() {
        let (told, mut heard) = hearing();
        let (to, permits) = Probe::gated(1, &told);
        let mut subscriber = subscriber(to, Overflow::DropNewest);
        let mut stream = Vec::new();
        for attempt in 1..=9 {
            subscriber.take(&numbered(attempt));
            if attempt % 2 == 0 {
                permits.add_permits(1);
                stream.push(next(&mut heard).await);
            }
        }
        assert_eq!(stream, ["1", "missed 1", "3", "missed 3"]);
    }

    /// Checks the received events: a notice with the exact count stands before every gap in the numbers.
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

    /// Bound on the bytes a subscriber may hold, where no event is larger than `largest`.
    fn most(bytes: usize, largest: usize) -> usize {
        bytes + 3 * largest
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_sizes_every_event_is_heard_or_counted_once_in_order_and_the_bytes_are_bounded(
            capacity in 1_usize..5,
            ring in 0_usize..6,
            bytes in prop_oneof![Just(1_usize), 1_usize..100_000],
            oldest in any::<bool>(),
            steps in prop::collection::vec(
                prop_oneof![
                    2 => (0_usize..60_000).prop_map(Some),
                    2 => (0_usize..6_000).prop_map(Some),
                    3 => Just(None),
                ],
                1..120,
            ),
        ) {
            const LARGEST: usize = 61_000;
            actix::System::new().block_on(async move {
                let (told, mut hears) = hearing();
                let (to, permits) = Probe::gated(capacity, &told);
                let overflow = match oldest && ring > 0 {
                    true => Overflow::DropOldest { capacity: ring },
                    false => Overflow::DropNewest,
                };
                let subscription = Subscription::new("slow", to).overflow(overflow).backlog(ring).backlog_bytes(bytes);
                let mut subscriber = Subscriber::new(0, subscription);
                let (mut heard, mut published, mut queued) = (Vec::new(), 0, 0_usize);
                for step in steps {
                    let before = (subscriber.info().delivered, subscriber.told());
                    match step {
                        Some(size) => {
                            published += 1;
                            subscriber.take(&sized(published, size));
                        }
                        None if queued > 0 => {
                            permits.add_permits(1);
                            heard.push(next(&mut hears).await);
                            queued -= 1;
                        }
                        None => subscriber.flush(None).unwrap(),
                    }
                    queued += (subscriber.info().delivered - before.0 + subscriber.told() - before.1) as usize;
                    prop_assert!(queued <= capacity);
                    let held = subscriber.info().queued_bytes;
                    prop_assert!(held <= most(bytes, LARGEST), "{} of {}", held, bytes);
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
                    let before = (subscriber.info().delivered, subscriber.told());
                    subscriber.flush(None).unwrap();
                    queued += (subscriber.info().delivered - before.0 + subscriber.told() - before.1) as usize;
                    prop_assert!(queued > 0, "an idle subscriber is still owed something");
                }
                let info = subscriber.info();
                prop_assert_eq!(info.delivered + info.missed, u64::from(published));
                subscriber.flush(None).unwrap();
                prop_assert_eq!(subscriber.info().queued_bytes, 0, "nothing waits");
                check_stream(&heard, published)
            })?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_pace_every_event_is_heard_or_counted_once(
            capacity in 1_usize..5,
            ring in 0_usize..5,
            steps in prop::collection::vec(prop_oneof![3 => Just(0), 2 => Just(1), 1 => Just(2)], 1..120),
        ) {
            actix::System::new().block_on(async move {
                let (told, mut hears) = hearing();
                let (to, permits) = Probe::gated(capacity, &told);
                let mut subscriber = subscriber(to, match ring {
                    0 => Overflow::DropNewest,
                    capacity => Overflow::DropOldest { capacity },
                });
                let (mut heard, mut published, mut queued) = (Vec::new(), 0, 0_usize);
                for step in steps {
                    let notices_before = subscriber.told();
                    let delivered_before = subscriber.info().delivered;
                    match step {
                        0 => {
                            published += 1;
                            subscriber.take(&numbered(published));
                        }
                        1 if queued > 0 => {
                            permits.add_permits(1);
                            heard.push(next(&mut hears).await);
                            queued -= 1;
                        }
                        _ => subscriber.flush(None).unwrap(),
                    }
                    queued += (subscriber.info().delivered - delivered_before) as usize;
                    queued += (subscriber.told() - notices_before) as usize;
                    prop_assert!(queued <= capacity);
                    prop_assert!(subscriber.info().queued <= ring + 1, "the ring, and one held behind a notice");
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
                    subscriber.flush(None).unwrap();
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
