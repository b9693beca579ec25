//! One HTTP exchange with one host.

use std::{
    fmt,
    time::{Duration, Instant},
};

use awc::{
    error::{ConnectError, PayloadError, SendRequestError},
    http::{
        Method, Uri,
        header::{
            ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER, USER_AGENT,
        },
    },
};
use bytes::Bytes;
use serde_json::Value;

use super::{
    answer::odd,
    classify::{answered_at, classify, parse_retry_after},
    error::RestError,
    kind::{Operation, RestErrorKind},
};
use crate::{
    Code, Step, Token, UserId, http, lenient,
    net::{DialError, Network, certificate_problem},
};

/// The largest answer taken, in bytes.
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
    /// What must not stand in the error, even if the server repeats it.
    pub(super) secrets: Vec<&'a str>,
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

    /// What an answer's body says.
    pub(super) fn parsed<T>(
        &self,
        status: u16,
        body: &[u8],
        parse: impl Fn(&Value) -> Result<T, RestErrorKind>,
    ) -> Result<(u16, T), RestError> {
        let value = lenient::json::read(body).map_err(|error| odd(format!("it is not JSON: {error}")));
        value
            .and_then(|value| parse(&value))
            .map(|parsed| (status, parsed))
            .map_err(|kind| RestError::answered(self.operation, status, kind, Code::REST_ERROR))
    }

    /// Tells the log how the call went.
    pub(super) fn told<T>(
        &self,
        logger: &slog::Logger,
        host: Option<&str>,
        started: Instant,
        outcome: Result<(u16, T), RestError>,
    ) -> Result<T, RestError> {
        let took = started.elapsed().as_millis();
        let user = self.user.map(UserId::as_str);
        match outcome {
            Ok((status, parsed)) => {
                slog::debug!(logger, "REST call answered"; "operation" => %self.operation, "user" => user,
                    "host" => host, "status" => status, "duration_ms" => took);
                Ok(parsed)
            }
            Err(error) => {
                let error = error.about(self.user, host);
                slog::debug!(logger, "REST call failed"; "operation" => %self.operation, "user" => user,
                    "host" => host, "status" => error.status(), "duration_ms" => took,
                    "code" => error.code().number(), "kind" => ?error.kind());
                Err(error)
            }
        }
    }

    async fn limited(&self, url: &str) -> Result<(u16, Bytes), RestError> {
        // Timers and sockets panic without a runtime under them.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(self.fail(RestErrorKind::NoRuntime));
        }
        // awc's own limit ends with the answer's head; a body may then come for ever.
        let way = http::Way::default();
        let outcome = tokio::time::timeout(self.timeout, way.of(self.exchange(url, &way))).await;
        match outcome.unwrap_or_else(|_| Err(self.fail(RestErrorKind::Timeout(self.timeout)))) {
            Err(error) if matches!(error.kind(), RestErrorKind::Timeout(_)) => Err(error.at(way.step())),
            outcome => outcome,
        }
    }

    /// The request at an address, still without a body.
    pub(super) fn request(&self, url: &str, token: Option<&Token>) -> Result<awc::ClientRequest, RestError> {
        let client = http::client(url, self.network, self.operation.client())
            .map_err(|error| self.fail(RestErrorKind::Tls(error.to_string())))?;
        let mut request = client
            .request(self.method.clone(), url)
            .no_decompress()
            .insert_header((ACCEPT_ENCODING, "identity"))
            .insert_header((USER_AGENT, concat!("agora-chat/", env!("CARGO_PKG_VERSION"))));
        if let Some(content_type) = self.operation.content_type() {
            request = request.insert_header((CONTENT_TYPE, content_type));
        }
        if let Some(token) = token {
            request = request.insert_header((AUTHORIZATION, self.bearer(token)?));
        }
        Ok(request)
    }

    async fn exchange(&self, url: &str, way: &http::Way) -> Result<(u16, Bytes), RestError> {
        let sent = match self.send(url, self.operation.shares_connections()).await? {
            // The server has closed a connection just as it was taken for this call, which it then never saw.
            Err(SendRequestError::Send(_) | SendRequestError::Connect(ConnectError::Disconnected)) if way.is_kept() => {
                self.send(url, false).await?
            }
            sent => sent,
        };
        self.answer(sent.map_err(|error| self.transport(&error))?).await
    }

    async fn send(&self, url: &str, share: bool) -> Result<Result<awc::ClientResponse, SendRequestError>, RestError> {
        let request = self.request(url, self.token)?.timeout(self.timeout);
        let request = if share { request } else { request.force_close() };
        Ok(match &self.body {
            Some(body) => request.send_body(body.clone()).await,
            None => request.send().await,
        })
    }

    /// The whole answer of a success; any other as an error.
    pub(super) async fn answer(&self, mut response: awc::ClientResponse) -> Result<(u16, Bytes), RestError> {
        let status = response.status();
        let announced = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let body = response.body().limit(MAX_ANSWER).await;
        if status.is_success() {
            let body = body.map_err(|error| self.unread(status.as_u16(), &error))?;
            // awc takes a connection cut within the body for the body's end.
            return match announced {
                Some(all) if body.len() < all => {
                    Err(self.fail(RestErrorKind::Unreachable(format!("cut off after {} of {all} bytes", body.len()))))
                }
                _ => Ok((status.as_u16(), body)),
            };
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let pause = header(RETRY_AFTER).and_then(|value| parse_retry_after(value, answered_at(header(DATE))));
        // The status alone says enough where the rest is cut off or too much.
        let body = body.unwrap_or_default();
        Err(classify(self.operation, status.as_u16(), &body, pause, &self.secrets))
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
            _ => K::Unreachable(words(error)),
        })
    }

    fn unconnected(&self, error: &std::io::Error) -> RestError {
        use RestErrorKind as K;
        if let Some(problem) = certificate_problem(error) {
            return self.fail(K::Certificate(problem)).at(Some(Step::Tls));
        }
        match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => self.fail(K::Tls(words(inner))).at(Some(Step::Tls)),
            Some(inner) => match inner.downcast_ref::<DialError>() {
                Some(DialError::Failed { step, .. }) => self.fail(K::Unreachable(words(inner))).at(Some(*step)),
                Some(DialError::Certificate(problem)) => self.fail(K::Certificate(problem.clone())).at(Some(Step::Tls)),
                Some(DialError::Plaintext(_)) => self.fail(K::Address(words(inner))),
                None => self.fail(K::Unreachable(words(error))),
            },
            None => self.fail(K::Unreachable(words(error))),
        }
    }

    pub(super) fn unread(&self, status: u16, error: &PayloadError) -> RestError {
        use RestErrorKind as K;
        match error {
            PayloadError::Overflow | PayloadError::EncodingCorrupted | PayloadError::UnknownLength => {
                RestError::answered(self.operation, status, odd(words(error)), Code::REST_ERROR)
            }
            _ => self.fail(K::Unreachable(words(error))),
        }
    }
}

/// Host and port of an address, for logs and errors.
pub(super) fn host(url: &str) -> Option<String> {
    url.parse::<Uri>().ok().and_then(|uri| Some(uri.authority()?.to_string()))
}

fn words(error: &(impl fmt::Display + ?Sized)) -> String {
    error.to_string()
}
