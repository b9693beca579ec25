//! One session, from `open` to its end: 5 parts, and the dispatch of inputs to them.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    config::Account,
    model::{
        account::{Device, UserId},
        error::{DisconnectReason, OpenError},
    },
    session::{
        Input,
        admission::Permits,
        close::Drain,
        connect::login::Login,
        context::Cx,
        inbox::Inbox,
        outbox::Outbox,
        phase::{Attempt, Phase, Waiting},
        retry::Retry,
        tokens::Tokens,
    },
};

/// State that lives from `open` to the end.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    /// This device, by the name the service gave it.
    pub(super) device: Arc<Device>,
    /// Text for a device that this login kicks.
    pub(super) login_ext: Option<Arc<str>>,
    pub(super) tokens: Tokens,
    pub(super) retry: Retry,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) permits: Permits,
    /// A logout that waits for the pages in flight.
    pub(super) drain: Option<Box<Drain>>,
    pub(super) phase: Phase,
}

/// Result of a step; `Break` ends the session.
pub(super) type Flow = ControlFlow<End>;

/// End of a session.
#[derive(Debug)]
pub(super) enum End {
    /// Subscribers get the reason.
    Disconnected(DisconnectReason),
    /// The login failed before the server answered; only the caller of `open` gets the error.
    LoginFailed(OpenError),
}

pub(super) fn end(reason: DisconnectReason) -> Flow {
    Flow::Break(End::Disconnected(reason))
}

/// Ends a login that the server has not answered.
pub(super) fn fail_login(error: OpenError) -> Flow {
    Flow::Break(End::LoginFailed(error))
}

impl Session {
    pub(super) fn new(account: Account, cx: &Cx<'_>) -> Self {
        let config = &cx.env.config;
        let user = account.credentials.user().clone();
        let device = account.device.unwrap_or_else(|| Arc::clone(&cx.env.device));
        let deadline = (!config.keep_trying_first_login).then(|| cx.after(config.login_deadline));
        Session {
            tokens: Tokens::new(account.credentials),
            retry: Retry::new(config),
            inbox: Inbox::new(user.clone(), account.cursors.is_some()),
            outbox: Outbox::new(user.clone()),
            // `open` moves on at once; until then a pause that is over describes the state.
            phase: Phase::Waiting(Waiting {
                attempt: Attempt::Login(Login::new(deadline)),
                least: cx.now.mono,
                until: cx.now.mono,
            }),
            device: cx.env.known_as(device),
            drain: None,
            permits: Permits::new(account.admission.is_some()),
            login_ext: account.login_ext,
            user,
        }
    }

    /// Begins the login.
    pub(super) fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.inbox.load_cursors(cx);
        self.recall(cx)
    }

    pub(super) fn already_open(&self) -> OpenError {
        let user = self.user.clone();
        if self.phase.is_logging_in() { OpenError::InProgress { user } } else { OpenError::AlreadyOpen { user } }
    }

    /// Dispatches an input to its part.
    pub(super) fn step(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Flow {
        match input {
            Input::Close => return self.close(cx),
            Input::Abort(end) => return self.abort(DisconnectReason::ActorEnded(end), cx),
            Input::CloseWithin { limit, reason } => return self.close_within(limit, reason, cx),
            Input::Abandon(reason) => return self.abandon(reason, cx),
            Input::Admitted => return self.admitted(cx),
            Input::NotAdmitted => return self.not_admitted(cx),
            Input::Discovered(result) => return self.discovered(result, cx),
            Input::Recalled { device, kept } => return self.recalled(device, kept, cx),
            Input::TokenReady { fetch, result } => return self.token_ready(fetch, result, cx),
            Input::Frame(bytes) => return self.frame(bytes, cx),
            Input::NetworkChanged => return self.network_changed(cx),
            Input::Tick => return self.tick(cx),
            Input::Lost(cause) => match &self.phase {
                // Late report of a link already dropped.
                Phase::Connecting(connecting) if !connecting.has_link() => {}
                _ => return self.lost(cause, cx),
            },
            Input::RenewToken { renewal, token } => self.tokens.give(renewal, token, cx),
            Input::CancelRenewal { renewal } => self.tokens.cancel_given(renewal, cx),
            Input::At(step) => {
                if let Phase::Connecting(connecting) = &mut self.phase {
                    connecting.progress(step);
                }
            }
            Input::Connected => self.connected(cx),
            Input::Alive => {
                if let Phase::Online(online) = &mut self.phase {
                    online.alive(cx.now, &cx.env.config);
                }
            }
            Input::Arriving => {
                cx.env.arrivals.part(cx.now.mono);
                if let Phase::Online(online) = &mut self.phase {
                    online.arriving(cx.now);
                }
            }
            Input::TooLarge => self.inbox.too_large(cx),
            Input::Send { client_id, message } => self.outbox.send(client_id, message, self.phase.link(), cx),
            Input::Room { client_id, request } => self.outbox.change_room(client_id, request, self.phase.link(), cx),
            Input::Handled { page } => {
                self.inbox.handled(page, cx);
                self.drained(cx)?;
            }
            Input::Postponed { page, handled, pause } => {
                self.inbox.postponed(page, handled, pause, cx);
                self.drained(cx)?;
            }
            Input::RetryPostponed => self.inbox.retry_postponed(cx),
            Input::Cursors { load, cursors } => self.inbox.cursors_loaded(load, cursors, cx),
            // There is a session already.
            Input::Open(_) => {}
        }
        self.request_list(cx);
        Flow::Continue(())
    }
}
