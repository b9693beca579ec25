//! A handler that cannot keep up with a flood: memory stays flat, the heartbeat on time, and nothing is lost. A process
//! of its own, since memory is counted per process, and one test at a time.

use std::{
    fs,
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix::prelude::*;
use agora_chat::{
    ConfigBuilder, Connection, Credentials, Delivery, Event, EventMask, Limits, MessageHandler, Subscription,
    local_server::{FrameKind, LocalServer, Stats},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::support::own_process::done_alone;

const LIMIT: Duration = Duration::from_secs(60);

/// After so long without any frame from the server a heartbeat is due.
const IDLE: Duration = Duration::from_millis(20);

/// How much later than due a client's frame may be, on a machine that has other things to do.
const SLACK: Duration = Duration::from_millis(1500);

/// Runs a test when nothing else runs.
fn run(page: usize, test: impl AsyncFnOnce(&LocalServer)) {
    if done_alone() {
        return;
    }
    System::new().block_on(async {
        let server = LocalServer::builder().page_size(page).queue_limit(200_000).start().await.unwrap();
        server.create_user("alice", "pw").unwrap();
        test(&server).await;
        server.stop().await;
    });
}

/// Heartbeats often, and has no more memory than `handling` for pages.
fn config(server: &LocalServer, handling: usize) -> ConfigBuilder {
    let mut limits = Limits::default();
    limits.in_flight_bytes = handling;
    server.config().heartbeat(IDLE, LIMIT).limits(limits)
}

async fn open(connection: &Connection, server: &LocalServer) {
    let token = server.issue_token("alice", None).unwrap();
    connection.open(Credentials::token("alice", token).unwrap()).await.unwrap();
}

/// Something to do that takes 10 to 20 µs.
fn work() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_micros(15) {
        black_box(());
    }
}

fn resident_kib() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
}

/// What has been handled of queues whose texts are numbered.
#[derive(Default)]
struct Handled {
    next: [u64; 8],
    /// The id of the last one of each queue.
    last: [u64; 8],
    wrong: Option<String>,
}

impl Handled {
    /// Each text once and in its order.
    fn took(&mut self, delivery: &Delivery) {
        let message = delivery.message().unwrap();
        let queue: usize = message.from.strip_prefix("sender-").unwrap().parse().unwrap();
        let next = &mut self.next[queue];
        let number: Option<u64> = message.text().and_then(|text| text.strip_prefix("text ")?.parse().ok());
        if number != Some(*next) || delivery.attempt() != 1 {
            self.wrong.get_or_insert_with(|| format!("{queue}: {number:?}, not {next}"));
        }
        *next += 1;
        self.last[queue] = message.id;
    }

    /// How many.
    fn count(&self) -> u64 {
        self.next.iter().sum()
    }
}

/// Until the server has been told that everything is handled.
async fn all_acknowledged(server: &LocalServer, handled: &Handled) {
    let told = |server: &LocalServer| {
        let mut left: Vec<(String, u64)> = (0..)
            .zip(handled.last)
            .filter(|(_, last)| *last > 0)
            .map(|(n, last)| (format!("sender-{n}"), last))
            .collect();
        for frame in server.sent_by("alice") {
            if let FrameKind::Pull { queue, key: Some(key) } = frame.kind {
                left.retain(|(name, last)| *name != queue || *last > key);
            }
        }
        left.is_empty()
    };
    server.wait_until(LIMIT, told).await.unwrap();
}

/// The longest time between two frames of the client, looked at in parts since the server forgets.
#[derive(Default)]
struct Gaps {
    last_ms: u64,
    longest_ms: u64,
}

impl Gaps {
    fn look(&mut self, server: &LocalServer) {
        let frames = server.sent_by("alice");
        // Nothing may have been forgotten in between.
        assert!(self.last_ms == 0 || frames[0].at_ms <= self.last_ms, "the server has forgotten what it was sent");
        for frame in frames {
            if self.last_ms > 0 {
                self.longest_ms = self.longest_ms.max(frame.at_ms.saturating_sub(self.last_ms));
            }
            self.last_ms = self.last_ms.max(frame.at_ms);
        }
    }
}

/// An observer that takes a second for an event.
struct Sleepy;

impl Actor for Sleepy {
    type Context = Context<Self>;
}

impl Handler<Event> for Sleepy {
    type Result = ();

    fn handle(&mut self, _: Event, ctx: &mut Context<Self>) {
        ctx.wait(actix_rt::time::sleep(Duration::from_secs(1)).into_actor(self));
    }
}

#[test]
fn two_hundred_thousand_texts_for_a_slow_handler_take_no_memory_and_delay_no_heartbeat() {
    const TEXTS: u64 = 200_000;
    const STEP: u64 = 20_000;
    run(50, async |server| {
        for sender in 0..8 {
            server.fill_queue("alice", &format!("sender-{sender}"), TEXTS / 8).unwrap();
        }
        let (handled, permits) = (Arc::new(Mutex::new(Handled::default())), Arc::new(Semaphore::new(0)));
        let (took, gate) = (Arc::clone(&handled), Arc::clone(&permits));
        let handler = MessageHandler::new(move |delivery: Delivery| {
            let (took, gate) = (Arc::clone(&took), Arc::clone(&gate));
            async move {
                gate.acquire().await.unwrap().forget();
                work();
                took.lock().unwrap().took(&delivery);
                Ok::<(), String>(())
            }
        });
        let connection = Connection::start(config(server, 256 << 10).build().unwrap()).unwrap();
        connection.set_message_handler(handler.timeout(LIMIT).unwrap());
        connection
            .subscribe(Subscription::new("sleepy", Sleepy.start().recipient()).events(EventMask::MESSAGE))
            .unwrap();
        open(&connection, server).await;

        let (mut gaps, mut first, mut peak) = (Gaps::default(), 0, 0);
        for step in 1..=TEXTS / STEP {
            permits.add_permits(usize::try_from(STEP).unwrap());
            for part in 1..=4 {
                let reached = async {
                    while handled.lock().unwrap().count() < (step - 1) * STEP + part * STEP / 4 {
                        actix_rt::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                timeout(LIMIT, reached).await.expect("the handler goes on");
                gaps.look(server);
            }
            // The handler has stopped; the heartbeat has not.
            let before = server.stats().heartbeats;
            server.wait_until(LIMIT, |server| server.stats().heartbeats >= before + 5).await.unwrap();
            gaps.look(server);
            let resident = resident_kib();
            if step == 1 {
                first = resident;
            }
            peak = peak.max(resident);
        }
        let handled = std::mem::take(&mut *handled.lock().unwrap());
        all_acknowledged(server, &handled).await;
        assert_eq!((handled.wrong.as_ref(), handled.next), (None, [TEXTS / 8; 8]), "all of them once and in order");
        assert!(peak < first + 4096, "{first} KiB after {STEP} texts, up to {peak} later");
        assert_eq!(server.stats().connects, 1, "the link was never lost");
        let longest = Duration::from_millis(gaps.longest_ms);
        assert!(longest < IDLE + SLACK, "{longest:?} without a frame from the client");
        assert!(server.stats().heartbeats >= 50);
        let subscribers = connection.subscribers().await.unwrap();
        let sleepy = &subscribers[0];
        assert!(sleepy.missed > 0, "the observer is too slow");
        let waiting = u64::try_from(sleepy.queued).unwrap();
        assert_eq!(sleepy.delivered + sleepy.missed + waiting, TEXTS, "what it missed is counted");
        assert_eq!(connection.health().await.unwrap().missed_events, sleepy.missed);
        connection.close().await;
    });
}

#[test]
fn a_handler_that_never_waits_does_not_hold_the_heartbeat_up() {
    const PAGE: usize = 2000;
    const PAGES: u64 = 10;
    run(PAGE, async |server| {
        let texts = PAGES * u64::try_from(PAGE).unwrap();
        server.fill_queue("alice", "sender-0", texts).unwrap();
        let handled = Arc::new(Mutex::new(Handled::default()));
        let took = Arc::clone(&handled);
        let handler = MessageHandler::new(move |delivery: Delivery| {
            // Five times as long a page as the heartbeat's idle time.
            (0..4).for_each(|_| work());
            took.lock().unwrap().took(&delivery);
            async { Ok::<(), String>(()) }
        });
        let connection = Connection::start(config(server, 1).build().unwrap()).unwrap();
        connection.set_message_handler(handler);
        open(&connection, server).await;
        let done = async {
            while handled.lock().unwrap().count() < texts {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, done).await.expect("all are handled");
        let handled = std::mem::take(&mut *handled.lock().unwrap());
        all_acknowledged(server, &handled).await;
        assert_eq!(handled.wrong, None);
        let Stats { heartbeats, connects, .. } = server.stats();
        assert!(heartbeats >= 2 * PAGES, "{heartbeats} heartbeats");
        assert_eq!(connects, 1);
        connection.close().await;
    });
}

#[test]
fn a_hundred_queues_whose_messages_are_never_handled_take_no_memory_and_slow_no_other() {
    const POISONED: u64 = 100;
    const TEXTS: u64 = 40_000;
    const STEP: u64 = 4_000;
    run(50, async |server| {
        for n in 0..POISONED {
            server.fill_queue("alice", &format!("poison-{n}"), 500).unwrap();
        }
        server.fill_queue("alice", "sender-0", TEXTS).unwrap();
        let (handled, permits) = (Arc::new(Mutex::new(Handled::default())), Arc::new(Semaphore::new(0)));
        let failures = Arc::new(Mutex::new(0_u64));
        let (took, gate, failed) = (Arc::clone(&handled), Arc::clone(&permits), Arc::clone(&failures));
        let handler = MessageHandler::new(move |delivery: Delivery| {
            let (took, gate, failed) = (Arc::clone(&took), Arc::clone(&gate), Arc::clone(&failed));
            async move {
                if delivery.message().unwrap().from.starts_with("poison") {
                    *failed.lock().unwrap() += 1;
                    return Err("on purpose");
                }
                gate.acquire().await.unwrap().forget();
                took.lock().unwrap().took(&delivery);
                Ok(())
            }
        });
        // Sooner than anybody would.
        let handler = handler.pause(Duration::from_millis(10), Duration::from_secs(1)).unwrap();
        let connection = Connection::start(config(server, 256 << 10).build().unwrap()).unwrap();
        connection.set_message_handler(handler.timeout(LIMIT).unwrap());
        open(&connection, server).await;

        let (mut first, mut peak) = (0, 0);
        for step in 1..=TEXTS / STEP {
            permits.add_permits(usize::try_from(STEP).unwrap());
            let reached = async {
                while handled.lock().unwrap().count() < step * STEP {
                    actix_rt::time::sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(LIMIT, reached).await.expect("the healthy queue goes on");
            let resident = resident_kib();
            if step == 2 {
                first = resident;
            }
            peak = peak.max(resident);
        }
        let handled = std::mem::take(&mut *handled.lock().unwrap());
        all_acknowledged(server, &handled).await;
        assert_eq!((handled.wrong, handled.next[0]), (None, TEXTS), "all of them once and in order");
        assert!(peak < first + 8192, "{first} KiB after {STEP} texts, up to {peak} later");
        assert!(*failures.lock().unwrap() > 3 * POISONED, "they were tried again meanwhile");
        assert_eq!(connection.health().await.unwrap().waiting_queues, 100);
        let poisoned = |frame: &agora_chat::local_server::ClientFrame| matches!(&frame.kind, FrameKind::Pull { queue, key: Some(_) } if queue.starts_with("poison"));
        assert!(!server.sent_by("alice").iter().any(poisoned), "nothing of them is acknowledged");
        connection.close().await;
    });
}
