//! What a log record costs its caller: one whose level is off, and one that is written.

#![allow(clippy::unwrap_used, reason = "benches may fail loudly")]

use std::hint::black_box;
use std::io;

use agora_chat::logger::{LogConfig, LogHandle, LogLevel, Terminal};
use criterion::{Criterion, criterion_group, criterion_main};

fn records(c: &mut Criterion) {
    let config = LogConfig::new().terminal(Terminal::Off).writer(io::sink()).level(LogLevel::Info);
    let log = LogHandle::start(config).unwrap();
    let logger = log.slog();
    let mut group = c.benchmark_group("logging");
    group.bench_function("disabled", |b| {
        b.iter(|| slog::debug!(logger, "heartbeat"; "attempt" => black_box(3)));
    });
    // Batches of half a queue: the caller alone is timed, and no record meets a full queue.
    group.bench_function("enabled", |b| {
        b.iter_custom(|records| {
            let mut spent = std::time::Duration::ZERO;
            let mut left = records;
            while left > 0 {
                let batch = left.min(2048);
                let start = std::time::Instant::now();
                for _ in 0..batch {
                    slog::info!(logger, "heartbeat"; "attempt" => black_box(3));
                }
                spent += start.elapsed();
                log.flush_blocking(std::time::Duration::from_secs(10)).unwrap();
                left -= batch;
            }
            spent
        });
    });
    group.bench_function("enabled and written", |b| {
        b.iter(|| {
            slog::info!(logger, "heartbeat"; "attempt" => black_box(3));
            log.flush_blocking(std::time::Duration::from_secs(10)).unwrap();
        });
    });
    group.finish();
    assert_eq!(log.dropped(), 0);
}

criterion_group!(benches, records);
criterion_main!(benches);
