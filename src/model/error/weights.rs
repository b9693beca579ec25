use crate::model::error::{
    CertificateProblem, ConnectionError, DisconnectReason, Kick, LossCause, Refusal, SendError, TokenError,
};
use crate::util::weight::{Weigh, allocation};

impl Weigh for Kick {
    fn heap(&self) -> usize {
        match self {
            Kick::LoggedInElsewhere { ext } => ext.heap(),
            Kick::UserRemoved | Kick::PasswordChanged | Kick::ByOtherDevice => 0,
        }
    }
}

impl Weigh for Refusal {
    fn heap(&self) -> usize {
        // Its text was cut where it came in, and that may have left as much room again.
        self.reason().map_or(0, |reason| allocation(reason.len().saturating_mul(2)))
    }
}

impl Weigh for CertificateProblem {
    fn heap(&self) -> usize {
        match self {
            CertificateProblem::Other(text) => text.heap(),
            CertificateProblem::WrongName | CertificateProblem::UnknownRoot | CertificateProblem::Expired => 0,
        }
    }
}

impl Weigh for TokenError {
    fn heap(&self) -> usize {
        match self {
            TokenError::Provider(error) => error.heap(),
            TokenError::Rest(error) => error.heap(),
            TokenError::Panicked | TokenError::Timeout | TokenError::Stale => 0,
        }
    }
}

impl Weigh for LossCause {
    fn heap(&self) -> usize {
        match self {
            LossCause::ClosedByPeer { code: _, reason: text }
            | LossCause::Io(text)
            | LossCause::Protocol(text)
            | LossCause::Failed { step: _, detail: text } => text.heap(),
            LossCause::Certificate(problem) => problem.heap(),
            LossCause::Refused(refusal) => refusal.heap(),
            LossCause::Rest { step: _, error } => error.heap(),
            LossCause::Token(error) => error.heap(),
            LossCause::Kicked(kick) => kick.heap(),
            LossCause::HeartbeatTimeout { silent_for: _ }
            | LossCause::Timeout(_)
            | LossCause::UpgradeRefused { status: _, retry_after: _ }
            | LossCause::Ended
            | LossCause::SendUnanswered
            | LossCause::RoomUnanswered
            | LossCause::PullUnanswered
            | LossCause::ClosedHere => 0,
        }
    }
}

impl Weigh for DisconnectReason {
    fn heap(&self) -> usize {
        match self {
            DisconnectReason::Kicked(kick) => kick.heap(),
            DisconnectReason::Refused(refusal) => refusal.heap(),
            DisconnectReason::Rest(error) => error.heap(),
            DisconnectReason::AttemptsExhausted { attempts: _, last } => last.heap(),
            DisconnectReason::Closed
            | DisconnectReason::LeaseLost
            | DisconnectReason::Moved
            | DisconnectReason::Paused
            | DisconnectReason::TokenExpired
            | DisconnectReason::ActorEnded(_) => 0,
        }
    }
}

impl Weigh for SendError {
    fn heap(&self) -> usize {
        match self {
            SendError::Invalid(text) | SendError::Refused { code: _, status: _, reason: text } => text.heap(),
            SendError::OutcomeUnknown { client_id: _, cause } => cause.heap(),
            SendError::Ended(reason) => reason.heap(),
            // Of the application's own settings.
            SendError::Connection(ConnectionError::Config(_)) => 1024,
            SendError::Connection(ConnectionError::Stopped | ConnectionError::NoSystem | ConnectionError::Busy)
            | SendError::NotLoggedIn
            | SendError::InUse { client_id: _ }
            | SendError::TooLarge { bytes: _, limit: _ }
            | SendError::Backlog { limit: _ }
            | SendError::OutboxFull { limit: _ }
            | SendError::Expired { client_id: _, waited: _ }
            | SendError::Reconnecting => 0,
        }
    }
}
