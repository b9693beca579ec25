//! What is counted: each case is set up apart from the work that counts.

// The same frames as in the timed benches.
#[path = "../../scripted/mod.rs"]
pub mod scripted;

use std::{cell::Cell, rc::Rc};

use actix::{Actor, Context, Handler, SystemRunner};
use agora_chat::{
    Event, EventKind, EventMask, Outgoing, Subscription,
    handlers::Registry,
    session::{Action, Engine, Input},
    wire::{Body, Downward, MSync},
};
use bytes::Bytes;
use scripted::{START, last_page, notice, online, page, taken};

/// How many times each case does its work, so that what happens once hardly counts.
pub const ROUNDS: u64 = 100;

/// Frames with the pages of a queue, each with new ids: repeated messages are dropped before they are read.
pub fn pages(texts: u64) -> Vec<Bytes> {
    (0..ROUNDS).map(|round| page(1 + round * texts, texts)).collect()
}

/// Reads pages by the protobuf types alone.
pub fn decode(pages: Vec<Bytes>) -> usize {
    let read = |frame: &Bytes| {
        let frame = MSync::decode_frame(frame.clone(), 4 << 20).expect("it is a frame");
        let Ok((Downward::Sync(page), _)) = frame.downward_lossy() else { panic!("it is a page") };
        let text = |meta: &agora_chat::wire::Meta| match meta.body() {
            Ok(Body::Chat(body)) => body.contents.len(),
            _ => 0,
        };
        page.metas.iter().map(text).sum::<usize>()
    };
    pages.iter().map(read).sum()
}

/// An engine that is online, and what it will be given.
pub fn engine(frames: Vec<Bytes>) -> (Engine, Vec<Action>, Vec<Bytes>) {
    (online(), Vec::with_capacity(256), frames)
}

/// Has the engine tell the messages of pages and acknowledge each.
pub fn receive((mut engine, mut out, frames): (Engine, Vec<Action>, Vec<Bytes>)) -> usize {
    let mut told = 0;
    for frame in &frames {
        out.clear();
        engine.step(Input::Frame(frame), START, &mut out);
        told += out.iter().filter(|action| matches!(action, Action::Emit(EventKind::Message(_)))).count();
    }
    told
}

/// Notices, and the empty pages that end their pulls.
pub fn notices() -> Vec<Bytes> {
    (0..ROUNDS).flat_map(|_| [notice(), last_page()]).collect()
}

/// An engine, messages and the answers to them.
pub fn sends() -> (Engine, Vec<Action>, Vec<(u64, Outgoing, Bytes)>) {
    let send = |id| (id, Outgoing::text("bob", "hello").expect("it is a text"), taken(id));
    (online(), Vec::with_capacity(256), (1..=ROUNDS).map(send).collect())
}

/// Sends messages, each answered before the next.
pub fn send((mut engine, mut out, sends): (Engine, Vec<Action>, Vec<(u64, Outgoing, Bytes)>)) -> usize {
    let mut sent = 0;
    for (client_id, message, answer) in sends {
        out.clear();
        engine.step(Input::Send { client_id, message }, START, &mut out);
        engine.step(Input::Frame(&answer), START, &mut out);
        sent += out.iter().filter(|action| matches!(action, Action::Sent { outcome: Ok(_), .. })).count();
    }
    sent
}

/// Subscribers behind a registry, on a system of their own.
pub struct FanOut {
    system: SystemRunner,
    registry: Registry,
    event: Event,
    heard: Rc<Cell<usize>>,
    subscribers: usize,
}

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

/// Starts subscribers.
pub fn subscribers(count: usize) -> FanOut {
    let system = actix::System::new();
    let heard = Rc::new(Cell::new(0));
    let mut registry = Registry::new(slog::Logger::root(slog::Discard, slog::o!()));
    system.block_on(async {
        for place in 0..count {
            let to = Counter(Rc::clone(&heard)).start().recipient();
            registry.add(Subscription::new(place.to_string(), to).events(EventMask::ALL));
        }
    });
    let event = Event::new("alice".parse().expect("it is an id"), EventKind::TokenExpired);
    let mut ready = FanOut { system, registry, event, heard, subscribers: count };
    publish_one(&mut ready);
    ready
}

fn publish_one(to: &mut FanOut) {
    let FanOut { system, registry, event, heard, subscribers } = to;
    heard.set(0);
    system.block_on(async {
        registry.publish(event);
        while heard.get() < *subscribers {
            actix_rt::task::yield_now().await;
        }
    });
}

/// Publishes events, each when the one before was heard by all.
pub fn fan_out(mut to: FanOut) -> FanOut {
    for _ in 0..ROUNDS {
        publish_one(&mut to);
    }
    to
}
