//! One session, from `open` to its end.

use super::{inbox::Inbox, outbox::Outbox, retry::Retry, tokens::Tokens};
use std::{ops::ControlFlow, sync::Arc, time::Duration};

use super::{Action, Diagnostic, Input, episodes::Oddities, login::Login, online::Online};
use crate::session::{
    connect::Connecting,
    context::Cx,
    handshake::Identity,
    inbox::dedup::DedupWindow,
    outbox::{buffered::BufferedSends, pending::PendingSends, receipts::Receipts},
    retry::{
        backoff::Backoff,
        flapping::ShortSessions,
        kicks::{AfterKick, Takeovers},
    },
    tokens::{clock::Countdown, renewal::Renewal},
};
use crate::{
    config::{Account, Endpoints},
    model::{
        EventKind,
        account::{Device, UserId},
        auth::Secret,
        error::{ConnectStep, DisconnectReason, Kick, LossCause, OpenError, Refusal},
        redactor::Redactor,
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
    /// What must not be shown, for all who show something of this session.
    pub(super) redactor: Redactor,
    pub(super) tokens: Tokens,
    pub(super) retry: Retry,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
}

/// Where the session stands; each phase holds what is true in it alone.
#[derive(Debug)]
pub(super) enum Phase {
    /// On the way in, at a step with a deadline.
    Entering { at: Connecting, purpose: Attempt, until: Duration },
    /// A pause before the next attempt; before `least` there is none, whatever the application hints at.
    Waiting { purpose: Attempt, least: Duration, until: Duration },
    /// The link is up.
    Online(Box<Online>),
    /// LOGOUT is sent; its answer, the end of the link or the deadline ends the session.
    LoggingOut { until: Duration, reason: DisconnectReason },
}

/// What an attempt is for.
#[derive(Clone, Debug)]
pub(super) enum Attempt {
    /// The login asked for by `open`.
    Login(Login),
    /// The way back after a lost link.
    Resume,
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
    /// How far apart hints of a changed network are at least followed.
    const HINTS_APART: Duration = Duration::from_secs(5);

    pub(super) fn new(account: Account, cx: &Cx<'_>) -> Self {
        let credentials = account.credentials;
        let user = credentials.user().clone();
        let device = account.device.map_or_else(|| Arc::clone(&cx.env.device), Arc::new);
        let device = cx.env.known_as(device);
        let token = match &credentials.secret {
            Secret::Token(token) => Some(token.clone()),
            Secret::Password(_) | Secret::Provider => None,
        };
        let config = &cx.env.config;
        let deadline = (!config.keep_trying_first_login).then(|| cx.after(config.login_deadline));
        Session {
            user,
            device,
            login_ext: account.login_ext.map(String::into_boxed_str),
            redactor: cx.env.redactor.clone(),
            tokens: Tokens {
                kept: false,
                secret: credentials.secret,
                token,
                provider: credentials.provider,
                renewal: Renewal::default(),
                former_token: None,
                spare: None,
                fetched_expiry: None,
                ended: false,
                clock: None,
                server_clock: None,
            },
            retry: Retry {
                failed: 0,
                backoff: Backoff::new(&cx.env.config.reconnect),
                flaps: ShortSessions::default(),
                takeovers: Takeovers::default(),
                hinted: None,
            },
            inbox: Inbox {
                dedup: DedupWindow::default(),
                last_sender: None,
                in_flight: None,
                cursors: account.cursors.is_some().then(Box::default),
                suspects: None,
                odd: Oddities::default(),
                unheard: false,
            },
            outbox: Outbox {
                pending: PendingSends::default(),
                buffered: BufferedSends::default(),
                kept_from: Duration::ZERO,
                rooms: Vec::new(),
                more_rooms: Vec::new(),
                receipts: Receipts::default(),
            },
            // `begin` moves on at once; until it does, a pause that is over describes the state truly.
            phase: Phase::Waiting {
                purpose: Attempt::Login(Login { deadline, attempts: 0, waits: 0 }),
                least: cx.now.mono,
                until: cx.now.mono,
            },
        }
    }

    pub(super) fn already_open(&self) -> OpenError {
        let user = self.user.clone();
        match &self.phase {
            Phase::Entering { purpose: Attempt::Login(_), .. } | Phase::Waiting { purpose: Attempt::Login(_), .. } => {
                OpenError::InProgress { user }
            }
            _ => OpenError::AlreadyOpen { user },
        }
    }

    pub(super) fn step(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Flow {
        match input {
            Input::Open(_) => Flow::Continue(()),
            Input::Close => self.close(cx),
            Input::Abort(end) => self.abort(DisconnectReason::ActorEnded(end), cx),
            Input::Discovered(result) => self.discovered(result, cx),
            Input::Recalled { device, token, expires_at } => self.recalled(device, token, expires_at, cx),
            Input::TokenFetched(result) => self.token_fetched(result, cx),
            Input::TokenProvided(result) => self.token_provided(result, cx),
            Input::At(step) => {
                self.connect_is_at(step);
                Flow::Continue(())
            }
            Input::Connected => self.connected(cx),
            Input::Frame(bytes) => self.frame(bytes, cx),
            Input::Alive => {
                if let Phase::Online(online) = &mut self.phase {
                    online.alive(cx.now, &cx.env.config);
                }
                Flow::Continue(())
            }
            Input::TooLarge => {
                self.too_large(cx);
                Flow::Continue(())
            }
            Input::Arriving => {
                cx.env.arrivals.part(cx.now.mono);
                if let Phase::Online(online) = &mut self.phase {
                    online.part(cx.now);
                }
                Flow::Continue(())
            }
            // Late word of a link that is given up already.
            Input::Lost(_)
                if self.is_at(ConnectStep::State)
                    || self.is_at(ConnectStep::Discovery)
                    || self.is_at(ConnectStep::Token) =>
            {
                Flow::Continue(())
            }
            Input::Lost(cause) => self.lost(cause, cx),
            Input::Send { client_id, message } => {
                self.send(client_id, message, cx);
                Flow::Continue(())
            }
            Input::Room { client_id, request } => {
                self.change_room(client_id, request, cx);
                Flow::Continue(())
            }
            Input::Handled { page } => {
                self.handled(page, cx);
                Flow::Continue(())
            }
            Input::Postponed { page, handled, pause } => {
                self.postponed(page, handled, pause, cx);
                Flow::Continue(())
            }
            Input::RetryPostponed => {
                if let Some(in_flight) = &mut self.inbox.in_flight {
                    in_flight.parked.all_due(cx.now.mono);
                }
                self.retry_due(cx);
                Flow::Continue(())
            }
            Input::Cursors { load, cursors } => {
                self.cursors_loaded(load, cursors, cx);
                Flow::Continue(())
            }
            Input::Renewed { token, expires_at } => self.token_given(token, expires_at, cx),
            Input::NetworkChanged => self.network_changed(cx),
            Input::Tick => {
                self.expire_kept(cx);
                self.token_due(cx)?;
                self.renewal_due(cx)?;
                self.phase_due(cx)
            }
        }
    }

    /// Says goodbye where the link is up, ends at once where it is not.
    fn close(&mut self, cx: &mut Cx<'_>) -> Flow {
        match &self.phase {
            // Why the goodbye began stays the reason: an application that closes because its token ended hears so.
            Phase::LoggingOut { .. } => Flow::Continue(()),
            Phase::Online(_) => self.log_out("inner:logout", DisconnectReason::Closed, cx),
            _ => end(DisconnectReason::Closed),
        }
    }

    /// Ends at once; where the link is up, a goodbye that nobody waits for may still get out.
    fn abort(&mut self, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        match &self.phase {
            Phase::LoggingOut { reason, .. } => end(reason.clone()),
            _ => {
                let _ = self.log_out("inner:logout", reason.clone(), cx);
                end(reason)
            }
        }
    }

    pub(super) fn log_out(&mut self, text: &str, reason: DisconnectReason, cx: &mut Cx<'_>) -> Flow {
        let (Phase::Online(online), Some(token)) = (&self.phase, &self.tokens.token) else {
            return end(reason);
        };
        let config = &cx.env.config;
        let identity = Identity { app_key: &config.app_key, user: &self.user, device: &self.device, token };
        let frame = identity.logout(online.session_id(), text);
        let until = cx.after(config.logout_timeout);
        cx.transmit("LOGOUT", frame);
        self.offline_sync_ended(cx);
        self.phase = Phase::LoggingOut { until, reason };
        Flow::Continue(())
    }

    /// The token's countdown runs in every phase, also while the link is down.
    pub(super) fn token_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        if matches!(self.phase, Phase::LoggingOut { .. }) {
            return Flow::Continue(());
        }
        loop {
            let Some(clock) = &mut self.tokens.clock else {
                return Flow::Continue(());
            };
            match clock.check(cx.now) {
                Countdown::Quiet => return Flow::Continue(()),
                Countdown::WillExpire { at, expires_in } => {
                    cx.emit(EventKind::TokenWillExpire { at, expires_in });
                    self.renew_ahead(cx);
                }
                Countdown::Expired { .. } if self.token_source().is_none() => return self.expired(cx),
                Countdown::Expired { certain } => {
                    self.tokens.clock = None;
                    self.outlived(certain, cx);
                    return Flow::Continue(());
                }
            }
        }
    }

    fn phase_due(&mut self, cx: &mut Cx<'_>) -> Flow {
        let now = cx.now.mono;
        match &self.phase {
            Phase::Entering { .. } => self.entering_due(cx),
            Phase::Waiting { until, .. } if now >= *until => self.begin(cx),
            Phase::LoggingOut { until, reason } => {
                let limit = cx.env.config.logout_timeout;
                if cx.env.arrivals.is_late_if_read(*until, limit, now) {
                    end(reason.clone())
                } else {
                    Flow::Continue(())
                }
            }
            Phase::Online(_) => self.online_due(cx),
            _ => Flow::Continue(()),
        }
    }

    /// The link or an attempt is gone.
    pub(super) fn lost(&mut self, cause: LossCause, cx: &mut Cx<'_>) -> Flow {
        match &self.phase {
            Phase::Online(_) => {
                self.link_ended(cx);
                self.fail_sends(&cause, cx);
                self.try_again(Attempt::Resume, cause, cx)
            }
            Phase::Entering { purpose, .. } => self.try_again(purpose.clone(), cause, cx),
            Phase::LoggingOut { reason, .. } => end(reason.clone()),
            Phase::Waiting { .. } => Flow::Continue(()),
        }
    }

    /// A link that was up has ended: ladder and flapping go by how long it held.
    fn link_ended(&mut self, cx: &mut Cx<'_>) {
        self.offline_sync_ended(cx);
        if let Some(in_flight) = &mut self.inbox.in_flight {
            in_flight.link += 1;
            in_flight.parked.link_ended(cx.now.mono);
        }
        let Phase::Online(online) = &mut self.phase else { return };
        self.inbox.suspects = online.queues.suspects.take();
        let uptime = cx.now.mono.saturating_sub(online.since());
        self.retry.backoff.ended(uptime);
        let policy = &cx.env.config.reconnect;
        self.retry.flaps.ended(policy.flapping.as_ref(), uptime < policy.stable_after, cx.now.mono);
    }

    /// The server logs this device out: the end, unless the policy is to come back.
    pub(super) fn kicked(&mut self, kick: Kick, cx: &mut Cx<'_>) -> Flow {
        let after = match (&self.phase, cx.env.config.reconnect.enabled) {
            (Phase::Online(_), true) => self.retry.takeovers.after(&kick, &cx.env.config.kick_policy, cx.now.mono),
            _ => AfterKick::Park,
        };
        let pause = match after {
            AfterKick::Park => return end(DisconnectReason::Kicked(kick)),
            AfterKick::Return => None,
            AfterKick::ReturnAfter(pause) => Some(pause),
        };
        let cause = LossCause::Kicked(kick);
        self.link_ended(cx);
        self.fail_sends(&cause, cx);
        self.try_again_after(pause, Attempt::Resume, cause, cx)
    }

    /// A hint from the application: one probe where the link seems up, one attempt at once where it is down, and the
    /// ladder starts anew. An attempt under way is given up for it, since it may be one over the network that is gone.
    /// Hints within [`Session::HINTS_APART`] of the last one followed are ignored.
    fn network_changed(&mut self, cx: &mut Cx<'_>) -> Flow {
        let now = cx.now.mono;
        if self.retry.hinted.is_some_and(|last| now.saturating_sub(last) < Self::HINTS_APART) {
            return Flow::Continue(());
        }
        self.retry.hinted = Some(now);
        match &mut self.phase {
            Phase::Online(online) => {
                self.retry.backoff.restart();
                online.probe(cx);
                Flow::Continue(())
            }
            Phase::Waiting { purpose: Attempt::Resume, least, until } if now < *least => {
                self.retry.backoff.restart();
                *until = (*until).min(least.saturating_add(self.retry.backoff.next(cx.env.random.f64())));
                Flow::Continue(())
            }
            Phase::Waiting { purpose: Attempt::Resume, .. } => {
                self.retry.backoff.restart_at_first();
                self.begin(cx)
            }
            Phase::Waiting { least, .. } if now >= *least => self.begin(cx),
            Phase::Entering { purpose: Attempt::Resume, .. } => {
                self.retry.backoff.restart_at_first();
                cx.out.push(Action::Hangup);
                self.begin(cx)
            }
            // It waits for no network yet.
            Phase::Entering { at: Connecting::State, .. } => Flow::Continue(()),
            Phase::Entering { purpose: Attempt::Login(login), .. } if !login.is_last_attempt() => {
                login.attempts = login.attempts.saturating_add(1);
                cx.out.push(Action::Hangup);
                self.begin(cx)
            }
            Phase::Waiting { .. } | Phase::Entering { .. } | Phase::LoggingOut { .. } => Flow::Continue(()),
        }
    }

    /// The last things a session does, in this order: sends settled, link dropped, `open` answered, subscribers
    /// told, `close` answered.
    pub(super) fn ended(mut self, end: End, cx: &mut Cx<'_>) {
        self.fail_sends(&LossCause::ClosedHere, cx);
        let reason = match &end {
            End::Disconnected(reason) => reason.clone(),
            End::LoginFailed(_) => DisconnectReason::Closed,
        };
        self.drop_kept(&reason, cx);
        self.tell_odd(cx);
        cx.out.push(Action::Hangup);
        self.offline_sync_ended(cx);
        let unreachable = matches!(
            &end,
            End::LoginFailed(OpenError::Unreachable { .. } | OpenError::Deadline { .. })
                | End::Disconnected(DisconnectReason::AttemptsExhausted { .. })
        );
        if unreachable && matches!(cx.env.config.endpoints, Endpoints::Discovery(_)) {
            cx.env.sockets.forget();
        }
        if self.is_logging_in() {
            let user = self.user.clone();
            cx.out.push(Action::Opened(Err(match &end {
                End::LoginFailed(error) => error.clone(),
                End::Disconnected(DisconnectReason::Refused(refusal)) => {
                    OpenError::Refused { user, refusal: refusal.clone() }
                }
                End::Disconnected(reason) => OpenError::Ended { user, reason: reason.clone() },
            })));
        }
        if let End::Disconnected(reason) = end {
            cx.emit(EventKind::Disconnected { reason });
        }
        cx.out.push(Action::Closed);
    }

    /// PROVISION was refused. A refused token is replaced where there is a source of tokens. Otherwise a refusal is the
    /// end of a login, unless that is kept trying, and of the way back, unless the reason may pass. A new token that is
    /// refused on the way back is a failed attempt: the next one may be good.
    pub(super) fn refused(&mut self, refusal: Refusal, cx: &mut Cx<'_>) -> Flow {
        let Phase::Entering { purpose, .. } = &self.phase else {
            return Flow::Continue(());
        };
        let refusal = refusal.shown_by(|text| self.shown(text));
        if refusal.is_of_token() && self.has_newer_token() {
            // What was refused is a token that a renewal has replaced meanwhile.
            self.tokens.kept = false;
            cx.out.push(Action::Hangup);
            return self.connect(cx);
        }
        match purpose {
            Attempt::Login(_) if self.tokens.kept && refusal.is_of_token() => self.fetch_anew(refusal, cx),
            _ if self.may_be_made_good(&refusal) => {
                cx.out.push(Action::Hangup);
                self.tokens.renewal.refused = Some(refusal);
                self.authorize(cx)
            }
            Attempt::Resume if self.may_get_a_better_token(&refusal) => {
                self.tokens.renewal.refused = Some(refusal.clone());
                self.try_again(Attempt::Resume, LossCause::Refused(refusal), cx)
            }
            Attempt::Resume | Attempt::Login(Login { deadline: None, .. }) if !refusal.is_final() => {
                let purpose = purpose.clone();
                self.try_again(purpose, LossCause::Refused(refusal), cx)
            }
            _ => self.refused_for_good(refusal, cx),
        }
    }

    /// Whether the token has changed since the PROVISION under way was sent.
    fn has_newer_token(&self) -> bool {
        match &self.phase {
            Phase::Entering { at: Connecting::Provision { token, .. }, .. } => {
                self.tokens.token.as_ref() != Some(token)
            }
            _ => false,
        }
    }

    /// A kept token serves no more: the password, which is at hand, fetches another, or the provider is asked. Once, for
    /// that one is not kept.
    fn fetch_anew(&mut self, refusal: Refusal, cx: &mut Cx<'_>) -> Flow {
        self.tokens.kept = false;
        if matches!(self.tokens.secret, Secret::Provider) {
            cx.out.push(Action::Hangup);
            cx.out.push(Action::Note(Diagnostic::KeptTokenRefused(refusal.clone())));
            // So that the provider hears why, and does not give the same one from a cache of its own.
            self.tokens.renewal.refused = Some(refusal);
            return self.authorize(cx);
        }
        self.forget_token();
        cx.out.push(Action::Hangup);
        cx.out.push(Action::Note(Diagnostic::KeptTokenRefused(refusal)));
        self.begin(cx)
    }

    /// The token is of no use any more, and another is to be got as for a first attempt.
    pub(super) fn forget_token(&mut self) {
        self.tokens.former_token = self.tokens.token.take();
        self.tokens.fetched_expiry = None;
    }

    pub(super) fn is_logging_in(&self) -> bool {
        matches!(self.phase, Phase::Entering { purpose: Attempt::Login(_), .. })
            || matches!(self.phase, Phase::Waiting { purpose: Attempt::Login(_), .. })
    }
}
