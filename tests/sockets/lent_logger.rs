//! Loggers that panic, in a process of their own: what they cost is a record, and never the process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly, and this one is a program as well"
)]

use std::{env, fs::OpenOptions, process::Output, sync::Mutex, time::Duration};

use crate::support::own_process;
use actix::{Actor, Context, Handler};
use agora_chat::{
    Connection, Credentials, Event, EventHandler, EventKind, EventMask, HandlerRegistry, LogHandle, LogLevel, Overflow,
    Subscription,
    connection::Closed,
    handlers::Registry,
    local_server::{Cut, LocalServer},
};
use slog::{Drain, Logger, info, o};
use slog_term::{FullFormat, PlainDecorator};
use tokio::sync::mpsc::unbounded_channel;

const LIMIT: Duration = Duration::from_secs(20);

/// The form in slog's own documentation, on a disk that is full.
fn full_disk() -> Logger {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    Logger::root(Mutex::new(FullFormat::new(PlainDecorator::new(full)).build().fuse()).fuse(), o!())
}

/// Takes nothing.
struct Stuck;

impl Actor for Stuck {
    type Context = Context<Self>;
}

impl Handler<Event> for Stuck {
    type Result = ();

    fn handle(&mut self, _: Event, _: &mut Self::Context) {}
}

/// Everything that logs, with a logger that panics at every record.
async fn live_with_a_full_disk() {
    // A registry by itself, of either kind, while subscribers come, lag and go.
    let handlers = HandlerRegistry::start_here(&full_disk()).unwrap();
    handlers.add_subscriber("one", Stuck.start().recipient()).unwrap();
    handlers.subscribe(Subscription::new("two", Stuck.start().recipient()).overflow(Overflow::Disconnect)).unwrap();
    for _ in 0..5_000 {
        handlers.publish(Event::new("alice".parse().unwrap(), EventKind::TokenExpired));
    }
    // Its mailbox is full of them until it had its turn.
    handlers.subscribers().await.unwrap();
    handlers.add_event_handler("panics", EventHandler::new().on_token_expired(|_| panic!("as asked"))).unwrap();
    handlers.publish(Event::new("alice".parse().unwrap(), EventKind::TokenExpired));
    handlers.remove_subscriber("one").unwrap();
    assert!(!handlers.subscribers().await.unwrap().is_empty());
    handlers.shutdown().await.unwrap();
    let mut registry = Registry::new(full_disk());
    registry.add(Subscription::new("one", Stuck.start().recipient()).events(EventMask::ALL));
    drop(registry);

    // A logger of ours on top of it.
    let log = LogHandle::from_logger(full_disk(), LogLevel::Trace);
    info!(log.slog(), "lost");
    assert_eq!(log.write_errors(), 1);

    // A connection's whole life, and REST calls.
    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", "password").unwrap();
    let config = server.discovery_config().logger(full_disk());
    let connection = Connection::start(config.build().unwrap()).unwrap();
    let (tell, mut heard) = unbounded_channel();
    let handler = EventHandler::new().on_event(move |event| drop(tell.send(event.clone())));
    connection.add_event_handler("test", handler).unwrap();
    connection.open(Credentials::password("alice", "wrong").unwrap()).await.unwrap_err();
    connection.open(Credentials::password("alice", "password").unwrap()).await.unwrap();
    server.send_text("alice", "alice", "hello").unwrap();
    let mut until = async |wanted: fn(&EventKind) -> bool| {
        while !wanted(tokio::time::timeout(LIMIT, heard.recv()).await.expect("an event").unwrap().kind()) {}
    };
    until(|kind| matches!(kind, EventKind::Message(_))).await;
    server.drop_links("alice", Cut::Rst);
    until(|kind| matches!(kind, EventKind::Connected { resumed: true })).await;
    assert!(connection.health().await.unwrap().lost_records > 0);
    assert_eq!(connection.close().await, Closed::LoggedOut);
    until(|kind| matches!(kind, EventKind::Disconnected { .. })).await;
    connection.open(Credentials::password("alice", "password").unwrap()).await.unwrap();
    drop(connection);
    server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
}

/// Dies in its handler, so that its destructors log while the thread unwinds.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for HandlerRegistry {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut Self::Context) {
        panic!("the registry panics, as the test asked");
    }
}

impl Handler<Die> for agora_chat::ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Die, _: &mut Self::Context) {
        panic!("the connection's actor panics, as the test asked");
    }
}

async fn die_with_a_full_disk() {
    let handlers = HandlerRegistry::start_here(&full_disk()).unwrap();
    handlers.add_subscriber("one", Stuck.start().recipient()).unwrap();
    handlers.address().send(Die).await.unwrap_err();

    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", "password").unwrap();
    let connection = Connection::start(server.config().logger(full_disk()).build().unwrap()).unwrap();
    let (tell, mut heard) = unbounded_channel();
    let handler = EventHandler::new().on_disconnected(move |_, reason| tell.send(reason.clone()).unwrap());
    connection.add_event_handler("test", handler).unwrap();
    connection.open(Credentials::password("alice", "password").unwrap()).await.unwrap();
    connection.address().send(Die).await.unwrap_err();
    let reason = tokio::time::timeout(LIMIT, heard.recv()).await.expect("the reason").unwrap();
    assert!(reason.to_string().contains("panic"), "{reason}");
}

const CHILD: &str = "AGORA_CHAT_TEST_FULL_DISK";

/// Runs the test of this name in a process of its own; what it printed and how it ended.
fn alone(test: &str) -> Option<Output> {
    if env::var_os(CHILD).is_some() {
        return None;
    }
    Some(own_process::command(&own_process::full_name(module_path!(), test)).env(CHILD, "1").output().unwrap())
}

fn ended_well(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("lived to the end"), "{:?}\n{out}\n{err}", output.status);
    assert!(err.contains("the application's logger panicked"), "it is told once:\n{err}");
}

#[test]
fn a_logger_that_panics_at_every_record_costs_the_records_and_nothing_else() {
    match alone("a_logger_that_panics_at_every_record_costs_the_records_and_nothing_else") {
        Some(output) => ended_well(&output),
        None => {
            actix::System::new().block_on(live_with_a_full_disk());
            println!("lived to the end");
        }
    }
}

#[test]
fn a_logger_that_panics_while_an_actor_unwinds_does_not_end_the_process() {
    match alone("a_logger_that_panics_while_an_actor_unwinds_does_not_end_the_process") {
        Some(output) => ended_well(&output),
        None => {
            actix::System::new().block_on(die_with_a_full_disk());
            println!("lived to the end");
        }
    }
}
