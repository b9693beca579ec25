//! Subscribers that cannot keep up with what is costly: the process's memory stays under a stated figure. A process of its
//! own, since memory is counted per process, and one test.

use crate::support::{own_process::done_alone, receiver};

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use actix_rt::Arbiter;
use agora_chat::{
    Event, EventHandler, HandlerRegistry, Handlers, Overflow,
    wire::{KeyValue, MessageBody, Meta, key_value::Value},
};
use receiver::{Receiver, chat, text};
use serde_json::json;
use tokio::time::sleep;

const MIB: usize = 1 << 20;

/// What is read of each kind.
const READ: usize = 110 * MIB;

/// What the process may take while it does: the subscribers' share and the registry's, 8 MiB each, a page that one read
/// brought, and an event that each passes its bytes by; all of them at the most that one event or page may take.
const MOST: usize = 200 * MIB;

/// The most memory the process had at any time.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Publishes pages until so much was read, as a connection does: no further while the registry is behind.
async fn flood(handlers: &Handlers, page: &[Meta]) -> u64 {
    let length: usize = page.iter().map(|meta| meta.payload.as_ref().unwrap().len()).sum();
    let mut published = 0;
    // Read once: what is heard is in memory of its own all the same.
    let kinds = Receiver::online().page(page.to_vec());
    for _ in 0..READ.div_ceil(length) {
        while handlers.is_behind() {
            sleep(Duration::from_millis(1)).await;
        }
        published += kinds.len() as u64;
        handlers.publish_all(kinds.iter().map(|kind| Event::new("alice".parse().unwrap(), kind.clone())).collect());
    }
    published
}

/// Repeats one part until the whole is as long as a JSON text may be.
fn repeated(head: &str, part: &str, tail: &str) -> String {
    let count = (250 * 1024 - head.len() - tail.len()) / (part.len() + 1);
    format!("{head}{}{tail}", vec![part; count].join(","))
}

fn pages() -> [(&'static str, Vec<Meta>); 3] {
    let ext = KeyValue {
        key: Some("a".to_owned()),
        r#type: Some(8),
        value: Some(Value::String(repeated("[", r#"{"":0}"#, "]"))),
    };
    let with_json = MessageBody { ext: vec![ext], ..text("hi") };
    let presence = repeated(r#"{"type":"presence","data":{"values":["#, r#"{"uid":"u"}"#, "]}}");
    let presence = Meta { payload: Some(presence.into_bytes().into()), ..receiver::notify(&json!({})) };
    [
        ("texts of 4 MiB", vec![chat(1, "bob", "alice", text(&"a".repeat(4 * MIB - 1000)))]),
        ("messages with 250 KiB of JSON", (1..=15).map(|id| chat(id, "bob", "alice", with_json.clone())).collect()),
        ("presences of 20 000 users", (1..=15).map(|id| Meta { id: Some(id), ..presence.clone() }).collect()),
    ]
}

#[test]
fn a_slow_closure_on_a_thread_of_its_own_costs_no_more_memory_than_is_stated_whatever_comes() {
    if done_alone() {
        return;
    }
    actix::System::new().block_on(async {
        for (what, page) in pages() {
            let handlers = HandlerRegistry::start_here(&slog::Logger::root(slog::Discard, slog::o!())).unwrap();
            let arbiter = Arbiter::new();
            let (let_go, gate) = mpsc::channel::<()>();
            let (heard, missed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
            let (hears, misses) = (Arc::clone(&heard), Arc::clone(&missed));
            let handler = EventHandler::new()
                .on_event(move |event| {
                    if !matches!(event.kind(), agora_chat::EventKind::Missed { .. }) {
                        hears.fetch_add(1, Ordering::SeqCst);
                    }
                    // Until it is let go, and not for ever.
                    let _ = gate.recv_timeout(Duration::from_secs(60));
                })
                .on_missed(move |_, count| {
                    misses.fetch_add(count, Ordering::SeqCst);
                })
                .in_arbiter(&arbiter.handle());
            handlers.add_event_handler("slow", handler).unwrap();
            let published = flood(&handlers, &page).await;
            let counts = handlers.subscribers().await.unwrap().remove(0);
            println!("{what}: {published} events, {counts:?}, {} MiB at most", peak() / MIB);
            assert!(peak() < MOST, "{what}: {} MiB, {counts:?}", peak() / MIB);
            assert!(counts.queued_bytes <= Overflow::BACKLOG_BYTES + 2 * 16 * MIB, "{what}: {counts:?}");
            drop(let_go);
            let start = Instant::now();
            while heard.load(Ordering::SeqCst) + missed.load(Ordering::SeqCst) < published {
                assert!(start.elapsed() < Duration::from_secs(20), "{what}: {heard:?} and {missed:?} of {published}");
                sleep(Duration::from_millis(5)).await;
            }
            assert!(missed.load(Ordering::SeqCst) > 0, "{what}");
            handlers.shutdown().await.unwrap();
            arbiter.stop();
        }
    });
}
