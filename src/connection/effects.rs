//! The end of a turn: the engine's actions are carried out, in order.

use std::sync::Arc;

use actix::{ActorContext, Context};
use slog::{debug, trace, warn};
use tokio::sync::oneshot;

use super::{
    actor::{CallDone, ConnectionActor, Dialing, Ending, SCRATCH},
    closed::Closed,
    token_cache::{Loaded, TokenCache},
    token_fetch,
    unwritten::unwritten,
};
use crate::{
    model::{
        ConnectionState, Event, EventKind, Observed,
        account::{Device, UserId},
    },
    net::{ConnectProgress, websocket::link::connect},
    session::{Action, Input},
    util::threads::Unfinished,
};

impl ConnectionActor {
    /// Ends a turn: carries out its actions, and stops the actor if that was asked and the session is gone.
    pub(super) fn finish_turn(&mut self, ctx: &mut Context<Self>) {
        self.carry_out_all();
        if self.stopping && self.core.engine.state() == ConnectionState::LoggedOut && self.ends.is_empty() {
            ctx.stop();
        }
    }

    pub(super) fn carry_out_all(&mut self) {
        let mut actions = std::mem::take(&mut self.core.actions);
        actions.drain(..).for_each(|action| self.carry_out(action));
        self.publish_events();
        if let Some(totals) = &self.totals {
            match self.core.engine.take_received() {
                0 => {}
                received => totals.received.add(received),
            }
        }
        // One page can hold many messages; room for the usual few is enough while idle.
        actions.shrink_to(SCRATCH);
        self.core.actions = actions;
    }

    fn carry_out(&mut self, action: Action) {
        // Publish pending events before completing any caller's future.
        if !matches!(action, Action::Emit(_) | Action::Publish(_) | Action::Transmit(_)) {
            self.publish_events();
        }
        match action {
            Action::Transmit(frame) => {
                trace!(self.log.logger, "frame out"; "kind" => frame.kind(), "bytes" => frame.bytes().len());
                self.queued.push(frame);
            }
            Action::Emit(kind) => self.emit(kind),
            Action::Publish(event) => {
                self.log.event(event.kind(), self.core.engine.state());
                self.events.push(event);
            }
            Action::Deliver(page) => {
                if let Some(user) = &self.user {
                    let resource = self.core.engine.resource();
                    self.page_tasks.begin(page, user, resource, &self.config, &self.log.logger);
                }
            }
            Action::LoadCursors { load, user } => {
                self.page_tasks.load(load, &user, &self.config, &self.log.logger);
            }
            Action::Connect { url } => {
                debug!(self.log.logger, "connecting"; "url" => %url);
                let (config, progress) = (Arc::clone(&self.config), ConnectProgress::new());
                let at = progress.clone();
                let gate = self.gate.clone();
                let connect =
                    Box::pin(async move { connect(&url, &config.network, config.limits.sizes(), &at, gate).await });
                self.dialing = Some(Dialing { connect, progress, told: None });
                self.wake();
            }
            Action::Admit(attempt) => {
                debug!(self.log.logger, "waiting for admission"; "attempt" => attempt.number);
                if let Some(admitting) = &mut self.admitting {
                    admitting.ask(attempt);
                    self.wake();
                }
            }
            Action::AttemptOver(outcome) => {
                if let Some(admitting) = &mut self.admitting {
                    admitting.over(outcome);
                }
            }
            Action::Recall { user, device } => self.recall(&user, &device),
            Action::Discover => {
                let found = self.rest.clone().discover();
                self.call = Some(Box::pin(async move { CallDone::Discovered(found.await) }));
                self.wake();
            }
            Action::FetchToken { fetch, request, from } => {
                debug!(self.log.logger, "fetching a token"; "for" => ?fetch, "reason" => ?request.reason);
                let fetched = token_fetch::fetch(request, from, self.rest());
                self.token_fetches.push((fetch, Box::pin(fetched)));
                self.wake();
            }
            Action::DropTokenFetch(dropped) => self.token_fetches.retain(|(fetch, _)| *fetch != dropped),
            Action::TokenChanged(grant) => {
                if let Some(cache) = &mut self.token_cache {
                    cache.store(grant);
                }
            }
            Action::ForgetToken => {
                // The end of the actor is none of the token.
                if let (Some(cache), false) = (&mut self.token_cache, self.dying) {
                    cache.forget();
                }
            }
            Action::Renewed { renewal, outcome } => {
                let asked = self.renewals.iter().position(|(asked, _)| *asked == renewal);
                if let Some((_, asked)) = asked.map(|at| self.renewals.swap_remove(at)) {
                    let _ = asked.send(outcome);
                }
            }
            Action::Reset => self.reset(),
            Action::Hangup => self.hang_up(),
            Action::Opened(result) => {
                self.core.publisher.observe(Observed::Opened(&result));
                self.stats.on_opened(&result);
                if let Err(error) = &result {
                    self.log.login_failed(error);
                }
                if let Some(asked) = self.opening.take().or_else(|| self.asking.take()) {
                    let _ = asked.send(result);
                }
            }
            Action::Rejected(error) => {
                self.log.login_failed(&error);
                let result = Err(error);
                self.core.publisher.observe(Observed::Opened(&result));
                if let Some(asked) = self.asking.take() {
                    let _ = asked.send(result);
                }
            }
            Action::Sent { client_id, outcome } => {
                if let Some(totals) = &self.totals {
                    if outcome.is_ok() { totals.sent.add(1) } else { totals.sends_failed.add(1) }
                }
                if let Err(error) = &outcome {
                    debug!(self.log.logger, "a message was not taken"; "client_id" => client_id, "error" => %error);
                }
                if let Some(asked) = self.sends.remove(&client_id) {
                    let _ = asked.send(outcome);
                }
                if self.sends.is_empty() {
                    self.sends.shrink_to(SCRATCH);
                }
            }
            Action::Closed => {
                self.token_fetches.clear();
                self.page_tasks.end();
                let closed = if self.core.engine.logout_answered() { Closed::LoggedOut } else { Closed::Cut };
                let asked = std::mem::take(&mut self.closing);
                self.tell_closed(closed, asked);
            }
            Action::Note(diagnostic) => {
                self.stats.on_diagnostic(&diagnostic);
                self.log.diagnostic(&diagnostic, self.opening.is_some() || self.asking.is_some());
            }
        }
    }

    fn emit(&mut self, kind: EventKind) {
        self.stats.on_event(&kind, self.totals.as_deref());
        self.log.event(&kind, self.core.engine.state());
        if kind.is_control() || matches!(kind, EventKind::Reconnecting { .. }) {
            self.core.publisher.observe(Observed::Event(&kind));
        }
        if let Some(user) = &self.user
            && self.core.handlers.wanted().contains(kind.mask())
        {
            self.events.push(Event::of_session(user.clone(), kind, self.core.engine.origin()));
        }
    }

    pub(super) fn publish_events(&mut self) {
        if self.dying {
            self.core.handlers.publish_last(std::mem::take(&mut self.events));
            return;
        }
        match self.events.len() {
            0 => {}
            // The list stays for the next one.
            1 => self.events.drain(..).for_each(|event| self.core.handlers.publish(event)),
            _ => self.core.handlers.publish_all(std::mem::take(&mut self.events)),
        }
    }

    /// Resets the link with all that waits to be written.
    fn reset(&mut self) {
        self.queued.clear();
        if let Some(link) = self.link.take() {
            self.stats.on_traffic(link.reset());
        }
    }

    /// Drops the link, a dial and a call. Queued frames are still written as far as the socket takes them.
    fn hang_up(&mut self) {
        self.dialing = None;
        self.call = None;
        if let Some(admitting) = &mut self.admitting {
            admitting.cancel();
        }
        let queued = std::mem::take(&mut self.queued);
        if let (Some(link), Some(waker)) = (self.link.take(), &self.waker) {
            let traffic = match self.is_shut_out() {
                true => link.reset(),
                false => link.close(queued, &mut std::task::Context::from_waker(waker)),
            };
            self.stats.on_traffic(traffic);
        }
        self.wake();
    }

    /// Completes the callers of `close` once the account's files are written, so that a reopened account finds them.
    pub(super) fn tell_closed(&mut self, closed: Closed, asked: Vec<oneshot::Sender<Closed>>) {
        if asked.is_empty() && !self.stopping {
            return;
        }
        let cursors = self.page_tasks.cursors.as_ref();
        let begun = self
            .user
            .as_ref()
            .and_then(|user| unwritten(&self.config, cursors, &self.core.slot, user, &self.log.logger));
        match begun {
            Some(written) => {
                self.ends.push(Ending { closed, asked, written: Box::pin(written) });
                self.wake();
            }
            None => Ending { closed, asked, written: Box::pin(std::future::ready(())) }.tell(),
        }
    }

    fn recall(&mut self, user: &UserId, device: &Device) {
        let Some(state) = &self.config.state_dir else { return };
        let same = self.token_cache.take().filter(|cache| cache.is_of(user));
        let cache = same.unwrap_or_else(|| TokenCache::new(&self.config, state, user, &self.log.logger));
        let recalled = cache.recall(device);
        self.token_cache = Some(cache);
        self.call = Some(Box::pin(async move { CallDone::Recalled(recalled.await) }));
        self.wake();
    }

    /// Continues with the loaded state: its device and token.
    pub(super) fn recalled(&mut self, recalled: Result<Loaded, Unfinished>, ctx: &mut Context<Self>) {
        let (device, token) = match recalled {
            Ok(Loaded { device, token }) => {
                if let Some(cache) = &mut self.token_cache {
                    cache.holds(token.clone());
                }
                (Some(device), token)
            }
            Err(error) => {
                warn!(self.log.logger,
                    "the state folder cannot be read; the login goes on as a new device, without a kept token";
                    "error" => %error);
                (None, None)
            }
        };
        self.step(Input::Recalled { device, kept: token }, ctx);
    }
}
