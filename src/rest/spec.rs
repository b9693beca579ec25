//! What is special about a REST call.

use crate::model::error::Operation;

use crate::rest::rate_limit::Budget;

impl Operation {
    /// Whether its connection is kept for the next call, as logins come in crowds. Asking twice for a token harms nobody,
    /// so the call can be made again where the connection turns out to be dead.
    pub(super) fn shares_connections(self) -> bool {
        self.budget() == Budget::Tokens
    }

    /// Which of the published limits the call counts against.
    pub(super) fn budget(self) -> Budget {
        use Operation as O;
        match self {
            O::PasswordToken | O::ExchangeAgoraToken | O::AppToken => Budget::Tokens,
            O::TokenExpiry | O::Discovery => Budget::Each(self),
            _ if self.is_a_sessions() => Budget::Each(self),
            _ => Budget::Users,
        }
    }

    /// Whether the call is made once more after a limit. Those for tokens are not: a session paces its own.
    pub(super) fn waits_out_a_limit(self) -> bool {
        use Operation as O;
        self.budget() == Budget::Users || (self.is_a_sessions() && !matches!(self, O::Upload | O::Download))
    }

    /// Whether it is a call of a logged-in user's own, whose errors are those of messages spec §5.7.
    pub(super) fn is_a_sessions(self) -> bool {
        use Operation as O;
        matches!(
            self,
            O::Upload
                | O::Download
                | O::History
                | O::DeleteHistory
                | O::PublishPresence
                | O::SubscribePresence
                | O::UnsubscribePresence
                | O::PresenceSubscriptions
                | O::Presence
                | O::SetAttributes
                | O::Attributes
                | O::Conversations
        )
    }

    /// What the body is sent as; `None` where none is sent, or the call itself says so.
    pub(super) fn content_type(self) -> Option<&'static str> {
        use Operation as O;
        match self {
            O::Discovery | O::Upload | O::Download => None,
            O::SetAttributes => Some("application/x-www-form-urlencoded"),
            _ => Some("application/json"),
        }
    }

    /// Whether the path names a user, so that nothing there means no such user.
    pub(super) fn names_a_user(self) -> bool {
        use Operation as O;
        matches!(
            self,
            O::DeleteUser
                | O::ChangePassword
                | O::ActivateUser
                | O::DeactivateUser
                | O::Devices
                | O::KickDevice
                | O::KickAll
        )
    }
}
