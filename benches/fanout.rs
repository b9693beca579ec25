//! What the registry costs over a bare loop of `Recipient::try_send`, for 1 to 1000 subscribers.
//!
//! One iteration publishes one event and waits until every subscriber has handled it.
#![allow(clippy::unwrap_used, reason = "a bench may fail loudly")]
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use actix::{Actor, Context, Handler, Recipient, System};
use agora_chat::{Event, EventKind, EventMask, Subscription, handlers::Registry};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

struct Counter(Rc<Cell<usize>>);

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Event> for Counter {
    type Result = ();

    fn handle(&mut self, _: Event, _: &mut Self::Context) {
        self.0.set(self.0.get() + 1);
    }
}

fn counters(how_many: usize, heard: &Rc<Cell<usize>>) -> Vec<Recipient<Event>> {
    (0..how_many).map(|_| Counter(heard.clone()).start().recipient()).collect()
}

/// Publishes `rounds` events, each when the one before it was heard by all.
async fn rounds(rounds: u64, subscribers: usize, heard: &Cell<usize>, mut publish: impl FnMut()) {
    for _ in 0..rounds {
        heard.set(0);
        publish();
        while heard.get() < subscribers {
            actix_rt::task::yield_now().await;
        }
    }
}

fn fanout(c: &mut Criterion) {
    let system = System::new();
    let event = Event::new("alice".parse().unwrap(), EventKind::TokenExpired);
    let mut group = c.benchmark_group("fanout");
    for subscribers in [1, 10, 100, 1000] {
        group.throughput(Throughput::Elements(subscribers as u64));
        let heard = Rc::new(Cell::new(0));

        let bare = system.block_on(async { counters(subscribers, &heard) });
        group.bench_function(BenchmarkId::new("bare_try_send", subscribers), |b| {
            b.iter_custom(|iterations| {
                system.block_on(async {
                    let start = Instant::now();
                    let publish = || bare.iter().for_each(|to| to.try_send(event.clone()).unwrap());
                    rounds(iterations, subscribers, &heard, publish).await;
                    start.elapsed()
                })
            });
        });

        let registry = RefCell::new(Registry::new(slog::Logger::root(slog::Discard, slog::o!())));
        system.block_on(async {
            for (place, to) in counters(subscribers, &heard).into_iter().enumerate() {
                registry.borrow_mut().add(Subscription::new(place.to_string(), to).events(EventMask::ALL));
            }
        });
        group.bench_function(BenchmarkId::new("registry", subscribers), |b| {
            b.iter_custom(|iterations| {
                system.block_on(async {
                    let start = Instant::now();
                    rounds(iterations, subscribers, &heard, || registry.borrow_mut().publish(&event)).await;
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fanout);
criterion_main!(benches);
