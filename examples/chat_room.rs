//! Joins a chat room, is brought back into it after a lost link, and says something there:
//! `cargo run --example chat_room`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::error::Error;

use agora_chat::{
    Connection, Conversation, Credentials, EventHandler, Outgoing,
    local_server::{Cut, LocalServer},
};
use tokio::sync::mpsc;

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = LocalServer::start().await?;
    server.create_user("alice", "secret")?;
    server.create_user("bob", "secret")?;
    let room = server.create_room("bob")?;

    let connection = Connection::start(server.config().build()?)?;
    let (tell, mut connected) = mpsc::unbounded_channel();
    connection
        .add_event_handler("back", EventHandler::new().on_connected(move |_| tell.send(()).unwrap_or_default()))?;
    connection.open(Credentials::password("alice", "secret")?).await?;
    connected.recv().await;

    connection.join_room(&room).await?;
    println!("alice is in the room");
    connection.send(Outgoing::text(Conversation::room(&*room), "Good evening!")?).await?;

    server.drop_links("alice", Cut::Rst);
    connected.recv().await;
    // Rooms are joined again before anything else is sent.
    connection.send(Outgoing::text(Conversation::room(&*room), "I was away for a moment.")?).await?;
    println!("alice is back in the room, and heard there");

    connection.leave_room(&room).await?;
    connection.close().await;
    Ok(())
}
