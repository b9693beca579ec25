//! The whole main job against the embedded local server, in one go: `cargo run --example quickstart`.
//!
//! Registers, logs in by password and by token, adds and removes subscribers by id, loses the link and regains it,
//! is kicked, closes. Nothing but this program is needed.

#[path = "common/failure.rs"]
#[allow(dead_code, reason = "what other programs need is there as well")]
mod failure;

use std::{error::Error, io::Write as _, process::ExitCode, time::Duration};

use actix::prelude::*;
use agora_chat::{
    Connection, Credentials, Event, EventHandler, EventKind, LogConfig, LogLevel, LoggerActor, Outgoing,
    errors::Kick,
    local_server::{Cut, LocalServer},
};
use tokio::sync::mpsc;

/// Says a line. A reader who has gone away is no reason to panic, as it is for `println!`.
macro_rules! say {
    ($($line:tt)*) => {
        drop(writeln!(std::io::stdout(), $($line)*))
    };
}

/// A subscriber may be any actor that handles `Event`.
struct Bot {
    heard: mpsc::UnboundedSender<EventKind>,
}

impl Actor for Bot {
    type Context = Context<Self>;
}

impl Handler<Event> for Bot {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        say!("   [bot] {} hears {:?}", event.user(), event.kind());
        // The story below waits for what the bot hears; once it is over nobody does.
        let _ = self.heard.send(event.kind().clone());
    }
}

type Heard = mpsc::UnboundedReceiver<EventKind>;

/// Waits for an event, at most ten seconds.
async fn hear(heard: &mut Heard, wanted: fn(&EventKind) -> bool) -> Result<EventKind, Box<dyn Error>> {
    let next = async {
        while let Some(event) = heard.recv().await {
            if wanted(&event) {
                return Ok(event);
            }
        }
        Err("the bot is gone".into())
    };
    actix_rt::time::timeout(Duration::from_secs(10), next).await.map_err(|_| "the bot waited in vain")?
}

#[actix::main]
async fn main() -> ExitCode {
    failure::status(run().await)
}

async fn run() -> Result<(), Box<dyn Error>> {
    say!("1. A local server stands in for the service.");
    let server = LocalServer::start().await?;
    say!("   REST {}  WebSocket {}", server.rest_url(), server.socket_url());

    say!("2. Warnings and errors are logged to the terminal; the level can change at any time.");
    let log = LoggerActor::start_with(LogConfig::new().level(LogLevel::Warn))?;
    let connection = Connection::start(server.config().logger(log.slog()).build()?)?;

    say!("3. Two subscribers, each under an id: closures, and an actor.");
    connection.add_event_handler(
        "console",
        EventHandler::new()
            .on_connected(|_| say!("   [console] connected"))
            .on_reconnecting(|_, attempt, delay, _| say!("   [console] attempt {attempt} in {delay:.1?}"))
            .on_disconnected(|_, reason| say!("   [console] logged out: {reason}")),
    )?;
    let (heard_by_bot, mut heard) = mpsc::unbounded_channel();
    let bot = Bot { heard: heard_by_bot }.start();
    connection.add_subscriber("bot", bot.clone().recipient())?;

    say!("4. Register alice and log her in by password.");
    let alice = connection.register_user("Alice", "wonderland", Some("Alice L.")).await?;
    say!("   registered as {}", alice.user);
    connection.open(Credentials::password("alice", "wonderland")?).await?;
    hear(&mut heard, |event| matches!(event, EventKind::Connected { resumed: false })).await?;

    say!("5. Send a message, receive one, and tell its sender that it was read.");
    server.create_user("bob", "builder")?;
    let sent = connection.send(Outgoing::text("bob", "Hello, Bob!")?).await?;
    say!("   the server took it as {}", sent.server_id);
    server.send_text("bob", "alice", "Hello, Alice!")?;
    let message = hear(&mut heard, |event| matches!(event, EventKind::Message(_))).await?;
    if let EventKind::Message(message) = message
        && let Some(text) = message.text()
    {
        say!("   {} says: {text}", message.from);
        connection.send(Outgoing::read(&message)?).await?;
    }

    say!("6. The console has heard enough: removed by its id, it hears nothing more.");
    connection.remove_subscriber("console")?;

    say!("7. The network breaks; the connection comes back by itself.");
    server.drop_links("alice", Cut::Rst);
    hear(&mut heard, |event| matches!(event, EventKind::Reconnecting { .. })).await?;
    hear(&mut heard, |event| matches!(event, EventKind::Connected { resumed: true })).await?;

    say!("8. Alice logs in somewhere else, and the server says so.");
    server.kick("alice", Kick::LoggedInElsewhere { ext: Some("my phone".into()) });
    let ended = hear(&mut heard, |event| matches!(event, EventKind::Disconnected { .. })).await?;
    if let EventKind::Disconnected { reason } = ended {
        say!("   code {}: {reason}", reason.code().map_or(0, agora_chat::Code::number));
    }

    say!("9. Log in again, this time by a token, then log out.");
    let token = server.issue_token("alice", Some(Duration::from_secs(3600)))?;
    connection.open(Credentials::token("alice", token)?).await?;
    hear(&mut heard, |event| matches!(event, EventKind::Connected { .. })).await?;
    connection.close().await;
    hear(&mut heard, |event| matches!(event, EventKind::Disconnected { .. })).await?;
    say!("   the connection is {}", connection.state());

    connection.remove_subscriber("bot")?;
    server.stop().await;
    log.shutdown().await;
    say!("Done.");
    Ok(())
}
