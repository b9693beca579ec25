//! Sends a file, and opens it at the other end: `cargo run --example send_file`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::error::Error;

use agora_chat::{
    Connection, Credentials, EventHandler, MessageBody, Outgoing, local_server::LocalServer, rest::Upload,
};
use tokio::sync::mpsc;

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = LocalServer::start().await?;
    let (alice, bob) = (online(&server, "alice").await?, online(&server, "bob").await?);

    let (inbox, mut messages) = mpsc::unbounded_channel();
    bob.add_event_handler(
        "inbox",
        EventHandler::new().on_message(move |_, message| drop(inbox.send(message.clone()))),
    )?;

    // First the bytes, then the message that says where they are and what opens them.
    let file = alice.upload(Upload::bytes("plan.txt", "We meet at noon.").to("bob")).await?;
    println!("alice uploaded {} ({} bytes)", file.name, file.length);
    alice.send(Outgoing::file("bob", file)?).await?;

    let message = messages.recv().await.ok_or("bob hears nothing more")?;
    if let MessageBody::File(file) = &message.body {
        let bytes = bob.download(&**file).await?.bytes(1024).await?;
        println!("bob reads {}: {}", file.name, String::from_utf8_lossy(&bytes));
    }

    alice.close().await;
    bob.close().await;
    Ok(())
}

async fn online(server: &LocalServer, user: &str) -> Result<Connection, Box<dyn Error>> {
    server.create_user(user, "secret")?;
    let connection = Connection::start(server.config().build()?)?;
    connection.open(Credentials::password(user, "secret")?).await?;
    Ok(connection)
}
