use crate::{
    model::error::{Operation, operations},
    rest::rate_limit::Budget,
};

/// Properties of a REST call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) budget: Budget,
    /// The body's media type; `None` where none is sent, or the call itself says so.
    pub(super) content_type: Option<&'static str>,
    /// Set if it is a call of a logged-in user's own, whose errors are those of messages spec §5.7.
    pub(super) session: bool,
    /// Set if the call waits and is made once more after a limit. Those for tokens are not: a session paces its own.
    pub(super) waits: bool,
    /// Set if the path names a user, so that nothing there means no such user.
    pub(super) names_user: bool,
}

macro_rules! define {
    ($($(#[$doc:meta])* $operation:ident $label:literal $budget:ident $body:ident $($flag:ident)*;)*) => {
        impl Operation {
            /// Returns the call's row of the table [`operations!`].
            pub(super) const fn spec(self) -> Spec {
                match self {
                    $(Operation::$operation => {
                        #[allow(clippy::needless_update, reason = "a row may have all flags")]
                        Spec { $($flag: true,)* ..Spec::new(Limit::$budget.budget(self), Body::$body) }
                    })*
                }
            }
        }
    };
}

operations!(define);

enum Limit {
    Tokens,
    Users,
    Own,
}

impl Limit {
    const fn budget(self, operation: Operation) -> Budget {
        match self {
            Limit::Tokens => Budget::Tokens,
            Limit::Users => Budget::Users,
            Limit::Own => Budget::Each(operation),
        }
    }
}

enum Body {
    None,
    Json,
    Form,
}

impl Spec {
    const fn new(budget: Budget, body: Body) -> Self {
        let content_type = match body {
            Body::None => None,
            Body::Json => Some("application/json"),
            Body::Form => Some("application/x-www-form-urlencoded"),
        };
        Spec { budget, content_type, session: false, waits: false, names_user: false }
    }

    /// Returns whether its connection is pooled, as logins come in crowds: a token call can be repeated on a dead one.
    pub(super) fn shares_connections(self) -> bool {
        self.budget == Budget::Tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(has: impl Fn(Spec) -> bool) -> Vec<Operation> {
        Operation::ALL.iter().copied().filter(|operation| has(operation.spec())).collect()
    }

    #[test]
    fn the_rows_say_what_the_published_limits_say() {
        use Operation as O;
        assert_eq!(which(|spec| spec.budget == Budget::Tokens), [O::PasswordToken, O::ExchangeAgoraToken, O::AppToken]);
        let users = which(|spec| spec.budget == Budget::Users);
        assert_eq!(
            users,
            [
                O::RegisterUser,
                O::RegisterUserAsApp,
                O::RegisterUsers,
                O::DeleteUser,
                O::ChangePassword,
                O::ActivateUser,
                O::DeactivateUser,
                O::Devices,
                O::KickDevice,
                O::KickAll,
            ]
        );
        for operation in Operation::ALL.iter().filter(|operation| operation.spec().session) {
            assert_eq!(operation.spec().budget, Budget::Each(*operation));
        }
        // What is not made again: tokens, which a session paces itself, and what cannot be repeated from its beginning.
        let once = which(|spec| !spec.waits);
        assert_eq!(
            once,
            [
                O::PasswordToken,
                O::ExchangeAgoraToken,
                O::TokenExpiry,
                O::AppToken,
                O::Discovery,
                O::Upload,
                O::Download,
            ]
        );
        assert_eq!(which(|spec| spec.names_user), users[3..]);
        assert_eq!(which(|spec| spec.content_type.is_none()), [O::Discovery, O::Upload, O::Download]);
    }
}
