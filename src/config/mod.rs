//! What a connection is configured with.

mod policy;
mod state_dir;

use crate::model::account::Device;
use crate::model::error::ConfigError;
use crate::{
    model::{account::AppKey, message::Bare},
    net::{Network, Proxy, Roots, Target},
    store::{Cursors, StateDir},
    util::lent::{self, LostRecords},
};
pub use policy::{Flapping, KickPolicy, Limits};
use std::{fmt, net::IpAddr, time::Duration};

/// Where the service is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoints {
    /// Ask `server.json` of these bootstrap hosts (`https://host[:port]`), each once and in order (connection spec §2).
    ///
    /// Asked at the first login, and again after every 5 failed attempts to reconnect in a row.
    Discovery(Vec<String>),
    /// Use these addresses.
    Fixed(Addresses),
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoints::Discovery(hosts) => f.debug_tuple("Discovery").field(&bare(hosts)).finish(),
            Endpoints::Fixed(addresses) => f.debug_tuple("Fixed").field(addresses).finish(),
        }
    }
}

/// Addresses of the service: each list is walked through, the next attempt taking the next one.
///
/// `Debug` shows no userinfo and no query: either may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// REST bases, `http://host[:port]` or `https://host[:port]`.
    pub rest: Vec<String>,
    /// WebSocket addresses, `ws://host[:port]/websocket` or `wss://…`.
    pub socket: Vec<String>,
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").field("rest", &bare(&self.rest)).field("socket", &bare(&self.socket)).finish()
    }
}

fn bare(addresses: &[String]) -> Vec<Bare<'_>> {
    addresses.iter().map(|address| Bare(address)).collect()
}

/// How a lost link is regained.
///
/// The pause before attempt `n` is [`at_least`](Self::at_least) and a part drawn evenly between nothing and
/// `min(cap, base * 2^(n-1))` (full jitter). A link that is lost before it was stable does not start the ladder anew, so a
/// server that accepts and drops is not hammered. Kicks (unless a [`KickPolicy`] says otherwise), final refusals
/// ([`Refusal::is_final`](crate::Refusal::is_final)) and the end of a token that nobody replaces stop it. Where a password
/// or a provider gives tokens, each attempt asks for one if it needs one, for as long as it takes.
///
/// ```
/// use agora_chat::{Config, Reconnect};
/// let mut policy = Reconnect::default();
/// policy.max_attempts = Some(20);
/// let config = Config::new("org#app")?.reconnect(policy)?;
/// # Ok::<(), agora_chat::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// What every pause is at least, at most a day; the drawn part comes on top. Default: nothing.
    pub at_least: Duration,
    /// Whether a lost link is regained at all; if not, the first loss ends the session. Default: `true`.
    pub enabled: bool,
    /// The longest drawn pause before the first attempt, from 1 ms to a day. Default: 1 s.
    pub base: Duration,
    /// The longest drawn pause before any attempt, from [`base`](Self::base) to a day. Default: 60 s.
    pub cap: Duration,
    /// Give up after so many failed attempts since the link was up, at least 1. Default: `None`, never.
    pub max_attempts: Option<u32>,
    /// How long a link must have held before the pauses start small again and attempts are counted anew, at most a
    /// day. Default: 60 s.
    pub stable_after: Duration,
    /// What counts as flapping, so that subscribers hear it and the pauses get a floor; `None` for never.
    /// Default: 5 short sessions in 10 minutes, a floor of 60 s.
    pub flapping: Option<Flapping>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Reconnect {
            enabled: true,
            at_least: Duration::ZERO,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            max_attempts: None,
            stable_after: Duration::from_secs(60),
            flapping: Some(Flapping::default()),
        }
    }
}

/// The configuration of one connection. Every setting has a default; the app key has none.
///
/// ```
/// use std::time::Duration;
/// use agora_chat::{Config, Device};
/// let config = Config::new("org#app")?
///     .addresses("https://rest.example.com", "wss://socket.example.com/websocket")?
///     .device(Device::new("bot-7"))?
///     .heartbeat(Duration::from_secs(30), Duration::from_secs(10))?;
/// assert_eq!(config.app_key().as_str(), "org#app");
/// # Ok::<(), agora_chat::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) app_key: AppKey,
    pub(crate) endpoints: Endpoints,
    pub(crate) device: Device,
    pub(crate) state_dir: Option<StateDir>,
    pub(crate) login_ext: Option<String>,
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
    /// Behind a guard.
    pub(crate) logger: slog::Logger,
    pub(crate) lost_records: LostRecords,
    pub(crate) cursors: Option<Cursors>,
}

/// The vendor's bootstrap hosts (connection spec §2): the web SDK's first, its sibling's after it.
const BOOTSTRAP: [&str; 3] = ["https://ars.chat.agora.io", "https://rs.chat.agora.io", "https://rs.easemob.com"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn in_range(
    what: &'static str,
    value: Duration,
    least: Duration,
    allowed: &'static str,
) -> Result<Duration, ConfigError> {
    if value < least || value > DAY {
        return Err(ConfigError::Range { what, value: format!("{value:?}"), allowed });
    }
    Ok(value)
}

pub(crate) fn count(
    what: &'static str,
    value: usize,
    range: std::ops::RangeInclusive<usize>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::Range { what, value: value.to_string(), allowed }) }
}

fn check_address(what: &'static str, address: &str, schemes: &[&str], network: &Network) -> Result<(), ConfigError> {
    // What stands before an `@` may be a password, and what stands behind the path may open it.
    let (bare, behind) = address.split_once(['?', '#', ';']).map_or((address, ""), |(bare, _)| (bare, "…"));
    let shown = bare.rsplit_once('@').map_or(bare.to_owned(), |(_, host)| format!("<redacted>@{host}")) + behind;
    let refuse = |problem| Err(ConfigError::Address { what, address: shown.clone(), problem });
    let Ok(uri) = address.parse::<awc::http::Uri>() else {
        return refuse("is not an address");
    };
    match uri.scheme_str() {
        None => return refuse("has no scheme"),
        Some(scheme) if !schemes.contains(&scheme) => return refuse("has a scheme that cannot be used here"),
        Some(_) => {}
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => refuse("must not hold credentials"),
        Some(authority) if !authority.host().is_empty() => match Target::parse(address) {
            Some(target) if network.allows(&target) => Ok(()),
            Some(_) => refuse(
                "is not encrypted, and not reached on this machine alone; use https or wss, or allow plaintext first (`Config::allow_plaintext`)",
            ),
            None => refuse("is not an address"),
        },
        _ => refuse("has no host"),
    }
}

impl Config {
    /// The longest login extension, in characters (connection spec §6.1).
    pub const MAX_LOGIN_EXT: usize = 1024;

    /// A configuration with every default, for the given app key; addresses come from service discovery.
    ///
    /// # Errors
    /// [`ConfigError::AppKey`] for a malformed app key.
    pub fn new(app_key: impl AsRef<str>) -> Result<Self, ConfigError> {
        Ok(Config {
            app_key: app_key.as_ref().parse()?,
            endpoints: Endpoints::Discovery(BOOTSTRAP.map(str::to_owned).to_vec()),
            device: Device::default(),
            state_dir: None,
            login_ext: None,
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
            logger: slog::Logger::root(slog::Discard, slog::o!()),
            lost_records: LostRecords::default(),
            cursors: None,
        })
    }

    /// The application key.
    #[must_use]
    pub fn app_key(&self) -> &AppKey {
        &self.app_key
    }

    /// The configured device's resource, so that an application can keep it; [`state_dir`](Config::state_dir) does so
    /// by itself, and then a kept one goes before a random one.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.device.resource
    }

    /// Uses one REST base and one WebSocket address instead of discovery.
    ///
    /// # Errors
    /// [`ConfigError::Address`] for a malformed address, a scheme other than `http`/`https` and `ws`/`wss`, or one of
    /// another machine that is not encrypted (see [`allow_plaintext`](Config::allow_plaintext)).
    pub fn addresses(self, rest: impl Into<String>, socket: impl Into<String>) -> Result<Self, ConfigError> {
        self.endpoints(Endpoints::Fixed(Addresses { rest: vec![rest.into()], socket: vec![socket.into()] }))
    }

    /// Says where the service is. Default: discovery over the vendor's bootstrap hosts.
    ///
    /// # Errors
    /// [`ConfigError::Address`] for a malformed address or, as in [`addresses`](Config::addresses), one that is not
    /// encrypted; [`ConfigError::NoAddress`] for an empty list.
    pub fn endpoints(mut self, endpoints: Endpoints) -> Result<Self, ConfigError> {
        let lists: &[(&'static str, &Vec<String>, &[&str])] = match &endpoints {
            Endpoints::Discovery(hosts) => &[("discovery", hosts, &["http", "https"])],
            Endpoints::Fixed(fixed) => {
                &[("REST", &fixed.rest, &["http", "https"]), ("WebSocket", &fixed.socket, &["ws", "wss"])]
            }
        };
        for (what, list, schemes) in lists {
            if list.is_empty() {
                return Err(ConfigError::NoAddress(what));
            }
            for address in *list {
                check_address(what, address, schemes, &self.network)?;
            }
        }
        self.endpoints = endpoints;
        Ok(self)
    }

    /// Says who this device is. Default: a new random resource.
    ///
    /// # Errors
    /// [`ConfigError::Device`] for a malformed name, id or platform number.
    pub fn device(mut self, device: Device) -> Result<Self, ConfigError> {
        device.check()?;
        self.device = device;
        Ok(self)
    }

    /// A text shown to a device that this login kicks ([`Kick::LoggedInElsewhere`](crate::Kick)), at most 1024
    /// characters. Default: none.
    ///
    /// # Errors
    /// [`ConfigError::Device`] when it is longer.
    pub fn login_ext(mut self, ext: impl Into<String>) -> Result<Self, ConfigError> {
        let ext = ext.into();
        if ext.chars().count() > Self::MAX_LOGIN_EXT {
            return Err(ConfigError::Device {
                what: "login extension",
                value: ext.chars().take(16).collect(),
                problem: "must not be longer than 1024 characters",
            });
        }
        self.login_ext = Some(ext);
        Ok(self)
    }

    /// Says how a lost link is regained. Default: [`Reconnect::default`].
    ///
    /// # Errors
    /// [`ConfigError::Range`] for a base of nothing, a cap below the base, either over a day, or no attempt allowed.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Result<Self, ConfigError> {
        in_range("the reconnect base", reconnect.base, Duration::from_millis(1), "from 1 ms to a day")?;
        in_range("the reconnect cap", reconnect.cap, reconnect.base, "from the base to a day")?;
        in_range("the shortest pause", reconnect.at_least, Duration::ZERO, "at most a day")?;
        in_range("the stable time", reconnect.stable_after, Duration::ZERO, "at most a day")?;
        if reconnect.max_attempts == Some(0) {
            return Err(ConfigError::Range {
                what: "the limit of attempts",
                value: "0".to_owned(),
                allowed: "at least 1; switch reconnecting off by `enabled`",
            });
        }
        if let Some(flapping) = &reconnect.flapping {
            count("the number of short sessions", flapping.sessions as usize, 2..=1000, "from 2 to 1000")?;
            in_range("the flapping window", flapping.window, Duration::ZERO, "at most a day")?;
            in_range("the flapping floor", flapping.floor, Duration::ZERO, "at most a day")?;
        }
        self.reconnect = reconnect;
        Ok(self)
    }

    /// Sends a heartbeat (UNREAD) after `idle` without any frame from the server, and twice `idle` after the last one at
    /// the latest, whatever comes; gives the link up when nothing comes for `answer` after it. Pings count as signs of
    /// life, but not as frames. Defaults: 30 s and 10 s (connection spec §7.1).
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn heartbeat(mut self, idle: Duration, answer: Duration) -> Result<Self, ConfigError> {
        let least = Duration::from_millis(10);
        self.heartbeat_idle = in_range("the heartbeat idle time", idle, least, "from 10 ms to a day")?;
        self.heartbeat_answer = in_range("the heartbeat answer time", answer, least, "from 10 ms to a day")?;
        Ok(self)
    }

    /// Limits connecting: `connect` for DNS, TCP, TLS and upgrade together, `provision` for PROVISION's answer.
    /// Defaults: 10 s each (connection spec §4).
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn connect_timeouts(mut self, connect: Duration, provision: Duration) -> Result<Self, ConfigError> {
        let least = Duration::from_millis(10);
        self.connect_timeout = in_range("the connect timeout", connect, least, "from 10 ms to a day")?;
        self.provision_timeout = in_range("the PROVISION timeout", provision, least, "from 10 ms to a day")?;
        Ok(self)
    }

    /// Limits one REST call at one host; where several are tried, each has so long. Default: 15 s (connection spec §3).
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn rest_timeout(mut self, limit: Duration) -> Result<Self, ConfigError> {
        self.rest_timeout = in_range("the REST timeout", limit, Duration::from_millis(10), "from 10 ms to a day")?;
        Ok(self)
    }

    /// Whether a login by [`open`](crate::Connection::open) is tried until it succeeds, as a lost link is, in the place of
    /// 3 attempts within [`login_deadline`](Config::login_deadline). Default: `false`.
    ///
    /// For a program that starts before its service or its network is there. `open` then waits as long as it takes; it
    /// ends when the login is accepted, when something fails for good
    /// ([`OpenError::is_final`](crate::OpenError::is_final): a wrong password, a refused token), with
    /// [`close`](crate::Connection::close), or after [`Reconnect::max_attempts`] failed attempts where that is set. The
    /// pauses are those of [`Config::reconnect`], whether or not that regains lost links. Each failed attempt is told as
    /// [`Reconnecting`](crate::EventKind::Reconnecting); meanwhile the state is
    /// [`LoggingIn`](crate::ConnectionState::LoggingIn), and [`Health`](crate::Health) has the attempts and the last cause.
    ///
    /// ```
    /// use agora_chat::Config;
    /// let config = Config::new("org#app")?.keep_trying_first_login(true);
    /// # Ok::<(), agora_chat::ConfigError>(())
    /// ```
    #[must_use]
    pub fn keep_trying_first_login(mut self, keep_trying: bool) -> Self {
        self.keep_trying_first_login = keep_trying;
        self
    }

    /// Limits a login as a whole, from `open` to its answer, pauses included, also those that the service asks for.
    /// Without meaning where the login is [kept trying](Config::keep_trying_first_login). Default: 30 s.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn login_deadline(mut self, limit: Duration) -> Result<Self, ConfigError> {
        self.login_deadline = in_range("the login deadline", limit, Duration::from_millis(10), "from 10 ms to a day")?;
        Ok(self)
    }

    /// Limits one ask for a session's next token, of a [`TokenProvider`](crate::TokenProvider) or with the password.
    /// Default: 30 s.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn token_timeout(mut self, limit: Duration) -> Result<Self, ConfigError> {
        self.token_timeout = in_range("the token timeout", limit, Duration::from_millis(10), "from 10 ms to a day")?;
        Ok(self)
    }

    /// Limits the wait for the answer to LOGOUT, and so `close`; nothing waits for none. Default: 2 s.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for more than a day.
    pub fn logout_timeout(mut self, limit: Duration) -> Result<Self, ConfigError> {
        self.logout_timeout = in_range("the logout timeout", limit, Duration::ZERO, "at most a day")?;
        Ok(self)
    }

    /// Limits the wait for the answer to a sent message; past it the send fails with 512 and the link is given up.
    /// Joining or leaving a chat room has the same limit, and then fails with -1. It counts from when the message is
    /// written, not from when it is kept; anew with each page that was asked for before it was written; and not while a
    /// message keeps coming that its answer may be behind. Default: 15 s (connection spec §8.3, messages spec §1.10).
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn send_timeout(mut self, limit: Duration) -> Result<Self, ConfigError> {
        self.send_timeout = in_range("the send timeout", limit, Duration::from_millis(10), "from 10 ms to a day")?;
        Ok(self)
    }

    /// Limits how long a message sent while a lost link is being regained waits for the next one; past it the send fails
    /// with [`SendError::Expired`](crate::SendError::Expired), and it surely was not sent. How many wait is bounded by
    /// [`Limits::buffered_sends`]. Default: 60 s, the longest pause that the ladder draws by default.
    ///
    /// The time in which the floor of [`Flapping`] lets no attempt be made (60 s by default) does not count, so that a
    /// message has an attempt to go with. A longer pause that a server asks for, or that [`KickPolicy::RetryAfter`] makes,
    /// does count.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn buffer_sends_for(mut self, limit: Duration) -> Result<Self, ConfigError> {
        let least = Duration::from_millis(10);
        self.buffer_sends_for = in_range("the time sends are kept for", limit, least, "from 10 ms to a day")?;
        Ok(self)
    }

    /// Whether the chat rooms joined in a session are joined again after a lost link came back.
    /// Default: `true`.
    ///
    /// They are joined before anything else goes over the new link, with the same extension, but never
    /// [leaving others](crate::RoomRequest::leaving_others): what came after a request stays. The first 64 rooms are, or
    /// as many as take 256 KiB; of up to 1 024 beyond them,
    /// of one that is refused then, and of one that is not answered twice, [`RoomLost`](crate::EventKind::RoomLost) tells.
    /// A room is not joined again once the application has left it, or the service has told that it was destroyed or that
    /// the account was removed from it (messages spec §4.2).
    #[must_use]
    pub fn rejoin_rooms(mut self, rejoin: bool) -> Self {
        self.rejoin_rooms = rejoin;
        self
    }

    /// Whether every message that arrives from another user is answered with a delivery receipt, before and without the
    /// application (messages spec §3). Default: `false`.
    ///
    /// Only single chats have them, commands included; groups, rooms and pieces of streamed texts have none. At most
    /// half of [`Limits::pending_sends`] are receipts, at least one; 1 024 more wait for a place, and past those they are left
    /// out. One that is not answered costs nothing else. The log says how many were left out or not answered.
    #[must_use]
    pub fn delivery_receipts(mut self, send: bool) -> Self {
        self.delivery_receipts = send;
        self
    }

    /// The largest message taken from the server, in bytes, fragments joined; a larger one costs the link, and its queue
    /// is fetched last on the next. Raises [`Limits::connection`] to twice as much where that is less. Default: 4 MiB
    /// (connection spec §18).
    ///
    /// # Errors
    /// [`ConfigError::Range`] outside 1 KiB to 64 MiB.
    pub fn max_frame(mut self, bytes: usize) -> Result<Self, ConfigError> {
        count("the frame limit", bytes, 1 << 10..=64 << 20, "from 1 KiB to 64 MiB")?;
        self.limits.frame = bytes;
        self.limits.connection = self.limits.connection.max(bytes.saturating_mul(2));
        Ok(self)
    }

    /// How many sent messages may wait for their answer at once; one more fails with
    /// [`SendError::Backlog`](crate::SendError::Backlog). Default: 1024.
    ///
    /// # Errors
    /// [`ConfigError::Range`] outside 1 to 1 000 000.
    pub fn max_pending_sends(mut self, messages: usize) -> Result<Self, ConfigError> {
        count("the limit of unanswered messages", messages, 1..=1_000_000, "from 1 to 1 000 000")?;
        self.limits.pending_sends = messages;
        Ok(self)
    }

    /// What to do when another device pushes this one out. Default: [`KickPolicy::Park`].
    ///
    /// # Errors
    /// [`ConfigError::Range`] for a pause under 1 s, no or more than 1000 times, or more than a day.
    pub fn kick_policy(mut self, policy: KickPolicy) -> Result<Self, ConfigError> {
        match &policy {
            KickPolicy::Park => {}
            KickPolicy::RetryAfter(pause) => {
                in_range("the pause after a kick", *pause, Duration::from_secs(1), "from 1 s to a day")?;
            }
            KickPolicy::TakeOver { times, window } => {
                count("the limit of take-overs", *times as usize, 1..=1000, "from 1 to 1000")?;
                in_range("the window of take-overs", *window, Duration::from_secs(1), "from 1 s to a day")?;
            }
        }
        self.kick_policy = policy;
        Ok(self)
    }

    /// Keeps the keys of queues over links and restarts. Default: keys are not kept, so a page that was not acknowledged
    /// when its link was lost comes again.
    ///
    /// With a store the first pull of a queue carries the key of the last page that was handled. A page's key is saved
    /// after its messages were handled and before it is acknowledged. A save that fails, or takes longer than 30 s, is
    /// logged and costs no message: the page is acknowledged all the same, and may come again after a restart. No queue
    /// is pulled before the keys are loaded; where that fails or takes longer than 30 s, they count as lost.
    ///
    /// Keys are the server's: to go on with one is to say that everything before it was handled. Where a service begins
    /// its keys anew, the store has to be emptied.
    #[must_use]
    pub fn cursor_store(mut self, store: std::sync::Arc<dyn crate::store::CursorStore>) -> Self {
        self.cursors = Some(Cursors(store));
        self
    }

    /// How much one connection may hold. Default: [`Limits::default`].
    ///
    /// # Errors
    /// [`ConfigError::Range`] for a bound outside the range that stands beside it.
    pub fn limits(mut self, limits: Limits) -> Result<Self, ConfigError> {
        const GIB: usize = 1 << 30;
        count("the frame limit", limits.frame, 1 << 10..=64 << 20, "from 1 KiB to 64 MiB")?;
        count("the batch limit", limits.page_messages, 1..=1_000_000, "from 1 to 1 000 000")?;
        count("the outbox limit", limits.outbox, 1 << 10..=GIB, "from 1 KiB to 1 GiB")?;
        let allowed = "from the frame limit (which `Config::max_frame` raises together with it) to 1 GiB";
        count("the limit of a connection's bytes", limits.connection, limits.frame..=GIB, allowed)?;
        count("the limit of pulls at once", limits.pulls, 1..=4096, "from 1 to 4096")?;
        count("the limit of remembered ids", limits.remembered_ids, 0..=1_000_000, "at most 1 000 000")?;
        count("the limit of unanswered messages", limits.pending_sends, 1..=1_000_000, "from 1 to 1 000 000")?;
        count("the limit of kept messages", limits.buffered_sends, 0..=1_000_000, "at most 1 000 000")?;
        count("the limit of bytes being handled", limits.in_flight_bytes, 1..=GIB, "from 1 to 1 GiB")?;
        in_range("the time ids are remembered for", limits.remembered_for, Duration::ZERO, "at most a day")?;
        self.limits = limits;
        Ok(self)
    }

    /// Reaches the service through a proxy. Default: [`Proxy::environment`].
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.network = self.network.with_proxy(proxy);
        self
    }

    /// Trusts these root certificates besides the system's. Default: none.
    ///
    /// Give many connections clones of one `Config`, so that they share one TLS configuration.
    #[must_use]
    pub fn extra_roots(mut self, roots: Roots) -> Self {
        self.network = self.network.with_roots(roots);
        self
    }

    /// Connects from this address of this machine, WebSocket and REST alike. Default: the system chooses.
    ///
    /// For machines with several addresses, and for more connections to one place than one address has ports (about
    /// 28 000). Hosts are then reached over the address's own family, IPv4 or IPv6, only.
    #[must_use]
    pub fn local_address(mut self, address: IpAddr) -> Self {
        self.network = self.network.with_local(address);
        self
    }

    /// Lets `http` and `ws` addresses of other machines be used, over which passwords and tokens travel readable by
    /// everybody on the way. Call it before the addresses are given. Default: only loopback addresses may be plain,
    /// also those that come from discovery or a redirect, and only where they are not reached through a proxy on another
    /// machine. `localhost` is a loopback address: what else it may be looked up as is not used.
    #[must_use]
    pub fn allow_plaintext(mut self) -> Self {
        self.network = self.network.with_plaintext();
        self
    }

    /// Logs through this logger, such as [`LogHandle::slog`](crate::LogHandle::slog). Default: nothing is logged.
    ///
    /// It is called on the connection's thread, so it must not block. It may panic, as one that ends in `.fuse()` does
    /// when its disk is full: the record is lost and counted ([`Health::lost_records`](crate::Health::lost_records)), the
    /// first time is told on stderr, and nothing else comes of it. One that panics at every record is tried once a second.
    #[must_use]
    pub fn logger(mut self, logger: slog::Logger) -> Self {
        (self.logger, self.lost_records) = lent::guarded(&logger);
        self
    }
}
