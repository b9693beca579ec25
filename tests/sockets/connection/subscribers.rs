//! Subscribers that fail, on a live connection.

use actix::{Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, WrapFuture as _};
use agora_chat::{Event, EventHandler, EventKind, EventMask, MessageBody, Subscription};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

use crate::connection::support::{alice, bob, listen, online, quick, server, start, text, within};

struct Bot {
    /// A text of this content makes it panic.
    panics_on: &'static str,
    /// And one of this makes it stop.
    stops_on: &'static str,
    heard: UnboundedSender<Event>,
    stall: Option<oneshot::Receiver<()>>,
}

impl Bot {
    fn start(
        panics_on: &'static str,
        stops_on: &'static str,
        stall: Option<oneshot::Receiver<()>>,
    ) -> (Addr<Bot>, UnboundedReceiver<Event>) {
        let (heard, hears) = unbounded_channel();
        let addr = Bot::create(|ctx| {
            ctx.set_mailbox_capacity(4);
            Bot { panics_on, stops_on, heard, stall }
        });
        (addr, hears)
    }
}

impl Actor for Bot {
    type Context = Context<Self>;
}

impl Handler<Event> for Bot {
    type Result = ();

    fn handle(&mut self, event: Event, ctx: &mut Self::Context) {
        if let EventKind::Message(message) = event.kind()
            && let MessageBody::Text(text) = &message.body
        {
            assert!(text != self.panics_on, "the subscriber panics, as the test asked");
            if text == self.stops_on {
                ctx.stop();
            }
        }
        let _ = self.heard.send(event);
        if let Some(gate) = self.stall.take() {
            ctx.wait(
                async move {
                    let _ = gate.await;
                }
                .into_actor(self),
            );
        }
    }
}

#[actix::test]
async fn subscribers_that_panic_stop_or_dawdle_cost_nobody_else_anything() {
    let server = server().await;
    let (alice, _alice_hears) = online(quick(server.config()), alice()).await;
    let (bob, mut first) = online(quick(server.config()), bob()).await;
    let (panics, mut panics_hears) = Bot::start("panic", "", None);
    let (stops, mut stops_hears) = Bot::start("", "stop", None);
    let (open_gate, gate) = oneshot::channel();
    let (slow, mut slow_hears) = Bot::start("", "", Some(gate));
    bob.add_subscriber("panics", panics.clone().recipient()).unwrap();
    bob.add_event_handler(
        "closure that panics",
        EventHandler::new().on_message(|_, _| panic!("the closure panics, as the test asked")),
    )
    .unwrap();
    bob.subscribe(Subscription::new("slow", slow.clone().recipient()).backlog(0)).unwrap();
    bob.add_subscriber("stops", stops.clone().recipient()).unwrap();
    let mut last = listen(&bob, "last");

    const TEXTS: usize = 40;
    for n in 0..TEXTS {
        let said = match n {
            5 => "panic".to_owned(),
            10 => "stop".to_owned(),
            n => n.to_string(),
        };
        within("the answer", alice.send_text("bob", &said)).await.unwrap();
        // The well-behaved hear each before the next is sent: nobody holds them up.
        for heard in [&mut first, &mut last] {
            assert_eq!(text(&heard.message().await), said);
        }
    }

    let infos = within("the counts", bob.subscribers()).await.unwrap();
    let ids: Vec<_> = infos.iter().map(|info| info.id.as_str()).collect();
    assert_eq!(ids, ["test", "closure that panics", "slow", "last"], "those that ended are forgotten");
    let slow_info = infos.iter().find(|info| info.id.as_str() == "slow").unwrap();
    assert_eq!(slow_info.delivered + slow_info.missed, TEXTS as u64);
    assert!(slow_info.missed > 0);
    assert!(infos.iter().filter(|info| info.id.as_str() != "slow").all(|info| info.missed == 0));
    assert!(!panics.connected() && !stops.connected());

    open_gate.send(()).unwrap();
    let mut told = 0;
    for _ in 0..=slow_info.delivered {
        if let EventKind::Missed { count } = within("the slow one", slow_hears.recv()).await.unwrap().kind() {
            told += count;
        }
    }
    assert_eq!(told, slow_info.missed, "told once, with the count");
    assert_eq!(std::iter::from_fn(|| panics_hears.try_recv().ok()).count(), 5);
    assert_eq!(std::iter::from_fn(|| stops_hears.try_recv().ok()).count(), 11);
    alice.close().await;
    bob.close().await;
}

/// Counts, with actix's default mailbox.
#[derive(Default)]
struct Counter {
    messages: usize,
    told: Option<oneshot::Sender<usize>>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Event> for Counter {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Self::Context) {
        match event.kind() {
            EventKind::Message(_) => self.messages += 1,
            EventKind::Disconnected { .. } => drop(self.told.take().map(|told| told.send(self.messages))),
            _ => {}
        }
    }
}

#[actix::test]
async fn whatever_waited_on_the_server_a_subscriber_that_only_counts_hears_all_of_it_and_the_end() {
    for waiting in [40, 5_000] {
        let server = server().await;
        for n in 0..waiting {
            server.send_text("bob", "alice", &n.to_string()).unwrap();
        }
        let (connection, mut heard) = start(quick(server.config()));
        let (told, tells) = oneshot::channel();
        let counter = Counter { messages: 0, told: Some(told) }.start();
        connection.add_subscriber("counts", counter.recipient()).unwrap();
        connection.open(alice()).await.unwrap();
        for _ in 0..waiting {
            heard.message().await;
        }
        connection.close().await;
        assert_eq!(within("the end", tells).await.unwrap(), waiting);
        assert_eq!(connection.health().await.unwrap().missed_events, 0);
    }
}

#[actix::test]
async fn a_subscriber_removed_by_its_id_hears_nothing_more_and_one_of_a_kind_hears_only_that() {
    let server = server().await;
    let (bob, mut first) = online(quick(server.config()), bob()).await;
    let (gone, mut gone_hears) = Bot::start("", "", None);
    let (choosy, mut choosy_hears) = Bot::start("", "", None);
    bob.add_subscriber("gone", gone.recipient()).unwrap();
    bob.subscribe(Subscription::new("choosy", choosy.recipient()).events(EventMask::DISCONNECTED)).unwrap();
    server.send_text("alice", "bob", "one").unwrap();
    first.message().await;
    bob.remove_subscriber("gone").unwrap();
    server.send_text("alice", "bob", "two").unwrap();
    first.message().await;
    bob.close().await;
    assert!(matches!(within("the end", choosy_hears.recv()).await.unwrap().kind(), EventKind::Disconnected { .. }));
    let heard = std::iter::from_fn(|| gone_hears.try_recv().ok());
    let heard: Vec<_> = heard.filter(|event| event.kind().mask() == EventMask::MESSAGE).collect();
    assert_eq!(heard.len(), 1);
}
