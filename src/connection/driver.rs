//! The one future of a connection's actor: calls, a connect under way, the link, the timer and at last what there is to
//! write, in this order, whenever something wakes it. What one of them brings is a turn.
//!
//! One future, because every wake of an actor polls every future in its context.

use std::{
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use actix::{ActorFuture, Context};
use actix_rt::time::{Instant, sleep, sleep_until};
use slog::trace;

use super::actor::{CallDone, ConnectionActor, Dialing, Ending};
use crate::net::websocket::{
    frame::Incoming,
    link::{ReadOutcome, ReadRound},
};
use crate::{
    model::error::{DisconnectReason, LossCause},
    session::{Input, TokenFetch},
};

/// The longest a registry that is behind holds back a round of reading.
const BEHIND: Duration = Duration::from_secs(1);

/// The shortest time that a timer waits for its driver.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) struct Driver;

impl ActorFuture<ConnectionActor> for Driver {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut ConnectionActor,
        ctx: &mut Context<ConnectionActor>,
        task: &mut Task<'_>,
    ) -> Poll<()> {
        actor.drive(ctx, task);
        Poll::Pending
    }
}

impl ConnectionActor {
    fn drive(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(task.waker())) {
            self.waker = Some(task.waker().clone());
        }
        self.look_at_gate(ctx);
        // Before anything is read, so that what is read then is all that had come by the moment the timer stands for.
        self.poll_fired(task);
        self.poll_call(ctx, task);
        self.poll_admission(ctx, task);
        self.poll_token_fetches(ctx, task);
        self.poll_dialing(ctx, task);
        self.poll_link(ctx, task);
        self.poll_timer(ctx, task);
        self.poll_ends(ctx, task);
        // A frame or a timer may have led to frames to send.
        self.write(ctx, task);
    }

    /// Ends a session whose gate is shut.
    fn look_at_gate(&mut self, ctx: &mut Context<Self>) {
        if self.is_shut_out() && self.core.engine.user().is_some() {
            self.step(Input::Abandon(DisconnectReason::LeaseLost), ctx);
        }
    }

    pub(super) fn is_shut_out(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| !gate.is_open())
    }

    fn poll_call(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        let Some(call) = &mut self.call else { return };
        if let Poll::Ready(done) = call.as_mut().poll(task) {
            self.call = None;
            match done {
                CallDone::Recalled(result) => self.recalled(result, ctx),
                CallDone::Discovered(result) => self.step(Input::Discovered(result), ctx),
            }
        }
    }

    fn poll_token_fetches(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        self.cancel_renewals(ctx);
        let mut done = Vec::new();
        self.token_fetches.retain_mut(|(fetch, fetched)| match fetched.as_mut().poll(task) {
            Poll::Ready(result) => {
                done.push((*fetch, result));
                false
            }
            Poll::Pending => true,
        });
        for (fetch, result) in done {
            if let (TokenFetch::Session, Ok(grant), Some(user)) = (fetch, &result, self.core.engine.user()) {
                self.log.inspect(&grant.token, user);
            }
            self.step(Input::TokenReady { fetch, result }, ctx);
        }
    }

    pub(super) fn cancel_renewals(&mut self, ctx: &mut Context<Self>) {
        while let Some(at) = self.renewals.iter().position(|(_, asked)| asked.is_closed()) {
            let (renewal, _) = self.renewals.swap_remove(at);
            self.step(Input::CancelRenewal { renewal }, ctx);
        }
    }

    fn poll_ends(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        let polled = |end: &mut Ending| end.written.as_mut().poll(task).is_ready();
        let done: Vec<_> = self.ends.extract_if(.., polled).collect();
        if !done.is_empty() {
            done.into_iter().for_each(Ending::tell);
            // It may be what the actor waits for.
            self.finish_turn(ctx);
        }
    }

    fn poll_dialing(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        let Some(Dialing { connect, progress, told }) = &mut self.dialing else { return };
        let polled = connect.as_mut().poll(task);
        let step = progress.step();
        if *told != Some(step) {
            *told = Some(step);
            self.step(Input::At(step), ctx);
        }
        if let Poll::Ready(result) = polled {
            self.dialing = None;
            match result {
                Ok(link) => {
                    self.link = Some(link);
                    self.step(Input::Connected, ctx);
                }
                Err(cause) => self.step(Input::Lost(cause), ctx),
            }
        }
    }

    /// Reads a round: feeds each frame to the engine in place, then carries out the actions of all.
    fn poll_link(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        if self.handlers_behind(task) {
            self.core.engine.set_unread(true);
            return;
        }
        let Some(link) = &mut self.link else {
            self.core.engine.set_unread(false);
            return;
        };
        // The frames of a round share one look at the clocks.
        let now = self.core.now();
        let before = link.traffic.read;
        let mut round = ReadRound::begin();
        let outcome = 'round: loop {
            let mut bytes = match link.read(&mut round, task) {
                Ok(bytes) => bytes,
                Err(outcome) => break outcome,
            };
            loop {
                let incoming = match link.next(&mut bytes) {
                    Ok(Some(incoming)) => incoming,
                    Ok(None) => break,
                    Err(cause) => break 'round ReadOutcome::Lost(cause),
                };
                trace!(self.log.logger, "frame in"; "frame" => ?incoming);
                let input = match incoming {
                    Incoming::Binary(frame) => Input::Frame(frame),
                    Incoming::Text(_) | Incoming::Ping(_) | Incoming::Pong(_) => Input::Alive,
                    Incoming::Close { code, reason } => {
                        let reason = reason.to_owned();
                        break 'round ReadOutcome::Lost(LossCause::ClosedByPeer { code, reason });
                    }
                };
                if self.core.step(input, now).is_break() {
                    return self.finish_turn(ctx);
                }
            }
        };
        // A task over its budget finds every socket empty.
        let unread = !matches!(outcome, ReadOutcome::Blocked) || !tokio::task::coop::has_budget_remaining();
        self.core.engine.set_unread(unread);
        let arriving = link.traffic.read != before && link.is_within_a_message();
        let too_large = link.too_large;
        if arriving && !matches!(outcome, ReadOutcome::Lost(_)) {
            let _ = self.core.step(Input::Arriving, now);
        }
        self.finish_turn(ctx);
        match outcome {
            ReadOutcome::Blocked => {}
            ReadOutcome::More => task.waker().wake_by_ref(),
            ReadOutcome::Lost(cause) => {
                if too_large {
                    let _ = self.core.step(Input::TooLarge, now);
                }
                self.lose(cause, ctx);
            }
        }
    }

    /// Returns whether the read gate is closed: the registry has too many events before it.
    fn handlers_behind(&mut self, task: &mut Task<'_>) -> bool {
        if self.link.is_none() {
            self.behind = None;
            return false;
        }
        if let Some(pause) = &mut self.behind
            && pause.as_mut().poll(task).is_ready()
        {
            // Heartbeats must be read whatever is behind.
            self.behind = None;
            return false;
        }
        if self.core.handlers.poll_ready(task).is_ready() {
            self.behind = None;
            return false;
        }
        if self.behind.is_none() {
            let mut pause = Box::pin(sleep(BEHIND.min(self.config.heartbeat_answer / 2)));
            // Registers the task; it cannot be over yet.
            let _ = pause.as_mut().poll(task);
            self.behind = Some(pause);
        }
        true
    }

    fn lose(&mut self, cause: LossCause, ctx: &mut Context<Self>) {
        if let Some(link) = &mut self.link
            && let Some(waker) = &self.waker
        {
            // A last word, such as the code that says what the peer broke; whether it arrives does not matter.
            link.flush(&mut Task::from_waker(waker));
        }
        if let Some(link) = self.link.take() {
            self.stats.on_traffic(link.traffic);
        }
        self.queued.clear();
        self.step(Input::Lost(cause), ctx);
    }

    fn write(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        self.look_at_gate(ctx);
        let Some(link) = &mut self.link else {
            self.queued.clear();
            return;
        };
        link.write(&mut self.queued, task);
        let traffic = std::mem::take(&mut link.traffic);
        let waiting = self.queued.bytes() + link.waiting();
        self.stats.on_traffic(traffic);
        // Sends are refused at the limit; what is beyond it by more than one of them the peer has asked for.
        if waiting > self.config.limits.outbox.saturating_add(self.config.limits.frame) {
            self.lose(LossCause::Io(format!("the peer has stopped reading: {waiting} bytes are waiting")), ctx);
        }
    }

    /// Records the time up to which the timer is due: its driver looks at the sockets first.
    fn poll_fired(&mut self, task: &mut Task<'_>) {
        if let (Some(timer), Some(armed)) = (&mut self.timer, self.armed)
            && timer.as_mut().poll(task).is_ready()
        {
            self.armed = None;
            self.looked = self.looked.max(armed.min(self.core.begun.elapsed()));
        }
    }

    fn poll_timer(&mut self, ctx: &mut Context<Self>, task: &mut Task<'_>) {
        loop {
            let Some(due) = self.core.engine.deadline() else {
                self.timer = None;
                self.armed = None;
                return;
            };
            let now = self.core.now().mono;
            // After a pause of the whole thread, the driver must look first for what came meanwhile.
            if now >= due && (self.link.is_none() || self.looked >= due) {
                let before = self.core.engine.state();
                self.step(Input::Tick, ctx);
                // The engine always moves its deadline on; should it not, the thread must not be held.
                if self.core.engine.deadline() == Some(due) && self.core.engine.state() == before {
                    task.waker().wake_by_ref();
                    return;
                }
                continue;
            }
            let at = if now < due { due } else { now.saturating_add(SHORTEST) };
            if self.poll_sleep(at, task) {
                // Whatever it was for, reading comes first.
                task.waker().wake_by_ref();
            }
            return;
        }
    }

    /// Arms the timer for `due` or a moment before it; `true` when that moment has come already. Traffic moves the
    /// deadline away all the time; a timer that fires too early is cheaper than one that is armed anew for every frame.
    fn poll_sleep(&mut self, due: std::time::Duration, task: &mut Task<'_>) -> bool {
        let far = Instant::now() + std::time::Duration::from_secs(60 * 60);
        let fits = self.armed.is_some_and(|armed| armed <= due);
        let at = self.core.instant(due).map_or(far, |at| at.min(far));
        let sleep = match &mut self.timer {
            Some(sleep) if fits => sleep,
            Some(sleep) => {
                sleep.as_mut().reset(at);
                self.armed = Some(due);
                sleep
            }
            none => {
                self.armed = Some(due);
                none.insert(Box::pin(sleep_until(at)))
            }
        };
        sleep.as_mut().poll(task).is_ready()
    }
}
