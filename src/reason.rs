//! Why a link was lost, a login refused, a connection ended: one typed value for event, log record and error.

use std::{fmt, time::Duration};

use crate::{CertificateProblem, Code, RestError, ServerText, TokenError, logger::Escaped, redactor::Redactor};

/// The server logged this device out (connection spec §9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kick {
    /// 207: the account was deleted.
    UserRemoved,
    /// 206: the user logged in on another device.
    LoggedInElsewhere {
        /// What the other device gave as its login extension, if anything: up to 1024 characters as they came, and without
        /// the session's secrets where it is shown.
        ext: Option<ServerText>,
    },
    /// 216: the password was changed.
    PasswordChanged,
    /// 217: forced off by an API call or from another device.
    ByOtherDevice,
}

impl Kick {
    /// The vendor's number: 206, 207, 216 or 217.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Kick::UserRemoved => Code::USER_REMOVED,
            Kick::LoggedInElsewhere { .. } => Code::USER_LOGIN_ANOTHER_DEVICE,
            Kick::PasswordChanged => Code::KICKED_BY_CHANGE_PASSWORD,
            Kick::ByOtherDevice => Code::KICKED_BY_OTHER_DEVICE,
        }
    }

    /// The kick a `StatisticsBody.operation` stands for; `None` for information (0) and unknown numbers.
    #[must_use]
    pub fn from_operation(operation: i32, reason: Option<String>) -> Option<Self> {
        match operation {
            1 => Some(Kick::UserRemoved),
            2 => Some(Kick::LoggedInElsewhere { ext: reason.map(ServerText::from) }),
            3 => Some(Kick::PasswordChanged),
            4 => Some(Kick::ByOtherDevice),
            _ => None,
        }
    }
}

/// What to do about a lost place.
const OWN_RESOURCE: &str = "log in again to take the place back, and give each program a resource of its own";

impl fmt::Display for Kick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kick::UserRemoved => "the user has been removed; register it again, or log in as another",
            Kick::LoggedInElsewhere { ext: Some(ext) } => {
                return write!(f, "the user has logged in on another device, which says {ext:?}; {OWN_RESOURCE}");
            }
            Kick::LoggedInElsewhere { ext: None } => {
                return write!(f, "the user has logged in on another device; {OWN_RESOURCE}");
            }
            Kick::PasswordChanged => "the password has been changed; log in with the new one",
            Kick::ByOtherDevice => {
                "another device or an administrator has logged the user out; log in again if that was not meant"
            }
        })
    }
}

/// What kind of refusal answered PROVISION (connection spec §6.3).
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

    /// The same refusal with its text as it may be shown; what it means was decided by the text as it came.
    pub(crate) fn shown_by(mut self, show: impl Fn(String) -> String) -> Self {
        self.reason = self.reason.map(show);
        self
    }

    pub(crate) fn redirect(kind: RefusalKind, to: Option<String>) -> Self {
        Refusal { kind, status: 5, reason: to }
    }

    /// Whether another token of the user may be accepted where this one was not.
    pub(crate) fn is_of_token(&self) -> bool {
        use RefusalKind as K;
        matches!(self.kind, K::TokenExpired | K::InvalidToken | K::UserNotFound | K::AuthFailed)
    }

    /// What kind of refusal this is.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// `Status.errorCode` as the server sent it.
    #[must_use]
    pub const fn status(&self) -> i32 {
        self.status
    }

    /// `Status.reason` as the server sent it, or for refused redirects the address: at most 512 characters and a mark where
    /// more was cut off, without the session's secrets.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The vendor's number (connection spec §6.3; 214 and 220 as the newer web SDK has them).
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

    /// Whether the same login can never succeed by itself, so that reconnecting stops.
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

/// A step on the way in; named by timeouts and failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Reading what the [state folder](crate::StateDir) keeps.
    State,
    /// Fetching `server.json`.
    Discovery,
    /// Fetching a token by REST.
    Token,
    /// Resolving the host name.
    Resolve,
    /// Connecting.
    Connect,
    /// Reaching the proxy, and asking it for a tunnel.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
    /// PROVISION and its answer.
    Provision,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::State => "reading the state folder",
            Step::Discovery => "service discovery",
            Step::Token => "the token request",
            Step::Resolve => "resolving the host name",
            Step::Connect => "connecting",
            Step::Proxy => "the proxy's tunnel",
            Step::Tls => "the TLS handshake",
            Step::Upgrade => "the WebSocket upgrade",
            Step::Provision => "PROVISION",
        })
    }
}

impl Step {
    /// What to look at when the step fails or takes too long.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Step::State => "check the disk that the state folder is on",
            Step::Discovery => "check the network and the discovery address, or give the service's addresses",
            Step::Token => "check the network and the REST address",
            Step::Resolve => "check the host's name and this machine's DNS",
            Step::Connect => "check the address, the network, and that the server runs",
            Step::Proxy => "check the proxy's address and credentials, and that it lets this host through",
            Step::Tls => "check that the address speaks TLS, and that nothing on the way cuts it",
            Step::Upgrade => "check that the address is the service's WebSocket address",
            Step::Provision => "the server may be overloaded; try again later",
        }
    }
}

/// What an HTTP status instead of a WebSocket asks of a person.
const fn advice_on_status(status: u16) -> &'static str {
    match status {
        407 => "check the proxy and its credentials",
        401 | 403 => "check the address, and whether a gateway on the way wants something of its own",
        404 => "check that the address is the service's WebSocket address",
        429 => "too many connections are being opened; open fewer at once",
        500..=599 => "the service is overloaded or down",
        _ => "check that the address is the service's WebSocket address",
    }
}

/// Why a link was lost or an attempt failed, in a way that another attempt may repair.
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
    /// A step of the way in took longer than its limit.
    Timeout(Step),
    /// A step of the way in failed.
    Failed {
        /// The step.
        step: Step,
        /// What happened, in words.
        detail: String,
    },
    /// The server's certificate was refused.
    Certificate(CertificateProblem),
    /// The upgrade was answered by another HTTP status than 101.
    UpgradeRefused {
        /// The HTTP status.
        status: u16,
        /// The pause the server asked for by `Retry-After`, in seconds or as a date. It comes before the ladder's own,
        /// but for at most an hour.
        retry_after: Option<Duration>,
    },
    /// PROVISION was refused for a reason that may pass.
    Refused(Refusal),
    /// A REST call on the way in failed for a reason that may pass.
    Rest {
        /// The call's step.
        step: Step,
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
    /// A pull of a queue stayed unanswered twice, 30 s each time after the last page that was asked for before it (messages
    /// spec §2.2). The queue goes last on the next link.
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
    /// The same cause with its texts as they may be shown: cut, and without the secrets.
    pub(crate) fn shown_by(self, redactor: &Redactor) -> Self {
        /// The longest text, in characters.
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

    /// The vendor's number where there is one: the refusal's, the REST error's, -1 for timeouts, 1 for a provider's error,
    /// 16 otherwise (§4).
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

/// Why a session ended; the client does not try again by itself, but `open` may be called again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The application asked for it.
    Closed,
    /// The server logged the device out: 206, 207, 216 or 217.
    Kicked(Kick),
    /// The server refused the login asked for by `open`, or refused the way back for good.
    Refused(Refusal),
    /// 56: the token ran out, or was refused as expired, and nobody gives another.
    TokenExpired,
    /// Getting a new token for the way back failed for good: the password is wrong, or the user is gone.
    Rest(RestError),
    /// 16: the link was lost and every allowed attempt failed.
    AttemptsExhausted {
        /// How many attempts were made; 0 where reconnecting is switched off.
        attempts: u32,
        /// Why the last one failed, or why the link was lost.
        last: LossCause,
    },
    /// 39: the connection's actor is gone, and the session with it. No call on the connection works any more; start a new
    /// one.
    ActorEnded(ActorEnd),
}

/// How a connection's actor came to its end while handles to it were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ActorEnd {
    /// A panic unwound it: one of its own, or of whatever else its thread was at.
    Panicked,
    /// It was stopped from outside: its arbiter ended, or its actix system.
    Stopped,
}

impl fmt::Display for ActorEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ActorEnd::Panicked => {
                "a panic ended the connection's actor; start a new connection, and report the panic if it is this crate's"
            }
            ActorEnd::Stopped => {
                "the connection's arbiter or actix system ended while it was logged in; close connections before their \
                 system stops"
            }
        })
    }
}

impl DisconnectReason {
    /// The vendor's number; `None` where the application asked for the end (§12).
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            DisconnectReason::Closed => None,
            DisconnectReason::Kicked(kick) => Some(kick.code()),
            DisconnectReason::Refused(refusal) => Some(refusal.code()),
            DisconnectReason::TokenExpired => Some(Code::TOKEN_EXPIRED),
            DisconnectReason::Rest(error) => Some(error.code()),
            DisconnectReason::AttemptsExhausted { .. } => Some(Code::DISCONNECTED),
            DisconnectReason::ActorEnded(_) => Some(Code::CONNECTION_CLOSED),
        }
    }
}

impl DisconnectReason {
    /// Whether a new [`open`](crate::Connection::open) with the same credentials and configuration can only fail until
    /// somebody does something: gives another token or password, registers the user, changes a setting.
    ///
    /// What is not final may still be no reason to come back: the application itself asked for the end
    /// ([`Closed`](DisconnectReason::Closed)), or the user is at another device
    /// ([`Kicked`](DisconnectReason::Kicked) with 206 or 217).
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            DisconnectReason::Closed | DisconnectReason::AttemptsExhausted { .. } | DisconnectReason::ActorEnded(_) => {
                false
            }
            DisconnectReason::Kicked(kick) => matches!(kick, Kick::UserRemoved | Kick::PasswordChanged),
            DisconnectReason::Refused(refusal) => refusal.is_final(),
            DisconnectReason::TokenExpired => true,
            DisconnectReason::Rest(error) => error.is_final(),
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DisconnectReason::Closed => f.write_str("closed as asked"),
            DisconnectReason::Kicked(kick) => kick.fmt(f),
            DisconnectReason::Refused(refusal) => refusal.fmt(f),
            DisconnectReason::TokenExpired => f.write_str("the token has expired; log in with a new one"),
            DisconnectReason::Rest(error) => error.fmt(f),
            DisconnectReason::AttemptsExhausted { attempts: 0, last } => {
                write!(f, "the link was lost and reconnecting is switched off: {last}")
            }
            DisconnectReason::AttemptsExhausted { attempts, last } => {
                write!(f, "gave up coming back at attempt {attempts}: {last}")
            }
            DisconnectReason::ActorEnded(end) => end.fmt(f),
        }
    }
}
