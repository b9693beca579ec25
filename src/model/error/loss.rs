use super::step::advice_on_status;
use crate::{
    model::{
        error::{CertificateProblem, Code, ConnectStep, Kick, Refusal, RestError, TokenError},
        redactor::Redactor,
    },
    util::Escaped,
};
use std::{fmt, time::Duration};

/// Reasons that a link was lost or an attempt failed, in a way that another attempt may repair.
///
/// It stands in [`EventKind::Reconnecting`](crate::EventKind::Reconnecting), in the errors of `open` and of sends, and
/// in the log. Texts in it come from the peer or the system and are for people.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LossCause {
    /// The peer sent a WebSocket Close frame.
    ClosedByPeer {
        /// Its close code, if it gave one.
        code: Option<u16>,
        /// Its text, cut at 123 bytes by the protocol.
        reason: String,
    },
    /// The connection ended without a Close frame.
    Ended,
    /// Reading or writing failed.
    Io(String),
    /// The peer broke the WebSocket protocol or a limit.
    Protocol(String),
    /// Nothing came within the heartbeat's answer deadline.
    HeartbeatTimeout {
        /// For how long nothing had come.
        silent_for: Duration,
    },
    /// A step of connecting took longer than its limit.
    Timeout(ConnectStep),
    /// A step of connecting failed.
    Failed {
        /// The step.
        step: ConnectStep,
        /// Details, in words.
        detail: String,
    },
    /// The server's certificate was refused.
    Certificate(CertificateProblem),
    /// The upgrade was answered by another HTTP status than 101.
    UpgradeRefused {
        /// The HTTP status.
        status: u16,
        /// The pause the server asked for by `Retry-After`, seconds or date. It replaces the backoff, up to an hour.
        retry_after: Option<Duration>,
    },
    /// PROVISION was refused for a reason that may pass.
    Refused(Refusal),
    /// A REST call while connecting failed for a reason that may pass.
    Rest {
        /// The call's step.
        step: ConnectStep,
        /// The error.
        error: RestError,
    },
    /// The token provider gave no token for the attempt; it is asked again with the next one.
    Token(TokenError),
    /// Another device pushed this one out, and the policy is to come back.
    Kicked(Kick),
    /// A send stayed unanswered for its whole limit (connection spec §8.3).
    SendUnanswered,
    /// The application asked to join or leave a chat room, and no answer came in time (messages spec §1.10).
    RoomUnanswered,
    /// A pull of a queue stayed unanswered twice, 30 s each time after the last page that was asked for before it
    /// (messages spec §2.2). The queue goes last on the next link.
    PullUnanswered,
    /// This side gave the link up.
    ClosedHere,
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossCause::ClosedByPeer { code: Some(code), reason } if reason.is_empty() => {
                write!(f, "the server closed the connection with code {code}")
            }
            LossCause::ClosedByPeer { code: Some(code), reason } => {
                write!(f, "the server closed the connection with code {code}: {reason:?}")
            }
            LossCause::ClosedByPeer { code: None, .. } => f.write_str("the server closed the connection"),
            LossCause::Ended => f.write_str(
                "the connection was ended without a reason given; if it happens often, look for a proxy or firewall on \
                 the way that ends idle connections",
            ),
            LossCause::Io(detail) => write!(f, "the connection failed: {}; check the network", Escaped(detail)),
            LossCause::Protocol(detail) => write!(
                f,
                "the server broke the WebSocket protocol or a limit of this client's: {}; check that the address \
                 is that of the chat service, and `Limits`",
                Escaped(detail)
            ),
            LossCause::HeartbeatTimeout { silent_for } => {
                write!(
                    f,
                    "the server was silent for {:.1} s and did not answer the heartbeat; check the network",
                    silent_for.as_secs_f64()
                )
            }
            LossCause::Timeout(step) => write!(f, "{step} took too long; {}", step.advice()),
            LossCause::Failed { step, detail } => write!(f, "{step} failed: {}; {}", Escaped(detail), step.advice()),
            LossCause::Certificate(problem) => write!(f, "the server's certificate was refused: {problem}"),
            LossCause::UpgradeRefused { status, retry_after } => {
                write!(f, "the WebSocket upgrade was answered with HTTP status {status}")?;
                if let Some(pause) = retry_after {
                    write!(f, ", retry after {} s", pause.as_secs())?;
                }
                write!(f, "; {}", advice_on_status(*status))
            }
            LossCause::Refused(refusal) => refusal.fmt(f),
            LossCause::Rest { error, .. } => error.fmt(f),
            LossCause::Token(error) => error.fmt(f),
            LossCause::Kicked(kick) => kick.fmt(f),
            LossCause::SendUnanswered => {
                f.write_str("the server left a message unanswered; whether it arrived is not known")
            }
            LossCause::RoomUnanswered => f.write_str("the server left a request for a chat room unanswered"),
            LossCause::PullUnanswered => f.write_str("the server did not hand out the messages that wait in a queue"),
            LossCause::ClosedHere => f.write_str("this side gave the link up"),
        }
    }
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
