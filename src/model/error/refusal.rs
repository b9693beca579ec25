use crate::model::error::Code;
use std::fmt;

/// Kind of a refusal of PROVISION (connection spec §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// 56: the token has expired.
    TokenExpired,
    /// 28: the token does not belong to this user or application.
    InvalidToken,
    /// 204: no such user.
    UserNotFound,
    /// 50: the application's number of registered users is used up.
    RegistrationLimit,
    /// 50: users register faster than the application may.
    RegistrationRateLimit,
    /// 50: the application's monthly active users are used up.
    MonthlyActiveLimit,
    /// 50: the application's daily active users are used up.
    DailyActiveLimit,
    /// 50: the application's online users are used up.
    OnlineLimit,
    /// 2: not authorised, with nothing known beyond that.
    AuthFailed,
    /// 2: the server failed without a known reason.
    Failed,
    /// -3: the server found a parameter wrong.
    WrongParameter,
    /// 57: the service is disabled for this application.
    ServingDisabled,
    /// 2: the account is bound to another device.
    BoundToAnotherDevice,
    /// 214: the user is online on as many devices as allowed.
    TooManyDevices,
    /// 220: the device's resource has changed.
    DeviceChanged,
    /// 2: a redirect without a usable address.
    RedirectWithoutAddress,
    /// 2: a redirect to an address that already redirected us.
    RedirectLoop,
    /// 2: more redirects in a row than allowed (5).
    TooManyRedirects,
    /// 2: a status number without a meaning of its own here.
    Other,
}

/// PROVISION was answered with something other than OK (connection spec §6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    status: i32,
    reason: Option<String>,
}

impl Refusal {
    /// Classifies a `Status` of a PROVISION answer. Known texts are found anywhere in the reason.
    #[must_use]
    pub fn classify(status: i32, reason: Option<String>) -> Self {
        use RefusalKind as K;
        let text = reason.as_deref().unwrap_or_default();
        let has = |known: &str| text.contains(known);
        let kind = match status {
            1 if has("token expired") => K::TokenExpired,
            1 if has("token or password does not match login info") => K::InvalidToken,
            1 if has("user not found") => K::UserNotFound,
            1 if has("user register rate limit") => K::RegistrationRateLimit,
            1 if has("user register limit") => K::RegistrationLimit,
            1 => K::Failed,
            2 => K::AuthFailed,
            4 => K::WrongParameter,
            5 => K::RedirectWithoutAddress,
            6 => K::TokenExpired,
            7 if has("the app month live count limit") => K::MonthlyActiveLimit,
            7 if has("the app day live count limit") => K::DailyActiveLimit,
            7 if has("the app online count limit") => K::OnlineLimit,
            7 => K::AuthFailed,
            11 => K::BoundToAnotherDevice,
            12 => K::ServingDisabled,
            13 => K::TooManyDevices,
            20 => K::DeviceChanged,
            _ => K::Other,
        };
        Refusal { kind, status, reason }
    }

    /// Returns the refusal with its text as it may be shown; what it means was decided by the text as it came.
    pub(crate) fn shown_by(mut self, show: impl Fn(String) -> String) -> Self {
        self.reason = self.reason.map(show);
        self
    }

    pub(crate) fn redirect(kind: RefusalKind, to: Option<String>) -> Self {
        Refusal { kind, status: 5, reason: to }
    }

    /// Returns whether another token of the user may be accepted where this one was not.
    pub(crate) fn is_of_token(&self) -> bool {
        use RefusalKind as K;
        matches!(self.kind, K::TokenExpired | K::InvalidToken | K::UserNotFound | K::AuthFailed)
    }

    /// Returns the kind of refusal.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// Returns `Status.errorCode` as the server sent it.
    #[must_use]
    pub const fn status(&self) -> i32 {
        self.status
    }

    /// Returns `Status.reason`, or a refused redirect's address: at most 512 characters and a mark, without secrets.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns the vendor's number (connection spec §6.3; 214 and 220 as the newer web SDK has them).
    #[must_use]
    pub const fn code(&self) -> Code {
        use RefusalKind as K;
        match self.kind {
            K::TokenExpired => Code::TOKEN_EXPIRED,
            K::InvalidToken => Code::INVALID_TOKEN,
            K::UserNotFound => Code::USER_NOT_FOUND,
            K::RegistrationLimit | K::RegistrationRateLimit => Code::MAX_LIMIT,
            K::MonthlyActiveLimit | K::DailyActiveLimit | K::OnlineLimit => Code::MAX_LIMIT,
            K::WrongParameter => Code::REQUEST_PARAMETER_ERROR,
            K::ServingDisabled => Code::SERVING_DISABLED,
            K::TooManyDevices => Code::TOO_MANY_DEVICES,
            K::DeviceChanged => Code::DEVICE_CHANGED,
            _ => Code::AUTH_ERROR,
        }
    }

    /// Returns whether the same login can never succeed by itself, so that reconnecting stops.
    ///
    /// Limits, unexplained failures and unknown status numbers pass by themselves and are tried again with
    /// backoff; everything about the token, the user, the device or the application is final.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        use RefusalKind as K;
        !matches!(
            self.kind,
            K::RegistrationLimit
                | K::RegistrationRateLimit
                | K::MonthlyActiveLimit
                | K::DailyActiveLimit
                | K::OnlineLimit
                | K::Failed
                | K::RedirectWithoutAddress
                | K::RedirectLoop
                | K::TooManyRedirects
                | K::Other
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RefusalKind as K;
        f.write_str(match self.kind {
            K::TokenExpired => "the token has expired; log in with a new one",
            K::InvalidToken => "the token does not belong to this user or application; get one for this user id and app key",
            K::UserNotFound => "there is no such user; check the user id and the app key, or register it",
            K::RegistrationLimit => "the application's limit of registered users is reached; remove users or get a larger plan",
            K::RegistrationRateLimit => "users are being registered too fast; try again later",
            K::MonthlyActiveLimit => "the application's limit of monthly active users is reached; wait for the next month or get a larger plan",
            K::DailyActiveLimit => "the application's limit of daily active users is reached; wait for the next day or get a larger plan",
            K::OnlineLimit => "the application's limit of online users is reached; log others out or get a larger plan",
            K::AuthFailed => "the server did not authorise the login; check the token, the user id and the app key",
            K::Failed => "the server failed to log the user in; try again later",
            K::WrongParameter => "the server found a login parameter wrong; check the app key, the user id and the device's name",
            K::ServingDisabled => "the service is disabled for this application; enable it in the vendor's console",
            K::BoundToAnotherDevice => "the account is bound to another device; log in there, or have the binding lifted",
            K::TooManyDevices => "the user is logged in on too many devices; log out on one of them, or keep this device's resource over restarts",
            K::DeviceChanged => "the user's device has changed; log in with the resource of before, or anew",
            K::RedirectWithoutAddress => "the server redirected the login without a usable address; the fault is the server's, try again later",
            K::RedirectLoop => "the server redirected the login in a loop; the fault is the server's, try again later",
            K::TooManyRedirects => "the server redirected the login too often; the fault is the server's, try again later",
            K::Other => "the server refused the login for a reason unknown to this client; try again later",
        })?;
        write!(f, " (status {}", self.status)?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason:?}")?;
        }
        f.write_str(")")
    }
}
