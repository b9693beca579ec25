//! A subscriber for unit tests, which takes an event only when the test lets it.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Handler, Recipient, WrapFuture as _};
use tokio::sync::{
    Semaphore,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::model::{
    Event, EventKind,
    error::LossCause,
    message::{ChatType, Ext, Message, MessageBody},
};

pub(super) struct Probe {
    name: &'static str,
    heard: UnboundedSender<String>,
    permits: Option<Arc<Semaphore>>,
}

impl Probe {
    pub(super) fn free(name: &'static str, heard: &UnboundedSender<String>) -> Recipient<Event> {
        Probe { name, heard: heard.clone(), permits: None }.start().recipient()
    }

    /// Returns one with a mailbox of `capacity` that handles one event per permit.
    pub(super) fn gated(capacity: usize, heard: &UnboundedSender<String>) -> (Recipient<Event>, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(0));
        let probe = Probe { name: "", heard: heard.clone(), permits: Some(permits.clone()) };
        let address = Probe::create(|ctx| {
            ctx.set_mailbox_capacity(capacity);
            probe
        });
        (address.recipient(), permits)
    }

    fn wait_for_permit(&self, ctx: &mut Context<Self>) {
        if let Some(permits) = self.permits.clone() {
            let wait = async move { permits.acquire_owned().await.unwrap().forget() };
            ctx.wait(wait.into_actor(self));
        }
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.wait_for_permit(ctx);
    }
}

impl Handler<Event> for Probe {
    type Result = ();

    fn handle(&mut self, event: Event, ctx: &mut Self::Context) {
        let mut line = self.name.to_owned();
        match event.kind() {
            EventKind::Reconnecting { attempt, .. } => write!(line, "{attempt}").unwrap(),
            EventKind::Message(message) => write!(line, "{}", message.id).unwrap(),
            EventKind::Missed { count } => write!(line, "missed {count}").unwrap(),
            EventKind::Disconnected { .. } => ctx.stop(),
            other => write!(line, "{other:?}").unwrap(),
        }
        // The test may have ended.
        let _ = self.heard.send(line);
        self.wait_for_permit(ctx);
    }
}

pub(super) fn hearing() -> (UnboundedSender<String>, UnboundedReceiver<String>) {
    unbounded_channel()
}

pub(super) async fn next(heard: &mut UnboundedReceiver<String>) -> String {
    actix_rt::time::timeout(Duration::from_secs(10), heard.recv()).await.expect("heard in time").unwrap()
}

pub(super) fn numbered(attempt: u32) -> Event {
    let kind = EventKind::Reconnecting { attempt, delay: Duration::ZERO, cause: LossCause::Ended };
    Event::new("alice".parse().unwrap(), kind)
}

pub(super) fn sized(number: u32, bytes: usize) -> Event {
    let message = Message {
        id: number.into(),
        from: "bob".into(),
        to: "alice".into(),
        chat: ChatType::Single,
        own: false,
        timestamp: 0,
        body: MessageBody::Text("a".repeat(bytes)),
        ext: Ext::new(),
        extras: None,
    };
    Event::new("alice".parse().unwrap(), EventKind::Message(message))
}
