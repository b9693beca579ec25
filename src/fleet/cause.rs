//! Why an account is where it is, and what an operator can do about it.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::model::error::{
    Code, ConnectStep, ConnectionError, DisconnectReason, Kick, LossCause, OpenError, Refusal, RefusalKind, RestError,
    RestErrorKind, TokenError,
};

/// Declares an enumeration whose values have a stable name in snake case, an index and a meaning in words.
macro_rules! named {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal, $words:literal;)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $value),* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$value),*];

            /// Returns the name that JSON, metrics and filters use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$value => $text),* }
            }

            /// Returns the meaning in words.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $($name::$value => $words),* }
            }

            /// Returns the value of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.words())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}
pub(super) use named;

named! {
    /// The kind of a [`Cause`]: what filters and metrics use.
    CauseKind {
        /// The host was not found or not reached.
        Unreachable = "unreachable", "the service cannot be reached";
        /// A step took too long.
        Timeout = "timeout", "the service does not answer in time";
        /// A link that was up was lost.
        LinkLost = "link_lost", "the link was lost";
        /// TLS failed, or the certificate was refused.
        Tls = "tls", "TLS failed or the certificate was refused";
        /// The proxy refused or failed.
        Proxy = "proxy", "the proxy refused or failed";
        /// The service answered with 5xx or failed without a known reason.
        ServiceFailed = "service_failed", "the service failed or is overloaded";
        /// The service answers calls or connections with 429.
        RateLimited = "rate_limited", "the service limits the rate";
        /// The application's plan is used up: users, active users, online users.
        AppLimit = "app_limit", "a limit of the application's plan is reached";
        /// The service is disabled for this application.
        ServingDisabled = "serving_disabled", "the service is disabled for this application";
        /// The address or app key is not that of the service, or the service speaks something else.
        WrongAddress = "wrong_address", "the address or app key is wrong";
        /// The password or token is wrong.
        BadCredentials = "bad_credentials", "the password or token is wrong";
        /// There is no such user, or it was removed or deactivated.
        UserMissing = "user_missing", "the user does not exist or was removed";
        /// The password was changed.
        PasswordChanged = "password_changed", "the password was changed";
        /// The token ended, and nobody gives another.
        TokenEnded = "token_ended", "the token ended and nobody gives another";
        /// The application's token provider gives no token.
        Provider = "provider", "the token provider gives no token";
        /// The user is online on as many devices as allowed, or bound to another device.
        DeviceLimit = "device_limit", "the user's devices are used up";
        /// Another login of the account took its place.
        KickedElsewhere = "kicked_elsewhere", "another login took the account's place";
        /// An administrator or another device forced it off.
        KickedByCall = "kicked_by_call", "an administrator or another device logged it out";
        /// The account's own settings are malformed.
        Malformed = "malformed", "the account's settings are malformed";
        /// The state folder could not be read.
        Disk = "disk", "the state folder does not answer";
        /// Code of the application panicked, or its arbiter ended.
        Application = "application", "code of the application failed";
        /// An operator or the application asked for it.
        Asked = "asked", "it was asked for";
        /// Something else.
        Other = "other", "another reason";
    }
}

named! {
    /// What an operator can do about an account that is not online.
    Advice {
        /// Nothing: it is tried again by itself.
        Wait = "wait", "wait, it is tried again by itself";
        /// Give the right password or token (`update`).
        GiveCredentials = "give_credentials", "give the account's right password or token";
        /// Register or activate the user, then resume.
        RegisterUser = "register_user", "register or activate the user, then resume the account";
        /// Look for the other program that uses the account, then resume.
        FindOtherLogin = "find_other_login", "find the other program or person that uses the account, then resume it";
        /// Ask who forced the account off, then resume.
        AskWhoKicked = "ask_who_kicked", "ask who logged the account out by the console or API, then resume it";
        /// Check the network and the service's address.
        CheckNetwork = "check_network", "check the network, DNS and the service's address";
        /// Check the certificate, its roots, and this machine's clock.
        CheckCertificate = "check_certificate", "check the certificate, the trusted roots and this machine's clock";
        /// Check the proxy and its credentials.
        CheckProxy = "check_proxy", "check the proxy and its credentials";
        /// Check app key and addresses.
        CheckAddress = "check_address", "check the app key and the service's addresses";
        /// Enlarge the application's plan, or keep fewer accounts online.
        RaiseLimit = "raise_limit", "enlarge the application's plan or keep fewer accounts online";
        /// Enable the service in the vendor's console.
        EnableService = "enable_service", "enable the service for this application in the vendor's console";
        /// Log the user's other devices out, then resume.
        FreeDevice = "free_device", "log the user's other devices out, then resume the account";
        /// Look at the token provider.
        CheckProvider = "check_provider", "look at the token provider: it fails or gives tokens that have ended";
        /// Mend the account's device name or login text, then update.
        FixAccount = "fix_account", "mend the account's user id, device or login text, then update it";
        /// Look at the disk of the state folder.
        CheckDisk = "check_disk", "look at the disk that holds the state folder";
        /// Look at the application's own log: its code panicked or its arbiter ended.
        CheckApplication = "check_application", "look at the application's log: its code panicked or its arbiter ended";
        /// Resume the account when it shall go on.
        Resume = "resume", "resume the account when it shall go on";
    }
}

/// Why an account is in its state: a kind, the vendor's number if there is one, and a text without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// The vendor's number, where there is one.
    pub code: Option<i32>,
    /// In words, at most [`Cause::MAX_CHARS`] characters, without secrets.
    pub text: Arc<str>,
}

impl Cause {
    /// The longest text, in characters; the rest is cut.
    pub const MAX_CHARS: usize = 256;

    pub(super) fn new(kind: CauseKind, code: Option<Code>, text: impl fmt::Display) -> Self {
        let text: String = text.to_string().chars().take(Self::MAX_CHARS).collect();
        Cause { kind, code: code.map(Code::number), text: text.into() }
    }

    pub(super) fn asked(text: &str) -> Self {
        Cause::new(CauseKind::Asked, None, text)
    }

    /// Makes the cause of a lost link or a failed attempt.
    pub(super) fn of_loss(loss: &LossCause) -> Self {
        Cause::new(kind_of_loss(loss), Some(loss.code()), loss)
    }

    /// Makes the cause of the end of a session.
    pub(super) fn of_end(reason: &DisconnectReason) -> Self {
        Cause::new(kind_of_end(reason), reason.code(), reason)
    }

    /// Makes the cause of a login that failed.
    pub(super) fn of_open(error: &OpenError) -> Self {
        Cause::new(kind_of_open(error), Some(error.code()), error)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl CauseKind {
    /// Returns whether it tells something of the service or the network, and nothing of the account.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        use CauseKind as K;
        matches!(
            self,
            K::Unreachable
                | K::Timeout
                | K::Tls
                | K::Proxy
                | K::ServiceFailed
                | K::RateLimited
                | K::AppLimit
                | K::ServingDisabled
                | K::WrongAddress
        )
    }

    /// Returns what an operator can do, where the account is tried again by itself (`retried`) or waits for somebody.
    pub(super) const fn advice(self, retried: bool) -> Advice {
        use CauseKind as K;
        match self {
            K::Unreachable => Advice::CheckNetwork,
            K::Timeout | K::ServiceFailed | K::RateLimited | K::LinkLost if retried => Advice::Wait,
            K::Timeout | K::LinkLost => Advice::CheckNetwork,
            K::ServiceFailed | K::RateLimited | K::Asked | K::Other => {
                if retried {
                    Advice::Wait
                } else {
                    Advice::Resume
                }
            }
            K::Tls => Advice::CheckCertificate,
            K::Proxy => Advice::CheckProxy,
            K::AppLimit => Advice::RaiseLimit,
            K::ServingDisabled => Advice::EnableService,
            K::WrongAddress => Advice::CheckAddress,
            K::BadCredentials | K::PasswordChanged | K::TokenEnded => Advice::GiveCredentials,
            K::UserMissing => Advice::RegisterUser,
            K::Provider => Advice::CheckProvider,
            K::DeviceLimit => Advice::FreeDevice,
            K::KickedElsewhere => Advice::FindOtherLogin,
            K::KickedByCall => Advice::AskWhoKicked,
            K::Malformed => Advice::FixAccount,
            K::Disk => Advice::CheckDisk,
            K::Application => Advice::CheckApplication,
        }
    }
}

fn kind_of_step(step: ConnectStep, timeout: bool) -> CauseKind {
    match step {
        ConnectStep::State => CauseKind::Disk,
        ConnectStep::Proxy => CauseKind::Proxy,
        ConnectStep::Tls if !timeout => CauseKind::Tls,
        _ if timeout => CauseKind::Timeout,
        ConnectStep::Upgrade => CauseKind::WrongAddress,
        _ => CauseKind::Unreachable,
    }
}

fn kind_of_loss(loss: &LossCause) -> CauseKind {
    use CauseKind as K;
    match loss {
        LossCause::HeartbeatTimeout { .. } => K::LinkLost,
        LossCause::Timeout(step) => kind_of_step(*step, true),
        LossCause::Failed { step, .. } => kind_of_step(*step, false),
        LossCause::Certificate(_) => K::Tls,
        LossCause::UpgradeRefused { status, .. } => match status {
            407 => K::Proxy,
            429 => K::RateLimited,
            500..=599 => K::ServiceFailed,
            _ => K::WrongAddress,
        },
        LossCause::Refused(refusal) => kind_of_refusal(refusal),
        LossCause::Rest { error, .. } => kind_of_rest(error),
        LossCause::Token(error) => kind_of_token(error),
        LossCause::Kicked(kick) => kind_of_kick(kick),
        _ => K::LinkLost,
    }
}

fn kind_of_end(reason: &DisconnectReason) -> CauseKind {
    use CauseKind as K;
    match reason {
        DisconnectReason::Closed | DisconnectReason::Moved | DisconnectReason::Paused => K::Asked,
        DisconnectReason::LeaseLost => K::Other,
        DisconnectReason::Kicked(kick) => kind_of_kick(kick),
        DisconnectReason::Refused(refusal) => kind_of_refusal(refusal),
        DisconnectReason::TokenExpired => K::TokenEnded,
        DisconnectReason::Rest(error) => kind_of_rest(error),
        DisconnectReason::AttemptsExhausted { last, .. } => kind_of_loss(last),
        DisconnectReason::ActorEnded(_) => K::Application,
    }
}

fn kind_of_kick(kick: &Kick) -> CauseKind {
    match kick {
        Kick::UserRemoved => CauseKind::UserMissing,
        Kick::LoggedInElsewhere { .. } => CauseKind::KickedElsewhere,
        Kick::PasswordChanged => CauseKind::PasswordChanged,
        Kick::ByOtherDevice => CauseKind::KickedByCall,
    }
}

fn kind_of_open(error: &OpenError) -> CauseKind {
    use CauseKind as K;
    match error {
        OpenError::AlreadyOpen { .. } | OpenError::InProgress { .. } => K::Other,
        OpenError::Credentials(_) | OpenError::Account(_) => K::Malformed,
        OpenError::Token { error, .. } | OpenError::Discovery { error, .. } => kind_of_rest(error),
        OpenError::Provider { error, .. } => kind_of_token(error),
        OpenError::Refused { refusal, .. } => kind_of_refusal(refusal),
        OpenError::Unreachable { cause, .. } => kind_of_loss(cause),
        OpenError::Deadline { step, .. } => kind_of_step(*step, true),
        OpenError::Ended { reason, .. } => kind_of_end(reason),
        OpenError::Connection(ConnectionError::Stopped | ConnectionError::NoSystem) => K::Application,
        OpenError::Connection(_) => K::Other,
    }
}

fn kind_of_token(error: &TokenError) -> CauseKind {
    match error {
        TokenError::Rest(error) => kind_of_rest(error),
        _ => CauseKind::Provider,
    }
}

fn kind_of_refusal(refusal: &Refusal) -> CauseKind {
    use CauseKind as K;
    use RefusalKind as R;
    match refusal.kind() {
        R::TokenExpired => K::TokenEnded,
        R::InvalidToken | R::AuthFailed => K::BadCredentials,
        R::UserNotFound => K::UserMissing,
        R::RegistrationLimit | R::RegistrationRateLimit => K::AppLimit,
        R::MonthlyActiveLimit | R::DailyActiveLimit | R::OnlineLimit => K::AppLimit,
        R::Failed => K::ServiceFailed,
        R::WrongParameter => K::Malformed,
        R::ServingDisabled => K::ServingDisabled,
        R::BoundToAnotherDevice | R::TooManyDevices | R::DeviceChanged => K::DeviceLimit,
        R::RedirectWithoutAddress | R::RedirectLoop | R::TooManyRedirects => K::WrongAddress,
        R::Other => K::Other,
    }
}

fn kind_of_rest(error: &RestError) -> CauseKind {
    use CauseKind as K;
    use RestErrorKind as R;
    match error.kind() {
        R::Unreachable(_) => match error.step() {
            Some(ConnectStep::Proxy) => K::Proxy,
            _ => K::Unreachable,
        },
        R::Timeout(_) => K::Timeout,
        R::Tls(_) | R::Certificate(_) => K::Tls,
        R::Address(_) | R::UnexpectedAnswer(_) | R::DiscoveryEmpty(_) | R::AppNotFound | R::NotFound => K::WrongAddress,
        R::InvalidPassword | R::Unauthorized | R::PasswordMissing => K::BadCredentials,
        R::UserNotFound | R::IllegalUsername | R::UsernameTooLong | R::UsernameMissing => K::UserMissing,
        R::Forbidden => K::UserMissing,
        R::RateLimited | R::Throttled { .. } => K::RateLimited,
        R::PlanLimit | R::LimitReached => K::AppLimit,
        R::ServiceDisabled => K::ServingDisabled,
        R::ServerBusy | R::ServerError => K::ServiceFailed,
        R::NoRuntime | R::Panicked(_) => K::Application,
        R::Other => match error.status() {
            Some(407) => K::Proxy,
            _ => K::WrongAddress,
        },
        _ => K::Other,
    }
}
