//! One account driven by JSON: a request per line on stdin, every answer and event as a line on stdout.
//!
//! `AGORA_CHAT_PASSWORD=… cargo run --example json_client -- --app-key org#app --user alice`
//!
//! ```text
//! {"do":"send","to":{"kind":"user","id":"bob"},"body":{"type":"text","text":"hello"},"ext":{"n":1},"ref":7}
//! {"event":"sent","client_id":"…","server_id":"…","timestamp":…,"edit":null,"replaced":null,"ref":7}
//! ```
//!
//! All requests are in `request.rs`, all events in `tell.rs`. Ids of messages are text, for they exceed 2^53.

#[path = "../common/failure.rs"]
#[allow(dead_code, reason = "errors are told as lines here")]
mod failure;
#[path = "../common/lines.rs"]
mod lines;
mod obey;
#[path = "../common/out.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod out;
mod request;
#[path = "../common/secrets.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod secrets;
#[path = "../common/signals.rs"]
mod signals;
mod tell;
#[path = "../common/teller.rs"]
mod teller;

use std::{error::Error, fmt::Display, time::Duration};

use agora_chat::{
    Account, AppKey, Config, Connection, Credentials, LogConfig, LogHandle, LogLevel, UserId, account::Device,
    logger::Terminal,
};
use clap::{CommandFactory, Parser, error::ErrorKind};
use lines::Line;
use out::Out;
use request::Members;
use serde_json::{Value, json};
use signals::Signals;
use tokio::{task::JoinSet, time::timeout};

const CLOSED: u8 = 0;
const LOGIN_FAILED: u8 = 3;
const LOGGED_OUT: u8 = 4;
const NOBODY_READS: u8 = 6;

/// The longest request, in bytes: files may stand in one.
const LONGEST: usize = 16 << 20;

/// How many requests may be under way; past it stdin is not read on.
const WINDOW: usize = 256;

/// How long the end may take beside the logout itself: messages in hand, answers, output.
const PATIENCE: Duration = Duration::from_secs(1);

/// One account driven by JSON lines.
#[derive(Parser)]
#[command(
    name = "json_client",
    after_help = "\
The secret is AGORA_CHAT_TOKEN or AGORA_CHAT_PASSWORD; a token goes before a password, and an empty variable counts as
absent. What opens a file is a secret, too, and stands in its messages on stdout.

Requests begin in their order, up to 256 at a time, and do not wait for each other; their answers carry the request's
\"ref\". The end of stdin waits for them and closes; {\"do\":\"close\"} closes at once, as do SIGINT, SIGTERM and SIGHUP.
What comes in is acknowledged to the server once its line is written.
Exit status: 0 closed as asked, 2 usage, 3 login failed, 4 logged out by anything else, 6 stdout is gone."
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
    /// The user id.
    #[arg(long, value_name = "ID")]
    user: UserId,
    /// This device's name; without it a new random one.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Answer every message of another user with a delivery receipt.
    #[arg(long)]
    delivery_receipts: bool,
    /// trace, debug, info, warn, error, silent or 0 to 5; the log goes to stderr.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: LogLevel,
}

impl Args {
    /// Whatever is wrong here is a usage error.
    fn plan(&self) -> Result<(Config, Account, LogHandle), Box<dyn Error>> {
        let mut config = Config::builder(&self.app_key).delivery_receipts(self.delivery_receipts);
        if let (Some(rest), Some(socket)) = (&self.rest_url, &self.socket_url) {
            config = config.addresses(rest, socket);
        }
        let credentials = match (secrets::variable("AGORA_CHAT_TOKEN")?, secrets::variable("AGORA_CHAT_PASSWORD")?) {
            (Some(token), _) => Credentials::token(self.user.as_str(), token)?,
            (_, Some(password)) => Credentials::password(self.user.as_str(), password)?,
            _ => return Err("set AGORA_CHAT_PASSWORD or AGORA_CHAT_TOKEN".into()),
        };
        let mut account = Account::new(credentials);
        if let Some(resource) = &self.resource {
            account = account.device(Device::new(resource));
        }
        let log = LogHandle::start(LogConfig::new().terminal(Terminal::Stderr).level(self.log_level))?;
        Ok((config.logger(log.slog()).build()?, account, log))
    }
}

#[actix::main]
async fn main() {
    let args = Args::parse();
    let (config, account, log) = args.plan().unwrap_or_else(|e| usage(e));
    let missed = |count| json!({"event": "missed", "count": count}).to_string();
    let started = Signals::listen().and_then(|signals| Ok((signals, Out::start(missed)?)));
    let (mut signals, out) = started.unwrap_or_else(|e| usage(e));
    let status = run(config, account, &mut signals, &out).await.unwrap_or_else(|failure| {
        out.tell(failure.to_string());
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

/// Goes online and does what stdin asks for, until one of both ends.
async fn run(config: Config, account: Account, signals: &mut Signals, out: &Out) -> Result<u8, Value> {
    let connection = Connection::start(config).map_err(|e| obey::failed(None, e))?;
    let told = teller::tell_all(&connection, out, |event| tell::event(event).to_string());
    let (in_hand, mut ended) = told.map_err(|e| obey::failed(None, e))?;
    let mut under_way = JoinSet::new();
    let status = tokio::select! {
        _ = signals.next() => CLOSED,
        () = out.gone() => NOBODY_READS,
        result = connection.open(account) => {
            result.map_err(|e| obey::failed(Some(e.code()), e))?;
            tokio::select! {
                biased;
                _ = signals.next() => CLOSED,
                () = out.gone() => NOBODY_READS,
                _ = ended.recv() => return Ok(LOGGED_OUT),
                () = serve(&connection, out, &mut under_way) => CLOSED,
            }
        }
    };
    let ending = async {
        if status == CLOSED {
            // What is written is acknowledged, so that it does not come again.
            let _stands_still = timeout(PATIENCE, in_hand.none()).await;
        }
        connection.close().await;
        let _late = timeout(PATIENCE, async { while under_way.join_next().await.is_some() {} }).await;
        // The teller has yet to hear of the end.
        let _told = timeout(PATIENCE, ended.recv()).await;
    };
    tokio::select! { () = ending => {} signal = signals.next() => failure::leave(128 + u8::try_from(signal).unwrap_or(0)) }
    Ok(status)
}

/// Does what stdin asks for; returns at its end, once that is done, or when asked to close.
async fn serve(connection: &Connection, out: &Out, under_way: &mut JoinSet<()>) {
    let mut lines = lines::of_stdin(LONGEST);
    loop {
        let line = tokio::select! {
            Some(_) = under_way.join_next(), if !under_way.is_empty() => continue,
            line = lines.recv(), if under_way.len() < WINDOW && !out.is_behind() => line,
            () = out.has_room(), if out.is_behind() => continue,
        };
        let request = match line {
            None => break,
            Some(Line::Text(line)) => {
                serde_json::from_str::<Members>(&line).map_err(|e| format!("this is no JSON object: {e}"))
            }
            Some(Line::Broken(_)) => Err("the line is not UTF-8".to_owned()),
            Some(Line::TooLong(_)) => Err(format!("the line is longer than {LONGEST} bytes")),
        };
        match request {
            Ok(request) if request.get("do") == Some(&json!("close")) => return,
            Ok(request) => {
                under_way.spawn_local(answer(request, connection.clone(), out.clone()));
            }
            Err(problem) => out.tell(obey::failed(None, problem).to_string()),
        }
    }
    while under_way.join_next().await.is_some() {}
}

async fn answer(mut request: Members, connection: Connection, out: Out) {
    let reference = request.remove("ref");
    let mut answer = obey::obey(request, &connection).await.unwrap_or_else(|failure| failure);
    if let (Some(reference), Some(members)) = (reference, answer.as_object_mut()) {
        members.insert("ref".to_owned(), reference);
    }
    // An answer may hold a whole file, and is never left out.
    let _nobody_reads = out.written(answer.to_string()).await;
}
