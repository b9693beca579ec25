//! The command line, and what it comes to.

use std::{error::Error, fs, num::NonZeroU16, sync::Arc, time::Duration};

use agora_chat::{
    Config, ConfigBuilder, Reconnect, RestClient,
    network::{Proxy, Roots},
    rest::RateLimits,
};
use clap::{Parser, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{descriptors, guard, threshold::Threshold};

/// What is done once all accounts are logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Nothing: the logins themselves are measured.
    Login,
    /// Stay online without traffic.
    Idle,
    /// Receive `--expect` text messages.
    Messages,
    /// Be cut off, every session once, and come back.
    Storm,
}

impl Scenario {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Login => "login",
            Scenario::Idle => "idle",
            Scenario::Messages => "messages",
            Scenario::Storm => "storm",
        }
    }
}

/// Who tells subscribers what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registries {
    /// One registry per arbiter, for all its sessions.
    Shared,
    /// One per session, as an application with one account has it.
    Own,
}

/// Loads a chat server with many accounts from one process, and measures.
#[derive(Debug, Parser)]
#[command(
    name = "load_harness",
    after_help = "\
Users are PREFIX000000, PREFIX000001, …, all with one password: u000000 with `pw` unless said otherwise; another
password stands in LOAD_HARNESS_PASSWORD, never on the command line. Each message reaches a subscriber actor; a message
that begins with the sender's clock in nanoseconds since 1970, 19 digits, counts for the latency.

Thresholds: --fail-if 'METRIC OP VALUE', with OP one of < <= > >= and VALUE a time (50ms, 1.5s, 200us, 900ns), a size
(7KiB) or a number. Metrics:
  p50 p90 p99 p999 max            delivery (messages), time until back (storm), login (login, idle)
  login_p50 … login_max           one login
  back_p50 … back_max             from the loss of a link until it is up again (storm)
  lag                             how late the slowest timer of an arbiter was
  login_cpu message_cpu storm_cpu CPU time of this process for each
  memory                          resident bytes per session
  failed lost missed down disconnects   logins that failed; messages expected that did not come; events a full mailbox
                                  cost; sessions not up at the end; links lost
A metric that was not measured breaks its threshold.

Only loopback is loaded. Another machine needs --i-own-this-service and --max-rate.

The addresses and the application key are those of `local_server --load-users N` unless said otherwise.

Exit status: 0 done, 1 a threshold is broken, 2 usage (also: refused, or too few descriptors), 3 nothing worked: no login
succeeded, or the report could not be written, 130 interrupted; what was measured until then is reported all the same.
Why logins failed is told with the report. What was not measured is absent from it."
)]
pub(crate) struct Options {
    /// REST address, `http://…` or `https://…`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7070")]
    rest_url: String,
    /// WebSocket address, `ws://…` or `wss://…`
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:7070/websocket")]
    socket_url: String,
    /// Application key
    #[arg(long, value_name = "ORG#APP", default_value = "local#test")]
    app_key: String,
    /// How many sessions
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    accounts: u32,
    /// What is done once all are logged in
    #[arg(long, value_enum, default_value_t = Scenario::Login)]
    scenario: Scenario,
    /// idle: how long to stay idle; others: the limit of the logins and of what follows them
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    duration: Duration,
    /// Logins under way at once
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// messages: how many text messages will come in all
    #[arg(long, value_name = "M", default_value_t = 0)]
    expect: u64,
    /// File of root certificates to trust besides the system's
    #[arg(long, value_name = "PEM")]
    ca: Option<String>,
    /// Threads the sessions are spread over; with 1 everything runs on the main thread, which costs least CPU
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    arbiters: u32,
    /// Registries of subscribers
    #[arg(long, value_enum, default_value_t = Registries::Shared)]
    registries: Registries,
    /// The first part of each user id
    #[arg(long, default_value = "u")]
    prefix: String,
    /// The password of all users
    #[arg(long, env = "LOAD_HARNESS_PASSWORD", hide_env_values = true, default_value = "pw", hide = true)]
    password: SecretString,
    /// messages: messages a second that each session is sent; corrects latencies for what a stall hid
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// Ends with status 1 where this holds, such as 'p99>50ms'; may be given several times
    #[arg(long, value_name = "THRESHOLD")]
    fail_if: Vec<Threshold>,
    /// Addresses 127.0.0.x to connect from, for loopback targets only; more than 1 by itself past 25 000 accounts
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=250))]
    source_addresses: Option<u8>,
    /// Load another machine than this one; you answer for it
    #[arg(long, requires = "max_rate")]
    i_own_this_service: bool,
    /// The most logins a second
    #[arg(long, value_name = "PER_SECOND")]
    max_rate: Option<NonZeroU16>,
    /// Keep trying each login until it succeeds or is refused for good, for services that limit or shed logins; the time a
    /// login takes then counts its pauses
    #[arg(long)]
    keep_trying: bool,
    /// Keep the accounts by a fleet of the library, as a program of many accounts does, in place of connections by themselves:
    /// it tries logins again, and --max-rate, --concurrency and the pace of reconnects are its. A login then takes from its
    /// turn until the account is online, in whole milliseconds
    #[arg(long, conflicts_with_all = ["keep_trying", "source_addresses", "registries"])]
    fleet: bool,
    /// No progress line and no table
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

fn seconds(number: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    Ok(Duration::try_from_secs_f64(number.parse()?)?)
}

fn rate(number: &str) -> Result<f64, Box<dyn Error + Send + Sync>> {
    let rate: f64 = number.parse()?;
    if rate > 0.0 && rate.is_finite() { Ok(rate) } else { Err("it must be more than 0".into()) }
}

/// What is to be done, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    pub(crate) accounts: usize,
    pub(crate) arbiters: usize,
    pub(crate) concurrency: usize,
    pub(crate) registries: Registries,
    /// Whether a fleet of the library keeps the accounts.
    pub(crate) fleet: bool,
    pub(crate) duration: Duration,
    pub(crate) expect: u64,
    /// How far apart a session's messages are, where that is known.
    pub(crate) interval: Option<Duration>,
    pub(crate) prefix: String,
    pub(crate) password: SecretString,
    /// One for each address that is connected from; accounts take them in turn.
    pub(crate) configs: Vec<Arc<Config>>,
    /// The least time between the starts of two logins.
    pub(crate) pace: Option<Duration>,
    /// The same as a rate.
    pub(crate) max_rate: Option<NonZeroU16>,
    pub(crate) thresholds: Vec<Threshold>,
    /// Whether any of it goes over TLS.
    pub(crate) tls: bool,
    pub(crate) quiet: bool,
}

impl Plan {
    /// The user of a number.
    pub(crate) fn user(&self, number: usize) -> String {
        format!("{}{number:06}", self.prefix)
    }
}

impl Options {
    /// Checks everything that can be checked before the first connection.
    ///
    /// # Errors
    /// In words: an address, a file, a refusal, too few descriptors.
    pub(crate) fn plan(&self) -> Result<Plan, Box<dyn Error>> {
        let loopback = guard::is_loopback(&self.rest_url)? && guard::is_loopback(&self.socket_url)?;
        if !loopback && !self.i_own_this_service {
            return Err(guard::refusal(&self.rest_url, &self.socket_url).into());
        }
        if self.scenario == Scenario::Messages && self.expect == 0 {
            return Err("--scenario messages needs --expect".into());
        }
        let accounts = usize::try_from(self.accounts)?;
        let concurrency = usize::try_from(self.concurrency)?.min(accounts);
        descriptors::raise(accounts, concurrency)?;
        let config = self.config(loopback)?;
        let sources = match self.source_addresses {
            Some(_) if !loopback => return Err("--source-addresses is for loopback targets".into()),
            Some(addresses) => addresses,
            None if loopback && self.fleet && guard::sources_for(accounts) > 1 => {
                return Err("--fleet connects from one address, which has ports for 25000 accounts; take fewer".into());
            }
            None if loopback => guard::sources_for(accounts),
            None => 1,
        };
        let configs = if sources == 1 && self.source_addresses.is_none() {
            vec![config]
        } else {
            guard::sources(sources).map(|address| config.clone().local_address(address)).collect()
        };
        // An empty variable counts as absent.
        let password = Some(&self.password).filter(|password| !password.expose_secret().is_empty());
        let password = password.cloned().unwrap_or_else(|| "pw".into());
        Ok(Plan {
            scenario: self.scenario,
            accounts,
            arbiters: usize::try_from(self.arbiters)?.min(accounts),
            concurrency,
            registries: self.registries,
            fleet: self.fleet,
            duration: self.duration,
            expect: self.expect,
            interval: self.rate.map(|rate| Duration::try_from_secs_f64(1.0 / rate)).transpose()?,
            prefix: self.prefix.clone(),
            password,
            configs: configs.into_iter().map(|config| config.build().map(Arc::new)).collect::<Result<_, _>>()?,
            pace: self.max_rate.map(|rate| Duration::from_secs(1) / u32::from(rate.get())),
            max_rate: self.max_rate,
            thresholds: self.fail_if.clone(),
            tls: guard::is_tls(&self.rest_url) || guard::is_tls(&self.socket_url),
            quiet: self.quiet,
        })
    }

    fn config(&self, loopback: bool) -> Result<ConfigBuilder, Box<dyn Error>> {
        let mut config = Config::builder(&self.app_key);
        if loopback {
            config = config.proxy(Proxy::none());
        }
        if let Some(path) = &self.ca {
            let pem = fs::read(path).map_err(|error| format!("--ca {path}: {error}"))?;
            config = config.extra_roots(Roots::from_pem(pem)?);
        }
        // The official SDK's first five pauses, 1 to 2 s each; it then takes 3 to 6 s, which ours does not follow.
        let mut reconnect = Reconnect::default();
        let second = Duration::from_secs(1);
        (reconnect.at_least, reconnect.base, reconnect.cap, reconnect.flapping) = (second, second, second, None);
        config = config.reconnect(reconnect).addresses(&self.rest_url, &self.socket_url);
        config = config.keep_trying_first_login(self.keep_trying);
        // The crate keeps the service's published limits, and would hold the logins back to 300 a second.
        let most = self.max_rate.unwrap_or(NonZeroU16::MAX);
        RestClient::new(&config.clone().build()?)?.set_rate_limits(RateLimits {
            users: most,
            tokens: most,
            other: most,
        });
        Ok(config)
    }
}
