//! A hundred accounts in one process: one configuration and one registry of subscribers, which every event leads back from:
//! `cargo run --example many_accounts`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::{error::Error, sync::Arc};

use actix::Arbiter;
use agora_chat::{Connection, Credentials, EventHandler, EventKind, HandlerRegistry, local_server::LocalServer};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc;

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = LocalServer::start().await?;
    server.create_user("bob", "secret")?;
    let config = Arc::new(server.config().build()?);
    let handlers = HandlerRegistry::start_here(&Logger::root(Discard, o!()))?;

    let (tell, mut heard) = mpsc::unbounded_channel();
    let all = EventHandler::new().on_event(move |event| {
        if matches!(event.kind(), EventKind::Message(_)) {
            let _ = tell.send(event.user().to_string());
        }
    });
    handlers.add_event_handler("all accounts", all)?;

    let arbiter = Arbiter::current();
    let mut connections = Vec::new();
    for number in 0..100 {
        let user = format!("user{number}");
        server.create_user(&user, "secret")?;
        let connection = Connection::start_with(&arbiter, Arc::clone(&config), handlers.clone());
        connection.open(Credentials::password(&user, "secret")?).await?;
        connections.push(connection);
    }
    println!("{} accounts are online", connections.len());

    for number in [7, 42, 99] {
        server.send_text("bob", &format!("user{number}"), "Are you there?")?;
        println!("{} has a message", heard.recv().await.ok_or("nobody hears")?);
    }
    for connection in connections {
        connection.close().await;
    }
    Ok(())
}
