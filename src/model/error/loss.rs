use super::step::advice_on_status;
use crate::{
    model::{
        error::{CertificateProblem, Code, ConnectStep, Kick, Refusal, RestError, TokenError},
        redactor::Redactor,
    },
    util::Escaped,
};
use std::time::Duration;

/// Reasons that a link was lost or an attempt failed, in a way that another attempt may repair.
///
/// It stands in [`EventKind::Reconnecting`](crate::EventKind::Reconnecting), in the errors of `open` and of sends, and
/// in the log. Texts in it come from the peer or the system and are for people.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossCause {
    /// The peer sent a WebSocket Close frame.
    #[error("the server closed the connection{}", closing(*.code, .reason))]
    ClosedByPeer {
        /// Its close code, if it gave one.
        code: Option<u16>,
        /// Its text, cut at 123 bytes by the protocol.
        reason: String,
    },
    /// The connection ended without a Close frame.
    #[error(
        "the connection was ended without a reason given; if it happens often, look for a proxy or firewall on the way \
         that ends idle connections"
    )]
    Ended,
    /// Reading or writing failed.
    #[error("the connection failed: {}; check the network", Escaped(.0))]
    Io(String),
    /// The peer broke the WebSocket protocol or a limit.
    #[error(
        "the server broke the WebSocket protocol or a limit of this client's: {}; check that the address is that of the \
         chat service, and `Limits`",
        Escaped(.0)
    )]
    Protocol(String),
    /// Nothing came within the heartbeat's answer deadline.
    #[error(
        "the server was silent for {:.1} s and did not answer the heartbeat; check the network",
        .silent_for.as_secs_f64()
    )]
    HeartbeatTimeout {
        /// For how long nothing had come.
        silent_for: Duration,
    },
    /// A step of connecting took longer than its limit.
    #[error("{} took too long; {}", .0, .0.advice())]
    Timeout(ConnectStep),
    /// A step of connecting failed.
    #[error("{step} failed: {}; {}", Escaped(.detail), .step.advice())]
    Failed {
        /// The step.
        step: ConnectStep,
        /// Details, in words.
        detail: String,
    },
    /// The server's certificate was refused.
    #[error("the server's certificate was refused: {0}")]
    Certificate(CertificateProblem),
    /// The upgrade was answered by another HTTP status than 101.
    #[error(
        "the WebSocket upgrade was answered with HTTP status {status}{}; {}",
        pausing(*.retry_after),
        advice_on_status(*.status)
    )]
    UpgradeRefused {
        /// The HTTP status.
        status: u16,
        /// The pause the server asked for by `Retry-After`, seconds or date. It replaces the backoff, up to an hour.
        retry_after: Option<Duration>,
    },
    /// PROVISION was refused for a reason that may pass.
    #[error("{0}")]
    Refused(Refusal),
    /// A REST call while connecting failed for a reason that may pass.
    #[error("{error}")]
    Rest {
        /// The call's step.
        step: ConnectStep,
        /// The error.
        error: RestError,
    },
    /// The token provider gave no token for the attempt; it is asked again with the next one.
    #[error("{0}")]
    Token(TokenError),
    /// Another device pushed this one out, and the policy is to come back.
    #[error("{0}")]
    Kicked(Kick),
    /// A send stayed unanswered for its whole limit (connection spec §8.3).
    #[error("the server left a message unanswered; whether it arrived is not known")]
    SendUnanswered,
    /// The application asked to join or leave a chat room, and no answer came in time (messages spec §1.10).
    #[error("the server left a request for a chat room unanswered")]
    RoomUnanswered,
    /// A pull of a queue stayed unanswered twice, 30 s each time after the last page that was asked for before it
    /// (messages spec §2.2). The queue goes last on the next link.
    #[error("the server did not hand out the messages that wait in a queue")]
    PullUnanswered,
    /// This side gave the link up.
    #[error("this side gave the link up")]
    ClosedHere,
}

impl LossCause {
    /// Returns the cause with its texts as they may be shown: cut, and without the secrets.
    pub(crate) fn shown_by(self, redactor: &Redactor) -> Self {
        const LONGEST: usize = 512;

        let show = |text: String| redactor.taken_in(text, LONGEST);
        match self {
            LossCause::ClosedByPeer { code, reason } => LossCause::ClosedByPeer { code, reason: show(reason) },
            LossCause::Io(detail) => LossCause::Io(show(detail)),
            LossCause::Protocol(detail) => LossCause::Protocol(show(detail)),
            LossCause::Failed { step, detail } => LossCause::Failed { step, detail: show(detail) },
            LossCause::Certificate(CertificateProblem::Other(text)) => {
                LossCause::Certificate(CertificateProblem::Other(show(text)))
            }
            LossCause::Refused(refusal) => LossCause::Refused(refusal.shown_by(show)),
            LossCause::Rest { step, mut error } => {
                error.hide(redactor);
                LossCause::Rest { step, error }
            }
            LossCause::Token(TokenError::Rest(mut error)) => {
                error.hide(redactor);
                LossCause::Token(TokenError::Rest(error))
            }
            other => other,
        }
    }

    /// Returns the pause that the service asked for by `Retry-After`, if it did.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            LossCause::UpgradeRefused { retry_after, .. } => *retry_after,
            LossCause::Rest { error, .. } | LossCause::Token(TokenError::Rest(error)) => error.retry_after(),
            _ => None,
        }
    }

    /// Returns the vendor's number where there is one: the refusal's, the REST error's, -1 for timeouts, 1 for a
    /// provider's error, 16 otherwise (connection spec §4).
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            LossCause::Refused(refusal) => refusal.code(),
            LossCause::Kicked(kick) => kick.code(),
            LossCause::Rest { error, .. } | LossCause::Token(TokenError::Rest(error)) => error.code(),
            LossCause::Token(_) => Code::OPEN_ERROR,
            LossCause::Timeout(_) => Code::REQUEST_TIMEOUT,
            _ => Code::DISCONNECTED,
        }
    }
}

fn closing(code: Option<u16>, reason: &str) -> String {
    match code {
        Some(code) if reason.is_empty() => format!(" with code {code}"),
        Some(code) => format!(" with code {code}: {reason:?}"),
        None => String::new(),
    }
}

fn pausing(retry_after: Option<Duration>) -> String {
    retry_after.map(|pause| format!(", retry after {} s", pause.as_secs())).unwrap_or_default()
}
