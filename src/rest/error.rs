//! Why a REST call failed.

use std::{fmt, time::Duration};

use crate::{Code, UserId};

/// Which REST call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Open registration of one user (connection spec §3.1).
    RegisterUser,
    /// Registration of one user by an app token (§3.1).
    RegisterUserAsApp,
    /// Registration of a batch of users by an app token (§3.1).
    RegisterUsers,
    /// A token for a user's password (§3.2).
    PasswordToken,
    /// A user token for an Agora token (§3.3).
    ExchangeAgoraToken,
    /// When a token ends (§3.4).
    TokenExpiry,
    /// An app token for client credentials.
    AppToken,
    /// The service's addresses (§2).
    Discovery,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::RegisterUser => "registration",
            Operation::RegisterUserAsApp => "registration by app token",
            Operation::RegisterUsers => "registration of a batch of users",
            Operation::PasswordToken => "token request",
            Operation::ExchangeAgoraToken => "exchange of an Agora token",
            Operation::TokenExpiry => "query of a token's end",
            Operation::AppToken => "app token request",
            Operation::Discovery => "service discovery",
        })
    }
}

/// What went wrong in a REST call, so that a program can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestErrorKind {
    /// No answer: the host was not found, refused, or cut the connection; in words.
    Unreachable(String),
    /// No whole answer within the limit.
    Timeout(Duration),
    /// TLS could not be set up, or the server's certificate was refused; in words.
    Tls(String),
    /// The address cannot be called; in words.
    Address(String),
    /// The call was made outside an async runtime; nothing was sent.
    NoRuntime,
    /// A batch was empty or held more users than [`RestClient::MAX_BATCH`](super::RestClient::MAX_BATCH); nothing was sent.
    BatchSize(usize),
    /// The answer said success but could not be understood, or was over 1 MiB; in words.
    UnexpectedAnswer(String),
    /// `server.json` named no usable address; which list.
    DiscoveryEmpty(&'static str),
    /// The user id is taken.
    UsernameTaken,
    /// The user id holds characters the service does not allow.
    IllegalUsername,
    /// The user id is too long for the service.
    UsernameTooLong,
    /// The nickname is too long for the service.
    NicknameTooLong,
    /// The service saw no password.
    PasswordMissing,
    /// The service saw no user id.
    UsernameMissing,
    /// The service could not read the request.
    MalformedJson,
    /// The application does not allow open registration.
    RegistrationClosed,
    /// The password is wrong.
    InvalidPassword,
    /// There is no such user.
    UserNotFound,
    /// The token is wrong or has expired, or none was given where one is needed.
    Unauthorized,
    /// The caller may not do this.
    Forbidden,
    /// There is no such app key.
    AppNotFound,
    /// Something else was not found.
    NotFound,
    /// The service refused the request for a reason without a kind of its own.
    BadRequest,
    /// Calls come faster than the service allows.
    RateLimited,
    /// The application's plan is used up.
    PlanLimit,
    /// 503: the service is overloaded.
    ServerBusy,
    /// 500 or another 5xx: the service failed.
    ServerError,
    /// Another status, or an answer that the service itself would not give.
    Other,
}

impl RestErrorKind {
    /// What happened and what to do about it.
    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RestErrorKind as K;
        let text = match self {
            K::Unreachable(detail) => return write!(f, "no answer ({detail}); check the network and the address"),
            K::Timeout(limit) => return write!(f, "no whole answer within {limit:?}; try again later"),
            K::Tls(detail) => return write!(f, "no trusted connection: {detail}"),
            K::Address(detail) => return write!(f, "the address cannot be called: {detail}"),
            K::NoRuntime => "called outside an async runtime; call it inside an actix system",
            K::BatchSize(size) => {
                let most = super::RestClient::MAX_BATCH;
                return write!(f, "{size} users in one batch; give 1 to {most}, nothing was sent");
            }
            K::UnexpectedAnswer(detail) => {
                return write!(
                    f,
                    "the answer cannot be understood ({detail}); check that the address is the service's"
                );
            }
            K::DiscoveryEmpty(list) => {
                return write!(f, "the answer names no usable {list} address; give the addresses in the configuration");
            }
            K::UsernameTaken => "the user id is taken; log in, or choose another",
            K::IllegalUsername => "the service does not allow this user id; choose another",
            K::UsernameTooLong => "the user id is too long; choose a shorter one",
            K::NicknameTooLong => "the nickname is too long; choose a shorter one",
            K::PasswordMissing => "the service saw no password",
            K::UsernameMissing => "the service saw no user id",
            K::MalformedJson => "the service could not read the request",
            K::RegistrationClosed => "the application does not allow open registration; register with an app token",
            K::InvalidPassword => "the password is wrong",
            K::UserNotFound => "there is no such user; register it first",
            K::Unauthorized => "not authorised; get a new token",
            K::Forbidden => "permission denied",
            K::AppNotFound => "the service does not know the app key; check it and the address",
            K::NotFound => "not found",
            K::BadRequest => "the service refused the request",
            K::RateLimited => "too many calls; wait before the next one",
            K::PlanLimit => "the application's plan is used up",
            K::ServerBusy => "the service is overloaded; try again later",
            K::ServerError => "the service failed; try again later",
            K::Other => "an answer the service would not give; check the address",
        };
        f.write_str(text)
    }
}

/// A REST call failed: which, for whom, why, and the vendor's number.
///
/// Holds neither password nor token: where a server repeats one in its answer, `<redacted>` stands instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    operation: Operation,
    user: Option<UserId>,
    host: Option<String>,
    kind: RestErrorKind,
    code: Code,
    status: Option<u16>,
    retry_after: Option<Duration>,
    error: Option<String>,
    description: Option<String>,
}

/// The longest `error` or `error_description` kept, in characters.
const MAX_TEXT: usize = 512;

impl RestError {
    /// An error that needed no answer of the server's; its code follows from the kind (connection spec §2, §3.5).
    pub(super) fn local(operation: Operation, kind: RestErrorKind) -> Self {
        let code = match kind {
            RestErrorKind::Timeout(_) => Code::REQUEST_TIMEOUT,
            RestErrorKind::BatchSize(_) => Code::REQUEST_PARAMETER_ERROR,
            RestErrorKind::Unreachable(_)
            | RestErrorKind::Tls(_)
            | RestErrorKind::Address(_)
            | RestErrorKind::NoRuntime => Code::REQUEST_UNKNOWN,
            _ => Code::REST_ERROR,
        };
        RestError(Box::new(Inner {
            operation,
            user: None,
            host: None,
            kind,
            code: code_of(operation, code),
            status: None,
            retry_after: None,
            error: None,
            description: None,
        }))
    }

    /// An error the server answered with; `code` as connection spec §3.5 has it.
    pub(super) fn answered(operation: Operation, status: u16, kind: RestErrorKind, code: Code) -> Self {
        let mut error = RestError::local(operation, kind);
        error.0.status = Some(status);
        error.0.code = code_of(operation, code);
        error
    }

    pub(super) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        self.0.retry_after = pause;
        self
    }

    /// Keeps the body's own texts, without the secrets and cut to a bounded length.
    pub(super) fn with_texts(mut self, error: Option<&str>, description: Option<&str>, secrets: &[&str]) -> Self {
        let keep = |text: &str| scrubbed(text, secrets).chars().take(MAX_TEXT).collect();
        self.0.error = error.map(keep);
        self.0.description = description.map(keep);
        self
    }

    pub(super) fn about(mut self, user: Option<&UserId>, host: Option<&str>) -> Self {
        self.0.user = user.cloned();
        self.0.host = host.map(str::to_owned);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &RestErrorKind {
        &self.0.kind
    }

    /// The vendor's number (connection spec §3.5; 304 for discovery, 12 for an exchange of an Agora token).
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The pause the server asked for with 429 or 503, at most a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// `error` of the answer's body, at most 512 characters.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// `error_description` of the answer's body, at most 512 characters.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Which call failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// Which account the call was about, if it was about one.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.0.user.as_ref()
    }

    /// Which host was to be called, as `host` or `host:port`; `None` where it did not come to that.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// Whether the same call can never succeed by itself, at this host or another one, so that trying again stops.
    ///
    /// Limits, overload, failures of the network and answers that the service itself would not give pass by
    /// themselves and are not final; everything about the request, the user, the token or the application is.
    #[must_use]
    pub fn is_final(&self) -> bool {
        use RestErrorKind as K;
        !matches!(
            self.0.kind,
            K::Unreachable(_)
                | K::Timeout(_)
                | K::Tls(_)
                | K::Address(_)
                | K::UnexpectedAnswer(_)
                | K::DiscoveryEmpty(_)
                | K::RateLimited
                | K::PlanLimit
                | K::ServerBusy
                | K::ServerError
                | K::Other
        )
    }

    /// Whether another host may succeed where this one failed just now. Limits hold for the application, not the host.
    pub(super) fn is_the_hosts(&self) -> bool {
        !self.is_final() && !matches!(self.0.kind, RestErrorKind::RateLimited | RestErrorKind::PlanLimit)
    }
}

/// Two calls fail with a number of their own, whatever the reason (connection spec §2, §3.3).
fn code_of(operation: Operation, code: Code) -> Code {
    match operation {
        Operation::Discovery => Code::DISCOVERY_FAILED,
        Operation::ExchangeAgoraToken => Code::TOKEN_EXCHANGE_FAILED,
        _ => code,
    }
}

fn scrubbed(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    // The longest first: a secret may stand inside another one.
    let mut secrets = secrets.to_vec();
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        if !secret.is_empty() && text.contains(secret) {
            text = text.replace(secret, "<redacted>");
        }
    }
    text
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{}", inner.operation)?;
        if let Some(user) = &inner.user {
            write!(f, " for user {user}")?;
        }
        if let Some(host) = &inner.host {
            write!(f, " at {host}")?;
        }
        f.write_str(" failed: ")?;
        inner.kind.explain(f)?;
        if let Some(status) = inner.status {
            write!(f, " (HTTP status {status}")?;
            if let Some(text) = inner.description.as_ref().or(inner.error.as_ref()) {
                write!(f, ": {text:?}")?;
            }
            if let Some(pause) = inner.retry_after {
                write!(f, ", retry after {} s", pause.as_secs())?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl std::error::Error for RestError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_TEXT, Operation, RestError, RestErrorKind, scrubbed};
    use crate::Code;

    #[test]
    fn a_message_says_what_failed_for_whom_where_and_what_to_do() {
        let error = RestError::answered(Operation::RegisterUser, 429, RestErrorKind::RateLimited, Code::SERVER_BUSY)
            .with_texts(Some("reach_limit"), Some("This request has reached api limit"), &[])
            .with_retry_after(Some(Duration::from_secs(7)))
            .about(Some(&"alice".parse().unwrap()), Some("127.0.0.1:80"));
        assert_eq!(
            error.to_string(),
            "registration for user alice at 127.0.0.1:80 failed: too many calls; wait before the next one \
             (HTTP status 429: \"This request has reached api limit\", retry after 7 s)"
        );
    }

    #[test]
    fn secrets_a_server_repeats_are_replaced_before_the_text_is_cut() {
        assert_eq!(scrubbed("bad password hunter2, hunter2!", &["hunter2"]), "bad password <redacted>, <redacted>!");
        assert_eq!(scrubbed("pw2", &["pw", "pw2"]), "<redacted>");
        assert_eq!(scrubbed("as it is", &[""]), "as it is");
        let straddling = format!("{}CANARY", "x".repeat(MAX_TEXT - 3));
        let error = RestError::local(Operation::AppToken, RestErrorKind::Other).with_texts(
            None,
            Some(&straddling),
            &["CANARY"],
        );
        assert!(error.description().unwrap().ends_with("x<re"), "{error:?}");
    }

    #[test]
    fn discovery_and_the_exchange_of_a_token_have_one_number_each() {
        let timeout = || RestErrorKind::Timeout(Duration::from_secs(1));
        assert_eq!(RestError::local(Operation::Discovery, timeout()).code(), Code::DISCOVERY_FAILED);
        assert_eq!(RestError::local(Operation::ExchangeAgoraToken, timeout()).code(), Code::TOKEN_EXCHANGE_FAILED);
        assert_eq!(RestError::local(Operation::PasswordToken, timeout()).code(), Code::REQUEST_TIMEOUT);
    }
}
