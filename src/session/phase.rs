//! Phases of a session; each holds the state that is valid in it alone.

use std::time::Duration;

use crate::{
    model::error::{ConnectStep, DisconnectReason},
    session::{
        connect::{Connecting, login::Login},
        heartbeat::Online,
        outbox::Link,
    },
};

#[derive(Debug)]
pub(super) enum Phase {
    /// Connecting, at a stage with a deadline.
    Connecting(Connecting),
    Waiting(Waiting),
    Online(Box<Online>),
    /// LOGOUT is sent; its answer, the loss of the link or the deadline ends the session.
    LoggingOut(LoggingOut),
}

/// A pause before the next attempt; it is never shorter than `least`, whatever the application hints at.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) attempt: Attempt,
    pub(super) least: Duration,
    pub(super) until: Duration,
}

#[derive(Debug)]
pub(super) struct LoggingOut {
    pub(super) until: Duration,
    pub(super) reason: DisconnectReason,
}

/// Purpose of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attempt {
    /// Login requested by `open`.
    Login(Login),
    /// Reconnect after a lost link.
    Resume,
}

impl Phase {
    /// Returns the attempt that is under way or comes next.
    pub(super) fn attempt(&self) -> Option<Attempt> {
        match self {
            Phase::Connecting(Connecting { attempt, .. }) | Phase::Waiting(Waiting { attempt, .. }) => Some(*attempt),
            Phase::Online(_) | Phase::LoggingOut(_) => None,
        }
    }

    pub(super) fn is_logging_in(&self) -> bool {
        matches!(self.attempt(), Some(Attempt::Login(_)))
    }

    pub(super) fn is_resuming(&self) -> bool {
        matches!(self.attempt(), Some(Attempt::Resume))
    }

    pub(super) fn is_online(&self) -> bool {
        matches!(self, Phase::Online(_))
    }

    /// Returns whether the attempt waits for its permit.
    pub(super) fn awaits_admission(&self) -> bool {
        self.is_at(ConnectStep::Admission)
    }

    /// Returns whether a connect is at this step.
    pub(super) fn is_at(&self, step: ConnectStep) -> bool {
        matches!(self, Phase::Connecting(connecting) if connecting.step() == step)
    }

    /// Returns the route for sends.
    pub(super) fn link(&self) -> Link {
        match self {
            Phase::Online(_) => Link::Up,
            _ if self.is_resuming() => Link::Returning,
            _ => Link::None,
        }
    }
}
