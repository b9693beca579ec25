use std::{
    error::Error as _,
    fmt,
    time::{Duration, Instant},
};

use awc::{
    error::{ConnectError, PayloadError, SendRequestError},
    http::{
        Method,
        header::{
            ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue,
            LOCATION, RETRY_AFTER, USER_AGENT,
        },
    },
};
use bytes::Bytes;
use serde_json::Value;

use super::{
    address::{host, referred},
    answer::{self, odd},
    classify::{classify, longest_pause},
};
use crate::{
    model::{
        account::{Token, UserId},
        error::{Code, ConnectStep, MAX_TEXT, Operation, RestError, RestErrorKind},
        redactor::Leased,
    },
    net::{DialError, Network, answered_at},
    rest::http,
};

const MAX_ANSWER: usize = 1 << 20;

/// One call, the same for every host it is tried at.
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) user: Option<&'a UserId>,
    pub(super) method: Method,
    /// Path and query below the base, with its leading `/`, percent-encoded.
    pub(super) path: String,
    pub(super) token: Option<&'a Token>,
    pub(super) body: Option<Bytes>,
    /// Secrets that neither this call nor, while it is under way, others may show.
    pub(super) secrets: Leased,
    pub(super) timeout: Duration,
    pub(super) network: &'a Network,
}

impl Call<'_> {
    /// Makes the call at one host and reads its answer by `parse`.
    pub(super) async fn at<T>(
        &self,
        base: &str,
        logger: &slog::Logger,
        parse: impl Fn(&Value) -> Result<T, RestErrorKind>,
    ) -> Result<T, RestError> {
        let url = format!("{}{}", base.trim_end_matches('/'), self.path);
        let host = host(&url);
        let started = Instant::now();
        let outcome = self.limited(&url).await.and_then(|(status, body)| self.parsed(status, &body, &parse));
        self.told(logger, host.as_deref(), started, outcome)
    }

    pub(super) fn parsed<T>(
        &self,
        status: u16,
        body: &[u8],
        parse: impl Fn(&Value) -> Result<T, RestErrorKind>,
    ) -> Result<(u16, T), RestError> {
        answer::read(body)
            .and_then(|value| parse(&value))
            .map(|parsed| (status, parsed))
            .map_err(|kind| RestError::answered(self.operation, status, kind, Code::REST_ERROR))
    }

    pub(super) fn told<T>(
        &self,
        logger: &slog::Logger,
        host: Option<&str>,
        started: Instant,
        outcome: Result<(u16, T), RestError>,
    ) -> Result<T, RestError> {
        let took = started.elapsed().as_millis();
        // The service may have named it.
        let host = host.map(|host| self.secrets.redactor().taken_in(host, MAX_TEXT));
        let host = host.as_deref();
        let user = self.user.map(UserId::as_str);
        match outcome {
            Ok((status, parsed)) => {
                slog::debug!(logger, "REST call answered"; "operation" => %self.operation, "user" => user,
                    "host" => host, "status" => status, "duration_ms" => took);
                Ok(parsed)
            }
            Err(error) => {
                let mut error = error.about(self.user, host);
                error.hide(self.secrets.redactor());
                slog::debug!(logger, "REST call failed"; "operation" => %self.operation, "user" => user,
                    "host" => host, "status" => error.status(), "duration_ms" => took,
                    "code" => error.code().number(), "kind" => ?error.kind());
                Err(error)
            }
        }
    }

    async fn limited(&self, url: &str) -> Result<(u16, Bytes), RestError> {
        // Timers and sockets panic without a runtime under them.
        if !http::is_possible() {
            return Err(self.fail(RestErrorKind::NoRuntime));
        }
        // awc's own limit ends with the answer's head; a body may then come for ever.
        let way = http::CallProgress::default();
        let outcome = tokio::time::timeout(self.timeout, way.of(self.exchange(url, &way))).await;
        match outcome.unwrap_or_else(|_| Err(self.fail(RestErrorKind::Timeout(self.timeout)))) {
            Err(error) if matches!(error.kind(), RestErrorKind::Timeout(_)) => Err(error.at(way.step())),
            outcome => outcome,
        }
    }

    /// Makes the request at an address, still without a body. `share` keeps the connection for the next one.
    pub(super) fn request(
        &self,
        url: &str,
        token: Option<&Token>,
        share: bool,
    ) -> Result<awc::ClientRequest, RestError> {
        let request = http::request(self.method.clone(), url, self.network, share).map_err(|error| {
            self.fail(match error {
                http::CallError::Address => RestErrorKind::Address(error.to_string()),
            })
        })?;
        let mut request = request
            .no_decompress()
            .insert_header((ACCEPT_ENCODING, "identity"))
            .insert_header((USER_AGENT, concat!("agora-chat/", env!("CARGO_PKG_VERSION"))));
        if let Some(content_type) = self.operation.spec().content_type {
            request = request.insert_header((CONTENT_TYPE, content_type));
        }
        if let Some(token) = token {
            request = request.insert_header((AUTHORIZATION, self.bearer(token)?));
        }
        Ok(request)
    }

    async fn exchange(&self, url: &str, way: &http::CallProgress) -> Result<(u16, Bytes), RestError> {
        let sent = match self.send(url, self.operation.spec().shares_connections()).await? {
            // The server has closed a connection just as it was taken for this call, which it then never saw.
            Err(SendRequestError::Send(_) | SendRequestError::Connect(ConnectError::Disconnected)) if way.is_kept() => {
                self.send(url, false).await?
            }
            sent => sent,
        };
        self.answer(url, sent.map_err(|error| self.transport(&error))?).await
    }

    async fn send(&self, url: &str, share: bool) -> Result<Result<awc::ClientResponse, SendRequestError>, RestError> {
        let request = self.request(url, self.token, share)?.timeout(self.timeout);
        Ok(match &self.body {
            Some(body) => request.send_body(body.clone()).await,
            None => request.send().await,
        })
    }

    /// Returns the whole answer of a success; any other as an error. `url` is what was asked.
    pub(super) async fn answer(&self, url: &str, mut response: awc::ClientResponse) -> Result<(u16, Bytes), RestError> {
        let status = response.status();
        let body = response.body().limit(MAX_ANSWER).await;
        let headers = response.headers();
        let unpack = |body: Bytes| match http::unpacked(&body, texts(headers, CONTENT_ENCODING), MAX_ANSWER) {
            Ok(unpacked) => Ok(unpacked.map_or(body, Bytes::from)),
            Err(packed) => Err(self.odd_answer(status.as_u16(), packed.to_string())),
        };
        if status.is_success() {
            let body = body.map_err(|error| self.unread(status.as_u16(), &error))?;
            return Ok((status.as_u16(), unpack(body)?));
        }
        let to = texts(headers, LOCATION).next().filter(|_| status.is_redirection());
        let to = to.and_then(|to| host(&referred(url, to)?));
        let pause = longest_pause(texts(headers, RETRY_AFTER), answered_at(texts(headers, DATE).next()));
        // The status alone says enough where the rest is cut off or too much, or cannot be read.
        let body = body.map_err(|error| self.unread(status.as_u16(), &error)).and_then(unpack).unwrap_or_default();
        let redactor = self.secrets.redactor();
        let failed = classify(self.operation, status.as_u16(), &body, pause, redactor);
        Err(failed.redirected(to.as_deref(), redactor))
    }

    fn odd_answer(&self, status: u16, why: String) -> RestError {
        RestError::answered(self.operation, status, odd(why), Code::REST_ERROR)
    }

    fn bearer(&self, token: &Token) -> Result<HeaderValue, RestError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| self.fail(RestErrorKind::Address("the token cannot stand in a header".to_owned())))?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(super) fn fail(&self, kind: RestErrorKind) -> RestError {
        RestError::local(self.operation, kind)
    }

    pub(super) fn transport(&self, error: &SendRequestError) -> RestError {
        use RestErrorKind as K;
        self.fail(match error {
            SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => K::Timeout(self.timeout),
            SendRequestError::Url(_) | SendRequestError::Http(_) => K::Address(words(error)),
            SendRequestError::Connect(ConnectError::Io(error)) => return self.unconnected(error),
            SendRequestError::Connect(ConnectError::Disconnected) => {
                K::Unreachable("the connection ended before an answer".to_owned())
            }
            SendRequestError::Response(error) => {
                match error.source().and_then(|source| source.downcast_ref::<std::io::Error>()) {
                    Some(error) if is_malformed(error) => odd(words(error)),
                    Some(error) => K::Unreachable(words(error)),
                    None => odd(words(error)),
                }
            }
            _ => K::Unreachable(words(error)),
        })
    }

    fn unconnected(&self, error: &std::io::Error) -> RestError {
        use RestErrorKind as K;
        match error.get_ref() {
            Some(inner) => match inner.downcast_ref::<DialError>() {
                Some(DialError::Failed { step: ConnectStep::Tls, detail }) => {
                    self.fail(K::Tls(detail.clone())).at(Some(ConnectStep::Tls))
                }
                Some(DialError::Failed { step, .. }) => self.fail(K::Unreachable(words(inner))).at(Some(*step)),
                Some(DialError::Certificate(problem)) => {
                    self.fail(K::Certificate(problem.clone())).at(Some(ConnectStep::Tls))
                }
                Some(DialError::Plaintext(_) | DialError::PlaintextProxy { .. }) => self.fail(K::Address(words(inner))),
                None => self.fail(K::Unreachable(words(error))),
            },
            None => self.fail(K::Unreachable(words(error))),
        }
    }

    pub(super) fn unread(&self, status: u16, error: &PayloadError) -> RestError {
        use RestErrorKind as K;
        match error {
            PayloadError::Overflow | PayloadError::EncodingCorrupted | PayloadError::UnknownLength => {
                self.odd_answer(status, words(error))
            }
            _ => match unread(error) {
                kind @ K::UnexpectedAnswer(_) => RestError::answered(self.operation, status, kind, Code::REST_ERROR),
                kind => self.fail(kind),
            },
        }
    }
}

/// Returns the reason that the body of an answer was not read to its end.
pub(super) fn unread(error: &PayloadError) -> RestErrorKind {
    match error {
        PayloadError::Io(error) | PayloadError::Incomplete(Some(error)) if is_malformed(error) => odd(words(error)),
        PayloadError::Io(error) | PayloadError::Incomplete(Some(error)) => RestErrorKind::Unreachable(words(error)),
        _ => RestErrorKind::Unreachable(words(error)),
    }
}

/// Returns whether an answer was read that is not as HTTP has it.
fn is_malformed(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData
}

pub(super) fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).filter_map(|value| value.to_str().ok())
}

fn words(error: &(impl fmt::Display + ?Sized)) -> String {
    error.to_string()
}
