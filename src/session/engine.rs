//! The machine: one session at a time.

use std::{fmt, sync::Arc, time::Duration};

use crate::session::{
    Action, ConnectionState, Input, Now,
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
        EventMask,
        account::{Token, UserId},
        auth::{Credentials, Secret},
        error::{ConnectStep, RequestError, SendError},
        origin::Origin,
        redactor::Redactor,
    },
};

/// The pure machine of one connection.
///
/// | Input | Actions it may cause |
/// |---|---|
/// | `Open` | `Recall`, `LoadCursors`, then as `Recalled`; `Rejected` where there is a session |
/// | `Recalled`, `Discovered`, `TokenReady` | the next step of a login: `Discover`, `FetchToken`, `Connect`, `Opened` with its error; `TokenChanged`, `ForgetToken`, `Renewed` |
/// | `Connected`, `Frame` | `Transmit`, `Emit`, `Publish`, `Deliver`, `Sent`, `Opened`, `TokenChanged`, `Connect` (a redirect), `Hangup` |
/// | `Lost`, `NetworkChanged`, `Tick` | the next attempt, or `Transmit` (a heartbeat, a pull again, a send again), `Emit`, `FetchToken`, `DropTokenFetch`, `Sent`, `Hangup` |
/// | `Send`, `Room` | `Transmit`, or `Sent` with an error |
/// | `RenewToken`, `CancelRenewal` | `FetchToken`, `DropTokenFetch`, `Renewed` |
/// | `Handled`, `Postponed`, `RetryPostponed`, `Cursors` | `Transmit` (pulls, which acknowledge), `Deliver`, `Emit` |
/// | `Close`, `Abort` | `Transmit` (LOGOUT), and the end |
/// | `At`, `Alive`, `Arriving`, `TooLarge` | none but `Note` |
///
/// Any input may cause `Note`, and each but the last four may end the session: then come `Sent` for what is unanswered,
/// `Hangup`, `Opened`, `ForgetToken`, `Emit(Disconnected)` and last `Closed`, in this order.
///
/// Bounds: unanswered and kept sends, remembered message ids, pulls at once and the size of a page by
/// [`Limits`](crate::Limits); known queues 4096, names of queues 4 KiB, rooms joined again 64 of 256 KiB and remembered
/// beside them 1024, receipts that wait for a place 1024, redirects in a row 5, attempts of one `open` 3, not counting those
/// after which the service asked for a pause.
pub struct Engine {
    pub(super) env: Env,
    session: Option<Box<Session>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In it are names, addresses and messages, as whoever wrote them wrote them.
        self.redactor().show(&format_args!("Engine {{ env: {:?}, session: {:?} }}", self.env, self.session), f)
    }
}

impl Engine {
    /// How many attempts one `open` makes before it gives up (connection spec §4). One after which the service asked for a
    /// pause (`Retry-After`) does not count; the login's deadline bounds those.
    pub const LOGIN_ATTEMPTS: u32 = 3;

    /// How many [`Input::RenewToken`] wait at most, the one under way among them; one more is refused as
    /// [`Busy`](crate::ConnectionError::Busy).
    pub const RENEWALS: usize = GivenTokens::CAPACITY;

    /// A logged-out engine. The seed decides the jitter and the client ids.
    #[must_use]
    pub fn new(config: Arc<Config>, seed: u64) -> Self {
        Engine { env: Env::new(config, fastrand::Rng::with_seed(seed)), session: None }
    }

    /// Which events are asked for: what comes out of queues is built for these kinds only. Default: all.
    pub fn set_wanted(&mut self, wanted: EventMask) {
        self.env.wanted = wanted;
    }

    /// Which events of a page the message handler gets: a page with any is acknowledged once it is
    /// [`Input::Handled`]. Default: none, and every page is acknowledged at once.
    pub fn set_handled(&mut self, handled: EventMask) {
        self.env.handled = handled;
    }

    /// Whether the socket may hold more than was read, so that answers may be among it: those found to be late have as long
    /// again as they had at first, to be read. Default: no.
    pub fn set_unread(&mut self, unread: bool) {
        self.env.arrivals.set_unread(unread);
    }

    /// How many bytes wait for the socket to take them: at [`Limits::outbox`](crate::Limits::outbox) of them, sends are
    /// refused. Default: none.
    pub fn set_unsent(&mut self, bytes: usize) {
        self.env.unsent = bytes;
    }

    /// What must not be shown of this engine's sessions, for all who work for them.
    pub(crate) fn redactor(&self) -> &Redactor {
        self.env.origin.redactor()
    }

    /// What the events of this engine lead back to.
    pub(crate) fn origin(&self) -> &Origin {
        &self.env.origin
    }

    /// How many encoded bytes of pages are in the message handler's hand; see [`Limits::in_flight_bytes`](crate::Limits).
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.inbox.in_flight_bytes())
    }

    /// How many queues wait because a message of theirs could not be handled; see [`Input::Postponed`].
    #[must_use]
    pub fn waiting_queues(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.inbox.waiting_queues())
    }

    /// Whether events for the message handler come with what they were read from, for a dead letter that outlives the
    /// process. Default: no.
    pub(crate) fn set_keeps_encoded(&mut self, keeps: bool) {
        self.env.keeps_encoded = keeps;
    }

    /// A fresh id for a message to send: none that this engine gave before, nor one it was given with a send.
    pub fn next_client_id(&mut self) -> u64 {
        self.env.fresh_id()
    }

    /// How many sends wait for their answer: messages, requests for chat rooms and delivery receipts.
    #[must_use]
    pub fn pending_sends(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.outbox.pending())
    }

    /// How many messages are kept for the next link.
    #[must_use]
    pub fn buffered_sends(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.outbox.buffered())
    }

    /// Who is logged in, or being logged in or out.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.session.as_ref().map(|session| &session.user)
    }

    /// The token in use.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.session.as_ref()?.tokens.token()
    }

    /// When the token in use ends, in milliseconds since 1970, where that is known.
    #[must_use]
    pub fn token_expires_at(&self) -> Option<u64> {
        self.session.as_ref()?.tokens.expires_at()
    }

    /// The resource of the device that is logged in, or will be.
    pub(crate) fn resource(&self) -> &str {
        &self.session.as_ref().map_or(&self.env.device, |session| &session.device).resource
    }

    /// Where the connection stands.
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

    /// Whether the last session ended with the server's answer to its LOGOUT.
    #[must_use]
    pub fn logout_answered(&self) -> bool {
        self.env.logout_answered
    }

    /// Attempts to regain the link since it last was stable.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.session.as_ref().map_or(0, |session| session.retry.attempts())
    }

    /// The same as of `now`: none while the link is stable, which the engine notes only when it ends.
    #[must_use]
    pub fn attempts_at(&self, now: Now) -> u32 {
        let stable_after = self.env.config.reconnect.stable_after;
        let is_stable = self.online_since().is_some_and(|since| now.mono.saturating_sub(since) >= stable_after);
        if is_stable { 0 } else { self.attempts() }
    }

    /// Since when the link has been up, on the monotonic clock.
    #[must_use]
    pub fn online_since(&self) -> Option<Duration> {
        self.online().map(Online::since)
    }

    /// When the server was last heard on this link, on the monotonic clock.
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

    /// When [`Input::Tick`] is due next; `None` while nothing is timed.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.session.as_ref()?.deadline(&self.env)
    }

    /// Takes what happened and appends what is to be done, in order.
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
            (none, Input::Open(account)) => {
                cx.env.logout_answered = false;
                let session = none.insert(Box::new(Session::new(account, &cx)));
                session.open(&mut cx)
            }
            (Some(_), Input::Send { client_id, .. } | Input::Room { client_id, .. })
                if cx.env.unsent >= cx.env.config.limits.outbox =>
            {
                let limit = cx.env.config.limits.outbox;
                cx.out.push(Action::Sent { client_id, outcome: Err(SendError::OutboxFull { limit }) });
                Flow::Continue(())
            }
            (Some(session), input) => session.step(input, &mut cx),
            (None, Input::Close) => {
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

/// What of credentials must not be shown from now on, whatever becomes of the login.
fn learn(redactor: &Redactor, credentials: &Credentials) {
    match &credentials.secret {
        Secret::Password(password) => redactor.learn_password(password),
        Secret::Token(token) => redactor.learn_token(token),
        Secret::Provider => {}
    }
}
