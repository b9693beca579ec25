//! How a subscriber that is behind is known to have room again.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use actix::{Recipient, dev::RecipientRequest};
use actix_rt::task::JoinHandle;

use crate::Event;

use super::subscriber::Gone;

/// Done once an event has been handled, or never will be.
pub(super) type Asked = Pin<Box<RecipientRequest<Event>>>;

/// What is known of a mailbox that was full.
///
/// A full mailbox wakes nobody when it gets room again. But an event sent by `Recipient::send` says when it was
/// handled; sent from a fresh clone it is taken by a full mailbox, past its capacity by the one place each sender
/// has. There is never more than one such event in a mailbox.
#[derive(Default)]
pub(super) enum Room {
    #[default]
    Unknown,
    /// An event is in the mailbox past its capacity.
    Asked(Asked),
    /// Somebody waits for it to be handled.
    Awaited { _task: Waiting },
}

impl Room {
    /// Puts an event into a full mailbox.
    pub(super) fn ask(to: &Recipient<Event>, event: Event) -> Result<Self, Gone> {
        let mut asked = Box::pin(to.send(event));
        // What did not fit at once is sent by the first poll, which must come before anything else is sent.
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Ok(Room::Unknown),
            Poll::Ready(Err(_)) => Err(Gone),
            Poll::Pending => Ok(Room::Asked(asked)),
        }
    }

    pub(super) fn take_asked(&mut self) -> Option<Asked> {
        match std::mem::take(self) {
            Room::Asked(asked) => Some(asked),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Room::Unknown => "Unknown",
            Room::Asked(_) => "Asked",
            Room::Awaited { .. } => "Awaited",
        })
    }
}

/// A task that waits; it ends with this.
pub(super) struct Waiting(pub(super) JoinHandle<()>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
