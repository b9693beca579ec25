//! What a login costs on loopback: name, TCP, upgrade and PROVISION, with a token at hand. The local server, which runs
//! in this process, does its share within the time.
#![allow(clippy::unwrap_used, reason = "a bench may fail loudly")]
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::{Duration, Instant};

use actix::System;
use agora_chat::{Connection, Credentials, local_server::LocalServer};
use criterion::{Criterion, criterion_group, criterion_main};

fn logins(c: &mut Criterion) {
    let system = System::new();
    let server = system.block_on(LocalServer::start()).unwrap();
    server.create_user("alice", "pw").unwrap();
    let token = server.issue_token("alice", None).unwrap();
    let config = server.config().build().unwrap();

    c.bench_function("connect/login by token", |b| {
        b.iter_custom(|iterations| {
            system.block_on(async {
                let connection = Connection::start(config.clone()).unwrap();
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    let credentials = Credentials::token("alice", token.clone()).unwrap();
                    let start = Instant::now();
                    connection.open(credentials).await.unwrap();
                    spent += start.elapsed();
                    connection.close().await;
                }
                spent
            })
        });
    });

    c.bench_function("connect/login by password", |b| {
        b.iter_custom(|iterations| {
            system.block_on(async {
                let limits = agora_chat::rest::RateLimits { tokens: std::num::NonZeroU16::MAX, ..Default::default() };
                agora_chat::RestClient::new(&config).unwrap().set_rate_limits(limits);
                let connection = Connection::start(config.clone()).unwrap();
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    let credentials = Credentials::password("alice", "pw").unwrap();
                    let start = Instant::now();
                    connection.open(credentials).await.unwrap();
                    spent += start.elapsed();
                    connection.close().await;
                }
                spent
            })
        });
    });
    system.block_on(server.stop());
}

criterion_group! {
    name = benches;
    // Each login leaves a socket in TIME_WAIT.
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = logins
}
criterion_main!(benches);
