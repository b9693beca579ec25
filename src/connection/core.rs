use std::{ops::ControlFlow, sync::Arc, time::Duration};

use actix_rt::time::Instant;

use super::watch::StatePublisher;
use crate::{
    delivery::Slot,
    handlers::Handlers,
    session::{Action, Engine, Input, Now},
    util::unix_time,
};

/// The engine with all that a step needs. Apart from the link, so that the engine reads frames in the link's buffer.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) handlers: Handlers,
    pub(super) slot: Arc<Slot>,
    pub(super) publisher: StatePublisher,
    pub(super) begun: Instant,
    /// Actions to carry out at the end of the turn, in order. The capacity stays, so that a step allocates nothing.
    pub(super) actions: Vec<Action>,
}

impl Core {
    pub(super) fn new(engine: Engine, handlers: Handlers, slot: Arc<Slot>, publisher: StatePublisher) -> Self {
        Core { engine, handlers, slot, publisher, begun: Instant::now(), actions: Vec::new() }
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.begun.elapsed(), wall: unix_time::now_ms() }
    }

    pub(super) fn instant(&self, mono: Duration) -> Option<Instant> {
        self.begun.checked_add(mono)
    }

    /// Feeds the engine; its actions wait for the end of the turn. Breaks where it drops the link.
    pub(super) fn step(&mut self, input: Input<'_>, now: Now) -> ControlFlow<()> {
        self.engine.set_wanted(self.handlers.wanted());
        self.engine.set_handled(self.slot.wanted());
        self.engine.set_keeps_encoded(self.slot.keeps_encoded());
        let before = self.actions.len();
        self.engine.step(input, now, &mut self.actions);
        self.publisher.set(self.engine.state());
        let hangs_up = self.actions.iter().skip(before).any(|action| matches!(action, Action::Hangup));
        if hangs_up { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
