//! Tokens from an address of the application's own.

use std::{fmt, sync::Arc, time::Duration};

use actix_rt::task::JoinHandle;
use awc::{
    error::{ConnectError, PayloadError, SendRequestError},
    http::{
        Method, StatusCode,
        header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{address, http};
use crate::{
    config::{Config, check_address},
    model::{
        account::{Token, UserId},
        auth::{ProvidingToken, TokenGrant, TokenProvider, TokenReason, TokenRequest},
        error::{ConfigError, ProviderError},
    },
    net::Network,
};

/// A [`TokenProvider`] that asks a server of the application's: for programs that must not hold the app's certificate.
///
/// It sends `POST` with the body `{"user":"alice","reason":"expiring"}`, where the reason is `login`, `expiring`, `expired`
/// or `refused` ([`TokenReason`]), and with a [key](Self::bearer) as `Authorization: Bearer …`. The answer is 200 with
/// `{"token":"…","expires_in":3600}`: the life in seconds, or in its place `"expires_at"` in milliseconds since 1970, or
/// neither. 404 and 410 say that there is no such user, and the session ends with its token. After any other answer, and
/// after none within [`rest_timeout`](crate::ConfigBuilder::rest_timeout), the server is asked again later.
///
/// An address of another machine must be `https`, unless plaintext is allowed. Proxy and root certificates are those of the
/// configuration. Redirects are not followed, an answer has at most [`MAX_ANSWER`](Self::MAX_ANSWER) bytes, and no error
/// shows more of the address than its host.
///
/// ```
/// use agora_chat::{Config, Credentials, rest::TokenUrl};
/// let config = Config::builder("org#app").build()?;
/// let credentials = Credentials::provider("alice", TokenUrl::new(&config, "https://bots.example.com/token")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenUrl(Arc<Asked>);

#[derive(Clone)]
struct Asked {
    url: String,
    host: String,
    key: Option<Token>,
    timeout: Duration,
    network: Network,
}

#[derive(Serialize)]
struct Question<'a> {
    user: &'a str,
    reason: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_in: Option<u64>,
    expires_at: Option<u64>,
}

impl TokenUrl {
    /// The largest answer, in bytes.
    pub const MAX_ANSWER: usize = 64 * 1024;

    /// Makes a provider for an address, with time limit, proxy and root certificates of a configuration.
    ///
    /// # Errors
    /// [`ConfigError::Address`] for a malformed address, one with credentials in it, or one that is not encrypted.
    pub fn new(config: &Config, url: impl Into<String>) -> Result<Self, ConfigError> {
        let url = url.into();
        check_address("token provider's", &url, &["http", "https"], &config.network)?;
        let host = address::host(&url).unwrap_or_default();
        Ok(TokenUrl(Arc::new(Asked {
            url,
            host,
            key: None,
            timeout: config.rest_timeout,
            network: config.network.clone(),
        })))
    }

    /// Sends this key with each request, as `Authorization: Bearer …`. Default: none.
    #[must_use]
    pub fn bearer(mut self, key: Token) -> Self {
        Arc::make_mut(&mut self.0).key = Some(key);
        self
    }
}

impl fmt::Debug for TokenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenUrl").field("host", &self.0.host).field("key", &self.0.key).finish_non_exhaustive()
    }
}

impl TokenProvider for TokenUrl {
    fn token(&self, request: TokenRequest) -> ProvidingToken {
        let asked = Arc::clone(&self.0);
        if !http::is_possible() {
            return Box::pin(std::future::ready(Err(asked.failed("it was asked outside an actix system"))));
        }
        // What awc makes stays on its thread.
        let mut asking = Asking(actix_rt::spawn(async move { asked.ask(&request).await }));
        Box::pin(async move {
            (&mut asking.0)
                .await
                .unwrap_or_else(|_| Err(ProviderError::new("the thread that asked for a token has ended")))
        })
    }
}

/// A request that ends when nobody wants its answer any more.
struct Asking(JoinHandle<Result<TokenGrant, ProviderError>>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Asked {
    async fn ask(&self, request: &TokenRequest) -> Result<TokenGrant, ProviderError> {
        let reason = match request.reason {
            TokenReason::Login => "login",
            TokenReason::Expiring => "expiring",
            TokenReason::Expired => "expired",
            TokenReason::Refused => "refused",
        };
        let question = Question { user: request.user.as_str(), reason };
        let body =
            serde_json::to_vec(&question).map(Bytes::from).map_err(|_| self.failed("the request has no JSON"))?;
        let way = http::CallProgress::default();
        let exchange = way.of(self.exchange(&request.user, body));
        let late = |_| Err(self.failed(format_args!("it has not answered within {:?}", self.timeout)));
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(late)
    }

    async fn exchange(&self, user: &UserId, body: Bytes) -> Result<TokenGrant, ProviderError> {
        let sent = match self.send(&body, true).await? {
            // It may have closed a connection just as that was taken for this request.
            Err(SendRequestError::Send(_) | SendRequestError::Connect(ConnectError::Disconnected)) => {
                self.send(&body, false).await?
            }
            sent => sent,
        };
        let mut response = sent.map_err(|error| self.failed(error))?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let status = response.status().as_u16();
                let Asked { host, .. } = self;
                return Err(ProviderError::permanent(format!("{host} knows no user {user} (status {status})")));
            }
            StatusCode::OK | StatusCode::CREATED => {}
            status => return Err(self.failed(format_args!("its answer has status {}", status.as_u16()))),
        }
        let body = response.body().limit(TokenUrl::MAX_ANSWER).await.map_err(|error| match error {
            PayloadError::Overflow => self.failed(format_args!("its answer is over {} bytes", TokenUrl::MAX_ANSWER)),
            error => self.failed(error),
        })?;
        // What serde says of it could hold a part of the token.
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| self.failed("its answer is no JSON object with a text `token` and a whole `expires_in`"))?;
        let grant = TokenGrant::new(answer.token).map_err(|error| self.failed(error))?;
        Ok(match (answer.expires_in, answer.expires_at) {
            (Some(seconds), _) => grant.expires_in(Duration::from_secs(seconds)),
            (None, Some(at)) => grant.expires_at(at),
            (None, None) => grant,
        })
    }

    async fn send(
        &self,
        body: &Bytes,
        share: bool,
    ) -> Result<Result<awc::ClientResponse, SendRequestError>, ProviderError> {
        let request =
            http::request(Method::POST, &self.url, &self.network, share).map_err(|error| self.failed(error))?;
        let mut request = request
            .no_decompress()
            .insert_header((ACCEPT_ENCODING, "identity"))
            .insert_header((ACCEPT, "application/json"))
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((USER_AGENT, concat!("agora-chat/", env!("CARGO_PKG_VERSION"))));
        if let Some(key) = &self.key {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {}", key.expose())));
        }
        Ok(request.send_body(body.clone()).await)
    }

    fn failed(&self, why: impl fmt::Display) -> ProviderError {
        ProviderError::new(format_args!("{} gives no token: {why}", self.host))
    }
}
