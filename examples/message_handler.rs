//! Receives without loss: a message is acknowledged once it was handled, and comes again after a failure:
//! `cargo run --example message_handler`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::error::Error;

use agora_chat::{Connection, Credentials, Delivery, HandlerError, MessageHandler, local_server::LocalServer};
use tokio::sync::mpsc;

/// Stores an order; the first attempt finds the database away.
async fn store(delivery: Delivery, stored: mpsc::UnboundedSender<String>) -> Result<(), HandlerError> {
    let Some(order) = delivery.message().and_then(|message| message.text()) else { return Ok(()) };
    if delivery.attempt() == 1 {
        println!("attempt 1 at {order:?} fails");
        return Err(HandlerError::new("the database is away"));
    }
    println!("attempt {} at {order:?} succeeds", delivery.attempt());
    stored.send(order.to_owned()).map_err(HandlerError::new)
}

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = LocalServer::start().await?;
    server.create_user("shop", "secret")?;
    server.create_user("bob", "secret")?;
    // Sent while nobody is online: the service keeps it until it is acknowledged.
    server.send_text("bob", "shop", "two loaves")?;

    let connection = Connection::start(server.config().build()?)?;
    let (done, mut stored) = mpsc::unbounded_channel();
    // Before `open`, which fetches what waits.
    connection.set_message_handler(MessageHandler::new(move |delivery| store(delivery, done.clone())));
    connection.open(Credentials::password("shop", "secret")?).await?;

    println!("stored: {:?}", stored.recv().await);
    connection.close().await;
    Ok(())
}
