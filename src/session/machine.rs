//! One session, from `open` to its end.

use super::{inbox::Inbox, outbox::Outbox, retry::Retry, tokens::Tokens};
use std::time::Duration;

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
    config::Endpoints,
    model::{
        EventKind,
        account::UserId,
        auth::{Credentials, Secret},
        error::{ConnectStep, DisconnectReason, Kick, LossCause, OpenError, Refusal},
        redactor::Redactor,
    },
};

/// What is true from `open` until the end.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: UserId,
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

/// Whether the session goes on.
#[derive(Debug)]
pub(super) enum Flow {
    Stay,
    /// It is over, and subscribers hear why.
    End(DisconnectReason),
    /// The login failed before the server had its say; only the caller of `open` hears why.
    Fail(OpenError),
}

impl Session {
    /// How far apart hints of a changed network are at least followed.
    const HINTS_APART: Duration = Duration::from_secs(5);

    pub(super) fn new(credentials: Credentials, context: &Cx<'_>) -> Self {
        let user = credentials.user().clone();
        let token = match &credentials.secret {
            Secret::Token(token) => Some(token.clone()),
            Secret::Password(_) | Secret::Provider => None,
        };
        let config = &context.world.config;
        let deadline = (!config.keep_trying_first_login).then(|| context.after(config.login_deadline));
        Session {
            user,
            redactor: context.world.redactor.clone(),
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
                backoff: Backoff::new(&context.world.config.reconnect),
                flaps: ShortSessions::default(),
                takeovers: Takeovers::default(),
                hinted: None,
            },
            inbox: Inbox {
                dedup: DedupWindow::default(),
                last_sender: None,
                in_flight: None,
                cursors: context.world.config.cursors.is_some().then(Box::default),
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
                least: context.now.mono,
                until: context.now.mono,
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

    pub(super) fn step(&mut self, input: Input<'_>, context: &mut Cx<'_>) -> Flow {
        match input {
            Input::Open(_) => Flow::Stay,
            Input::Close => self.close(context),
            Input::Abort(end) => self.abort(DisconnectReason::ActorEnded(end), context),
            Input::Discovered(result) => self.discovered(result, context),
            Input::Recalled { token, expires_at } => self.recalled(token, expires_at, context),
            Input::TokenFetched(result) => self.token_fetched(result, context),
            Input::TokenProvided(result) => self.token_provided(result, context),
            Input::At(step) => {
                self.connect_is_at(step);
                Flow::Stay
            }
            Input::Connected => self.connected(context),
            Input::Frame(bytes) => self.frame(bytes, context),
            Input::Alive => {
                if let Phase::Online(online) = &mut self.phase {
                    online.alive(context.now, &context.world.config);
                }
                Flow::Stay
            }
            Input::TooLarge => {
                self.too_large(context);
                Flow::Stay
            }
            Input::Arriving => {
                context.world.arrivals.part(context.now.mono);
                if let Phase::Online(online) = &mut self.phase {
                    online.part(context.now);
                }
                Flow::Stay
            }
            // Late word of a link that is given up already.
            Input::Lost(_)
                if self.is_at(ConnectStep::State)
                    || self.is_at(ConnectStep::Discovery)
                    || self.is_at(ConnectStep::Token) =>
            {
                Flow::Stay
            }
            Input::Lost(cause) => self.lost(cause, context),
            Input::Send { client_id, message } => {
                self.send(client_id, message, context);
                Flow::Stay
            }
            Input::Room { client_id, request } => {
                self.change_room(client_id, request, context);
                Flow::Stay
            }
            Input::Handled { page } => {
                self.handled(page, context);
                Flow::Stay
            }
            Input::Postponed { page, handled, pause } => {
                self.postponed(page, handled, pause, context);
                Flow::Stay
            }
            Input::RetryPostponed => {
                if let Some(in_hand) = &mut self.inbox.in_flight {
                    in_hand.parked.all_due(context.now.mono);
                }
                self.retry_due(context);
                Flow::Stay
            }
            Input::Cursors { load, cursors } => {
                self.cursors_loaded(load, cursors, context);
                Flow::Stay
            }
            Input::Renewed { token, expires_at } => self.token_given(token, expires_at, context),
            Input::NetworkChanged => self.network_changed(context),
            Input::Tick => {
                self.expire_kept(context);
                match self.token_due(context) {
                    Flow::Stay => match self.renewal_due(context) {
                        Flow::Stay => self.phase_due(context),
                        flow => flow,
                    },
                    flow => flow,
                }
            }
        }
    }

    /// Says goodbye where the link is up, ends at once where it is not.
    fn close(&mut self, context: &mut Cx<'_>) -> Flow {
        match &self.phase {
            // Why the goodbye began stays the reason: an application that closes because its token ended hears so.
            Phase::LoggingOut { .. } => Flow::Stay,
            Phase::Online(_) => self.log_out("inner:logout", DisconnectReason::Closed, context),
            _ => Flow::End(DisconnectReason::Closed),
        }
    }

    /// Ends at once; where the link is up, a goodbye that nobody waits for may still get out.
    fn abort(&mut self, reason: DisconnectReason, context: &mut Cx<'_>) -> Flow {
        match &self.phase {
            Phase::LoggingOut { reason, .. } => Flow::End(reason.clone()),
            _ => {
                let _ = self.log_out("inner:logout", reason.clone(), context);
                Flow::End(reason)
            }
        }
    }

    pub(super) fn log_out(&mut self, text: &str, reason: DisconnectReason, context: &mut Cx<'_>) -> Flow {
        let (Phase::Online(online), Some(token)) = (&self.phase, &self.tokens.token) else {
            return Flow::End(reason);
        };
        let config = &context.world.config;
        let identity = Identity { app_key: &config.app_key, user: &self.user, device: &config.device, token };
        let frame = identity.logout(online.session_id(), text);
        let until = context.after(config.logout_timeout);
        context.transmit("LOGOUT", frame);
        self.offline_sync_ended(context);
        self.phase = Phase::LoggingOut { until, reason };
        Flow::Stay
    }

    /// The token's countdown runs in every phase, also while the link is down.
    pub(super) fn token_due(&mut self, context: &mut Cx<'_>) -> Flow {
        if matches!(self.phase, Phase::LoggingOut { .. }) {
            return Flow::Stay;
        }
        loop {
            let Some(clock) = &mut self.tokens.clock else {
                return Flow::Stay;
            };
            match clock.check(context.now) {
                Countdown::Quiet => return Flow::Stay,
                Countdown::WillExpire { at, expires_in } => {
                    context.emit(EventKind::TokenWillExpire { at, expires_in });
                    self.renew_ahead(context);
                }
                Countdown::Expired { .. } if self.token_source().is_none() => return self.expired(context),
                Countdown::Expired { certain } => {
                    self.tokens.clock = None;
                    self.outlived(certain, context);
                    return Flow::Stay;
                }
            }
        }
    }

    fn phase_due(&mut self, context: &mut Cx<'_>) -> Flow {
        let now = context.now.mono;
        match &self.phase {
            Phase::Entering { .. } => self.entering_due(context),
            Phase::Waiting { until, .. } if now >= *until => self.begin(context),
            Phase::LoggingOut { until, reason } => {
                let limit = context.world.config.logout_timeout;
                if context.world.arrivals.is_late_if_read(*until, limit, now) {
                    Flow::End(reason.clone())
                } else {
                    Flow::Stay
                }
            }
            Phase::Online(_) => self.online_due(context),
            _ => Flow::Stay,
        }
    }

    /// The link or an attempt is gone.
    pub(super) fn lost(&mut self, cause: LossCause, context: &mut Cx<'_>) -> Flow {
        match &self.phase {
            Phase::Online(_) => {
                self.link_ended(context);
                self.fail_sends(&cause, context);
                self.try_again(Attempt::Resume, cause, context)
            }
            Phase::Entering { purpose, .. } => self.try_again(purpose.clone(), cause, context),
            Phase::LoggingOut { reason, .. } => Flow::End(reason.clone()),
            Phase::Waiting { .. } => Flow::Stay,
        }
    }

    /// A link that was up has ended: ladder and flapping go by how long it held.
    fn link_ended(&mut self, context: &mut Cx<'_>) {
        self.offline_sync_ended(context);
        if let Some(in_hand) = &mut self.inbox.in_flight {
            in_hand.link += 1;
            in_hand.parked.link_ended(context.now.mono);
        }
        let Phase::Online(online) = &mut self.phase else { return };
        self.inbox.suspects = online.queues.suspects.take();
        let uptime = context.now.mono.saturating_sub(online.since());
        self.retry.backoff.ended(uptime);
        let policy = &context.world.config.reconnect;
        self.retry.flaps.ended(policy.flapping.as_ref(), uptime < policy.stable_after, context.now.mono);
    }

    /// The server logs this device out: the end, unless the policy is to come back.
    pub(super) fn kicked(&mut self, kick: Kick, context: &mut Cx<'_>) -> Flow {
        let after = match (&self.phase, context.world.config.reconnect.enabled) {
            (Phase::Online(_), true) => {
                self.retry.takeovers.after(&kick, &context.world.config.kick_policy, context.now.mono)
            }
            _ => AfterKick::Park,
        };
        let pause = match after {
            AfterKick::Park => return Flow::End(DisconnectReason::Kicked(kick)),
            AfterKick::Return => None,
            AfterKick::ReturnAfter(pause) => Some(pause),
        };
        let cause = LossCause::Kicked(kick);
        self.link_ended(context);
        self.fail_sends(&cause, context);
        self.try_again_after(pause, Attempt::Resume, cause, context)
    }

    /// A hint from the application: one probe where the link seems up, one attempt at once where it is down, and the
    /// ladder starts anew. An attempt under way is given up for it, since it may be one over the network that is gone.
    /// Hints within [`Session::HINTS_APART`] of the last one followed are ignored.
    fn network_changed(&mut self, context: &mut Cx<'_>) -> Flow {
        let now = context.now.mono;
        if self.retry.hinted.is_some_and(|last| now.saturating_sub(last) < Self::HINTS_APART) {
            return Flow::Stay;
        }
        self.retry.hinted = Some(now);
        match &mut self.phase {
            Phase::Online(online) => {
                self.retry.backoff.restart();
                online.probe(context);
                Flow::Stay
            }
            Phase::Waiting { purpose: Attempt::Resume, least, until } if now < *least => {
                self.retry.backoff.restart();
                *until = (*until).min(least.saturating_add(self.retry.backoff.next(context.world.random.f64())));
                Flow::Stay
            }
            Phase::Waiting { purpose: Attempt::Resume, .. } => {
                self.retry.backoff.restart_at_first();
                self.begin(context)
            }
            Phase::Waiting { least, .. } if now >= *least => self.begin(context),
            Phase::Entering { purpose: Attempt::Resume, .. } => {
                self.retry.backoff.restart_at_first();
                context.out.push(Action::Hangup);
                self.begin(context)
            }
            // It waits for no network yet.
            Phase::Entering { at: Connecting::State, .. } => Flow::Stay,
            Phase::Entering { purpose: Attempt::Login(login), .. } if !login.is_last_attempt() => {
                login.attempts = login.attempts.saturating_add(1);
                context.out.push(Action::Hangup);
                self.begin(context)
            }
            Phase::Waiting { .. } | Phase::Entering { .. } | Phase::LoggingOut { .. } => Flow::Stay,
        }
    }

    /// The last things a session does, in this order: sends settled, link dropped, `open` answered, subscribers
    /// told, `close` answered.
    pub(super) fn ended(mut self, failed: Option<OpenError>, reason: Option<DisconnectReason>, context: &mut Cx<'_>) {
        self.fail_sends(&LossCause::ClosedHere, context);
        self.drop_kept(reason.as_ref(), context);
        self.tell_odd(context);
        context.out.push(Action::Hangup);
        self.offline_sync_ended(context);
        let unreachable = matches!(&failed, Some(OpenError::Unreachable { .. } | OpenError::Deadline { .. }))
            || matches!(&reason, Some(DisconnectReason::AttemptsExhausted { .. }));
        if unreachable && matches!(context.world.config.endpoints, Endpoints::Discovery(_)) {
            context.world.sockets.forget();
        }
        let logging_in = matches!(
            &self.phase,
            Phase::Entering { purpose: Attempt::Login(_), .. } | Phase::Waiting { purpose: Attempt::Login(_), .. }
        );
        if logging_in {
            let user = self.user.clone();
            let error = failed.unwrap_or_else(|| match &reason {
                Some(DisconnectReason::Refused(refusal)) => OpenError::Refused { user, refusal: refusal.clone() },
                Some(reason) => OpenError::Ended { user, reason: reason.clone() },
                None => OpenError::Ended { user, reason: DisconnectReason::Closed },
            });
            context.out.push(Action::Opened(Err(error)));
        }
        if let Some(reason) = reason {
            context.emit(EventKind::Disconnected { reason });
        }
        context.out.push(Action::Closed);
    }

    /// PROVISION was refused. A refused token is replaced where there is a source of tokens. Otherwise a refusal is the
    /// end of a login, unless that is kept trying, and of the way back, unless the reason may pass. A new token that is
    /// refused on the way back is a failed attempt: the next one may be good.
    pub(super) fn refused(&mut self, refusal: Refusal, context: &mut Cx<'_>) -> Flow {
        let Phase::Entering { purpose, .. } = &self.phase else {
            return Flow::Stay;
        };
        let refusal = refusal.shown_by(|text| self.shown(text));
        if refusal.is_of_token() && self.has_newer_token() {
            // What was refused is a token that a renewal has replaced meanwhile.
            self.tokens.kept = false;
            context.out.push(Action::Hangup);
            return self.connect(context);
        }
        match purpose {
            Attempt::Login(_) if self.tokens.kept && refusal.is_of_token() => self.fetch_anew(refusal, context),
            _ if self.may_be_made_good(&refusal) => {
                context.out.push(Action::Hangup);
                self.tokens.renewal.refused = Some(refusal);
                self.authorize(context)
            }
            Attempt::Resume if self.may_get_a_better_token(&refusal) => {
                self.tokens.renewal.refused = Some(refusal.clone());
                self.try_again(Attempt::Resume, LossCause::Refused(refusal), context)
            }
            Attempt::Resume | Attempt::Login(Login { deadline: None, .. }) if !refusal.is_final() => {
                let purpose = purpose.clone();
                self.try_again(purpose, LossCause::Refused(refusal), context)
            }
            _ => self.refused_for_good(refusal, context),
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
    fn fetch_anew(&mut self, refusal: Refusal, context: &mut Cx<'_>) -> Flow {
        self.tokens.kept = false;
        if matches!(self.tokens.secret, Secret::Provider) {
            context.out.push(Action::Hangup);
            context.out.push(Action::Note(Diagnostic::KeptTokenRefused(refusal.clone())));
            // So that the provider hears why, and does not give the same one from a cache of its own.
            self.tokens.renewal.refused = Some(refusal);
            return self.authorize(context);
        }
        self.forget_token();
        context.out.push(Action::Hangup);
        context.out.push(Action::Note(Diagnostic::KeptTokenRefused(refusal)));
        self.begin(context)
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
