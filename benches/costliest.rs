//! What a received byte costs at the most: time and allocations for the costliest frames, kind by kind.
//!
//! `cargo bench --bench costliest` prints the table of `docs/work-per-byte.md`; under `cargo test` it is only shown to work.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench may fail loudly"
)]

#[path = "scripted/costly.rs"]
mod costly;
mod scripted;

use std::time::Instant;

use costly::{ALL, LINKS, take};

/// How often each is measured; the page has the least, the middle and the most of them.
const ROUNDS: usize = 7;

fn row(name: &str, bytes: usize, mut run: impl FnMut() -> f64, counted: allocation_counter::AllocationInfo) {
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| run() / bytes as f64).collect();
    times.sort_by(f64::total_cmp);
    let per = |count: u64| count as f64 / bytes as f64;
    println!(
        "| {name} | {} | {:.1} / {:.1} / {:.1} | {:.3} | {:.1} |",
        bytes,
        times[0],
        times[ROUNDS / 2],
        times[ROUNDS - 1],
        per(counted.count_total),
        per(counted.bytes_max),
    );
}

fn main() {
    let length = if std::env::args().any(|argument| argument == "--bench") { 1 << 18 } else { 1 << 14 };
    println!("| Frame | bytes | ns a byte, least / middle / most | allocations a byte | bytes of memory a byte |");
    println!("|---|---:|---:|---:|---:|");
    for kind in ALL {
        let frame = (kind.frame)(length);
        let mut engine = (kind.ready)();
        let counted = allocation_counter::measure(|| drop(take(&mut engine, &frame)));
        let run = || {
            let mut engine = (kind.ready)();
            let begun = Instant::now();
            drop(take(&mut engine, &frame));
            begun.elapsed().as_nanos() as f64
        };
        row(kind.name, frame.len(), run, counted);
    }
    for (name, link) in LINKS {
        let bytes = link(length);
        let counted = allocation_counter::measure(|| assert!(agora_chat::fuzzing::framing(&bytes, 4 << 20) > 0));
        let run = || {
            let begun = Instant::now();
            std::hint::black_box(agora_chat::fuzzing::framing(&bytes, 4 << 20));
            begun.elapsed().as_nanos() as f64
        };
        row(&format!("framing: {name}"), bytes.len(), run, counted);
    }
}
