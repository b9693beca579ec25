use std::{fmt, mem, time::Duration};

use crate::{
    model::{
        account::UserId,
        error::{CertificateProblem, Code, ConnectStep, Operation, RestErrorKind},
        redactor::Redactor,
    },
    util::{
        Escaped,
        weight::{Weigh, allocation},
    },
};

/// A REST call failed: which, for whom, why, and the vendor's number.
///
/// Shows no secret: where a server repeats a password, a token or a share-secret, in this call's answer or in one to
/// another call of the same client or session, `<redacted>` stands instead, in host names as well.
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
    redirect: Option<String>,
    /// Set if no other host is to be tried: part of what can be sent once only was sent.
    spent: bool,
    /// Set if somebody other than the service's host that was called is behind it.
    elsewhere: bool,
    step: Option<ConnectStep>,
    error: Option<String>,
    description: Option<String>,
}

pub(crate) const MAX_TEXT: usize = 512;

impl RestError {
    /// Makes an error that needed no answer of the server's; its code follows from the kind (connection spec §2, §3.5).
    pub(crate) fn local(operation: Operation, kind: RestErrorKind) -> Self {
        let code = match kind {
            RestErrorKind::Timeout(_) => Code::REQUEST_TIMEOUT,
            RestErrorKind::Throttled { .. } => Code::SERVER_BUSY,
            RestErrorKind::BatchSize(_) | RestErrorKind::ListSize { .. } | RestErrorKind::Parameter(_) => {
                Code::REQUEST_PARAMETER_ERROR
            }
            RestErrorKind::FileTooLarge { .. }
            | RestErrorKind::File { .. }
            | RestErrorKind::Panicked(_)
            | RestErrorKind::ForeignAddress => match operation {
                Operation::Upload => Code::UPLOAD_FAILED,
                _ => Code::DOWNLOAD_FAILED,
            },
            RestErrorKind::Unreachable(_)
            | RestErrorKind::Tls(_)
            | RestErrorKind::Certificate(_)
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
            redirect: None,
            spent: false,
            elsewhere: false,
            step: None,
            error: None,
            description: None,
        }))
    }

    /// Makes an error the server answered with; `code` as connection spec §3.5 has it.
    pub(crate) fn answered(operation: Operation, status: u16, kind: RestErrorKind, code: Code) -> Self {
        let mut error = RestError::local(operation, kind);
        error.0.status = Some(status);
        error.0.code = code_of(operation, code);
        error
    }

    pub(crate) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        self.0.retry_after = pause;
        self
    }

    /// Keeps the host that an answer redirects to, which may hold a secret that the server repeats.
    pub(crate) fn redirected(mut self, host: Option<&str>, redactor: &Redactor) -> Self {
        self.0.redirect = host.map(|host| redactor.taken_in(host, MAX_TEXT));
        self
    }

    /// Takes the secrets out of all its texts, and cuts them: a peer may choose them.
    pub(crate) fn hide(&mut self, redactor: &Redactor) {
        use RestErrorKind as K;
        let inner = &mut *self.0;
        let detail = match &mut inner.kind {
            K::Unreachable(text) | K::Tls(text) | K::Address(text) | K::UnexpectedAnswer(text) => Some(text),
            K::Certificate(CertificateProblem::Other(text)) => Some(text),
            K::File { detail, .. } => Some(detail),
            _ => None,
        };
        let others = [&mut inner.host, &mut inner.redirect, &mut inner.error, &mut inner.description];
        for text in others.into_iter().flatten().chain(detail) {
            if text.len() > MAX_TEXT {
                *text = redactor.taken_in(mem::take(text), MAX_TEXT);
            } else if let Some(shown) = redactor.changed(text) {
                *text = shown;
            }
        }
    }

    pub(crate) fn spent(mut self, spent: bool) -> Self {
        self.0.spent = spent;
        self
    }

    /// Of a storage host that the service led to, or of the application's own side: it says nothing about the service.
    pub(crate) fn elsewhere(mut self) -> Self {
        self.0.elsewhere = true;
        if self.0.kind == RestErrorKind::Unauthorized {
            // It never saw the token, so that a new one would change nothing.
            self.0.kind = RestErrorKind::Forbidden;
        }
        self
    }

    pub(crate) fn at(mut self, step: Option<ConnectStep>) -> Self {
        self.0.step = step;
        self
    }

    /// Keeps the body's own texts, without the secrets and cut to a bounded length.
    pub(crate) fn with_texts(mut self, error: Option<&str>, description: Option<&str>, redactor: &Redactor) -> Self {
        self.0.error = error.map(|text| redactor.taken_in(text, MAX_TEXT));
        self.0.description = description.map(|text| redactor.taken_in(text, MAX_TEXT));
        self
    }

    pub(crate) fn about(mut self, user: Option<&UserId>, host: Option<&str>) -> Self {
        self.0.user = user.cloned();
        self.0.host = host.map(str::to_owned);
        self
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> &RestErrorKind {
        &self.0.kind
    }

    /// Returns the vendor's number (connection spec §3.5; 304 for discovery, 12 for an exchange of an Agora token).
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the pause of a 429 or 503, at most a day, or with [`RestErrorKind::Throttled`] the time until its turn.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the redirect's target, as `host` or `host:port`. Only downloads follow redirects.
    #[must_use]
    pub fn redirect(&self) -> Option<&str> {
        self.0.redirect.as_deref()
    }

    /// Returns `error` of the answer's body, at most 512 characters and a mark where more was cut off.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// Returns `error_description` of the answer's body, at most 512 characters and a mark where more was cut off.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Returns the step of dialing that failed or took too long: [`ConnectStep::Resolve`], [`ConnectStep::Connect`],
    /// [`ConnectStep::Proxy`] or [`ConnectStep::Tls`]. `None` for a later failure.
    #[must_use]
    pub fn step(&self) -> Option<ConnectStep> {
        self.0.step
    }

    /// Returns the call that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// Returns the account the call was about, if any.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.0.user.as_ref()
    }

    /// Returns the host that was to be called, as `host` or `host:port`; `None` where none was chosen.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// Returns whether the same call can never succeed by itself, at any host, so that retries stop.
    ///
    /// Limits, overload, failures of the network and answers that the service itself would not give pass by
    /// themselves and are not final; everything about the request, the user, the token or the application is. A 401 or
    /// 403 that a token request or discovery gets without a word of the service's own is some gateway's, and passes.
    #[must_use]
    pub fn is_final(&self) -> bool {
        use RestErrorKind as K;
        !self.is_a_gateways()
            && !matches!(
                self.0.kind,
                K::Unreachable(_)
                    | K::Timeout(_)
                    | K::Tls(_)
                    | K::Certificate(_)
                    | K::Address(_)
                    | K::UnexpectedAnswer(_)
                    | K::DiscoveryEmpty(_)
                    | K::RateLimited
                    | K::Throttled { .. }
                    | K::PlanLimit
                    | K::ServerBusy
                    | K::ServerError
                    | K::Other
            )
    }

    fn is_a_gateways(&self) -> bool {
        use Operation as O;
        matches!(self.0.operation, O::PasswordToken | O::ExchangeAgoraToken | O::AppToken | O::Discovery)
            && matches!(self.0.kind, RestErrorKind::Unauthorized | RestErrorKind::Forbidden)
            && self.0.error.is_none()
            && self.0.description.is_none()
    }

    /// Returns whether the host that was called is to be tried after the others from now on.
    pub(crate) fn speaks_against_the_host(&self) -> bool {
        !self.is_final() && !self.0.elsewhere
    }

    /// Returns whether the service itself says that calls of this kind come too fast.
    pub(crate) fn is_the_services_limit(&self) -> bool {
        self.0.kind == RestErrorKind::RateLimited && !self.0.elsewhere
    }

    /// Returns whether another host may succeed where this one failed just now. Limits are per application.
    pub(crate) fn is_the_hosts(&self) -> bool {
        use RestErrorKind as K;
        !self.is_final() && !self.0.spent && !matches!(self.0.kind, K::RateLimited | K::Throttled { .. } | K::PlanLimit)
    }

    /// Returns whether the service refused the call for its rate limit and said when it may come again.
    pub(crate) fn says_when(&self) -> bool {
        self.0.kind == RestErrorKind::RateLimited && self.0.retry_after.is_some()
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

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{}", inner.operation)?;
        if let Some(user) = &inner.user {
            write!(f, " for user {user}")?;
        }
        if let Some(host) = &inner.host {
            write!(f, " at {}", Escaped(host))?;
        }
        f.write_str(" failed: ")?;
        inner.kind.explain(f)?;
        if let (RestErrorKind::Timeout(_), Some(step)) = (&inner.kind, inner.step) {
            write!(f, " ({step} took too long)")?;
        }
        if let Some(status) = inner.status {
            write!(f, " (HTTP status {status}")?;
            if let Some(text) = inner.description.as_ref().or(inner.error.as_ref()) {
                write!(f, ": {text:?}")?;
            }
            if let Some(host) = &inner.redirect {
                write!(f, ", redirects to {}, which is not followed", Escaped(host))?;
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

impl Weigh for RestError {
    fn heap(&self) -> usize {
        let Inner {
            operation: _,
            user,
            host,
            kind,
            code: _,
            status,
            retry_after,
            redirect,
            spent,
            elsewhere,
            step: _,
            error,
            description,
        } = &*self.0;
        let flat = status.heap() + retry_after.heap() + spent.heap() + elsewhere.heap();
        let user = user.as_ref().map_or(0, |user| user.shared().heap());
        [
            allocation(size_of::<Inner>()),
            user,
            host.heap(),
            kind.heap(),
            redirect.heap(),
            error.heap(),
            description.heap(),
        ]
        .into_iter()
        .fold(flat, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_TEXT, RestError};
    use crate::model::{
        account::Token,
        error::{Code, Operation, RestErrorKind},
        redactor::Redactor,
    };

    #[test]
    fn a_message_says_what_failed_for_whom_where_and_what_to_do() {
        let error = RestError::answered(Operation::RegisterUser, 429, RestErrorKind::RateLimited, Code::SERVER_BUSY)
            .with_texts(Some("reach_limit"), Some("This request has reached api limit"), &Redactor::default())
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
        let redactor = Redactor::default();
        redactor.learn_token(&Token::new("CANARY").unwrap());
        let straddling = format!("{}CANARY", "x".repeat(MAX_TEXT - 3));
        let error = RestError::local(Operation::AppToken, RestErrorKind::Other);
        let error = error.with_texts(None, Some(&straddling), &redactor);
        assert!(error.description().unwrap().ends_with("x<re…"), "{error:?}");
    }

    #[test]
    fn discovery_and_the_exchange_of_a_token_have_one_number_each() {
        let timeout = || RestErrorKind::Timeout(Duration::from_secs(1));
        assert_eq!(RestError::local(Operation::Discovery, timeout()).code(), Code::DISCOVERY_FAILED);
        assert_eq!(RestError::local(Operation::ExchangeAgoraToken, timeout()).code(), Code::TOKEN_EXCHANGE_FAILED);
        assert_eq!(RestError::local(Operation::PasswordToken, timeout()).code(), Code::REQUEST_TIMEOUT);
    }
}
