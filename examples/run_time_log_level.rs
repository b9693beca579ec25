//! Changes what is logged while the program runs: `cargo run --example run_time_log_level`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::error::Error;

use agora_chat::{
    Connection, Credentials, LogConfig, LogLevel, LoggerActor, local_server::LocalServer, logger::Terminal,
};
use slog::info;

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = LoggerActor::start_with(LogConfig::new().level(LogLevel::Warn).terminal(Terminal::Stdout))?;
    let server = LocalServer::start().await?;
    server.create_user("alice", "secret")?;
    let connection = Connection::start(server.config().logger(log.slog()).build()?)?;

    // At WARN a login that succeeds says nothing.
    connection.open(Credentials::password("alice", "secret")?).await?;
    connection.close().await;
    log.flush().await;

    println!("-- from here on everything down to DEBUG");
    log.set_level(LogLevel::Debug);
    connection.open(Credentials::password("alice", "secret")?).await?;
    info!(log.slog(), "the application's own record"; "level" => log.level().name());
    log.flush().await;

    println!("-- and from here on nothing");
    log.disable_all();
    connection.close().await;
    log.shutdown().await;
    Ok(())
}
