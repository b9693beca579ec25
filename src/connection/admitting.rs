//! The permits of a session's attempts: asks the application's admission, and reports how each attempt ended.

use std::{sync::Arc, task::Context as Task, task::Poll};

use actix::Context;

use super::actor::ConnectionActor;
use crate::{
    model::admission::{Admission, Attempt, AttemptOutcome, Permit, Ticket},
    session::Input,
    util::lent::{Lent, caught},
};

/// The admission of the session's account, and where the attempt stands with it.
pub(super) struct Admitting {
    admission: Lent<Arc<dyn Admission>>,
    asked: Option<Asked>,
    permit: Option<Permit>,
}

enum Asked {
    Waiting(Lent<Ticket>),
    /// The admission panicked when it was asked.
    Panicked,
}

impl Admitting {
    pub(super) fn new(admission: Arc<dyn Admission>) -> Self {
        Admitting { admission: Lent::new(admission), asked: None, permit: None }
    }

    pub(super) fn ask(&mut self, attempt: Attempt) {
        let ticket = self.admission.get().and_then(|admission| caught(|| admission.ask(attempt)));
        self.asked = Some(ticket.map_or(Asked::Panicked, |ticket| Asked::Waiting(Lent::new(ticket))));
    }

    /// Takes the request back, if one is under way.
    pub(super) fn cancel(&mut self) {
        self.asked = None;
    }

    pub(super) fn over(&mut self, outcome: AttemptOutcome) {
        if let Some(permit) = self.permit.take() {
            permit.end(outcome);
        }
    }

    /// Returns what came of the request.
    fn poll(&mut self, task: &mut Task<'_>) -> Poll<Input<'static>> {
        let polled = match &mut self.asked {
            None => return Poll::Pending,
            Some(Asked::Panicked) => Poll::Ready(None),
            Some(Asked::Waiting(ticket)) => match ticket.with(|ticket| ticket.as_mut().poll(task)) {
                Some(polled) => polled.map(Some),
                None => Poll::Ready(None),
            },
        };
        polled.map(|permit| {
            self.asked = None;
            self.permit = permit;
            if self.permit.is_some() { Input::Admitted } else { Input::NotAdmitted }
        })
    }
}

impl ConnectionActor {
    pub(super) fn poll_admission(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        if let Some(admitting) = &mut self.admitting
            && let Poll::Ready(input) = admitting.poll(task)
        {
            self.step(input, ctx);
        }
    }
}
