use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use awc::http::Method;
use serde::Serialize;
use serde_json::Value;

use super::{
    answer::{NewUser, RegisteredUser, odd, parse_expiry, parse_grant},
    discovery::discover,
    secret_body,
};
#[cfg(doc)]
use crate::config::ConfigBuilder;
use crate::{
    config::{Config, Endpoints},
    model::{
        account::{AppKey, Nickname, Password, Token, UserId},
        auth::TokenGrant,
        error::{ConfigError, Operation, RestError, RestErrorKind},
        redactor::Redactor,
    },
    net::Network,
    rest::{
        http_call::Call,
        rate_limit::{self, Budget, RateLimiter},
    },
    util::unix_time,
};

/// The service's REST calls for one application (connection spec §3).
///
/// One call tries each host at most once, each for at most [`ConfigBuilder::rest_timeout`]: after a failure that another
/// host may not have, the next host is tried and stays the first one of later calls, also of this client's clones
/// (connection spec §2, "Failover"). Only what the service's own hosts say or fail to say counts: what a storage host
/// answers, to which a download was redirected, neither moves the order of hosts nor holds a call back. A final failure
/// ([`RestError::is_final`]) is reported at once.
///
/// Calls of one application wait for their turn within the [`RateLimits`](super::RateLimits), for
/// [`ConfigBuilder::rest_timeout`] or a minute, whichever is less, and fail at once with [`RestErrorKind::Throttled`] where it
/// would take longer. A 429 is asked of no other host and holds back all calls of its kind (about users, for tokens, and any
/// other call by itself) for as long as it asks (a
/// second if it does not say or asks for less, at most 10 minutes). A call about users is made once more after that, if
/// the service said when and that is within the time it may wait; one for a token reports the limit at once.
///
/// Answers are taken up to 1 MiB. Calls are logged at DEBUG: operation, host, status and duration, never a body.
///
/// Call it inside an actix system, on any of its threads; the futures stay on their thread. Elsewhere, such as under
/// `#[tokio::main]`, each call fails with [`RestErrorKind::NoRuntime`]; only tasks that are bound to their thread, such
/// as the handlers of actix-web, need no system (downloads do).
///
/// ```no_run
/// use agora_chat::{Config, RestClient, account::Password};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder("org#app").addresses("https://rest.example.com", "wss://example.com/websocket").build()?;
/// let rest = RestClient::new(&config)?;
/// let (user, password) = ("alice".parse()?, Password::new("s3cret")?);
/// rest.register_user(&user, &password, None).await?;
/// let grant = rest.password_token(&user, &password).await?;
/// println!("the token ends: {:?}", grant.expires_at);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RestClient {
    pub(super) app_key: AppKey,
    bases: Arc<[String]>,
    first: Arc<AtomicUsize>,
    pub(super) limiter: Arc<RateLimiter>,
    pub(super) timeout: Duration,
    pub(super) network: Network,
    pub(super) redactor: Redactor,
    pub(super) logger: slog::Logger,
}

#[derive(Serialize)]
struct RegistrationBody<'a> {
    username: &'a str,
    password: &'a str,
    nickname: &'a str,
}

impl<'a> RegistrationBody<'a> {
    fn new(user: &'a UserId, password: &'a Password, nickname: Option<&'a Nickname>) -> Self {
        let nickname = nickname.map(Nickname::as_str).unwrap_or_default();
        RegistrationBody { username: user.as_str(), password: password.expose(), nickname }
    }
}

#[derive(Serialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
enum TokenBody<'a> {
    Password { username: &'a str, password: &'a str, timestamp: u64 },
    Agora,
    ClientCredentials { client_id: &'a str, client_secret: &'a str },
}

impl RestClient {
    /// The most users one batch may hold.
    pub const MAX_BATCH: usize = crate::model::error::MAX_BATCH;

    /// Makes a client for the REST addresses that the configuration gives.
    ///
    /// # Errors
    /// [`ConfigError::NoAddress`] where the configuration leaves the addresses to discovery;
    /// use [`RestClient::discovered`] then.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        match &config.endpoints {
            Endpoints::Fixed(addresses) => Ok(Self::with_bases(config, addresses.rest.clone())),
            Endpoints::Discovery(_) => Err(ConfigError::NoAddress("REST")),
        }
    }

    /// Makes a client for the REST addresses that the configuration gives or, without them, discovery finds.
    ///
    /// # Errors
    /// As [`discover`].
    pub async fn discovered(config: &Config) -> Result<Self, RestError> {
        Ok(Self::with_bases(config, discover(config).await?.rest))
    }

    /// Makes a client for these bases, with the configuration's app key, time limit and logger.
    fn with_bases(config: &Config, bases: Vec<String>) -> Self {
        let redactor = Redactor::default();
        redactor.learn_proxy(config.network.proxy().secrets());
        let logger = redactor.logger(&config.logger);
        Self::of_session(config, bases, &redactor, &logger)
    }

    /// Makes the client of a session, which has a redactor and a logger behind it.
    pub(crate) fn of_session(config: &Config, bases: Vec<String>, redactor: &Redactor, logger: &slog::Logger) -> Self {
        RestClient {
            limiter: rate_limit::shared(&config.app_key, &bases),
            app_key: config.app_key.clone(),
            bases: bases.into(),
            first: Arc::default(),
            timeout: config.rest_timeout,
            network: config.network.clone(),
            redactor: redactor.clone(),
            logger: logger.clone(),
        }
    }

    /// Registers a user by open registration (connection spec §3.1).
    ///
    /// Where a host did not answer and the next one says [`RestErrorKind::UsernameTaken`], the first one may have
    /// registered the user: logging in tells.
    ///
    /// # Errors
    /// Any [`RestError`]; among them [`RestErrorKind::UsernameTaken`] and [`RestErrorKind::RegistrationClosed`].
    pub async fn register_user(
        &self,
        user: &UserId,
        password: &Password,
        nickname: Option<&Nickname>,
    ) -> Result<RegisteredUser, RestError> {
        self.register(Operation::RegisterUser, None, user, password, nickname).await
    }

    /// Registers a user by an app token, also where open registration is closed (connection spec §3.1).
    ///
    /// # Errors
    /// As [`RestClient::register_user`]; [`RestErrorKind::Unauthorized`] for a bad app token.
    pub async fn register_user_as_app(
        &self,
        app_token: &Token,
        user: &UserId,
        password: &Password,
        nickname: Option<&Nickname>,
    ) -> Result<RegisteredUser, RestError> {
        self.register(Operation::RegisterUserAsApp, Some(app_token), user, password, nickname).await
    }

    /// Registers 1 to [`RestClient::MAX_BATCH`] users by an app token (connection spec §3.1).
    ///
    /// Gives back the users the service says it registered; one that is missing was not.
    ///
    /// # Errors
    /// [`RestErrorKind::BatchSize`] before anything is sent; otherwise as [`RestClient::register_user_as_app`].
    pub async fn register_users(&self, app_token: &Token, users: &[NewUser]) -> Result<Vec<RegisteredUser>, RestError> {
        let operation = Operation::RegisterUsers;
        if !(1..=Self::MAX_BATCH).contains(&users.len()) {
            return Err(RestError::local(operation, RestErrorKind::BatchSize(users.len())));
        }
        let registrations: Vec<_> =
            users.iter().map(|new| RegistrationBody::new(&new.user, &new.password, new.nickname.as_ref())).collect();
        let mut call = self.post(operation, None, "users", &registrations);
        call.token = Some(app_token);
        call.secrets.add(app_token);
        users.iter().for_each(|new| call.secrets.add(&new.password));
        self.call(call, RegisteredUser::parse_all).await
    }

    /// Gets a user token for a password (connection spec §3.2).
    ///
    /// # Errors
    /// Any [`RestError`]; among them [`RestErrorKind::InvalidPassword`] and [`RestErrorKind::UserNotFound`], and
    /// [`RestErrorKind::UnexpectedAnswer`] where the answer is another user's.
    pub async fn password_token(&self, user: &UserId, password: &Password) -> Result<TokenGrant, RestError> {
        let request = TokenBody::Password {
            username: user.as_str(),
            password: password.expose(),
            timestamp: unix_time::now_ms(),
        };
        let mut call = self.post(Operation::PasswordToken, Some(user), "token", &request);
        call.secrets.add(password);
        self.granted(call, |body| {
            let grant = parse_grant(body)?;
            // A token that was given for somebody else's question must never be used.
            match &grant.user {
                Some(granted) if !granted.eq_ignore_ascii_case(user.as_str()) => {
                    Err(odd("it grants another user's token"))
                }
                _ => Ok(grant),
            }
        })
        .await
    }

    /// Exchanges an Agora token for a user token, as clients up to 1.2.0 did (connection spec §3.3).
    ///
    /// Today's service takes an Agora token at login as it is: [`Credentials::token`](crate::Credentials::token).
    ///
    /// # Errors
    /// Any [`RestError`], each with the code 12.
    pub async fn exchange_agora_token(&self, agora_token: &Token) -> Result<TokenGrant, RestError> {
        let mut call = self.post(Operation::ExchangeAgoraToken, None, "token", &TokenBody::Agora);
        call.token = Some(agora_token);
        call.secrets.add(agora_token);
        self.granted(call, parse_grant).await
    }

    /// Returns when a user's token ends, in Unix milliseconds (connection spec §3.4); [`u64::MAX`] for no end.
    ///
    /// # Errors
    /// Any [`RestError`]; among them [`RestErrorKind::Unauthorized`] for a bad token.
    pub async fn token_expiry(&self, user: &UserId, token: &Token) -> Result<u64, RestError> {
        let path = format!("sdk/users/{}/token/expires", percent_encoded(user.as_str()));
        let call = self.request(Operation::TokenExpiry, Method::GET, Some(user), Some(token), &path);
        self.call(call, parse_expiry).await
    }

    /// Gets an app token for an application's client id and secret. For servers only: it may do anything.
    ///
    /// # Errors
    /// Any [`RestError`].
    pub async fn app_token(&self, client_id: &str, client_secret: &Password) -> Result<TokenGrant, RestError> {
        let request = TokenBody::ClientCredentials { client_id, client_secret: client_secret.expose() };
        let mut call = self.post(Operation::AppToken, None, "token", &request);
        call.secrets.add(client_secret);
        self.granted(call, parse_grant).await
    }

    /// Makes a call that answers with a token, which must not be shown either from now on.
    async fn granted(
        &self,
        call: Call<'_>,
        parse: impl Fn(&Value) -> Result<TokenGrant, RestErrorKind>,
    ) -> Result<TokenGrant, RestError> {
        let granted = self.call(call, parse).await;
        if let Ok(grant) = &granted {
            self.redactor.learn_token(&grant.token);
        }
        granted
    }

    async fn register(
        &self,
        operation: Operation,
        app_token: Option<&Token>,
        user: &UserId,
        password: &Password,
        nickname: Option<&Nickname>,
    ) -> Result<RegisteredUser, RestError> {
        let mut call = self.post(operation, Some(user), "users", &RegistrationBody::new(user, password, nickname));
        call.token = app_token;
        call.secrets.add(password);
        app_token.into_iter().for_each(|token| call.secrets.add(token));
        self.call(call, |body| {
            let users = RegisteredUser::parse_all(body)?;
            let registered = users.into_iter().next().ok_or_else(|| odd("it names no user"))?;
            if registered.user == *user { Ok(registered) } else { Err(odd("it names another user")) }
        })
        .await
    }

    fn post<'a>(
        &'a self,
        operation: Operation,
        user: Option<&'a UserId>,
        path: &str,
        body: &impl Serialize,
    ) -> Call<'a> {
        let mut call = self.request(operation, Method::POST, user, None, path);
        call.body = Some(secret_body::json(body));
        call
    }

    /// Makes a call without a body; `path` is below the application.
    pub(super) fn request<'a>(
        &'a self,
        operation: Operation,
        method: Method,
        user: Option<&'a UserId>,
        token: Option<&'a Token>,
        path: &str,
    ) -> Call<'a> {
        Call {
            operation,
            user,
            method,
            path: self.path(path),
            token,
            body: None,
            secrets: self.redactor.lease(token),
            timeout: self.timeout,
            network: &self.network,
        }
    }

    pub(super) fn path(&self, rest: &str) -> String {
        format!("/{}/{}/{rest}", percent_encoded(self.app_key.org()), percent_encoded(self.app_key.app()))
    }

    /// Makes the call, and once more after a limit if the service says when.
    pub(super) async fn call<T>(
        &self,
        call: Call<'_>,
        parse: impl Fn(&Value) -> Result<T, RestErrorKind>,
    ) -> Result<T, RestError> {
        let at = async |base: &str| call.at(base, &self.logger, &parse).await;
        match self.tried(&call, at).await {
            Err(limited) if limited.says_when() && call.operation.spec().waits => {
                let again = self.tried(&call, at).await;
                // What the service said tells more than that its pause is too long to wait for.
                again.map_err(
                    |error| if matches!(error.kind(), RestErrorKind::Throttled { .. }) { limited } else { error },
                )
            }
            done => done,
        }
    }

    /// Tries the call at each host once, the last good one first.
    pub(super) async fn tried<T>(
        &self,
        call: &Call<'_>,
        at: impl AsyncFn(&str) -> Result<T, RestError>,
    ) -> Result<T, RestError> {
        if !stays_in_place(&call.path) {
            let kind = RestErrorKind::Parameter("a part of the path would lead elsewhere");
            return Err(RestError::local(call.operation, kind).about(call.user, None));
        }
        let budget = call.operation.spec().budget;
        let none = RestErrorKind::Address("no REST address is known".to_owned());
        let mut last = RestError::local(call.operation, none);
        let first = self.first.load(Ordering::Relaxed);
        for step in 0..self.bases.len() {
            let index = (first + step) % self.bases.len();
            let Some(base) = self.bases.get(index) else { break };
            self.wait_for_limit(call).await?;
            match at(base).await {
                Ok(parsed) => return Ok(parsed),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    if error.is_the_services_limit() {
                        self.limiter.pause(budget, error.retry_after());
                    }
                    if error.speaks_against_the_host() {
                        self.first.store((index + 1) % self.bases.len(), Ordering::Relaxed);
                    }
                    if !error.is_the_hosts() {
                        return Err(error);
                    }
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn wait_for_limit(&self, call: &Call<'_>) -> Result<(), RestError> {
        // A login has its own deadline; so many can start at once that their turn takes longer than one call may.
        let patience = match call.operation.spec().budget {
            Budget::Tokens | Budget::Each(Operation::TokenExpiry) => rate_limit::PATIENCE,
            _ => self.timeout.min(rate_limit::PATIENCE),
        };
        self.limiter.acquire(call.operation.spec().budget, patience).await.map_err(|wait| {
            let error = RestError::local(call.operation, RestErrorKind::Throttled { wait });
            let error = error.with_retry_after(Some(wait)).about(call.user, None);
            slog::debug!(self.logger, "REST call held back"; "operation" => %call.operation,
                "user" => call.user.map(UserId::as_str), "wait_ms" => wait.as_millis());
            error
        })
    }
}

/// Returns whether no part of a path is empty or a step, `.` or `..`, which a server or a proxy takes away with what is
/// before it, encoded or not. The types of path parts rule them out; every call is checked all the same.
pub(super) fn stays_in_place(path: &str) -> bool {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let is_step = |part: &str| {
        let mut rest = part;
        let mut dots = 0;
        while let Some(behind) = rest
            .strip_prefix('.')
            .or_else(|| rest.get(..3).filter(|dot| dot.eq_ignore_ascii_case("%2e")).and(rest.get(3..)))
        {
            (dots, rest) = (dots + 1, behind);
        }
        rest.is_empty() && dots <= 2
    };
    path.strip_prefix('/').is_some_and(|path| !path.contains('\\') && !path.split('/').any(is_step))
}

/// Returns a text as one part of a path or query: everything but letters, digits and `-._~` encoded.
pub(super) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{percent_encoded, stays_in_place};

    #[test]
    fn a_path_with_a_step_or_an_empty_part_goes_nowhere() {
        for path in ["/o/a/token", "/o/a/users/alice?x=..&y=/../", "/o/a/users/...", "/o/a/..b", "/o/a/users/%2E.%2e."]
        {
            assert!(stays_in_place(path), "{path}");
        }
        for path in [
            "/../../token",
            "/o/../token",
            "/o/a/users/..",
            "/o/a/users/../x?y",
            "/o/a/users//x",
            "/o/a/",
            "/./a/x",
            "",
            "o/a",
            "/o/a/%2e%2E/x",
            "/o/a/.%2e",
            "/o/a/%2e",
            "/o/a/..\\x",
        ] {
            assert!(!stays_in_place(path), "{path}");
        }
    }

    #[test]
    fn a_path_part_cannot_leave_its_place() {
        assert_eq!(percent_encoded("org-1.x_y~z"), "org-1.x_y~z");
        assert_eq!(percent_encoded("a/b?c#d e%ü"), "a%2Fb%3Fc%23d%20e%25%C3%BC");
    }
}
