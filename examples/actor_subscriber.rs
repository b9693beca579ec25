//! An actor of your own hears events, here only messages, in its mailbox: `cargo run --example actor_subscriber`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::error::Error;

use actix::prelude::*;
use agora_chat::{Connection, Credentials, Event, EventKind, EventMask, Subscription, local_server::LocalServer};
use tokio::sync::oneshot;

/// Counts messages, and tells when it has three.
struct Counter {
    heard: usize,
    three: Option<oneshot::Sender<()>>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Event> for Counter {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        let EventKind::Message(message) = event.kind() else { return };
        self.heard += 1;
        println!("{}: {} hears {:?} of {}", self.heard, event.user(), message.text(), message.from);
        if self.heard == 3 {
            self.three.take().map(|three| three.send(()));
        }
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = LocalServer::start().await?;
    server.create_user("alice", "secret")?;
    server.create_user("bob", "secret")?;
    let connection = Connection::start(server.config().build()?)?;

    let (three, done) = oneshot::channel();
    let counter = Counter { heard: 0, three: Some(three) }.start();
    connection.subscribe(Subscription::new("counter", counter.recipient()).events(EventMask::MESSAGE))?;

    connection.open(Credentials::password("alice", "secret")?).await?;
    for text in ["one", "two", "three"] {
        server.send_text("bob", "alice", text)?;
    }
    done.await?;
    connection.close().await;
    Ok(())
}
