//! What it costs to read a page of texts: by the protobuf types alone, and by the engine, which tells each and
//! acknowledges the page.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may fail loudly")]
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

mod scripted;

use std::hint::black_box;

use agora_chat::{
    EventKind,
    session::{Action, Input},
    wire::{Body, Downward, MSync},
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scripted::{START, online, page};

/// The texts' bytes in a page, read as far as a message is.
fn read(frame: &[u8]) -> usize {
    let frame = MSync::decode_frame(bytes::Bytes::copy_from_slice(frame), 4 << 20).unwrap();
    let Ok((Downward::Sync(page), _)) = frame.downward_lossy() else { panic!("it is a page") };
    let text = |meta: &agora_chat::wire::Meta| match meta.body() {
        Ok(Body::Chat(body)) => body.contents.first().and_then(|content| content.text.as_ref()).map_or(0, String::len),
        _ => 0,
    };
    page.metas.iter().map(text).sum()
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for texts in [1, 50] {
        group.throughput(Throughput::Elements(texts));
        let frame = page(1, texts);
        assert_eq!(read(&frame) as u64, texts * 100);
        group.bench_function(BenchmarkId::new("wire", texts), |b| b.iter(|| read(black_box(&frame))));

        let (mut engine, mut out, mut next) = (online(), Vec::new(), 1);
        group.bench_function(BenchmarkId::new("engine", texts), |b| {
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
        let told = out.iter().filter(|action| matches!(action, Action::Emit(EventKind::Message(_)))).count();
        assert_eq!(told as u64, texts);
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
