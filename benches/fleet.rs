//! What an idle account of a fleet takes beside a bare connection: bytes of resident memory, and CPU time for its
//! heartbeats; new, and after as many logins as fill its history. The fleet's registries and arbiters are as the bare ones'.
//!
//! The server is this program again, in a process of its own. Each way is measured in a fresh process as well, in turn.
//! `AGORA_CHAT_FLEET_ACCOUNTS` sets their number, `AGORA_CHAT_FLEET_SECONDS` how long they are idle.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench may fail loudly"
)]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use agora_chat::{
    Config, Connection, Credentials, HandlerRegistry, RestClient,
    fleet::{AccountSpec, Fleet, FleetConfig, LoginPace, Pause, StateKind, Transition},
    local_server::LocalServer,
    rest::RateLimits,
};

mod support;
use support::{again, resident, settle, until_alone};

/// Says which part a process plays.
const PART: &str = "AGORA_CHAT_FLEET_BENCH";
const ARBITERS: usize = 2;
/// Logouts and logins of each account until its history is full.
const ROUNDS: usize = 6;

fn main() {
    // Under `cargo test` it is only shown to work.
    let measured = env::args().any(|argument| argument == "--bench");
    let number = |name: &str, long: usize, short: usize| {
        env::var(name).ok().map_or(if measured { long } else { short }, |value| value.parse().unwrap())
    };
    let accounts = number("AGORA_CHAT_FLEET_ACCOUNTS", 2000, 20);
    let idle = Duration::from_secs(number("AGORA_CHAT_FLEET_SECONDS", 20, 1) as u64);
    match env::var(PART).as_deref() {
        Ok("server") => actix_rt::System::new().block_on(serve(accounts)),
        Ok(way) => actix_rt::System::new().block_on(measure(way, accounts, idle)),
        Err(_) => {
            for _ in 0..if measured { 5 } else { 1 } {
                ["bare", "fleet", "bare-again", "history"].into_iter().for_each(|way| {
                    assert!(again(PART, way, Stdio::inherit()).wait().unwrap().success());
                });
            }
        }
    }
}

async fn serve(users: usize) {
    let server = LocalServer::start().await.unwrap();
    for user in 0..users {
        server.create_user(&format!("u{user}"), "pw").unwrap();
    }
    println!("{} {}", server.app_key(), server.port());
    until_alone().await;
}

enum Kept {
    Bare(#[allow(dead_code, reason = "it is kept")] Vec<Connection>),
    Fleet(Fleet),
}

async fn measure(way: &str, accounts: usize, idle: Duration) {
    let mut server = again(PART, "server", Stdio::piped());
    let mut told = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut told).unwrap();
    let [app_key, port] = told.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{told:?}") };
    let config = Config::builder(app_key)
        .addresses(format!("http://127.0.0.1:{port}"), format!("ws://127.0.0.1:{port}/websocket"))
        .heartbeat(Duration::from_secs(1), Duration::from_secs(10));
    let config = Arc::new(config.build().unwrap());
    let most = std::num::NonZeroU16::MAX;
    RestClient::new(&config).unwrap().set_rate_limits(RateLimits { tokens: most, ..RateLimits::default() });
    let credentials = |user: usize| Credentials::password(&format!("u{user}"), "pw").unwrap();
    // What is made once per process is there after the first few.
    let first = accounts / 10;
    let mut before = 0;
    let kept = if way.starts_with("bare") {
        let arbiters: Vec<_> = (0..ARBITERS).map(|_| actix_rt::Arbiter::new()).collect();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let shared: Vec<_> =
            arbiters.iter().map(|arbiter| HandlerRegistry::start_on(&arbiter.handle(), &log)).collect();
        let mut kept = Vec::with_capacity(accounts);
        for user in 0..accounts {
            if user == first {
                settle().await;
                before = resident();
            }
            let (arbiter, shared) = (&arbiters[user % ARBITERS], &shared[user % ARBITERS]);
            let connection = Connection::start_with(&arbiter.handle(), config.clone(), shared.clone());
            connection.open(credentials(user)).await.unwrap();
            kept.push(connection);
        }
        // As often as the accounts whose histories are full.
        for _ in 0..if way == "bare" { 0 } else { ROUNDS } {
            for (user, connection) in kept.iter().enumerate() {
                connection.close().await;
                connection.open(credentials(user)).await.unwrap();
            }
        }
        std::mem::forget(arbiters);
        Kept::Bare(kept)
    } else {
        let pace = LoginPace::per_second(1000).burst(1).concurrent(1);
        let fleet = Fleet::start(FleetConfig::new(config.clone()).arbiters(ARBITERS).pace(pace)).unwrap();
        for users in [0..first, first..accounts] {
            before = resident();
            let specs = users.map(|user| AccountSpec::new(credentials(user)));
            fleet.add_all(specs).await.unwrap();
            online(&fleet).await;
            for round in 0..if way == "history" { ROUNDS } else { 0 } {
                for user in 0..accounts {
                    let name = format!("u{user}");
                    if fleet.account(&name).is_ok() {
                        fleet.pause(&name, Pause::until_resumed(round)).await.unwrap();
                        fleet.resume(&name).await.unwrap();
                    }
                }
                online(&fleet).await;
            }
            settle().await;
        }
        if way == "history" {
            assert_eq!(fleet.account("u0").unwrap().transitions().len(), Transition::KEPT);
        }
        Kept::Fleet(fleet)
    };
    settle().await;
    let bytes = resident().saturating_sub(before) / (accounts - first) as u64;
    let begun = cpu();
    actix_rt::time::sleep(idle).await;
    let spent = (cpu() - begun).as_secs_f64() / idle.as_secs_f64() / accounts as f64;
    println!(
        "fleet/{way:<12} {bytes:>8} bytes an idle account, {:>7.2} us of CPU a heartbeat ({accounts} of them)",
        spent * 1e6
    );
    if let Kept::Fleet(fleet) = &kept {
        assert_eq!(fleet.summary().of(StateKind::Online), accounts);
    }
    drop(kept);
    drop(server.stdin.take());
    server.wait().unwrap();
}

async fn online(fleet: &Fleet) {
    while fleet.summary().of(StateKind::Online) < fleet.summary().total {
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let of = |path: std::path::PathBuf| -> u64 {
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|value| value.parse().ok()).unwrap_or_default()
    };
    Duration::from_nanos(threads.flatten().map(|thread| of(thread.path())).sum())
}
