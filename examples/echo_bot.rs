//! Answers every text in the conversation it came in, and never itself; SIGTERM, SIGHUP or Ctrl-C ends it. `--help` has
//! its options.

#[path = "common/failure.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod failure;
#[path = "common/secrets.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod secrets;
#[path = "common/signals.rs"]
mod signals;

use std::{error::Error, path::PathBuf, process::ExitCode, sync::Arc};

use agora_chat::{
    Account, AppKey, Config, Connection, Credentials, Delivery, EventHandler, LogConfig, LoggerActor, MessageHandler,
    Outgoing, SendError, StateDir, WeakConnection, delivery::FileDeadLetters, store::FileCursors,
};
use clap::Parser;
use signals::Signals;
use tokio::sync::mpsc;

/// Answers every text in the conversation it came in. The password is in AGORA_CHAT_PASSWORD.
#[derive(Parser)]
struct Args {
    #[arg(long, value_name = "ORG#APP", value_parser = |key: &str| key.parse::<AppKey>())]
    app_key: AppKey,
    #[arg(long, value_name = "ID")]
    user: String,
    #[arg(long, value_name = "URL", requires = "socket_url")]
    rest_url: Option<String>,
    #[arg(long, value_name = "URL", requires = "rest_url")]
    socket_url: Option<String>,
    /// Keeps the device, its token, how far it came and what it could not answer.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[actix::main]
async fn main() -> ExitCode {
    failure::status(run(Args::parse()).await)
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let password = secrets::variable("AGORA_CHAT_PASSWORD")?.ok_or("set AGORA_CHAT_PASSWORD")?;
    let account = account(&args, Credentials::password(&args.user, password)?)?;
    let log = LoggerActor::start_with(LogConfig::new())?;
    let connection = Connection::start(config(&args, log.slog())?)?;

    // Before `open`, which fetches what waits there.
    connection.set_message_handler(answering(&args, connection.downgrade())?);

    let (tell, mut logged_out) = mpsc::channel(1);
    let until_logged_out = EventHandler::new().on_disconnected(move |_, reason| drop(tell.try_send(reason.clone())));
    connection.add_event_handler("end", until_logged_out)?;

    // From here on a signal logs out.
    let mut signals = Signals::listen()?;
    let online = async {
        connection.open(account).await?;
        match logged_out.recv().await {
            Some(reason) => Err(format!("user {} is logged out: {reason}", args.user).into()),
            None => Ok(()),
        }
    };
    let outcome = tokio::select! {
        end = online => end,
        _ = signals.next() => Ok(()),
    };

    connection.close().await;
    log.shutdown().await;
    outcome
}

fn account(args: &Args, credentials: Credentials) -> Result<Account, Box<dyn Error>> {
    let account = Account::new(credentials);
    Ok(match &args.state_dir {
        Some(dir) => account.cursor_store(Arc::new(FileCursors::open(dir)?)),
        None => account,
    })
}

fn config(args: &Args, logger: slog::Logger) -> Result<Config, Box<dyn Error>> {
    let mut config = Config::builder(&args.app_key).logger(logger);
    if let (Some(rest), Some(socket)) = (&args.rest_url, &args.socket_url) {
        config = config.addresses(rest, socket);
    }
    if let Some(dir) = &args.state_dir {
        config = config.state_dir(StateDir::open(dir)?);
    }
    Ok(config.build()?)
}

fn answering(args: &Args, bot: WeakConnection) -> Result<MessageHandler, Box<dyn Error>> {
    let handler = MessageHandler::new(move |delivery| answer(bot.clone(), delivery));
    Ok(match &args.state_dir {
        Some(dir) => handler.dead_letter_store(FileDeadLetters::open(dir)?),
        None => handler,
    })
}

/// `Ok` lets the message be acknowledged; `Err` has it tried again, and with a folder made a dead letter at last.
async fn answer(bot: WeakConnection, delivery: Delivery) -> Result<(), SendError> {
    let Some(message) = delivery.message().filter(|message| !message.own) else { return Ok(()) };
    let Some(text) = message.text() else { return Ok(()) };

    // Under one id for all attempts, so that an answer of which nobody knows whether it went out arrives once.
    let mut echo = Outgoing::text(message.conversation(), text)?;
    if message.id != 0 {
        echo = echo.with_client_id(message.id);
    }

    let bot = bot.upgrade().ok_or(SendError::NotLoggedIn)?;
    bot.send(echo).await?;
    Ok(())
}
