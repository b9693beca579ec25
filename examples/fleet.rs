//! Many accounts that echo, in one process, against a server of its own: `cargo run --example fleet`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use agora_chat::fleet::{Filter, Fleet, FleetConfig, FleetError, StateKind};
use agora_chat::{Credentials, local_server::LocalServer};
use std::{error::Error, time::Duration};

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = LocalServer::start().await?;
    server.create_user("alice", "secret")?;
    let config = FleetConfig::new(server.config().build()?).on_message(|bot, delivery| async move {
        let message = delivery.message().filter(|message| !message.own);
        if let Some((message, text)) = message.and_then(|it| Some((it, it.text()?))) {
            bot.send_text(message.conversation(), text).await?;
        }
        Ok::<(), FleetError>(())
    });
    let fleet = Fleet::start(config)?;
    for number in 0..200 {
        let bot = format!("bot-{number}");
        server.create_user(&bot, "secret")?;
        fleet.add(Credentials::password(&bot, "secret")?).await?;
    }
    for bot in fleet.users(&Filter::all()) {
        fleet.account(bot.as_str())?.online().await;
    }
    println!("{} accounts are online", fleet.summary().of(StateKind::Online));
    server.send_text("alice", "bot-7", "Hello, bot!")?;
    let echoed = |it: &LocalServer| it.messages_between("alice", "bot-7").len() == 2;
    server.wait_until(Duration::from_secs(10), echoed).await?;
    println!("bot-7 has answered");
    println!("{}", fleet.drain(Duration::from_secs(25)).await);
    Ok(())
}
