//! `/events`: what changes, as server-sent events.

use std::{
    fmt::Write as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use actix_rt::time::{Instant, interval};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Bytes};
use futures_core::Stream;
use serde_json::Value;
use tokio::{sync::mpsc, time::MissedTickBehavior};

use crate::fleet::{
    admin::{
        Admin, Shared,
        answer::{Answer, Refused},
        calls,
    },
    changes::FleetChange,
};

/// Something is written at least so often, so that a client that is gone is noticed, and a proxy does not end the stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often the fleet's counts are looked at.
const COUNTS: Duration = Duration::from_secs(1);

/// Events that are written together.
const BATCH: usize = 64;

/// One of the clients, as long as it is there.
struct Client(Arc<AtomicUsize>);

impl Client {
    fn admit(admin: &Admin) -> Option<Self> {
        let clients = &admin.0.clients;
        let more = |now: usize| (now < Admin::MAX_EVENT_CLIENTS).then_some(now + 1);
        clients.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Client(Arc::clone(clients)))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client is sent; a bounded number of events is written ahead.
struct Events(mpsc::Receiver<Bytes>);

impl Stream for Events {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(Ok))
    }
}

pub(super) async fn events(admin: Shared, _: HttpRequest) -> Answer {
    let refused = |code, why: &str| Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, code, why));
    if *admin.0.closing.borrow() {
        return refused("closing", "the server is at its end");
    }
    let Some(client) = Client::admit(&admin) else {
        return refused("too_many_clients", "as many clients as allowed watch already; try again later");
    };
    let (send, events) = mpsc::channel(4);
    let admin = Admin::clone(&admin);
    actix_rt::spawn(async move {
        tell(&admin, &send).await;
        drop(client);
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        // Proxies that gather answers are told not to.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Events(events)))
}

/// Tells changes until the client goes, the fleet ends, or the server does.
async fn tell(admin: &Admin, send: &mpsc::Sender<Bytes>) {
    let mut changes = admin.fleet().watch();
    let mut closing = admin.0.closing.subscribe();
    let mut counts = interval(COUNTS);
    counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut written) = (Value::Null, Instant::now());
    loop {
        let mut text = String::new();
        let mut ended = false;
        tokio::select! {
            () = send.closed() => return,
            _ = closing.wait_for(|closing| *closing) => return,
            change = changes.next() => {
                ended = !write(&mut text, change);
                // What is there already goes with it.
                for _ in 1..BATCH {
                    let Some(change) = changes.ready() else { break };
                    write(&mut text, Some(change));
                }
            }
            _ = counts.tick() => {
                let mut now = calls::summary(admin);
                let at = now.as_object_mut().and_then(|now| now.remove("at_ms"));
                if now != told {
                    told = now.clone();
                    if let (Some(fields), Some(at)) = (now.as_object_mut(), at) {
                        fields.insert("at_ms".to_owned(), at);
                    }
                    event(&mut text, "fleet", &now.to_string());
                } else if written.elapsed() >= KEEP_ALIVE {
                    text.push_str(": still here\n\n");
                }
            }
        }
        if !text.is_empty() {
            written = Instant::now();
            // An error means that the client is gone.
            if send.send(text.into()).await.is_err() {
                return;
            }
        }
        if ended {
            return;
        }
    }
}

/// Writes a change; `false` at the end of the fleet.
fn write(text: &mut String, change: Option<FleetChange>) -> bool {
    let Some(change) = change else { return false };
    let name = match &change {
        FleetChange::Account(_) => "account",
        FleetChange::Breaker { .. } => "breaker",
        FleetChange::ForeignFleet { .. } => "foreign_fleet",
        FleetChange::Draining => "draining",
        FleetChange::Drained(_) => "drained",
        FleetChange::Missed { .. } => "missed",
    };
    // It is made of strings and numbers, and has no line breaks: JSON escapes them.
    event(text, name, &serde_json::to_string(&change).unwrap_or_default());
    true
}

fn event(text: &mut String, name: &str, data: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::{BATCH, tell};
    use crate::{
        config::Config,
        fleet::{
            admin::Admin,
            changes::{Changes, FleetChange},
            config::FleetConfig,
            handle::Fleet,
        },
    };

    #[actix_web::test]
    async fn a_client_that_reads_late_is_told_how_much_it_missed() {
        let config = Config::builder("org#app").addresses("http://127.0.0.1:9", "ws://127.0.0.1:9/websocket");
        let fleet = Fleet::start(FleetConfig::new(config.build().unwrap()).arbiters(1)).unwrap();
        let admin = Admin::new(&fleet);
        let (send, mut events) = mpsc::channel(4);
        actix_rt::spawn(async move { tell(&admin, &send).await });
        assert!(events.recv().await.unwrap().starts_with(b"event: fleet\n"));
        // As many as may wait, as many as are under way, and some more.
        let told = Changes::CAPACITY + 8 * BATCH;
        for _ in 0..told {
            fleet.shared().table.tell(FleetChange::Draining);
        }
        let mut text = String::new();
        while !text.contains("\"change\":\"missed\"") {
            text += std::str::from_utf8(&events.recv().await.unwrap()).unwrap();
        }
        let missed = text.rsplit_once("\"count\":").unwrap().1.split('}').next().unwrap().parse::<usize>().unwrap();
        assert_eq!(missed, told - Changes::CAPACITY);
    }
}
