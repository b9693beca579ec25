//! Puts one account online and tells what happens, in sentences or as JSON lines.
//!
//! `AGORA_CHAT_PASSWORD=… cargo run --example connect -- --app-key org#app --user alice`

mod commands;
#[path = "../common/failure.rs"]
#[allow(dead_code, reason = "errors are told as lines here")]
mod failure;
#[path = "../common/lines.rs"]
mod lines;
mod message;
mod notice;
#[path = "../common/out.rs"]
mod out;
#[path = "../common/secrets.rs"]
mod secrets;
mod session;
#[path = "../common/signals.rs"]
mod signals;
mod tell;
#[path = "../common/teller.rs"]
mod teller;
mod words;

use std::{error::Error, fmt::Display, path::PathBuf, pin::pin, process::ExitCode, time::Duration};

use agora_chat::{
    Account, AppKey, Config, Connection, Credentials, DisconnectReason, Event, LogConfig, LogHandle, LogLevel,
    Reconnect, RequestError, StateDir, UserId, account::Device, config::Endpoints, logger::Terminal, network::Roots,
    rest::RestErrorKind,
};
use clap::{CommandFactory, Parser, error::ErrorKind};
use out::Out;
use serde_json::json;
use session::Session;
use signals::Signals;
use slog::{info, warn};
use tell::{Failure, describe, failed, line, numbered, plain};
use tokio::time::{Instant, sleep_until, timeout};

const CLOSED: u8 = 0;
const LOGIN_FAILED: u8 = 3;
const LOGGED_OUT: u8 = 4;
const GAVE_UP: u8 = 5;
const NOBODY_READS: u8 = 6;
const COMMAND_FAILED: u8 = 7;

/// How long the end may take beside the logout itself: messages in hand, answers, output.
const PATIENCE: Duration = Duration::from_secs(1);

/// Puts one account online and tells what happens.
#[derive(Parser)]
#[command(
    name = "connect",
    after_help = "\
The secret is AGORA_CHAT_TOKEN or AGORA_CHAT_PASSWORD, or stands in a file; never on the command line. A file goes
before its variable, and a token before a password, which then serves --register only. An empty variable counts as
absent; a byte order mark before a file's text is not part of it.

Commands on stdin, one a line: send USER TEXT | cmd USER ACTION | renew TOKEN | level [LEVEL] | enable-all |
disable-all | state | help | close | quit. A command may begin with `@ID `; its answer then has that \"id\", and \"to\"
where there is a recipient.
send, cmd and renew wait for the login, send and cmd also for a lost link; they begin in their order, so many at a time
as the service answers. Up to 8 MiB of them wait; then stdin is not read on. quit, and the end of stdin where commands
were read and no --for is given, wait until they are done. close, level, state and help act at once; what still waits
then has failed. A line that is not UTF-8 is answered with an error.

With --json each line of stdout is an object with `event` and `at_ms`: connected, reconnecting, disconnected,
token_will_expire, token_expired, flapping, message, receipt, recalled, edited, group, room, thread, contact, presence,
reaction, pinned, device, unknown, offline_sync_started, offline_sync_finished, missed; and sent, renewed, level, state,
help or error in answer to a command. Ids are text. A message has id, from, to, chat, type, timestamp and the members of its
type (text, command, custom, location, image, voice, video, file, combined, stream, raw); own, ext and thread where it
has them. A file is told by url, name and length, never with its secret.

A message is acknowledged to the server once its line is written. So a reader of stdout that stands still loses none,
and neither the link nor a signal waits for it: what comes in waits on the server, and past 1 MiB of other lines the
newest are left out, which a line `missed` tells. When nobody reads stdout any more, this program logs out and ends.
In sentences (without --json) control characters and marks that turn the direction of writing are escaped.

--state-dir keeps the device's name, so that the service sees one device over restarts, and the token, so that a
password needs no REST call while it lasts. Two programs online at once with one account need two directories, or they
take the place from each other.

A proxy is taken from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, unless NO_PROXY names the host.

SIGINT, SIGTERM and SIGHUP log out and end; a second one ends at once. With --log-file a SIGHUP reopens that file
instead, for logrotate.

Exit status: 0 closed as asked (also when --for ran out), 2 usage, 3 registration or login failed, 4 logged out by
the server or by the end of the token, 5 gave up reconnecting, 6 stdout is gone, 7 closed as asked but a command failed."
)]
struct Args {
    /// The application key.
    #[arg(long = "app-key", value_name = "ORG#APP", value_parser = |key: &str| key.parse::<AppKey>())]
    app_key: AppKey,
    /// REST address; without it and --socket-url, discovery finds both.
    #[arg(long, value_name = "URL", requires = "socket_url")]
    rest_url: Option<String>,
    /// WebSocket address.
    #[arg(long, value_name = "URL", requires = "rest_url")]
    socket_url: Option<String>,
    /// Where to ask for `server.json`, instead of the vendor's hosts.
    #[arg(long, value_name = "URL", conflicts_with = "rest_url")]
    discovery_url: Option<String>,
    /// The user id.
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// File holding the password; a line end after it is not part of it.
    #[arg(long, value_name = "PATH", value_parser = secrets::file)]
    password_file: Option<String>,
    /// File holding the token; a line end after it is not part of it.
    #[arg(long, value_name = "PATH", value_parser = secrets::file)]
    token_file: Option<String>,
    /// Register the user first, unless there is one of that name; needs the password.
    #[arg(long)]
    register: bool,
    /// This device's name; without it that of --state-dir, or a new random one.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Directory that keeps this device's name and the token over restarts; made where it is missing.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// File of root certificates to trust besides the system's.
    #[arg(long, value_name = "PEM", value_parser = roots)]
    ca_file: Option<Roots>,
    /// Let http and ws addresses of other machines be used: everybody on the way can read passwords and tokens.
    #[arg(long)]
    allow_plaintext: bool,
    /// Keep trying the first login until it succeeds or is refused for good, as a lost link is regained; without it a
    /// login ends after 3 attempts within 30 seconds.
    #[arg(long)]
    keep_trying: bool,
    /// Give up after so many attempts to reconnect, 0 for none; without it there is no limit.
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// trace, debug, info, warn, error, silent or 0 to 5; the log goes to stderr.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: LogLevel,
    /// Log to this file, too.
    #[arg(long, value_name = "PATH")]
    log_file: Option<PathBuf>,
    /// Close after so many seconds online.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    stay: Option<Duration>,
    /// One JSON object per line on stdout, and nothing else.
    #[arg(long)]
    json: bool,
}

fn seconds(number: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    Ok(Duration::try_from_secs_f64(number.parse()?)?)
}

fn roots(path: &str) -> Result<Roots, Box<dyn Error + Send + Sync>> {
    Ok(Roots::from_pem(secrets::bytes(path)?)?)
}

/// What to connect with, the password to register first, how to log in, and the log.
type Plan = (Config, Option<String>, Account, LogHandle);

impl Args {
    /// Whatever is wrong here is a usage error.
    fn plan(&self) -> Result<Plan, Box<dyn Error>> {
        let mut config = Config::builder(&self.app_key);
        if self.allow_plaintext {
            config = config.allow_plaintext();
        }
        if let Some(roots) = &self.ca_file {
            config = config.extra_roots(roots.clone());
        }
        if let (Some(rest), Some(socket)) = (&self.rest_url, &self.socket_url) {
            config = config.addresses(rest, socket);
        }
        if let Some(host) = &self.discovery_url {
            config = config.endpoints(Endpoints::Discovery(vec![host.clone()]));
        }
        if let Some(dir) = &self.state_dir {
            config = config.state_dir(StateDir::open(dir).map_err(|e| format!("--state-dir: {e}"))?);
        }
        if let Some(attempts) = self.max_attempts {
            let mut reconnect = Reconnect::default();
            reconnect.enabled = attempts > 0;
            reconnect.max_attempts = Some(attempts).filter(|attempts| *attempts > 0);
            config = config.reconnect(reconnect);
        }
        config = config.keep_trying_first_login(self.keep_trying);
        let secret = |file: &Option<String>, variable| match file {
            Some(content) => Ok(Some(content.clone())),
            None => secrets::variable(variable),
        };
        let token = secret(&self.token_file, "AGORA_CHAT_TOKEN")?;
        let password = secret(&self.password_file, "AGORA_CHAT_PASSWORD")?;
        let credentials = match (token, &password) {
            (Some(token), _) => Credentials::token(self.user.as_str(), token)?,
            (None, Some(password)) => Credentials::password(self.user.as_str(), password)?,
            (None, None) => return Err("set AGORA_CHAT_PASSWORD or AGORA_CHAT_TOKEN, or give a file".into()),
        };
        let mut account = Account::new(credentials);
        if let Some(resource) = &self.resource {
            account = account.device(Device::new(resource));
        }
        if self.register && password.is_none() {
            return Err("--register needs a password".into());
        }
        let mut log = LogConfig::new().terminal(Terminal::Stderr).level(self.log_level);
        if let Some(path) = &self.log_file {
            log = log.file(path);
        }
        let log = LogHandle::start(log)?;
        Ok((config.logger(log.slog()).build()?, password.filter(|_| self.register), account, log))
    }
}

#[actix::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let plan = args.plan().unwrap_or_else(|e| usage(e));
    let started = Signals::listen().and_then(|signals| Ok((signals, Out::start(missed(args.json))?)));
    let (mut signals, out) = started.unwrap_or_else(|e| usage(e));
    let log = plan.3.clone();
    if args.log_file.is_some() {
        signals.reopen_on_hangup(log.clone());
    }
    let status = run(&args, plan, &mut signals, &out).await.unwrap_or_else(|failure| {
        out.tell(line(args.json, failed(failure)));
        LOGIN_FAILED
    });
    let last = async {
        out.finish(PATIENCE).await;
        let _best_effort = timeout(PATIENCE, log.shutdown()).await;
    };
    tokio::select! { () = last => {} _ = signals.next() => {} }
    failure::leave(status)
}

fn usage(problem: impl Display) -> ! {
    Args::command().error(ErrorKind::ValueValidation, problem).exit()
}

/// The line that tells how many others there was no room for.
fn missed(as_json: bool) -> fn(u64) -> String {
    fn told(as_json: bool, count: u64) -> String {
        let sentence = format!("{count} lines were not told: nobody read them in time.");
        line(as_json, (json!({"event": "missed", "count": count}), sentence))
    }
    if as_json { |count| told(true, count) } else { |count| told(false, count) }
}

/// The line of an event.
fn of_event(as_json: bool) -> fn(&Event) -> String {
    if as_json { |event| line(true, describe(event)) } else { |event| line(false, describe(event)) }
}

/// Goes online and stays until something ends it.
async fn run(
    args: &Args,
    (config, register, account, log): Plan,
    signals: &mut Signals,
    out: &Out,
) -> Result<u8, Failure> {
    let connection = Connection::start(config).map_err(plain)?;
    let (in_hand, mut ended) = teller::tell_all(&connection, out, of_event(args.json)).map_err(plain)?;
    let mut session = Session::new(connection.clone(), log.clone(), out.clone(), args.json, args.stay.is_some());
    let mut login = pin!(async {
        if let Some(password) = register {
            self::register(&connection, &args.user, password, &log).await?;
        }
        connection.open(account).await.map_err(|e| numbered(e.code(), e))
    });
    let mut close_at = None;
    let mut states = connection.watch();
    let status = loop {
        session.begin_what_can();
        if session.is_done() {
            break CLOSED;
        }
        tokio::select! {
            biased;
            _ = signals.next() => break CLOSED,
            () = out.gone() => break NOBODY_READS,
            result = &mut login, if !session.logged_in => {
                if let Err(failure) = result {
                    out.tell(line(args.json, failed(failure)));
                    session.give_up("the login failed");
                    return Ok(LOGIN_FAILED);
                }
                session.logged_in = true;
                close_at = args.stay.and_then(|stay| Instant::now().checked_add(stay));
            }
            Some(reason) = ended.recv(), if session.logged_in => {
                session.settle(PATIENCE).await;
                session.give_up("the session has ended");
                return Ok(match reason {
                    DisconnectReason::Closed => session.status(CLOSED),
                    DisconnectReason::AttemptsExhausted { .. } => GAVE_UP,
                    _ => LOGGED_OUT,
                });
            },
            () = sleep_until(close_at.unwrap_or_else(Instant::now)), if close_at.is_some() => break CLOSED,
            Some(_) = states.next() => {}
            () = session.next() => {}
        }
    };
    let ending = async {
        if session.logged_in && status == CLOSED {
            // What is written is acknowledged, so that it does not come again.
            let _stands_still = timeout(PATIENCE, in_hand.none()).await;
        }
        connection.close().await;
        session.settle(PATIENCE).await;
        session.give_up("the program ends");
        // The teller has yet to hear of the end.
        let _told = timeout(PATIENCE, ended.recv()).await;
    };
    tokio::select! { () = ending => {} signal = signals.next() => failure::leave(128 + u8::try_from(signal).unwrap_or(0)) }
    Ok(session.status(status))
}

/// Registers the user, unless there is one of that name.
async fn register(connection: &Connection, user: &UserId, password: String, log: &LogHandle) -> Result<(), Failure> {
    match connection.register_user(user.as_str(), password, None).await {
        Ok(_) => info!(log.slog(), "registered"; "user" => user.as_str()),
        Err(RequestError::Rest(error)) if error.kind() == &RestErrorKind::UsernameTaken => {
            warn!(log.slog(), "the user exists already and was not registered; logging in"; "user" => user.as_str());
        }
        Err(error) => return Err(numbered(error.code(), error)),
    }
    Ok(())
}
