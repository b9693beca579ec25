//! Answers every text in the conversation it came in, and never itself; Ctrl-C ends it. `--help` has its options.

use std::{env, error::Error, path::PathBuf, sync::Arc};

use agora_chat::{
    Config, Connection, ConnectionState, Credentials, Delivery, FileCursors, FileDeadLetters, LogConfig, LoggerActor,
    MessageHandler, Outgoing, SendError, StateDir, WeakConnection,
};
use clap::Parser;

/// Answers every text in the conversation it came in. The password is in AGORA_CHAT_PASSWORD.
#[derive(Parser)]
struct Args {
    #[arg(long, value_name = "ORG#APP", value_parser = |key: &str| Config::new(key))]
    app_key: Config,
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

/// `Ok` lets the message be acknowledged; `Err` has it tried again, and with a folder made a dead letter at last.
async fn answer(bot: WeakConnection, delivery: Delivery) -> Result<(), SendError> {
    let Some(message) = delivery.message().filter(|message| !message.own) else { return Ok(()) };
    let Some(text) = message.text() else { return Ok(()) };
    // Under one id for all attempts, so that an answer of which nobody knows whether it went out arrives once.
    let echo = Outgoing::text(message.conversation(), text)?;
    let echo = if message.id == 0 { echo } else { echo.with_client_id(message.id) };
    bot.upgrade().ok_or(SendError::NotLoggedIn)?.send(echo).await.map(drop)
}

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (args, log) = (Args::parse(), LoggerActor::start_with(LogConfig::new())?);
    let mut config = args.app_key.logger(log.slog());
    if let (Some(rest), Some(socket)) = (args.rest_url, args.socket_url) {
        config = config.addresses(rest, socket)?;
    }
    if let Some(dir) = &args.state_dir {
        config = config.state_dir(StateDir::open(dir)?).cursor_store(Arc::new(FileCursors::open(dir)?));
    }
    let connection = Connection::start(config)?;
    let bot = connection.downgrade();
    let mut handler = MessageHandler::new(move |delivery| answer(bot.clone(), delivery));
    if let Some(dir) = &args.state_dir {
        handler = handler.dead_letter_store(FileDeadLetters::open(dir)?);
    }
    // Before open, which fetches what waits there.
    connection.set_message_handler(handler);
    connection.open(Credentials::password(&args.user, env::var("AGORA_CHAT_PASSWORD")?)?).await?;
    let mut states = connection.watch();
    let ended = async { while connection.state() != ConnectionState::LoggedOut && states.next().await.is_some() {} };
    let asked = tokio::select! { () = ended => false, _ = actix_rt::signal::ctrl_c() => true };
    connection.close().await;
    log.shutdown().await;
    if asked { Ok(()) } else { Err("the session has ended, and nobody asked for it".into()) }
}
