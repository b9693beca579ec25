//! Settings of a fleet.

use std::{fmt, future::Future, sync::Arc, thread};

use crate::{
    config::{Config, count},
    delivery::MessageHandler,
    fleet::{
        handle::AccountHandle,
        pace::{Breaker, LoginPace},
    },
    model::{admission::Admission, error::ConfigError},
};

/// Makes the message handler of an account.
pub(super) type HandlerOf = Arc<dyn Fn(&AccountHandle) -> MessageHandler + Send + Sync>;

/// The settings of a [`Fleet`](super::Fleet); every one but the connections' has a default.
///
/// ```
/// use agora_chat::{Config, fleet::{FleetConfig, LoginPace}};
/// let config = FleetConfig::new(Config::builder("org#app").build()?)
///     .name("support-bots")
///     .arbiters(2)
///     .pace(LoginPace::per_second(50).burst(20));
/// # Ok::<(), agora_chat::errors::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until a fleet is started with them"]
pub struct FleetConfig {
    pub(super) config: Arc<Config>,
    pub(super) name: Arc<str>,
    pub(super) node: Arc<str>,
    pub(super) arbiters: usize,
    pub(super) pace: LoginPace,
    pub(super) breaker: Breaker,
    pub(super) max_accounts: usize,
    pub(super) handler: Option<HandlerOf>,
    pub(super) queue: Option<Arc<dyn Admission>>,
}

impl FleetConfig {
    /// The most arbiters.
    pub const MAX_ARBITERS: usize = 256;

    /// The longest name of a fleet or node, in bytes.
    pub const MAX_NAME: usize = 64;

    /// Begins with the settings that all connections share. Their [`KickPolicy`](crate::KickPolicy) is the fleet's: it
    /// decides what follows a kick by a login that is not of this fleet. First logins are tried again until they succeed
    /// or are refused for good, whatever
    /// [`keep_trying_first_login`](crate::ConfigBuilder::keep_trying_first_login) says.
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        FleetConfig {
            config: config.into(),
            name: "fleet".into(),
            node: "node".into(),
            arbiters: thread::available_parallelism().map_or(1, usize::from),
            pace: LoginPace::default(),
            breaker: Breaker::default(),
            max_accounts: 100_000,
            handler: None,
            queue: None,
        }
    }

    /// Sets the fleet's name, from 1 to [`MAX_NAME`](Self::MAX_NAME) bytes. Every login tells it, so that a kick says
    /// whether it came from this fleet or from somebody else. Default: `fleet`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the name of this process's node, from 1 to [`MAX_NAME`](Self::MAX_NAME) bytes. Default: `node`.
    pub fn node(mut self, node: impl Into<Arc<str>>) -> Self {
        self.node = node.into();
        self
    }

    /// Sets the number of threads that connections are spread over, from 1 to [`MAX_ARBITERS`](Self::MAX_ARBITERS), each
    /// an arbiter of its own. Default: the number of cores.
    pub fn arbiters(mut self, arbiters: usize) -> Self {
        self.arbiters = arbiters;
        self
    }

    /// Sets the pace of logins, first ones and reconnects together. Default: [`LoginPace::default`].
    pub fn pace(mut self, pace: LoginPace) -> Self {
        self.pace = pace;
        self
    }

    /// Sets when logins stop because they fail for a cause that all accounts share. Default: [`Breaker::default`].
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = breaker;
        self
    }

    /// Sets the most accounts, at least 1. Default: 100 000.
    pub fn max_accounts(mut self, accounts: usize) -> Self {
        self.max_accounts = accounts;
        self
    }

    /// Gives each account a message handler, made before its first login on its arbiter's thread. Default: none, and
    /// messages go to [subscribers](super::Fleet::subscribe) only.
    pub fn handler(mut self, handler: impl Fn(&AccountHandle) -> MessageHandler + Send + Sync + 'static) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// Gives each account a message handler of a function of the account and the message; shorter than
    /// [`handler`](Self::handler) where its defaults do.
    ///
    /// ```
    /// use agora_chat::{Config, fleet::FleetConfig};
    /// let config = FleetConfig::new(Config::builder("org#app").build()?).on_message(|account, delivery| async move {
    ///     if let Some(message) = delivery.message().filter(|message| message.text() == Some("ping")) {
    ///         account.send_text(message.conversation(), "pong").await?;
    ///     }
    ///     Ok::<(), agora_chat::fleet::FleetError>(())
    /// });
    /// # Ok::<(), agora_chat::errors::ConfigError>(())
    /// ```
    pub fn on_message<F, Answer, E>(self, handle: F) -> Self
    where
        F: Fn(AccountHandle, crate::delivery::Delivery) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<(), E>> + 'static,
        E: fmt::Display,
    {
        let handle = Arc::new(handle);
        self.handler(move |account| {
            let (handle, account) = (Arc::clone(&handle), account.clone());
            MessageHandler::new(move |delivery| handle(account.clone(), delivery))
        })
    }

    /// Has each attempt also wait for a queue of the application's, such as one that several processes share. It is asked
    /// after the fleet's own pace and breaker have let the attempt go. Default: none.
    pub fn login_queue(mut self, queue: Arc<dyn Admission>) -> Self {
        self.queue = Some(queue);
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        count("the number of arbiters", self.arbiters, 1..=Self::MAX_ARBITERS, "from 1 to 256")?;
        count("the most accounts", self.max_accounts, 1..=usize::MAX, "at least 1")?;
        count("the length of the fleet's name", self.name.len(), 1..=Self::MAX_NAME, "from 1 to 64 bytes")?;
        count("the length of the node's name", self.node.len(), 1..=Self::MAX_NAME, "from 1 to 64 bytes")?;
        self.pace.check()?;
        self.breaker.check()
    }
}

impl fmt::Debug for FleetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FleetConfig");
        shown.field("config", &self.config).field("name", &self.name).field("node", &self.node);
        shown.field("arbiters", &self.arbiters).field("pace", &self.pace).field("breaker", &self.breaker);
        shown.field("max_accounts", &self.max_accounts).finish_non_exhaustive()
    }
}
