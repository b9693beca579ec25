//! What one step of the engine costs, by what happened.
#![allow(clippy::unwrap_used, reason = "a bench may fail loudly")]
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

mod scripted;

use std::time::Duration;

use agora_chat::{
    Outgoing,
    session::{Action, Input, Now},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use scripted::{START, last_page, notice, online, page, taken, unread};

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");

    let (mut engine, mut out) = (online(), Vec::new());
    group.bench_function("nothing to do", |b| b.iter(|| engine.step(Input::Tick, START, &mut out)));
    group.bench_function("a ping", |b| b.iter(|| engine.step(Input::Alive, START, &mut out)));
    assert_eq!(out.len(), 0, "nothing was to do");

    let (notice, last) = (notice(), last_page());
    group.bench_function("a notice, its pull and the empty page", |b| {
        b.iter(|| {
            out.clear();
            engine.step(Input::Frame(&notice), START, &mut out);
            engine.step(Input::Frame(&last), START, &mut out);
        });
    });
    assert!(matches!(out[..], [Action::Transmit(_)]), "{out:?}");

    for (name, texts) in [("a page of 1 text", 1), ("a page of 50 texts", 50)] {
        let (mut engine, mut next) = (online(), 1);
        group.bench_function(name, |b| {
            // Each page has new ids: repeated messages are dropped before they are read.
            let fresh = || {
                next += texts;
                page(next, texts)
            };
            b.iter_batched_ref(
                fresh,
                |frame| {
                    out.clear();
                    engine.step(Input::Frame(frame), START, &mut out);
                },
                BatchSize::SmallInput,
            );
        });
        assert_eq!(out.len() as u64, texts + 1, "each text and one pull");
    }

    let mut client_id = 0;
    group.bench_function("a send and its answer", |b| {
        let next = || {
            client_id += 1;
            (client_id, Outgoing::text("bob", "hello").unwrap(), taken(client_id))
        };
        b.iter_batched(
            next,
            |(client_id, message, answer)| {
                out.clear();
                engine.step(Input::Send { client_id, message }, START, &mut out);
                engine.step(Input::Frame(&answer), START, &mut out);
                // Its memory is given back within the time, too.
                answer
            },
            BatchSize::SmallInput,
        );
    });
    assert!(matches!(out[..], [Action::Transmit(_), Action::Sent { outcome: Ok(_), .. }]), "{out:?}");

    let (mut now, answer) = (START, unread());
    group.bench_function("a heartbeat and its answer", |b| {
        b.iter(|| {
            out.clear();
            now = Now { mono: engine.deadline().unwrap(), wall: now.wall + 30_000 };
            engine.step(Input::Tick, now, &mut out);
            now.mono += Duration::from_millis(30);
            engine.step(Input::Frame(&answer), now, &mut out);
        });
    });
    assert!(matches!(out[..], [Action::Transmit(_)]), "{out:?}");
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
