//! What an idle connection takes, in bytes of resident memory, plain and over TLS.
//!
//! The server is this program again, in a process of its own, so that its memory does not count. Each way is measured in
//! a fresh process as well, since freed memory is used again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a bench may fail loudly")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use agora_chat::{
    Config, Connection, Credentials, HandlerRegistry, RestClient, local_server::LocalServer, network::Roots,
    rest::RateLimits,
};

#[path = "../tests/support/tls_front.rs"]
#[allow(dead_code, reason = "a front with a good certificate is all that is needed here")]
mod tls_front;

mod support;
use support::{again, resident, settle, until_alone};

/// Says which part a process plays.
const PART: &str = "AGORA_CHAT_MEMORY_BENCH";

fn main() {
    // Under `cargo test` it is only shown to work.
    let connections = if env::args().any(|argument| argument == "--bench") { 500 } else { 20 };
    match env::var(PART).as_deref() {
        Ok("server") => actix_rt::System::new().block_on(serve(connections)),
        Ok(scheme) => actix_rt::System::new().block_on(measure(scheme, connections)),
        Err(_) => ["ws", "wss"].into_iter().for_each(|scheme| {
            assert!(again(PART, scheme, Stdio::inherit()).wait().unwrap().success());
        }),
    }
}

async fn serve(users: usize) {
    let server = LocalServer::start().await.unwrap();
    for user in 0..users {
        server.create_user(&format!("u{user}"), "pw").unwrap();
    }
    let authority = tls_front::Authority::new();
    let certified = authority.certificate("localhost", tls_front::Valid::Now);
    let front = tls_front::TlsFront::start(server.address(), certified).await;
    let pem = env::temp_dir().join(format!("agora-chat-memory-bench-{}.pem", std::process::id()));
    fs::write(&pem, authority.pem()).unwrap();
    println!("{} {} {} {}", server.app_key(), server.port(), front.address.port(), pem.display());
    until_alone().await;
    let _ = fs::remove_file(pem);
}

async fn measure(scheme: &str, connections: usize) {
    let mut server = again(PART, "server", Stdio::piped());
    let mut told = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut told).unwrap();
    let [app_key, plain, tls, pem] = told.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{told:?}") };
    let socket = if scheme == "ws" { format!("ws://127.0.0.1:{plain}") } else { format!("wss://localhost:{tls}") };
    let config = Config::builder(app_key).extra_roots(Roots::from_pem(fs::read(pem).unwrap()).unwrap());
    let config = config.addresses(format!("http://127.0.0.1:{plain}"), format!("{socket}/websocket"));
    let most = std::num::NonZeroU16::MAX;
    let config = std::sync::Arc::new(config.build().unwrap());
    RestClient::new(&config).unwrap().set_rate_limits(RateLimits { tokens: most, ..RateLimits::default() });

    let arbiter = actix_rt::Arbiter::current();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let (shared, mut kept) = (HandlerRegistry::start_on(&arbiter, &log), Vec::with_capacity(connections));
    let mut open = async |user: usize| {
        let connection = Connection::start_with(&arbiter, config.clone(), shared.clone());
        connection.open(Credentials::password(&format!("u{user}"), "pw").unwrap()).await.unwrap();
        kept.push(connection);
    };
    // What is made once per process is there after the first few.
    for user in 0..10 {
        open(user).await;
    }
    settle().await;
    let before = resident();
    for user in 10..connections {
        open(user).await;
    }
    settle().await;
    let bytes = resident().saturating_sub(before) / (connections as u64 - 10);
    println!("memory/{scheme:<24} {bytes:>8} bytes an idle connection ({connections} of them)");
    drop(server.stdin.take());
    server.wait().unwrap();
}
