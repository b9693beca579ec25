//! One session, from `open` to its end: five parts, and which of them an input is for.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    config::{Account, Endpoints},
    model::{
        EventKind,
        account::{Device, UserId},
        error::{DisconnectReason, OpenError},
    },
    session::{
        Action, Input,
        connect::login::Login,
        context::Cx,
        handshake::Identity,
        inbox::Inbox,
        outbox::Outbox,
        phase::{Attempt, LoggingOut, Phase, Waiting},
        retry::Retry,
        tokens::Tokens,
    },
};

/// What is true from `open` until the end.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
    /// Who this device is, by the name that the service knows it by.
    pub(super) device: Arc<Device>,
    /// The text for a device that this login kicks.
    pub(super) login_ext: Option<Box<str>>,
    pub(super) tokens: Tokens,
    pub(super) retry: Retry,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
}

/// Whether the session goes on; `?` leaves a step at its end.
pub(super) type Flow = ControlFlow<End>;

/// How a session ends.
#[derive(Debug)]
pub(super) enum End {
    /// Subscribers are told why.
    Disconnected(DisconnectReason),
    /// The login failed before the server had its say; only the caller of `open` is told.
    LoginFailed(OpenError),
}

/// Ends the session.
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
        let device = account.device.map_or_else(|| Arc::clone(&cx.env.device), Arc::new);
        let deadline = (!config.keep_trying_first_login).then(|| cx.after(config.login_deadline));
        Session {
            tokens: Tokens::new(account.credentials),
            retry: Retry::new(config),
            inbox: Inbox::new(user.clone(), account.cursors.is_some()),
            outbox: Outbox::new(user.clone()),
            // `open` moves on at once; until it does, a pause that is over describes the state truly.
            phase: Phase::Waiting(Waiting {
                attempt: Attempt::Login(Login::new(deadline)),
                least: cx.now.mono,
                until: cx.now.mono,
            }),
            device: cx.env.known_as(device),
            login_ext: account.login_ext.map(String::into_boxed_str),
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

    /// Gives an input to the part it is for.
    pub(super) fn step(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Flow {
        match input {
            Input::Close => return self.close(cx),
            Input::Abort(end) => return self.abort(DisconnectReason::ActorEnded(end), cx),
            Input::Discovered(result) => return self.discovered(result, cx),
            Input::Recalled { device, kept } => return self.recalled(device, kept, cx),
            Input::TokenReady { fetch, result } => return self.token_ready(fetch, result, cx),
            Input::Frame(bytes) => return self.frame(bytes, cx),
            Input::NetworkChanged => return self.network_changed(cx),
            Input::Tick => return self.tick(cx),
            Input::Lost(cause) => match &self.phase {
                // Late word of a link that is given up already.
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
            Input::Handled { page } => self.inbox.handled(page, cx),
            Input::Postponed { page, handled, pause } => self.inbox.postponed(page, handled, pause, cx),
            Input::RetryPostponed => self.inbox.retry_postponed(cx),
            Input::Cursors { load, cursors } => self.inbox.cursors_loaded(load, cursors, cx),
            // There is a session already.
            Input::Open(_) => {}
        }
        self.request_list(cx);
        Flow::Continue(())
    }

    /// Says goodbye where the link is up, ends at once where it is not.
    fn close(&mut self, cx: &mut Cx<'_>) -> Flow {
        match &self.phase {
            // Why the goodbye began stays the reason: an application that closes because its token ended hears so.
            Phase::LoggingOut(_) => Flow::Continue(()),
            Phase::Online(_) => self.log_out("inner:logout", DisconnectReason::Closed, cx),
            _ => end(DisconnectReason::Closed),
        }
    }

    /// Ends at once; where the link is up, a goodbye that nobody waits for may still get out.
    fn abort(&mut self, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        if let Phase::LoggingOut(LoggingOut { reason, .. }) = &self.phase {
            return end(reason.clone());
        }
        self.log_out("inner:logout", reason.clone(), cx)?;
        end(reason)
    }

    /// Sends LOGOUT where the link is up, and ends at once where it is not.
    pub(super) fn log_out(&mut self, text: &str, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        let (Phase::Online(online), Some(token)) = (&self.phase, self.tokens.token()) else {
            return end(reason);
        };
        let config = &cx.env.config;
        let identity = Identity { app_key: &config.app_key, user: &self.user, device: &self.device, token };
        let frame = identity.logout(online.session_id(), text);
        let until = cx.after(config.logout_timeout);
        cx.transmit("LOGOUT", frame);
        self.inbox.close(cx);
        self.phase = Phase::LoggingOut(LoggingOut { until, reason });
        Flow::Continue(())
    }

    /// Does the last things, in this order: sends settled, link dropped, `open` answered, subscribers told, `close`
    /// answered.
    pub(super) fn ended(mut self, end: End, cx: &mut Cx<'_>) {
        let closed = DisconnectReason::Closed;
        self.outbox.end(if let End::Disconnected(reason) = &end { reason } else { &closed }, cx);
        self.inbox.oddities.report_rest(cx);
        cx.out.push(Action::Hangup);
        self.inbox.end_offline_sync(cx);
        let unreachable = matches!(
            &end,
            End::LoginFailed(OpenError::Unreachable { .. } | OpenError::Deadline { .. })
                | End::Disconnected(DisconnectReason::AttemptsExhausted { .. })
        );
        if unreachable && matches!(cx.env.config.endpoints, Endpoints::Discovery(_)) {
            cx.env.sockets.forget();
        }
        if self.phase.is_logging_in() {
            let user = self.user.clone();
            cx.out.push(Action::Opened(Err(match &end {
                End::LoginFailed(error) => error.clone(),
                End::Disconnected(DisconnectReason::Refused(refusal)) => {
                    OpenError::Refused { user, refusal: refusal.clone() }
                }
                End::Disconnected(reason) => OpenError::Ended { user, reason: reason.clone() },
            })));
        }
        let reason = if let End::Disconnected(reason) = end { Some(reason) } else { None };
        self.tokens.end(reason.as_ref(), cx);
        if let Some(reason) = reason {
            cx.emit(EventKind::Disconnected { reason });
        }
        cx.out.push(Action::Closed);
    }
}
