//! Permits: an attempt of an account with an admission begins with one.

use std::time::Duration;

use crate::{
    model::{
        admission::{Attempt, AttemptFailure, AttemptKind, AttemptOutcome},
        error::{ConnectStep, DisconnectReason, LossCause, OpenError, TokenError},
        server_text::ServerText,
    },
    session::{
        Action,
        connect::{Connecting, Stage, login::Login},
        context::Cx,
        machine::{End, Flow, Session},
        phase::{Attempt as Purpose, Phase},
    },
};

/// Permits of a session's attempts.
#[derive(Debug)]
pub(super) struct Permits {
    /// True if each attempt has to ask for one.
    wanted: bool,
    /// True while one is held.
    held: bool,
}

impl Permits {
    pub(super) fn new(wanted: bool) -> Self {
        Permits { wanted, held: false }
    }

    /// Returns whether an attempt must ask before it goes on.
    pub(super) fn are_needed(&self) -> bool {
        self.wanted && !self.held
    }
}

impl Session {
    /// Returns whether the session may call the service by itself.
    pub(super) fn may_call(&self) -> bool {
        !self.permits.are_needed() || self.phase.is_online()
    }

    /// Asks for the permit of the attempt that is to begin. No timer of the attempt runs until it comes.
    pub(super) fn ask_admission(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Some(purpose) = self.phase.attempt() else { return Flow::Continue(()) };
        if let Some(pause) = self.token_pause(cx.now.mono) {
            // A permit would only be held idle.
            self.wait(Purpose::Resume, pause, pause, cx);
            return Flow::Continue(());
        }
        let (kind, number) = match purpose {
            Purpose::Login(Login { attempts, .. }) => (AttemptKind::First, attempts.saturating_add(1)),
            Purpose::Resume => (AttemptKind::Reconnect, self.retry.attempts()),
        };
        let host = cx.env.sockets.peek().map(|url| host_of(url, cx));
        cx.out.push(Action::Admit(Attempt { host, ..Attempt::new(self.user.clone(), kind, number) }));
        let since = cx.now.mono;
        self.enter(Stage::Admission(since), Duration::MAX, cx)
    }

    /// Begins the attempt that has its permit now; a login's deadline did not run meanwhile.
    pub(super) fn admitted(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Phase::Connecting(connecting) = &mut self.phase else { return Flow::Continue(()) };
        let Some(since) = connecting.waits_since() else { return Flow::Continue(()) };
        if let Purpose::Login(Login { deadline: Some(deadline), .. }) = &mut connecting.attempt {
            *deadline = deadline.saturating_add(cx.now.mono.saturating_sub(since));
        }
        self.permits.held = true;
        self.prepare(cx)
    }

    /// Fails the attempt whose admission panicked.
    pub(super) fn not_admitted(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !self.phase.awaits_admission() {
            return Flow::Continue(());
        }
        let detail = "the application's admission panicked".to_owned();
        self.lost(LossCause::Failed { step: ConnectStep::Admission, detail }, cx)
    }

    /// Reports the end of the attempt to its permit, if it holds one.
    pub(super) fn attempt_over(&mut self, outcome: AttemptOutcome, cx: &mut Cx<'_>) {
        if std::mem::take(&mut self.permits.held) {
            cx.out.push(Action::AttemptOver(outcome));
        }
    }

    /// Reports that the attempt was given up.
    pub(super) fn attempt_cancelled(&mut self, cx: &mut Cx<'_>) {
        self.attempt_over(AttemptOutcome::Cancelled, cx);
    }

    /// Reports the failure of the attempt.
    pub(super) fn attempt_failed(&mut self, cause: &LossCause, cx: &mut Cx<'_>) {
        if !self.permits.held {
            return;
        }
        let connecting: Option<&Connecting> =
            if let Phase::Connecting(connecting) = &self.phase { Some(connecting) } else { None };
        let step = connecting.map_or(ConnectStep::Connect, Connecting::step);
        let url = connecting.and_then(Connecting::url).or(cx.env.sockets.peek().map(|url| &**url));
        let host = url.map(|url| host_of(url, cx));
        let failure = AttemptFailure { host, ..AttemptFailure::new(step, cause.clone()) };
        self.attempt_over(AttemptOutcome::Failed(failure), cx);
    }

    /// Reports what the end of the session means for the attempt under way.
    pub(super) fn attempt_ended(&mut self, end: &End, cx: &mut Cx<'_>) {
        if !self.permits.held {
            return;
        }
        let rest = |step, error: &_| LossCause::Rest { step, error: Clone::clone(error) };
        let cause = match end {
            End::LoginFailed(OpenError::Discovery { error, .. }) => rest(ConnectStep::Discovery, error),
            End::LoginFailed(OpenError::Token { error, .. }) | End::Disconnected(DisconnectReason::Rest(error)) => {
                rest(ConnectStep::Token, error)
            }
            End::LoginFailed(OpenError::Provider { error, .. }) => LossCause::Token(error.clone()),
            End::LoginFailed(OpenError::Deadline { step, .. }) => LossCause::Timeout(*step),
            End::Disconnected(DisconnectReason::Refused(refusal)) => LossCause::Refused(refusal.clone()),
            End::Disconnected(DisconnectReason::TokenExpired) => LossCause::Token(TokenError::Stale),
            _ => return self.attempt_cancelled(cx),
        };
        self.attempt_failed(&cause, cx);
    }
}

/// Returns the host of an address, with its port if it has one.
fn host_of(url: &str, cx: &Cx<'_>) -> ServerText {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    ServerText::new(host.to_owned(), cx.env.origin.redactor())
}
