//! Configuration of connections: the application's settings ([`Config`]), and one account's ([`Account`]).

mod account;
mod builder;
mod endpoints;
mod kick_policy;
mod limits;
mod range;
mod reconnect;

use std::time::Duration;

pub use account::Account;
pub(crate) use account::Hook;
pub use builder::ConfigBuilder;
pub(crate) use endpoints::check_address;
pub use endpoints::{Addresses, Endpoints};
pub use kick_policy::KickPolicy;
pub use limits::Limits;
pub(crate) use range::{count, in_range};
pub use reconnect::{Flapping, Reconnect};

use crate::{model::account::AppKey, net::Network, store::StateDir, util::lent::LostRecords};

/// The settings of an application. Every setting has a default; the app key has none.
///
/// The settings of a single account are in [`Account`], given at [`Connection::open`](crate::Connection::open), so any
/// number of connections share one `Arc<Config>`.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use agora_chat::Config;
/// let config = Config::builder("org#app")
///     .addresses("https://rest.example.com", "wss://socket.example.com/websocket")
///     .heartbeat(Duration::from_secs(30), Duration::from_secs(10))
///     .build()?;
/// let shared = Arc::new(config);
/// assert_eq!(shared.app_key().as_str(), "org#app");
/// # Ok::<(), agora_chat::errors::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) app_key: AppKey,
    pub(crate) endpoints: Endpoints,
    pub(crate) state_dir: Option<StateDir>,
    pub(crate) reconnect: Reconnect,
    pub(crate) heartbeat_idle: Duration,
    pub(crate) heartbeat_answer: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) provision_timeout: Duration,
    pub(crate) rest_timeout: Duration,
    pub(crate) login_deadline: Duration,
    pub(crate) keep_trying_first_login: bool,
    pub(crate) token_timeout: Duration,
    pub(crate) logout_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) buffer_sends_for: Duration,
    pub(crate) rejoin_rooms: bool,
    pub(crate) delivery_receipts: bool,
    pub(crate) kick_policy: KickPolicy,
    pub(crate) limits: Limits,
    pub(crate) network: Network,
    /// The application's logger behind a guard against its panics.
    pub(crate) logger: slog::Logger,
    pub(crate) lost_records: LostRecords,
}

impl Config {
    /// Begins a configuration with every default, for the given app key (`org#app`); addresses come from service
    /// discovery. Nothing is checked before [`build`](ConfigBuilder::build).
    pub fn builder(app_key: impl AsRef<str>) -> ConfigBuilder {
        let (logger, lost_records) = (slog::Logger::root(slog::Discard, slog::o!()), LostRecords::default());
        ConfigBuilder(Config {
            app_key: AppKey::unchecked(app_key.as_ref()),
            endpoints: Endpoints::default(),
            state_dir: None,
            reconnect: Reconnect::default(),
            heartbeat_idle: Duration::from_secs(30),
            heartbeat_answer: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            provision_timeout: Duration::from_secs(10),
            rest_timeout: Duration::from_secs(15),
            login_deadline: Duration::from_secs(30),
            keep_trying_first_login: false,
            token_timeout: Duration::from_secs(30),
            logout_timeout: Duration::from_secs(2),
            send_timeout: Duration::from_secs(15),
            buffer_sends_for: Duration::from_secs(60),
            rejoin_rooms: true,
            delivery_receipts: false,
            kick_policy: KickPolicy::default(),
            limits: Limits::default(),
            network: Network::default(),
            logger,
            lost_records,
        })
    }

    /// Returns the application key.
    #[must_use]
    pub fn app_key(&self) -> &AppKey {
        &self.app_key
    }

    /// Begins another configuration with these settings.
    pub fn to_builder(&self) -> ConfigBuilder {
        ConfigBuilder(self.clone())
    }
}
