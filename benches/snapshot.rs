//! What it costs to look at a fleet of 10 000 accounts: the bar is 20 ms for a snapshot of all of them.
#![allow(clippy::unwrap_used, reason = "a bench may fail loudly")]
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use actix::System;
use agora_chat::{
    Config, Credentials,
    fleet::{AccountSpec, Filter, Fleet, FleetConfig, LoginPace, Page, StateKind},
};
use criterion::{Criterion, criterion_group, criterion_main};

const ACCOUNTS: usize = 10_000;

/// A fleet whose accounts wait for their turn: nothing is dialled.
async fn fleet() -> Fleet {
    let config =
        Config::builder("org#app").addresses("http://127.0.0.1:9", "ws://127.0.0.1:9/websocket").build().unwrap();
    let fleet = Fleet::start(FleetConfig::new(config).arbiters(1).pace(LoginPace::per_second(0.01).burst(1))).unwrap();
    let specs = (0..ACCOUNTS).map(|n| {
        let account = AccountSpec::new(Credentials::password(&format!("bot-{n}"), "password").unwrap());
        account.tag(if n % 2 == 0 { "sales" } else { "support" })
    });
    assert!(fleet.add_all(specs).await.unwrap().iter().all(Result::is_ok));
    fleet
}

fn look(criterion: &mut Criterion) {
    let system = System::new();
    let fleet = system.block_on(fleet());
    let mut group = criterion.benchmark_group("10 000 accounts");
    let all = Page::first(ACCOUNTS);
    group.bench_function("snapshot of all", |bench| {
        bench.iter(|| assert_eq!(black_box(fleet.accounts(&Filter::all(), &all)).accounts.len(), ACCOUNTS));
    });
    group.bench_function("snapshot of all as JSON", |bench| {
        bench.iter(|| black_box(serde_json::to_string(&fleet.accounts(&Filter::all(), &all)).unwrap()));
    });
    let few = Filter::all().state(StateKind::Waiting).tag("sales").search("77");
    group.bench_function("the first 100 of a filter", |bench| {
        bench.iter(|| black_box(fleet.accounts(&few, &Page::first(100))));
    });
    group.bench_function("summary", |bench| bench.iter(|| black_box(fleet.summary())));
    group.bench_function("metrics", |bench| bench.iter(|| black_box(fleet.metrics())));
    group.finish();
}

criterion_group!(benches, look);
criterion_main!(benches);
