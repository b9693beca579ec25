//! Puts one account online and tells what happens, in sentences or as JSON lines.
//!
//! `AGORA_CHAT_PASSWORD=… cargo run --example connect -- --app-key org#app --user alice`

mod message;
mod notice;
mod tell;
mod words;

use std::{env, error::Error, fs, io, path::PathBuf, pin::pin, process::ExitCode, time::Duration};

use actix_rt::signal;
use agora_chat::{
    Config, Connection, Credentials, Device, DisconnectReason, Endpoints, EventHandler, EventKind, LogConfig,
    LogHandle, LogLevel, Reconnect, Roots, StateDir, UserId, logger::Terminal,
};
use clap::{CommandFactory, Parser, error::ErrorKind};
use serde_json::json;
use tell::{Failure, Told, describe, failed, numbered, plain, tell};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

const CLOSED: u8 = 0;
const LOGIN_FAILED: u8 = 3;
const LOGGED_OUT: u8 = 4;
const GAVE_UP: u8 = 5;

/// Puts one account online and tells what happens.
#[derive(Parser)]
#[command(
    name = "connect",
    after_help = "\
The secret is AGORA_CHAT_TOKEN or AGORA_CHAT_PASSWORD, or stands in a file; never on the command line. A file goes
before its variable, and a token before a password, which then serves --register only.

Commands on stdin, one a line: send USER TEXT | cmd USER ACTION | renew TOKEN | level LEVEL | enable-all |
disable-all | state | close | quit. The end of stdin ends nothing.

With --json each line of stdout is an object with `event` and `at_ms`: connected, reconnecting, disconnected,
token_will_expire, token_expired, flapping, message, receipt, recalled, edited, group, room, thread, contact, presence,
reaction, pinned, device, unknown, offline_sync_started, offline_sync_finished, missed; and sent, renewed, level, state
or error in answer to a command. Ids are text. A message has id, from, to, chat, type, timestamp and the members of its
type (text, command, custom, location, image, voice, video, file, combined, stream, raw); own, ext and thread where it
has them. A file is told by url, name and length, never with its secret.

--state-dir keeps the device's name, so that the service sees one device over restarts, and the token, so that a
password needs no REST call while it lasts. Two programs online at once with one account need two directories, or they
take the place from each other.

A proxy is taken from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, unless NO_PROXY names the host.

Exit status: 0 closed as asked (also when --for ran out), 2 usage, 3 registration or login failed, 4 logged out by
the server or by the end of the token, 5 gave up reconnecting."
)]
struct Args {
    /// The application key.
    #[arg(long = "app-key", value_name = "ORG#APP", value_parser = |key: &str| Config::new(key))]
    config: Config,
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
    #[arg(long, value_name = "PATH", value_parser = |path: &str| fs::read_to_string(path))]
    password_file: Option<String>,
    /// File holding the token; a line end after it is not part of it.
    #[arg(long, value_name = "PATH", value_parser = |path: &str| fs::read_to_string(path))]
    token_file: Option<String>,
    /// Register the user first; needs the password.
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
    Ok(Roots::from_pem(fs::read(path)?)?)
}

/// What to connect with, the password to register first, how to log in, and the log.
type Plan = (Config, Option<String>, Credentials, LogHandle);

impl Args {
    /// Whatever is wrong here is a usage error.
    fn plan(&self) -> Result<Plan, Box<dyn Error>> {
        let mut config = self.config.clone();
        if self.allow_plaintext {
            config = config.allow_plaintext();
        }
        if let Some(roots) = &self.ca_file {
            config = config.extra_roots(roots.clone());
        }
        if let (Some(rest), Some(socket)) = (&self.rest_url, &self.socket_url) {
            config = config.addresses(rest, socket)?;
        }
        if let Some(host) = &self.discovery_url {
            config = config.endpoints(Endpoints::Discovery(vec![host.clone()]))?;
        }
        if let Some(resource) = &self.resource {
            config = config.device(Device::new(resource))?;
        }
        if let Some(dir) = &self.state_dir {
            config = config.state_dir(StateDir::open(dir).map_err(|e| format!("--state-dir: {e}"))?);
        }
        if let Some(attempts) = self.max_attempts {
            let mut reconnect = Reconnect::default();
            reconnect.enabled = attempts > 0;
            reconnect.max_attempts = Some(attempts).filter(|attempts| *attempts > 0);
            config = config.reconnect(reconnect)?;
        }
        let content = |file: &String| file.trim_end_matches(['\r', '\n']).to_owned();
        let token = self.token_file.as_ref().map(content).or_else(|| env::var("AGORA_CHAT_TOKEN").ok());
        let password = self.password_file.as_ref().map(content).or_else(|| env::var("AGORA_CHAT_PASSWORD").ok());
        let credentials = match (token, &password) {
            (Some(token), _) => Credentials::token(self.user.as_str(), token)?,
            (None, Some(password)) => Credentials::password(self.user.as_str(), password)?,
            (None, None) => return Err("set AGORA_CHAT_PASSWORD or AGORA_CHAT_TOKEN, or give a file".into()),
        };
        if self.register && password.is_none() {
            return Err("--register needs a password".into());
        }
        let mut log = LogConfig::new().terminal(Terminal::Stderr).level(self.log_level);
        if let Some(path) = &self.log_file {
            log = log.file(path);
        }
        let log = LogHandle::start(log)?;
        Ok((config.logger(log.slog()), password.filter(|_| self.register), credentials, log))
    }
}

#[actix::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let plan = args.plan().unwrap_or_else(|e| Args::command().error(ErrorKind::ValueValidation, e).exit());
    let log = plan.3.clone();
    let status = run(&args, plan).await.unwrap_or_else(|failure| {
        tell(args.json, failed(failure));
        LOGIN_FAILED
    });
    let _best_effort = log.shutdown().await;
    ExitCode::from(status)
}

/// Goes online and stays until something ends it.
async fn run(args: &Args, (config, register, credentials, log): Plan) -> Result<u8, Failure> {
    let as_json = args.json;
    let connection = Connection::start(config).map_err(plain)?;
    let (end, mut ended) = mpsc::channel(4);
    let teller = EventHandler::new().on_event(move |event| {
        tell(as_json, describe(event));
        if let EventKind::Disconnected { reason } = event.kind() {
            let _nobody_waits = end.try_send(reason.clone());
        }
    });
    connection.add_event_handler("teller", teller).map_err(plain)?;

    let mut login = pin!(async {
        if let Some(password) = register {
            connection.register_user(args.user.as_str(), password, None).await.map_err(|e| numbered(e.code(), e))?;
        }
        connection.open(credentials).await.map_err(|e| numbered(e.code(), e))
    });
    let mut interrupted = pin!(interrupted());
    let mut commands = lines_of_stdin();
    let (mut online, mut close_at) = (false, None);
    loop {
        tokio::select! {
            result = &mut login, if !online => {
                result?;
                online = true;
                close_at = args.stay.and_then(|stay| Instant::now().checked_add(stay));
            }
            Some(reason) = ended.recv(), if online => match reason {
                DisconnectReason::Closed => return Ok(CLOSED),
                DisconnectReason::AttemptsExhausted { .. } => return Ok(GAVE_UP),
                _ => return Ok(LOGGED_OUT),
            },
            Some(line) = commands.recv() => match line.trim() {
                "close" | "quit" => break,
                _ => {
                    // Some wait for the server, and neither events nor later commands wait for them.
                    let answer = obey(line, connection.clone(), log.clone());
                    actix_rt::spawn(async move { tell(as_json, answer.await.unwrap_or_else(failed)) });
                }
            },
            () = sleep_until(close_at.unwrap_or_else(Instant::now)), if close_at.is_some() => break,
            () = &mut interrupted => break,
        }
    }
    connection.close().await;
    // The teller has yet to hear of the end.
    let _told = timeout(Duration::from_secs(1), ended.recv()).await;
    Ok(CLOSED)
}

async fn obey(line: String, connection: Connection, log: LogHandle) -> Result<Told, Failure> {
    let (verb, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
    let (to, what) = rest.split_once(' ').unwrap_or((rest, ""));
    let sent = match verb {
        "send" => connection.send_text(to, what).await,
        "cmd" => connection.send_command(to, what).await,
        "renew" => {
            let expires = connection.renew_token(rest).await.map_err(|e| numbered(e.code(), e))?;
            return Ok((json!({"event": "renewed", "expires": expires}), "The token is renewed.".into()));
        }
        "level" | "enable-all" | "disable-all" => {
            let level = match verb {
                "level" => rest.parse::<LogLevel>().map_err(plain)?,
                "enable-all" => LogLevel::Trace,
                _ => LogLevel::Silent,
            };
            log.set_level(level);
            return Ok((json!({"event": "level", "level": level.name()}), format!("The log level is {level}.")));
        }
        "state" => {
            let state = connection.state();
            let object = json!({"event": "state", "state": json!(state).get("state")});
            return Ok((object, format!("The connection is {state}.")));
        }
        _ => return Err(plain(format!("`{verb}` is no command; see --help"))),
    };
    let sent = sent.map_err(|e| numbered(e.code(), e))?;
    let (client, server) = (sent.client_id.to_string(), sent.server_id.to_string());
    let sentence = format!("Sent to {to} as {server}.");
    Ok((json!({"event": "sent", "client_id": client, "server_id": server}), sentence))
}

fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (lines, received) = mpsc::channel(64);
    std::thread::spawn(move || io::stdin().lines().map_while(Result::ok).all(|line| lines.blocking_send(line).is_ok()));
    received
}

/// Waits for SIGINT, and SIGTERM where there is one.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminated) = signal::unix::signal(signal::unix::SignalKind::terminate()) {
        tokio::select! { _ = signal::ctrl_c() => return, _ = terminated.recv() => return }
    }
    let _ = signal::ctrl_c().await;
}
