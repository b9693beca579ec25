//! The cases under valgrind.

use std::hint::black_box;

use agora_chat::{
    Outgoing,
    session::{Action, Engine},
};
use bytes::Bytes;
use counted::{FanOut, engine, notices, pages, sends, subscribers};
use gungraun::{library_benchmark, library_benchmark_group, main};

fn online_with_pages(texts: u64) -> (Engine, Vec<Action>, Vec<Bytes>) {
    engine(pages(texts))
}

fn online_with_notices() -> (Engine, Vec<Action>, Vec<Bytes>) {
    engine(notices())
}

#[library_benchmark]
#[bench::one(args = (1), setup = pages)]
#[bench::fifty(args = (50), setup = pages)]
fn decode(pages: Vec<Bytes>) -> usize {
    black_box(counted::decode(pages))
}

#[library_benchmark]
#[bench::one(args = (1), setup = online_with_pages)]
#[bench::fifty(args = (50), setup = online_with_pages)]
fn receive(ready: (Engine, Vec<Action>, Vec<Bytes>)) -> usize {
    black_box(counted::receive(ready))
}

#[library_benchmark]
#[bench::notices(setup = online_with_notices)]
fn pull(ready: (Engine, Vec<Action>, Vec<Bytes>)) -> usize {
    black_box(counted::receive(ready))
}

#[library_benchmark]
#[bench::one_at_a_time(setup = sends)]
fn send(ready: (Engine, Vec<Action>, Vec<(u64, Outgoing, Bytes)>)) -> usize {
    black_box(counted::send(ready))
}

#[library_benchmark]
#[bench::one(args = (1), setup = subscribers)]
#[bench::hundred(args = (100), setup = subscribers)]
fn fan_out(ready: FanOut) -> FanOut {
    black_box(counted::fan_out(ready))
}

library_benchmark_group!(name = hot_paths; benchmarks = decode, receive, pull, send, fan_out);
main!(library_benchmark_groups = hot_paths);
