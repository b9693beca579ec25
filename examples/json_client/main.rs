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

mod obey;
mod request;
mod tell;

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use agora_chat::{
    Config, Connection, Credentials, Device, EventHandler, EventKind, LogConfig, LogHandle, LogLevel, UserId,
    logger::Terminal,
};
use clap::{CommandFactory, Parser, error::ErrorKind};
use request::Members;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// One account driven by JSON lines.
#[derive(Parser)]
#[command(
    name = "json_client",
    after_help = "\
The secret is AGORA_CHAT_TOKEN or AGORA_CHAT_PASSWORD; a token goes before a password. What opens a file is a secret,
too, and stands in its messages on stdout.

Requests do not wait for each other; their answers carry the request's \"ref\". The end of stdin closes.
Exit status: 0 closed as asked, 2 usage, 3 login failed, 4 logged out by anything else."
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
    fn plan(&self) -> Result<(Config, Credentials, LogHandle), Box<dyn Error>> {
        let mut config = self.config.clone().delivery_receipts(self.delivery_receipts);
        if let (Some(rest), Some(socket)) = (&self.rest_url, &self.socket_url) {
            config = config.addresses(rest, socket)?;
        }
        if let Some(resource) = &self.resource {
            config = config.device(Device::new(resource))?;
        }
        let credentials = match (env::var("AGORA_CHAT_TOKEN"), env::var("AGORA_CHAT_PASSWORD")) {
            (Ok(token), _) => Credentials::token(self.user.as_str(), token)?,
            (_, Ok(password)) => Credentials::password(self.user.as_str(), password)?,
            _ => return Err("set AGORA_CHAT_PASSWORD or AGORA_CHAT_TOKEN".into()),
        };
        let log = LogHandle::start(LogConfig::new().terminal(Terminal::Stderr).level(self.log_level))?;
        Ok((config.logger(log.slog()), credentials, log))
    }
}

#[actix::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let plan = args.plan().unwrap_or_else(|e| Args::command().error(ErrorKind::ValueValidation, e).exit());
    let log = plan.2.clone();
    let status = run(plan.0, plan.1).await.unwrap_or_else(|failure| {
        say(failure);
        3
    });
    let _best_effort = log.shutdown().await;
    ExitCode::from(status)
}

/// Goes online and does what stdin asks for, until one of both ends.
async fn run(config: Config, credentials: Credentials) -> Result<u8, Value> {
    let connection = Connection::start(config).map_err(|e| obey::failed(None, e))?;
    let (end, mut ended) = mpsc::channel(4);
    let teller = EventHandler::new().on_event(move |event| {
        say(tell::event(event));
        if let EventKind::Disconnected { .. } = event.kind() {
            let _nobody_waits = end.try_send(());
        }
    });
    connection.add_event_handler("teller", teller).map_err(|e| obey::failed(None, e))?;
    connection.open(credentials).await.map_err(|e| obey::failed(Some(e.code()), e))?;

    let mut lines = lines_of_stdin();
    loop {
        tokio::select! {
            _ = ended.recv() => return Ok(4),
            line = lines.recv() => match line.as_deref().map(serde_json::from_str::<Members>) {
                None => break,
                Some(Ok(request)) if request.get("do") == Some(&json!("close")) => break,
                // Some wait for the server, and neither events nor later requests wait for them.
                Some(Ok(request)) => { actix_rt::spawn(answer(request, connection.clone())); }
                Some(Err(e)) => say(obey::failed(None, format!("this is no JSON object: {e}"))),
            },
        }
    }
    connection.close().await;
    // The teller has yet to hear of the end.
    ended.recv().await;
    Ok(0)
}

async fn answer(mut request: Members, connection: Connection) {
    let reference = request.remove("ref");
    let mut answer = obey::obey(request, &connection).await.unwrap_or_else(|failure| failure);
    if let (Some(reference), Some(members)) = (reference, answer.as_object_mut()) {
        members.insert("ref".to_owned(), reference);
    }
    say(answer);
}

/// Writes a line. A reader who has gone away is no error.
fn say(line: Value) {
    let _reader_gone = writeln!(io::stdout(), "{line}");
}

fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (lines, received) = mpsc::channel(64);
    std::thread::spawn(move || io::stdin().lines().map_while(Result::ok).all(|line| lines.blocking_send(line).is_ok()));
    received
}
