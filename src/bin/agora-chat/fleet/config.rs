//! The configuration file: read, checked, and every mistake told with its line.

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use agora_chat::{
    Config, ConfigBuilder, KickPolicy, LogLevel,
    account::Token,
    config::Endpoints,
    fleet::{FleetConfig, LoginPace, admin::AdminToken},
    network::Roots,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, Visitor},
};
use toml::Spanned;

use super::tokens::{self, Source};
use crate::secrets;

/// The configuration, checked.
pub(crate) struct Settings {
    /// Without state folder and logger.
    pub(crate) config: ConfigBuilder,
    pub(crate) app_key: String,
    /// Where the service is, for people.
    pub(crate) service: String,
    pub(crate) accounts: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) node: String,
    pub(crate) level: LogLevel,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) pace: Pace,
    pub(crate) kicks: KickPolicy,
    pub(crate) drain: Duration,
    pub(crate) admin: Option<Admin>,
    pub(crate) tokens: Option<Source>,
    pub(crate) echo: bool,
}

/// The admin interface.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
    pub(crate) token: Option<AdminToken>,
    /// Names that it may be called by.
    pub(crate) hosts: Vec<String>,
}

/// The pace of logins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) per_second: f64,
    pub(crate) burst: u32,
    pub(crate) concurrent: u32,
}

impl Pace {
    pub(crate) fn of_fleet(self) -> LoginPace {
        LoginPace::per_second(self.per_second).burst(self.burst).concurrent(self.concurrent)
    }
}

/// A mistake in the configuration, or in a file that it names.
#[derive(Debug)]
pub(crate) struct Problem {
    file: PathBuf,
    /// Line and column, from 1.
    place: Option<(usize, usize)>,
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.text)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app_key: Spanned<String>,
    rest_url: Option<Spanned<String>>,
    socket_url: Option<Spanned<String>>,
    discovery_url: Option<Spanned<String>>,
    #[serde(default)]
    allow_plaintext: bool,
    accounts: Spanned<String>,
    state_dir: Spanned<String>,
    ca_file: Option<Spanned<String>>,
    node: Option<Spanned<String>>,
    #[serde(default)]
    log: LogTable,
    #[serde(default)]
    pace: PaceTable,
    #[serde(default)]
    kicks: KicksTable,
    #[serde(default)]
    drain: DrainTable,
    admin: Option<AdminTable>,
    tokens: Option<Spanned<TokensTable>>,
    bot: Option<Spanned<BotTable>>,
    cluster: Option<Spanned<IgnoredAny>>,
    sink: Option<Spanned<IgnoredAny>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogTable {
    #[serde(default, deserialize_with = "level")]
    level: Option<LogLevel>,
    file: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaceTable {
    logins_per_second: Option<Spanned<f64>>,
    burst: Option<Spanned<u32>>,
    concurrent: Option<Spanned<u32>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KicksTable {
    #[serde(default)]
    policy: Policy,
    pause: Option<Spanned<Time>>,
    times: Option<Spanned<u32>>,
    window: Option<Spanned<Time>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Policy {
    #[default]
    Park,
    RetryAfter,
    TakeOver,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainTable {
    deadline: Option<Spanned<Time>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminTable {
    listen: Spanned<String>,
    token_file: Option<Spanned<String>>,
    #[serde(default)]
    hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensTable {
    app_certificate_file: Option<Spanned<String>>,
    app_id: Option<Spanned<String>>,
    life: Option<Spanned<Time>>,
    provider_url: Option<Spanned<String>>,
    provider_key_file: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BotTable {
    #[serde(default)]
    echo: bool,
}

/// A time as people write it, with its unit.
#[derive(Clone, Copy)]
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeText;
        impl Visitor<'_> for TimeText {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as text with its unit, such as \"90s\" or \"10m\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                let wrong = |error| E::custom(format!("{text:?} is no time ({error}); write it as \"90s\" or \"10m\""));
                humantime::parse_duration(text).map(Time).map_err(wrong)
            }
        }
        deserializer.deserialize_str(TimeText)
    }
}

/// A level by name or number.
fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LogLevel>, D::Error> {
    struct Level;
    impl Visitor<'_> for Level {
        type Value = LogLevel;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("trace, debug, info, warn, error, silent or 0 to 5")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<LogLevel, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<LogLevel, E> {
            self.visit_str(&number.to_string())
        }
    }
    deserializer.deserialize_any(Level).map(Some)
}

/// The text of the configuration, to tell where in it something stands, and the folder that its paths are from.
struct Text<'a> {
    path: &'a Path,
    text: &'a str,
    folder: PathBuf,
}

impl Text<'_> {
    fn problem(&self, at: Option<std::ops::Range<usize>>, text: impl fmt::Display) -> Problem {
        let place = at.map(|at| {
            let before = self.text.get(..at.start).unwrap_or(self.text);
            let line = before.rsplit('\n').next().unwrap_or_default();
            (before.matches('\n').count() + 1, line.chars().count() + 1)
        });
        Problem { file: self.path.to_owned(), place, text: text.to_string() }
    }

    fn wrong<T>(&self, value: &Spanned<T>, text: impl fmt::Display) -> Problem {
        self.problem(Some(value.span()), text)
    }

    fn file(&self, name: &Spanned<String>, key: &str) -> Result<PathBuf, Problem> {
        match name.get_ref().as_str() {
            "" => Err(self.wrong(name, format!("{key} is empty; give the path of a file"))),
            path => Ok(self.folder.join(path)),
        }
    }

    /// Reads a file that the configuration names.
    fn content<T, E: fmt::Display>(
        &self,
        name: &Spanned<String>,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        let path = self.file(name, key)?;
        let looks_secret =
            name.get_ref().len() >= 32 && name.get_ref().bytes().all(|byte| byte.is_ascii_alphanumeric());
        if looks_secret && !path.exists() {
            // Shown it would be in a log.
            return Err(self.wrong(name, format!("{key}: there is no such file; give a file's path, not its content")));
        }
        read(&path.to_string_lossy()).map_err(|error| self.wrong(name, format!("{key}: {}: {error}", path.display())))
    }
}

/// Takes a number or time that lies in its range.
fn within<T: PartialOrd + Copy, V: Copy>(
    source: &Text<'_>,
    given: Option<&Spanned<V>>,
    by: impl Fn(V) -> T,
    range: std::ops::RangeInclusive<T>,
    key: &str,
    allowed: &str,
) -> Result<Option<T>, Problem> {
    let Some(given) = given else { return Ok(None) };
    let value = by(*given.get_ref());
    if range.contains(&value) { Ok(Some(value)) } else { Err(source.wrong(given, format!("{key} must be {allowed}"))) }
}

const DAY: Duration = Duration::from_secs(86_400);

impl Settings {
    /// The longest configuration, in bytes.
    const LARGEST: u64 = 1 << 20;

    /// Reads and checks the configuration, and the small files that it names; not the accounts.
    ///
    /// # Errors
    /// The first mistake, with its line and what would be right.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let nowhere = |text: String| Problem { file: path.to_owned(), place: None, text };
        let size = fs::metadata(path).map_err(|error| nowhere(error.to_string()))?.len();
        if size > Self::LARGEST {
            return Err(nowhere("it is larger than 1 MiB; is it the configuration?".to_owned()));
        }
        let bytes = fs::read(path).map_err(|error| nowhere(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| nowhere("it is not UTF-8".to_owned()))?;
        let text = secrets::unmarked(&text);
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let source = Text { path, text, folder: folder.to_owned() };
        let file: File = toml::from_str(text).map_err(|error| {
            let key = error.span().and_then(|span| match error.message() {
                "duplicate key" => text.get(span),
                _ => key_of(text, span.start),
            });
            let message = error.message().trim_end().replace('\n', "; ");
            match key.filter(|key| !message.contains(&format!("`{key}`"))) {
                Some(key) => source.problem(error.span(), format!("{key}: {message}")),
                None => source.problem(error.span(), message),
            }
        })?;
        file.check(&source)
    }
}

/// The key whose value begins at a place, where both stand on one line.
fn key_of(text: &str, at: usize) -> Option<&str> {
    let line = text.get(..at)?.rsplit('\n').next()?;
    let key = line.split_once('=')?.0.trim();
    (!key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))).then_some(key)
}

impl File {
    fn check(self, source: &Text<'_>) -> Result<Settings, Problem> {
        for (table, name) in [(&self.cluster, "cluster"), (&self.sink, "sink")] {
            if let Some(table) = table {
                let both =
                    if name == "sink" && self.bot.is_some() { "; nor can [bot] stand beside [sink]" } else { "" };
                let text = format!(
                    "[{name}] needs the feature `nats`, which this program was built without; take the table out or build \
                     with `--features cli,nats`{both}"
                );
                return Err(source.wrong(table, text));
            }
        }
        let (config, service) = self.connection(source)?;
        let kicks = self.kicks.policy(source)?;
        let node = match &self.node {
            Some(node) if (1..=FleetConfig::MAX_NAME).contains(&node.get_ref().len()) => node.get_ref().clone(),
            Some(node) => return Err(source.wrong(node, "node must have from 1 to 64 bytes")),
            None => host_name(),
        };
        let pace = Pace {
            per_second: within(
                source,
                self.pace.logins_per_second.as_ref(),
                |rate| rate,
                0.01..=10_000.0,
                "logins_per_second",
                "from 0.01 to 10000",
            )?
            .unwrap_or(100.0),
            burst: within(source, self.pace.burst.as_ref(), |n| n, 1..=10_000, "burst", "from 1 to 10000")?
                .unwrap_or(50),
            concurrent: within(
                source,
                self.pace.concurrent.as_ref(),
                |n| n,
                1..=10_000,
                "concurrent",
                "from 1 to 10000",
            )?
            .unwrap_or(64),
        };
        let hour = Duration::from_secs(3600);
        let drain = within(
            source,
            self.drain.deadline.as_ref(),
            |time| time.0,
            Duration::ZERO..=hour,
            "deadline",
            "at most an hour, such as \"25s\"",
        )?
        .unwrap_or(Duration::from_secs(25));
        let settings = Settings {
            app_key: self.app_key.get_ref().clone(),
            service,
            accounts: source.file(&self.accounts, "accounts")?,
            state_dir: source.file(&self.state_dir, "state_dir")?,
            node,
            level: self.log.level.unwrap_or(LogLevel::Info),
            log_file: self.log.file.as_ref().map(|file| source.file(file, "file")).transpose()?,
            pace,
            kicks,
            drain,
            admin: self.admin.as_ref().map(|admin| admin.check(source)).transpose()?,
            tokens: match &self.tokens {
                Some(table) => Some(table.get_ref().check(table, source, &config)?),
                None => None,
            },
            echo: match &self.bot {
                Some(bot) if !bot.get_ref().echo => {
                    return Err(
                        source.wrong(bot, "[bot] does nothing without `echo = true`; set it or take the table out")
                    );
                }
                bot => bot.is_some(),
            },
            config,
        };
        Ok(settings)
    }

    /// Where and how to connect.
    fn connection(&self, source: &Text<'_>) -> Result<(ConfigBuilder, String), Problem> {
        let app_key = &self.app_key;
        if let Err(error) = app_key.get_ref().parse::<agora_chat::AppKey>() {
            return Err(source.wrong(app_key, format!("app_key: {error}")));
        }
        let mut config = Config::builder(app_key.get_ref());
        if self.allow_plaintext {
            config = config.allow_plaintext();
        }
        let mut blamed = app_key;
        let service = match (&self.rest_url, &self.socket_url, &self.discovery_url) {
            (Some(rest), Some(socket), None) => {
                // Each by itself first, so that the right line is blamed.
                let alone = config.clone().addresses(rest.get_ref(), "wss://localhost/websocket").build();
                blamed = if alone.is_err() { rest } else { socket };
                config = config.addresses(rest.get_ref(), socket.get_ref());
                rest.get_ref().clone()
            }
            (Some(given), None, _) => {
                return Err(source.wrong(given, "rest_url needs socket_url beside it; give both or neither"));
            }
            (None, Some(given), _) => {
                return Err(source.wrong(given, "socket_url needs rest_url beside it; give both or neither"));
            }
            (Some(_), Some(_), Some(given)) => {
                return Err(source
                    .wrong(given, "discovery_url cannot stand beside rest_url and socket_url; give one or the other"));
            }
            (None, None, Some(host)) => {
                blamed = host;
                config = config.endpoints(Endpoints::Discovery(vec![host.get_ref().clone()]));
                format!("what {} names", host.get_ref())
            }
            (None, None, None) => "what the vendor's service discovery names".to_owned(),
        };
        if let Some(name) = &self.ca_file {
            let roots = source.content(name, "ca_file", |path| {
                secrets::bytes(path)
                    .map_err(|error| error.to_string())
                    .and_then(|pem| Roots::from_pem(pem).map_err(|error| error.to_string()))
            })?;
            config = config.extra_roots(roots);
        }
        match config.clone().build() {
            Ok(_) => Ok((config, service)),
            Err(error) => Err(source.wrong(blamed, error)),
        }
    }
}

impl KicksTable {
    fn policy(&self, source: &Text<'_>) -> Result<KickPolicy, Problem> {
        let policy = self.policy;
        let misplaced = |at: std::ops::Range<usize>, key: &str, of: &str| {
            Err(source.problem(Some(at), format!("{key} goes with policy = \"{of}\"; take it out or set that policy")))
        };
        if let Some(pause) = self.pause.as_ref().filter(|_| policy != Policy::RetryAfter) {
            return misplaced(pause.span(), "pause", "retry_after");
        }
        if let Some(times) = self.times.as_ref().filter(|_| policy != Policy::TakeOver) {
            return misplaced(times.span(), "times", "take_over");
        }
        if let Some(window) = self.window.as_ref().filter(|_| policy != Policy::TakeOver) {
            return misplaced(window.span(), "window", "take_over");
        }
        let time = |given: &Option<Spanned<Time>>, key, default| {
            let least = Duration::from_secs(1);
            within(source, given.as_ref(), |time| time.0, least..=DAY, key, "from 1 s to a day, such as \"60s\"")
                .map(|time| time.unwrap_or(Duration::from_secs(default)))
        };
        Ok(match policy {
            Policy::Park => KickPolicy::Park,
            Policy::RetryAfter => KickPolicy::RetryAfter(time(&self.pause, "pause", 60)?),
            Policy::TakeOver => KickPolicy::TakeOver {
                times: within(source, self.times.as_ref(), |n| n, 1..=1000, "times", "from 1 to 1000")?.unwrap_or(3),
                window: time(&self.window, "window", 600)?,
            },
        })
    }
}

impl AdminTable {
    fn check(&self, source: &Text<'_>) -> Result<Admin, Problem> {
        let listen: SocketAddr = self.listen.get_ref().parse().map_err(|_| {
            let text = "listen must be an address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
            source.wrong(&self.listen, text)
        })?;
        let token = match &self.token_file {
            Some(name) => Some(source.content(name, "token_file", |path| {
                let text = secrets::file(path).map_err(|error| error.to_string())?;
                AdminToken::new(&text).map_err(|error| error.to_string())
            })?),
            None if listen.ip().is_loopback() => None,
            None => {
                let text = "listen is not a loopback address, so everybody could act; give a token_file beside it, or listen \
                            on 127.0.0.1";
                return Err(source.wrong(&self.listen, text));
            }
        };
        Ok(Admin { listen, token, hosts: self.hosts.clone() })
    }
}

impl TokensTable {
    fn check(
        &self,
        table: &Spanned<TokensTable>,
        source: &Text<'_>,
        config: &ConfigBuilder,
    ) -> Result<Source, Problem> {
        let alone = |given: Option<std::ops::Range<usize>>, key: &str, with: &str| match given {
            Some(at) => Err(source.problem(Some(at), format!("{key} goes with {with}, which is not given"))),
            None => Ok(()),
        };
        match (&self.app_certificate_file, &self.provider_url) {
            (Some(name), None) => {
                alone(self.provider_key_file.as_ref().map(Spanned::span), "provider_key_file", "provider_url")?;
                let life = within(
                    source,
                    self.life.as_ref(),
                    |time| time.0,
                    Duration::from_secs(1)..=DAY,
                    "life",
                    "from 1 s to a day, such as \"24h\"",
                )?;
                let app_id = self.app_id.as_ref().map(|id| id.get_ref().as_str());
                source.content(name, "app_certificate_file", |path| {
                    let text = secrets::file(path).map_err(|error| error.to_string())?;
                    tokens::certificate(&text, app_id, life.unwrap_or(DAY))
                })
            }
            (None, Some(url)) => {
                alone(self.app_id.as_ref().map(Spanned::span), "app_id", "app_certificate_file")?;
                alone(self.life.as_ref().map(Spanned::span), "life", "app_certificate_file")?;
                let key = match &self.provider_key_file {
                    Some(name) => Some(source.content(name, "provider_key_file", |path| {
                        let text = secrets::file(path).map_err(|error| error.to_string())?;
                        Token::new(text).map_err(|error| error.to_string())
                    })?),
                    None => None,
                };
                let config = config.clone().build().map_err(|error| source.wrong(url, error))?;
                tokens::provider(&config, url.get_ref(), key)
                    .map_err(|error| source.wrong(url, format!("provider_url: {error}")))
            }
            (Some(_), Some(url)) => {
                let text = "provider_url cannot stand beside app_certificate_file; give one of them";
                Err(source.wrong(url, text))
            }
            (None, None) => Err(source.wrong(table, "[tokens] needs app_certificate_file or provider_url")),
        }
    }
}

/// The machine's name, as the node's.
fn host_name() -> String {
    #[cfg(unix)]
    let name = rustix_name();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    name.filter(|name| (1..=FleetConfig::MAX_NAME).contains(&name.len())).unwrap_or_else(|| "node".to_owned())
}

#[cfg(unix)]
fn rustix_name() -> Option<String> {
    nix::sys::utsname::uname().ok()?.nodename().to_str().map(str::to_owned)
}
