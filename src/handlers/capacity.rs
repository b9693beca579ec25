//! Detects room in the mailbox of a subscriber that lags.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use actix::{MailboxError, Message, Recipient, WeakRecipient};

use crate::model::Event;

use super::subscriber::Gone;

/// Capacity of a mailbox that was full. A full mailbox wakes nobody when it gets room again. But an event sent by
/// `Recipient::send` says when it was handled; sent from a fresh clone it is taken by a full mailbox, past its capacity
/// by the one place each sender has. There is never more than one such event of a subscription in a mailbox. It is
/// worth its trick: a burst of 200 events reaches an idle subscriber with actix's mailbox of 16 within 2 ms (measured,
/// debug build, `DropOldest` and `DropNewest` alike). By the sweep alone, every 250 ms, it takes 3 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Capacity {
    #[default]
    Unknown,
    /// An event is in the mailbox past its capacity; a [`Drained`] follows once it has been handled.
    Awaited,
}

/// The subscriber of this serial number has room again, or is gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Drained {
    pub(super) serial: u64,
    pub(super) freed: Freed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freed {
    /// The event past the capacity of its mailbox has been handled.
    Place,
    Bytes,
}

/// Puts an event into a full mailbox, and tells once it has been handled.
pub(super) fn send_past_capacity(
    to: &Recipient<Event>,
    event: Event,
    serial: u64,
    tell: &WeakRecipient<Drained>,
) -> Result<Capacity, Gone> {
    let mut handled = PendingEvent(Some(Box::pin(to.send(event))));
    // What did not fit at once is sent by the first poll, which must come before anything else is sent.
    match handled.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => return Ok(Capacity::Unknown),
        Poll::Ready(Err(_)) => return Err(Gone),
        Poll::Pending => {}
    }
    let tell = tell.clone();
    // A task of its own: every wake of the registry's actor would poll all futures in its context. And one that
    // nobody ends: an event whose sender no longer waits is skipped by its receiver.
    actix_rt::spawn(async move {
        // An error means that the subscriber is gone, which the registry finds by itself.
        let _ = poll_fn(|task| handled.poll(task)).await;
        if let Some(registry) = tell.upgrade() {
            registry.do_send(Drained { serial, freed: Freed::Place });
        }
    });
    Ok(Capacity::Awaited)
}

/// The wait for an event's handling. Left behind where its arbiter ends: the subscriber may live on another.
struct PendingEvent(Option<Pin<Box<Handled>>>);

type Handled = dyn Future<Output = Result<(), MailboxError>>;

impl PendingEvent {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), MailboxError>> {
        let Some(handled) = &mut self.0 else { return Poll::Ready(Ok(())) };
        let polled = handled.as_mut().poll(task);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl Drop for PendingEvent {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use crate::handlers::{
        HandlerRegistry, Overflow, Subscription,
        probe::{Probe, hearing, next, numbered},
    };

    #[actix::test]
    async fn a_mailbox_never_holds_more_than_one_event_past_its_capacity() {
        const CAPACITY: usize = 3;
        let (told, mut heard) = hearing();
        let (to, permits) = Probe::gated(CAPACITY, &told);
        let handlers = HandlerRegistry::start_here(&slog::Logger::root(slog::Discard, slog::o!())).unwrap();
        let ring = Overflow::DropOldest { capacity: 100 };
        handlers.subscribe(Subscription::new("slow", to).overflow(ring)).unwrap();
        let mut taken = 0;
        let mut most = 0;
        for number in 1..=60 {
            handlers.publish(numbered(number));
            if number % 3 != 0 {
                permits.add_permits(1);
                taken += 1;
                assert_eq!(next(&mut heard).await, taken.to_string());
            }
            let info = handlers.subscribers().await.unwrap().remove(0);
            assert_eq!(info.delivered + info.queued as u64, u64::from(number));
            most = most.max(info.delivered - taken);
        }
        assert_eq!(most, CAPACITY as u64 + 1);
        permits.add_permits(100);
        for number in taken + 1..=60 {
            assert_eq!(next(&mut heard).await, number.to_string());
        }
    }
}
