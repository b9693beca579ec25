use crate::{
    model::error::{
        ActorEnd, CertificateProblem, Code, ConnectStep, ConnectionError, DisconnectReason, Kick, LossCause, Refusal,
        SendError, TokenError,
    },
    util::weight::{Weigh, allocation, flat, weigh},
};

flat!(ActorEnd, Code, ConnectStep);

weigh! {
    enum Kick { UserRemoved, LoggedInElsewhere { ext }, PasswordChanged, ByOtherDevice }
    enum CertificateProblem { WrongName, UnknownRoot, Expired, Other(text) }
    enum TokenError { Provider(error), Panicked, Timeout, Stale, Rest(error) }
    enum LossCause {
        ClosedByPeer { code, reason }, Ended, Io(text), Protocol(text), HeartbeatTimeout { silent_for }, Timeout(step),
        Failed { step, detail }, Certificate(problem), UpgradeRefused { status, retry_after }, Refused(refusal),
        Rest { step, error }, Token(error), Kicked(kick), SendUnanswered, RoomUnanswered, PullUnanswered, ClosedHere,
    }
    enum DisconnectReason {
        Closed, LeaseLost, Moved, Paused, Kicked(kick), Refused(refusal), TokenExpired, Rest(error),
        AttemptsExhausted { attempts, last }, ActorEnded(end),
    }
    enum SendError {
        Connection(error), NotLoggedIn, Invalid(text), InUse { client_id }, TooLarge { bytes, limit },
        Backlog { limit }, OutboxFull { limit }, Reconnecting, Expired { client_id, waited },
        Refused { code, status, reason }, OutcomeUnknown { client_id, cause }, Ended(reason),
    }
}

impl Weigh for Refusal {
    fn heap(&self) -> usize {
        // Its text was cut where it came in, and that may have left as much room again.
        self.reason().map_or(0, |reason| allocation(reason.len().saturating_mul(2)))
    }
}

impl Weigh for ConnectionError {
    fn heap(&self) -> usize {
        match self {
            // Of the application's own settings.
            ConnectionError::Config(_) => 1024,
            ConnectionError::Stopped | ConnectionError::NoSystem | ConnectionError::Busy => 0,
        }
    }
}
