use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::{self, error::RecvError};

use super::Closed;
use crate::{
    config::Hook,
    model::{ConnectionState, Observed, Observer, error::ActorEnd},
    util::lent::caught,
};

/// The connection's state as last seen by its actor, and those who watch it.
#[derive(Debug, Default)]
pub(super) struct StateCell(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: ConnectionState,
    /// Made by the first watcher, since most connections have none.
    watchers: Option<broadcast::Sender<ConnectionState>>,
    ended: Option<ActorEnd>,
    cut: bool,
}

/// Publisher of the state. Reports the actor's end even if that came with its arbiter, by a panic, or before it began.
#[derive(Debug)]
pub(super) struct StatePublisher {
    shared: Arc<StateCell>,
    last: ConnectionState,
    observer: Option<Hook<dyn Observer>>,
}

impl StatePublisher {
    pub(super) fn new(shared: Arc<StateCell>) -> Self {
        StatePublisher { shared, last: ConnectionState::default(), observer: None }
    }

    pub(super) fn set(&mut self, state: ConnectionState) {
        if self.last != state {
            self.last = state;
            self.shared.set_state(state);
            self.observe(Observed::State(state));
        }
    }

    /// Sets who observes from now on, for an account.
    pub(super) fn observed_by(&mut self, observer: Option<Hook<dyn Observer>>) {
        self.observer = observer;
    }

    pub(super) fn observe(&self, what: Observed<'_>) {
        if let Some(observer) = &self.observer {
            // A panic of it must not end the connection, which may be ending by one already.
            let _ = caught(|| observer.0.observe(what));
        }
    }
}

impl StatePublisher {
    pub(super) fn end(&mut self, end: ActorEnd, cut: bool) {
        self.set(ConnectionState::LoggedOut);
        let mut inner = self.shared.inner();
        inner.ended = Some(end);
        inner.cut = cut;
        inner.watchers = None;
    }
}

impl Drop for StatePublisher {
    /// Reports the end of an actor that never began, and so had no session.
    fn drop(&mut self) {
        if self.shared.ended().is_none() {
            self.end(ActorEnd::Stopped, false);
        }
    }
}

impl StateCell {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can be left half-written, so a poisoned lock is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> ConnectionState {
        self.inner().state
    }

    pub(super) fn ended(&self) -> Option<ActorEnd> {
        self.inner().ended
    }

    pub(super) fn closed(&self) -> Closed {
        if self.inner().cut { Closed::ActorGone } else { Closed::NotLoggedIn }
    }

    fn set_state(&self, state: ConnectionState) {
        let mut inner = self.inner();
        if inner.state != state {
            inner.state = state;
            if let Some(watchers) = &inner.watchers
                && watchers.send(state).is_err()
            {
                // Nobody watches any more.
                inner.watchers = None;
            }
        }
    }

    pub(super) fn watch(&self) -> StateWatch {
        let mut inner = self.inner();
        let ended = inner.ended.is_some();
        let watchers = inner.watchers.get_or_insert_with(|| broadcast::Sender::new(StateWatch::CAPACITY));
        let transitions = watchers.subscribe();
        if ended {
            inner.watchers = None;
        }
        StateWatch { initial: Some(inner.state), transitions }
    }
}

/// Sees every change of a connection's state, in order; from [`Connection::watch`](super::Connection::watch).
///
/// A change is what one turn of the connection's actor made of the state. At most [`CAPACITY`](StateWatch::CAPACITY)
/// changes wait for a watcher that does not look; past it the oldest are lost, and the watcher gets their number.
#[derive(Debug)]
pub struct StateWatch {
    initial: Option<ConnectionState>,
    transitions: broadcast::Receiver<ConnectionState>,
}

/// An item of a [`StateWatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateChange {
    /// The connection has come to this state.
    To(ConnectionState),
    /// The watcher did not look for so long that this many changes are lost to it.
    Missed(u64),
}

impl StateWatch {
    /// Changes buffered per watcher.
    pub const CAPACITY: usize = 256;

    /// Returns the state at the time `watch` was called, then each change; `None` once the connection has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<StateChange> {
        if let Some(initial) = self.initial.take() {
            return Some(StateChange::To(initial));
        }
        match self.transitions.recv().await {
            Ok(state) => Some(StateChange::To(state)),
            Err(RecvError::Lagged(missed)) => Some(StateChange::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
