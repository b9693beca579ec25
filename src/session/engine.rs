//! The engine: one session at a time.

use std::{fmt, sync::Arc, time::Duration};

use crate::session::{
    Action, Input, Now,
    context::{Cx, Env},
    heartbeat::Online,
    machine::{Flow, Session},
    phase::Phase,
    server_text::redact_input,
    tokens::GivenTokens,
};
use crate::{
    config::Config,
    model::{
        ConnectionState, EventMask,
        account::{Token, UserId},
        auth::{Credentials, Secret},
        error::{ConnectStep, OpenError, RequestError, SendError},
        origin::Origin,
        redactor::Redactor,
    },
    net::Gate,
};

/// The pure state machine of one connection.
///
/// | Input | Actions it may cause |
/// |---|---|
/// | `Open` | `Recall`, `LoadCursors`, then as `Recalled`; `Rejected` where there is a session, or the account is malformed |
/// | `Recalled`, `Admitted`, `Discovered`, `TokenReady` | the next step of a login: `Admit`, `Discover`, `FetchToken`, `Connect`, `Opened` with its error; `TokenChanged`, `ForgetToken`, `Renewed` |
/// | `Connected`, `Frame` | `Transmit`, `Emit`, `Publish`, `Deliver`, `Sent`, `Opened`, `TokenChanged`, `Connect` (a redirect), `Hangup` |
/// | `Lost`, `NotAdmitted`, `NetworkChanged`, `Tick` | the next attempt, or `Transmit` (a heartbeat, a pull again, a send again), `Emit`, `FetchToken`, `DropTokenFetch`, `Sent`, `Hangup` |
/// | `Send`, `Room` | `Transmit`, or `Sent` with an error |
/// | `RenewToken`, `CancelRenewal` | `FetchToken`, `DropTokenFetch`, `Renewed` |
/// | `Handled`, `Postponed`, `RetryPostponed`, `Cursors` | `Transmit` (pulls, which acknowledge), `Deliver`, `Emit` |
/// | `CloseWithin` | as `Close`, there and then or once the pages in flight are done |
/// | `Close`, `Abort` | `Transmit` (LOGOUT), and the end |
/// | `Abandon` | `Reset`, and the end |
/// | `At`, `Alive`, `Arriving`, `TooLarge` | none but `Note` |
///
/// For an account with an [`Admission`](crate::admission::Admission) an attempt begins with `Admit`, and what ends it
/// causes `AttemptOver`.
///
/// Any input may cause `Note`, and each but the last 4 may end the session: then come `Sent` for pending sends,
/// `Hangup`, `Opened`, `ForgetToken`, `Emit(Disconnected)` and last `Closed`, in this order.
///
/// Bounds: pending and buffered sends, remembered message ids, pulls in flight and the size of a page by
/// [`Limits`](crate::Limits); 4096 queues, queue names 4 KiB, 64 rooms rejoined (256 KiB) and 1024 more remembered,
/// 1024 waiting receipts, 5 redirects in a row, 3 attempts of one `open`, besides those after which the service asked
/// for a pause.
pub struct Engine {
    pub(super) env: Env,
    session: Option<Box<Session>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds names, addresses and messages as their authors wrote them.
        self.redactor().show(&format_args!("Engine {{ env: {:?}, session: {:?} }}", self.env, self.session), f)
    }
}

impl Engine {
    /// Maximum attempts of one `open` (connection spec §4). One after which the service asked for a pause
    /// (`Retry-After`) does not count; the login's deadline bounds those.
    pub const LOGIN_ATTEMPTS: u32 = 3;

    /// Maximum queued [`Input::RenewToken`], the one in flight included; one more is refused as
    /// [`Busy`](crate::ConnectionError::Busy).
    pub const RENEWALS: usize = GivenTokens::CAPACITY;

    /// Returns a logged-out engine. The seed decides the jitter and the client ids.
    #[must_use]
    pub fn new(config: Arc<Config>, seed: u64) -> Self {
        Engine { env: Env::new(config, fastrand::Rng::with_seed(seed)), session: None }
    }

    /// Sets the kinds of events that are built from queues. Default: all.
    pub fn set_wanted(&mut self, wanted: EventMask) {
        self.env.wanted = wanted;
    }

    /// Sets the kinds of events for the message handler: a page with any is acknowledged once it is [`Input::Handled`].
    /// Default: none, so every page is acknowledged at once.
    pub fn set_handled(&mut self, handled: EventMask) {
        self.env.handled = handled;
    }

    /// Sets the flag that the socket may hold unread data: late answers then get their limit once more. Default: no.
    pub fn set_unread(&mut self, unread: bool) {
        self.env.arrivals.set_unread(unread);
    }

    /// Sets the number of bytes not yet written to the socket: from [`Limits::outbox`](crate::Limits::outbox) on, sends
    /// are refused. Default: 0.
    pub fn set_unsent(&mut self, bytes: usize) {
        self.env.unsent = bytes;
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        self.env.origin.redactor()
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.env.origin
    }

    /// Returns the encoded bytes of pages in flight; see [`Limits::in_flight_bytes`](crate::Limits).
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.inbox.in_flight_bytes())
    }

    /// Returns the number of postponed queues; see [`Input::Postponed`].
    #[must_use]
    pub fn waiting_queues(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.inbox.waiting_queues())
    }

    /// Takes the number of messages and notices received since the last call.
    pub(crate) fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.env.received)
    }

    /// Sets the flag to deliver events with their encoded meta, for a persistent dead letter. Default: no.
    pub(crate) fn set_keeps_encoded(&mut self, keeps: bool) {
        self.env.keeps_encoded = keeps;
    }

    /// Returns a fresh client id: none that this engine gave or saw in a send before.
    pub fn next_client_id(&mut self) -> u64 {
        self.env.fresh_id()
    }

    /// Returns the number of pending sends: messages, chat room requests and delivery receipts.
    #[must_use]
    pub fn pending_sends(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.outbox.pending())
    }

    /// Returns the number of buffered messages.
    #[must_use]
    pub fn buffered_sends(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.outbox.buffered())
    }

    /// Returns the user who is logged in, or being logged in or out.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.session.as_ref().map(|session| &session.user)
    }

    /// Returns the token in use.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.session.as_ref()?.tokens.token()
    }

    /// Returns the known end of the token in use, in milliseconds since 1970.
    #[must_use]
    pub fn token_expires_at(&self) -> Option<u64> {
        self.session.as_ref()?.tokens.expires_at()
    }

    /// Returns the resource of the device that is logged in, or will be.
    pub(crate) fn resource(&self) -> &str {
        &self.session.as_ref().map_or(&self.env.device, |session| &session.device).resource
    }

    /// Returns the state of the connection.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        let Some(session) = &self.session else {
            return ConnectionState::LoggedOut;
        };
        match &session.phase {
            Phase::Online(_) => ConnectionState::Online,
            Phase::LoggingOut(_) => ConnectionState::LoggingOut,
            phase if phase.is_resuming() => ConnectionState::Reconnecting { attempt: session.retry.attempts() },
            Phase::Connecting(connecting) => ConnectionState::LoggingIn { step: connecting.step() },
            Phase::Waiting(_) => ConnectionState::LoggingIn { step: ConnectStep::Connect },
        }
    }

    /// Returns whether the server answered the last session's LOGOUT.
    #[must_use]
    pub fn logout_answered(&self) -> bool {
        self.env.logout_answered
    }

    /// Returns the reconnect attempts since the link was last stable.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.session.as_ref().map_or(0, |session| session.retry.attempts())
    }

    /// Returns the same as of `now`: 0 while the link is stable, which the engine records only when it ends.
    #[must_use]
    pub fn attempts_at(&self, now: Now) -> u32 {
        let stable_after = self.env.config.reconnect.stable_after;
        let is_stable = self.online_since().is_some_and(|since| now.mono.saturating_sub(since) >= stable_after);
        if is_stable { 0 } else { self.attempts() }
    }

    /// Returns the time the link came up, on the monotonic clock.
    #[must_use]
    pub fn online_since(&self) -> Option<Duration> {
        self.online().map(Online::since)
    }

    /// Returns the time of the last inbound traffic on this link, on the monotonic clock.
    #[must_use]
    pub fn last_inbound(&self) -> Option<Duration> {
        self.online().map(Online::last_inbound)
    }

    fn online(&self) -> Option<&Online> {
        match &self.session.as_ref()?.phase {
            Phase::Online(online) => Some(online),
            _ => None,
        }
    }

    /// Returns the time of the next [`Input::Tick`]; `None` while no timer runs.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.session.as_ref()?.deadline(&self.env)
    }

    /// Handles an input and appends the actions to carry out, in order.
    pub fn step(&mut self, mut input: Input<'_>, now: Now, out: &mut Vec<Action>) {
        match &input {
            Input::Send { client_id, .. } => self.env.chosen_id(*client_id),
            Input::Open(account) => learn(self.redactor(), &account.credentials),
            Input::TokenReady { result: Ok(grant), .. } | Input::Recalled { kept: Some(grant), .. } => {
                self.redactor().learn_token(&grant.token);
            }
            Input::RenewToken { token, .. } => self.redactor().learn_token(token),
            _ => {}
        }
        if self.session.is_some() {
            redact_input(self.env.origin.redactor(), &mut input);
        }
        let mut cx = Cx { env: &mut self.env, now, out };
        let flow = match (&mut self.session, input) {
            (Some(session), Input::Open(_)) => {
                cx.out.push(Action::Rejected(session.already_open()));
                Flow::Continue(())
            }
            (none, Input::Open(account)) => match account.check() {
                Ok(()) => {
                    cx.env.logout_answered = false;
                    let openness = account.gate.as_ref().map(Gate::openness);
                    cx.env.origin = cx.env.origin.next_session(account.epoch, openness);
                    let session = none.insert(Box::new(Session::new(account, &cx)));
                    session.open(&mut cx)
                }
                Err(error) => {
                    cx.out.push(Action::Rejected(OpenError::Account(error)));
                    Flow::Continue(())
                }
            },
            (Some(_), Input::Send { client_id, .. } | Input::Room { client_id, .. })
                if cx.env.unsent >= cx.env.config.limits.outbox =>
            {
                let limit = cx.env.config.limits.outbox;
                cx.out.push(Action::Sent { client_id, outcome: Err(SendError::OutboxFull { limit }) });
                Flow::Continue(())
            }
            (Some(session), input) => session.step(input, &mut cx),
            (None, Input::Close | Input::CloseWithin { .. }) => {
                cx.out.push(Action::Closed);
                Flow::Continue(())
            }
            (None, Input::Send { client_id, .. } | Input::Room { client_id, .. }) => {
                cx.out.push(Action::Sent { client_id, outcome: Err(SendError::NotLoggedIn) });
                Flow::Continue(())
            }
            (None, Input::RenewToken { renewal, .. }) => {
                cx.out.push(Action::Renewed { renewal, outcome: Err(RequestError::NotLoggedIn) });
                Flow::Continue(())
            }
            (None, _) => Flow::Continue(()),
        };
        let Flow::Break(end) = flow else { return };
        if let Some(session) = self.session.take() {
            let mut cx = Cx { env: &mut self.env, now, out };
            session.ended(end, &mut cx);
        }
    }
}

/// Redacts the credentials' secrets from now on, whatever becomes of the login.
fn learn(redactor: &Redactor, credentials: &Credentials) {
    match &credentials.secret {
        Secret::Password(password) => redactor.learn_password(password),
        Secret::Token(token) => redactor.learn_token(token),
        Secret::Provider => {}
    }
}
